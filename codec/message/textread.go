package message

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"roundhouse/codec"
)

// textReader makes messages of tokens.
type textReader struct {
	scan  scanner
	types *Types
	limit int // bytes of a message
}

// message appends the next message to dst, in the form of the wire. Errors: io.EOF when there is none.
func (r *textReader) message(dst []byte) ([]byte, error) {
	t, err := r.scan.next(false)
	if err != nil {
		return dst, err
	}
	if t.kind == tokenEnd {
		return dst, io.EOF
	}
	m, info, err := r.head(t)
	if err != nil {
		return dst, err
	}
	g := grammar{verbose: true}
	if info != nil {
		g = info.grammar
	}
	l, err := r.layout(g.verbose)
	if err != nil {
		return dst, err
	}
	if l != layoutGrammar {
		return r.fields(dst, &m, l, 0)
	}
	return r.byGrammar(Append(dst, &m), &g)
}

// head reads a type, of which t is the first token, and a destination. info is nil when only the number of the type is known.
func (r *textReader) head(t token) (m Message, info *typeInfo, err error) {
	if t.kind != tokenWord {
		return m, nil, t.fail("%s where the type of a message should be", t)
	}
	if info = r.types.findName(t.text); info != nil {
		m.Type = info.Type
	} else {
		v, err := strconv.ParseInt(t.text, 10, 32)
		if err != nil {
			return m, nil, t.fail("message type %s is not known", t)
		}
		m.Type = Type(v)
		info = r.types.find(m.Type)
	}
	dest, err := r.scan.next(true)
	switch {
	case err != nil:
		return m, nil, err
	case dest.kind != tokenWord && dest.kind != tokenString:
		return m, nil, dest.fail("%s where the destination of a message should be", dest)
	case len(dest.text) > MaxDest:
		return m, nil, dest.fail("a destination of %d bytes, limit %d", len(dest.text), MaxDest)
	}
	m.Dest = []byte(dest.text)
	return m, info, nil
}

// layout reads the word that says how fields are laid out, if one stands before a brace.
func (r *textReader) layout(verbose bool) (layout, error) {
	l := layoutGrammar
	if verbose {
		l = layoutVerbose
	}
	word, err := r.scan.next(false)
	if err != nil {
		return 0, err
	}
	named, ok := layoutByName(word.text)
	if word.kind == tokenWord && ok {
		brace, err := r.scan.next(false)
		if err != nil {
			return 0, err
		}
		r.scan.unread(brace)
		if brace.kind == tokenOpen {
			return named, nil
		}
	}
	r.scan.unread(word)
	return l, nil
}

// fields appends m and fields that are in braces.
func (r *textReader) fields(dst []byte, m *Message, l layout, depth int) ([]byte, error) {
	if l == layoutCompressed {
		m.Flags |= FlagCompressed
	}
	dst = Append(dst, m)
	if l != layoutVerbose {
		return r.hex(dst)
	}
	if err := r.open("fields"); err != nil {
		return dst, err
	}
	for {
		t, err := r.scan.next(false)
		if err != nil || t.kind == tokenClose {
			return dst, err
		}
		if dst, err = r.verboseField(dst, t, depth); err != nil {
			return dst, err
		}
	}
}

// verboseField appends a field, of which t is the first token: [name=]kind value, or [name=]unknown:kind.
func (r *textReader) verboseField(dst []byte, t token, depth int) ([]byte, error) {
	var f Field
	name, word, named := strings.Cut(t.text, "=")
	switch {
	case t.kind == tokenString:
		name, named = t.text, true
		eq, err := r.scan.next(false)
		if err != nil {
			return dst, err
		}
		if eq.kind != tokenWord || !strings.HasPrefix(eq.text, "=") {
			return dst, eq.fail("%s where = and the kind of the field %s should be", eq, t)
		}
		word = eq.text[1:]
	case t.kind != tokenWord:
		return dst, t.fail("%s where a field should be", t)
	case !named:
		name, word = "", t.text
	}
	if named && (name == "" || len(name) > MaxFieldName) {
		return dst, t.fail("a name of %d bytes for a field, 1 to %d are possible", len(name), MaxFieldName)
	}
	word, f.Unknown = strings.CutPrefix(word, "unknown:")
	k, ok := KindByName(strings.ToLower(word))
	if !ok {
		return dst, t.fail("%q is no kind of field", word)
	}
	f.Kind, f.Name = k, []byte(name)
	dst = appendMark(dst, f)
	if f.Unknown {
		return dst, r.fits(dst)
	}
	return r.value(dst, k, depth)
}

