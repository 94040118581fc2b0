package outbound

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
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
	trust *trust // nil: plain HTTP
	proxy string // host:port; empty: none
	auth  string // fields of HTTP authentication for the relay server, each with its line end
	pass  string // those for the proxy
}

func newWay(conf *config.RelayAddr, trust *trust) *way {
	w := &way{conf: conf, trust: trust, auth: basicAuth("Authorization", conf.HTTPUser, conf.HTTPPassword)}
	if conf.ProxyPort != 0 {
		w.proxy = net.JoinHostPort(conf.ProxyHost, strconv.Itoa(conf.ProxyPort))
		w.pass = basicAuth("Proxy-Authorization", conf.ProxyUser, conf.ProxyPassword)
	}
	return w
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
	auth   string           // fields of HTTP authentication, each with its line end
}

// to returns the route to a relay server. It may read files: never call it on a loop.
func (w *way) to(host string, port int) *route {
	r := &route{host: net.JoinHostPort(host, strconv.Itoa(port)), target: w.conf.URLSuffix, auth: w.auth}
	r.dial = loop.DialOptions{Network: "tcp", Addr: r.host, Timeout: dialTime}
	if w.trust != nil {
		r.dial.TLS = w.trust.config(host)
	}
	switch {
	case w.proxy == "":
	case r.dial.TLS != nil:
		r.dial.Dial = func(ctx context.Context) (net.Conn, error) { return w.tunnel(ctx, r.host) }
	default: // RFC 9112, 3.2.2
		r.dial.Addr, r.target, r.auth = w.proxy, "http://"+r.host+r.target, r.auth+w.pass
	}
	return r
}

// tunnel connects to a relay server through the proxy: RFC 9110, 9.3.6.
func (w *way) tunnel(ctx context.Context, addr string) (nc net.Conn, err error) {
	if nc, err = (&net.Dialer{}).DialContext(ctx, "tcp", w.proxy); err != nil {
		return nil, fmt.Errorf("outbound: proxy_host: %w", err)
	}
	defer limit(ctx, nc)()
	if _, err = nc.Write([]byte("CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: " + userAgent() + "\r\n" + w.pass + "\r\n")); err == nil {
		err = readConnect(nc)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("outbound: proxy %s: %w", w.proxy, err)
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
	for _, f := range e.identity(p) {
		b = append(b, f[0]+": "+f[1]+"\r\n"...)
	}
	return append(b, rest...)
}
