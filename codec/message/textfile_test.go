package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

func testTypes(t testing.TB) *Types {
	t.Helper()
	ts := &Types{}
	for number, d := range map[Type][2]string{
		100: {"order", "verbose"}, 101: {"matrix", "str { int4_array }"}, 102: {"list", "{ id int4_array }"}, 103: {"pair", "int4 msg"},
	} {
		if err := ts.Define(number, d[0], d[1]); err != nil {
			t.Fatal(err)
		}
	}
	return ts
}

func message(t Type, dest string, fields ...[]byte) Message {
	return Message{Type: t, Dest: []byte(dest), Fields: bytes.Join(fields, nil)}
}

// textRows are written as text, and text is read as m; other is read as m, too.
var textRows = []struct {
	name  string
	text  string
	m     Message
	other []string
}{
	{"str", `info /_hci "ready"`, message(TypeInfo, "/_hci", AppendStr(nil, "ready")),
		[]string{"INFO\n/_hci\n\"ready\"", `-40 /_hci "ready"`, `info "/_hci" "re\x61dy"`, `info /_hci verbose { str "ready" }`, `info /_hci opaque { 03 00 00 00 05 7265616479 }`}},
	{"real8", "time /_time 42", message(TypeTime, "/_time", AppendReal8(nil, 42)), []string{"time /_time 42.0", "time /_time +4.2e1"}},
	{"a group once", "boolean_data /valve open true", message(TypeBooleanData, "/valve", AppendStr(nil, "open"), AppendBool(nil, true)),
		[]string{"boolean_data /valve { open TRUE }", `boolean_data /valve "open" true`, "Boolean_Data /valve{open true}"}},
	{"a group twice", "numeric_data /plant/boiler { temp 88.5 level 3 }",
		message(TypeNumericData, "/plant/boiler", AppendStr(nil, "temp"), AppendReal8(nil, 88.5), AppendStr(nil, "level"), AppendReal8(nil, 3)),
		[]string{"// c\nnumeric_data /* c */ /plant/boiler (* c *) { temp/*c*/88.5//c\nlevel(* { *)3 }//"}},
	{"a group that is not there", "numeric_data /x { }", message(TypeNumericData, "/x"), nil},
	{"ids that need quotes", `enum_data /x { "" "a b" "9" "verbose" unknown true }`, message(TypeEnumData, "/x", AppendStr(nil, ""), AppendStr(nil, "a b"),
		AppendStr(nil, "9"), AppendStr(nil, "verbose"), AppendStr(nil, "unknown"), AppendStr(nil, "true")),
		[]string{`enum_data /x { "" "a b" 9 verbose unknown true }`}},
	{"an id that is a layout", `enum_data /x "verbose" a`, message(TypeEnumData, "/x", AppendStr(nil, "verbose"), AppendStr(nil, "a")), []string{"enum_data /x verbose a"}},
	{"an unknown value", "boolean_data /valve open unknown", message(TypeBooleanData, "/valve", AppendStr(nil, "open"), AppendUnknown(nil, Bool)), nil},
	{"an unknown id", `boolean_data /valve verbose { unknown:str bool true }`, message(TypeBooleanData, "/valve", AppendUnknown(nil, Str), AppendBool(nil, true)), nil},
	{"no fields", "keep_alive_call /x", message(TypeKeepAliveCall, "/x"), []string{"keep_alive_call /x opaque { }"}},
	{"fields too many", "keep_alive_call /x verbose { int4 7 }", message(TypeKeepAliveCall, "/x", AppendInt4(nil, 7)), nil},
	{"fields too few", "info /x verbose { }", message(TypeInfo, "/x"), nil},
	{"a name where none should be", `info /x verbose { a=str "b" }`, message(TypeInfo, "/x", AppendNamed(nil, "a", AppendStr(nil, "b"))), nil},
	{"half a group", `string_data /x verbose { str "a" }`, message(TypeStringData, "/x", AppendStr(nil, "a")), nil},
	{"arrays", `gmd_status_result /x 7 { "a" "b" } { } { "c" }`, message(TypeGMDStatusResult, "/x", AppendInt4(nil, 7), AppendStrArray(nil, []string{"a", "b"}),
		AppendStrArray[string](nil, nil), AppendStrArray(nil, []string{"c"})), nil},
	{"a group that begins with braces", `matrix /x "m" { { 1 2 } }`, message(101, "/x", AppendStr(nil, "m"), AppendInt4Array(nil, []int32{1, 2})), nil},
	{"the same not at all", `matrix /x "m" { }`, message(101, "/x", AppendStr(nil, "m")), nil},
	{"a group that ends with braces", `list /x "opaque" { 1 2 }`, message(102, "/x", AppendStr(nil, "opaque"), AppendInt4Array(nil, []int32{1, 2})), nil},
	{"a message by a grammar", `pair /x 7 { info /y { str "z" } }`, message(103, "/x", AppendInt4(nil, 7), AppendMessage(nil, &inner)), nil},
	{"every kind", `order /x { char -128 binary { 00 ff } str "ab" str_array { "a" "" } int2 -2 int2_array { 1 -32768 } int4 7 int4_array { 1 2 3 }` +
		` int8 9223372036854775807 int8_array { -1 } real4 0.1 real4_array { 1.5 -0 } real8 0.1 real8_array { 1e+300 NaN +Inf -Inf }` +
		` real16 { 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e ff } real16_array { { 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e ff } }` +
		` msg { info /y { str "z" } } msg_array { { info /y { str "z" } } { info /y { str "z" } } } timestamp 1.7e+09 timestamp_array { 0 1 }` +
		` utf8 "é" utf8_array { "é" } bool true bool_array { true false } byte 255 xml "<a b=\"c\"/>"` +
		` guid { 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e ff } object { 07 } }`, message(100, "/x", everyKind()...), nil},
	{"names", `order /x { a=int4 7 "a name"=str "b" "\xff"=unknown:bool unknown:int4 "unknown:x"=char 1 unknown=char 2 }`, message(100, "/x",
		AppendNamed(nil, "a", AppendInt4(nil, 7)), AppendNamed(nil, "a name", AppendStr(nil, "b")), AppendNamed(nil, "\xff", AppendUnknown(nil, Bool)),
		AppendUnknown(nil, Int4), AppendNamed(nil, "unknown:x", AppendChar(nil, 1)), AppendNamed(nil, "unknown", AppendChar(nil, 2))),
		[]string{`order /x { a=INT4 7 "a name" =str "b" "\xff"=unknown:bool unknown:int4 "unknown:x"=char 1 "unknown"=char +2 }`}},
	{"bytes in other ways", `order /x { binary { 0a ff 10 11 } }`, message(100, "/x", AppendBinary(nil, "\x0a\xff\x10\x11")),
		[]string{`order /x { binary { 0x0a FF 0x1011 } }`, `order /x { binary{0AFF1011} }`}},
	{"escapes", `info /x "\" \\ \n \t \x0d \x00 \x7f \xff é /* // (*"`, message(TypeInfo, "/x", AppendStr(nil, "\" \\ \n \t \r \x00 \x7f \xff é /* // (*")),
		[]string{"info /x \"\\x22 \\x5C \\x0A \t \\x0D \\x00 \\x7F \\xFF \\xc3\\xA9 /* // (*\""}},
	{"a number for a type", "12345 /x { int4 7 }", message(12345, "/x", AppendInt4(nil, 7)), nil},
	{"lowest type", "-2147483648 /x { }", message(-2147483648, "/x"), nil},
	{"destination with wildcards", "order /a/*/... { }", message(100, "/a/*/..."), []string{"order /a/*/...{}"}},
	{"destinations in quotes", `order "" { }`, message(100, ""), nil},
	{"a destination like a comment", `order "/*/a" { }`, message(100, "/*/a"), nil},
	{"a destination with a blank", `order "/a b" { }`, message(100, "/a b"), nil},
	{"a destination with braces", `order "/a{b}" { }`, message(100, "/a{b}"), nil},
	{"a destination that is not UTF-8", `order "/\xff" { }`, message(100, "/\xff"), []string{"order /\xff { }"}},
	{"a destination in UTF-8", `order /é { }`, message(100, "/é"), nil},
	{"malformed fields", `order /x opaque { 07 00 }`, message(100, "/x", []byte("\x07\x00")), nil},
	{"malformed fields behind good ones", `order /x opaque { 17 01 ff }`, message(100, "/x", []byte("\x17\x01\xff")), nil},
	{"a bool that is none", `boolean_data /x opaque { 03 00 00 00 00 17 02 }`, message(TypeBooleanData, "/x", []byte("\x03\x00\x00\x00\x00\x17\x02")), nil},
	{"a message that is none", `order /x opaque { 11 00 00 00 01 78 }`, message(100, "/x", []byte("\x11\x00\x00\x00\x01x")), nil},
	{"compressed", `info /x compressed { 1f 8b }`, Message{Type: TypeInfo, Flags: FlagCompressed, Dest: []byte("/x"), Fields: []byte("\x1f\x8b")}, nil},
	{"compressed in another", `order /x { msg { info /y compressed { 1f } } msg { info /y { } } }`, message(100, "/x",
		AppendMessage(nil, &Message{Type: TypeInfo, Flags: FlagCompressed, Dest: []byte("/y"), Fields: []byte("\x1f")}), AppendMessage(nil, &Message{Type: TypeInfo, Dest: []byte("/y")})),
		[]string{`order /x { msg { info /y compressed { 1f } } msg { info /y verbose { } } }`}},
	{"as deep as can be", `order /x ` + strings.Repeat(`{ msg { order /x `, MaxDepth) + "{ }" + strings.Repeat(" } }", MaxDepth), deep(MaxDepth), nil},
}

