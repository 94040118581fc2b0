package access

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"roundhouse/routing/subject"
)

// maxComponents is how many components the subject of a permission may have, so that the positions in it, and its end, are bits
// of a states. Subjects that it is compared with may be longer.
const maxComponents = 63

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
	name, err := subject.Canonical(nil, "/", []byte(text))
	if err != nil {
		return nil, err
	}
	if bytes.Count(name, []byte("/")) > maxComponents {
		return nil, fmt.Errorf("more than %d components", maxComponents)
	}
	p := &pattern{text: string(name)}
	for component := range strings.SplitSeq(p.text[1:], "/") {
		p.add(component)
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

// covers tells whether every name that matches name matches p: for one without wildcards whether it matches. It is
// never true wrongly. It is false, though all names match, only where wildcards of both would have to be unfolded.
func (p *pattern) covers(name string) bool {
	switch {
	case !p.wild:
		return name == p.text
	case p.below:
		return strings.HasPrefix(name, p.prefix) && (len(name) == len(p.prefix) || name[len(p.prefix)] == '/')
	}
	at := p.settled(1)
	for rest := name; len(rest) > 0 && at != 0; {
		var component string
		if component, rest = nextComponent(rest); rest == bad {
			return false
		}
		at = p.settled(p.coverStep(at, component))
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
func (p *pattern) meets(name string) bool { return subject.Matches(p.text, name) }

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

// nextComponent takes the first component of a subject that is not empty.
func nextComponent(subject string) (name, rest string) {
	name, ok := strings.CutPrefix(subject, "/")
	end := strings.IndexByte(name, '/')
	switch {
	case !ok, end == 0, name == "":
		return "", bad
	case end > 0:
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
