package http1

import (
	"bytes"
	"encoding/binary"
)

// The tables are filled before main starts and never change after.
var (
	// tokenLower is the lower-case form of a token character, 0 for every other byte (RFC 9110, 5.6.2).
	tokenLower = makeTokenLower()
	// tokenDash is tokenLower with '-' for '_': how a CGI-like back end sees a field name.
	tokenDash = makeTokenDash()
	// targetClass sorts the bytes of a request target.
	targetClass = makeTargetClass()
	// hostByte marks what a registered name or an IPv4 address may hold.
	hostByte = makeHostByte()
	// hexValue is the value of a hexadecimal digit, 0xFF for every other byte.
	hexValue = makeHexValue()
)

const (
	targetBad     = iota // blank, control, fragment, above 0x7E
	targetPlain          // stands for itself
	targetPercent        // must be followed by two hexadecimal digits in a path
	targetQuery          // ends the path
)

func makeTokenLower() (t [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = c
	}
	return t
}

func makeTokenDash() [256]byte {
	t := makeTokenLower()
	t['_'] = '-'
	return t
}

// makeTargetClass admits more than RFC 3986 does ('|', '{', '"' and the like): browsers send it, and it has one reading.
func makeTargetClass() (t [256]byte) {
	for c := 0x21; c <= 0x7E; c++ {
		t[c] = targetPlain
	}
	t['#'], t['%'], t['?'] = targetBad, targetPercent, targetQuery
	return t
}

// makeHostByte is RFC 3986, 3.2.2 without ',' (a list to some parsers) and '%' (decoded by some and not by others).
func makeHostByte() (t [256]bool) {
	lower := makeTokenLower()
	for c := range lower {
		t[c] = lower[c] >= 'a' && lower[c] <= 'z' || c >= '0' && c <= '9'
	}
	for _, c := range []byte("-._~!$&'()*+;=") {
		t[c] = true
	}
	return t
}

func makeHexValue() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	for i, c := range []byte("ABCDEF") {
		t[c] = byte(i) + 10
	}
	return t
}

// tokenLen returns the length of the token at the front of b.
func tokenLen(b []byte) int {
	for i, c := range b {
		if tokenLower[c] == 0 {
			return i
		}
	}
	return len(b)
}

// isToken reports whether b is one or more token characters.
func isToken(b []byte) bool { return len(b) > 0 && tokenLen(b) == len(b) }

// equalFold reports whether b is lower but for the case of its ASCII letters. lower holds token characters only.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if tokenLower[c] != lower[i] {
			return false
		}
	}
	return true
}

// equalDash is equalFold with '_' standing for '-' in b.
func equalDash(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if tokenDash[c] != lower[i] {
			return false
		}
	}
	return true
}

const (
	everyByte = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// validValue reports whether v holds no control character but HTAB (RFC 9110, 5.5). It looks at eight bytes at a time, the
// last eight perhaps twice.
func validValue(v []byte) bool {
	if len(v) < 8 {
		return validShort(v)
	}
	for i := 0; i < len(v); i += 8 {
		word := v[min(i, len(v)-8):][:8]
		x := binary.LittleEndian.Uint64(word)
		del := x ^ everyByte*0x7F
		// The high bit of some byte is set exactly when x has a byte below 0x20 or a DEL.
		if ((x-everyByte*0x20)&^x|(del-everyByte)&^del)&everyHigh != 0 && !validShort(word) {
			return false
		}
	}
	return true
}

func validShort(v []byte) bool {
	for _, c := range v {
		if c < 0x20 && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimBlanks removes optional white space (RFC 9110, 5.6.3) from both ends.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// nextElement cuts the first element off a comma-separated list (RFC 9110, 5.6.1). It may be empty.
func nextElement(list []byte) (element, rest []byte) {
	i := bytes.IndexByte(list, ',')
	if i < 0 {
		return trimBlanks(list), nil
	}
	return trimBlanks(list[:i]), list[i+1:]
}

// hasElement reports whether one of the list's elements is lower, in any case.
func hasElement(list []byte, lower string) bool {
	for len(list) > 0 {
		var element []byte
		element, list = nextElement(list)
		if equalFold(element, lower) {
			return true
		}
	}
	return false
}
