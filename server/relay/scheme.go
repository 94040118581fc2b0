package relay

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"roundhouse/codec/http1"
)

// trusts tells whether the identity fields of a peer are believed.
func (v *view) trusts(a netip.Addr) bool { return contains(v.cfg.Relay.TrustedProxies, a) }

// The values of client_security and backend_security; empty is either way.
const (
	securityOn       = "on"
	securityOff      = "off"
	securityRedirect = "redirect" // of clients only
)

// origin is how a client has come.
type origin struct {
	ip      []byte // its address as text
	trusted bool   // the peer is a trusted proxy
	overTLS bool   // the connection is
	https   bool   // the client, maybe that of a trusted proxy, came by HTTPS; of the request that was read last
}

// proto is how the peer came: what a trusted proxy says of its client stands in its fields.
func (o *origin) proto() string {
	if o.overTLS {
		return "https"
	}
	return "http"
}

// addrHash is a number for the address of the client, which may stand behind trusted proxies: the same at every relay server.
func addrHash(c *client, q *http1.Request) uint64 {
	addr := c.judgedBy(q)
	if !addr.IsValid() {
		addr = c.conn.Remote().Addr()
	}
	b := addr.As16()
	return xxhash.Sum64(b[:])
}

// readScheme finds out how the client came to whoever it talked to: of a trusted proxy the word of that proxy counts.
func (o *origin) readScheme(fields []http1.Field) {
	o.https = o.overTLS
	if !o.trusted {
		return
	}
	for i := len(fields) - 1; i >= 0; i-- { // the last word is that of the proxy next to us
		f := &fields[i]
		if f.ID != http1.IDXForwardedProto || bytes.IndexByte(f.Name, '_') >= 0 || len(f.Value) == 0 { // as in what is sent on
			continue
		}
		o.https = bytes.EqualFold(bytes.TrimSpace(f.Value[bytes.LastIndexByte(f.Value, ',')+1:]), []byte("https"))
		return
	}
}

// secureEnough holds a request against the client_security of its farm. When it breaks it, it has been answered.
func secureEnough(c *client, q *http1.Request, f *farmView) bool {
	switch f.conf.ClientSecurity {
	case securityOn:
		if !c.https {
			c.reject(q, failHTTPSRequired, "The farm is to be asked over HTTPS.")
			return false
		}
	case securityRedirect:
		if !c.https {
			redirect(c, q)
			return false
		}
	case securityOff:
		if c.https {
			c.reject(q, failHTTPRequired, "The farm is to be asked over HTTP, not HTTPS.")
			return false
		}
	}
	return true
}

// redirect sends a client to the same URL over HTTPS (RFC 9110, 15.4.9: with the same method and body).
func redirect(c *client, q *http1.Request) {
	const status = 308
	host := httpsHost(c.s.relay, string(q.Host))
	if host == "" || len(q.Path) == 0 || q.Path[0] != '/' {
		c.reject(q, failHTTPSRequired, "The farm is to be asked over HTTPS.")
		return
	}
	location := append(append([]byte("Location: https://"+host), q.Path...), crlf...)
	c.rejectWith(q, failHTTPSRequired, answer{status: status, extra: location}, "The farm is to be asked over HTTPS.")
}

// httpsHost is the authority of a URL for HTTPS, made of that of one for HTTP. Who has come to a port of ours that had to be named is
// sent to the port of our listener for TLS; 443 in every other case.
func httpsHost(r *Relay, host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port == "" || port == "80" {
		if err == nil {
			return hostOnly(name)
		}
		return host
	}
	if addrs := r.TLSAddrs(); len(addrs) > 0 {
		if a, ok := addrs[0].(*net.TCPAddr); ok && a.Port != 443 {
			return net.JoinHostPort(name, strconv.Itoa(a.Port))
		}
	}
	return hostOnly(name)
}

// hostOnly is a name or an address as it stands in a URL without a port.
func hostOnly(name string) string {
	if bytes.IndexByte([]byte(name), ':') >= 0 {
		return "[" + name + "]"
	}
	return name
}
