package oes

import (
	"bytes"
	"strconv"

	"roundhouse/codec/frame"
)

// The byte in front of a reply, in every mode but JD3.
const (
	prefixOK     = '0'
	prefixFailed = '1'
)

// AppendReply appends a whole frame: header, prefix when prefixed, code, delimiter, each field and its delimiter. A field must not hold
// frame.Delimiter, but for an only one. The payload has at most frame.MaxSize bytes: more is a bug of the caller.
func AppendReply(dst []byte, prefixed bool, code int, fields ...string) []byte {
	size := 0
	for _, field := range fields {
		size += len(field) + delimiterLen
	}
	dst = AppendReplyHead(dst, prefixed, code, size)
	for _, field := range fields {
		dst = append(append(dst, field...), frame.Delimiter)
	}
	return dst
}

// AppendReplyBytes is AppendReply for one field, of any bytes.
func AppendReplyBytes(dst []byte, prefixed bool, code int, body []byte) []byte {
	dst = AppendReplyHead(dst, prefixed, code, len(body)+delimiterLen)
	return frame.AppendField(dst, body)
}

// AppendReplyHead appends header, prefix when prefixed, code and delimiter of a reply whose fields, delimiters included, have size
// bytes in all: those the caller appends.
func AppendReplyHead(dst []byte, prefixed bool, code, size int) []byte {
	size += codeLen(code) + delimiterLen
	if !prefixed {
		dst = frame.AppendHeader(dst, size)
	} else {
		dst = append(frame.AppendHeader(dst, size+1), prefixOf(code))
	}
	return append(strconv.AppendInt(dst, int64(code), 10), frame.Delimiter)
}

func prefixOf(code int) byte {
	if code == Failed {
		return prefixFailed
	}
	return prefixOK
}

// ParseReply reads the payload of a server's frame. Body aliases payload; it is empty when there is no field, or one empty field. A
// missing final delimiter is taken, as in commands.
//
// Errors: codec.ErrMalformed, for a code that no reply has, and for a prefix that is missing, not wanted, or not that of the code. No
// payload is right both with and without a prefix.
func ParseReply(payload []byte, prefixed bool) (Reply, error) {
	b := payload
	if prefixed {
		if len(b) == 0 {
			return Reply{}, malformed("reply without a prefix", payload)
		}
		b = b[1:]
	}
	head, body, _ := bytes.Cut(b, []byte{frame.Delimiter})
	code, ok := replyCode(head)
	if !ok {
		return Reply{}, malformed("reply with an unknown code", payload)
	}
	if prefixed && payload[0] != prefixOf(code) {
		return Reply{}, malformed("reply whose prefix is not that of its code", payload)
	}
	if n := len(body); n > 0 && body[n-1] == frame.Delimiter {
		body = body[: n-1 : n-1]
	}
	return Reply{code, body}, nil
}

func replyCode(head []byte) (code int, ok bool) {
	switch string(head) {
	case "0":
		return Done, true
	case "1":
		return Failed, true
	case "2":
		return Output, true
	case "5":
		return Info, true
	case "18":
		return Working, true
	case "19":
		return Ask, true
	}
	return 0, false
}