// byGrammar appends fields in the order of g.
func (r *textReader) byGrammar(dst []byte, g *grammar) (_ []byte, err error) {
	for _, s := range g.fixed {
		if dst, err = r.slot(dst, s); err != nil {
			return dst, err
		}
	}
	if g.group == nil {
		return dst, nil
	}
	first, err := r.scan.next(false)
	if err != nil {
		return dst, err
	}
	if first.kind != tokenOpen {
		if !g.bareGroup() {
			return dst, first.fail("%s where the { of a group should be", first)
		}
		r.scan.unread(first)
		return r.group(dst, g)
	}
	for {
		t, err := r.scan.next(false)
		if err != nil || t.kind == tokenClose {
			return dst, err
		}
		r.scan.unread(t)
		if dst, err = r.group(dst, g); err != nil {
			return dst, err
		}
	}
}

func (r *textReader) group(dst []byte, g *grammar) (_ []byte, err error) {
	for _, s := range g.group {
		if dst, err = r.slot(dst, s); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// slot appends one field of a grammar.
func (r *textReader) slot(dst []byte, s slot) ([]byte, error) {
	t, err := r.scan.next(false)
	switch {
	case err != nil:
		return dst, err
	case t.kind == tokenWord && s.id:
		dst = AppendStr(dst, t.text)
		return dst, r.fits(dst)
	case t.kind == tokenWord && t.text == "unknown":
		dst = AppendUnknown(dst, s.kind)
		return dst, r.fits(dst)
	}
	r.scan.unread(t)
	return r.value(appendMark(dst, Field{Kind: s.kind}), s.kind, 0)
}

// value appends the value of a field, behind its mark.
func (r *textReader) value(dst []byte, k Kind, depth int) (_ []byte, err error) {
	switch {
	case k.IsArray():
		dst, err = r.array(dst, k.Element(), depth)
	case k == Msg:
		dst, err = r.nested(dst, depth+1)
	case isHex(k):
		dst, err = r.bytes(dst, k)
	default:
		dst, err = r.scalar(dst, k)
	}
	if err != nil {
		return dst, err
	}
	return dst, r.fits(dst)
}

// scalar appends a value that is one token.
func (r *textReader) scalar(dst []byte, k Kind) ([]byte, error) {
	t, err := r.scan.next(false)
	if err != nil {
		return dst, err
	}
	if k == Str || k == UTF8 || k == XML {
		if t.kind != tokenString {
			return dst, t.fail("%s where a string in quotes should be", t)
		}
		return putText(dst, t.text), nil
	}
	ok := t.kind == tokenWord
	if ok {
		dst, ok = appendScalar(dst, k, t.text)
	}
	if !ok {
		return dst, t.fail("%s where a value of kind %s should be", t, k)
	}
	return dst, nil
}

// appendScalar appends the value of a number or a bool.
func appendScalar(dst []byte, k Kind, word string) ([]byte, bool) {
	bits := 8 * kinds[k].size
	switch k {
	case Bool:
		is := strings.EqualFold(word, "true")
		return append(dst, bit(is)), is || strings.EqualFold(word, "false")
	case Real4, Real8, Timestamp:
		v, err := strconv.ParseFloat(word, bits)
		if err != nil || strings.ContainsAny(word, "xX_") {
			return dst, false
		}
		if k == Real4 {
			return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(v))), true
		}
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), true
	case Byte:
		v, err := strconv.ParseUint(word, 10, 8)
		return append(dst, byte(v)), err == nil
	}
	v, err := strconv.ParseInt(word, 10, bits)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	return append(dst, b[8-kinds[k].size:]...), err == nil
}

