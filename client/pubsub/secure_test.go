package pubsub

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// TestServerLocal goes over the socket file, whose directory the environment names.
func TestServerLocal(t *testing.T) {
	ctx := testContext(t)
	dir := t.TempDir()
	t.Setenv("RTSERVER_SOCKET_DIR", dir)
	s := startServer(t, func(cfg *config.Config) { cfg.Router.Listen = []string{"local"} })
	if s.addr != filepath.Join(dir, "RTSERVER") {
		t.Errorf("the server listens at %s", s.addr)
	}
	c, err := Connect(ctx, Options{Servers: []string{"local"}})
	must(t, err)
	sub, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	must(t, c.Publish(ctx, "/a", nil))
	_, err = sub.Next(ctx)
	must(t, err)
	must(t, c.Drain(ctx))
}

// TestServerSecure has TLS, passwords, and a subscription that is denied.
func TestServerSecure(t *testing.T) {
	ctx := testContext(t)
	cert, key, roots := testCertificate(t)
	s := startServer(t, func(cfg *config.Config) {
		cfg.Router.Listen = []string{"tls:127.0.0.1:0"}
		cfg.Router.TLSCert, cfg.Router.TLSKey = cert, key
		a := &cfg.Access
		a.Driver = "basic"
		a.Users = []config.AccessUser{{Name: "ann", Password: "secret"}}
		a.Permissions = []config.AccessPermission{
			{Allow: false, Who: "ann", Verb: "subscribe", Project: "*", Subject: "/closed/..."},
			{Allow: false, Who: "ann", Verb: "subscribe", Project: "*", Subject: "/_all"}, // nobody has asked for it
			{Allow: true, Who: "ann", Verb: "all", Project: "*", Subject: "/..."},
		}
	})
	_, port, _ := strings.Cut(s.addr, ":")
	w := newTold()
	o := Options{Servers: []string{"tls:localhost:" + port}, TLS: &tls.Config{RootCAs: roots}, User: "ann", Callbacks: w.callbacks()}
	var said *ServerError
	if _, err := Connect(ctx, o); !errors.As(err, &said) || said.Code != message.CodeDenied {
		t.Errorf("%v", err)
	}
	o.Password = "secret"
	c, err := Connect(ctx, o)
	must(t, err)
	defer c.Close()
	_, err = c.Subscribe(ctx, "/closed/a", func(*Msg) {})
	must(t, err)
	if err := await(t, "error", w.err); !errors.As(err, &said) || said.Code != message.CodeDenied || !strings.Contains(err.Error(), "/closed/a") {
		t.Errorf("%v", err)
	}
	_, err = c.Subscribe(ctx, "/open", func(m *Msg) { must(t, m.Respond(ctx, m.Data)) })
	must(t, err)
	if m, err := c.Request(ctx, "/open", []byte("x")); err != nil || string(m.Data) != "x" {
		t.Errorf("%v, %v", m, err)
	}
	if len(w.err) > 0 {
		t.Error(<-w.err)
	}
}

// testCertificate writes a certificate of localhost and its key.
func testCertificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	der, key := newCertificate(t)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
		return path
	}
	return write("cert", "CERTIFICATE", der), write("key", "PRIVATE KEY", keyDER), roots
}
