package outbound_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/loop"
	"roundhouse/server/outbound"
)

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	a.cert = a.sign(tmpl, tmpl, &a.key.PublicKey)
	a.file = write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *authority) sign(tmpl, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for a name that is no host's, an address and a company.
func (a *authority) issue(name string, usage x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject:  pkix.Name{CommonName: name, Organization: []string{"Railways"}, OrganizationalUnit: []string{"Sheds", "Relays"}},
		DNSNames: []string{"relay.test"}, ExtKeyUsage: []x509.ExtKeyUsage{usage}, KeyUsage: x509.KeyUsageDigitalSignature}, a.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// identityFile writes a certificate and its key; with a password, the key is encrypted the old way.
func identityFile(t *testing.T, c tls.Certificate, password string) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	key := &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	if password != "" {
		//lint:ignore SA1019 keys of this form are what the files of the old product hold
		if key, err = x509.EncryptPEMBlock(rand.Reader, key.Type, der, []byte(password), x509.PEMCipherAES256); err != nil {
			t.Fatal(err)
		}
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	return write(t, append(cert, pem.EncodeToMemory(key)...))
}

// terminate speaks TLS before a server; every connection is passed on. cfg may say something else for each of them.
func terminate(t *testing.T, to string, cfg *tls.Config) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connections
				defer c.Close()
				if c.(*tls.Conn).Handshake() == nil {
					passOn(c, to)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// passOn connects c with a server until one of them hangs up.
func passOn(c io.ReadWriteCloser, to string) {
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c); s.Close() }() // ends with the connections
	_, _ = io.Copy(c, s)
}

// secureRelay is a fake relay behind a TLS terminator, and a configuration that leads to it.
func secureRelay(t *testing.T, cfg *tls.Config) (r *fakeRelay, change func(*config.Enabler)) {
	t.Helper()
	r = startFakeRelay(t)
	host, port := split(terminate(t, r.addr, cfg))
	r.https.Store(int32(port))
	return r, func(e *config.Enabler) { e.Relays[0].HTTPS, e.Relays[0].Host, e.Relays[0].Port = true, host, port }
}

func TestRelayCertificate(t *testing.T) {
	ours, other := newAuthority(t, "Our Root"), newAuthority(t, "Other Root")
	server := &tls.Config{Certificates: []tls.Certificate{ours.issue("The Relay", x509.ExtKeyUsageServerAuth)}}
	for _, row := range []struct {
		name string
		tls  config.TLS
		log  []string // empty: a lane comes up
	}{
		{"common name", config.TLS{TrustedCertificates: ours.file, CertificateName: "the relay"}, nil},
		{"alternative name", config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test"}, nil},
		{"all", config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test", CertificateCompany: "Railways", CertificateUnit: "Relays"}, nil},
		{"no name", config.TLS{TrustedCertificates: ours.file, SkipNameCheck: true, CertificateUnit: "Sheds"}, nil},
		{"the host's name", config.TLS{TrustedCertificates: ours.file}, []string{"host: the certificate of 127.0.0.1 is for", "relay.test", "CN=The Relay", "or give it as certificate_name"}},
		{"another name", config.TLS{TrustedCertificates: ours.file, CertificateName: "other.test"}, []string{"certificate_name: the certificate", "relay.test", "other.test"}},
		{"another company", config.TLS{TrustedCertificates: ours.file, SkipNameCheck: true, CertificateCompany: "Airways"}, []string{"certificate_company: the certificate of 127.0.0.1 has", "Railways", "Airways"}},
		{"another unit", config.TLS{TrustedCertificates: ours.file, SkipNameCheck: true, CertificateUnit: "relays"}, []string{"certificate_unit: the certificate", "Sheds"}},
		{"another authority", config.TLS{TrustedCertificates: other.file, SkipNameCheck: true}, []string{"trusted_certificates: the certificate", "CN=Our Root", "unknown authority", "name the PEM file"}},
		{"the system's authorities", config.TLS{SkipNameCheck: true}, []string{"trusted_certificates: the certificate", "unknown authority"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, to := secureRelay(t, server)
			e, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
				c.Relays[0].TLS = row.tls
				to(c)
			})
			if row.log == nil {
				r.accept(true)
				eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
				return
			}
			for _, s := range row.log {
				eventually(t, "the log says "+s, func() bool { return log.has(s) })
			}
		})
	}
}

