package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/certs/certstest"
)

// place is a directory with the files of a Source.
type place struct {
	Files
	dir string
	ca  *certstest.Authority
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{dir: dir, ca: certstest.New(t, "servers"), Files: Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
	p.issue(t, "one")
	return p
}

// issue writes a new pair, one file after the other.
func (p *place) issue(t *testing.T, name string) {
	t.Helper()
	cert, key := p.ca.Issue(t, pkix.Name{CommonName: name})
	certstest.Write(t, p.dir, "key.pem", key)
	certstest.Write(t, p.dir, "cert.pem", cert)
}

// source looks at the files at every handshake.
func (p *place) source(t *testing.T) (*Source, *logText) {
	t.Helper()
	text := &logText{}
	s, err := New(p.Files, slog.New(slog.NewTextHandler(text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.every = 0
	return s, text
}

type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logText) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// shake makes a handshake, with a byte in each direction, so that tickets arrive.
func shake(s *Source, client *tls.Config) (cs, ss tls.ConnectionState, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return cs, ss, err
	}
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return cs, ss, err
	}
	defer b.Close()
	a, err := ln.Accept()
	if err != nil {
		return cs, ss, err
	}
	defer a.Close()
	end := time.Now().Add(time.Minute)
	if err := errors.Join(a.SetDeadline(end), b.SetDeadline(end)); err != nil {
		return cs, ss, err
	}
	up, down := tls.Server(a, s.Config()), tls.Client(b, client)
	served := make(chan error, 1)
	go func() { // ends with the connection; is waited for below
		_, err := io.CopyN(up, up, 1)
		served <- err
	}()
	_, err = down.Write([]byte("x"))
	if err == nil {
		_, err = io.ReadFull(down, make([]byte, 1))
	}
	b.Close()
	if errServer := <-served; err == nil {
		err = errServer
	}
	return down.ConnectionState(), up.ConnectionState(), err
}

func (p *place) client() *tls.Config {
	return &tls.Config{RootCAs: p.ca.Pool(), ServerName: "localhost"}
}

// served is the name of the certificate that a handshake shows.
func (p *place) served(t *testing.T, s *Source) string {
	t.Helper()
	cs, _, err := shake(s, p.client())
	if err != nil {
		t.Fatal(err)
	}
	return cs.PeerCertificates[0].Subject.CommonName
}

func TestNewFilesHold(t *testing.T) {
	p := newPlace(t)
	s, text := p.source(t)
	if name := p.served(t, s); name != "one" {
		t.Errorf("the certificate is %s", name)
	}
	p.issue(t, "two")
	if name := p.served(t, s); name != "two" {
		t.Errorf("after a change the certificate is %s", name)
	}
	if n := text.count("read again"); n != 1 {
		t.Errorf("%d lines", n)
	}
	if left := time.Until(s.NotAfter()); left < 22*time.Hour || left > 24*time.Hour {
		t.Errorf("it ends in %v", left)
	}
}

// Files are looked at once in a while only; Reload does not wait for that.
func TestChecksNowAndThen(t *testing.T) {
	p := newPlace(t)
	s, _ := p.source(t)
	s.every = time.Hour
	p.issue(t, "two")
	if name := p.served(t, s); name != "one" {
		t.Errorf("the certificate is %s", name)
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if name := p.served(t, s); name != "two" {
		t.Errorf("after Reload the certificate is %s", name)
	}
}

func TestWrongFilesChangeNothing(t *testing.T) {
	p := newPlace(t)
	p.ClientCA = certstest.Write(t, p.dir, "ca.pem", p.ca.PEM())
	s, text := p.source(t)
	right := map[string][]byte{}
	for _, name := range []string{p.Cert, p.Key, p.ClientCA} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		right[name] = b
	}
	_, otherKey := p.ca.Issue(t, pkix.Name{CommonName: "other"})
	breaks := []struct {
		name string
		with []byte // nil: the file goes
	}{
		{p.Cert, nil}, {p.Key, nil}, {p.ClientCA, nil},
		{p.Cert, []byte("rubbish")}, {p.Key, []byte("")}, {p.ClientCA, []byte("# none yet\n")}, {p.Key, otherKey},
	}
	for i, row := range breaks {
		what := fmt.Sprintf("%d, %s", i, filepath.Base(row.name))
		if row.with == nil {
			if err := os.Remove(row.name); err != nil {
				t.Fatal(err)
			}
		} else {
			certstest.Write(t, p.dir, filepath.Base(row.name), row.with)
		}
		for range 3 {
			if name := p.served(t, s); name != "one" {
				t.Errorf("%s: the certificate is %s", what, name)
			}
		}
		if n := text.count("the old ones stay"); n != i+1 {
			t.Errorf("%s: %d lines, want %d", what, n, i+1)
		}
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), filepath.Base(row.name)) {
			t.Errorf("%s: %v", what, err)
		}
		certstest.Write(t, p.dir, filepath.Base(row.name), right[row.name])
		if name := p.served(t, s); name != "one" {
			t.Errorf("%s, mended: the certificate is %s", what, name)
		}
	}
	p.issue(t, "two")
	if name := p.served(t, s); name != "two" {
		t.Errorf("at last the certificate is %s", name)
	}
	for name := range right {
		other := p.Files
		switch name {
		case p.Cert:
			other.Cert += "x"
		case p.Key:
			other.Key += "x"
		default:
			other.ClientCA += "x"
		}
		if _, err := New(other, nil); err == nil {
			t.Errorf("New without %s succeeds", filepath.Base(name))
		}
	}
}

