package http1

import (
	"bytes"
	"strconv"
)

// Forward says how a request is written anew for the next hop.
type Forward struct {
	Path        []byte // the new target: origin form, or "*"
	RemoteIP    []byte // the peer's address without port or brackets; empty is "unknown"
	DefaultHost string // Host for a request that has none (HTTP/1.0); "invalid" stands in when it is no authority
	Proto       string // "http" or "https": how the peer came to us
	Via         string // "1.1 roundhouse"; empty adds no Via
	Extra       []byte // complete lines to add, each with its CRLF
	Trusted     bool   // the peer is a trusted proxy: its identity fields and its Via are kept and appended to
	ClientCert  bool   // the peer may say which certificate its client has: SSL_CLIENT_CERT and its kin are kept
}

// Answer says how a response is written anew for the client.
type Answer struct {
	Via         string // "1.1 roundhouse"; empty adds no Via
	Extra       []byte // complete lines to add, each with its CRLF
	Minor       int    // the client's HTTP minor version, 0 or 1; for 0 nothing is chunked, see CloseDelimited
	Close       bool   // say that the connection ends after this message
	KeepAlive10 bool   // say to an HTTP/1.0 client that the connection stays open, if the body allows it
}

// hopByHop is never copied, whatever Connection names: RFC 9110, 7.6.1, and what is written anew.
var hopByHop = setOf(IDContentLength, IDTransferEncoding, IDConnection, IDKeepAlive, IDProxyConnection,
	IDProxyAuthenticate, IDProxyAuthorization, IDTE, IDUpgrade)

// identity is what a client could use to pass for another.
var identity = setOf(IDXForwardedFor, IDXForwardedHost, IDXForwardedProto, IDForwarded)

// notInRequest is not copied from one request to the next.
var notInRequest = hopByHop | identity | setOf(IDHost, IDExpect, IDVia)

// protected fields stay even if Connection names them: otherwise a client could take from the back end what the relay or
// its own user relies on.
var protected = identity | setOf(IDHost, IDContentLength, IDAuthorization, IDCookie, IDSetCookie, IDVia, IDTrailer,
	IDIasRs, IDPeerClaim, IDClientCert, IDSSLClient, IDSecWebSocketKey, IDSecWebSocketVersion, IDSecWebSocketAccept)

// AppendRequest appends the head of r as it is sent to the next hop, the empty line included. r must have been parsed
// without error; the caller may have removed fields from r.Fields. Order, case and values of the fields that stay are kept.
func AppendRequest(dst []byte, r *Request, f *Forward) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, f.Path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = appendHost(dst, r, f)
	dst = append(dst, '\r', '\n')
	var seen fieldSet
	named := namesFields(r.Fields)
	for i := range r.Fields {
		field := &r.Fields[i]
		if field.ID != IDOther {
			seen |= 1 << field.ID
			if notInRequest.has(field.ID) || !keepsSpecial(field, r, f) {
				continue
			}
		}
		if named && removedByName(r.Fields, field) {
			continue
		}
		dst = appendField(dst, field)
	}
	dst = appendRequestFraming(dst, r, seen)
	if seen.has(IDTE) && acceptsTrailers(r.Fields) {
		dst = append(dst, "TE: trailers\r\n"...)
	}
	dst = appendIdentity(dst, r, f)
	dst = appendVia(dst, r.Fields, f.Via, f.Trusted && seen.has(IDVia))
	dst = append(dst, f.Extra...)
	return append(dst, '\r', '\n')
}

// keepsSpecial judges the fields that are copied sometimes.
func keepsSpecial(f *Field, r *Request, to *Forward) bool {
	switch f.ID {
	case IDIasRs:
		return equalFold(f.Name, iasRsSessionID)
	case IDTrailer:
		return r.Chunked
	case IDPeerClaim: // few proxies know the other names, and any passes one that does not; so do names that are spelled with '_'
		return to.Trusted && bytes.IndexByte(f.Name, '_') < 0 && beginsWith(f.Name, "x-forwarded-")
	case IDClientCert:
		return (to.Trusted || to.ClientCert) && bytes.IndexByte(f.Name, '_') < 0
	case IDSSLClient: // here it is the other way round
		return to.ClientCert && bytes.IndexByte(f.Name, '-') < 0
	}
	return true
}