// A relay may want a certificate of its enablers; the key may have a password.
func TestIdentity(t *testing.T) {
	ours := newAuthority(t, "Our Root")
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	server := &tls.Config{Certificates: []tls.Certificate{ours.issue("The Relay", x509.ExtKeyUsageServerAuth)}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	client := ours.issue("The Enabler", x509.ExtKeyUsageClientAuth)
	for _, password := range []string{"", "open sesame"} {
		r, to := secureRelay(t, server)
		e, _ := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
			c.Relays[0].TLS = config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test", Identity: identityFile(t, client, password), IdentityPassword: password}
			to(c)
		})
		r.accept(true)
		eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
	}
	r, to := secureRelay(t, server)
	_, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		c.Relays[0].TLS = config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test"}
		to(c)
	})
	eventually(t, "the log says what to do", func() bool { return log.has("certificate required") && log.has("identity of -cr") })
}

func TestBadCertificateFiles(t *testing.T) {
	ours := newAuthority(t, "Our Root")
	client := ours.issue("The Enabler", x509.ExtKeyUsageClientAuth)
	g, err := loop.New(loop.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Stop(t.Context())
	locked := identityFile(t, client, "open sesame")
	for _, row := range []struct {
		tls  config.TLS
		want string
	}{
		{config.TLS{TrustedCertificates: "/nowhere"}, "trusted_certificates: open /nowhere: no such file"},
		{config.TLS{TrustedCertificates: write(t, []byte("text"))}, "holds no certificate in PEM form"},
		{config.TLS{Identity: "/nowhere"}, "identity: open /nowhere: no such file"},
		{config.TLS{Identity: ours.file}, "holds no private key in PEM form"},
		{config.TLS{Identity: write(t, []byte("text"))}, "holds no certificate in PEM form"},
		{config.TLS{Identity: locked}, "the key is encrypted: identity_password is missing"},
		{config.TLS{Identity: locked, IdentityPassword: "shut"}, "identity_password: x509: decryption password incorrect"},
	} {
		for _, option := range []string{"-cr", "-cs"} {
			row.tls.HTTPS = true
			cfg := &config.Enabler{Farm: "f", ID: "s", Retry: time.Second, Relays: []config.RelayAddr{{Host: "a", Port: 1}}, Backend: config.BackendAddr{Host: "b", Port: 1}}
			if option == "-cr" {
				cfg.Relays[0].TLS = row.tls
			} else {
				cfg.Backend.TLS = row.tls
			}
			_, err := outbound.New(cfg, g, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), fmt.Sprintf("option %q: ", option)) {
				t.Errorf("%s: got %v, want %s", option, err, row.want)
			}
		}
	}
}

// TestCertificatesChange puts another root in the place of the one that an enabler has read: the next call uses it.
func TestCertificatesChange(t *testing.T) {
	ours, next := newAuthority(t, "Our Root"), newAuthority(t, "Next Root")
	server := &tls.Config{Certificates: []tls.Certificate{next.issue("The Relay", x509.ExtKeyUsageServerAuth)}}
	r, to := secureRelay(t, server)
	path := write(t, read(t, ours.file))
	e, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		c.Relays[0].TLS = config.TLS{TrustedCertificates: path, CertificateName: "relay.test"}
		to(c)
	})
	eventually(t, "it is not believed", func() bool { return log.has("CN=Next Root") })
	if err := os.WriteFile(path, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nonsense is not taken", func() bool { return log.has("the old ones stay") })
	if err := os.WriteFile(path, read(t, next.file), 0o600); err != nil {
		t.Fatal(err)
	}
	r.accept(true)
	eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
	if !log.has("certificates are read again") {
		t.Error("it does not say so")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
