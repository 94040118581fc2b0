package http1

import "bytes"

// appendIdentity appends the fields that tell the back end who asks, and for what: X-Forwarded-* and Forwarded (RFC 7239).
func appendIdentity(dst []byte, r *Request, f *Forward) []byte {
	var known []Field // what a trusted proxy said before us
	if f.Trusted {
		known = r.Fields
	}
	var kept bool
	dst = append(dst, "X-Forwarded-For: "...)
	dst, _ = appendJoined(dst, known, IDXForwardedFor, true)
	if len(f.RemoteIP) == 0 {
		dst = append(dst, "unknown"...)
	}
	dst = append(dst, f.RemoteIP...)
	dst = append(dst, "\r\nX-Forwarded-Host: "...)
	if dst, kept = appendJoined(dst, known, IDXForwardedHost, false); !kept {
		dst = appendHost(dst, r, f)
	}
	dst = append(dst, "\r\nX-Forwarded-Proto: "...)
	if dst, kept = appendJoined(dst, known, IDXForwardedProto, false); !kept {
		dst = append(dst, f.Proto...)
	}
	dst = append(dst, "\r\nForwarded: "...)
	dst, _ = appendJoined(dst, known, IDForwarded, true)
	dst = appendForwarded(dst, r, f)
	return append(dst, '\r', '\n')
}

// appendJoined appends the values of all fields with id as one list, and a comma after it if more follows. A name that is
// spelled with '_' is left out: a proxy that appends to the proper field passes on the other as its client sent it.
func appendJoined(dst []byte, fields []Field, id FieldID, more bool) ([]byte, bool) {
	any := false
	for i := range fields {
		f := &fields[i]
		if f.ID != id || len(f.Value) == 0 || bytes.IndexByte(f.Name, '_') >= 0 {
			continue
		}
		if any {
			dst = append(dst, ", "...)
		}
		dst = append(dst, f.Value...)
		any = true
	}
	if any && more {
		dst = append(dst, ", "...)
	}
	return dst, any
}

// appendForwarded appends one element of Forwarded (RFC 7239, 4).
func appendForwarded(dst []byte, r *Request, f *Forward) []byte {
	dst = append(dst, "for="...)
	switch {
	case len(f.RemoteIP) == 0:
		dst = append(dst, "unknown"...) // RFC 7239, 6.2
	case bytes.IndexByte(f.RemoteIP, ':') >= 0:
		dst = append(dst, `"[`...) // RFC 7239, 6.1
		dst = append(dst, f.RemoteIP...)
		dst = append(dst, `]"`...)
	default:
		dst = append(dst, f.RemoteIP...)
	}
	start := len(dst)
	dst = append(dst, ";host="...)
	value := len(dst)
	dst = appendHost(dst, r, f)
	switch host := dst[value:]; {
	case len(host) == 0:
		dst = dst[:start]
	case !isToken(host): // a colon or a bracket; an authority holds neither quote nor backslash
		dst = append(dst, "\"\""...)
		copy(dst[value+1:], dst[value:len(dst)-2])
		dst[value] = '"'
	}
	dst = append(dst, ";proto="...)
	return append(dst, f.Proto...)
}

// appendVia appends our hop to the list of those before it (RFC 9110, 7.6.3), as far as that is believed.
func appendVia(dst []byte, fields []Field, via string, believed bool) []byte {
	if via == "" {
		return dst
	}
	dst = append(dst, "Via: "...)
	if believed {
		dst, _ = appendJoined(dst, fields, IDVia, true)
	}
	dst = append(dst, via...)
	return append(dst, '\r', '\n')
}
