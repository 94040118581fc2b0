package relay

import (
	"bytes"
)

type routeKind uint8

const (
	routeNone   routeKind = iota // nothing of ours
	routeClient                  // a farm, and a path of its back ends
	routeServer                  // the server side: enablers
)

// route says where a request is for. farm and path alias the request or the shard's scratch.
type route struct {
	kind routeKind
	farm []byte // decoded; empty when the URL names none
	path []byte // origin form, for the back end
}

// route finds out what the path of a request, in origin form with its query, is for.
func (s *shard) route(path []byte) route {
	cfg := &s.view.cfg.Relay
	for _, p := range cfg.ClientPrefixes {
		if rest, ok := cutPrefix(path, p); ok {
			return s.routeClient(rest)
		}
	}
	for _, p := range cfg.ServerPrefixes {
		if rest, ok := cutPrefix(path, p); ok && (len(rest) == 0 || rest[0] == '?' || len(rest) == 1 || rest[1] == '?') {
			return route{kind: routeServer}
		}
	}
	return route{}
}

// cutPrefix removes a prefix that ends where a path segment does.
func cutPrefix(path []byte, prefix string) (rest []byte, ok bool) {
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return nil, false
	}
	rest = path[len(prefix):]
	return rest, len(rest) == 0 || rest[0] == '/' || rest[0] == '?'
}

// routeClient reads /FARM/PATH.
func (s *shard) routeClient(rest []byte) route {
	if len(rest) == 0 || rest[0] == '?' {
		return route{kind: routeClient}
	}
	rest = rest[1:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	name, tail := rest[:end], rest[end:]
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
	return route{kind: routeClient, farm: name, path: tail}
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
