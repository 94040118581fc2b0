package outbound_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"roundhouse/server/config"
)

// proxy is an HTTP proxy that wants to know who calls.
type proxy struct {
	addr             string
	tunnels, passed  atomic.Int32
	refused          atomic.Int32
	connectsNowhere  bool // it answers CONNECT with 502
	authorizationOff bool
}

// proxyAuth is user:word in base64.
const proxyAuth = "Basic dXNlcjp3b3Jk"

func startProxy(t *testing.T, p *proxy) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p.addr = ln.Addr().String()
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(t, c) // ends with the connections
		}
	}()
	return p
}

// buffered is a connection of which something has been read already.
type buffered struct {
	net.Conn
	in io.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

func (p *proxy) serve(t *testing.T, c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	var head bytes.Buffer
	for !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")) {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
	}
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head.Bytes())))
	if err != nil {
		t.Error(err)
		return
	}
	switch {
	case !p.authorizationOff && q.Header.Get("Proxy-Authorization") != proxyAuth:
		p.refused.Add(1)
		fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
	case p.connectsNowhere:
		fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
	case q.Method == http.MethodConnect:
		if q.Header.Get("Authorization")+q.Header.Get("Ias-Rs-Token") != "" {
			t.Error("the proxy of a tunnel is told what is for the relay")
		}
		p.tunnels.Add(1)
		fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
		passOn(buffered{c, in}, q.Host)
	case q.URL.Host != "":
		p.passed.Add(1)
		text := strings.Replace(head.String(), "http://"+q.URL.Host, "", 1)
		passOn(buffered{c, io.MultiReader(strings.NewReader(text), in)}, q.URL.Host)
	default:
		t.Error("a request that is not for a proxy:", q.Method, q.URL)
	}
}

// withProxy changes a configuration to go through p.
func withProxy(p *proxy, c *config.Enabler) {
	a := &c.Relays[0]
	a.ProxyHost, a.ProxyPort = split(p.addr)
	a.ProxyUser, a.ProxyPassword = "user", "word"
}

// wantsUser makes a relay want a user as a web server before it would.
func wantsUser(r *fakeRelay) {
	judge := func(c net.Conn, q *http.Request) bool {
		if user, word, ok := q.BasicAuth(); ok && user == "enabler" && word == "pass:word" {
			return true
		}
		fmt.Fprint(c, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	r.judge.Store(&judge)
}

func TestProxyPassesOn(t *testing.T) {
	p := startProxy(t, &proxy{})
	r := startFakeRelay(t)
	wantsUser(r)
	e, _ := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		withProxy(p, c)
		c.Relays[0].HTTPUser, c.Relays[0].HTTPPassword = "enabler", "pass:word"
	})
	r.accept(true)
	eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
	if p.passed.Load() != 3 || p.tunnels.Load() != 0 { // peers, up, down
		t.Errorf("%d requests passed on, %d tunnels", p.passed.Load(), p.tunnels.Load())
	}
}

func TestProxyTunnels(t *testing.T) {
	ours := newAuthority(t, "Our Root")
	p := startProxy(t, &proxy{})
	r, to := secureRelay(t, &tls.Config{Certificates: []tls.Certificate{ours.issue("The Relay", x509.ExtKeyUsageServerAuth)}})
	wantsUser(r)
	e, _ := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
		withProxy(p, c)
		c.Relays[0].HTTPUser, c.Relays[0].HTTPPassword = "enabler", "pass:word"
		c.Relays[0].TLS = config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test"}
		to(c)
	})
	r.accept(true)
	eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
	if p.passed.Load() != 0 || p.tunnels.Load() != 3 {
		t.Errorf("%d requests passed on, %d tunnels", p.passed.Load(), p.tunnels.Load())
	}
}

// TestProxyOfEnvironment goes by HTTP_PROXY, as -e says, and not to a host that NO_PROXY names.
func TestProxyOfEnvironment(t *testing.T) {
	p := startProxy(t, &proxy{})
	r := startFakeRelay(t)
	for _, none := range []string{"", "127.0.0.0/8"} {
		before := p.passed.Load()
		e, _ := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
			env := map[string]string{"NO_PROXY": none, "HTTP_PROXY": "http://user:word@" + p.addr}
			read, _, err := config.ParseEnabler([]string{"-f", "F", "-id", "S", "-cr", "host=h", "-e"}, func(name string) string { return env[name] }, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.EnvProxies = read.EnvProxies
		})
		r.accept(true)
		eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
		if passed := p.passed.Load() - before; (passed == 0) != (none != "") {
			t.Errorf("NO_PROXY=%q: %d requests passed on", none, passed)
		}
	}
}

func TestProxyRefuses(t *testing.T) {
	for _, https := range []bool{false, true} {
		for _, row := range []struct {
			broken, open bool // of the proxy
			change       func(*config.RelayAddr)
			log          []string
		}{
			{false, false, func(a *config.RelayAddr) { a.ProxyPassword = "wrong" }, []string{"the proxy answers 407 Proxy Authentication Required", "http_proxy_password"}},
			{false, false, func(a *config.RelayAddr) { a.ProxyUser, a.ProxyPassword = "", "" }, []string{"the proxy answers 407", "http_proxy_userid"}},
			{true, false, func(*config.RelayAddr) {}, []string{"502 Bad Gateway", "is the relay running?"}},
			{false, false, func(a *config.RelayAddr) { a.ProxyPort = 1 }, []string{"connection refused", "proxy_host"}},
			{false, true, func(*config.RelayAddr) {}, []string{"401 Unauthorized", "http_userid and http_password of -cr"}},
		} {
			p := startProxy(t, &proxy{connectsNowhere: row.broken, authorizationOff: row.open})
			ours := newAuthority(t, "Our Root")
			r, to := secureRelay(t, &tls.Config{Certificates: []tls.Certificate{ours.issue("The Relay", x509.ExtKeyUsageServerAuth)}})
			wantsUser(r)
			_, log := startEnablerWith(t, r, r.addr, func(c *config.Enabler) {
				withProxy(p, c)
				c.Relays[0].TLS = config.TLS{TrustedCertificates: ours.file, CertificateName: "relay.test"}
				if https {
					to(c)
				}
				row.change(&c.Relays[0])
			})
			for _, s := range row.log {
				eventually(t, fmt.Sprintf("https=%v: the log says %s", https, s), func() bool { return log.has(s) })
			}
			if log.has("dXNlcjp3") || log.has("user:") || log.has("pass:word") {
				t.Error("a password is in the log")
			}
		}
	}
}
