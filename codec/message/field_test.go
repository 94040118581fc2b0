package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"roundhouse/codec"
)

var inner = Message{Type: TypeInfo, Dest: []byte("/y"), Fields: AppendStr(nil, "z")}

const innerBytes = "\x00\x00\x00\x00\xff\xff\xff\xd8\x00\x00\x00\x00\x00\x02\x00\x00/y\x03\x00\x00\x00\x01z"

var sixteen = [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}

const sixteenBytes = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff"

// fieldRows are made by made and read by read, which are an appender and an accessor with its argument and result.
var fieldRows = []struct {
	name  string
	bytes string
	made  []byte
	kind  Kind
	read  func(Field) (any, error)
	want  any
}{
	{"char", "\x01\x80", AppendChar(nil, -128), Char, readInt, int64(-128)},
	{"binary", "\x02\x00\x00\x00\x03\x00\xffx", AppendBinary(nil, "\x00\xffx"), Binary, readBytes, "\x00\xffx"},
	{"empty binary", "\x02\x00\x00\x00\x00", AppendBinary(nil, []byte{}), Binary, readBytes, ""},
	{"str", "\x03\x00\x00\x00\x02hi", AppendStr(nil, "hi"), Str, readText, "hi"},
	{"str_array", "\x04\x00\x00\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x00", AppendStrArray(nil, []string{"a", ""}), StrArray, readTexts, []string{"a", ""}},
	{"empty str_array", "\x04\x00\x00\x00\x00", AppendStrArray[string](nil, nil), StrArray, readTexts, []string{}},
	{"int2", "\x05\xff\xfe", AppendInt2(nil, -2), Int2, readInt, int64(-2)},
	{"int2_array", "\x06\x00\x00\x00\x02\x00\x01\x80\x00", AppendInt2Array(nil, []int16{1, math.MinInt16}), Int2Array, readInts, []int64{1, math.MinInt16}},
	{"int4", "\x07\x80\x00\x00\x00", AppendInt4(nil, math.MinInt32), Int4, readInt, int64(math.MinInt32)},
	{"int4_array", "\x08\x00\x00\x00\x01\x7f\xff\xff\xff", AppendInt4Array(nil, []int32{math.MaxInt32}), Int4Array, readInts, []int64{math.MaxInt32}},
	{"int8", "\x09\x7f\xff\xff\xff\xff\xff\xff\xff", AppendInt8(nil, math.MaxInt64), Int8, readInt, int64(math.MaxInt64)},
	{"int8_array", "\x0a\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff", AppendInt8Array(nil, []int64{-1}), Int8Array, readInts, []int64{-1}},
	{"real4", "\x0b\x3f\xc0\x00\x00", AppendReal4(nil, 1.5), Real4, readReal, 1.5},
	{"real4_array", "\x0c\x00\x00\x00\x01\x3f\xc0\x00\x00", AppendReal4Array(nil, []float32{1.5}), Real4Array, readReals, []float64{1.5}},
	{"real8", "\x0d\x3f\xf8\x00\x00\x00\x00\x00\x00", AppendReal8(nil, 1.5), Real8, readReal, 1.5},
	{"real8_array", "\x0e\x00\x00\x00\x01\x3f\xf8\x00\x00\x00\x00\x00\x00", AppendReal8Array(nil, []float64{1.5}), Real8Array, readReals, []float64{1.5}},
	{"real16", "\x0f" + sixteenBytes, AppendReal16(nil, sixteen), Real16, readBytes, sixteenBytes},
	{"real16_array", "\x10\x00\x00\x00\x01" + sixteenBytes, AppendReal16Array(nil, [][16]byte{sixteen}), Real16Array, readElements, "[" + sixteenBytes + "]"},
	{"msg", "\x11\x00\x00\x00\x18" + innerBytes, AppendMessage(nil, &inner), Msg, readMessage, innerBytes},
	{"msg_array", "\x12\x00\x00\x00\x02\x00\x00\x00\x18" + innerBytes + "\x00\x00\x00\x18" + innerBytes,
		AppendMessageArray(nil, []Message{inner, inner}), MsgArray, readElements, "[" + innerBytes + " " + innerBytes + "]"},
	{"timestamp", "\x13\x3f\xf8\x00\x00\x00\x00\x00\x00", AppendTimestamp(nil, 1.5), Timestamp, readReal, 1.5},
	{"timestamp_array", "\x14\x00\x00\x00\x01\x3f\xf8\x00\x00\x00\x00\x00\x00", AppendTimestampArray(nil, []float64{1.5}), TimestampArray, readReals, []float64{1.5}},
	{"utf8", "\x15\x00\x00\x00\x02\xc3\xa9", AppendUTF8(nil, "é"), UTF8, readText, "é"},
	{"utf8_array", "\x16\x00\x00\x00\x01\x00\x00\x00\x02\xc3\xa9", AppendUTF8Array(nil, [][]byte{[]byte("é")}), UTF8Array, readTexts, []string{"é"}},
	{"bool", "\x17\x01", AppendBool(nil, true), Bool, readBool, true},
	{"bool, false", "\x17\x00", AppendBool(nil, false), Bool, readBool, false},
	{"bool_array", "\x18\x00\x00\x00\x03\x01\x00\x01", AppendBoolArray(nil, []bool{true, false, true}), BoolArray, readBools, []bool{true, false, true}},
	{"byte", "\x19\xff", AppendByte(nil, 255), Byte, readInt, int64(255)},
	{"xml", "\x1a\x00\x00\x00\x04<a/>", AppendXML(nil, "<a/>"), XML, readText, "<a/>"},
	{"guid", "\x1b" + sixteenBytes, AppendGUID(nil, sixteen), GUID, readBytes, sixteenBytes},
	{"object", "\x1c\x00\x00\x00\x01\x07", AppendObject(nil, "\x07"), Object, readBytes, "\x07"},
}

