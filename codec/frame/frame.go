// Package frame reads and writes the framing that everything but HTTP and NATS shares: a length and that many bytes.
//
//	+----------------------------+---------------------+
//	| length, 8 decimal digits   | payload             |
//	+----------------------------+---------------------+
//
// The length counts the payload only. It is sent with leading zeros. ParseHeader takes nothing else; ParsePadded, for clients of
// the engine door, also takes digits padded with blanks or NULs at either end.
//
// Inside a payload, fields end with byte 0x01 and sub-fields with 0x02 (field.go).
//
// Source: our protocol; the 8-character length and the delimiters are those of Revelation's OEngineServer.
package frame

import (
	"encoding/binary"
	"fmt"

	"roundhouse/codec"
)

const (
	// HeaderLen is the length of a header, in bytes.
	HeaderLen = 8
	// MaxSize is the largest payload that a header can name, in bytes.
	MaxSize = 99_999_999
)

// ParseHeader reads the length at the front of b: HeaderLen decimal digits.
//
// size is the payload length in bytes, n the bytes consumed; n == 0 with a nil error means that b is too short.
// Errors: codec.ErrMalformed; codec.ErrTooLarge if size > limit (bytes). After either, close: the stream is out of step.
func ParseHeader(b []byte, limit int) (size, n int, err error) {
	if len(b) < HeaderLen {
		return 0, 0, nil
	}
	w := binary.LittleEndian.Uint64(b)
	if !eightDigits(w) {
		return 0, 0, malformed(b)
	}
	if size = decimal(w); size > limit { // before anything is allocated: size is the peer's word
		return 0, 0, tooLarge(size, limit)
	}
	return size, HeaderLen, nil
}

// ParsePadded is ParseHeader for headers whose digits may be padded with blanks or NULs, at either end, instead of zeros.
func ParsePadded(b []byte, limit int) (size, n int, err error) {
	if len(b) < HeaderLen {
		return 0, 0, nil
	}
	if eightDigits(binary.LittleEndian.Uint64(b)) {
		return ParseHeader(b, limit)
	}
	first, end := 0, HeaderLen
	for first < end && isPad(b[first]) {
		first++
	}
	for end > first && isPad(b[end-1]) {
		end--
	}
	if first == end {
		return 0, 0, malformed(b)
	}
	for _, c := range b[first:end] {
		if c < '0' || c > '9' {
			return 0, 0, malformed(b)
		}
		size = 10*size + int(c-'0') // at most 8 digits: cannot overflow
	}
	if size > limit {
		return 0, 0, tooLarge(size, limit)
	}
	return size, HeaderLen, nil
}

// AppendHeader appends the header of a payload of size bytes; 0 <= size <= MaxSize, everything else is a bug of the caller.
func AppendHeader(dst []byte, size int) []byte {
	var h [HeaderLen]byte
	PutHeader(h[:], size)
	return append(dst, h[:]...)
}

// PutHeader writes the header of a payload of size bytes into b[:HeaderLen].
func PutHeader(b []byte, size int) {
	if size < 0 || size > MaxSize {
		panic(fmt.Sprintf("BUG: frame: payload of %d bytes", size))
	}
	binary.LittleEndian.PutUint64(b, digits(uint64(size)))
}

func isPad(c byte) bool { return c == ' ' || c == 0 }

// eightDigits tells whether each byte of w is a decimal digit: its high half is 3, and stays 3 when 6 is added to it.
func eightDigits(w uint64) bool {
	const high, three, six = 0xF0F0F0F0F0F0F0F0, 0x3030303030303030, 0x0606060606060606
	return w&high == three && (w+six)&high == three
}

// decimal is the value of eight digits, the first of which is the lowest byte: pairs, then fours, then all eight are joined.
func decimal(w uint64) int {
	w = w & 0x0F0F0F0F0F0F0F0F * 2561 >> 8 & 0x00FF00FF00FF00FF
	w = w * 6553601 >> 16 & 0x0000FFFF0000FFFF
	return int(w * 42949672960001 >> 32)
}

// digits is the reverse of decimal: v is parted into fours, then pairs, then single digits. 10486/2^20 is 1/100 and 103/2^10 is
// 1/10, near enough for four and for two digits.
func digits(v uint64) uint64 {
	w := v/10_000 | v%10_000<<32
	q := w * 10486 >> 20 & 0x0000007F0000007F
	w = q | (w-q*100)<<16
	q = w * 103 >> 10 & 0x000F000F000F000F
	return q | (w-q*10)<<8 | 0x3030303030303030
}

func malformed(b []byte) error {
	return fmt.Errorf("frame: header %q is not %d digits: %w", b[:HeaderLen], HeaderLen, codec.ErrMalformed)
}

func tooLarge(size, limit int) error {
	return fmt.Errorf("frame: payload of %d bytes, limit %d: %w", size, limit, codec.ErrTooLarge)
}