// array appends a count and the elements, in braces.
func (r *textReader) array(dst []byte, k Kind, depth int) ([]byte, error) {
	if err := r.open(k.String() + "_array"); err != nil {
		return dst, err
	}
	start, count := len(dst), uint32(0)
	dst = appendLen(dst, 0)
	for {
		t, err := r.scan.next(false)
		if err != nil {
			return dst, err
		}
		if t.kind == tokenClose {
			binary.BigEndian.PutUint32(dst[start:], count)
			return dst, nil
		}
		r.scan.unread(t)
		if dst, err = r.value(dst, k, depth); err != nil {
			return dst, err
		}
		count++ // at most limit: each element has a byte at least
	}
}

// nested appends the length of a message and the message, which is in braces.
func (r *textReader) nested(dst []byte, depth int) ([]byte, error) {
	if err := r.open("msg"); err != nil {
		return dst, err
	}
	t, err := r.scan.next(false)
	if err != nil {
		return dst, err
	}
	if depth > MaxDepth {
		return dst, t.fail("messages in messages, deeper than %d", MaxDepth)
	}
	m, _, err := r.head(t)
	if err != nil {
		return dst, err
	}
	l, err := r.layout(true)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	if dst, err = r.fields(appendLen(dst, 0), &m, l, depth); err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	closing, err := r.scan.next(false)
	if err == nil && closing.kind != tokenClose {
		err = closing.fail("%s where the } of a message should be", closing)
	}
	return dst, err
}

// bytes appends a value that is written as bytes, behind its length if it has one.
func (r *textReader) bytes(dst []byte, k Kind) ([]byte, error) {
	start := len(dst)
	if kinds[k].size == hasLength {
		dst = appendLen(dst, 0)
	}
	line := r.scan.line
	dst, err := r.hex(dst)
	if err != nil {
		return dst, err
	}
	if size := kinds[k].size; size == hasLength {
		binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	} else if len(dst)-start != size {
		return dst, r.scan.fail(line, fmt.Sprintf("%d bytes for a %s, which has %d", len(dst)-start, k, size))
	}
	return dst, nil
}

// hex appends bytes in braces: each two hexadecimal digits, with or without 0x, with or without blanks between.
func (r *textReader) hex(dst []byte) ([]byte, error) {
	if err := r.open("bytes"); err != nil {
		return dst, err
	}
	for {
		t, err := r.scan.next(false)
		switch {
		case err != nil || t.kind == tokenClose:
			return dst, err
		case t.kind != tokenWord:
			return dst, t.fail("%s where a byte in hexadecimal digits or a } should be", t)
		}
		digits := strings.TrimPrefix(t.text, "0x")
		ok := len(digits) > 0 && len(digits)%2 == 0
		for ; ok && len(digits) > 0; digits = digits[2:] {
			var v byte
			v, ok = hexByte(digits[:2])
			dst = append(dst, v)
		}
		if !ok {
			return dst, t.fail("%s where a byte in hexadecimal digits should be", t)
		}
		if err := r.fits(dst); err != nil {
			return dst, err
		}
	}
}

// open takes the brace in front of what.
func (r *textReader) open(what string) error {
	t, err := r.scan.next(false)
	if err == nil && t.kind != tokenOpen {
		err = t.fail("%s where the { of %s should be", t, what)
	}
	return err
}

// fits tells whether the message so far is within the limit.
func (r *textReader) fits(dst []byte) error {
	if len(dst) > r.limit {
		return &TextError{r.scan.line, fmt.Sprintf("a message of more than %d bytes", r.limit), codec.ErrTooLarge}
	}
	return nil
}