func readInt(f Field) (any, error)   { return f.Int() }
func readInts(f Field) (any, error)  { return f.Ints() }
func readReal(f Field) (any, error)  { return f.Real() }
func readReals(f Field) (any, error) { return f.Reals() }
func readText(f Field) (any, error)  { return f.Text() }
func readTexts(f Field) (any, error) { return f.Texts() }
func readBool(f Field) (any, error)  { return f.Bool() }
func readBools(f Field) (any, error) { return f.Bools() }

func readBytes(f Field) (any, error) {
	b, err := f.Bytes()
	return string(b), err
}

func readMessage(f Field) (any, error) {
	var m Message
	if err := f.Message(&m); err != nil {
		return nil, err
	}
	return string(Append(nil, &m)), nil
}

func readElements(f Field) (any, error) {
	var all []string
	for e := range f.Elements() {
		all = append(all, string(e.Value))
	}
	return fmt.Sprint(all), nil
}

func TestFields(t *testing.T) {
	seen := map[Kind]bool{}
	for _, row := range fieldRows {
		seen[row.kind] = true
		t.Run(row.name, func(t *testing.T) {
			if string(row.made) != row.bytes {
				t.Fatalf("appended %q, want %q", row.made, row.bytes)
			}
			checkField(t, row.bytes, Field{Kind: row.kind}, func(f Field) {
				if got, err := row.read(f); err != nil || !reflect.DeepEqual(got, row.want) {
					t.Errorf("%v, %v; want %v", got, err, row.want)
				}
			})
			named := AppendNamed(nil, "né", row.made)
			checkField(t, string(named), Field{Kind: row.kind, Name: []byte("né")}, func(f Field) {
				if got, err := row.read(f); err != nil || !reflect.DeepEqual(got, row.want) {
					t.Errorf("named: %v, %v; want %v", got, err, row.want)
				}
			})
			unknown := AppendUnknown(nil, row.kind)
			checkField(t, string(unknown), Field{Kind: row.kind, Unknown: true}, func(f Field) {
				if got, err := row.read(f); !errors.Is(err, ErrUnknown) && reflect.TypeOf(row.want).Kind() != reflect.String {
					t.Errorf("unknown: %v, %v", got, err)
				}
			})
			checkField(t, string(AppendNamed(nil, "n", unknown)), Field{Kind: row.kind, Unknown: true, Name: []byte("n")}, func(Field) {})
		})
	}
	for k := range Kind(255) {
		if k.Valid() != seen[k] {
			t.Errorf("kind %d: valid %v, tested %v", k, k.Valid(), seen[k])
		}
	}
}

