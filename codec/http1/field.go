package http1

import "bytes"

// Field is one line of a header or trailer section. Name and Value alias the input; Value has no blanks around it.
type Field struct {
	Name, Value []byte
	ID          FieldID
}

// FieldID names the fields that a relay has to know. The name itself keeps the case in which it came.
type FieldID uint8

// The fields with a meaning to a relay; IDOther is every other one.
const (
	IDOther FieldID = iota
	IDHost
	IDContentLength
	IDTransferEncoding
	IDConnection
	IDKeepAlive
	IDProxyConnection
	IDProxyAuthenticate
	IDProxyAuthorization
	IDTE
	IDTrailer
	IDUpgrade
	IDExpect
	IDXForwardedFor   // also X_Forwarded_For, as a CGI-like back end takes both for one name
	IDXForwardedHost  // also with '_'
	IDXForwardedProto // also with '_'
	IDForwarded
	IDVia
	IDAuthorization
	IDWWWAuthenticate
	IDCookie
	IDSetCookie
	IDIasRs // every name that starts with Ias-Rs-, also with '_'
	IDSecWebSocketKey
	IDSecWebSocketVersion
	IDSecWebSocketAccept
	IDUserAgent
	IDContentType
	IDContentEncoding
	IDContentRange
	IDCacheControl
	IDMaxForwards
	IDPeerClaim    // X-Real-IP, X-Forwarded-Port and the like: other names of what X-Forwarded-* say; also with '_'
	IDClientCert   // Client-Cert and its kin: the certificate of a proxy's client (RFC 9440); also with '_'
	IDSSLClient    // SSL_CLIENT_CERT and its kin; also with '-'
	IDFramingAlias // Content_Length, Transfer_Encoding: refused in requests
)

// fieldSet is a set of FieldIDs.
type fieldSet uint64

