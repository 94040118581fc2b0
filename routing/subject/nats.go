package subject

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrEmptyToken is the error of FromNATS for a subject without tokens or with an empty one: no subscription can match it.
var ErrEmptyToken = errors.New("subject: empty token")

// errBlank is for bytes that end a subject in the NATS protocol.
var errBlank = fmt.Errorf("%w: a blank in a NATS subject", ErrName)

// escapedDots is the token that would become the wildcard `...` if its escapes were undone like others.
const escapedDots = "%2E%2E%2E"

const hexDigits = "0123456789ABCDEF"

// FromNATS appends the name of a NATS subject to dst: "a.b" is "/a/b". It does not alias subject.
//
// When pattern is set, a token "*" stays, and a last token ">" becomes two components, "*" and "...". All else is literal: what a
// name of ours cannot have, or what has another meaning there, is escaped with a percent sign and two hexadecimal digits: / * > %,
// control characters, bytes that are not UTF-8. The other way round "%2E", "%20" and "%3E" become the bytes that ToNATS has
// escaped so, and "%25" becomes "%" where this is not the beginning of an escape.
//
// There is no limit of length or depth, so the result need not be canonical in that. Errors: ErrEmptyToken; ErrName for a
// blank, tab, CR or LF, which no NATS subject has. dst is returned unchanged then.
func FromNATS(dst, subject []byte, pattern bool) ([]byte, error) {
	out := dst
	for rest := subject; ; {
		token, last := rest, true
		for i, c := range rest {
			if c == '.' {
				token, last = rest[:i], false
				break
			}
		}
		if len(token) == 0 {
			return dst, ErrEmptyToken
		}
		out = append(out, '/')
		switch {
		case pattern && string(token) == "*":
			out = append(out, '*')
		case pattern && last && string(token) == ">":
			out = append(out, "*/..."...)
		default:
			var err error
			if out, err = appendToken(out, token); err != nil {
				return dst, err
			}
		}
		if last {
			return out, nil
		}
		rest = rest[len(token)+1:]
	}
}

// appendToken appends the component of a literal token.
func appendToken(dst, token []byte) ([]byte, error) {
	whole := string(token) == escapedDots
	for i := 0; i < len(token); {
		c := token[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			return dst, errBlank
		case c == '%' && !whole:
			var n int
			dst, n = appendPercent(dst, token[i:])
			i += n
			continue
		case c >= utf8.RuneSelf:
			if r, n := utf8.DecodeRune(token[i:]); r != utf8.RuneError || n > 1 {
				dst = append(dst, token[i:i+n]...)
				i += n
				continue
			}
			dst = appendEscape(dst, c)
		case isEscaped(c):
			dst = appendEscape(dst, c)
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst, nil
}

// appendPercent appends what the percent sign at the front of token means, and tells how many bytes of token that was.
func appendPercent(dst, token []byte) ([]byte, int) {
	c, ok := escape(token)
	switch {
	case ok && (c == '.' || c == ' ' || c == '>'):
		return append(dst, c), 3
	case ok && c == '%':
		if next, ok := escape(token[2:]); ok && isEscaped(next) { // the 5 stands in for the percent sign
			break
		}
		return append(dst, '%'), 3
	}
	return appendEscape(dst, '%'), 1
}

// ToNATS appends the NATS subject of a canonical name to dst, and undoes FromNATS: ToNATS of FromNATS is the subject that it was.
// It does not alias name.
//
// Bytes that NATS cannot carry or that mean something else there become "%2E" (dot), "%20" (blank), "%3E" (>), and a percent sign
// that begins no escape of FromNATS becomes "%25". So FromNATS of ToNATS is the name that it was, too, unless that has an escape
// which FromNATS never makes: one of what need not be escaped (as "%C3%B6"), or of a percent sign before "2E", "20", "3E", "25".
// A component "*" stays, "*" and "..." at the end become ">", as does the name "/...". A pattern with other wildcards has no equal in
// NATS: its `*` stay, its `...` become "%2E%2E%2E".
func ToNATS(dst, name []byte) []byte {
	rest := name
	if len(rest) != 0 && rest[0] == '/' {
		rest = rest[1:]
	}
	if string(rest) == dots {
		return append(dst, '>')
	}
	many := false
	if n := len(rest) - len("*/..."); n >= 0 && string(rest[n:]) == "*/..." && (n == 0 || rest[n-1] == '/') {
		rest, many = rest[:n], true
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '/':
			dst = append(dst, '.')
		case '.', ' ', '>':
			dst = appendEscape(dst, c)
		case '%':
			if e, ok := escape(rest[i:]); ok && isEscaped(e) {
				dst = append(dst, e)
				i += 2
				continue
			}
			dst = append(dst, "%25"...)
		default:
			dst = append(dst, c)
		}
	}
	if many {
		dst = append(dst, '>')
	}
	return dst
}

// isEscaped tells whether FromNATS may escape c.
func isEscaped(c byte) bool {
	switch c {
	case '/', '*', '>', '%', 0x7f:
		return true
	case '\t', '\r', '\n':
		return false // no NATS subject has it
	}
	return c < ' ' || c >= utf8.RuneSelf
}

func appendEscape(dst []byte, c byte) []byte {
	return append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
}

// escape returns the byte of the escape at the front of b: a byte that the caller knows, and two upper-case hexadecimal digits.
func escape(b []byte) (c byte, ok bool) {
	if len(b) < 3 {
		return 0, false
	}
	high, low := strings.IndexByte(hexDigits, b[1]), strings.IndexByte(hexDigits, b[2])
	return byte(high<<4 | low), high >= 0 && low >= 0
}
