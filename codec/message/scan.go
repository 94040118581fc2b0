package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"roundhouse/codec"
)

// TextError is a mistake in a text file.
type TextError struct {
	Line int    // from 1
	Text string // what is wrong
	Err  error  // codec.ErrMalformed or codec.ErrTooLarge
}

func (e *TextError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Unwrap returns e.Err.
func (e *TextError) Unwrap() error { return e.Err }

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenString
	tokenOpen
	tokenClose
)

// token is a word, a string without its quotes and escapes, or a brace.
type token struct {
	kind tokenKind
	line int
	text string
}

// String is for error texts; long ones are cut.
func (t token) String() string {
	const most = 40
	text := t.text
	if len(text) > most {
		text = text[:most] + "..."
	}
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenOpen:
		return "{"
	case tokenClose:
		return "}"
	case tokenString:
		return "the string " + fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q", text)
}

func (t token) fail(format string, args ...any) error {
	return &TextError{t.line, fmt.Sprintf(format, args...), codec.ErrMalformed}
}

// scanner cuts a text file into tokens. A comment is one only where a token could begin or, in values, end.
type scanner struct {
	in    *bufio.Reader
	line  int // of the next byte
	limit int // of a token, in bytes
	back  []token
	buf   []byte
	err   error // of the file, when ahead met it
}

func (s *scanner) fail(line int, text string) error {
	return &TextError{line, text, codec.ErrMalformed}
}

// unread gives a token back; the last one that was given back comes first.
func (s *scanner) unread(t token) { s.back = append(s.back, t) }

// next returns the next token. In a subject, comments do not end a word: /a/*/b is a subject.
func (s *scanner) next(subject bool) (token, error) {
	if n := len(s.back); n > 0 {
		t := s.back[n-1]
		s.back = s.back[:n-1]
		return t, nil
	}
	t := token{}
	if err := s.skipBlanks(); err != nil {
		return t, err
	}
	t.line = s.line
	c, err := s.in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return t, nil
	case err != nil:
		return t, err
	case c == '{':
		t.kind = tokenOpen
		return t, nil
	case c == '}':
		t.kind = tokenClose
		return t, nil
	case c == '"':
		t.kind = tokenString
		t.text, err = s.quoted()
		return t, err
	}
	t.kind = tokenWord
	t.text, err = s.word(c, subject)
	return t, err
}

// ahead returns the next two bytes; fewer at the end, and when the file cannot be read: s.err.
func (s *scanner) ahead() []byte {
	b, err := s.in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// skipBlanks goes to the next token, over blanks and comments.
func (s *scanner) skipBlanks() error {
	for {
		b := s.ahead()
		switch {
		case len(b) == 0:
			return s.err
		case startsComment(b):
			if err := s.comment(); err != nil {
				return err
			}
		case !blank(b[0]):
			return nil
		default:
			if b[0] == '\n' {
				s.line++
			}
			_, _ = s.in.Discard(1) // it was peeked at
		}
	}
}

// comment skips a comment, which begins at the next byte.
func (s *scanner) comment() error {
	var closing byte // behind a star; 0: the line ends it
	switch string(s.ahead()) {
	case "/*":
		closing = '/'
	case "(*":
		closing = ')'
	}
	_, _ = s.in.Discard(2) // they were peeked at
	last, start := byte(0), s.line
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) && closing == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return s.fail(start, "a comment is not closed; a subject that begins like one stands in quotes")
		}
		if err != nil {
			return err
		}
		if c == '\n' {
			s.line++
		}
		if closing == 0 && c == '\n' || closing != 0 && last == '*' && c == closing {
			return nil
		}
		last = c
	}
}

// word reads a word whose first byte is c.
func (s *scanner) word(c byte, subject bool) (string, error) {
	s.buf = s.buf[:0]
	for {
		if c < ' ' || c == 0x7F {
			return "", s.fail(s.line, fmt.Sprintf("byte %#02x", c))
		}
		if len(s.buf) >= s.limit {
			return "", s.tooLong()
		}
		s.buf = append(s.buf, c)
		b := s.ahead()
		if len(b) == 0 || blank(b[0]) || b[0] == '{' || b[0] == '}' || b[0] == '"' || !subject && startsComment(b) {
			return string(s.buf), s.err
		}
		c = b[0]
		_, _ = s.in.Discard(1) // it was peeked at
	}
}

// quoted reads the rest of a string.
func (s *scanner) quoted() (string, error) {
	s.buf = s.buf[:0]
	for {
		c, err := s.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) || err == nil && c == '\n':
			return "", s.fail(s.line, "a string is not closed on its line")
		case err != nil:
			return "", err
		case c == '"':
			return string(s.buf), nil
		case c < ' ' && c != '\t' || c == 0x7F:
			return "", s.fail(s.line, fmt.Sprintf("byte %#02x in a string: write \\x%02x", c, c))
		case len(s.buf) >= s.limit:
			return "", s.tooLong()
		case c == '\\':
			if c, err = s.escape(); err != nil {
				return "", err
			}
		}
		s.buf = append(s.buf, c)
	}
}

// escape reads what follows a backslash.
func (s *scanner) escape() (byte, error) {
	c, err := s.in.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	switch c {
	case '"', '\\':
		return c, nil
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'x':
		b := s.ahead()
		if v, ok := hexByte(b); ok {
			_, _ = s.in.Discard(2) // they were peeked at
			return v, nil
		}
	}
	return 0, s.fail(s.line, `an escape in a string that is none of \" \\ \n \t \xHH`)
}

func (s *scanner) tooLong() error {
	return &TextError{s.line, fmt.Sprintf("a word or a string of more than %d bytes", s.limit), codec.ErrTooLarge}
}

// hexByte returns the value of two hexadecimal digits.
func hexByte[T text](b T) (byte, bool) {
	if len(b) != 2 {
		return 0, false
	}
	v := 0
	for i := range 2 {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 + int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 + int(c|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	return byte(v), true
}