// checkField parses a field alone, with another behind it, and at every truncation, and appends it again.
func checkField(t *testing.T, in string, want Field, look func(Field)) {
	t.Helper()
	for _, behind := range []string{"", "\x17\x01", "\xff"} {
		f, n, err := NextField([]byte(in + behind))
		if err != nil || n != len(in) || f.Kind != want.Kind || f.Unknown != want.Unknown || !bytes.Equal(f.Name, want.Name) || cap(f.Value) != len(f.Value) {
			t.Fatalf("%q: %+v, %d, %v", in, f, n, err)
		}
		look(f)
		if got := AppendField([]byte("x"), f); string(got) != "x"+in {
			t.Errorf("appended again %q, want x%q", got, in)
		}
	}
	for i := 1; i < len(in); i++ {
		if f, n, err := NextField([]byte(in[:i])); !errors.Is(err, codec.ErrMalformed) || n != 0 {
			t.Errorf("the first %d bytes: %+v, %d, %v", i, f, n, err)
		}
	}
}

func TestNextFieldRefuses(t *testing.T) {
	huge := "\xff\xff\xff\xff"
	rows := []struct{ name, bytes string }{
		{"kind 0", "\x00"},
		{"the kind behind the last", "\x1d\x00\x00\x00\x00"},
		{"the highest kind", "\x3f"},
		{"an empty name", "\x87\x00\x00\x00\x00\x01"},
		{"a name longer than the block", "\x87\xff1234"},
		{"a huge binary", "\x02" + huge + "x"},
		{"a huge str_array", "\x04" + huge + "\x00\x00\x00\x00"},
		{"a huge msg_array", "\x12" + huge + "\x00\x00\x00\x00"},
		{"a huge int8_array", "\x0a" + huge + "12345678"},
		{"an int8_array whose size wraps in 32 bits", "\x0a\x20\x00\x00\x00"},
		{"a real16_array whose size wraps in 32 bits", "\x10\x10\x00\x00\x00"},
		{"a huge bool_array", "\x18" + huge + "\x01"},
		{"a str_array with one element too few", "\x04\x00\x00\x00\x02\x00\x00\x00\x04abcd"},
		{"a str_array with a huge element", "\x04\x00\x00\x00\x01" + huge + "x"},
	}
	for _, row := range rows {
		if f, n, err := NextField([]byte(row.bytes)); !errors.Is(err, codec.ErrMalformed) || n != 0 {
			t.Errorf("%s: %+v, %d, %v", row.name, f, n, err)
		}
	}
	if f, n, err := NextField(nil); n != 0 || err != nil || f.Kind != 0 {
		t.Errorf("the end: %+v, %d, %v", f, n, err)
	}
}

func TestNameLimits(t *testing.T) {
	for _, n := range []int{1, MaxFieldName - 1, MaxFieldName} {
		f, _, err := NextField(AppendNamed(nil, strings.Repeat("n", n), AppendBool(nil, true)))
		if err != nil || len(f.Name) != n {
			t.Errorf("name of %d bytes: %d, %v", n, len(f.Name), err)
		}
	}
	mustPanic(t, "empty name", func() { AppendNamed(nil, "", AppendBool(nil, true)) })
	mustPanic(t, "long name", func() { AppendNamed(nil, strings.Repeat("n", MaxFieldName+1), AppendBool(nil, true)) })
	mustPanic(t, "second name", func() { AppendNamed(nil, "b", AppendNamed(nil, "a", AppendBool(nil, true))) })
	mustPanic(t, "long name of a field", func() { AppendField(nil, Field{Kind: Bool, Unknown: true, Name: make([]byte, MaxFieldName+1)}) })
	mustPanic(t, "no kind", func() { AppendField(nil, Field{}) })
	mustPanic(t, "short value", func() { AppendField(nil, Field{Kind: Int4, Value: []byte{1}}) })
}

