package natswire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// maxSizeDigits is how many digits a size may have. nats-server: up to 999,999,999.
const maxSizeDigits = 9

// findVerb tells which of ops b begins with, and how many bytes its verb has. n == 0: more is needed, or err says that it is none.
func findVerb(b []byte, ops []Op) (op Op, n int, err error) {
	possible := false
	for _, op := range ops {
		name := opNames[op]
		k := 0
		for k < len(name) && k < len(b) && (b[k] == name[k] || name[k] >= 'A' && b[k] == name[k]|0x20) {
			k++
		}
		if k == len(name) {
			return op, k, nil
		}
		possible = possible || k == len(b)
	}
	if !possible {
		return 0, 0, errUnknown
	}
	return 0, 0, nil
}

// skipLine returns the index behind the first LF of b[from:]; next == 0: more is needed. What is skipped has at most limit bytes.
func skipLine(b []byte, from, limit int) (next int, err error) {
	j := bytes.IndexByte(b[from:], '\n')
	switch {
	case j > limit, j < 0 && len(b)-from > limit:
		return 0, errLine
	case j < 0:
		return 0, nil
	}
	return from + j + 1, nil
}

// cutLine returns the arguments of a command whose verb ends at from, and the index behind their end of line; next == 0: more is needed.
func cutLine(b []byte, from, limit int) (arg []byte, next int, err error) {
	start := from
	for start < len(b) && isBlank(b[start]) {
		start++
	}
	if start-from > limit {
		return nil, 0, errLine
	}
	if start == len(b) {
		return nil, 0, nil
	}
	j := bytes.IndexByte(b[start+1:], '\n') // the first byte belongs to the arguments, whatever it is
	if j < 0 {
		if len(b)-start > limit+1 { // one more: the last byte may go, see below
			return nil, 0, errLine
		}
		return nil, 0, nil
	}
	end := start + 1 + j
	arg = b[start:end]
	if bytes.IndexByte(arg[1:], '\r') >= 0 { // the last one usually, but nats-server does not look where it is
		arg = arg[:len(arg)-1]
	}
	if len(arg) > limit {
		return nil, 0, errLine
	}
	return arg, end + 1, nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// maxFields is one more than any command has.
const maxFields = 6

// split cuts arg at blanks and tabs, and at CR and LF when lines is true. It counts no further than maxFields.
func split(arg []byte, fields *[maxFields][]byte, lines bool) (count int) {
	start := -1
	for i, c := range arg {
		switch {
		case isBlank(c) || lines && (c == '\r' || c == '\n'):
			if start >= 0 {
				fields[count] = arg[start:i]
				start = -1
				if count++; count == maxFields {
					return count
				}
			}
		case start < 0:
			start = i
		}
	}
	if start >= 0 {
		fields[count] = arg[start:]
		count++
	}
	return count
}

// parseSize returns the value of up to 9 digits, -1 for everything else.
func parseSize(digits []byte) (size int) {
	if len(digits) == 0 || len(digits) > maxSizeDigits {
		return -1
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		size = 10*size + int(c-'0')
	}
	return size
}

// tooLarge compares the size of a payload with its limit.
func tooLarge(size, limit int) bool { return size > limit && limit >= 0 }

// cutPayload returns size bytes at b[at:], and the index behind the CR LF that follows them; n == 0: more is needed.
func cutPayload(b []byte, at, size int) (payload []byte, n int, err error) {
	end := at + size
	if len(b) < end+2 {
		if len(b) > end && b[end] != '\r' {
			return nil, 0, errUnknown
		}
		return nil, 0, nil
	}
	if b[end] != '\r' || b[end+1] != '\n' {
		return nil, 0, errUnknown
	}
	return b[at:end], end + 2, nil
}

// word returns the index of the first blank or control character of b[i:], or len(b).
func word(b []byte, i int) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if hit := (w - low*('!')) &^ w & high; hit != 0 { // exact for the lowest byte, and that is the first one
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] > ' ' {
		i++
	}
	return i
}

// sizeLine reads "[reply ]size", CR and LF at b[i:], as programs write it. next is the index behind it; 0 means that it is something
// else, or not complete.
func sizeLine(b []byte, i int) (reply []byte, size, next int) {
	start := i
	size, i = digits(b, start)
	if i < len(b) && b[i] > ' ' {
		if i = word(b, i); i == len(b) || b[i] != ' ' {
			return nil, 0, 0
		}
		reply, start = b[start:i], i+1
		size, i = digits(b, start)
	}
	if count := i - start; count == 0 || count > maxSizeDigits || len(b) < i+2 || b[i] != '\r' || b[i+1] != '\n' {
		return nil, 0, 0
	}
	return reply, size, i + 2
}

// digits returns the value of the digits at b[i:], of the first 10 of them, and where they end.
func digits(b []byte, i int) (size, end int) {
	for end = i; end < len(b) && end <= i+maxSizeDigits; end++ {
		d := b[end] - '0'
		if d > 9 {
			break
		}
		size = 10*size + int(d)
	}
	return size, end
}
