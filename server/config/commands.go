package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Command is one command of an rtserver.cm, or of a control message. The text that it stands in:
//
//	text    = [ command ] *( ( ";" | LF ) [ command ] )
//	command = word *( [ "," ] word )       a comma makes two words members of one list; not behind the first word
//	word    = bare | quoted                between two words are blanks, a comma, or both
//	bare    = 1*( any but blank , ; " LF )     spelled UNKNOWN, in any case: no value
//	quoted  = '"' *any '"'                 in one line; \" is a quote, \\ a backslash, any other \ stands for itself
//	comment = "/*" *any "*/" | "(*" *any "*)" | "//" up to the end of the line
//
// A comment counts as a blank. It begins only where a word could: /a/* is a subject, and so is "/*" in quotes. Blanks are spaces, tabs
// and CR. Control characters stand nowhere, nor does what is not UTF-8.
type Command struct {
	// Line is where the command begins, from 1.
	Line int
	// Words has at least one.
	Words []string
	marks []wordMark // one for each word
}

// wordMark tells how a word is written.
type wordMark struct {
	quoted bool
	comma  bool // one follows
}

// Bounds of a text of commands; what is beyond is a problem.
const (
	maxCommandText  = 1 << 20 // bytes
	maxCommandCount = 10_000
	maxWords        = 1024 // of a command
	maxWord         = 8192 // bytes
	maxSyntax       = 20   // problems that are told
)

// ParseCommands returns the commands of text, less those that problems were found in: such a command ends with its line. Problems have a
// line and a column and no file.
func ParseCommands(text string) ([]Command, []Problem) {
	p := &commandParser{text: text, line: 1}
	if len(text) > maxCommandText {
		p.fail("at most %d bytes of commands; there are %d", maxCommandText, len(text))
		return nil, p.problems
	}
	for p.pos < len(text) && len(p.problems) < maxSyntax && !p.full {
		p.next()
	}
	p.endCommand()
	return p.commands, p.problems
}

type commandParser struct {
	text             string
	pos, line, start int // start: of the line, as pos
	commands         []Command
	problems         []Problem
	now              Command // not yet complete
	full             bool    // no room for more commands
}

func (p *commandParser) fail(format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: p.line, Col: p.pos - p.start + 1, Text: fmt.Sprintf(format, args...)})
}

// skip reports a mistake and goes on with the next line.
func (p *commandParser) skip(format string, args ...any) {
	p.fail(format, args...)
	p.now = Command{}
	p.pos += lineEnd(p.text[p.pos:])
}

// lineEnd is where the line that text begins with ends.
func lineEnd(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}

const blanks = " \t\r"

// next handles what stands at pos.
func (p *commandParser) next() {
	rest := p.text[p.pos:]
	switch c := rest[0]; {
	case strings.IndexByte(blanks, c) >= 0:
		p.pos++
	case c == '\n' || c == ';':
		p.endCommand()
		p.pos++
		if c == '\n' {
			p.line, p.start = p.line+1, p.pos
		}
	case c == ',':
		p.comma()
	case strings.HasPrefix(rest, "//"):
		p.pos += lineEnd(rest)
	case strings.HasPrefix(rest, "/*"):
		p.comment("*/")
	case strings.HasPrefix(rest, "(*"):
		p.comment("*)")
	case c == '"':
		p.quoted()
	default:
		p.bare()
	}
}

// comment skips a comment, which may span lines.
func (p *commandParser) comment(end string) {
	length := strings.Index(p.text[p.pos+2:], end)
	if length < 0 {
		p.fail(`a comment that does not end; write a subject that begins with /* in quotes`)
		p.now, p.pos = Command{}, len(p.text)
		return
	}
	to := p.pos + 2 + length + 2
	comment := p.text[p.pos:to]
	if lines := strings.Count(comment, "\n"); lines > 0 {
		p.line, p.start = p.line+lines, p.pos+strings.LastIndexByte(comment, '\n')+1
	}
	p.pos = to
}

func (p *commandParser) comma() {
	n := len(p.now.marks)
	switch {
	case n == 0:
		p.skip("a comma in front of a command")
	case n == 1:
		p.skip("a comma behind the name of a command")
	case p.now.marks[n-1].comma:
		p.skip("a comma behind a comma")
	default:
		p.now.marks[n-1].comma = true
		p.pos++
	}
}

