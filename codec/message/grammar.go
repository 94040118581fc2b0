package message

import (
	"bytes"
	"fmt"
	"strings"
)

// grammar says in which order the fields of a type stand in a text file:
//
//	grammar  = "verbose" | kind* [ "{" kind+ "}" ]
//	kind     = the name of a Kind | "id"
//
// with blanks between and comments, /* */ or (* *), anywhere. The group in braces is repeated to the end of the message. An id is
// a Str that is written without quotes. In a verbose message each field says its kind itself.
type grammar struct {
	verbose bool
	fixed   []slot
	group   []slot // nil: there is none
}

// slot is one field of a grammar.
type slot struct {
	kind Kind
	id   bool // kind is Str
}

const (
	maxGrammar = 64 << 10 // bytes
	maxSlots   = 1024
)

func parseGrammar(s string) (grammar, error) {
	var g grammar
	if len(s) > maxGrammar {
		return g, fmt.Errorf("grammar of %d bytes, limit %d", len(s), maxGrammar)
	}
	s, ok := withoutComments(s)
	if !ok {
		return g, fmt.Errorf("grammar: a comment is not closed")
	}
	words := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(s))
	if len(words) == 1 && words[0] == grammarVerbose {
		return grammar{verbose: true}, nil
	}
	if len(words) > maxSlots {
		return g, fmt.Errorf("grammar of %d words, limit %d", len(words), maxSlots)
	}
	inGroup := false
	for i, word := range words {
		k, known := KindByName(word)
		if word == "id" {
			k, known = Str, true
		}
		switch {
		case word == "{" && g.group == nil:
			inGroup, g.group = true, []slot{}
		case word == "}" && inGroup && len(g.group) > 0 && i == len(words)-1:
			return g, nil
		case known && inGroup:
			g.group = append(g.group, slot{k, word == "id"})
		case known:
			g.fixed = append(g.fixed, slot{k, word == "id"})
		default:
			return g, fmt.Errorf("grammar: %q is no kind, or does not belong there", word)
		}
	}
	if inGroup {
		return g, fmt.Errorf("grammar: the group is not closed")
	}
	return g, nil
}

// withoutComments puts a blank in the place of each comment.
func withoutComments(s string) (string, bool) {
	var b strings.Builder
	for {
		c, star := strings.Index(s, "/*"), strings.Index(s, "(*")
		start, end := c, "*/"
		if c < 0 || star >= 0 && star < c {
			start, end = star, "*)"
		}
		if start < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:start])
		b.WriteByte(' ')
		n := strings.Index(s[start+2:], end)
		if n < 0 {
			return "", false
		}
		s = s[start+2+n+2:]
	}
}

// braced tells whether the value of s is written in braces of its own.
func (s slot) braced() bool {
	return s.kind.IsArray() || s.kind == Msg || isHex(s.kind)
}

// isHex tells whether a value of kind k is written as bytes.
func isHex(k Kind) bool { return k == Binary || k == Object || k == GUID || k == Real16 }

// bareGroup tells whether the braces around the group may be left out when it occurs once.
func (g *grammar) bareGroup() bool { return len(g.group) > 0 && !g.group[0].braced() }

// fits tells whether fields can be written as g says, and how often the group occurs.
func (g *grammar) fits(fields []byte) (groups int, ok bool) {
	if g.verbose {
		return 0, false
	}
	next := func(s slot) bool {
		f, n, err := NextField(fields)
		if err != nil || n == 0 || f.Kind != s.kind || f.Name != nil || f.Unknown && s.id {
			return false
		}
		fields = fields[n:]
		return true
	}
	for _, s := range g.fixed {
		if !next(s) {
			return 0, false
		}
	}
	for g.group != nil && len(fields) > 0 {
		for _, s := range g.group {
			if !next(s) {
				return 0, false
			}
		}
		groups++
	}
	return groups, len(fields) == 0
}

// layout is how the fields of a message are written.
type layout uint8

const (
	layoutVerbose    layout = iota // { kind value ... }
	layoutGrammar                  // value ...
	layoutOpaque                   // { bytes }: the whole field block, because it is malformed or too deep
	layoutCompressed               // { bytes }: the whole field block, which is compressed
)

// layoutByName returns the layout of a word that can stand between a destination and a brace.
func layoutByName(word string) (layout, bool) {
	switch word {
	case grammarVerbose:
		return layoutVerbose, true
	case "opaque":
		return layoutOpaque, true
	case "compressed":
		return layoutCompressed, true
	}
	return 0, false
}

// plain tells whether b can stand without quotes as the name of a field.
func plain(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for i, c := range b {
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '%' && c != '.' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// plainID is plain for ids, which must not look like a layout.
func plainID(b []byte) bool {
	_, isLayout := layoutByName(string(b))
	return !isLayout && plain(b)
}

// plainDest tells whether a destination can stand without quotes.
func plainDest(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7F || c == '"' || c == '{' || c == '}' {
			return false
		}
	}
	return len(b) > 0 && !startsComment(b)
}

func startsComment(b []byte) bool {
	return bytes.HasPrefix(b, []byte("//")) || bytes.HasPrefix(b, []byte("/*")) || bytes.HasPrefix(b, []byte("(*"))
}
