package http1

import "bytes"

// Request is the head of a request. Its slices alias the bytes that Parse was given.
type Request struct {
	Method, Target []byte // as received
	Path           []byte // Target in origin form, query included: "/a?b", or "*"
	Host           []byte // of Host, or of an absolute target in HTTP/1.0; may be empty for "*" and in HTTP/1.0
	Fields         []Field
	ContentLength  int64 // bytes of the body; 0 without one, -1 with Chunked
	Minor          int   // 0 or 1

	Chunked    bool
	KeepAlive  bool // the client can send another request on this connection
	Expect100  bool // the client waits for 100 (Continue) before it sends the body, and there is a body
	Upgrade    bool // a complete WebSocket handshake (RFC 6455, 4.1)
	Head       bool // the answer has no body
	Idempotent bool // by its method (RFC 9110, 9.2.2)
}

// Parse reads the head at the front of in. n == 0 with a nil error means that it is not complete; nothing is kept then,
// and the next call must see the same bytes again with more after them. Every error is an *Error.
// One empty line before the head is passed over (RFC 9112, 2.2) and counted in n.
// Fields keeps its backing array from one Parse to the next.
func (r *Request) Parse(in []byte, lim *Limits) (n int, err error) {
	n, refusal := r.parse(in, lim)
	if refusal != nil {
		return 0, refusal
	}
	return n, nil
}

func (r *Request) parse(in []byte, lim *Limits) (int, *Error) {
	*r = Request{Fields: r.Fields[:0]}
	pos, err := skipEmptyLine(in)
	if err != nil || pos == len(in) {
		return 0, err
	}
	line, n, err := startLine(in[pos:], lim)
	if n == 0 || err != nil {
		return 0, err
	}
	if err := r.parseLine(line); err != nil {
		return 0, err
	}
	pos += n
	m := framing{minor: r.Minor, length: -1}
	s := section{limit: lim.Head - n, count: lim.Fields, over: errHeadTooBig, fields: r.Fields}
	for {
		f, n, err := s.next(in[pos:])
		if n == 0 || err != nil {
			r.Fields = s.fields[:0]
			return 0, err
		}
		pos += n
		if f == nil {
			break
		}
		if f.ID == IDOther {
			continue
		}
		if err := r.note(&m, f); err != nil {
			return 0, err
		}
	}
	r.Fields = s.fields
	if err := r.finish(&m); err != nil {
		return 0, err
	}
	return pos, nil
}

// skipEmptyLine returns 2 if in starts with CRLF and 0 if it does not. len(in) means that more is needed to tell.
func skipEmptyLine(in []byte) (int, *Error) {
	switch {
	case len(in) == 0 || in[0] != '\r':
		return 0, nil
	case len(in) == 1:
		return 1, nil
	case in[1] != '\n':
		return 0, errStartLine
	}
	return 2, nil
}

// startLine cuts off the first line, within its own limit and that of the head.
func startLine(in []byte, lim *Limits) (line []byte, n int, err *Error) {
	if lim.RequestLine+2 <= lim.Head {
		return cutLine(in, lim.RequestLine+2, errLineTooLong)
	}
	return cutLine(in, lim.Head, errHeadTooBig)
}

// parseLine reads method SP target SP version (RFC 9112, 3).
func (r *Request) parseLine(line []byte) *Error {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 {
		return errStartLine
	}
	j := bytes.IndexByte(line[i+1:], ' ')
	if j <= 0 {
		return errStartLine
	}
	r.Method, r.Target = line[:i], line[i+1:i+1+j]
	if !isToken(r.Method) {
		return errMethod
	}
	var err *Error
	if r.Minor, err = parseVersion(line[i+j+2:]); err != nil {
		return err
	}
	switch string(r.Method) {
	case "CONNECT", "TRACE":
		return errNotAllowed
	case "HEAD":
		r.Head, r.Idempotent = true, true
	case "GET", "OPTIONS", "PUT", "DELETE":
		r.Idempotent = true
	}
	return r.parseTarget()
}

var asterisk = []byte("*")

