package loop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slow reads in small pieces from a small receive buffer.
type slow struct{ net.Conn }

func (s slow) Read(p []byte) (int, error) { return s.Conn.Read(p[:min(len(p), 64<<10)]) }

func TestCloseAfterFlushToSlowReader(t *testing.T) {
	for _, secure := range []bool{false, true} {
		g := newGroup(t, 1)
		closed := make(chan error, 1)
		const total = 32 << 20
		o := AcceptOptions{Open: func(c *Conn) Session {
			for sent := 0; sent < total; sent += 1 << 19 {
				c.Write(patternAt(int64(sent), 1<<19))
			}
			c.Close()
			return &funcSession{closed: func(_ *Conn, err error) { closed <- err }}
		}}
		if secure {
			o.TLS = serverTLS()
		}
		tcp := dial(t, listen(t, g, o))
		if err := tcp.SetReadBuffer(512 << 10); err != nil {
			t.Fatal(err)
		}
		var nc net.Conn = slow{tcp}
		if secure {
			nc = tls.Client(nc, clientTLS(tls.VersionTLS13))
		}
		got := int64(0)
		for buf := make([]byte, 256<<10); ; {
			n, err := nc.Read(buf)
			if !bytes.Equal(buf[:n], patternAt(got, n)) {
				t.Fatal("the stream differs")
			}
			if got += int64(n); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got != total {
			t.Errorf("%d of %d bytes arrived, then an end as if all were well", got, total)
		}
		nc.Close()
		if err := receive(t, "Closed", closed); err != nil {
			t.Error("Closed got", err)
		}
	}
}

func TestAbortResets(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	mine, closed := errors.New("mine"), make(chan error, 1)
	for _, why := range []error{nil, mine} {
		c, nc := pair(t, l, "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
		onLoop(l, func() { c.Write([]byte("dropped")); c.Abort(why); c.Abort(nil); c.Close(); c.Write([]byte("x")) })
		if why == nil {
			why = ErrAborted
		}
		if err := receive(t, "Closed", closed); err != why {
			t.Errorf("Closed got %v, want %v", err, why)
		}
		if got, err := io.ReadAll(nc); !errors.Is(err, unix.ECONNRESET) || len(got) > 0 {
			t.Errorf("the peer got %q and %v", got, err)
		}
	}
}

// A closed connection reads on for a bounded time and amount, so that the peer sees the last bytes and no reset.
func TestCloseLingers(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	closed := make(chan error, 1)
	c, nc := pair(t, l, "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	began := time.Now()
	onLoop(l, func() { c.Pause(); c.Write([]byte("bye\n")); c.Close() })
	if _, err := nc.Write(make([]byte, lingerBytes/2)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); string(got) != "bye\n" || err != nil {
		t.Errorf("the peer got %q and %v", got, err)
	}
	select {
	case err := <-closed:
		if time.Since(began) < lingerTime {
			t.Error("closed before the peer:", err)
		}
		closed <- err
	default:
	}
	deadline(t, nc, patience)
	for { // more than it is willing to throw away
		if _, err := nc.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	if err := receive(t, "Closed", closed); err != nil {
		t.Error("Closed got", err)
	}
}

func TestLingerEndsInTime(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	closed := make(chan error, 1)
	c, _ := pair(t, l, "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	start := time.Now()
	onLoop(l, c.Close)
	if err := receive(t, "Closed", closed); err != nil || time.Since(start) < lingerTime {
		t.Errorf("Closed got %v after %v", err, time.Since(start))
	}
}

// The peer of a closing connection takes nothing: the look every closeStall is made here by hand.
func TestStalledPeerIsCut(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	closed := make(chan error, 1)
	c, nc := pair(t, l, "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	onLoop(l, func() {
		for c.Pending() == 0 {
			c.Write(make([]byte, 4<<20))
		}
		c.Close()
	})
	onLoop(l, func() {
		if !c.ending.timer.Armed() {
			t.Error("nobody looks")
		}
		c.ending.unacked++
		c.ending.timeUp() // as if something had gone
		if c.Closing() && c.state >= connDead {
			t.Error("cut although output went")
		}
		c.ending.timeUp()
	})
	if err := receive(t, "Closed", closed); err != ErrStalled {
		t.Errorf("Closed got %v", err)
	}
	if _, err := io.Copy(io.Discard, nc); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer sees %v and takes what it has for the whole", err)
	}
}

func TestStopFlushes(t *testing.T) {
	g := newGroup(t, 2)
	const n, total = 4, 4 << 20
	var opened sync.WaitGroup
	opened.Add(n)
	addr := listen(t, g, AcceptOptions{Open: func(c *Conn) Session {
		c.Write(make([]byte, total))
		opened.Done()
		return &funcSession{}
	}})
	var readers sync.WaitGroup
	for range n {
		nc := dial(t, addr)
		readers.Go(func() {
			opened.Wait()
			if got, err := io.Copy(io.Discard, nc); got != total || err != nil {
				t.Errorf("%d of %d bytes, %v", got, total, err)
			}
			nc.Close()
		})
	}
	opened.Wait()
	if err := g.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	readers.Wait()
}

// At the end of its time, Stop resets what has not taken its output, half-closed or not, and tells the sessions.
func TestStopInTime(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	closed, ended := make(chan error, 2), make(chan int, 2)
	for _, half := range []bool{false, true} {
		c, nc := pair(t, l, "tcp", &funcSession{
			ended:  func(*Conn) bool { ended <- 1; return true },
			closed: func(_ *Conn, err error) { closed <- err },
		})
		if half {
			if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			receive(t, "the end of the peer's side", ended)
		}
		onLoop(l, func() {
			for c.Pending() == 0 {
				c.Write(make([]byte, 4<<20))
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() {
		if err := g.Stop(ctx); err != nil && err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
	others.Go(func() {
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if n := g.Stats().Open; n != 0 {
			t.Errorf("%d open after Stop", n)
		}
	})
	if err := g.Stop(ctx); err != nil && err != context.DeadlineExceeded {
		t.Error(err)
	}
	others.Wait()
	for range 2 {
		if err := receive(t, "Closed", closed); err != errStopping {
			t.Errorf("Closed got %v", err)
		}
	}
}
