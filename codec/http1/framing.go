package http1

// maxOptions bounds the elements of all Connection fields of a head, since each costs a look at every other field.
const maxOptions = 32

// framing gathers, line by line, what the fields say about the body and the connection.
type framing struct {
	minor   int      // HTTP minor version of the message
	seen    fieldSet // fields that have come
	length  int64    // value of Content-Length, -1 without one
	options int      // elements of Connection; <= maxOptions
	chunked bool
	// What Connection names.
	close, keepAlive, upgrade bool
	// Whether Upgrade names WebSocket and nothing else.
	websocket bool
}

// note takes in one field.
func (m *framing) note(f *Field) *Error {
	again := m.seen.has(f.ID)
	m.seen |= 1 << f.ID
	switch f.ID {
	case IDContentLength:
		return m.noteLength(f.Value, again)
	case IDTransferEncoding:
		return m.noteCoding(f.Value, again)
	case IDConnection:
		return m.noteConnection(f.Value)
	case IDUpgrade:
		m.websocket = !again && equalFold(f.Value, "websocket")
	}
	return nil
}

// noteLength is RFC 9112, 6.3, stricter: there even a list of equal values may be taken for one.
func (m *framing) noteLength(value []byte, again bool) *Error {
	if again {
		return errTwoLengths
	}
	if len(value) == 0 || len(value) > 19 { // 19 digits do not overflow a uint64
		return errLength
	}
	n := uint64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLength
		}
		n = 10*n + uint64(c-'0')
	}
	if n > 1<<63-1 {
		return errLength
	}
	m.length = int64(n)
	return nil
}

// noteCoding is RFC 9112, 6.1.
func (m *framing) noteCoding(value []byte, again bool) *Error {
	switch {
	case m.minor == 0:
		return errTEOld
	case again:
		return errTransfer
	case equalFold(value, "chunked"):
		m.chunked = true
		return nil
	}
	coding, _ := nextElement(value)
	if isToken(coding) && !equalFold(coding, "chunked") {
		return errCoding
	}
	return errTransfer
}

// noteConnection is RFC 9110, 7.6.1.
func (m *framing) noteConnection(value []byte) *Error {
	for len(value) > 0 {
		if m.options++; m.options > maxOptions {
			return errOptions
		}
		var option []byte
		option, value = nextElement(value)
		switch {
		case equalFold(option, "close"):
			m.close = true
		case equalFold(option, "keep-alive"):
			m.keepAlive = true
		case equalFold(option, "upgrade"):
			m.upgrade = true
		}
	}
	return nil
}

// check judges what only the whole head can tell.
func (m *framing) check(fields []Field) *Error {
	if m.chunked && m.length >= 0 {
		return errTEAndCL // RFC 9112, 6.1: ought to be handled as an error
	}
	if m.chunked && m.seen.has(IDTrailer) {
		return checkAnnounced(fields)
	}
	return nil
}

// checkAnnounced refuses a Trailer field that announces framing (RFC 9110, 6.5.1).
func checkAnnounced(fields []Field) *Error {
	for i := range fields {
		if fields[i].ID != IDTrailer {
			continue
		}
		for list := fields[i].Value; len(list) > 0; {
			var name []byte
			name, list = nextElement(list)
			if equalFold(name, "content-length") || equalFold(name, "transfer-encoding") || equalFold(name, "trailer") {
				return errAnnounced
			}
		}
	}
	return nil
}

// persistent reports whether the sender keeps the connection open after this message (RFC 9112, 9.3).
func (m *framing) persistent() bool {
	return !m.close && (m.minor == 1 || m.keepAlive)
}

// parseVersion returns the minor version: HTTP/1.x of a start line (RFC 9112, 2.3).
func parseVersion(b []byte) (minor int, err *Error) {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" {
		return 0, errStartLine
	}
	if string(b[5:7]) == "1." && (b[7] == '0' || b[7] == '1') {
		return int(b[7] - '0'), nil
	}
	if b[5] >= '0' && b[5] <= '9' && b[6] == '.' && b[7] >= '0' && b[7] <= '9' {
		return 0, errVersion
	}
	return 0, errStartLine
}