// A client resumes its session after the certificate has changed, as long as the roots that vouched for it are the same.
func TestTickets(t *testing.T) {
	p := newPlace(t)
	users := certstest.New(t, "users")
	p.ClientCA = certstest.Write(t, p.dir, "ca.pem", users.PEM())
	s, _ := p.source(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cert, key := users.Issue(t, pkix.Name{CommonName: "joe"})
		identity, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		client := p.client()
		client.Certificates, client.ClientSessionCache, client.MaxVersion = []tls.Certificate{identity}, tls.NewLRUClientSessionCache(1), version
		look := func(what string, resumes bool) {
			cs, ss, err := shake(s, client)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if cs.DidResume != resumes || len(ss.VerifiedChains) == 0 || ss.PeerCertificates[0].Subject.CommonName != "joe" {
				t.Errorf("%s: resumed %v, want %v; %d chains", what, cs.DidResume, resumes, len(ss.VerifiedChains))
			}
		}
		look("at first", false)
		look("again", true)
		p.issue(t, "two")
		look("with another certificate", true)
		certstest.Write(t, p.dir, "ca.pem", append(users.PEM(), certstest.New(t, "more").PEM()...))
		look("with more roots", false)
		look("again with more roots", true)
		certstest.Write(t, p.dir, "ca.pem", certstest.New(t, "others").PEM())
		// It is not asked for a certificate of that root any more, and so shows none.
		if cs, ss, err := shake(s, client); err != nil || cs.DidResume || len(ss.VerifiedChains) > 0 || len(ss.PeerCertificates) > 0 {
			t.Errorf("a client whose root is gone: %v, resumed %v, certificates %d", err, cs.DidResume, len(ss.PeerCertificates))
		}
		certstest.Write(t, p.dir, "ca.pem", users.PEM())
	}
}

func TestRequireClient(t *testing.T) {
	p := newPlace(t)
	p.ClientCA = certstest.Write(t, p.dir, "ca.pem", p.ca.PEM())
	s, _ := p.source(t)
	if _, _, err := shake(s, p.client()); err != nil {
		t.Errorf("without a certificate: %v", err)
	}
	p.RequireClient, p.Protocols = true, []string{"http/1.1"}
	s, _ = p.source(t)
	if _, _, err := shake(s, p.client()); err == nil {
		t.Error("without the certificate that is required: let in")
	}
	cert, key := p.ca.Issue(t, pkix.Name{CommonName: "joe"})
	identity, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	client := p.client()
	client.Certificates, client.NextProtos = []tls.Certificate{identity}, []string{"h2", "http/1.1"}
	if cs, _, err := shake(s, client); err != nil || cs.NegotiatedProtocol != "http/1.1" {
		t.Errorf("with a certificate: %v; the protocol is %q", err, cs.NegotiatedProtocol)
	}
}

// Many handshakes at a time, while the files change: none fails.
func TestRotationUnderLoad(t *testing.T) {
	p := newPlace(t)
	s, _ := p.source(t)
	rotations := 50
	if testing.Short() {
		rotations = 5
	}
	var stop atomic.Bool
	var shaken atomic.Int64
	var clients sync.WaitGroup
	client := p.client()
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if _, _, err := shake(s, client); err != nil {
					t.Error(err)
					return
				}
				shaken.Add(1)
			}
		})
	}
	for i := range rotations {
		p.issue(t, fmt.Sprint("rotation ", i))
		if name := p.served(t, s); name != fmt.Sprint("rotation ", i) {
			t.Errorf("the certificate is %s", name)
		}
	}
	stop.Store(true)
	clients.Wait()
	t.Logf("%d handshakes", shaken.Load())
}
