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
	if name := fieldValue(q.Fields, "ias-rs-farm"); len(name) > 0 {
		return route{kind: routeClient, farm: name, path: path, base: path[:min(1, len(path))]}
	}
	if len(s.view.hosts) > 0 {
		if f := s.view.hosts[string(s.lowerHost(q.Host))]; f != nil {
			return route{kind: routeClient, farm: []byte(f.conf.ID), path: path, base: path[:min(1, len(path))]}
		}
	}
	return route{}
}

// lowerHost returns the name in a Host field, without the port, in lower case. It stands in the shard's scratch.
func (s *shard) lowerHost(host []byte) []byte {
	s.name = s.name[:0]
	for _, c := range cutPort(host) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.name = append(s.name, c)
	}
	return s.name
}

// cutPort cuts the port off an authority, if there is one.
func cutPort(authority []byte) []byte {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		return authority[:i]
	}
	return authority
}

// cutPrefix removes a prefix that ends where a path segment does.
func cutPrefix(path []byte, prefix string) (rest []byte, ok bool) {
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return nil, false
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
