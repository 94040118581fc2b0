package natswire

import (
	"bytes"
	"fmt"

	"roundhouse/codec"
)

// headerVersion begins every header block.
const headerVersion = "NATS/1.0"

// StatusNoResponders is the status of an answer that says that nobody has subscribed to the subject of a request.
const StatusNoResponders = 503

// AppendHeaderLine appends the first line of a header block; status == 0 means that it has none, and text may be empty. Fields and
// AppendHeaderEnd follow.
func AppendHeaderLine(dst []byte, status int, text string) []byte {
	dst = append(dst, headerVersion...)
	if status > 0 {
		dst = append(dst, ' ')
		dst = AppendUint(dst, uint64(status))
		if text != "" {
			dst = append(dst, ' ')
			dst = append(dst, text...)
		}
	}
	return append(dst, '\r', '\n')
}

// AppendHeaderField appends a line of a header block. Neither part may have an end of line, and key no colon.
func AppendHeaderField(dst []byte, key string, value []byte) []byte {
	dst = append(dst, key...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}

// AppendHeaderEnd ends a header block.
func AppendHeaderEnd(dst []byte) []byte { return append(dst, '\r', '\n') }

// AppendNoResponders appends the message that tells a requester, which waits at reply with the subscription sid, that nobody has
// subscribed to subject.
func AppendNoResponders(dst, reply, sid, subject []byte) []byte {
	const status, field = "NATS/1.0 503\r\n", "Nats-Subject: "
	size := uint64(len(status) + len(field) + len(subject) + 4)
	dst = append(dst, "HMSG "...)
	dst = append(dst, reply...)
	dst = append(dst, ' ')
	dst = append(dst, sid...)
	dst = append(dst, ' ')
	dst = AppendUint(dst, size)
	dst = append(dst, ' ')
	dst = AppendUint(dst, size)
	dst = append(dst, "\r\n"+status+field...)
	dst = append(dst, subject...)
	return append(dst, "\r\n\r\n\r\n"...)
}

// ParseHeader reads the first line of a header block. status is 0 when there is none; fields is what NextField takes.
//
// It returns codec.ErrMalformed when block does not begin with a line of this version or does not end with an empty one.
func ParseHeader(block []byte) (status int, text, fields []byte, err error) {
	line, rest, found := bytes.Cut(block, []byte("\r\n"))
	line, version := bytes.CutPrefix(line, []byte(headerVersion))
	if !found || !version || !bytes.HasSuffix(block, []byte("\r\n\r\n")) {
		return 0, nil, nil, fmt.Errorf("natswire: header block of %d bytes: %w", len(block), codec.ErrMalformed)
	}
	if len(line) > 0 && !isBlank(line[0]) {
		return 0, nil, nil, fmt.Errorf("natswire: header version: %w", codec.ErrMalformed)
	}
	if line = bytes.Trim(line, " \t"); len(line) > 0 {
		code, after, _ := bytes.Cut(line, []byte(" "))
		if status = parseSize(code); status < 0 {
			return 0, nil, nil, fmt.Errorf("natswire: header status of %d bytes: %w", len(code), codec.ErrMalformed)
		}
		text = bytes.TrimLeft(after, " \t")
	}
	return status, text, rest, nil
}

// NextField reads the field at the front of what ParseHeader has left, and returns what follows it. rest is empty after the last
// one; a key is nil when there is none. Blanks around the value do not belong to it. codec.ErrMalformed: a line has no colon or no
// key.
func NextField(fields []byte) (key, value, rest []byte, err error) {
	line, rest, found := bytes.Cut(fields, []byte("\r\n"))
	if !found || len(line) == 0 {
		return nil, nil, nil, nil
	}
	key, value, found = bytes.Cut(line, []byte(":"))
	if !found || len(key) == 0 {
		return nil, nil, nil, fmt.Errorf("natswire: header field of %d bytes: %w", len(line), codec.ErrMalformed)
	}
	return key, bytes.Trim(value, " \t"), rest, nil
}
