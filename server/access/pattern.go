package access

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a subject pattern of a permission. Names that it is compared with may be longer.
const (
	maxSubject    = 1023 // bytes
	maxComponent  = 255  // bytes
	maxComponents = 63   // so that the positions in a pattern, and its end, are bits of a states
)

// partKind tells what a component of a pattern stands for.
type partKind uint8

const (
	partLiteral partKind = iota
	partGlob             // text with * in it: zero or more bytes each
	partOne              // *: one component
	partMany             // ...: any number of components
)

// part is a component of a pattern.
type part struct {
	text string
	kind partKind
	// open is set for a partOne in a run of wildcards that has a partMany: what it stands for may be longer than it.
	open bool
}

// pattern is the subject of a permission, made ready to be compared with subjects. It is immutable.
//
// Runs of whole-component wildcards are put into one order, * before ..., and one ... is as good as several: so there are no
// two forms of the same pattern.
type pattern struct {
	text  string // as it was written, with the leading slash
	parts []part
	// wild is set when there are wildcards; below when they are nothing but a last "...": then prefix is what comes before.
	wild, below bool
	prefix      string
}

// parsePattern checks and prepares a pattern. A leading slash is added, one at the end taken away.
func parsePattern(text string) (*pattern, error) {
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	if len(text) > 1 {
		text = strings.TrimSuffix(text, "/")
	}
	switch {
	case len(text) > maxSubject:
		return nil, fmt.Errorf("a subject of at most %d bytes", maxSubject)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("a subject in UTF-8, without control characters")
	case strings.Count(text, "/") > maxComponents:
		return nil, fmt.Errorf("a subject of at most %d components", maxComponents)
	}
	p := &pattern{text: text}
	for name := range strings.SplitSeq(text[1:], "/") {
		if name == "" || len(name) > maxComponent {
			return nil, fmt.Errorf("a subject of components with 1 to %d bytes", maxComponent)
		}
		p.add(name)
	}
	p.settle()
	return p, nil
}

// add appends a component.
func (p *pattern) add(name string) {
	switch {
	case name == "...":
		for i := len(p.parts) - 1; i >= 0 && p.parts[i].kind == partOne; i-- {
			p.parts[i].open = true
		}
		if !p.manyAtEnd() {
			p.parts = append(p.parts, part{name, partMany, false})
		}
	case strings.Trim(name, "*") == "":
		one := part{"*", partOne, p.manyAtEnd()}
		if p.parts = append(p.parts, one); one.open { // before the "..."
			last := len(p.parts) - 1
			p.parts[last-1], p.parts[last] = p.parts[last], p.parts[last-1]
		}
	case strings.Contains(name, "*"):
		p.parts = append(p.parts, part{name, partGlob, false})
	default:
		p.parts = append(p.parts, part{name, partLiteral, false})
	}
}

func (p *pattern) manyAtEnd() bool {
	return len(p.parts) > 0 && p.parts[len(p.parts)-1].kind == partMany
}

// settle finds the short cuts.
func (p *pattern) settle() {
	if len(p.parts) == 2 && p.parts[0].open { // "/*/...": every name, as none is without a component
		p.parts = p.parts[1:]
	}
	for i, one := range p.parts {
		if one.kind != partLiteral {
			p.wild = true
			p.below = one.kind == partMany && i == len(p.parts)-1
			break
		}
		p.prefix += "/" + one.text
	}
}

// everything tells whether all names match.
func (p *pattern) everything() bool { return p.below && p.prefix == "" }

// isWild tells whether a canonical subject has wildcards. It may say so of a name with "..." inside a component, too, which
// costs time and changes no answer.
func isWild(subject string) bool {
	return strings.IndexByte(subject, '*') >= 0 || strings.Contains(subject, "...")
}

