package loop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for a condition before it gives up.
const patience = time.Minute

// funcSession is a session made of functions; nil ones do nothing.
type funcSession struct {
	data    func(*Conn, []byte) (int, error)
	drained func(*Conn)
	ended   func(*Conn) bool
	closed  func(*Conn, error)
}

func (s *funcSession) Data(c *Conn, in []byte) (int, error) {
	if s.data == nil {
		return len(in), nil
	}
	return s.data(c, in)
}

func (s *funcSession) Drained(c *Conn) {
	if s.drained != nil {
		s.drained(c)
	}
}

func (s *funcSession) InputClosed(c *Conn) bool { return s.ended != nil && s.ended(c) }

func (s *funcSession) Closed(c *Conn, err error) {
	if s.closed != nil {
		s.closed(c, err)
	}
}

// newGroup starts a group and stops it at the end of the test, after which no goroutine may be left.
func newGroup(t testing.TB, loops int) *Group {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	g, err := New(Options{Loops: loops, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error("stop:", err)
		}
		if n := g.Stats().Open; n != 0 {
			t.Errorf("%d connections open after Stop", n)
		}
		// gnet keeps a pool of goroutines for the process, which it never ends.
		options := []goleak.Option{ignore, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1")}
		for end := time.Now().Add(patience); goleak.Find(options...) != nil && time.Now().Before(end); { // which itself waits half a second
		}
		goleak.VerifyNone(t, options...)
	})
	return g
}

// listen accepts on a free loopback port.
func listen(t testing.TB, g *Group, o AcceptOptions) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Accept(ln, o); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc.(*net.TCPConn)
}

func echo(c *Conn, in []byte) (int, error) {
	c.Write(in)
	return len(in), nil
}

func TestEcho(t *testing.T) {
	g := newGroup(t, 2)
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
	var wg sync.WaitGroup
	for range 8 {
		nc := dial(t, addr)
		wg.Go(func() {
			want := bytes.Repeat([]byte("roundhouse"), 20_000)
			go func() { _, _ = nc.Write(want) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
				t.Error("echo differs:", err)
			}
		})
	}
	wg.Wait()
}

// gnet drops what is unsent when a connection is closed, and ends the stream as if all were well.
func TestCloseAfterFlush(t *testing.T) {
	g := newGroup(t, 1)
	body := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB
	addr := listen(t, g, AcceptOptions{Open: func(c *Conn) Session {
		c.Write(body)
		c.Close()
		return &funcSession{}
	}})
	got, err := io.ReadAll(dial(t, addr))
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
		t.Fatalf("%d bytes written before Close, %d arrived, error %v", len(body), len(got), err)
	}
}

// gnet closes a connection whose peer has ended its side.
func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	g := newGroup(t, 1)
	ended := make(chan *Conn, 1)
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session {
		return &funcSession{ended: func(c *Conn) bool { ended <- c; return true }}
	}})
	nc := dial(t, addr)
	if _, err := nc.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c := <-ended
	c.Loop().Post(func() {
		c.Write(bytes.Repeat([]byte("answer"), 1<<20))
		c.Close()
	})
	if got, err := io.ReadAll(nc); err != nil || len(got) != 6<<20 {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
}

// TestLater sees a function of Later run once, after the callbacks of its turn and before the batched output goes out.
func TestLater(t *testing.T) {
	g := newGroup(t, 1)
	order := make(chan string, 4)
	addr := listen(t, g, AcceptOptions{Open: func(c *Conn) Session {
		c.SetBatch(true)
		return &funcSession{data: func(c *Conn, in []byte) (int, error) {
			c.Write(in)
			c.Loop().Later(func() {
				order <- "later"
				c.Write([]byte("!"))
			})
			order <- "data"
			return len(in), nil
		}}
	}})
	nc := dial(t, addr)
	if _, err := nc.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != "ab!" {
		t.Fatalf("read %q, %v, want ab! in one flush", got, err)
	}
	if first, second := <-order, <-order; first != "data" || second != "later" {
		t.Errorf("ran %s, then %s", first, second)
	}
}
