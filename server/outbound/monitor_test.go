package outbound_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"roundhouse/server/config"
)

// statusBackend answers status_url with a status, or not at all when that is 0.
type statusBackend struct {
	status atomic.Int32
	looks  atomic.Int32
}

func (b *statusBackend) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/alive" || q.Method != "GET" || !strings.HasPrefix(q.UserAgent(), "rsoe/") {
		panic("unexpected: " + q.Method + " " + q.URL.Path + " by " + q.UserAgent())
	}
	b.looks.Add(1)
	status := int(b.status.Load())
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	if status == 302 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// TestStatusURL has the back end say how it is, over TCP, a Unix socket and TLS.
func TestStatusURL(t *testing.T) {
	ours := newAuthority(t, "Our Root")
	for name, start := range map[string]func(*httptest.Server, *config.BackendAddr){
		"tcp": func(s *httptest.Server, a *config.BackendAddr) {
			s.Start()
			a.Host, a.Port = split(s.Listener.Addr().String())
		},
		"unix": func(s *httptest.Server, a *config.BackendAddr) {
			path := filepath.Join(t.TempDir(), "socket")
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			s.Listener.Close()
			s.Listener = ln
			s.Start()
			a.Unix = path
		},
		"tls": func(s *httptest.Server, a *config.BackendAddr) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue("The Back End", x509.ExtKeyUsageServerAuth)}}
			s.StartTLS()
			a.Host, a.Port = split(s.Listener.Addr().String())
			a.TLS = config.TLS{HTTPS: true, TrustedCertificates: ours.file, CertificateName: "the back end"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &statusBackend{}
			b.status.Store(200)
			s := httptest.NewUnstartedServer(b)
			t.Cleanup(s.Close)
			r := startFakeRelay(t)
			e, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
				start(s, &c.Backend)
				c.Backend.StatusURL = "/alive"
			})
			eventually(t, "two looks", func() bool { return b.looks.Load() >= 2 })
			if !e.Stats().Up {
				t.Error("it is down")
			}
			for _, status := range []int32{500, 302, 0} {
				b.status.Store(status)
				eventually(t, "it is down", func() bool { return !e.Stats().Up })
				b.status.Store(204)
				eventually(t, "it is up", func() bool { return e.Stats().Up })
			}
			if !log.has("status_url: the back end answers 500") || !log.has("answers 302 Found") {
				t.Error("the log does not say why")
			}
		})
	}
}

// TestStatusURLInDoubt has the back end say something else once: that changes nothing.
func TestStatusURLInDoubt(t *testing.T) {
	b := &statusBackend{}
	b.status.Store(200)
	var once atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if b.looks.Load() > 0 && once.CompareAndSwap(false, true) {
			b.looks.Add(1)
			w.WriteHeader(503)
			return
		}
		b.ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	r := startFakeRelay(t)
	e, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		c.Backend.Host, c.Backend.Port = split(s.Listener.Addr().String())
		c.Backend.StatusURL = "/alive"
	})
	eventually(t, "four looks", func() bool { return b.looks.Load() >= 4 })
	if !e.Stats().Up || log.has("is down") {
		t.Error("one answer has changed the state")
	}
}

// TestBackendWantsCertificate has a back end that wants a certificate, and says so when the handshake has ended for the enabler: it is down.
func TestBackendWantsCertificate(t *testing.T) {
	ours := newAuthority(t, "Our Root")
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ours.issue("The Back End", x509.ExtKeyUsageServerAuth)}, ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	r := startFakeRelay(t)
	_, said := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		c.Backend.Host, c.Backend.Port = split(s.Listener.Addr().String())
		c.Backend.TLS = config.TLS{HTTPS: true, TrustedCertificates: ours.file, CertificateName: "The Back End"}
	})
	eventually(t, "the log says what it wants", func() bool {
		return said.has("back end is down") && said.has("it does not accept our side of TLS (identity of -cs)") && said.has("certificate required")
	})
}