func setOf(ids ...FieldID) (s fieldSet) {
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

func (s fieldSet) has(id FieldID) bool { return s>>id&1 != 0 }

type knownName struct {
	lower string
	id    FieldID
	alias FieldID // what the name is when '_' stands for a '-' in it
}

// knownNames is indexed by the length of the name.
var knownNames = [...][]knownName{
	2: {{"te", IDTE, IDOther}},
	3: {{"via", IDVia, IDOther}},
	4: {{"host", IDHost, IDOther}},
	6: {{"cookie", IDCookie, IDOther}, {"expect", IDExpect, IDOther}},
	7: {{"upgrade", IDUpgrade, IDOther}, {"trailer", IDTrailer, IDOther}},
	9: {{"forwarded", IDForwarded, IDOther}, {"x-real-ip", IDPeerClaim, IDPeerClaim}, {"client-ip", IDPeerClaim, IDPeerClaim}},
	8: {{"x-scheme", IDPeerClaim, IDPeerClaim}},
	10: {{"connection", IDConnection, IDOther}, {"user-agent", IDUserAgent, IDOther},
		{"keep-alive", IDKeepAlive, IDOther}, {"set-cookie", IDSetCookie, IDOther},
		{"ssl-cipher", IDSSLClient, IDSSLClient}},
	11: {{"client-cert", IDClientCert, IDClientCert}, {"x-client-ip", IDPeerClaim, IDPeerClaim}, {"x-remote-ip", IDPeerClaim, IDPeerClaim}, {"x-forwarded", IDPeerClaim, IDPeerClaim}},
	12: {{"x-url-scheme", IDPeerClaim, IDPeerClaim}, {"content-type", IDContentType, IDOther}, {"max-forwards", IDMaxForwards, IDOther}},
	13: {{"x-client-cert", IDClientCert, IDClientCert}, {"forwarded-for", IDPeerClaim, IDPeerClaim}, {"x-remote-addr", IDPeerClaim, IDPeerClaim}, {"authorization", IDAuthorization, IDOther}, {"cache-control", IDCacheControl, IDOther}, {"content-range", IDContentRange, IDOther}},
	14: {{"content-length", IDContentLength, IDFramingAlias}, {"true-client-ip", IDPeerClaim, IDPeerClaim}},
	15: {{"x-forwarded-for", IDXForwardedFor, IDXForwardedFor}, {"front-end-https", IDPeerClaim, IDPeerClaim}, {"proxy-client-ip", IDPeerClaim, IDPeerClaim}},
	16: {{"x-forwarded-host", IDXForwardedHost, IDXForwardedHost}, {"x-originating-ip", IDPeerClaim, IDPeerClaim}, {"proxy-connection", IDProxyConnection, IDOther},
		{"content-encoding", IDContentEncoding, IDOther}, {"www-authenticate", IDWWWAuthenticate, IDOther}},
	17: {{"transfer-encoding", IDTransferEncoding, IDFramingAlias}, {"x-forwarded-proto", IDXForwardedProto, IDXForwardedProto},
		{"sec-websocket-key", IDSecWebSocketKey, IDOther}, {"client-cert-chain", IDClientCert, IDClientCert}},
	18: {{"proxy-authenticate", IDProxyAuthenticate, IDOther}, {"wl-proxy-client-ip", IDPeerClaim, IDPeerClaim}},
	19: {{"proxy-authorization", IDProxyAuthorization, IDOther}, {"x-cluster-client-ip", IDPeerClaim, IDPeerClaim}},
	20: {{"sec-websocket-accept", IDSecWebSocketAccept, IDOther}},
	21: {{"sec-websocket-version", IDSecWebSocketVersion, IDOther}, {"ssl-cipher-usekeysize", IDSSLClient, IDSSLClient}},
	23: {{"x-forwarded-client-cert", IDClientCert, IDClientCert}},
	24: {{"x-original-forwarded-for", IDPeerClaim, IDPeerClaim}, {"x-envoy-external-address", IDPeerClaim, IDPeerClaim}},
}

const iasRsSessionID = "ias-rs-sessionid"

// LookupField returns the id of a field name, which must not be empty.
func LookupField(name []byte) FieldID {
	first := tokenLower[name[0]]
	if len(name) < len(knownNames) {
		candidates := knownNames[len(name)]
		for i := range candidates {
			k := &candidates[i]
			if k.lower[0] != first || !equalDash(name, k.lower) {
				continue
			}
			if k.id == k.alias || bytes.IndexByte(name, '_') < 0 {
				return k.id
			}
			return k.alias
		}
	}
	switch {
	case first == 'i' && beginsWith(name, "ias-rs-"):
		return IDIasRs
	case first == 's' && beginsWith(name, "ssl-client-"):
		return IDSSLClient
	case first == 'x' && beginsWith(name, "x-forwarded-"):
		return IDPeerClaim
	}
	return IDOther
}

// beginsWith tells whether more than prefix is there, which is in lower case; '_' stands for '-' as well.
func beginsWith(name []byte, prefix string) bool {
	return len(name) > len(prefix) && equalDash(name[:len(prefix)], prefix)
}

// cutLine finds the line at the front of in. n counts its bytes with the LF; 0 means that the line is not complete.
// The line may take up limit bytes, its end included; over is the error when it takes more.
func cutLine(in []byte, limit int, over *Error) (line []byte, n int, err *Error) {
	window := in
	if len(window) > limit {
		window = window[:limit]
	}
	i := bytes.IndexByte(window, '\n')
	switch {
	case i > 0 && window[i-1] == '\r':
		return window[:i-1], i + 1, nil
	case i >= 0:
		return nil, 0, errBareLF // RFC 9112, 2.2 allows to take it for an end of line; a back end may differ
	case len(in) >= limit:
		return nil, 0, over
	}
	return nil, 0, nil
}

// parse reads a line without its CRLF into f.
func (f *Field) parse(line []byte) *Error {
	if isBlank(line[0]) {
		return errFold // RFC 9112, 5.2 and 2.2
	}
	colon := tokenLen(line)
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return badName(line)
	}
	value := trimBlanks(line[colon+1:])
	if !validValue(value) {
		return errValue // RFC 9110, 5.5
	}
	f.Name, f.Value = line[:colon], value
	f.ID = LookupField(f.Name)
	return nil
}

// badName says what is wrong with a line that does not start with a token and a colon.
func badName(line []byte) *Error {
	colon := bytes.IndexByte(line, ':')
	switch {
	case colon < 0:
		return errNoColon
	case colon == 0:
		return errEmptyName
	case isBlank(line[colon-1]) && isToken(trimBlanks(line[:colon])):
		return errBlankColon // RFC 9112, 5.1
	}
	return errName
}

// section reads field lines one after the other.
type section struct {
	// Fixed at the start.
	limit int    // bytes that the section may take, the empty line included
	count int    // lines that it may have
	over  *Error // what more bytes are
	// Changed by next.
	fields []Field
}

// next reads the line at the front of in. n == 0 means that it is not complete; f == nil that it is the empty line, after
// which the section is over.
func (s *section) next(in []byte) (f *Field, n int, err *Error) {
	line, n, err := cutLine(in, s.limit, s.over)
	if n == 0 || err != nil {
		return nil, 0, err
	}
	s.limit -= n
	if len(line) == 0 {
		return nil, n, nil
	}
	if len(s.fields) >= s.count {
		return nil, 0, errFieldCount
	}
	s.fields = append(s.fields, Field{})
	f = &s.fields[len(s.fields)-1]
	if err := f.parse(line); err != nil {
		return nil, 0, err
	}
	return f, n, nil
}
