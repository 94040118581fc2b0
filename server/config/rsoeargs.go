package config

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// word is one argument and its place.
type word struct {
	text   string
	at     where
	quoted bool // it was in quotes: an @ or a - in front has no meaning of its own
	failed bool // it stands for an @NAME in the place of a value that has been reported
}

const (
	maxArgFileDepth = 8
	maxArgFiles     = 256
)

// expand appends words to p.words, with the content of NAME in the place of each @NAME.
func (p *enablerParser) expand(words []word) {
	for i, w := range words {
		name, isRef := strings.CutPrefix(w.text, "@")
		if !isRef || w.quoted {
			p.words = append(p.words, w)
			continue
		}
		p.expanded++
		before, had := len(p.errors), len(p.words)
		shown := w.text
		if i > 0 && rsoeOptions[words[i-1].text].secret { // it may be a token that starts with @
			shown = "@" + mask
		}
		switch {
		case slices.Contains(p.open, name):
			p.fail(w.at, "%s: that is where this stands", shown)
		case len(p.open) == maxArgFileDepth:
			p.fail(w.at, "%s: at most %d deep", shown, maxArgFileDepth)
		case p.expanded == maxArgFiles:
			p.fail(w.at, "%s: at most %d files and variables in all", shown, maxArgFiles)
		case p.expanded < maxArgFiles: // what is above has been reported once
			if text, file, ok := p.content(name, shown, w.at); ok {
				p.open = append(p.open, name)
				p.expand(p.split(text, file))
				p.open = p.open[:len(p.open)-1]
			}
		}
		if len(p.errors) > before && len(p.words) == had && i > 0 && !rsoeOptions[words[i-1].text].flag {
			p.words = append(p.words, word{at: w.at, failed: true})
		}
	}
}

// content returns what @name stands for and how to call it in messages, in which @name itself is shown as shown.
// A variable goes before a file of that name.
func (p *enablerParser) content(name, shown string, at where) (text, file string, ok bool) {
	if name == "" {
		p.fail(at, "@: a file or an environment variable after it")
		return "", "", false
	}
	if text = p.env(name); text != "" {
		return text, "$" + name, true
	}
	b, err := p.readFile(name)
	if err != nil {
		err = withoutPath(err)
		p.fail(at, "%s: neither an environment variable nor a file that can be read: %v", shown, err)
		return "", "", false
	}
	if text = strings.TrimPrefix(string(b), "\xef\xbb\xbf"); !isText(text) {
		p.fail(at, "%s: not plain text: a file that is encoded, or hidden by dbfhide, cannot be read", shown)
		return "", "", false
	}
	return text, name, true
}

// isText tells whether s is lines of UTF-8.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' })
}

// withoutPath returns an error about a file less the name of the file.
func withoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// split cuts the content of an @NAME into words: at blanks and line ends, but not between double quotes, which must close
// on their line. A # at the start of a line makes it a comment.
func (p *enablerParser) split(text, file string) []word {
	var words []word
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.Trim(line, " \t\r\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := where{file: file, line: number}
		for line != "" {
			text, rest, closed := cutWord(line)
			if !closed { // not shown: it may be a secret
				p.fail(at, "a double quote without its partner on the line")
			}
			words = append(words, word{text: text, at: at, quoted: line[0] == '"'})
			line = strings.TrimLeft(rest, " \t")
		}
	}
	return words
}

// cutWord returns the first word of a line that starts with one, less its quotes, and what is after it.
func cutWord(line string) (text, rest string, closed bool) {
	var b strings.Builder
	inQuotes := false
	for i, c := range []byte(line) {
		switch {
		case c == '"':
			inQuotes = !inQuotes
		case !inQuotes && (c == ' ' || c == '\t'):
			return b.String(), line[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !inQuotes
}
