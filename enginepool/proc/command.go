package proc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Command splits a command line into a program and its arguments and then puts in values. There is no shell: no variables, no
// patterns, no redirection.
//
//	blanks        part arguments: space, tab, end of line
//	'text'        stands as it is
//	"text"        stands as it is, but for \" and \\
//	\c            outside of quotes: the character c
//	{name}        a value, as in {app} {user} {loc} {engine}, within quotes or not; it never becomes two arguments
//	{{            one {
//
// A { that is not followed by letters and } stands for itself. Every mistake is an error that says what and where: a quote that
// is not closed, a name without a value.
//
// A value that comes from a client should not stand alone where an option may: --user={user} cannot be misread, {user} can.
func Command(line string, values map[string]string) ([]string, error) {
	argv, err := split(line)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		return nil, errors.New("proc: the command line is empty")
	}
	for i, arg := range argv {
		if argv[i], err = fill(arg, values); err != nil {
			return nil, err
		}
	}
	if argv[0] == "" {
		return nil, errors.New("proc: the command line starts with an empty program name")
	}
	return argv, nil
}

// split parts the arguments of a command line and takes their quotes away.
func split(line string) (argv []string, err error) {
	if i := strings.IndexByte(line, 0); i >= 0 {
		return nil, fmt.Errorf("proc: there is a zero byte at column %d of the command line", column(line, i))
	}
	var arg []byte
	begun := false // arg is an argument, if an empty one
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\r', '\n':
			if begun {
				argv = append(argv, string(arg))
				arg, begun = arg[:0], false
			}
			continue
		case '\'', '"':
			text, n := quoted(line[i:])
			if n == 0 {
				return nil, fmt.Errorf("proc: the quote at column %d of the command line is not closed", column(line, i))
			}
			arg = append(arg, text...)
			i += n - 1
		case '\\':
			if i++; i == len(line) {
				return nil, fmt.Errorf("proc: the backslash at column %d of the command line has nothing after it", column(line, i-1))
			}
			arg = append(arg, line[i])
		default:
			arg = append(arg, c)
		}
		begun = true
	}
	if begun {
		argv = append(argv, string(arg))
	}
	return argv, nil
}

// quoted returns the text of the quotes that s starts with, and how long they are; 0: they are not closed.
func quoted(s string) (text []byte, n int) {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return text, i + 1
		case s[0] == '"' && s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		text = append(text, s[i])
	}
	return nil, 0
}

// column is where byte i of a line stands for the reader, from 1.
func column(line string, i int) int { return utf8.RuneCountInString(line[:i]) + 1 }

// fill puts the values into one argument.
func fill(arg string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		text, rest, ok := strings.Cut(arg, "{")
		b.WriteString(text)
		if !ok {
			return b.String(), nil
		}
		if strings.HasPrefix(rest, "{") {
			b.WriteByte('{')
			arg = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.IndexFunc(name, notLetter) >= 0 {
			b.WriteByte('{')
			arg = rest
			continue
		}
		value, known := values[name]
		switch {
		case !known:
			return "", fmt.Errorf("proc: placeholder {%s} of the command line is unknown; there are {%s}", name,
				strings.Join(slices.Sorted(maps.Keys(values)), "} {"))
		case strings.ContainsRune(value, 0):
			return "", fmt.Errorf("proc: the value of {%s} in the command line holds a zero byte", name)
		}
		b.WriteString(value)
		arg = after
	}
}

func notLetter(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
