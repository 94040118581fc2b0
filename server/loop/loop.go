package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Loop is one event loop: one goroutine that runs the callbacks of the connections it owns.
type Loop struct {
	// Fixed at start.
	group *Group
	index int
	el    gnet.EventLoop
	epfd  int // gnet's epoll descriptor: Pause and Resume set event masks in it
	watch int // our epoll descriptor: room in the send buffers of blocked connections

	// Owned by the loop.
	conns   map[uint64]*Conn
	depth   int              // callbacks on the stack; lists are worked off when it falls to 0
	dirty   []*Conn          // wrote in this callback
	batch   []*Conn          // wrote, with SetBatch, since the last end of a turn
	again   []*Conn          // resumed with input left
	dead    []*Conn          // to be closed
	moving  []*Conn          // go to another loop
	blocked map[uint64]*Conn // in watch: wait for room in their send buffer, or are orphans; by id
	calls   uint             // callbacks since start, to look at blocked connections now and then
	iov     [8][]byte        // scratch of Writev
	plain   []byte           // scratch of opened TLS records; nil until there is a TLS connection
	wheel   wheel
	turning bool // the end of the turn is asked for

	// Any goroutine.
	bytesIn, bytesOut atomic.Int64
	waiting           atomic.Int32 // connections that wait for room; read by the ticker
	watching          atomic.Int32 // len(blocked); read by the ticker
	nextTick          atomic.Int64 // the first tick that may have a timer to fire; written by the loop
	ticked            atomic.Bool  // a tickBell is on its way

	mu     sync.Mutex // guards mail and closed
	mail   []func()
	closed bool
	spare  []func() // owned by the loop: the slice that mail is swapped with
}

// Index is the loop's place in Group.Loops.
func (l *Loop) Index() int { return l.index }

// Group returns the group that the loop belongs to.
func (l *Loop) Group() *Group { return l.group }

// Conns calls f for each connection of the loop. Loop only.
func (l *Loop) Conns(f func(*Conn)) {
	for _, c := range l.conns {
		f(c)
	}
}

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
		l := &Loop{group: g, index: i, el: gc.EventLoop(), conns: map[uint64]*Conn{}, blocked: map[uint64]*Conn{}}
		l.nextTick.Store(never)
		for _, other := range g.loops {
			if other.el == l.el {
				return errors.Join(errors.New("loop: gnet put two first connections on one loop"), ours.Close())
			}
		}
		if l.epfd, err = epollFD(l.el); err != nil {
			return errors.Join(err, ours.Close())
		}
		if l.watch, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return errors.Join(fmt.Errorf("loop: epoll_create1: %w", err), ours.Close())
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

// fileConn makes a net.Conn of a socket descriptor, which it takes over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	if f == nil {
		return nil, unix.EBADF
	}
	defer f.Close() // net.FileConn works on a duplicate
	return net.FileConn(f)
}

func (l *Loop) closeFiles() {
	if l.watch > 0 {
		unix.Close(l.watch)
	}
}

// enrol gives nc to the loop's gnet event loop; the connection's OnOpen finds c. It blocks for a moment: never on a loop.
func (l *Loop) enrol(nc net.Conn, c *Conn) error {
	if nc.RemoteAddr() == nil { // gnet would panic on it
		nc.Close()
		return fmt.Errorf("loop: enrol: %w", unix.ECONNRESET)
	}
	e := &enrolment{c: c}
	ch, err := l.el.Enroll(gnet.NewContext(context.Background(), e), nc)
	if err != nil {
		nc.Close()
		return fmt.Errorf("loop: enrol: %w", err)
	}
	if r := <-ch; r.Err != nil {
		return fmt.Errorf("loop: enrol: %w", r.Err)
	}
	if !e.came { // gnet keeps it to itself when its epoll refuses the descriptor
		return errors.New("loop: enrol: gnet refused the connection")
	}
	return nil
}

// enrolment is the context of a connection until its OnOpen.
type enrolment struct {
	c    *Conn
	came bool // written by the loop before gnet reports the end of the enrolment, read after it
}
