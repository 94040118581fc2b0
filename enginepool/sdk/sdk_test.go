package sdk

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to come, at most.
const patience = time.Minute

// peer is the server's end of a connection.
type peer struct {
	t    *testing.T
	conn io.ReadWriteCloser
	in   []byte

	hello revcap.HelloFields
	ended chan error // what serve returned
}

// socketpair returns the server's end and the descriptor of the engine's, which blocks as that of a process does.
func socketpair(t testing.TB) (net.Conn, int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "peer")
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn, fds[1]
}

// start serves e over a socketpair and reads its hello.
func start(t *testing.T, ctx context.Context, e Engine) *peer {
	t.Helper()
	conn, fd := socketpair(t)
	ch, err := ofDescriptor(fd, fd, e.Quick)
	if err != nil {
		t.Fatal(err)
	}
	return startChannel(t, ctx, conn, ch, e)
}

func startChannel(t *testing.T, ctx context.Context, conn net.Conn, ch channel, e Engine) *peer {
	t.Helper()
	p := &peer{t: t, conn: conn, ended: make(chan error, 1)}
	go func() { p.ended <- serve(ctx, ch, e, "", nil) }() // ended by the peer's close; waited for by end or the cleanup
	p.readHello()
	return p
}

func (p *peer) readHello() {
	p.t.Helper()
	ev := p.event()
	hello, err := revcap.ParseHello(ev.Body)
	if ev.Status != revcap.Hello || err != nil {
		p.t.Fatalf("first event %+v, %v; want a hello", ev, err)
	}
	p.hello = hello
}

// end waits for the engine's end, and compares.
func (p *peer) end(want error) {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if !errors.Is(err, want) {
			p.t.Errorf("serve returned %v, want %v", err, want)
		}
	case <-time.After(patience):
		p.t.Fatal("serve does not return")
	}
}

// hangUp closes the connection and waits for the engine's end.
func (p *peer) hangUp() {
	p.t.Helper()
	if err := p.conn.Close(); err != nil {
		p.t.Error(err)
	}
	p.end(nil)
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("%v; serve returned %v", err, <-p.ended)
	}
}

// call is the frame of a call.
func call(rid uint64, procedure string, args ...string) []byte {
	return callUntil(rid, 0, procedure, args...)
}

func callUntil(rid uint64, deadlineMs int64, procedure string, args ...string) []byte {
	var raw []byte
	for _, arg := range args {
		raw = frame.AppendField(raw, []byte(arg))
	}
	return append(revcap.AppendCallHead(nil, revcap.Call, rid, revcap.KindClient, procedure, deadlineMs, len(raw)), raw...)
}

// event reads the next event; its slices are the caller's.
func (p *peer) event() revcap.Event {
	p.t.Helper()
	buf := make([]byte, 64<<10)
	for {
		size, n, err := frame.ParseHeader(p.in, frame.MaxSize)
		if err != nil {
			p.t.Fatal(err)
		}
		if n > 0 && len(p.in) >= n+size {
			ev, _, err := revcap.ParseEvent(p.in[n:n+size], size)
			if err != nil {
				p.t.Fatalf("%.100q: %v", p.in, err)
			}
			p.in = p.in[n+size:]
			return ev
		}
		n, err = p.conn.Read(buf)
		if err != nil {
			p.t.Fatalf("%v, with %.100q; serve returned %v", err, p.in, <-p.ended)
		}
		p.in = append(p.in, buf[:n]...)
	}
}

// want reads the next event and compares.
func (p *peer) want(s revcap.Status, rid uint64, text, body string) {
	p.t.Helper()
	if ev := p.event(); ev.Status != s || ev.RID != rid || string(ev.Text) != text || string(ev.Body) != body {
		p.t.Fatalf("event %v of %d, %q, %.200q; want %v of %d, %q, %.200q", ev.Status, ev.RID, ev.Text, ev.Body, s, rid, text, body)
	}
}

func joined(c *Context) ([]byte, error) { return []byte(strings.Join(texts(c.Arguments()), "|")), nil }

func texts(all [][]byte) (s []string) {
	for _, b := range all {
		s = append(s, string(b))
	}
	return s
}