func TestAccessorsWantTheirKind(t *testing.T) {
	accept := map[string][]Kind{
		"Int": {Char, Byte, Int2, Int4, Int8}, "Ints": {Int2Array, Int4Array, Int8Array}, "Real": {Real4, Real8, Timestamp},
		"Reals": {Real4Array, Real8Array, TimestampArray}, "Text": {Str, UTF8, XML}, "Texts": {StrArray, UTF8Array}, "Bool": {Bool},
		"Bools": {BoolArray}, "Bytes": {Binary, Object, Str, UTF8, XML, GUID, Real16}, "Message": {Msg},
	}
	read := map[string]func(Field) (any, error){"Int": readInt, "Ints": readInts, "Real": readReal, "Reals": readReals,
		"Text": readText, "Texts": readTexts, "Bool": readBool, "Bools": readBools, "Bytes": readBytes, "Message": readMessage}
	for name, kinds := range accept {
		for _, row := range fieldRows {
			f, _, err := NextField(row.made)
			if err != nil {
				t.Fatal(err)
			}
			good := slices.Contains(kinds, row.kind)
			if _, err := read[name](f); (err == nil) != good || err != nil && !errors.Is(err, ErrKind) {
				t.Errorf("%s of %s: %v", name, row.name, err)
			}
		}
	}
	for _, in := range []string{"\x17\x02", "\x18\x00\x00\x00\x02\x01\xff"} {
		f, _, err := NextField([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.Bool(); f.Kind == Bool && !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%q: %v", in, err)
		}
		if _, err = f.Bools(); f.Kind == BoolArray && !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
	var m Message
	if err := (Field{Kind: Msg, Value: []byte("short")}).Message(&m); !errors.Is(err, codec.ErrMalformed) {
		t.Errorf("message: %v", err)
	}
}

func TestElements(t *testing.T) {
	f, _, err := NextField(AppendStrArray(nil, []string{"a", "b", "c"}))
	if err != nil || f.Len() != 3 {
		t.Fatal(f.Len(), err)
	}
	count := 0
	for e := range f.Elements() {
		if e.Kind != Str || len(e.Value) != 1 || cap(e.Value) != 1 {
			t.Errorf("%+v", e)
		}
		if count++; count == 2 {
			break
		}
	}
	for _, f := range []Field{{Kind: Str, Value: []byte("abc")}, {Kind: StrArray, Unknown: true}} {
		for e := range f.Elements() {
			t.Errorf("%+v in %+v", e, f)
		}
		if f.Len() != 0 {
			t.Errorf("length %d", f.Len())
		}
	}
}

func TestKindNames(t *testing.T) {
	for k := range Kind(64) {
		if got, ok := KindByName(k.String()); ok != k.Valid() || ok && got != k {
			t.Errorf("%d is %q, which is %d, %v", k, k, got, ok)
		}
	}
	if StrArray.Element() != Str || Str.Element() != 0 || XML.IsArray() || Kind(0).IsArray() {
		t.Error("elements")
	}
}

func BenchmarkNextField(b *testing.B) {
	block := AppendStr(nil, "a text of some length")
	block = AppendInt4(block, 7)
	block = AppendNamed(block, "temperature", AppendReal8(nil, 88.5))
	block = AppendStrArray(block, []string{"a", "b", "c", "d"})
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := block; len(rest) > 0; {
			_, n, err := NextField(rest)
			if err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}