// everyKind is one field of every kind.
func everyKind() [][]byte {
	inf := "\x0e\x00\x00\x00\x04\x7e\x37\xe4\x3c\x88\x00\x75\x9c\x7f\xf8\x00\x00\x00\x00\x00\x01\x7f\xf0\x00\x00\x00\x00\x00\x00\xff\xf0\x00\x00\x00\x00\x00\x00"
	return [][]byte{AppendChar(nil, -128), AppendBinary(nil, "\x00\xff"), AppendStr(nil, "ab"), AppendStrArray(nil, []string{"a", ""}), AppendInt2(nil, -2),
		AppendInt2Array(nil, []int16{1, -32768}), AppendInt4(nil, 7), AppendInt4Array(nil, []int32{1, 2, 3}), AppendInt8(nil, 1<<63-1), AppendInt8Array(nil, []int64{-1}),
		AppendReal4(nil, 0.1), []byte("\x0c\x00\x00\x00\x02\x3f\xc0\x00\x00\x80\x00\x00\x00"), AppendReal8(nil, 0.1), []byte(inf),
		AppendReal16(nil, sixteen), AppendReal16Array(nil, [][16]byte{sixteen}), AppendMessage(nil, &inner), AppendMessageArray(nil, []Message{inner, inner}),
		AppendTimestamp(nil, 1.7e9), AppendTimestampArray(nil, []float64{0, 1}), AppendUTF8(nil, "é"), AppendUTF8Array(nil, []string{"é"}), AppendBool(nil, true),
		AppendBoolArray(nil, []bool{true, false}), AppendByte(nil, 255), AppendXML(nil, `<a b="c"/>`), AppendGUID(nil, sixteen), AppendObject(nil, "\x07")}
}

