package message

import (
	"encoding/binary"
	"errors"
	"math"
)

// Kind is what a field holds; the numbers are those of the wire.
//
//	field   kind 1, plus 0x80 when named, plus 0x40 when unknown | length 1 and name, when named | value, unless unknown
//
// An array is a count of 4 bytes and the values of its elements. Binary, Object, the strings and messages have a length of 4
// bytes in front. Everything else has the size that its name says.
type Kind uint8

// The kinds of fields.
const (
	Char           Kind = 1 // 1 byte, signed
	Binary         Kind = 2
	Str            Kind = 3
	StrArray       Kind = 4
	Int2           Kind = 5
	Int2Array      Kind = 6
	Int4           Kind = 7
	Int4Array      Kind = 8
	Int8           Kind = 9
	Int8Array      Kind = 10
	Real4          Kind = 11
	Real4Array     Kind = 12
	Real8          Kind = 13
	Real8Array     Kind = 14
	Real16         Kind = 15 // 16 bytes that only programs look into
	Real16Array    Kind = 16
	Msg            Kind = 17 // a whole message without a frame
	MsgArray       Kind = 18
	Timestamp      Kind = 19 // seconds since 1970, 8-byte real
	TimestampArray Kind = 20
	UTF8           Kind = 21
	UTF8Array      Kind = 22
	Bool           Kind = 23 // 1 byte, 0 or 1
	BoolArray      Kind = 24
	Byte           Kind = 25 // 1 byte, unsigned
	XML            Kind = 26
	GUID           Kind = 27 // 16 bytes
	Object         Kind = 28
	lastKind            = Object
)

const (
	namedBit   = 0x80
	unknownBit = 0x40

	// MaxFieldName is the most bytes of the name of a field.
	MaxFieldName = 255
)

// hasLength as the size of a kind means that a length of 4 bytes comes first.
const hasLength = -1

// kinds has for each kind its name and the size of its value in bytes, of one element for arrays.
var kinds = [lastKind + 1]struct {
	name  string
	size  int
	array bool
}{
	Char: {"char", 1, false}, Byte: {"byte", 1, false}, Bool: {"bool", 1, false}, BoolArray: {"bool_array", 1, true},
	Int2: {"int2", 2, false}, Int2Array: {"int2_array", 2, true},
	Int4: {"int4", 4, false}, Int4Array: {"int4_array", 4, true},
	Int8: {"int8", 8, false}, Int8Array: {"int8_array", 8, true},
	Real4: {"real4", 4, false}, Real4Array: {"real4_array", 4, true},
	Real8: {"real8", 8, false}, Real8Array: {"real8_array", 8, true},
	Real16: {"real16", 16, false}, Real16Array: {"real16_array", 16, true},
	Timestamp: {"timestamp", 8, false}, TimestampArray: {"timestamp_array", 8, true},
	GUID: {"guid", 16, false}, Binary: {"binary", hasLength, false}, Object: {"object", hasLength, false},
	Str: {"str", hasLength, false}, StrArray: {"str_array", hasLength, true},
	UTF8: {"utf8", hasLength, false}, UTF8Array: {"utf8_array", hasLength, true}, XML: {"xml", hasLength, false},
	Msg: {"msg", hasLength, false}, MsgArray: {"msg_array", hasLength, true},
}

var (
	// ErrKind means that a field is of another kind than was asked for.
	ErrKind = errors.New("message: field of another kind")
	// ErrUnknown means that the value of a field is unknown.
	ErrUnknown = errors.New("message: value of the field is unknown")
)

// Valid tells whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= Char && k <= lastKind }

// IsArray tells whether k is an array.
func (k Kind) IsArray() bool { return k.Valid() && kinds[k].array }

// Element returns the kind of the elements of an array, and 0 for any other kind.
func (k Kind) Element() Kind {
	if k.IsArray() {
		return k - 1
	}
	return 0
}

