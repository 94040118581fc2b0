package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"roundhouse/codec/revcap"
)

// TestDialTLS dials in with TLS: hello, call, the end of the context.
func TestDialTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	certificate, roots := certified.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	certified.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // nothing was to come
	eachKind(t, func(t *testing.T, e Engine) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.Handler = joined
		ended := make(chan error, 1)
		go func() { // ended by cancel; waited for by end
			ended <- Dial(ctx, listener.Addr().String(), "secret", []string{"A", "B"}, &tls.Config{RootCAs: roots, ServerName: "example.com"}, e)
		}()
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }() // the engine has gone
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, conn: conn, ended: ended}
		p.readHello()
		if p.hello.Token != "secret" || !slices.Equal(p.hello.Applications, []string{"A", "B"}) {
			t.Errorf("hello %+v", p.hello)
		}
		p.write(call(1, "P", "a", "b"))
		p.begun(e, 1)
		p.want(revcap.Completed, 1, "", "a|b")
		cancel()
		p.want(revcap.Bye, 0, "context canceled", "")
		p.end(context.Canceled)
	})
}

func TestDialFails(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var opErr *net.OpError
	if err := Dial(t.Context(), addr, "", nil, nil, Engine{Handler: joined}); !errors.As(err, &opErr) {
		t.Errorf("nobody listens: %v", err)
	}
	for _, applications := range [][]string{{"A,B"}, {""}, {"A\x01"}} {
		if err := (Engine{Handler: joined}).check("", applications); err == nil {
			t.Errorf("applications %q are taken", applications)
		}
	}
}