// parseTarget sets Path, and Host for the absolute form (RFC 9112, 3.2).
func (r *Request) parseTarget() *Error {
	target := r.Target
	options := string(r.Method) == "OPTIONS"
	if target[0] == '/' {
		r.Path = target
		return checkPath(target)
	}
	if len(target) == 1 && target[0] == '*' {
		if !options {
			return errTargetForm
		}
		r.Path = target
		return nil
	}
	var skip int
	switch {
	case len(target) > 7 && equalScheme(target[:7], "http://"):
		skip = 7
	case len(target) > 8 && equalScheme(target[:8], "https://"):
		skip = 8
	default:
		if checkPath(target) != nil {
			return errTarget
		}
		return errTargetForm
	}
	r.Host = target[skip:]
	r.Path = target[skip-1 : skip] // the second slash of "//" stands for an empty path
	if slash := bytes.IndexByte(r.Host, '/'); slash >= 0 {
		r.Path = r.Host[slash:]
		r.Host = r.Host[:slash]
	} else if options {
		r.Path = asterisk // RFC 9112, 3.2.4
	}
	if !validAuthority(r.Host) { // also refuses "?" directly after the authority
		return errTarget
	}
	return checkPath(r.Path)
}

// equalScheme compares without case; the colon and the slashes are no letters.
func equalScheme(b []byte, lower string) bool {
	for i, c := range b {
		if c != lower[i] && (c|0x20 != lower[i] || c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// checkPath judges the bytes of a path with its query. A percent sign in the path must start an escape, as routers
// decode paths; a query is decoded by nobody on the way.
func checkPath(b []byte) *Error {
	inQuery := false
	for i, c := range b {
		switch targetClass[c] {
		case targetPlain:
		case targetQuery:
			inQuery = true
		case targetPercent:
			if !inQuery && (i+2 >= len(b) || hexValue[b[i+1]] == 0xFF || hexValue[b[i+2]] == 0xFF) {
				return errTarget
			}
		default:
			return errTarget
		}
	}
	return nil
}

// note takes in one field that matters.
func (r *Request) note(m *framing, f *Field) *Error {
	again := m.seen.has(f.ID)
	if err := m.note(f); err != nil {
		return err
	}
	switch f.ID {
	case IDHost:
		if again {
			return errTwoHosts
		}
		return r.noteHost(f.Value)
	case IDExpect:
		if !equalFold(f.Value, "100-continue") {
			return errExpect // RFC 9110, 10.1.1
		}
		r.Expect100 = true
	case IDFramingAlias:
		return errAlias
	case IDSecWebSocketKey:
		if again || !validKey(f.Value) {
			return errUpgrade // RFC 6455, 11.3.1
		}
	case IDSecWebSocketVersion:
		if again || string(f.Value) != "13" {
			return errUpgrade
		}
	}
	return nil
}

// noteHost is RFC 9112, 3.2 and 3.2.2, stricter: there the authority of an absolute target wins.
func (r *Request) noteHost(value []byte) *Error {
	if len(value) == 0 && string(r.Path) == "*" && len(r.Host) == 0 {
		return nil // the target has no authority that Host could repeat
	}
	if !validAuthority(value) {
		return errHost
	}
	if len(r.Host) > 0 && !bytes.EqualFold(r.Host, value) {
		return errHostDiffer
	}
	r.Host = value
	return nil
}

// validKey reports whether b is the base64 form of 16 bytes (RFC 6455, 4.1).
func validKey(b []byte) bool {
	if len(b) != 24 || b[22] != '=' || b[23] != '=' {
		return false
	}
	for _, c := range b[:22] {
		lower := c | 0x20
		if (lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// finish judges the whole and sets what follows from it.
func (r *Request) finish(m *framing) *Error {
	if r.Minor == 1 && !m.seen.has(IDHost) {
		return errNoHost
	}
	if err := m.check(r.Fields); err != nil {
		return err
	}
	r.Chunked = m.chunked
	r.ContentLength = m.length
	if m.length < 0 && !m.chunked {
		r.ContentLength = 0 // RFC 9112, 6.3, rule 7
	}
	r.KeepAlive = m.persistent()
	r.Expect100 = r.Expect100 && r.Minor == 1 && r.ContentLength != 0 // RFC 9110, 10.1.1: ignored in HTTP/1.0
	if !m.seen.has(IDUpgrade) || r.Minor == 0 {                       // RFC 9110, 7.8: ignored in HTTP/1.0
		return nil
	}
	if !m.websocket || !m.upgrade || r.ContentLength != 0 || string(r.Method) != "GET" ||
		!m.seen.has(IDSecWebSocketKey) || !m.seen.has(IDSecWebSocketVersion) {
		return errUpgrade
	}
	r.Upgrade = true
	return nil
}