// String returns the name of k in text files, "" when k is none.
func (k Kind) String() string {
	if k.Valid() {
		return kinds[k].name
	}
	return ""
}

// KindByName returns the kind of a name in lower case.
func KindByName(name string) (Kind, bool) {
	for k := Char; k <= lastKind; k++ {
		if kinds[k].name == name {
			return k, true
		}
	}
	return 0, false
}

// Field is one field. Its slices alias what it was parsed from.
type Field struct {
	Kind    Kind
	Unknown bool   // it has no value
	Name    []byte // nil: it has none; at most MaxFieldName bytes
	Value   []byte // as on the wire, without the length or the count in front of it
}

// NextField takes the first field of b apart; n is its length, 0 at the end of b. The value is not looked into, but for the
// lengths in arrays, so a Value from here is whole. Nothing is allocated but an error.
// Errors: codec.ErrMalformed.
func NextField(b []byte) (f Field, n int, err error) {
	if len(b) == 0 {
		return Field{}, 0, nil
	}
	f.Kind = Kind(b[0] &^ (namedBit | unknownBit))
	f.Unknown = b[0]&unknownBit != 0
	if !f.Kind.Valid() {
		return Field{}, 0, malformed("field kind %d", f.Kind)
	}
	n = 1
	if b[0]&namedBit != 0 {
		if len(b) < 2 || b[1] == 0 || len(b) < 2+int(b[1]) {
			return Field{}, 0, malformed("field ends within its name, or the name is empty")
		}
		n = 2 + int(b[1])
		f.Name = b[2:n:n]
	}
	if f.Unknown {
		return f, n, nil
	}
	head, size, ok := measure(f.Kind, b[n:])
	if !ok {
		return Field{}, 0, malformed("%s field does not fit in %d bytes", f.Kind, len(b)-n)
	}
	n += head
	f.Value = b[n : n+size : n+size]
	return f, n + size, nil
}

// measure tells how long the value of a kind at the front of b is: head bytes of length or count, then size bytes. It is false
// when b is shorter.
func measure(k Kind, b []byte) (head, size int, ok bool) {
	size = kinds[k].size
	if size != hasLength && !kinds[k].array {
		return 0, size, size <= len(b)
	}
	if len(b) < 4 {
		return 0, 0, false
	}
	count := uint64(binary.BigEndian.Uint32(b))
	rest := b[4:]
	switch {
	case !kinds[k].array:
		return 4, int(count), count <= uint64(len(rest))
	case size != hasLength:
		total := count * uint64(size) // 32 bits times 16 at most
		return 4, int(total), total <= uint64(len(rest))
	case count > uint64(len(rest)/4):
		return 0, 0, false
	}
	for range count {
		if len(rest) < 4 {
			return 0, 0, false
		}
		n := uint64(binary.BigEndian.Uint32(rest))
		if n > uint64(len(rest)-4) {
			return 0, 0, false
		}
		rest = rest[4+n:]
	}
	return 4, len(b) - 4 - len(rest), true
}

// want tells whether f has a value of one of two kinds.
func (f Field) want(a, b Kind) error {
	switch {
	case f.Kind != a && f.Kind != b:
		return ErrKind
	case f.Unknown:
		return ErrUnknown
	}
	return nil
}

// Int returns the value of a Char, Byte, Int2, Int4 or Int8. Errors: ErrKind, ErrUnknown.
func (f Field) Int() (int64, error) {
	if f.Unknown {
		return 0, ErrUnknown
	}
	switch f.Kind {
	case Char:
		return int64(int8(f.Value[0])), nil
	case Byte:
		return int64(f.Value[0]), nil
	case Int2:
		return int64(int16(binary.BigEndian.Uint16(f.Value))), nil
	case Int4:
		return int64(int32(binary.BigEndian.Uint32(f.Value))), nil
	case Int8:
		return int64(binary.BigEndian.Uint64(f.Value)), nil
	}
	return 0, ErrKind
}

