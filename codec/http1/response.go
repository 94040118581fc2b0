package http1

// BodyKind says how the end of a response's body is found (RFC 9112, 6.3).
type BodyKind uint8

// The kinds of bodies.
const (
	BodyNone       BodyKind = iota // 1xx, 204, 304, and whatever answers HEAD
	BodyLength                     // ContentLength bytes
	BodyChunked                    // see Chunked
	BodyUntilClose                 // all that comes
)

// Response is the head of a response. Its slices alias the bytes that Parse was given.
type Response struct {
	ReasonPhrase  []byte // may be empty
	Fields        []Field
	ContentLength int64 // as declared, also for HEAD and 304; -1 when unknown, with BodyChunked, and for 1xx and 204
	Status        int   // 100 to 599
	Minor         int   // 0 or 1
	Body          BodyKind
	KeepAlive     bool // the back end can take another request on this connection
	Upgrade       bool // 101 to WebSocket
}

// Parse reads the head at the front of in; head says that it answers a HEAD request. n == 0 with a nil error means that
// the head is not complete; nothing is kept then, and the next call must see the same bytes again with more after them.
// Every error is an *Error with Status 502. Fields keeps its backing array from one Parse to the next.
func (r *Response) Parse(in []byte, lim *Limits, head bool) (n int, err error) {
	n, refusal := r.parse(in, lim, head)
	if refusal != nil {
		return 0, refusal.gateway
	}
	return n, nil
}

func (r *Response) parse(in []byte, lim *Limits, head bool) (int, *Error) {
	*r = Response{Fields: r.Fields[:0]}
	line, pos, err := startLine(in, lim)
	if pos == 0 || err != nil {
		return 0, err
	}
	if err := r.parseLine(line); err != nil {
		return 0, err
	}
	m := framing{minor: r.Minor, length: -1}
	s := section{limit: lim.Head - pos, count: lim.Fields, over: errHeadTooBig, fields: r.Fields}
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
		if err := m.note(f); err != nil {
			return 0, err
		}
	}
	r.Fields = s.fields
	if err := r.finish(&m, head); err != nil {
		return 0, err
	}
	return pos, nil
}

// parseLine reads version SP status [ SP [ reason ] ]. RFC 9112, 4 demands the second blank; many omit it.
func (r *Response) parseLine(line []byte) *Error {
	const status = len("HTTP/1.1 ")
	if len(line) < status+3 || line[status-1] != ' ' {
		return errStartLine
	}
	var err *Error
	if r.Minor, err = parseVersion(line[:status-1]); err != nil {
		return err
	}
	for _, c := range line[status : status+3] {
		if c < '0' || c > '9' {
			return errStartLine
		}
		r.Status = 10*r.Status + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return errStartLine // RFC 9110, 15
	}
	rest := line[status+3:]
	if len(rest) == 0 {
		return nil
	}
	if rest[0] != ' ' || !validValue(rest) {
		return errStartLine
	}
	r.ReasonPhrase = rest[1:]
	return nil
}

// finish judges the whole and sets what follows from it (RFC 9112, 6.3).
func (r *Response) finish(m *framing, head bool) *Error {
	if err := m.check(r.Fields); err != nil {
		return err
	}
	r.KeepAlive = m.persistent()
	r.ContentLength = m.length
	switch {
	case r.Status < 200:
		return r.finishInterim(m)
	case r.Status == 204:
		// RFC 9110, 8.6 and RFC 9112, 6.1 forbid both fields here. A back end that sends them may send a body as well.
		r.KeepAlive = r.KeepAlive && !m.chunked && m.length <= 0
		r.ContentLength = -1
	case r.Status == 304 || head:
		r.Body = BodyNone
	case m.chunked:
		r.Body = BodyChunked
	case m.length >= 0:
		r.Body = BodyLength
	default:
		r.Body, r.KeepAlive = BodyUntilClose, false
	}
	return nil
}

func (r *Response) finishInterim(m *framing) *Error {
	r.ContentLength = -1
	if m.chunked {
		return errTEInterim
	}
	if r.Status != 101 {
		return nil
	}
	if r.Minor == 0 || !m.websocket || !m.upgrade {
		return errUpgrade // RFC 9110, 15.2.2
	}
	r.Upgrade, r.KeepAlive = true, false
	return nil
}
