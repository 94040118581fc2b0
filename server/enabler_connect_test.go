package server_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAcceptance01 has an enabler register and serve: as simply as it can be told to, and with every name that a -cr may have, through
// a proxy that wants to know who calls and a TLS server that wants a certificate.
func TestAcceptance01(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	simple := startRelayChild(t, "127.0.0.1:0", "")
	host, port := split(t, simple.addr)
	start(t, binary(t, "rsoe"), "-cr", fmt.Sprintf("host=%s;port=%d", host, port), "-cs", connString(t, backend), "-f", "f", "-id", "s1", "-t", "secret")
	servesAgain(t, simple, patience)

	certFile, keyFile := selfSigned(t)
	relayAddr := freeAddr(t)
	tlsHost, tlsPort := split(t, terminate(t, relayAddr, certFile, keyFile))
	full := startRelayChild(t, relayAddr, fmt.Sprintf("[[relay.server]]\nhost = %q\nhttp_port = 0\nhttps_port = %d\n", tlsHost, tlsPort))
	p := startConnectProxy(t)
	proxyHost, proxyPort := split(t, p.addr)
	cr := fmt.Sprintf("host=%s;port=%d;url_suffix=/srv/iarelayserver/;https=1;http_userid=enabler;http_password='pass;word';"+
		"proxy_host=%s;proxy_port=%d;http_proxy_userid=user;http_proxy_password=word;tls_type=RSA;certificate_name=test;"+
		"trusted_certificates=%s;identity=%s;identity_password=sesame;fips=no;skip_certificate_name_check=no;",
		tlsHost, tlsPort, proxyHost, proxyPort, certFile, encryptedIdentity(t, certFile, keyFile))
	e := start(t, binary(t, "rsoe"), "-cr", cr, "-cs", connString(t, backend), "-f", "f", "-id", "s1", "-t", "secret", "-v", "1", "-log", "json")
	full.up(2)
	servesAgain(t, full, patience)
	if p.tunnels.Load() < 3 {
		t.Errorf("%d tunnels", p.tunnels.Load())
	}
	if text := e.log.text(); strings.Contains(text, "sesame") || strings.Contains(text, "pass;word") {
		t.Error("a password is in the log")
	}
	for _, more := range []string{"certificate_company=Railways", "certificate_unit=Relays", "certificate_name=other"} {
		name, _, _ := strings.Cut(more, "=")
		wrong := start(t, binary(t, "rsoe"), "-cr", strings.Replace(cr, "certificate_name=test;", "", 1)+more, "-f", "f", "-id", "s2", "-t", "secret", "-log", "json")
		eventually(t, name+" is wrong", func() bool { return wrong.log.has(name + ": the certificate of") })
		wrong.kill()
	}
}

// encryptedIdentity writes a certificate and its key into one file; the password is sesame.
func encryptedIdentity(t *testing.T, certFile, keyFile string) string {
	t.Helper()
	cert, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(key)
	//lint:ignore SA1019 keys of this form are what the files of the old product hold
	if b, err = x509.EncryptPEMBlock(rand.Reader, b.Type, b.Bytes, []byte("sesame"), x509.PEMCipherAES128); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity.pem")
	if err := os.WriteFile(path, append(cert, pem.EncodeToMemory(b)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// terminate speaks TLS before a server, to whom has a certificate that the own one has signed, and returns where.
func terminate(t *testing.T, to, certFile, keyFile string) (addr string) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go acceptAll(ln, func(c net.Conn) { // ends with the listener
		if c.(*tls.Conn).Handshake() == nil {
			joinTo(c, c, to)
		}
	})
	return ln.Addr().String()
}

// acceptAll serves the connections of a listener until that is closed.
func acceptAll(ln net.Listener, serve func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); serve(c) }() // ends with its connection
	}
}

// joinTo connects c, whose input is in, with a server until one of them hangs up.
func joinTo(c net.Conn, in io.Reader, to string) {
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, in); s.Close() }() // ends with the connections
	_, _ = io.Copy(c, s)
}

// TestEnablerThroughProxy has an enabler reach a relay over plain HTTP by a proxy that passes on what it is given whole URLs of.
func TestEnablerThroughProxy(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	for _, transport := range []string{"http", "ws", "auto"} {
		r := startRelayChild(t, "127.0.0.1:0", "")
		p := startConnectProxy(t)
		host, port := split(t, p.addr)
		cr := fmt.Sprintf("%s;proxy_host=%s;proxy_port=%d;http_proxy_userid=user;http_proxy_password=word", connString(t, r.addr), host, port)
		start(t, binary(t, "rsoe"), "-cr", cr, "-cs", connString(t, backend), "-f", "f", "-id", "s1", "-t", "secret", "-transport", transport)
		r.up(2)
		servesAgain(t, r, patience)
		if p.passed.Load() < 3 || p.tunnels.Load() > 0 { // the list, and two lanes
			t.Errorf("%s: %d requests passed on, %d tunnels", transport, p.passed.Load(), p.tunnels.Load())
		}
	}
}

// connectProxy is an HTTP proxy for the user "user" with the password "word".
type connectProxy struct {
	addr            string
	tunnels, passed atomic.Int32
}

func startConnectProxy(t *testing.T) *connectProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &connectProxy{addr: ln.Addr().String()}
	go acceptAll(ln, func(c net.Conn) { // ends with the listener
		in := bufio.NewReader(c)
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			head += line
		}
		q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		switch {
		case err != nil:
			t.Error(err)
		case q.Header.Get("Proxy-Authorization") != "Basic dXNlcjp3b3Jk":
			fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		case q.Method != http.MethodConnect:
			p.passed.Add(1)
			joinTo(c, io.MultiReader(strings.NewReader(strings.Replace(head, "http://"+q.Host, "", 1)), in), q.Host)
		default:
			p.tunnels.Add(1)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
			joinTo(c, in, q.Host)
		}
	})
	return p
}
