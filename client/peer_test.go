package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTime = time.Minute // more than any test takes on a slow machine

// testContext ends when the test takes too long.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// peer is the server's end of a connection, in the hands of a script.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func wire(s string) string { return strings.NewReplacer("^", "\x01", "~", "\x02").Replace(s) }

// errScript ends a script that met something else than it wants.
var errScript = errors.New("the script is at its end")

// want reads a frame; ^ and ~ stand for the delimiters.
func (p *peer) want(payloads ...string) {
	p.t.Helper()
	for _, want := range payloads {
		got, err := readFrame(p.r, 1<<24)
		if err != nil || string(got) != wire(want) {
			p.t.Errorf("the server got %.80q, %v; want %.80q", got, err, wire(want))
			panic(errScript)
		}
	}
}

// send writes frames.
func (p *peer) send(payloads ...string) {
	p.t.Helper()
	var b strings.Builder
	for _, payload := range payloads {
		payload = wire(payload)
		fmt.Fprintf(&b, "%08d%s", len(payload), payload)
	}
	p.write(b.String())
}

func (p *peer) write(b string) {
	p.t.Helper()
	if _, err := io.WriteString(p.nc, b); err != nil {
		p.t.Errorf("the server cannot write: %v", err)
		panic(errScript)
	}
}

// wantEnd waits until the client closes the connection, and wants nothing before.
func (p *peer) wantEnd() {
	p.t.Helper()
	if got, err := io.ReadAll(p.r); len(got) > 0 || isTimeout(err) {
		p.t.Errorf("the server got %q, %v; want the end", got, err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// login plays the server's part of one.
func (p *peer) login(mode string) {
	p.t.Helper()
	p.want("1^u^p^A^" + mode + "^^^^^^")
	prefix := "0"
	if strings.HasPrefix(mode, "-1") || mode == "" {
		prefix = ""
	}
	p.send(prefix + "0^oed 1.0 MAIN^engine=E1;pid=7;mode=" + strings.TrimSuffix(mode, "+") + ";resume=tok;resumed=0;charset=utf-8^^")
}

// serve runs the scripts, one for each connection in the order in which they come, and returns the address. The test ends when
// all of them have.
func serve(t *testing.T, scripts ...func(*peer)) string { return serveTLS(t, nil, scripts...) }

func serveTLS(t *testing.T, cfg *tls.Config, scripts ...func(*peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() { // ends with the listener
		for i := 0; ; i++ {
			nc, err := l.Accept()
			if err != nil {
				if i < len(scripts) {
					t.Errorf("%d connections, want %d", i, len(scripts))
				}
				return
			}
			if i >= len(scripts) {
				t.Errorf("a connection more than the %d that are wanted", len(scripts))
				_ = nc.Close()
				continue
			}
			if cfg != nil {
				nc = tls.Server(nc, cfg)
			}
			_ = nc.SetDeadline(time.Now().Add(testTime))
			all.Go(func() { play(&peer{t, nc, bufio.NewReader(nc)}, scripts[i]) })
		}
	})
	return l.Addr().String()
}

func play(p *peer, script func(*peer)) {
	defer func() {
		_ = p.nc.Close()
		if r := recover(); r != nil && r != errScript { // the failure is reported already
			panic(r)
		}
	}()
	script(p)
}

// dial connects; the connection is closed at the end of the test.
func dial(t *testing.T, addr string, o Options) *Conn {
	t.Helper()
	c, err := Dial(testContext(t), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// logIn connects and logs in; script goes on after that.
func logIn(t *testing.T, mode Mode, o Options, script func(*peer)) *Conn {
	t.Helper()
	c := dial(t, serve(t, func(p *peer) {
		p.login(string(mode))
		script(p)
	}), o)
	if _, err := c.Login(testContext(t), creds(mode)); err != nil {
		t.Fatal(err)
	}
	return c
}

func creds(mode Mode) Credentials {
	return Credentials{User: "u", Password: "p", Application: "A", Mode: mode}
}

// failedAs wants a ServerError.
func failedAs(t *testing.T, err error, text string) {
	t.Helper()
	var failed *ServerError
	if !errors.As(err, &failed) || failed.Text != text {
		t.Errorf("error %v, want %q from the server", err, text)
	}
}
