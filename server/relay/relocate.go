package relay

import (
	"bytes"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

// maxRelocated bounds what is rewritten of one answer's head, in bytes. What comes behind it stays as it is.
const maxRelocated = lane.MaxControl

// relocate makes the head of an answer fit for a client whose URLs begin with a prefix that the back end does not know of
// (config.Farm.RewriteLocation): Location, Content-Location and the Path of cookies. Values that change stand in the scratch of the shard until
// the next answer.
func (x *exchange) relocate(fields []http1.Field) {
	if !x.farm.conf.RewriteLocation || len(x.base) <= 1 { // by a host name or a field Ias-Rs-Farm: the whole path is the back end's
		return
	}
	m := relocation{x: x, to: x.s.moved[:0]}
	for i := range fields {
		f := &fields[i]
		start := len(m.to)
		switch {
		case start > maxRelocated:
		case f.ID == http1.IDSetCookie:
			m.cookie(f.Value)
		case f.ID != http1.IDOther:
		case bytes.EqualFold(f.Name, []byte("location")), bytes.EqualFold(f.Name, []byte("content-location")):
			m.reference(f.Value)
		}
		if len(m.to) > start { // a new backing array leaves the values before it where they are
			f.Value = m.to[start:]
		}
	}
	x.s.moved = m.to
}

// relocation is what relocate writes.
type relocation struct {
	x  *exchange
	to []byte
}

// reference appends a URL (RFC 9110, 10.2.2) that leads to the farm, if the one that the back end gave is on the host that it was asked with;
// else nothing. A relative path needs nothing: the client resolves it against its own URL.
func (m *relocation) reference(url []byte) {
	scheme, rest, absolute := bytes.Cut(url, []byte("//"))
	switch {
	case absolute && (len(scheme) == 0 || bytes.EqualFold(scheme, []byte("http:")) || bytes.EqualFold(scheme, []byte("https:"))):
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host, path := rest[:end], rest[end:]
		asked := m.x.askedWith(host)
		if asked == nil || leadsTo(path, m.x.base) {
			return
		}
		switch https := bytes.EqualFold(scheme, []byte("https:")); {
		case m.x.client.https && len(scheme) > 0: // the back end may not know that
			scheme, host = []byte("https:"), asked
		case !https: // else it sends a client that came by HTTP elsewhere, and says where
			host = asked // it may have named its own port
		}
		m.to = append(append(append(append(m.to, scheme...), "//"...), host...), m.x.base...)
		m.to = append(m.to, path...)
	case len(url) > 0 && url[0] == '/' && !leadsTo(url, m.x.base):
		m.to = append(append(m.to, m.x.base...), url...)
	}
}

// cookie appends a Set-Cookie value with Path attributes that lead to the farm, if there is one to change; else nothing. Those of a cookie
// named __Host- must be / (RFC 6265bis, 4.1.3.2).
func (m *relocation) cookie(value []byte) {
	const hostOnly = "__host-"
	if len(value) >= len(hostOnly) && bytes.EqualFold(value[:len(hostOnly)], []byte(hostOnly)) {
		return
	}
	start, base, changed := len(m.to), cookiePath(m.x.base), false
	for first := true; len(value) > 0; first = false {
		part := value
		if end := bytes.IndexByte(value, ';'); end >= 0 {
			part = value[:end+1]
		}
		value = value[len(part):]
		name, path, ok := bytes.Cut(bytes.TrimSuffix(part, []byte{';'}), []byte{'='})
		path = bytes.TrimSpace(path)
		if first || !ok || !bytes.EqualFold(bytes.TrimSpace(name), []byte("path")) || len(path) == 0 || path[0] != '/' || leadsTo(path, base) {
			m.to = append(m.to, part...)
			continue
		}
		changed = true
		m.to = append(append(m.to, " Path="...), base...)
		if len(path) > 1 && len(base) == len(m.x.base) {
			m.to = append(m.to, path...)
		}
		if part[len(part)-1] == ';' {
			m.to = append(m.to, ';')
		}
	}
	if !changed {
		m.to = m.to[:start]
	}
}

// askedWith returns the authority with which the back end was asked, in Host or as what the client asked the first proxy for, that has the same
// name as one in a URL; nil when none has. Ports do not count: some back ends put their own into URLs.
func (x *exchange) askedWith(authority []byte) []byte {
	for _, field := range [...]string{"\r\nHost: ", "\r\nX-Forwarded-Host: "} { // as http1.AppendRequest writes them
		_, value, _ := bytes.Cut(x.req.head, []byte(field))
		value, _, _ = bytes.Cut(value, crlf)
		value, _, _ = bytes.Cut(value, []byte{','})
		if value = bytes.TrimSpace(value); len(value) > 0 && bytes.EqualFold(cutPort(authority), cutPort(value)) {
			return value
		}
	}
	return nil
}

// leadsTo tells whether a path is base, or below it.
func leadsTo(path, base []byte) bool {
	rest, ok := bytes.CutPrefix(path, base)
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte("/?#"), rest[0]) >= 0)
}

// cookiePath is the Path of a cookie for base, which leads to a farm. A farm's name may have a ';', which no Path can hold: then it is that
// of all farms.
func cookiePath(base []byte) []byte {
	if i := bytes.IndexByte(base, ';'); i >= 0 {
		return base[:max(1, bytes.LastIndexByte(base[:i], '/'))]
	}
	return base
}
