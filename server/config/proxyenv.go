package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Proxy is an HTTP proxy.
type Proxy struct {
	Host string // a name, or an IP address without brackets
	Port int    // 1 to 65535
	// Basic authentication; empty: none.
	User, Password string
}

// EnvProxies are the proxies that the environment names, for -e.
type EnvProxies struct {
	http, https *Proxy   // for relays that are reached by HTTP and by HTTPS; nil: none
	direct      []string // what NO_PROXY names, in lower case
}

// For returns the proxy on the way to a relay server; nil: none.
func (e *EnvProxies) For(https bool, host string, port int) *Proxy {
	p := e.http
	if https {
		p = e.https
	}
	if p == nil || e.goesDirect(strings.ToLower(host), strconv.Itoa(port)) {
		return nil
	}
	return p
}

// goesDirect tells whether NO_PROXY names a host: as * for all, as it is, by a domain that it is in (example.com or .example.com), or by
// its network (192.0.2.0/24). A port behind it restricts a name to that port.
func (e *EnvProxies) goesDirect(host, port string) bool {
	addr, err := netip.ParseAddr(host)
	isAddr := err == nil
	for _, d := range e.direct {
		if network, err := netip.ParsePrefix(d); err == nil {
			if isAddr && network.Contains(addr.Unmap()) {
				return true
			}
			continue
		}
		if other, err := netip.ParseAddr(strings.Trim(d, "[]")); err == nil {
			if isAddr && other.Unmap() == addr.Unmap() {
				return true
			}
			continue
		}
		if name, itsPort, has := cutLast(d, ":"); has {
			if itsPort != port {
				continue
			}
			d = unbracket(name)
		}
		d = strings.TrimPrefix(strings.TrimPrefix(d, "*"), ".")
		if d == "" || host == d || !isAddr && strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// envProxies reads what the environment says of proxies, for -e. A name in lower case goes before the same in capitals, as in other programs.
func (p *enablerParser) envProxies(at where) *EnvProxies {
	e := &EnvProxies{http: p.envProxy(at, "http_proxy"), https: p.envProxy(at, "https_proxy")}
	_, no := p.eitherCase("no_proxy")
	for _, d := range strings.FieldsFunc(no, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		e.direct = append(e.direct, strings.ToLower(d))
	}
	if e.http == nil && e.https == nil {
		p.warn(at, "option %q: neither HTTP_PROXY nor HTTPS_PROXY is in the environment", "-e")
	}
	return e
}

func (p *enablerParser) eitherCase(name string) (found, value string) {
	if value = p.env(name); value != "" {
		return name, value
	}
	name = strings.ToUpper(name)
	return name, p.env(name)
}

// envProxy reads one: http://user:password@host:port, of which host is enough. It is not shown: it may hold a password.
func (p *enablerParser) envProxy(at where, name string) *Proxy {
	name, text := p.eitherCase(name)
	if text == "" {
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || !isHost(u.Hostname()) || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		p.fail(at, "option %q: the environment variable %s: a proxy as http://user:password@host:port is needed", "-e", name)
		return nil
	}
	if !strings.EqualFold(u.Scheme, "http") {
		p.fail(at, "option %q: the environment variable %s: a proxy that is spoken to by %q is not supported, only by http", "-e", name, u.Scheme)
		return nil
	}
	proxy := &Proxy{Host: u.Hostname(), Port: 80, User: u.User.Username()}
	proxy.Password, _ = u.User.Password() // empty when there is none
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			p.fail(at, "option %q: the environment variable %s: port %q: 1 to 65535", "-e", name, port)
			return nil
		}
		proxy.Port = int(n)
	}
	return proxy
}
