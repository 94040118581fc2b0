package config

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxIncludeDepth = 8
	maxIncludes     = 256 // files in all: eight levels that include ten each would be many
)

// rsReader reads an rs.config and the files that it includes:
//
//	file     = *( line eol )           eol: LF or CRLF; a byte order mark in front is ignored
//	line     = [ comment | include | section | property ]     blanks around it are ignored
//	comment  = "#" *any                a # further on is data
//	include  = "@include" blank path   relative to the file that it stands in; continues the section
//	section  = "[" name "]"
//	property = name "=" [value]        no value: not set
//	value    = DQUOTE *any DQUOTE | *any
//
// Names are case-insensitive, values are not, and all is 7-bit ASCII. There are no continued lines.
type rsReader struct {
	*loader
	kind      *rsSection // of the section that is being read; nil: none, or an unknown one
	inSection bool
	opened    where
	set       map[string]rsValue // properties of the section by lower-case name
	order     []string           // their names in the order of the file
	options   int                // [options] sections so far
	open      []string           // the file that is being read, after those that include it
	includes  int                // files included so far
}

// rsValue is the value of one property and its place.
type rsValue struct {
	text     string
	at       where
	variable bool // it has been taken from one
}

// loadRSConfig reads an rs.config into the Config.
func (l *loader) loadRSConfig(path string) {
	l.from["relay"] = origin{where{path, 1, 1}, "relay"} // even an empty file asks for a relay
	r := &rsReader{loader: l}
	r.file(path, where{})
	r.endSection()
}

func (r *rsReader) file(path string, at where) {
	text, ok := r.read(path, at)
	if !ok {
		return
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if !bytes.HasPrefix(first, []byte("#")) && (!utf8.Valid(first) || bytes.IndexByte(first, 0) >= 0) {
		r.fail(where{path, 1, 1}, "not plain text: %s", wantPlain)
		return
	}
	if zero := bytes.IndexByte(text, 0); zero >= 0 { // not a mistake a line
		r.fail(where{path, 1 + bytes.Count(text[:zero], []byte("\n")), zero - bytes.LastIndexByte(text[:zero], '\n')}, "not plain text: %s", wantPlain)
		return
	}
	r.open = append(r.open, path)
	line := 0
	for raw := range bytes.Lines(text) {
		line++
		text := strings.TrimRight(string(raw), " \t\r\n")
		trimmed := strings.TrimLeft(text, " \t")
		r.line(trimmed, where{path, line, 1 + len(text) - len(trimmed)})
	}
	r.open = r.open[:len(r.open)-1]
}

const wantPlain = "a file that is encoded, or hidden by dbfhide, cannot be read"

// line handles one line, less the blanks around it.
func (r *rsReader) line(text string, at where) {
	if text == "" || !r.isASCII(text, at) {
		return
	}
	switch {
	case text[0] == '#':
	case text[0] == '@':
		r.include(text, at)
	case text[0] == '[':
		r.section(text, at)
	default:
		r.property(text, at)
	}
}

// isASCII reports the first byte of a line that is none. In a comment that is no mistake.
func (r *rsReader) isASCII(text string, at where) bool {
	bad := strings.IndexFunc(text, notRS)
	if bad < 0 {
		return true
	}
	at.col += bad
	if text[0] == '#' {
		r.warn(at, "byte 0x%02x: only 7-bit ASCII is portable", text[bad])
		return true
	}
	r.fail(at, "byte 0x%02x: only printable 7-bit ASCII and tabs", text[bad])
	return false
}

// notRS tells whether c cannot stand in an rs.config.
func notRS(c rune) bool { return c > '~' || c < ' ' && c != '\t' }

func (r *rsReader) include(text string, at where) {
	word, path, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	if path = unquote(strings.TrimSpace(path)); path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.file), path)
	}
	r.includes++
	switch {
	case !strings.EqualFold(word, "@include") || path == "":
		r.fail(at, "%q: write @include PATH", word)
	case slices.Contains(r.open, path):
		r.fail(at, "@include %q: that file includes this one", path)
	case len(r.open) > maxIncludeDepth:
		r.fail(at, "@include %q: at most %d files deep", path, maxIncludeDepth)
	case r.includes == maxIncludes:
		r.fail(at, "@include %q: at most %d files in all", path, maxIncludes)
	case r.includes < maxIncludes: // what is above has been reported once
		r.file(path, at)
	}
}

func (r *rsReader) section(text string, at where) {
	r.endSection()
	r.inSection, r.opened = true, at
	name, rest, closed := strings.Cut(text[1:], "]")
	name = strings.ToLower(strings.TrimSpace(name))
	if !closed || rest != "" {
		r.fail(at, "%q: a section is [name], alone on its line", text)
		return
	}
	kind, known := rsSections[name]
	if !known {
		r.fail(at, "section %q: unknown; there are [options], [relay_server], [backend_farm] and [backend_server]", "["+name+"]")
		return
	}
	if kind.tables == "" {
		if r.options++; r.options > 1 {
			r.fail(at, "section %q: only one is allowed", "["+name+"]")
		}
	}
	r.kind, r.set = kind, map[string]rsValue{}
}

func (r *rsReader) property(text string, at where) {
	name, value, found := strings.Cut(text, "=")
	name = strings.TrimRight(name, " \t")
	switch {
	case !found: // the text is not shown: it may be what is left of a secret
		r.fail(at, "neither a comment, a [section] nor a property, which is name = value")
		return
	case !isName(name):
		r.fail(at, "field %q: a name is letters, digits and _", name)
		return
	case !r.inSection:
		r.fail(at, "field %q: before the first [section]", name)
		return
	case r.kind == nil: // the section has been reported
		return
	}
	name = strings.ToLower(name)
	if at.col = at.col + len(text) - len(strings.TrimLeft(value, " \t")); value == "" {
		at.col--
	}
	if before, twice := r.set[name]; twice {
		r.warn(at, "field %q: set before in line %d: the last one holds", name, before.at.line)
	} else {
		r.order = append(r.order, name)
	}
	r.set[name] = rsValue{text: unquote(strings.TrimSpace(value)), at: at}
}

// unquote takes away the quotes around a value; a value with quotes elsewhere stays as it is.
func unquote(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && strings.IndexByte(value[1:], '"') == n-2 {
		return value[1 : n-1]
	}
	return value
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}
