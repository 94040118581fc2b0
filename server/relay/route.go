package relay

import (
	"bytes"

	"roundhouse/codec/http1"
)

type routeKind uint8

const (
	routeNone   routeKind = iota // nothing of ours
	routeClient                  // a farm, and a path of its back ends
	routeServer                  // the server side: enablers
	routeStray                   // an enabler's call to another URL: no client's request, though it names a farm
)

// route says where a request is for. farm and path alias the request or the shard's scratch.
type route struct {
	kind routeKind
	farm []byte // decoded; empty when the URL names none
	path []byte // origin form, for the back end
	base []byte // what of the path leads to the farm, as it came: cookies are for it
	bare bool   // nothing but a query follows the prefix
}

// route finds out what a request is for: by the prefix of its path; else by a field Ias-Rs-Farm; else by its host.
func (s *shard) route(q *http1.Request) route {
	path, cfg := q.Path, &s.view.cfg.Relay
	for _, p := range cfg.ClientPrefixes {
		if rest, ok := cutPrefix(path, p); ok {
			return s.routeClient(path, rest)
		}
	}
	for _, p := range cfg.ServerPrefixes {
		if rest, ok := cutPrefix(path, p); ok && (len(rest) == 0 || rest[0] == '?' || len(rest) == 1 || rest[1] == '?') {
			return route{kind: routeServer}
		}
	}
	if fieldValue(q.Fields, "ias-rs-op") != nil {
		return route{kind: routeStray}
	}
	if name, n := farmField(q.Fields); n > 0 {
		if n > 1 { // who looked at the request before us may have taken another one
			return route{}
		}
		return route{kind: routeClient, farm: name, path: path, base: path[:min(1, len(path))]}
	}
	if len(s.view.hosts) > 0 {
		if f := s.view.hosts[string(s.lowerHost(q.Host))]; f != nil {
			s.name = append(s.name[:0], f.conf.ID...)
			return route{kind: routeClient, farm: s.name, path: path, base: path[:min(1, len(path))]}
		}
	}
	return route{}
}

// noFarm says what is missing in a request that is for no farm.
func noFarm(to route) string {
	if to.kind == routeClient {
		return "The URL names no farm: one has to follow the prefix, as in PREFIX/FARM/PATH."
	}
	return "The URL names no farm: its path begins with no prefix of this relay server, and neither its host nor one field Ias-Rs-Farm is a farm's."
}

// farmField returns the value of Ias-Rs-Farm, and how many fields of that name have one.
func farmField(fields []http1.Field) (name []byte, n int) {
	const field = "ias-rs-farm"
	for i := range fields {
		f := &fields[i]
		if f.ID == http1.IDIasRs && len(f.Value) > 0 && len(f.Name) == len(field) && bytes.EqualFold(f.Name, []byte(field)) {
			name = f.Value
			n++
		}
	}
	return name, n
}

// lowerHost returns the name or the address in a Host field as config.HostName does, but leaves addresses as they are written. It stands in the
// shard's scratch.
func (s *shard) lowerHost(host []byte) []byte {
	host = cutPort(host)
	if n := len(host); n > 2 && host[0] == '[' {
		host = host[1 : n-1]
	}
	s.name = s.name[:0]
	for _, c := range bytes.TrimSuffix(host, []byte{'.'}) {
		s.name = append(s.name, lower(c))
	}
	return s.name
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// cutPort cuts the port off an authority, if there is one.
func cutPort(authority []byte) []byte {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		return authority[:i]
	}
	return authority
}

// cutPrefix removes a prefix that ends where a path segment does. Case does not matter: it never did on IIS.
func cutPrefix(path []byte, prefix string) (rest []byte, ok bool) {
	if len(path) < len(prefix) {
		return nil, false
	}
	for i, c := range path[:len(prefix)] {
		if c != prefix[i] && lower(c) != lower(prefix[i]) {
			return nil, false
		}
	}
	rest = path[len(prefix):]
	return rest, len(rest) == 0 || rest[0] == '/' || rest[0] == '?'
}

// routeClient reads /FARM/PATH, which is the rest of path behind the prefix.
func (s *shard) routeClient(path, rest []byte) route {
	if isBare(rest) {
		return route{kind: routeClient, bare: true}
	}
	rest = rest[1:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	name, tail := rest[:end], rest[end:]
	base := path[:len(path)-len(tail)]
	if bytes.IndexByte(name, '%') >= 0 {
		var ok bool
		if name, ok = s.decode(name); !ok {
			return route{kind: routeClient}
		}
	}
	if len(tail) == 0 || tail[0] == '?' { // no path: the root
		s.path = append(append(s.path[:0], '/'), tail...)
		tail = s.path
	}
	return route{kind: routeClient, farm: name, path: tail, base: base}
}

// decode resolves the percent escapes of a farm's name (RFC 3986, 2.1).
func (s *shard) decode(b []byte) ([]byte, bool) {
	s.name = s.name[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' {
			if i+2 >= len(b) {
				return nil, false
			}
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi < 0 || lo < 0 {
				return nil, false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		s.name = append(s.name, c)
	}
	return s.name, true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
