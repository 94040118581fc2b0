package server_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"roundhouse/server/certs/certstest"
	"roundhouse/server/config"
)

// TestCertificatesRotateAtEveryDoor replaces the certificates of the router and the engine door while their listeners are open.
func TestCertificatesRotateAtEveryDoor(t *testing.T) {
	ca, dir := certstest.New(t, "authority"), t.TempDir()
	issue := func(name, suffix string) (cert, key string) {
		c, k := ca.Issue(t, pkix.Name{CommonName: name})
		return certstest.Write(t, dir, "cert"+suffix, c), certstest.Write(t, dir, "key"+suffix, k)
	}
	cert, key := issue("one", "")
	use := func(c *config.Config, cert, key string) {
		c.Router.TLSCert, c.Router.TLSKey = cert, key
		c.Router.NATS.TLSCert, c.Router.NATS.TLSKey = cert, key
		c.Engine.TLSCert, c.Engine.TLSKey = cert, key
		c.Engine.DialIn.TLSCert, c.Engine.DialIn.TLSKey = cert, key
	}
	s := startRouter(t, func(c *config.Config) {
		c.Router.Listen, c.Router.NATS.TLSFirst = []string{"tls:127.0.0.1:0"}, true
		c.Engine.ListenTLS, c.Engine.DialIn.Listen, c.Engine.DialIn.Token = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, dialInToken
		use(c, cert, key)
	})
	addrs := slices.Concat(s.server.RouterAddrs(), s.server.NATSAddrs(), s.server.EngineAddrs())
	if len(addrs) != 4 {
		t.Fatalf("listening at %v", addrs)
	}
	served := func() string {
		var names []string
		for _, at := range addrs {
			names = append(names, certificateAt(t, at, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}))
		}
		return strings.Join(slices.Compact(names), " ")
	}
	want := func(what, name string) {
		t.Helper()
		if got := served(); got != name {
			t.Errorf("%s: served %s, want %s", what, got, name)
		}
	}
	want("at the start", "one")

	issue("two", "")
	if done, err := s.server.Reload(s.cfg); err != nil || len(done.NeedStart) > 0 {
		t.Errorf("reload: %+v, %v", done, err)
	}
	want("after a reload", "two")

	issue("three", "")
	eventually(t, "files that have changed to be seen", func() bool { return served() == "three" })

	next := *s.cfg
	otherCert, otherKey := issue("four", "-other")
	use(&next, otherCert, otherKey)
	if done, err := s.server.Reload(&next); err != nil || len(done.NeedStart) > 0 {
		t.Errorf("reload with other files: %+v, %v", done, err)
	}
	want("after other files", "four")

	wrong := next
	wrong.Engine.DialIn.TLSKey = key
	wrong.Router.TLSCert, wrong.Router.TLSKey = cert, key
	if _, err := s.server.Reload(&wrong); err == nil || !strings.Contains(err.Error(), key+": it does not go with the certificate in "+otherCert) {
		t.Errorf("reload with files that do not fit: %v", err)
	}
	want("after a reload that failed", "four")

	none := next
	use(&none, "", "")
	done, err := s.server.Reload(&none)
	for _, name := range []string{"router.tls_cert", "router.nats.tls_cert", "engine.tls_cert", "engine.dial_in.tls_cert"} {
		if err != nil || !slices.Contains(done.NeedStart, name) {
			t.Errorf("reload without certificates: %v, %+v, want a new start for %s", err, done, name)
		}
	}
	want("without certificates until the next start", "four")
	if err := os.Remove(otherKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.server.Reload(&next); err == nil || !strings.Contains(err.Error(), otherKey+": no such file") {
		t.Errorf("reload without the file: %v", err)
	}
}

// certificateAt is the name in the certificate that a listener shows.
func certificateAt(t *testing.T, at net.Addr, client *tls.Config) string {
	t.Helper()
	conn, err := tls.Dial("tcp", at.String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}
