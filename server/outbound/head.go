package outbound

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"roundhouse/codec/http1"
	"roundhouse/codec/proxyheader"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// appendHead appends a request head as the back end is to get it: with host_header=back-end Host is the back end's own. X-Forwarded-Host
// stays what the relay has written.
func (e *Enabler) appendHead(dst, head []byte) []byte {
	if e.ownHost == "" {
		return append(dst, head...)
	}
	line, rest, _ := bytes.Cut(head, crlf)
	if host, after, ok := bytes.Cut(rest, crlf); ok && bytes.HasPrefix(host, hostName) {
		dst = append(append(append(dst, line...), "\r\nHost: "...), e.ownHost...)
		return append(append(dst, crlf...), after...)
	}
	return append(dst, head...) // not as a relay writes it
}

var hostName = []byte("Host: ")

// ownHost is what Host says of a back end; empty: it stays what it is.
func ownHost(b *config.BackendAddr) string {
	if !b.OwnHost {
		return ""
	}
	usual := 80
	if b.HTTPS {
		usual = 443
	}
	if b.Port != usual {
		return net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
	}
	if a, err := netip.ParseAddr(b.Host); err == nil && a.Is6() {
		return "[" + b.Host + "]"
	}
	return b.Host
}

// cutOwnHost makes paths of those places in an answer that the back end names by its own host, which clients cannot reach: with
// host_header=back-end it knows no other. A place that it names with another scheme stays: it would lead back to itself.
func (m *manner) cutOwnHost(fields []http1.Field, b *config.BackendAddr) {
	if m.ownHost == "" {
		return
	}
	scheme := "http://"
	if b.HTTPS {
		scheme = "https://"
	}
	for i := range fields {
		f := &fields[i]
		if f.ID != http1.IDOther || !bytes.EqualFold(f.Name, []byte("location")) && !bytes.EqualFold(f.Name, []byte("content-location")) ||
			len(f.Value) < len(scheme) || !bytes.EqualFold(f.Value[:len(scheme)], []byte(scheme)) {
			continue
		}
		rest := f.Value[len(scheme):]
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host, path := string(rest[:end]), rest[end:]
		switch own := strings.TrimSuffix(m.ownHost, ":"+strconv.Itoa(b.Port)); { // some leave their port out
		case !strings.EqualFold(host, m.ownHost) && !strings.EqualFold(host, own), len(path) > 1 && path[0] == '/' && (path[1] == '/' || path[1] == '\\'): // that would be a host
		case len(path) == 0 || path[0] != '/':
			f.Value = append([]byte{'/'}, path...)
		default:
			f.Value = path
		}
	}
}

// clientOf is the client that the relay names in X-Forwarded-For: the first entry. It is the unspecified address when that is none.
func clientOf(head []byte) netip.Addr {
	_, value, _ := bytes.Cut(head, []byte("\r\nX-Forwarded-For: "))
	value, _, _ = bytes.Cut(value, crlf)
	value, _, _ = bytes.Cut(value, []byte{','})
	text := string(bytes.Trim(value, " \t"))
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap()
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr().Unmap()
	}
	return netip.IPv6Unspecified()
}

// dialOptions say how to connect to the back end for a client; without one the connection is the enabler's own.
func (e *Enabler) dialOptions(client netip.Addr) loop.DialOptions {
	o := *e.backend.Load()
	version := e.cfg.Backend.ProxyProtocol
	if version == 0 {
		return o
	}
	network, addr := o.Network, o.Addr
	o.Dial = func(ctx context.Context) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if _, err := nc.Write(appendProxy(nil, version, client, nc.RemoteAddr())); err != nil {
			nc.Close()
			return nil, err
		}
		return nc, nil
	}
	return o
}

// appendProxy appends the PROXY header with which a connection for client begins; it says nothing of an unknown one. Which port the
// client has is not known here.
func appendProxy(dst []byte, version int, client netip.Addr, to net.Addr) []byte {
	var h proxyheader.Header
	if a, ok := to.(*net.TCPAddr); ok && client.IsValid() && !client.IsUnspecified() {
		at := a.AddrPort()
		h.Source, h.Destination = netip.AddrPortFrom(client, 0), netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	if version == 1 {
		return proxyheader.AppendV1(dst, h)
	}
	return proxyheader.AppendV2(dst, h)
}