// deep is a message with n messages in it, each in the one before.
func deep(n int) Message {
	m := message(100, "/x")
	for range n {
		m = message(100, "/x", AppendMessage(nil, &m))
	}
	return m
}

// readAll reads a file to its end, or to what is wrong.
func readAll(in io.Reader, ts *Types, limit int) (all []Message, err error) {
	r := NewReader(in, ts, limit)
	for {
		var m Message
		if err = r.Read(&m); err != nil {
			break
		}
		var kept Message
		if err := Parse(Append(nil, &m), &kept); err != nil {
			return all, err
		}
		all = append(all, kept)
	}
	if again := r.Read(&Message{}); again != err {
		return all, fmt.Errorf("%v, and then %v", err, again)
	}
	if err == io.EOF {
		err = nil
	}
	return all, err
}

func TestText(t *testing.T) {
	ts := testTypes(t)
	for _, row := range textRows {
		t.Run(row.name, func(t *testing.T) {
			if got := string(AppendText([]byte("x"), &row.m, ts)); got != "x"+row.text+"\n" {
				t.Errorf("written\n%s, want\nx%s", got, row.text)
			}
			for _, text := range append(row.other, row.text, row.text+"\n", row.text+" "+row.text) {
				all, err := readAll(strings.NewReader(text), ts, frame.MaxSize)
				if err != nil || len(all) == 0 {
					t.Fatalf("%s\n%d messages, %v", text, len(all), err)
				}
				for i := range all {
					if !same(&all[i], &row.m) && !strings.Contains(text, "NaN") {
						t.Errorf("%s\n%+v, want %+v", text, all[i], row.m)
					}
				}
			}
			size := Size(&row.m)
			if all, err := readAll(strings.NewReader(row.text), ts, size); err != nil || len(all) != 1 {
				t.Errorf("at the limit: %v", err)
			}
			if _, err := readAll(strings.NewReader(row.text), ts, size-1); len(row.m.Fields) > 0 && !errors.Is(err, codec.ErrTooLarge) {
				t.Errorf("over the limit: %v", err)
			}
		})
	}
}

