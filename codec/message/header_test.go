package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// messageRows are used by Parse and by Append.
var messageRows = []struct {
	name  string
	bytes string
	m     Message
}{
	{"empty", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", Message{}},
	{"every part",
		"\x05\x23\xff\xfe\xff\xff\xff\xd8\x01\x02\x03\x04\x00\x02\x00\x05" + "/a" + "\x01\x00\x02/s" + "\x03\x00\x00\x00\x01x",
		Message{Flags: FlagResend | FlagProperties, Delivery: All, Balance: Weighted, Priority: -2, Type: TypeInfo, Seq: 0x01020304,
			Dest: []byte("/a"), Props: []byte("\x01\x00\x02/s"), Fields: []byte("\x03\x00\x00\x00\x01x")}},
	{"only a destination", "\x00\x00\x00\x00\x00\x00\x00\x64\x00\x00\x00\x00\x00\x01\x00\x00/", Message{Type: 100, Dest: []byte("/")}},
	{"only fields, which are none", "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff", Message{Flags: FlagCompressed, Fields: []byte{0xff}}},
	{"lowest numbers", "\x00\x00\x80\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", Message{Priority: math.MinInt16, Type: math.MinInt32}},
	{"highest numbers", "\x00\x33\x7f\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		Message{Delivery: All, Balance: Sorted, Priority: math.MaxInt16, Type: math.MaxInt32, Seq: math.MaxUint32}},
	{"an empty property", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\xff\x00\x00",
		Message{Flags: FlagProperties, Props: []byte("\xff\x00\x00")}},
	{"two properties of a tag", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x02\x00\x01a\x02\x00\x01b",
		Message{Flags: FlagProperties, Props: []byte("\x02\x00\x01a\x02\x00\x01b")}},
	{"longest destination", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00" + strings.Repeat("d", MaxDest),
		Message{Dest: bytes.Repeat([]byte("d"), MaxDest)}},
	{"longest properties", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\xff\xfc" + strings.Repeat("p", MaxProps-3),
		Message{Flags: FlagProperties, Props: []byte("\x01\xff\xfc" + strings.Repeat("p", MaxProps-3))}},
}

func same(a, b *Message) bool {
	return a.Flags == b.Flags && a.Delivery == b.Delivery && a.Balance == b.Balance && a.Priority == b.Priority && a.Type == b.Type &&
		a.Seq == b.Seq && bytes.Equal(a.Dest, b.Dest) && bytes.Equal(a.Props, b.Props) && bytes.Equal(a.Fields, b.Fields)
}

func TestParseAndAppend(t *testing.T) {
	for _, row := range messageRows {
		t.Run(row.name, func(t *testing.T) {
			m := Message{Seq: 99, Dest: []byte("from before"), Props: []byte("x"), Fields: []byte("x")}
			if err := Parse([]byte(row.bytes), &m); err != nil || !same(&m, &row.m) {
				t.Errorf("%v, %+v, want %+v", err, m, row.m)
			}
			for _, flag := range []uint8{0, FlagProperties} { // it is set and cleared
				in := row.m
				in.Flags = in.Flags&^FlagProperties | flag
				if got := Append([]byte("x"), &in); string(got) != "x"+row.bytes {
					t.Errorf("Append: %q, want x%q", got, row.bytes)
				}
			}
			if got, want := string(AppendFrame([]byte("x"), &row.m)), fmt.Sprintf("x%08d%s", len(row.bytes), row.bytes); got != want {
				t.Errorf("AppendFrame: %q, want %q", got, want)
			}
			if Size(&row.m) != len(row.bytes) {
				t.Errorf("Size %d, want %d", Size(&row.m), len(row.bytes))
			}
			needed := len(row.bytes) - len(row.m.Fields)
			for i := 0; i < needed; i += 1 + i/100 {
				if err := Parse([]byte(row.bytes[:i]), &m); !errors.Is(err, codec.ErrMalformed) {
					t.Fatalf("the first %d bytes: %v", i, err)
				}
			}
			if err := Parse([]byte(row.bytes[:needed]), &m); err != nil {
				t.Errorf("without its fields: %v", err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	rows := []struct{ name, bytes string }{
		{"a flag that does not exist", "\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"the highest flag", "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"a delivery that does not exist", "\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"a balance that does not exist", "\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"a destination longer than the message", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00a"},
		{"the longest destination and nothing", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00"},
		{"properties longer than the message", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x04a\x01\x00\x00"},
		{"both as long as can be", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xffxyz"},
		{"properties without the flag", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x01\x00\x00"},
		{"the flag without properties", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"},
		{"a property that ends within its length", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x00"},
		{"a property that reaches into the fields", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x02abc"},
		{"a second property that ends early", "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x02"},
	}
	for _, row := range rows {
		var m Message
		if err := Parse([]byte(row.bytes), &m); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestParseAliases checks that the parts cannot grow into each other.
func TestParseAliases(t *testing.T) {
	b := []byte(messageRows[1].bytes)
	var m Message
	if err := Parse(b, &m); err != nil {
		t.Fatal(err)
	}
	if &m.Dest[0] != &b[HeaderLen] || cap(m.Dest) != len(m.Dest) || cap(m.Props) != len(m.Props) {
		t.Errorf("destination %d of %d, properties %d of %d", len(m.Dest), cap(m.Dest), len(m.Props), cap(m.Props))
	}
}

func TestCheck(t *testing.T) {
	rows := []struct {
		name  string
		m     Message
		limit int
		ok    bool
	}{
		{"at the limit", Message{Dest: []byte("1234")}, HeaderLen + 4, true},
		{"over the limit", Message{Dest: []byte("1234")}, HeaderLen + 3, false},
		{"longest destination and properties", Message{Dest: make([]byte, MaxDest), Props: make([]byte, MaxProps)}, math.MaxInt, true},
		{"destination too long", Message{Dest: make([]byte, MaxDest+1)}, math.MaxInt, false},
		{"properties too long", Message{Props: make([]byte, MaxProps+1)}, math.MaxInt, false},
		{"at the limit of frames", Message{Fields: make([]byte, frame.MaxSize-HeaderLen)}, math.MaxInt, true},
		{"over the limit of frames", Message{Fields: make([]byte, frame.MaxSize-HeaderLen+1)}, math.MaxInt, false},
	}
	for _, row := range rows {
		if err := Check(&row.m, row.limit); (err == nil) != row.ok || err != nil && !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// mustPanic checks that a bug of a caller does not go out.
func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "BUG: message") {
			t.Errorf("%s: panic %q", name, msg)
		}
	}()
	f()
}

func TestAppendRefusesItsCaller(t *testing.T) {
	for name, m := range map[string]Message{
		"destination": {Dest: make([]byte, MaxDest+1)},
		"properties":  {Props: make([]byte, MaxProps+1)},
		"delivery":    {Delivery: All + 1},
		"balance":     {Balance: Sorted + 1},
	} {
		mustPanic(t, name, func() { Append(nil, &m) })
	}
	mustPanic(t, "property", func() { AppendTextProperty(nil, TagSender, strings.Repeat("x", MaxProps+1)) })
}

func TestProperties(t *testing.T) {
	var props []byte
	props = AppendProperty(props, TagSender, []byte("/a/b"))
	props = AppendTextProperty(props, TagReplyTo, "")
	props = AppendRealProperty(props, TagExpiration, 1.5)
	props = AppendIntProperty(props, TagUserProp, -7)
	props = AppendTextProperty(props, TagSender, "another")
	want := "\x01\x00\x04/a/b" + "\x02\x00\x00" + "\x06\x00\x08\x3f\xf8\x00\x00\x00\x00\x00\x00" + "\x08\x00\x04\xff\xff\xff\xf9" + "\x01\x00\x07another"
	if string(props) != want {
		t.Fatalf("%q, want %q", props, want)
	}
	m := Message{Props: props}
	if v, ok := m.Property(TagSender); string(v) != "/a/b" || !ok || cap(v) != len(v) {
		t.Errorf("sender %q, %v", v, ok)
	}
	if v, ok := m.Property(TagReplyTo); len(v) != 0 || !ok {
		t.Errorf("reply_to %q, %v", v, ok)
	}
	if v, ok := m.Property(TagMessageID); v != nil || ok {
		t.Errorf("message_id %q, %v", v, ok)
	}
	if v, ok := m.RealProperty(TagExpiration); v != 1.5 || !ok {
		t.Errorf("expiration %v, %v", v, ok)
	}
	if v, ok := m.IntProperty(TagUserProp); v != -7 || !ok {
		t.Errorf("user_prop %v, %v", v, ok)
	}
	if _, ok := m.RealProperty(TagUserProp); ok {
		t.Error("a real of 4 bytes")
	}
	if _, ok := m.IntProperty(TagExpiration); ok {
		t.Error("an integer of 8 bytes")
	}
	var tags []Tag
	size := 0
	for rest := props; ; {
		tag, value, after, ok := NextProperty(rest)
		if !ok {
			break
		}
		tags, rest, size = append(tags, tag), after, size+PropertySize(len(value))
	}
	if fmt.Sprint(tags) != "[1 2 6 8 1]" || size != len(props) {
		t.Errorf("tags %v, %d bytes of %d", tags, size, len(props))
	}
	for i := range props { // a block that Parse has not seen
		m.Props = props[:i]
		m.Property(TagMessageID)
		if _, ok := m.Property(TagSender); ok != (i >= 7) {
			t.Errorf("the first %d bytes: %v", i, ok)
		}
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	b := []byte(messageRows[1].bytes)
	nats := Append(nil, &Message{Type: TypeJMSBytes, Dest: []byte("/a"), Fields: AppendFromNATS(nil, []byte("NATS/1.0\r\n\r\n"), []byte("hi"))})
	dst := make([]byte, 0, 256)
	var m Message
	allocs := testing.AllocsPerRun(100, func() {
		if Parse(b, &m) != nil {
			t.Fatal("wrong")
		}
		if v, ok := m.Property(TagSender); !ok || len(v) != 2 {
			t.Fatal("wrong")
		}
		dst = AppendFrame(dst[:0], &m)
		if f, n, err := NextField(m.Fields); n != len(m.Fields) || err != nil || len(f.Value) != 1 {
			t.Fatal("wrong")
		}
		if Parse(nats, &m) != nil {
			t.Fatal("wrong")
		}
		header, payload := NATSPayload(&m)
		dst = AppendFromNATS(dst[:0], header, payload)
		dst = AppendRealProperty(AppendStr(dst, "x"), TagExpiration, 1)
		if m.Fields = m.Fields[:3]; len(m.Fields) != 3 {
			t.Fatal("wrong")
		}
		if header, payload = NATSPayload(&m); header != nil || len(payload) != 3 {
			t.Fatal("wrong")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func benchmarkMessage() []byte {
	props := AppendTextProperty(nil, TagSender, "/_node_1234")
	props = AppendTextProperty(props, TagReplyTo, "/replies/7")
	props = AppendRealProperty(props, TagSenderTimestamp, 1.7e9)
	return Append(nil, &Message{Type: 100, Dest: []byte("/orders/eu/new"), Props: props, Fields: AppendBinary(nil, make([]byte, 128))})
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string][]byte{
		"props=0": Append(nil, &Message{Type: 100, Dest: []byte("/orders/eu/new"), Fields: AppendBinary(nil, make([]byte, 128))}),
		"props=3": benchmarkMessage(),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var m Message
			for b.Loop() {
				if err := Parse(in, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	in := benchmarkMessage()
	var m Message
	if err := Parse(in, &m); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 512)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendFrame(dst[:0], &m)
	}
}

func BenchmarkProperty(b *testing.B) {
	var m Message
	if err := Parse(benchmarkMessage(), &m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := m.Property(TagSenderTimestamp); !ok {
			b.Fatal("no property")
		}
	}
}
