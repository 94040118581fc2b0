package loop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"
)

func TestEchoOverTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := newGroup(t, 2)
		addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(c *Conn) Session {
			if s, ok := c.TLS(); !ok || s.Version != version {
				t.Errorf("version %x, %v", s.Version, ok)
			}
			return &funcSession{data: echo}
		}})
		var clients sync.WaitGroup
		for range 6 {
			nc := tls.Client(dial(t, addr), clientTLS(version))
			clients.Go(func() { echoOverTLS(t, nc) })
		}
		clients.Wait()
	}
}

// echoOverTLS has 1 MiB and then 50 small messages echoed, and takes leave.
func echoOverTLS(t *testing.T, nc *tls.Conn) {
	big := patternAt(0, 1<<20-50_000)
	written := make(chan error, 1)
	go func() { // ends when all is written or the connection's deadline is over
		_, err := nc.Write(big)
		written <- err
	}()
	got := make([]byte, len(big))
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, big) {
		t.Error("the echo differs:", err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	for i := range 50 {
		if ping := fmt.Sprint("ping", i); ask(nc, ping) != ping {
			t.Error("no echo of", ping)
		}
	}
	if err := nc.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := nc.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d bytes, %v", n, err)
	}
	nc.Close()
}

// A client that ends its side with close_notify still gets its answer, and the session hears of the end once.
func TestHalfCloseOverTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := newGroup(t, 1)
		ended, closed := make(chan *Conn, 9), make(chan error, 1)
		var request []byte
		addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session {
			return &funcSession{
				data: func(c *Conn, in []byte) (int, error) {
					request = append(request, in...)
					c.Pause() // the end waits for Resume
					return len(in), nil
				},
				ended:  func(c *Conn) bool { ended <- c; return true },
				closed: func(_ *Conn, err error) { closed <- err },
			}
		}})
		tcp := dial(t, addr)
		nc := tls.Client(tcp, clientTLS(version))
		if _, err := nc.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if err := nc.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		l := g.Loops()[0]
		var c *Conn
		waitFor(t, "the end of the peer's side", func() bool {
			onLoop(l, func() { l.Conns((*Conn).Resume) })
			select {
			case c = <-ended:
				return true
			default:
				return false
			}
		})
		waitFor(t, "the end of the TCP stream", func() (orphan bool) { onLoop(l, func() { orphan = c.sock.gc == nil }); return orphan })
		onLoop(l, func() {
			if string(request) != "request" || !c.InputEnded() {
				t.Errorf("request %q, input ended %v", request, c.InputEnded())
			}
			c.Write(bytes.Repeat([]byte("answer"), 1<<18))
			c.Close()
		})
		if got, err := io.ReadAll(nc); err != nil || len(got) != 6<<18 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := receive(t, "Closed", closed); err != nil || len(ended) > 0 {
			t.Errorf("Closed got %v; told of the end %d times", err, 1+len(ended))
		}
	}
}

// A peer that ends its side in the same packet as its last bytes: a session that pauses at them loses none.
func TestEndWhilePausedOverTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		endWhilePaused(t, version)
	}
}

func endWhilePaused(t *testing.T, version uint16) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	conns, closed := make(chan *Conn, 1), make(chan error, 1)
	var got []byte
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session {
		return &funcSession{
			data: func(c *Conn, in []byte) (int, error) {
				if got == nil {
					got = []byte{}
					c.Pause()
					conns <- c
					return 0, nil
				}
				got = append(got, in...)
				return len(in), nil
			},
			closed: func(_ *Conn, err error) { closed <- err },
		}
	}})
	inner := &corked{TCPConn: dial(t, addr)}
	nc := tls.Client(inner, clientTLS(version))
	if err := nc.Handshake(); err != nil {
		t.Fatal(err)
	}
	inner.on = true
	if _, err := nc.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	deadline(t, inner, patience) // CloseWrite sets one that is over
	if _, err := inner.TCPConn.Write(inner.held); err != nil {
		t.Fatal(err)
	}
	c := receive(t, "the pause", conns)
	onLoop(l, func() {
		if c.Closing() {
			t.Error("closed while paused")
		}
		c.Resume()
	})
	nc.Close()
	if err := receive(t, "Closed", closed); err != nil || string(got) != "last words" {
		t.Errorf("got %q, Closed got %v", got, err)
	}
}

// corked holds back what is written.
type corked struct {
	*net.TCPConn
	on   bool
	held []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if !c.on {
		return c.TCPConn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

func TestBrokenRecord(t *testing.T) {
	g := newGroup(t, 1)
	closed := make(chan error, 1)
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session {
		return &funcSession{data: echo, closed: func(_ *Conn, err error) { closed <- err }}
	}})
	tcp := dial(t, addr)
	nc := tls.Client(tcp, clientTLS(tls.VersionTLS13))
	if ask(nc, "x") != "x" {
		t.Fatal("not served")
	}
	if _, err := tcp.Write([]byte("\x17\x03\x03\x00\x14twenty bytes of junk")); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Error("the peer sees", err, "and no alert")
	}
	tcp.Close()
	if err := receive(t, "Closed", closed); err == nil {
		t.Error("Closed got nil")
	}
}

// openssl changes its keys and asks for ours when it reads a line with a K.
func TestKeyUpdate(t *testing.T) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	g := newGroup(t, 1)
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { return &funcSession{data: echo} }})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "s_client", "-connect", addr, "-tls1_3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i, line := range []string{"before", "K", "between", "k", "after"} {
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 && !readUntil(out, line) {
			t.Fatalf("no echo of %q", line)
		}
		if i%2 == 1 && !readUntil(out, "KEYUPDATE") {
			t.Fatalf("no key update at %q", line)
		}
	}
	in.Close()
	_ = cmd.Wait() // its exit code tells of the self-signed certificate
}

// readUntil reads until word has come.
func readUntil(r io.Reader, word string) bool {
	var got []byte
	for b := make([]byte, 1); !bytes.Contains(got, []byte(word)); got = append(got, b[0]) {
		if _, err := r.Read(b); err != nil {
			return false
		}
	}
	return true
}