// TestTextTruncations reads the beginnings of all rows: each is an error with a line, or fewer messages, or a shorter one.
func TestTextTruncations(t *testing.T) {
	ts := testTypes(t)
	for _, row := range textRows {
		for i := range row.text {
			all, err := readAll(strings.NewReader(row.text[:i]), ts, frame.MaxSize)
			var wrong *TextError
			if err != nil && (!errors.As(err, &wrong) || wrong.Line != 1 || !errors.Is(err, codec.ErrMalformed)) || len(all) > 1 {
				t.Errorf("%s\n%d messages, %v", row.text[:i], len(all), err)
			}
		}
		whole, err1 := readAll(strings.NewReader(row.text), ts, frame.MaxSize)
		single, err2 := readAll(iotest.OneByteReader(strings.NewReader(row.text)), ts, frame.MaxSize)
		if err1 != nil || err2 != nil || len(whole) != len(single) || !bytes.Equal(Append(nil, &whole[0]), Append(nil, &single[0])) {
			t.Errorf("%s: read byte by byte: %v, %v", row.name, err1, err2)
		}
	}
}

func TestTextRefuses(t *testing.T) {
	rows := []struct {
		text string
		line int
		want string // within the error
	}{
		{"nonsense /x { }", 1, `message type "nonsense" is not known`},
		{"\n\n  nonsense /x { }", 3, "not known"},
		{"2147483648 /x { }", 1, "not known"},
		{`"info" /x "a"`, 1, "the type of a message should be"},
		{"}", 1, "the type of a message should be"},
		{"info", 1, "the end where the destination"},
		{"info { }", 1, "{ where the destination"},
		{"info /x", 1, "the end where a string"},
		{"info /x\n\nready", 3, `"ready" where a string in quotes`},
		{"info /x \"a\nb\"", 1, "not closed on its line"},
		{"info /x \"a", 1, "not closed on its line"},
		{"info /x \"a\x00\"", 1, "byte 0x00 in a string"},
		{`info /x "\r"`, 1, "an escape"},
		{`info /x "\x4"`, 1, "an escape"},
		{`info /x "\`, 1, "an escape"},
		{"info /\x01 \"\"", 1, "byte 0x01"},
		{"\n/* open\n\n", 2, "a comment is not closed"},
		{"info /*/x \"a\"", 1, "a comment is not closed; a subject"},
		{"info /x (* a */ \"a\"", 1, "a comment is not closed"},
		{"time /x true", 1, "kind real8"},
		{"time /x 0x10", 1, "kind real8"},
		{"time /x 1_0", 1, "kind real8"},
		{"time /x 1e999", 1, "kind real8"},
		{"time /x { 1 }", 1, "{ where a value of kind real8"},
		{`time /x "1"`, 1, "kind real8"},
		{"boolean_data /x a yes", 1, "kind bool"},
		{"boolean_data /x { a true", 1, "the end where"},
		{"boolean_data /x { a }", 1, "} where a value of kind bool"},
		{"order /x int4 7", 1, `"int4" where the { of fields`},
		{"order /x { int4 }", 1, "kind int4"},
		{"order /x { int4 2147483648 }", 1, "kind int4"},
		{"order /x { int4 7", 1, "the end where a field"},
		{"order /x { byte -1 }", 1, "kind byte"},
		{"order /x { byte 256 }", 1, "kind byte"},
		{"order /x { char 128 }", 1, "kind char"},
		{"order /x { float 1 }", 1, `"float" is no kind`},
		{"order /x { id x }", 1, `"id" is no kind`},
		{"order /x { =int4 7 }", 1, "a name of 0 bytes"},
		{`order /x { ""=int4 7 }`, 1, "a name of 0 bytes"},
		{"order /x { " + strings.Repeat("n", 256) + "=int4 7 }", 1, "a name of 256 bytes"},
		{`order /x { "a" int4 7 }`, 1, "where = and the kind"},
		{"order /x { unknown:float }", 1, "is no kind"},
		{"order /x { { } }", 1, "{ where a field"},
		{"order /x { binary 0a }", 1, "the { of bytes"},
		{"order /x { binary { 0 } }", 1, "hexadecimal"},
		{"order /x { binary { 0x } }", 1, "hexadecimal"},
		{"order /x { binary { 0a0 } }", 1, "hexadecimal"},
		{"order /x { binary { gg } }", 1, "hexadecimal"},
		{`order /x { binary { "0a" } }`, 1, "hexadecimal"},
		{"order /x {\nguid { 00 } }", 2, "1 bytes for a guid, which has 16"},
		{"order /x { real16_array { 00 } }", 1, "the { of bytes"},
		{"order /x { int4_array 1 }", 1, "the { of int4_array"},
		{"order /x { str_array { 1 } }", 1, "a string in quotes"},
		{"order /x { msg info /y }", 1, "the { of msg"},
		{`order /x { msg { info /y "z" } }`, 1, "the { of fields"},
		{"order /x { msg { info /y { } }", 1, "where a field"},
		{"order /x { msg { info /y { } info } }", 1, "the } of a message"},
		{"order /x { msg { nonsense /y { } } }", 1, "not known"},
		{"matrix /x \"m\" 1", 1, "the { of a group"},
		{"order " + strings.Repeat("d", MaxDest+1) + " { }", 1, "a destination of 65536 bytes"},
		{"order /x " + strings.Repeat("{ msg { order /x ", MaxDepth+1), 1, "deeper than 16"},
	}
	ts := testTypes(t)
	for _, row := range rows {
		for _, before := range []string{"", "info /x \"a\" // c\n"} {
			_, err := readAll(strings.NewReader(before+row.text), ts, frame.MaxSize)
			var wrong *TextError
			if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", wrong.Line)) || wrong.Line != row.line+strings.Count(before, "\n") || !strings.Contains(wrong.Text, row.want) || !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("%.60q: %v; want line %d: %s", before+row.text, err, row.line, row.want)
			}
		}
	}
}

// TestTextLimits checks that no form of a message grows beyond the limit before it is refused.
func TestTextLimits(t *testing.T) {
	ts := testTypes(t)
	rows := []struct{ begin, more string }{
		{"order /x { ", "binary { } "},
		{"order /x { ", "unknown:int4 "},
		{"order /x { ", "msg { order /x { } } "},
		{"order /x { ", "int4_array { } "},
		{"order /x { ", "guid { " + strings.Repeat("00", 16) + " } "},
		{"order /x { ", `str "" `},
		{"order /x { msg_array { ", `{ order "" { } } `},
		{"order /x { real8_array { ", "1 "},
		{"order /x opaque { ", "00 "},
		{"enum_data /x { ", "a b "},
		{"boolean_data /x { ", "a unknown "},
		{`order /x { str "`, "x"},
		{"order /x", "x"},
		{"order", "x"},
	}
	for _, row := range rows {
		in := &countReader{r: io.MultiReader(strings.NewReader(row.begin), &repeat{text: row.more})}
		if _, err := readAll(in, ts, 1000); !errors.Is(err, codec.ErrTooLarge) || in.n > 64<<10 {
			t.Errorf("%s%s...: %v after %d bytes", row.begin, row.more, err, in.n)
		}
	}
}

type countReader struct {
	r io.Reader
	n int
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// repeat is a text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at]
		r.at = (r.at + 1) % len(r.text)
	}
	return len(p), nil
}

func TestTextOfADeepMessage(t *testing.T) {
	ts := testTypes(t)
	m := deep(MaxDepth + 1)
	text := AppendText(nil, &m, ts)
	if !bytes.HasPrefix(text, []byte("order /x opaque { 11 ")) {
		t.Errorf("%.100s", text)
	}
	if all, err := readAll(bytes.NewReader(text), ts, frame.MaxSize); err != nil || len(all) != 1 || !same(&all[0], &m) {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTextWithoutTypes(t *testing.T) {
	m := message(100, "/x", AppendInt4(nil, 7))
	if got := string(AppendText(nil, &m, nil)); got != "100 /x { int4 7 }\n" {
		t.Error(got)
	}
	if _, err := readAll(strings.NewReader("order /x { }"), nil, 100); err == nil {
		t.Error("order is known")
	}
}

// TestFiles writes all rows into a text and a binary file, and reads them again.
func TestFiles(t *testing.T) {
	ts := testTypes(t)
	for _, format := range []Format{FormatText, FormatBinary} {
		var file bytes.Buffer
		var want []Message
		w := NewWriter(&file, format, true, ts)
		for i, row := range textRows {
			if i == len(textRows)/2 { // another program goes on
				w = NewWriter(&file, Detect(file.Bytes()), false, ts)
			}
			m := row.m
			if format == FormatBinary {
				m.Flags, m.Delivery, m.Priority, m.Seq, m.Props = m.Flags|FlagProperties, Some, -5, 9, AppendTextProperty(nil, TagSender, "/s")
			}
			if err := w.Write(&m); err != nil {
				t.Fatal(err)
			}
			want = append(want, m)
		}
		r := NewReader(bytes.NewReader(file.Bytes()), ts, frame.MaxSize)
		if r.Format() != format || Detect(file.Bytes()) != format {
			t.Errorf("format %d, %d, want %d", r.Format(), Detect(file.Bytes()), format)
		}
		all, err := readAll(iotest.HalfReader(bytes.NewReader(file.Bytes())), ts, frame.MaxSize)
		if err != nil || len(all) != len(want) {
			t.Fatalf("format %d: %d messages of %d, %v", format, len(all), len(want), err)
		}
		for i := range all {
			if !same(&all[i], &want[i]) && textRows[i].name != "every kind" { // a NaN has many forms
				t.Errorf("format %d, %s: %+v, want %+v", format, textRows[i].name, all[i], want[i])
			}
		}
	}
}

func TestBinaryFileRefuses(t *testing.T) {
	m := message(TypeInfo, "/x", AppendStr(nil, "a"))
	file := string(AppendRecord(AppendRecord(AppendFileHeader(nil, FormatBinary), FormatBinary, &m, nil), FormatBinary, &m, nil))
	size := Size(&m)
	for i := len(Magic); i < len(file); i++ {
		all, err := readAll(strings.NewReader(file[:i]), nil, frame.MaxSize)
		whole := (i-len(Magic))%(4+size) == 0
		if len(all) != (i-len(Magic))/(4+size) || whole != (err == nil) || !whole && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the first %d bytes: %d messages, %v", i, len(all), err)
		}
	}
	if all, err := readAll(strings.NewReader(file), nil, size); err != nil || len(all) != 2 {
		t.Errorf("at the limit: %d, %v", len(all), err)
	}
	if all, err := readAll(strings.NewReader(file), nil, size-1); !errors.Is(err, codec.ErrTooLarge) || len(all) != 0 {
		t.Errorf("over the limit: %d, %v", len(all), err)
	}
	if _, err := readAll(strings.NewReader(Magic+"\xff\xff\xff\xff"), nil, frame.MaxSize); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("a huge message: %v", err)
	}
	if _, err := readAll(strings.NewReader(Magic+"\x00\x00\x00\x03abc"), nil, frame.MaxSize); !errors.Is(err, codec.ErrMalformed) {
		t.Errorf("a message of 3 bytes: %v", err)
	}
	for _, head := range []string{"", "R", "RTMSGF1", "RTMSGF1\r", "rtmsgf1\n"} {
		if Detect([]byte(head)) != FormatText {
			t.Errorf("%q is binary", head)
		}
	}
}

var errDisk = errors.New("disk")

func TestFileErrors(t *testing.T) {
	for _, in := range []string{"", "info ", "info /x", `info /x "a`, `info /x "a\`, "/* ", Magic, Magic + "\x00\x00"} {
		if _, err := readAll(io.MultiReader(strings.NewReader(in), iotest.ErrReader(errDisk)), nil, 100); !errors.Is(err, errDisk) {
			t.Errorf("%q: %v", in, err)
		}
	}
	pr, pw := io.Pipe()
	pr.CloseWithError(errDisk)
	if err := NewWriter(pw, FormatText, true, nil).Write(&inner); err != errDisk {
		t.Errorf("writer: %v", err)
	}
}

func BenchmarkAppendText(b *testing.B) {
	for _, row := range textRows[:4] {
		b.Run(strings.ReplaceAll(row.name, " ", "_"), func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(row.text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendText(dst[:0], &row.m, nil)
			}
		})
	}
}

func BenchmarkReadText(b *testing.B) {
	text := strings.Repeat("numeric_data /plant/boiler { temp 88.5 level 3 }\n", 100)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r, n := NewReader(strings.NewReader(text), nil, 1000), 0
		for m := (Message{}); r.Read(&m) == nil; n++ {
		}
		if n != 100 {
			b.Fatal(n)
		}
	}
}