func appendHost(dst []byte, r *Request, f *Forward) []byte {
	if len(r.Host) > 0 {
		return append(dst, r.Host...)
	}
	start := len(dst)
	dst = append(dst, f.DefaultHost...)
	if !validAuthority(dst[start:]) {
		return append(dst[:start], "invalid"...) // RFC 6761, 6.4: a name that nobody has
	}
	return dst
}

// appendRequestFraming appends what says where the body ends and what becomes of the connection.
func appendRequestFraming(dst []byte, r *Request, seen fieldSet) []byte {
	switch {
	case r.Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength > 0 || seen.has(IDContentLength) || expectsBody(r.Method):
		dst = appendLength(dst, r.ContentLength)
	}
	if r.Expect100 {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	if r.Upgrade {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	return dst
}

// expectsBody is RFC 9110, 8.6: without a body these methods should say Content-Length: 0.
func expectsBody(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}

// acceptsTrailers looks for "trailers" in TE (RFC 9110, 10.1.4).
func acceptsTrailers(fields []Field) bool {
	for i := range fields {
		if fields[i].ID == IDTE && hasElement(fields[i].Value, "trailers") {
			return true
		}
	}
	return false
}

// AppendResponse appends the head of r as it is sent to the client, the empty line included. r must have been parsed
// without error; the caller may have removed fields from r.Fields. Order, case and values of the fields that stay are kept.
func AppendResponse(dst []byte, r *Response, a *Answer) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, r.ReasonPhrase...)
	dst = append(dst, '\r', '\n')
	var seen fieldSet
	drop := hopByHop
	if a.Via != "" {
		drop |= setOf(IDVia) // joined with ours
	}
	if a.Minor == 0 || r.Body != BodyChunked {
		drop |= setOf(IDTrailer)
	}
	named := namesFields(r.Fields)
	for i := range r.Fields {
		field := &r.Fields[i]
		seen |= 1 << field.ID
		if drop.has(field.ID) || named && removedByName(r.Fields, field) {
			continue
		}
		dst = appendField(dst, field)
	}
	dst = appendResponseFraming(dst, r, a)
	dst = appendVia(dst, r.Fields, a.Via, seen.has(IDVia))
	dst = append(dst, a.Extra...)
	return append(dst, '\r', '\n')
}

// CloseDelimited reports whether the body of r, written as a says, ends where the connection does: the client knows no
// chunks (RFC 9112, 6.1) and the length is unknown.
func CloseDelimited(r *Response, a *Answer) bool {
	return a.Minor == 0 && (r.Body == BodyChunked || r.Body == BodyUntilClose)
}

// appendResponseFraming appends what says where the body ends and what becomes of the connection.
func appendResponseFraming(dst []byte, r *Response, a *Answer) []byte {
	if r.Status < 200 {
		if r.Upgrade {
			dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
		}
		return dst
	}
	switch {
	case r.Status == 204: // RFC 9110, 8.6
	case r.Body == BodyLength, r.Body == BodyNone && r.ContentLength >= 0:
		dst = appendLength(dst, r.ContentLength)
	case a.Minor == 1 && (r.Body == BodyChunked || r.Body == BodyUntilClose):
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case a.Close || CloseDelimited(r, a):
		dst = append(dst, "Connection: close\r\n"...)
	case a.Minor == 0 && a.KeepAlive10:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func appendField(dst []byte, f *Field) []byte {
	dst = append(dst, f.Name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, f.Value...)
	return append(dst, '\r', '\n')
}

// namesFields reports whether some Connection field names something that could be a field of its own.
func namesFields(fields []Field) bool {
	for i := range fields {
		if fields[i].ID != IDConnection {
			continue
		}
		for list := fields[i].Value; len(list) > 0; {
			var option []byte
			option, list = nextElement(list)
			if !equalFold(option, "keep-alive") && !equalFold(option, "close") && !equalFold(option, "upgrade") {
				return true
			}
		}
	}
	return false
}

// removedByName reports whether a Connection field names f and may do so (RFC 9110, 7.6.1).
func removedByName(fields []Field, f *Field) bool {
	if protected.has(f.ID) {
		return false
	}
	for i := range fields {
		if fields[i].ID != IDConnection {
			continue
		}
		for list := fields[i].Value; len(list) > 0; {
			var option []byte
			option, list = nextElement(list)
			if len(option) == len(f.Name) && bytes.EqualFold(option, f.Name) {
				return true
			}
		}
	}
	return false
}