// Real returns the value of a Real4, Real8 or Timestamp (seconds since 1970). Errors: ErrKind, ErrUnknown.
func (f Field) Real() (float64, error) {
	if f.Unknown {
		return 0, ErrUnknown
	}
	switch f.Kind {
	case Real4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(f.Value))), nil
	case Real8, Timestamp:
		return math.Float64frombits(binary.BigEndian.Uint64(f.Value)), nil
	}
	return 0, ErrKind
}

// Bool returns the value of a Bool. Errors: ErrKind, ErrUnknown; codec.ErrMalformed when it is neither 0 nor 1.
func (f Field) Bool() (bool, error) {
	if err := f.want(Bool, Bool); err != nil {
		return false, err
	}
	if f.Value[0] > 1 {
		return false, malformed("bool of %d", f.Value[0])
	}
	return f.Value[0] == 1, nil
}

// Bytes returns the value of a Binary, Object, Str, UTF8, XML, GUID or Real16; it aliases f. Errors: ErrKind, ErrUnknown.
func (f Field) Bytes() ([]byte, error) {
	if f.Unknown {
		return nil, ErrUnknown
	}
	switch f.Kind {
	case Binary, Object, Str, UTF8, XML, GUID, Real16:
		return f.Value, nil
	}
	return nil, ErrKind
}

// Text returns a copy of the value of a Str, UTF8 or XML, which may hold any bytes. Errors: ErrKind, ErrUnknown.
func (f Field) Text() (string, error) {
	if f.Kind != XML {
		if err := f.want(Str, UTF8); err != nil {
			return "", err
		}
	} else if f.Unknown {
		return "", ErrUnknown
	}
	return string(f.Value), nil
}

// Message parses the value of a Msg into m, which then aliases f. Errors: ErrKind, ErrUnknown, codec.ErrMalformed.
// Whoever opens messages in messages counts how deep it is: see MaxDepth.
func (f Field) Message(m *Message) error {
	if err := f.want(Msg, Msg); err != nil {
		return err
	}
	return Parse(f.Value, m)
}

// AppendField appends f as it was parsed.
func AppendField(dst []byte, f Field) []byte {
	dst = appendMark(dst, f)
	if f.Unknown {
		return dst
	}
	switch size := kinds[f.Kind].size; {
	case f.Kind.IsArray():
		dst = appendLen(dst, f.Len())
	case size == hasLength:
		dst = appendLen(dst, len(f.Value))
	case size != len(f.Value):
		panic("BUG: message: " + f.Kind.String() + " field of another size")
	}
	return append(dst, f.Value...)
}

func appendMark(dst []byte, f Field) []byte {
	if !f.Kind.Valid() || len(f.Name) > MaxFieldName {
		panic("BUG: message: field without a kind, or with too long a name")
	}
	mark := byte(f.Kind)
	if f.Unknown {
		mark |= unknownBit
	}
	if len(f.Name) == 0 {
		return append(dst, mark)
	}
	return append(append(dst, mark|namedBit, byte(len(f.Name))), f.Name...)
}

// AppendNamed appends a field with a name, of 1 to MaxFieldName bytes. field is the encoding of one field without a name.
func AppendNamed(dst []byte, name string, field []byte) []byte {
	if name == "" || len(name) > MaxFieldName || len(field) == 0 || field[0]&namedBit != 0 {
		panic("BUG: message: field to be named has a name, or the name is too long or empty")
	}
	dst = append(append(dst, field[0]|namedBit, byte(len(name))), name...)
	return append(dst, field[1:]...)
}

// AppendUnknown appends a field of a kind whose value is unknown.
func AppendUnknown(dst []byte, k Kind) []byte {
	return appendMark(dst, Field{Kind: k, Unknown: true})
}

func appendLen(dst []byte, n int) []byte {
	if uint64(n) > math.MaxUint32 {
		panic("BUG: message: field too long")
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}
