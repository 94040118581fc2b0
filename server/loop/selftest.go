package loop

import (
	"errors"
	"fmt"
	"golang.org/x/sys/unix"
	"net"
	"reflect"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// discover enrols one socket pair for each loop of the client: gnet has no list of its loops, but gives each new connection
// to the loop that has fewest, and the connection knows its loop.
func (g *Group) discover(n int) error {
	for i := range n {
		ours, theirs, err := socketPair()
		if err != nil {
			return fmt.Errorf("loop: socketpair: %w", err)
		}
		gc, err := g.client.EnrollContext(theirs, probe{})
		if err != nil {
			return errors.Join(fmt.Errorf("loop: enrol: %w", err), ours.Close())
		}
		l := newLoop(g, i, gc.EventLoop())
		for _, other := range g.loops {
			if other.el == l.el {
				return errors.Join(errors.New("loop: gnet put two first connections on one loop"), ours.Close())
			}
		}
		if l.epfd, err = epollFD(l.el); err != nil {
			return errors.Join(err, ours.Close())
		}
		if err = l.room.open(); err != nil {
			return errors.Join(err, ours.Close())
		}
		g.loops = append(g.loops, l)
		defer ours.Close() // after all loops are known: a closed probe would count as a free place
	}
	return nil
}

// probe is the context of a connection that only serves to find its loop.
type probe struct{}

// epollFD reads the number of gnet's epoll descriptor. gnet has no call for it; reading an unexported field by reflection is
// tied to the pinned version, so selfTest proves at every start that it is the right descriptor.
func epollFD(el gnet.EventLoop) (fd int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("loop: this gnet hides its epoll descriptor elsewhere: %v", r)
		}
	}()
	return int(reflect.ValueOf(el).Elem().FieldByName("poller").Elem().FieldByName("fd").Int()), nil
}

// selfTest proves on a socket pair that Pause holds input back and Resume lets it through.
func (l *Loop) selfTest() error {
	ours, theirs, err := socketPair()
	if err != nil {
		return fmt.Errorf("loop: socketpair: %w", err)
	}
	defer ours.Close()
	s := &pauseProbe{got: make(chan struct{}), closed: make(chan struct{})}
	opened := make(chan error, 1)
	l.Adopt(theirs, func(c *Conn, err error) Session {
		opened <- err
		s.c = c
		return s
	})
	if err := <-opened; err != nil {
		return err
	}
	l.wait(func() { s.c.Pause() })
	if _, err := ours.Write([]byte("x")); err != nil {
		return fmt.Errorf("loop: self-test: %w", err)
	}
	early := false
	for range 3 { // the byte is there already: three turns would show it
		l.wait(func() { early = s.seen || s.c.Unread() > 0 })
	}
	if early {
		return errors.New("loop: self-test: a paused connection was read; this gnet or kernel is not supported")
	}
	l.wait(func() { s.c.Resume() })
	select {
	case <-s.got:
	case <-time.After(5 * time.Second):
		return errors.New("loop: self-test: a resumed connection was not read; this gnet or kernel is not supported")
	}
	l.wait(func() { s.c.Abort(nil) })
	<-s.closed
	l.bytesIn.Store(0)
	return nil
}

// wait runs f on the loop and waits for it. Never call it on a loop.
func (l *Loop) wait(f func()) {
	done := make(chan struct{})
	if l.Post(func() { defer close(done); f() }) {
		<-done
	}
}

// pauseProbe is the session of selfTest.
type pauseProbe struct {
	c           *Conn
	seen        bool
	got, closed chan struct{}
}

func (s *pauseProbe) Data(_ *Conn, in []byte) (int, error) {
	if !s.seen {
		s.seen = true
		close(s.got)
	}
	return len(in), nil
}
func (s *pauseProbe) Drained(*Conn)       {}
func (s *pauseProbe) Closed(*Conn, error) { close(s.closed) }

// socketPair returns two connected Unix stream sockets.
func socketPair() (ours, theirs net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = fileConn(fds[0]); err != nil {
		unix.Close(fds[1])
		return nil, nil, err
	}
	if theirs, err = fileConn(fds[1]); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
