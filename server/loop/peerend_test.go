package loop

import (
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// halfClosed is a connection whose peer has ended its side while the output is blocked; it goes on.
func halfClosed(t *testing.T, g *Group, s *funcSession, output int) (*Conn, *net.TCPConn) {
	t.Helper()
	ended := make(chan int, 1)
	s.ended = func(*Conn) bool { ended <- 1; return true }
	c, nc := pair(t, g.Loops()[0], "tcp", s)
	if output > 0 {
		onLoop(g.Loops()[0], func() {
			for at := 0; at < output; at += 1 << 19 {
				c.Write(patternAt(int64(at), 1<<19))
			}
			if c.Pending() == 0 {
				t.Error("the output is not blocked")
			}
		})
	}
	if _, err := nc.Write([]byte("left over")); err != nil {
		t.Fatal(err)
	}
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	receive(t, "the end of the peer's side", ended)
	return c, nc.(*net.TCPConn)
}

func TestHalfClosedWithBlockedOutput(t *testing.T) {
	const total = 16 << 20
	g := newGroup(t, 1)
	l := g.Loops()[0]
	drained, closed := make(chan int, 100), make(chan error, 1)
	var got []string
	c, nc := halfClosed(t, g, &funcSession{
		data: func(c *Conn, in []byte) (int, error) {
			if !c.InputEnded() {
				return 0, nil
			}
			got = append(got, string(in[:4]))
			return 4, nil
		},
		drained: func(*Conn) { drained <- 1 },
		closed:  func(_ *Conn, err error) { closed <- err },
	}, total)
	onLoop(l, c.Again)
	onLoop(l, c.Again)
	onLoop(l, func() {
		if len(got) != 2 || got[0]+got[1] != "left ove" || c.Unread() != 1 {
			t.Errorf("left over: %q, unread %d", got, c.Unread())
		}
	})
	if n, err := io.CopyN(io.Discard, nc, total); err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	receive(t, "Drained", drained)
	onLoop(l, func() { c.Write([]byte("end")); c.Close() })
	if rest, err := io.ReadAll(nc); string(rest) != "end" || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	if err := receive(t, "Closed", closed); err != nil {
		t.Error("Closed got", err)
	}
}

// A session that does not care about half-closed peers is closed, but not before its output is out.
func TestEndedPeerGetsTheOutput(t *testing.T) {
	const total = 16 << 20
	g := newGroup(t, 1)
	closed := make(chan error, 1)
	s := &funcSession{closed: func(_ *Conn, err error) { closed <- err }}
	c, nc := pair(t, g.Loops()[0], "tcp", s)
	onLoop(g.Loops()[0], func() { c.Write(make([]byte, total)) })
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, nc); n != total || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := receive(t, "Closed", closed); err != nil {
		t.Error("Closed got", err)
	}
}

func TestResetOfHalfClosed(t *testing.T) {
	for _, v := range []struct {
		output int
		read   bool
	}{{0, false}, {16 << 20, false}, {16 << 20, true}} {
		g := newGroup(t, 1)
		closed := make(chan error, 1)
		c, nc := halfClosed(t, g, &funcSession{closed: func(_ *Conn, err error) { closed <- err }}, v.output)
		if v.read {
			if _, err := io.CopyN(io.Discard, nc, int64(v.output)); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the output", func() (gone bool) { onLoop(c.loop, func() { gone = c.Pending() == 0 }); return gone })
		}
		reset(t, nc)
		if err := receive(t, "Closed", closed); !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			t.Errorf("Closed got %v", err)
		}
		waitFor(t, "the ticker to have nothing to do", func() bool { return g.Loops()[0].room.watching.Load() == 0 })
	}
}

// Ending it in InputClosed itself.
func TestEndInInputClosed(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"close": (*Conn).Close,
		"abort": func(c *Conn) { c.Abort(nil) },
		"panic": func(*Conn) { panic("ended") },
	} {
		for _, keep := range []bool{true, false} {
			g := newGroup(t, 1)
			closed := make(chan error, 2)
			_, nc := pair(t, g.Loops()[0], "tcp", &funcSession{
				ended:  func(c *Conn) bool { c.Write([]byte("bye")); end(c); return keep },
				closed: func(_ *Conn, err error) { closed <- err },
			})
			if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(nc)
			if fine := string(got) == "bye" && err == nil; fine != (name == "close") {
				t.Errorf("%s: the peer got %q and %v", name, got, err)
			}
			want := map[string]error{"close": nil, "abort": ErrAborted, "panic": errPanic}[name]
			if err := receive(t, "Closed", closed); err != want {
				t.Errorf("%s: Closed got %v", name, err)
			}
		}
	}
}
