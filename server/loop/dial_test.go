package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// failedDial dials and returns the error that open gets; it gets it once, on the loop.
func failedDial(t *testing.T, g *Group, o DialOptions) error {
	t.Helper()
	errs := make(chan error, 2)
	g.Loops()[0].Dial(o, func(_ *Conn, err error) Session {
		errs <- err
		return &funcSession{closed: func(*Conn, error) { t.Error("Closed is called for what never opened") }}
	})
	err := receive(t, "open", errs)
	waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 })
	if len(errs) > 0 {
		t.Error("open is called twice")
	}
	if err == nil {
		t.Fatal("no error")
	}
	return err
}

func TestDialRefused(t *testing.T) {
	g := newGroup(t, 1)
	if err := failedDial(t, g, DialOptions{Network: "tcp", Addr: "127.0.0.1:1"}); !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	if err := failedDial(t, g, DialOptions{Network: "unix", Addr: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if s := g.Stats(); s.Opened != 0 {
		t.Errorf("%d opened", s.Opened)
	}
}

// silent accepts nothing: the kernel does, and nobody answers.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// gnet dials without a time limit. The limit covers the TLS handshake, too.
func TestDialTimeLimit(t *testing.T) {
	g := newGroup(t, 1)
	start := time.Now()
	err := failedDial(t, g, DialOptions{Network: "tcp", Addr: silent(t), Timeout: 30 * time.Millisecond, TLS: clientTLS(0)})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) >= handshakeTime {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// A listener whose queue is full does not answer.
func TestDialTimeLimitWhileConnecting(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
	for range 8 { // more than it has room for; nobody waits whether they come in
		one, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(one)
		if err := unix.Connect(one, sa); err != unix.EINPROGRESS && err != nil {
			t.Fatal(err)
		}
	}
	g := newGroup(t, 1)
	if err := failedDial(t, g, DialOptions{Network: "tcp", Addr: addr, Timeout: 30 * time.Millisecond}); !os.IsTimeout(errors.Unwrap(err)) {
		t.Error(err)
	}
}

func TestDial(t *testing.T) {
	g := newGroup(t, 2)
	plain := AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }}
	secure := plain
	secure.TLS = serverTLS()
	path := filepath.Join(t.TempDir(), "socket")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Accept(ln, plain); err != nil {
		t.Fatal(err)
	}
	named := clientTLS(tls.VersionTLS13)
	named.ServerName = "" // then it is the host's
	for _, o := range []DialOptions{
		{Network: "tcp", Addr: listen(t, g, plain)},
		{Network: "unix", Addr: path},
		{Network: "tcp", Addr: listen(t, g, secure), TLS: clientTLS(tls.VersionTLS12)},
		{Network: "tcp", Addr: listen(t, g, secure), TLS: named},
	} {
		const total = 1 << 20
		s := &patternSession{t: t, want: total, done: make(chan int)}
		c := dialledWith(t, g.Loops()[1], o, s)
		onLoop(g.Loops()[1], func() {
			if c.Loop() != g.Loops()[1] || c.Remote().IsValid() != (o.Network == "tcp") {
				t.Errorf("loop %d, remote %v", c.Loop().Index(), c.Remote())
			}
			if _, ok := c.TLS(); ok != (o.TLS != nil) {
				t.Error("TLS:", ok)
			}
			for at := int64(0); at < total; at += 1 << 16 {
				c.Write(patternAt(at, 1<<16))
			}
		})
		receive(t, "the echo", s.done)
		onLoop(g.Loops()[1], c.Close)
	}
}

// A Dial of one's own has the time limit in its context; Addr is where the name in the certificate comes from.
func TestDialHook(t *testing.T) {
	g := newGroup(t, 1)
	secure := AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { return &funcSession{data: echo} }}
	addr := listen(t, g, secure)
	named := clientTLS(tls.VersionTLS13)
	named.ServerName = ""
	o := DialOptions{Addr: "localhost:1", TLS: named, Dial: func(ctx context.Context) (net.Conn, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("no time limit")
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}}
	s := &patternSession{t: t, want: 1 << 16, done: make(chan int)}
	c := dialledWith(t, g.Loops()[0], o, s)
	onLoop(g.Loops()[0], func() { c.Write(patternAt(0, 1<<16)) })
	receive(t, "the echo", s.done)
	onLoop(g.Loops()[0], c.Close)

	o.Addr = "elsewhere:1"
	if err := failedDial(t, newGroup(t, 1), o); !strings.Contains(err.Error(), "elsewhere") {
		t.Error(err)
	}
	no := errors.New("no way")
	o.Dial = func(context.Context) (net.Conn, error) { return nil, no }
	if err := failedDial(t, newGroup(t, 1), o); !errors.Is(err, no) {
		t.Error(err)
	}
}

func TestDialWrongCertificate(t *testing.T) {
	g := newGroup(t, 1)
	other := newGroup(t, 1)
	addr := listen(t, other, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil }})
	cfg := clientTLS(tls.VersionTLS12)
	cfg.ServerName = "elsewhere"
	if err := failedDial(t, g, DialOptions{Network: "tcp", Addr: addr, TLS: cfg}); err == nil {
		t.Error("no error")
	}
}

// Stop ends what is under way, and a dial after it fails at once; open is called in any case.
func TestStopWhileDialling(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	secure := AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil }}
	dial(t, listen(t, g, secure)) // shakes no hands
	errs, again := make(chan error, 1), make(chan error, 1)
	l.Dial(DialOptions{Network: "tcp", Addr: silent(t), TLS: clientTLS(0)}, func(_ *Conn, err error) Session {
		errs <- err
		l.Dial(DialOptions{Network: "tcp", Addr: "127.0.0.1:1"}, func(_ *Conn, err error) Session {
			again <- err
			return nil
		})
		return nil
	})
	start := time.Now()
	if err := g.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if time.Since(start) >= handshakeTime {
		t.Errorf("Stop took %v", time.Since(start))
	}
	if err := receive(t, "open", errs); err == nil {
		t.Error("no error")
	}
	if err := receive(t, "open", again); err != errStopping {
		t.Error(err)
	}
	if err := failedDial(t, g, DialOptions{Network: "tcp", Addr: "127.0.0.1:1"}); err != errStopping {
		t.Error(err)
	}
}