// covers tells whether every name that matches subject matches p: for a subject without wildcards whether it matches. It is
// never true wrongly. It is false, though all names match, only where wildcards of both would have to be unfolded.
func (p *pattern) covers(subject string) bool {
	switch {
	case !p.wild:
		return subject == p.text
	case p.below:
		return strings.HasPrefix(subject, p.prefix) && (len(subject) == len(p.prefix) || subject[len(p.prefix)] == '/')
	}
	at := p.settled(1)
	for rest := subject; len(rest) > 0 && at != 0; {
		var name string
		if name, rest = nextComponent(rest); rest == bad {
			return false
		}
		at = p.settled(p.coverStep(at, name))
	}
	return at.has(len(p.parts))
}

// coverStep returns where the pattern may be after a component of the subject, whose wildcards count as what no literal byte of
// the pattern is like.
func (p *pattern) coverStep(at states, name string) (next states) {
	many := name == "..."
	for ; at != 0; at &= at - 1 {
		i := bits.TrailingZeros64(uint64(at))
		if i == len(p.parts) {
			break
		}
		switch one := &p.parts[i]; {
		case one.kind == partMany, one.open && many:
			next |= 1 << i
		case many:
		case one.kind == partOne, one.kind == partLiteral && one.text == name, one.kind == partGlob && globCovers(one.text, name):
			next |= 2 << i
		}
	}
	return next
}

// meets tells whether some name matches both p and subject.
func (p *pattern) meets(subject string) bool {
	at := p.settled(1)
	for rest := subject; len(rest) > 0 && at != 0; {
		var name string
		if name, rest = nextComponent(rest); rest == bad {
			return false
		}
		if name == "..." { // may be whatever the next parts want
			at = states(1)<<(len(p.parts)+1) - at&-at
			continue
		}
		at = p.settled(p.meetStep(at, name))
	}
	return at.has(len(p.parts))
}

func (p *pattern) meetStep(at states, name string) (next states) {
	for ; at != 0; at &= at - 1 {
		i := bits.TrailingZeros64(uint64(at))
		if i == len(p.parts) {
			break
		}
		switch one := &p.parts[i]; {
		case one.kind == partMany:
			next |= 1 << i
		case one.kind == partOne, globsMeet(one.text, name):
			next |= 2 << i
		}
	}
	return next
}

// states is a set of positions in a pattern: bit i is before part i.
type states uint64

func (s states) has(i int) bool { return s>>i&1 != 0 }

// settled adds the positions that are reached without a component: those behind a "...". Two of them never follow each other.
func (p *pattern) settled(at states) states {
	for rest := at; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(uint64(rest)); i < len(p.parts) && p.parts[i].kind == partMany {
			at |= 2 << i
		}
	}
	return at
}

// bad is the rest of a subject that is no canonical name.
const bad = "\x00"

// nextComponent takes the first component of a subject, which starts with a slash.
func nextComponent(subject string) (name, rest string) {
	if subject[0] != '/' || len(subject) == 1 {
		return "", bad
	}
	name = subject[1:]
	if end := strings.IndexByte(name, '/'); end >= 0 {
		return name[:end], name[end:]
	}
	return name, ""
}

// globCovers tells whether every string that matches the glob name matches the glob p: * is zero or more bytes. What a * of
// name stands for can only be taken by a * of p, whatever it is; so it is compared like a byte that p does not have.
func globCovers(p, name string) bool {
	star, from := -1, 0 // the last * of p, and where in name that which follows it was tried
	i, j := 0, 0
	for j < len(name) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && p[i] == name[j]:
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}

// globsMeet tells whether some string matches both globs.
func globsMeet(a, b string) bool {
	firstA, firstB := strings.IndexByte(a, '*'), strings.IndexByte(b, '*')
	switch {
	case firstA < 0:
		return globCovers(b, a)
	case firstB < 0:
		return globCovers(a, b)
	}
	// Both have a *: one start must begin with the other, and one end must end with the other. In between there is room for all.
	n := min(firstA, firstB)
	endA, endB := a[strings.LastIndexByte(a, '*')+1:], b[strings.LastIndexByte(b, '*')+1:]
	m := min(len(endA), len(endB))
	return a[:n] == b[:n] && endA[len(endA)-m:] == endB[len(endB)-m:]
}
