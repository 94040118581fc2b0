package config

import "strings"

// MatchPattern tells whether text, a distinguished name as "CN=a,O=b", is one that pattern stands for: * is any text, also none, ? one
// character, \*, \? and \\ stand for *, ? and \ themselves, and a \ before anything else for itself. Blanks around = and , and
// at the ends do not count on either side; case does.
//
// The time is that of reading text once, for a piece between two stars with a ? in it that of comparing the piece at each place of text.
func MatchPattern(pattern, text string) bool {
	return matchGlob(tightDN(pattern), tightDN(text))
}

// tightDN takes the blanks around = and , away.
func tightDN(s string) string {
	if !strings.Contains(s, " ") && !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	held := 0 // blanks in front of s[i] that are not yet written
	for i := range len(s) {
		switch c := s[i]; c {
		case ' ', '\t':
			held++
			continue
		case '=', ',':
		default:
			if held < i && (s[i-held-1] == '=' || s[i-held-1] == ',') {
				break
			}
			if held < i {
				b.WriteString(s[i-held : i])
			}
		}
		held = 0
		b.WriteByte(s[i])
	}
	return b.String()
}

// matchGlob is MatchPattern for a text in which every blank counts.
func matchGlob(pattern, text string) bool {
	pieces := globPieces(pattern)
	first, last := pieces[0], pieces[len(pieces)-1]
	n, ok := first.prefixOf(text)
	if !ok || len(pieces) == 1 {
		return ok && n == len(text)
	}
	text = text[n:]
	for _, p := range pieces[1 : len(pieces)-1] { // the earliest place leaves the most for those that follow
		if text, ok = p.cut(text); !ok {
			return false
		}
	}
	return last.suffixOf(text)
}

// globPiece is what stands between two stars of a pattern.
type globPiece struct {
	text string // each ? as it is
	any  []bool // by byte of text: it is a ? that stands for one character; nil: there is none
}

// globPieces cuts a pattern at its stars; there is at least one piece.
func globPieces(pattern string) []globPiece {
	var pieces []globPiece
	var text []byte
	var wild []int
	end := func() {
		p := globPiece{text: string(text)}
		if len(wild) > 0 {
			p.any = make([]bool, len(text))
			for _, i := range wild {
				p.any[i] = true
			}
		}
		pieces, text, wild = append(pieces, p), text[:0], wild[:0]
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			end()
			continue
		case c == '?':
			wild = append(wild, len(text))
		case c == '\\' && i+1 < len(pattern) && strings.IndexByte(`*?\`, pattern[i+1]) >= 0:
			i++
		}
		text = append(text, pattern[i])
	}
	end()
	return pieces
}

// prefixOf tells whether text starts with p, and how many bytes p takes there.
func (p globPiece) prefixOf(text string) (n int, ok bool) {
	if p.any == nil {
		return len(p.text), strings.HasPrefix(text, p.text)
	}
	for i := range len(p.text) {
		switch {
		case n == len(text):
			return 0, false
		case p.any[i]:
			n += characterLen(text[n:])
		case text[n] == p.text[i]:
			n++
		default:
			return 0, false
		}
	}
	return n, true
}

// cut returns what follows the first place of text at which p stands.
func (p globPiece) cut(text string) (rest string, found bool) {
	if p.any == nil {
		_, rest, found = strings.Cut(text, p.text)
		return rest, found
	}
	for i := 0; i < len(text); i += characterLen(text[i:]) {
		if n, ok := p.prefixOf(text[i:]); ok {
			return text[i+n:], true
		}
	}
	return "", false
}

// suffixOf tells whether text ends with p.
func (p globPiece) suffixOf(text string) bool {
	if p.any == nil {
		return strings.HasSuffix(text, p.text)
	}
	at := len(text)
	for range characters(p) { // a character of the piece is one of the text
		if at == 0 {
			return false
		}
		for at--; at > 0 && isContinued(text[at]); at-- {
		}
	}
	n, ok := p.prefixOf(text[at:])
	return ok && at+n == len(text)
}

// characters is how many characters p stands for.
func characters(p globPiece) int {
	n := 0
	for i := range len(p.text) {
		if p.any[i] || !isContinued(p.text[i]) {
			n++
		}
	}
	return n
}

// characterLen is the length of the character that s starts with; s is not empty. A character is a byte and all that can only continue it,
// so that text which is no UTF-8 has characters as well.
func characterLen(s string) int {
	n := 1
	for n < len(s) && isContinued(s[n]) {
		n++
	}
	return n
}

// isContinued tells whether c can only continue a character of UTF-8.
func isContinued(c byte) bool { return c&0xc0 == 0x80 }
