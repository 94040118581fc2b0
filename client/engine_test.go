package client

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/codec"
)

func TestLogin(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.want("1^u^p^A^x^^PROC^-65^0^/srv^")
		p.send("1^Invalid mode x^")
	}), Options{})
	if _, err := c.Login(t.Context(), Credentials{Mode: "x"}); !errors.Is(err, ErrParameter) {
		t.Error(err)
	}
	if _, err := c.Login(t.Context(), Credentials{Mode: "3"}); !errors.Is(err, ErrParameter) {
		t.Error(err)
	}
	if _, err := c.Execute(t.Context(), "A"); !errors.Is(err, ErrNotLoggedIn) {
		t.Error(err)
	}
	// The server hears none of that; what follows goes past Login's look at the mode.
	command, err := appendCommand(1, Credentials{User: "u", Password: "p", Application: "A", Mode: "x", Procedure: "PROC", UpFlags: "-65", DownFlags: "0",
		Location: "/srv"}.fields())
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&call{link: c.link}).run(testContext(t), command)
	failedAs(t, err, "Invalid mode x")
}

// TestSession has a login that is refused, and one that is not, in each mode.
func TestSession(t *testing.T) {
	for _, mode := range []Mode{DefaultMode, JD3, Block, Char, Web, JD3Push, CharPush} {
		ctx := testContext(t)
		prefix := !strings.HasPrefix(string(mode), "-1") && mode != DefaultMode
		c := dial(t, serve(t, func(p *peer) {
			p.want("1^u^p^A^" + string(mode) + "^^^^^^")
			p.send(map[bool]string{false: "1^Invalid user^", true: "11^Invalid user^"}[prefix])
			p.login(string(mode))
			p.want("2^")
			p.send(map[bool]string{false: "0^", true: "00^"}[prefix])
			p.wantEnd()
		}), Options{})
		_, err := c.Login(ctx, creds(mode))
		failedAs(t, err, "Invalid user")
		if _, err := c.Call(ctx); !errors.Is(err, ErrNotLoggedIn) {
			t.Error(err)
		}
		s, err := c.Login(ctx, creds(mode))
		if err != nil || s.Server != "oed 1.0 MAIN" || s.Engine != "E1" || s.PID != 7 || s.Resume != "E1#tok" || s.Resumed ||
			s.Details["charset"] != "utf-8" || s.Expires != "" {
			t.Errorf("mode %s: %+v, %v", mode, s, err)
		}
		if err := c.Logoff(ctx); err != nil {
			t.Errorf("mode %s: %v", mode, err)
		}
		if _, err := c.Execute(ctx, "A"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

func TestExecute(t *testing.T) {
	c := logIn(t, Block, Options{}, func(p *peer) {
		p.want("3^LIST VOC^")
		p.write("       900\x01HELLO\x01") // a header padded with blanks
		p.want("4^ADD^2^^")
		p.send("", "00^\x89PNG^^~^") // a sign of life first
		p.want("3^")
		p.send("00^")
		p.want("3^^")
		p.send("11^Processing error^half^of it^")
		p.want("3^BIG " + strings.Repeat("x", 3<<20) + "^")
		p.send("00^" + strings.Repeat("y", 3<<20) + "^")
	})
	ctx := testContext(t)
	for _, row := range []struct {
		run    func() ([]byte, error)
		output string
	}{
		{func() ([]byte, error) { return c.Execute(ctx, "LIST VOC") }, "HELLO"},
		{func() ([]byte, error) { return c.Call(ctx, "ADD", "2", "") }, wire("\x89PNG^^~")},
		{func() ([]byte, error) { return c.Execute(ctx) }, ""},
	} {
		if out, err := row.run(); string(out) != row.output || err != nil {
			t.Errorf("%q, %v; want %q", out, err, row.output)
		}
	}
	_, err := c.Execute(ctx, "")
	failedAs(t, err, "Processing error")
	if failed := new(ServerError); !errors.As(err, &failed) || string(failed.Output) != wire("half^of it") {
		t.Errorf("output %q", failed.Output)
	}
	if _, err := c.Execute(ctx, "a\x01b"); !errors.Is(err, ErrParameter) {
		t.Error(err)
	}
	if out, err := c.Execute(ctx, "BIG "+strings.Repeat("x", 3<<20)); len(out) != 3<<20 || err != nil {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// TestCallsTakeTurns has many goroutines on one connection.
func TestCallsTakeTurns(t *testing.T) {
	const calls = 50
	c := logIn(t, Web, Options{}, func(p *peer) {
		for range calls {
			payload, err := readFrame(p.r, 100)
			if err != nil {
				t.Error(err)
				return
			}
			p.send("00^" + strings.TrimPrefix(string(payload), "3\x01"))
		}
	})
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			name := fmt.Sprint("call ", i)
			if out, err := c.Execute(testContext(t), name); string(out) != name || err != nil {
				t.Errorf("%s: %q, %v", name, out, err)
			}
		})
	}
	all.Wait()
}

func TestWaitForTheTurn(t *testing.T) {
	asked := make(chan struct{})
	c := logIn(t, Web, Options{}, func(p *peer) {
		p.want("3^A^")
		close(asked)
		p.wantEnd()
	})
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := c.Execute(testContext(t), "A"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	<-asked
	ctx, cancel := context.WithCancel(testContext(t))
	all.Go(func() {
		if _, err := c.Execute(ctx, "B"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		_ = c.Close()
	})
	cancel()
	all.Wait()
	if _, err := c.Execute(ctx, "C"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestBroken has servers that break the rules.
func TestBroken(t *testing.T) {
	for name, row := range map[string]struct {
		answer string // raw
		want   error
	}{
		"end":                   {"", nil},
		"half a header":         {"0000", nil},
		"half a payload":        {"0000000900\x01HEL", nil},
		"half a big payload":    {"0500000000\x01HEL", nil},
		"no header":             {"HTTP/1.1 400 Bad Request\r\n", codec.ErrMalformed},
		"too large":             {"9000000000\x01", codec.ErrTooLarge},
		"wrong prefix":          {"0000000610\x01HE\x01", codec.ErrMalformed},
		"unknown code":          {"0000000303\x01", codec.ErrMalformed},
		"unknown code, but end": {"00000003x3\x01", codec.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			c := logIn(t, Char, Options{MaxReply: 80_000_000}, func(p *peer) {
				p.want("3^A^")
				p.write(row.answer)
			})
			_, err := c.Execute(testContext(t), "A")
			if !errors.Is(err, ErrBroken) || row.want != nil && !errors.Is(err, row.want) {
				t.Error(err)
			}
			if _, err := c.Execute(testContext(t), "A"); !errors.Is(err, ErrBroken) {
				t.Error(err)
			}
		})
	}
}

// TestFarewell has a server that says why it closes the connection, asked or not.
func TestFarewell(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) { p.send("1^Too many connections^") }), Options{})
	<-c.readDone
	_, err := c.Login(testContext(t), creds(Char))
	failedAs(t, err, "Too many connections")
	if !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
	c = logIn(t, JD3, Options{}, func(p *peer) {
		p.want("3^A^")
		p.send("1^Server is stopping^")
	})
	_, err = c.Execute(testContext(t), "A")
	failedAs(t, err, "Server is stopping")
	c = logIn(t, JD3, Options{}, func(p *peer) { p.send("0^nobody asked^") })
	<-c.readDone
	if _, err := c.Execute(testContext(t), "A"); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
}

// TestWriteIsCancelled has a server that reads nothing.
func TestWriteIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(testContext(t))
	why := errors.New("enough")
	done := make(chan struct{})
	c := logIn(t, Block, Options{}, func(p *peer) {
		if _, err := p.r.Peek(8); err != nil { // it has begun
			t.Error(err)
		}
		cancel(why)
		<-done
	})
	_, err := c.Execute(ctx, strings.Repeat("x", 64<<20))
	close(done)
	if !errors.Is(err, why) || !errors.Is(c.Err(), ErrBroken) {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestShortWriteIsWhole: a context that ends just before the write does not cost the connection.
func TestShortWriteIsWhole(t *testing.T) {
	c := logIn(t, Block, Options{}, func(p *peer) {
		p.want("3^A^")
		p.wantEnd()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.write(ctx, []byte(wire("000000043^A^"))); err != nil || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
	_ = c.Close()
}

// BenchmarkExecute has a server in this process that answers at once.
func BenchmarkExecute(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go answerAll(l) // ends with the connection
	c, err := Dial(b.Context(), l.Addr().String(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Login(b.Context(), creds(Block)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Execute(b.Context(), "LIST VOC"); err != nil {
			b.Fatal(err)
		}
	}
}

// answerAll answers every frame of one connection.
func answerAll(l net.Listener) {
	nc, err := l.Accept()
	if err != nil {
		return
	}
	defer nc.Close()
	answer := []byte(wire("0000000900^HELLO^"))
	r := bufio.NewReader(nc)
	for {
		if _, err := readFrame(r, 1<<16); err != nil {
			return
		}
		if _, err := nc.Write(answer); err != nil {
			return
		}
	}
}

func TestDialFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := Dial(testContext(t), l.Addr().String(), Options{}); err == nil {
		t.Error("connected to nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, l.Addr().String(), Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}}
	ctx, cancel := context.WithCancel(testContext(t))
	addr := serveTLS(t, cfg, func(p *peer) {
		p.login("0")
		p.want("3^A^")
		p.send("00^B^")
		p.want("3^slow^")
		cancel()
		p.want("100^")
		p.send("11^Broken^", "0^Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06^")
		p.want("-5^")
		p.wantEnd()
	}, func(p *peer) { p.wantEnd() })
	c := dial(t, addr, Options{TLS: &tls.Config{RootCAs: roots}})
	if _, err := c.Login(testContext(t), creds(Block)); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Execute(testContext(t), "A"); string(out) != "B" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := c.Execute(ctx, "slow"); !errors.Is(err, context.Canceled) || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
	_ = c.Close()
	if _, err := Dial(testContext(t), addr, Options{TLS: &tls.Config{}}); err == nil {
		t.Error("a certificate that nobody trusts was taken")
	}
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