func (p *commandParser) quoted() {
	line := p.text[p.pos : p.pos+lineEnd(p.text[p.pos:])]
	var word strings.Builder
	i := 1
	for ; i < len(line) && line[i] != '"'; i++ {
		if line[i] == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\') {
			i++
		}
		word.WriteByte(line[i])
	}
	if i++; i > len(line) {
		p.skip("a quoted text that does not end in its line")
		return
	}
	if i < len(line) && strings.IndexByte(blanks+",;", line[i]) < 0 {
		p.pos += i
		p.skip("a blank, a comma or a semicolon behind a quoted text")
		return
	}
	p.word(word.String(), true, i)
}

func (p *commandParser) bare() {
	rest := p.text[p.pos:]
	n := strings.IndexAny(rest, blanks+",;\n\"")
	if n < 0 {
		n = len(rest)
	}
	if n < len(rest) && rest[n] == '"' {
		p.pos += n
		p.skip("a quote in the middle of a word: put all of it into quotes")
		return
	}
	p.word(rest[:n], false, n)
}

// word adds a word that takes up length bytes.
func (p *commandParser) word(word string, quoted bool, length int) {
	bad := strings.IndexFunc(word, func(c rune) bool { return isControl(c) && c != '\t' })
	switch {
	case bad >= 0 || !utf8.ValidString(word):
		p.skip("a control character, or what is not UTF-8")
	case len(word) > maxWord:
		p.skip("a word of %d bytes, at most %d", len(word), maxWord)
	case len(p.now.Words) == maxWords:
		p.skip("more than %d words", maxWords)
	case len(p.now.Words) == 0 && word == "":
		p.skip("no name of a command")
	default:
		if len(p.now.Words) == 0 {
			p.now.Line = p.line
		}
		p.now.Words = append(p.now.Words, word)
		p.now.marks = append(p.now.marks, wordMark{quoted: quoted})
		p.pos += length
	}
}

func (p *commandParser) endCommand() {
	now, n := p.now, len(p.now.Words)
	p.now = Command{}
	switch {
	case n == 0:
	case now.marks[n-1].comma:
		p.fail("nothing behind the last comma")
	case len(p.commands) == maxCommandCount:
		p.fail("more than %d commands", maxCommandCount)
		p.full = true
	default:
		p.commands = append(p.commands, now)
	}
}

// Name returns the name of c in lower case.
func (c Command) Name() string { return strings.ToLower(c.Words[0]) }

// Args returns the words behind the name.
func (c Command) Args() []string { return c.Words[1:] }

// Text returns the words behind the name in one line, as echo prints them.
func (c Command) Text() string {
	var out strings.Builder
	for i, word := range c.Words[1:] {
		if i > 0 {
			out.WriteString(c.marks[i].separator())
		}
		out.WriteString(word)
	}
	return out.String()
}

func (m wordMark) separator() string {
	if m.comma {
		return ", "
	}
	return " "
}

// String returns c as ParseCommands reads it.
func (c Command) String() string {
	var out strings.Builder
	for i, word := range c.Words {
		if i > 0 {
			out.WriteString(c.marks[i-1].separator())
		}
		if c.marks[i].quoted {
			word = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
		}
		out.WriteString(word)
	}
	return out.String()
}

// Option takes c for "setopt [name [value {, value}]]" and returns its parts. values is nil where there are none, and empty for UNKNOWN.
func (c Command) Option() (name string, values []string, err error) {
	if len(c.Words) == 1 {
		return "", nil, nil
	}
	name = c.Words[1]
	if len(c.Words) == 2 {
		return name, nil, nil
	}
	if c.marks[1].comma {
		return name, nil, fmt.Errorf("config: option %q: a comma behind its name", name)
	}
	values = slices.Clone(c.Words[2:])
	for i, mark := range c.marks[2:] {
		if !mark.quoted && strings.EqualFold(values[i], unknown) {
			if len(values) > 1 {
				return name, nil, fmt.Errorf("config: option %q: UNKNOWN stands alone", name)
			}
			return name, []string{}, nil
		}
		if i+1 < len(values) && !mark.comma {
			return name, nil, fmt.Errorf("config: option %q: a comma between two values, or quotes around a value with blanks", name)
		}
	}
	return name, values, nil
}

const unknown = "UNKNOWN" // the value of what is not set
