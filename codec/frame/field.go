package frame

import "bytes"

// What ends a field and a sub-field.
const (
	Delimiter    = 0x01
	SubDelimiter = 0x02
)

// Cut returns the first field of b and what follows its delimiter. The last field may stand without one; found tells whether
// a delimiter was there. Both alias b.
func Cut(b []byte) (field, rest []byte, found bool) {
	return cut(b, Delimiter)
}

// CutSub is Cut for sub-fields.
func CutSub(b []byte) (sub, rest []byte, found bool) {
	return cut(b, SubDelimiter)
}

func cut(b []byte, delimiter byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, delimiter); i >= 0 {
		return b[:i:i], b[i+1:], true
	}
	return b, nil, false
}

// AppendField appends a field and its delimiter. The field must not hold one: see Clean.
func AppendField(dst, field []byte) []byte {
	return append(append(dst, field...), Delimiter)
}

// AppendSub appends a sub-field and its delimiter.
func AppendSub(dst, sub []byte) []byte {
	return append(append(dst, sub...), SubDelimiter)
}

// Clean tells whether b holds neither delimiter, so that it survives being a field.
func Clean(b []byte) bool {
	return bytes.IndexByte(b, Delimiter) < 0 && bytes.IndexByte(b, SubDelimiter) < 0
}
