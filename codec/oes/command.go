package oes

import (
	"bytes"
	"strconv"

	"roundhouse/codec/frame"
)

// ParseCommand cuts the code off the payload of a client's frame. fields is the rest, each field ended by frame.Delimiter, which the
// last one may lack; see frame.Cut. It aliases payload and is empty when there is no field.
//
// The code is one to three digits with an optional minus; which codes exist is the caller's to know. Leading zeros count as digits.
// Errors: codec.ErrMalformed.
func ParseCommand(payload []byte) (code int, fields []byte, err error) {
	return parseCommand(payload, frame.Delimiter)
}

// ParseSubcommand is ParseCommand for one field of a phantom command, whose parts end with frame.SubDelimiter; see frame.CutSub.
func ParseSubcommand(field []byte) (code int, parts []byte, err error) {
	return parseCommand(field, frame.SubDelimiter)
}

func parseCommand(b []byte, delimiter byte) (code int, fields []byte, err error) {
	i, sign := 0, 1
	if len(b) > 0 && b[0] == '-' {
		i, sign = 1, -1
	}
	first := i
	for ; i < len(b) && b[i] != delimiter; i++ {
		if b[i] < '0' || b[i] > '9' || i-first == maxDigits {
			return 0, nil, malformed("code of a command is not one to three digits", b)
		}
		code = 10*code + int(b[i]-'0') // at most three digits: cannot overflow
	}
	if i == first {
		return 0, nil, malformed("command without a code", b)
	}
	if i < len(b) {
		fields = b[i+1:]
	}
	return sign * code, fields, nil
}

// ParseLogin reads the fields of a login, as ParseCommand or ParseSubcommand returned them; delimiter is frame.Delimiter or
// frame.SubDelimiter. Missing fields are empty, and what follows the last one is ignored. The fields alias b.
func ParseLogin(b []byte, delimiter byte) LoginFields {
	var l LoginFields
	for _, field := range [...]*[]byte{
		&l.User, &l.Password, &l.Application, &l.Mode, &l.Server, &l.Procedure, &l.UpFlags, &l.DownFlags, &l.Location,
	} {
		if i := bytes.IndexByte(b, delimiter); i >= 0 {
			*field, b = b[:i:i], b[i+1:]
		} else {
			*field, b = b, nil
		}
	}
	return l
}

// AppendCommand appends the whole frame of a command. The fields must not hold frame.Delimiter, and the payload has at most
// frame.MaxSize bytes: more is a bug of the caller.
func AppendCommand(dst []byte, code int, fields ...[]byte) []byte {
	size := codeLen(code) + delimiterLen
	for _, field := range fields {
		size += len(field) + delimiterLen
	}
	dst = strconv.AppendInt(frame.AppendHeader(dst, size), int64(code), 10)
	dst = append(dst, frame.Delimiter)
	for _, field := range fields {
		dst = frame.AppendField(dst, field)
	}
	return dst
}

// AppendLogin appends the whole frame of a login, with all nine fields. They must not hold frame.Delimiter.
func AppendLogin(dst []byte, l LoginFields) []byte {
	return AppendCommand(dst, Login, l.User, l.Password, l.Application, l.Mode, l.Server, l.Procedure, l.UpFlags, l.DownFlags, l.Location)
}
