package loop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pattern is test data whose period divides no buffer size, so that a lost or moved block shows.
var pattern = func() []byte {
	b := make([]byte, 1_000_003)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return append(b, b...)
}()

const period = 1_000_003

// patternAt is n bytes of the endless pattern from offset; n <= period.
func patternAt(offset int64, n int) []byte {
	at := int(offset % period)
	return pattern[at : at+n]
}

// patternSession checks that its input is the pattern from the start.
type patternSession struct {
	funcSession
	t     *testing.T
	got   int64 // owned by the loop
	want  int64
	done  chan int // closed at want
	pause bool     // pauses at the first input
}

func (s *patternSession) Data(c *Conn, in []byte) (int, error) {
	if s.pause {
		s.pause = false
		c.Pause()
		return 0, nil
	}
	for b := in; len(b) > 0; {
		n := min(len(b), period)
		if !bytes.Equal(b[:n], patternAt(s.got, n)) {
			return 0, errors.New("the stream differs")
		}
		s.got += int64(n)
		b = b[n:]
	}
	if s.got == s.want {
		close(s.done)
	}
	return len(in), nil
}

// gnet reads on for ever.
func TestStoppedReaderHoldsThePeer(t *testing.T) {
	const total = 256 << 20
	g := newGroup(t, 1)
	s := &patternSession{t: t, want: total, done: make(chan int), pause: true}
	c, nc := pair(t, g.Loops()[0], "tcp", s)
	before := heap()
	var sent int64
	for blocked := false; !blocked && sent < total; {
		deadline(t, nc, 250*time.Millisecond)
		n, err := nc.Write(patternAt(sent, min(period, int(total-sent))))
		sent += int64(n)
		if blocked = errors.Is(err, os.ErrDeadlineExceeded); err != nil && !blocked {
			t.Fatal(err)
		}
	}
	if limit := int64(64 << 20); sent > limit {
		t.Errorf("the peer wrote %d bytes to a stopped reader", sent)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	onLoop(g.Loops()[0], func() {
		if n := c.Unread(); n > 512<<10 {
			t.Errorf("%d bytes are kept", n)
		}
		c.Resume()
	})
	deadline(t, nc, patience)
	for sent < total {
		n, err := nc.Write(patternAt(sent, min(period, int(total-sent))))
		if sent += int64(n); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, "the rest", s.done)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func deadline(t testing.TB, nc net.Conn, d time.Duration) {
	t.Helper()
	if err := nc.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

// pausedPair is a connection that is paused.
func pausedPair(t *testing.T, l *Loop, network string, s Session) (*Conn, net.Conn) {
	t.Helper()
	c, nc := pair(t, l, network, s)
	onLoop(l, c.Pause)
	return c, nc
}

func TestPausedConnectionSeesAReset(t *testing.T) {
	g := newGroup(t, 1)
	closed := make(chan error, 1)
	_, nc := pausedPair(t, g.Loops()[0], "tcp", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
	reset(t, nc)
	if err := receive(t, "Closed", closed); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed got %v", err)
	}
}

// The end of the peer's side waits until the connection is read again; what is written meanwhile arrives.
func TestPausedConnectionOutlivesAnEnd(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		g := newGroup(t, 1)
		l := g.Loops()[0]
		var got []byte
		closed := make(chan error, 1)
		c, nc := pausedPair(t, l, network, &funcSession{
			data:   func(_ *Conn, in []byte) (int, error) { got = append(got, in...); return len(in), nil },
			closed: func(_ *Conn, err error) { closed <- err },
		})
		if _, err := nc.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			onLoop(l, func() { c.Write([]byte("answer")) })
			if _, err := io.ReadFull(nc, make([]byte, 6)); err != nil {
				t.Fatal("the answer:", err)
			}
		}
		onLoop(l, c.Resume)
		if err := receive(t, "Closed", closed); err != nil || string(got) != "last words" {
			t.Errorf("%s: got %q, Closed got %v", network, got, err)
		}
	}
}

// The peer of a Unix socket that closes hangs up at once, which gnet takes for the end, although there is input to read.
func TestPausedUnixConnectionKeepsItsInput(t *testing.T) {
	for _, keep := range []bool{false, true} {
		g := newGroup(t, 1)
		l := g.Loops()[0]
		body := patternAt(0, 100_000)
		var got []byte
		closed := make(chan error, 1)
		c, nc := pausedPair(t, l, "unix", &funcSession{
			data: func(c *Conn, in []byte) (int, error) {
				got = append(got, in[0])
				c.Again()
				return 1, nil
			},
			ended:  func(*Conn) bool { return keep },
			closed: func(_ *Conn, err error) { closed <- err },
		})
		if _, err := nc.Write(body); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		waitFor(t, "the hang-up", func() (hung bool) { onLoop(l, func() { hung = c.peer.hungUp }); return hung })
		select {
		case err := <-closed:
			t.Fatal("closed while paused:", err)
		default:
		}
		onLoop(l, c.Resume)
		want := error(nil)
		if keep {
			want = unix.ECONNRESET
		}
		if err := receive(t, "Closed", closed); err != want || !bytes.Equal(got, body) {
			t.Errorf("keep %v: got %d bytes, Closed got %v", keep, len(got), err)
		}
	}
}

func TestHungUpConnectionCloses(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"close": (*Conn).Close,
		"abort": func(c *Conn) { c.Abort(nil) },
		"write": func(c *Conn) { c.Write([]byte("x")) },
	} {
		g := newGroup(t, 1)
		l := g.Loops()[0]
		closed := make(chan error, 1)
		c, nc := pausedPair(t, l, "unix", &funcSession{closed: func(_ *Conn, err error) { closed <- err }})
		nc.Close()
		waitFor(t, "the hang-up", func() (hung bool) { onLoop(l, func() { hung = c.peer.hungUp }); return hung })
		onLoop(l, func() { end(c) })
		err := receive(t, "Closed", closed)
		if want := map[string]error{"close": nil, "abort": ErrAborted, "write": unix.EPIPE}[name]; err != want {
			t.Errorf("%s: Closed got %v", name, err)
		}
	}
}

// Pausing TLS leaves sealed and opened input in between.
func TestPauseOverTLS(t *testing.T) {
	g := newGroup(t, 1)
	const total = 8 << 20
	s := &patternSession{t: t, want: total, done: make(chan int), pause: true}
	conns := make(chan *Conn, 1)
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(c *Conn) Session { conns <- c; return s }})
	nc := tls.Client(dial(t, addr), clientTLS(tls.VersionTLS13))
	written := make(chan error, 1)
	go func() { // ends when all is written or the deadline of the connection is over
		for sent := int64(0); sent < total; {
			n, err := nc.Write(patternAt(sent, min(period, int(total-sent))))
			if sent += int64(n); err != nil {
				written <- err
				return
			}
		}
		written <- nc.CloseWrite()
	}()
	c := receive(t, "the connection", conns)
	for paused := true; ; paused = !paused { // on and off, until all is there
		finished := false
		onLoop(g.Loops()[0], func() {
			if paused {
				c.Resume()
			} else {
				c.Pause()
			}
			finished = s.got == total
		})
		if finished {
			break
		}
	}
	receive(t, "all input", s.done)
	if err := receive(t, "the writer", written); err != nil {
		t.Error(err)
	}
	onLoop(g.Loops()[0], c.Resume)
	nc.Close()
}
