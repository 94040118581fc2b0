package loop

import (
	"bytes"
	"crypto/tls"
	"io"
	"runtime"
	"testing"
	"time"
)

func TestBadHandshake(t *testing.T) {
	g := newGroup(t, 1)
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { return &funcSession{data: echo} }})
	for _, hello := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello", ""} {
		nc := dial(t, addr)
		if _, err := nc.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		if err := nc.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(nc); bytes.Contains(got, []byte(hello)) && hello != "" {
			t.Errorf("%q is answered with %q, %v", hello, got, err)
		}
	}
	waitFor(t, "all to be forgotten", func() bool { return g.Stats().Open == 0 })
	if s := g.Stats(); s.Opened != 0 || s.BadTLS != 2 { // who says nothing is a check
		t.Errorf("%d opened, %d handshakes failed", s.Opened, s.BadTLS)
	}
	echoOverTLS(t, tls.Client(dial(t, addr), clientTLS(tls.VersionTLS13)))
}

// Peers that do not shake hands keep nobody waiting, however many they are.
func TestIdleHandshakesBlockNobody(t *testing.T) {
	g := newGroup(t, 1)
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { return &funcSession{data: echo} }})
	for range 8 * runtime.NumCPU() {
		dial(t, addr)
	}
	waitFor(t, "all to be accepted", func() bool { return g.Stats().Open == int64(8*runtime.NumCPU()) })
	start := time.Now()
	echoOverTLS(t, tls.Client(dial(t, addr), clientTLS(tls.VersionTLS13)))
	if d := time.Since(start); d >= handshakeTime {
		t.Errorf("waited %v", d)
	}
}

func TestHandshakeTimeLimit(t *testing.T) {
	g := newGroup(t, 1)
	g.handshakeTime = 20 * time.Millisecond
	addr := listen(t, g, AcceptOptions{TLS: serverTLS(), Open: func(*Conn) Session { t.Error("opened"); return nil }})
	if _, err := dial(t, addr).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client sees %v", err)
	}
	waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 })
}

func TestPanicInHandshake(t *testing.T) {
	g := newGroup(t, 1)
	cfg := serverTLS()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("configuration") }
	addr := listen(t, g, AcceptOptions{TLS: cfg, Open: func(*Conn) Session { return nil }})
	if err := tls.Client(dial(t, addr), clientTLS(tls.VersionTLS13)).Handshake(); err == nil {
		t.Error("no error")
	}
	waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 })
	if n := g.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}
