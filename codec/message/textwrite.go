package message

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep messages in messages are opened in text files.
const MaxDepth = 16

var errDepth = errors.New("message: messages in messages, too deep")

// AppendText appends m as one line of a text file: see Reader for what it looks like. The type is written by its name when types
// has one, else by its number; the fields by the grammar of the type when they fit, else each with its kind. Fields that are
// compressed, malformed or deeper than MaxDepth are written as bytes, so that every message can be written.
func AppendText(dst []byte, m *Message, types *Types) []byte {
	dst = appendTypeAndDest(dst, m, types)
	start := len(dst)
	dst, err := appendFieldsText(dst, m, types)
	if err != nil {
		dst = appendBytesText(append(dst[:start], " opaque "...), m.Fields)
	}
	return append(dst, '\n')
}

func appendTypeAndDest(dst []byte, m *Message, types *Types) []byte {
	if info := types.find(m.Type); info != nil {
		dst = append(dst, info.Name...)
	} else {
		dst = strconv.AppendInt(dst, int64(m.Type), 10)
	}
	dst = append(dst, ' ')
	if plainDest(m.Dest) && utf8.Valid(m.Dest) {
		return append(dst, m.Dest...)
	}
	return appendQuoted(dst, m.Dest)
}

func appendFieldsText(dst []byte, m *Message, types *Types) ([]byte, error) {
	if m.Flags&FlagCompressed != 0 {
		return appendBytesText(append(dst, " compressed "...), m.Fields), nil
	}
	info := types.find(m.Type)
	if info == nil || info.grammar.verbose {
		return appendVerbose(append(dst, ' '), m.Fields, types, 0)
	}
	if groups, ok := info.grammar.fits(m.Fields); ok {
		return appendByGrammar(dst, m.Fields, &info.grammar, groups, types)
	}
	return appendVerbose(append(dst, " verbose "...), m.Fields, types, 0)
}

// appendByGrammar appends fields that fit g, with a blank before each.
func appendByGrammar(dst, fields []byte, g *grammar, groups int, types *Types) (_ []byte, err error) {
	put := func(s slot) {
		f, n, _ := NextField(fields) // fits has seen it
		fields = fields[n:]
		switch {
		case err != nil:
		case f.Unknown:
			dst = append(dst, " unknown"...)
		case s.id && plainID(f.Value):
			dst = append(append(dst, ' '), f.Value...)
		default:
			dst, err = appendValue(append(dst, ' '), f, types, 0)
		}
	}
	for _, s := range g.fixed {
		put(s)
	}
	if g.group == nil {
		return dst, err
	}
	braces := groups != 1 || !g.bareGroup()
	if braces {
		dst = append(dst, " {"...)
	}
	for range groups {
		for _, s := range g.group {
			put(s)
		}
	}
	if braces {
		dst = append(dst, " }"...)
	}
	return dst, err
}

// appendVerbose appends fields in braces, each with its kind.
func appendVerbose(dst, fields []byte, types *Types, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for len(fields) > 0 {
		f, n, err := NextField(fields)
		if err != nil {
			return dst, err
		}
		fields = fields[n:]
		dst = append(dst, ' ')
		if f.Name != nil {
			if plain(f.Name) {
				dst = append(dst, f.Name...)
			} else {
				dst = appendQuoted(dst, f.Name)
			}
			dst = append(dst, '=')
		}
		if f.Unknown {
			dst = append(append(dst, "unknown:"...), f.Kind.String()...)
			continue
		}
		dst = append(append(dst, f.Kind.String()...), ' ')
		if dst, err = appendValue(dst, f, types, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, " }"...), nil
}

// appendValue appends the value of f, which is known.
func appendValue(dst []byte, f Field, types *Types, depth int) ([]byte, error) {
	switch {
	case f.Kind.IsArray():
		dst = append(dst, '{')
		for e := range f.Elements() {
			var err error
			if dst, err = appendValue(append(dst, ' '), e, types, depth); err != nil {
				return dst, err
			}
		}
		return append(dst, " }"...), nil
	case isHex(f.Kind):
		return appendBytesText(dst, f.Value), nil
	}
	switch f.Kind {
	case Msg:
		return appendNested(dst, f, types, depth+1)
	case Str, UTF8, XML:
		return appendQuoted(dst, f.Value), nil
	case Real4:
		v := math.Float32frombits(binary.BigEndian.Uint32(f.Value))
		return strconv.AppendFloat(dst, float64(v), 'g', -1, 32), nil
	case Real8, Timestamp:
		v, err := f.Real()
		return strconv.AppendFloat(dst, v, 'g', -1, 64), err
	case Bool:
		v, err := f.Bool()
		return strconv.AppendBool(dst, v), err
	default:
		v, err := f.Int()
		return strconv.AppendInt(dst, v, 10), err
	}
}

// appendNested appends a message within another: in braces, and always verbose.
func appendNested(dst []byte, f Field, types *Types, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, errDepth
	}
	var m Message
	if err := Parse(f.Value, &m); err != nil {
		return dst, err
	}
	dst = append(appendTypeAndDest(append(dst, "{ "...), &m, types), ' ')
	if m.Flags&FlagCompressed != 0 {
		dst = appendBytesText(append(dst, "compressed "...), m.Fields)
		return append(dst, " }"...), nil
	}
	dst, err := appendVerbose(dst, m.Fields, types, depth)
	return append(dst, " }"...), err
}

func appendBytesText(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '{')
	for _, c := range b {
		dst = append(dst, ' ', digits[c>>4], digits[c&15])
	}
	return append(dst, " }"...)
}

// appendQuoted appends b in quotes: with \" \\ \n \t, and \xHH for every other control byte and what is not UTF-8.
func appendQuoted(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch c := b[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == 0x7F || r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return append(dst, '"')
}
