package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// mover is a session that moves at its first input, with input unread and output unsent, and then checks what comes.
type mover struct {
	patternSession
	to     *Loop
	ask    int // bytes of output written before the move
	moved  bool
	batch  bool
	paused bool
}

func (s *mover) Data(c *Conn, in []byte) (int, error) {
	if s.moved {
		if c.Loop() != s.to {
			return 0, errors.New("on the wrong loop")
		}
		return s.patternSession.Data(c, in)
	}
	s.moved = true
	half := len(in) / 2
	if _, err := s.patternSession.Data(c, in[:half]); err != nil {
		return 0, err
	}
	c.SetBatch(s.batch)
	for at := 0; at < s.ask; at += 1 << 10 {
		c.Write(patternAt(int64(at), 1<<10))
	}
	if s.paused {
		c.Pause()
	}
	c.Move(s.to, func(c *Conn) {
		if s.paused != c.Paused() {
			s.t.Error("paused:", c.Paused())
		}
		c.Write(patternAt(int64(s.ask), 1<<10))
		c.Resume()
	})
	return half, nil
}

func TestMoveLosesNothing(t *testing.T) {
	const total = 2 << 20
	for _, secure := range []bool{false, true} {
		for _, ask := range []int{1 << 10, 8 << 20} {
			for variant := range 3 {
				g := newGroup(t, 2)
				to := g.Loops()[1]
				s := &mover{to: to, ask: ask, batch: variant == 1, paused: variant == 2}
				s.patternSession = patternSession{t: t, want: total, done: make(chan int)}
				from := g.Loops()[0]
				if secure && variant == 1 {
					to, s.to = from, from // a move to where it is
				}
				nc := movingPeer(t, from, s, secure)
				written := make(chan error, 1)
				go func() { // ends when all is written or the connection is over
					for at := int64(0); at < total; at += 1 << 18 {
						if _, err := nc.Write(patternAt(at, 1<<18)); err != nil {
							written <- err
							return
						}
					}
					written <- nil
				}()
				got := make([]byte, ask+1<<10)
				if _, err := io.ReadFull(nc, got); err != nil {
					t.Fatal(err)
				}
				for at := 0; at < len(got); at += 1 << 10 {
					if !bytes.Equal(got[at:at+1<<10], patternAt(int64(at), 1<<10)) {
						t.Fatal("the output differs at", at)
					}
				}
				receive(t, "the input", s.done)
				if err := receive(t, "the writer", written); err != nil {
					t.Error(err)
				}
				nc.Close()
			}
		}
	}
}

// Whether a connection moves before or after its peer has ended its side.
func TestMoveOfHalfClosed(t *testing.T) {
	for _, early := range []bool{true, false} {
		g := newGroup(t, 2)
		ended, closed := make(chan int, 2), make(chan error, 1)
		c, nc := pair(t, g.Loops()[0], "tcp", &funcSession{
			data:   func(*Conn, []byte) (int, error) { return 0, nil },
			ended:  func(*Conn) bool { ended <- 1; return true },
			closed: func(_ *Conn, err error) { closed <- err },
		})
		if _, err := nc.Write([]byte("unread")); err != nil {
			t.Fatal(err)
		}
		end := func() {
			if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			receive(t, "the end of the peer's side", ended)
		}
		if !early {
			end()
		}
		arrived := make(chan int)
		onLoop(g.Loops()[0], func() {
			c.Write([]byte("written before, "))
			c.Move(g.Loops()[1], func(*Conn) { close(arrived) })
		})
		receive(t, "the move", arrived)
		if early {
			end()
		}
		onLoop(g.Loops()[1], func() {
			if c.Loop() != g.Loops()[1] || c.Unread() != 6 {
				t.Errorf("on loop %d, %d bytes unread", c.Loop().Index(), c.Unread())
			}
			c.Write([]byte("and after"))
			c.Close()
		})
		if got, err := io.ReadAll(nc); string(got) != "written before, and after" || err != nil {
			t.Errorf("the peer got %q and %v", got, err)
		}
		if err := receive(t, "Closed", closed); err != nil || len(ended) > 0 {
			t.Errorf("Closed got %v; told of the end %d more times", err, len(ended))
		}
	}
}

// A connection that is reset on its way has no peer's address, on which gnet panics without a word.
func TestMoveOfReset(t *testing.T) {
	g := newGroup(t, 2)
	closed := make(chan error, 1)
	c, nc := pausedPair(t, g.Loops()[0], "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	onLoop(g.Loops()[0], func() {
		reset(t, nc) // the loop is busy here and does not see it
		c.Move(g.Loops()[1], func(*Conn) { t.Error("arrived") })
	})
	if err := receive(t, "Closed", closed); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed got %v", err)
	}
}

func TestMoveOfClosing(t *testing.T) {
	g := newGroup(t, 2)
	closed := make(chan error, 1)
	c, _ := pair(t, g.Loops()[0], "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	onLoop(g.Loops()[0], func() {
		c.Move(g.Loops()[1], func(*Conn) { t.Error("arrived") })
		c.Abort(nil)
		c.Move(g.Loops()[1], func(*Conn) { t.Error("arrived") })
	})
	if err := receive(t, "Closed", closed); err != ErrAborted {
		t.Errorf("Closed got %v", err)
	}
}

// A connection that moves while the group stops is lost, and a peer that has not got all of its output is told so.
func TestMoveWhileStopping(t *testing.T) {
	g := newGroup(t, 2)
	closed := make(chan error, 1)
	c, nc := pair(t, g.Loops()[0], "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	onLoop(g.Loops()[0], func() {
		g.stopping.Store(true)
		c.Write([]byte("unsent"))
		c.Move(g.Loops()[1], func(*Conn) { t.Error("arrived") })
	})
	if err := receive(t, "Closed", closed); err != errStopping {
		t.Errorf("Closed got %v", err)
	}
	if got, err := io.ReadAll(nc); !errors.Is(err, unix.ECONNRESET) || len(got) > 0 {
		t.Errorf("the peer got %q and %v", got, err)
	}
	g.stopping.Store(false)
}

func TestAdoptFD(t *testing.T) {
	g := newGroup(t, 1)
	for range 20 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		peer := os.NewFile(uintptr(fds[1]), "peer")
		if err := g.Loops()[0].AdoptFD(fds[0], func(c *Conn, err error) Session {
			if err != nil {
				t.Error(err)
			}
			return &funcSession{data: echo}
		}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := fmt.Fprint(peer, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		peer.Close()
	}
}

// What cannot be adopted is closed, once.
func TestAdoptFailures(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AdoptFD(fd, nil); err == nil {
		t.Error("a file is adopted")
	}
	if _, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err == nil {
		t.Error("the descriptor is still open")
	}
	if err := l.AdoptFD(-1, nil); err == nil {
		t.Error("descriptor -1 is adopted")
	}
	ours, theirs := net.Pipe()
	errs := make(chan error, 1)
	l.Adopt(theirs, func(_ *Conn, err error) Session { errs <- err; return nil })
	if err := receive(t, "open", errs); err == nil {
		t.Error("a pipe is adopted")
	}
	if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the pipe is still open:", err)
	}
	waitFor(t, "all to be forgotten", func() bool { return g.Stats().Open == 0 })
}
