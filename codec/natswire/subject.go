package natswire

// ValidSubject tells whether a SUB may name the subject b: no token is empty, and ">" is only the last one. A "*" or ">" inside a longer
// token is nothing special. b comes from a parser, so there is no blank, tab, CR or LF in it; in other subjects they are refused.
//
// Source: nats-server v2.15.2, server/sublist.go. Its IsValidSubject also refuses a form feed, its SUB does not.
func ValidSubject(b []byte) bool {
	last := byte('.') // the token's only byte, or 0
	for i, n := 0, 0; ; i++ {
		if i < len(b) && b[i] != '.' {
			switch b[i] {
			case ' ', '\t', '\r', '\n':
				return false
			}
			if n++; n > 1 {
				last = 0
			} else if last == '>' { // there was one before this token
				return false
			} else {
				last = b[i]
			}
			continue
		}
		if n == 0 {
			return false
		}
		if i >= len(b) {
			return true
		}
		n = 0
	}
}

// ValidLiteral tells whether b may be published to in pedantic mode: no token is empty, "*" or ">".
//
// Source: nats-server v2.15.2, server/sublist.go, IsValidLiteralSubject.
func ValidLiteral(b []byte) bool {
	start := 0
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] != '.' {
			continue
		}
		if i == start || i == start+1 && (b[start] == '*' || b[start] == '>') {
			return false
		}
		start = i + 1
	}
	return true
}
