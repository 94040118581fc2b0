package outbound

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// way is what one -cr says about how relay servers are reached, whichever of the list it is: TLS, the proxy, and who we are for
// the web servers on the way.
type way struct {
	// Fixed at start.
	conf  *config.RelayAddr
	trust *trust             // nil: plain HTTP
	auth  string             // fields of HTTP authentication for the relay server, each with its line end
	proxy *proxy             // of the connection string; nil: it names none
	env   *config.EnvProxies // those that go for it then; nil: none
}

// proxy is an HTTP proxy on the way.
type proxy struct {
	addr string // host:port
	pass string // fields of HTTP authentication, each with its line end
}

func newProxy(p config.Proxy) *proxy {
	return &proxy{addr: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), pass: basicAuth("Proxy-Authorization", p.User, p.Password)}
}

func newWay(conf *config.RelayAddr, trust *trust, env *config.EnvProxies) *way {
	w := &way{conf: conf, trust: trust, env: env, auth: basicAuth("Authorization", conf.HTTPUser, conf.HTTPPassword)}
	if conf.ProxyPort != 0 {
		w.proxy = newProxy(config.Proxy{Host: conf.ProxyHost, Port: conf.ProxyPort, User: conf.ProxyUser, Password: conf.ProxyPassword})
	}
	return w
}

// proxyTo is the proxy on the way to a relay server; nil: none.
func (w *way) proxyTo(host string, port int) *proxy {
	if w.proxy != nil || w.env == nil {
		return w.proxy
	}
	if p := w.env.For(w.trust != nil, host, port); p != nil {
		return newProxy(*p)
	}
	return nil
}

// basicAuth is a field as of RFC 7617, or nothing.
func basicAuth(name, user, password string) string {
	if user == "" && password == "" {
		return ""
	}
	return name + ": Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
}

// route is how one relay server is reached at this moment, which is for one call: certificates are read again when they change.
type route struct {
	dial   loop.DialOptions // leads to a connection on which the relay server, or a proxy that passes requests on, expects one
	host   string           // host:port, for the Host field
	target string           // the request target of the server URL: in absolute form for a proxy
	auth   string           // fields for who is on the way, each with its line end
}

// to returns the route to a relay server. It may read files: never call it on a loop.
func (w *way) to(host string, port int) *route {
	peer := ""
	if c := w.conf; c.ViaBalancer && (host != c.Host || port != c.Port) {
		peer = "Ias-Rs-Peer: " + net.JoinHostPort(host, strconv.Itoa(port)) + "\r\n"
		host, port = c.Host, c.Port
	}
	r := &route{host: net.JoinHostPort(host, strconv.Itoa(port)), target: w.conf.URLSuffix, auth: w.auth + peer}
	r.dial = loop.DialOptions{Network: "tcp", Addr: r.host, Timeout: dialTime, Unsent: unsentToRelay}
	if w.trust != nil {
		r.dial.TLS = w.trust.config(host)
	}
	p := w.proxyTo(host, port)
	switch {
	case p == nil:
	case r.dial.TLS != nil:
		r.dial.Dial = func(ctx context.Context) (net.Conn, error) { return p.tunnel(ctx, r.host) }
	default: // RFC 9112, 3.2.2
		r.dial.Dial = p.dial
		r.target, r.auth = "http://"+r.host+r.target, r.auth+p.pass
	}
	return r
}

// proxyError is a failure of a proxy to let us through.
type proxyError struct {
	addr string
	err  error
}

func (e *proxyError) Error() string {
	var r *refusal
	if errors.As(e.err, &r) {
		return fmt.Sprintf("outbound: proxy %s: the proxy answers %d %s", e.addr, r.status, http.StatusText(r.status))
	}
	return fmt.Sprintf("outbound: proxy %s: %v", e.addr, e.err)
}

func (e *proxyError) Unwrap() error { return e.err }

// advice is what to do about it.
func (e *proxyError) advice() string {
	var r *refusal
	switch {
	case !errors.As(e.err, &r):
		return "check the proxy: proxy_host and proxy_port of -cr, or with -e the environment"
	case r.status == http.StatusProxyAuthRequired:
		return adviceByStatus[r.status]
	case r.status >= 500:
		return "the proxy does not reach the relay, or does not know CONNECT: is the relay running? check host and port of -cr, and proxy_host and proxy_port"
	}
	return "the proxy does not let this machine through to that host and port (CONNECT): ask who runs it"
}

func (p *proxy) dial(ctx context.Context) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, &proxyError{p.addr, err}
	}
	return nc, nil
}

// tunnel connects to a relay server through the proxy: RFC 9110, 9.3.6.
func (p *proxy) tunnel(ctx context.Context, addr string) (nc net.Conn, err error) {
	if nc, err = p.dial(ctx); err != nil {
		return nil, err
	}
	defer limit(ctx, nc)()
	if _, err = nc.Write([]byte("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: " + userAgent() + "\r\n" + p.pass + "\r\n")); err == nil {
		err = readConnect(nc)
	}
	if err != nil {
		nc.Close()
		return nil, &proxyError{p.addr, err}
	}
	return nc, nil
}

// limit makes what blocks on nc fail when ctx ends. The function that it returns ends that.
func limit(ctx context.Context, nc net.Conn) (done func()) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // fails on a closed one only
	return func() { stop() }
}

// maxConnectHead bounds what a proxy may answer to CONNECT, in bytes.
const maxConnectHead = 16 << 10

// readConnect reads the answer to CONNECT, and not a byte of what comes after it.
func readConnect(nc net.Conn) error {
	lim := http1.DefaultLimits()
	lim.Head = maxConnectHead
	var head []byte
	for one := make([]byte, 1); ; {
		if _, err := nc.Read(one); err != nil {
			return fmt.Errorf("no answer to CONNECT: %w", err)
		}
		head = append(head, one[0])
		if one[0] != '\n' {
			continue // of every line, not of every byte
		}
		var resp http1.Response
		n, err := resp.Parse(head, &lim, true)
		switch {
		case err != nil:
			return fmt.Errorf("answer to CONNECT: %w", err)
		case n == 0:
		case resp.Status < 200:
			head = head[:0]
		case resp.Status < 300:
			return nil
		default:
			return newRefusal(&resp, nil)
		}
	}
}

// connect connects to where the route leads, in the calling goroutine.
func (r *route) connect(ctx context.Context) (nc net.Conn, err error) {
	if r.dial.Dial != nil {
		nc, err = r.dial.Dial(ctx)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, r.dial.Network, r.dial.Addr)
	}
	if err != nil || r.dial.TLS == nil {
		return nc, err
	}
	c := tls.Client(nc, r.dial.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// head is the head of a call to the server URL, and ends with rest: more fields, each with its line end, and an empty line.
func (e *Enabler) head(r *route, p purpose, rest string) []byte {
	b := append([]byte(nil), p.method+" "+r.target+" HTTP/1.1\r\nHost: "+r.host+"\r\nUser-Agent: "+userAgent()+"\r\n"+r.auth...)
	for _, f := range e.identity(p, r.dial.TLS != nil) {
		b = append(b, f[0]+": "+f[1]+"\r\n"...)
	}
	return append(b, rest...)
}
