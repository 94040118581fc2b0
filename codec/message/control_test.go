package message

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"roundhouse/codec"
)

func header(t Type, dest string) string {
	return string(Append(nil, &Message{Type: t, Dest: []byte(dest)}))
}

func str(s string) string { return fmt.Sprintf("\x03\x00\x00\x00%c%s", len(s), s) }

// controlRows are used in both directions. more tells that fields of a later version may follow.
var controlRows = []struct {
	name  string
	bytes string
	made  []byte
	parse func(*Message) (any, error)
	want  any
	more  bool
}{
	{"hello", header(TypeConnectCall, "") + "\x07\x00\x00\x00\x01" + str("rtworks") + str("/_n_1") + str("RTclient") + str("joe") + str("n") +
		"\x07\x00\x00\x04\xd2" + str("amd64") + str("gmd_success") + str("/app") + "\x1b" + sixteenBytes + "\x07\x00\x00\x00\x01" + str("u") + str("p") +
		"\x09\x00\x00\x00\x00\x00\x00\x00\x05" + str("/_s_1"), AppendHello(nil, &testHello), parseHello, testHello, true},
	{"hello without a prefix", header(TypeConnectCall, "") + "\x07\x00\x00\x00\x00" + strings.Repeat(str(""), 5) + "\x07\x00\x00\x00\x00" + str("") + str("") +
		"\x43\x1b" + strings.Repeat("\x00", 16) + "\x07\x00\x00\x00\x00" + str("") + str("") + "\x09\x00\x00\x00\x00\x00\x00\x00\x00" + str(""),
		AppendHello(nil, &Hello{}), parseHello, Hello{}, true},
	{"welcome", header(TypeConnectResult, "") + "\x07\x00\x00\x02\x03" + str("no") + str("/_s_1") + str("/app") + "\x09\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\x09\x00\x00\x00\x00\x00\x00\x00\x03" + "\x09\x00\x00\x00\x00\x00\x00\x3a\x98" + "\x17\x01" + "\x09\x00\x00\x00\x00\x04\x00\x00\x00" + str("/_n_1"),
		AppendWelcome(nil, &testWelcome), parseWelcome, testWelcome, true},
	{"set subscribe", header(TypeSubjectSetSubscribe, "") + str("/a/*") + "\x17\x01\x17\x00",
		AppendSetSubscribe(nil, &SetSubscribe{Subject: []byte("/a/*"), Start: true}), parseSetSubscribe, SetSubscribe{Subject: []byte("/a/*"), Start: true}, false},
	{"batch", header(TypeBatchSubjectSetSubscribe, "") + "\x04\x00\x00\x00\x02\x00\x00\x00\x02/a\x00\x00\x00\x00" + "\x18\x00\x00\x00\x02\x01\x00" + "\x18\x00\x00\x00\x02\x00\x01",
		AppendBatchSubscribe(nil, testBatch), parseBatch, testBatch, false},
	{"empty batch", header(TypeBatchSubjectSetSubscribe, "") + "\x04\x00\x00\x00\x00\x18\x00\x00\x00\x00\x18\x00\x00\x00\x00",
		AppendBatchSubscribe(nil, nil), parseBatch, []SetSubscribe(nil), false},
	{"batch result", header(TypeBatchSubjectSetSubscribeResult, "") + "\x04\x00\x00\x00\x02\x00\x00\x00\x02/a\x00\x00\x00\x00" + "\x08\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x02\x0d",
		AppendBatchResult(nil, testResults), parseBatchResult, testResults, false},
	{"stop call", header(TypeServerStopCall, "") + "\x07\x00\x00\x00\x03", AppendStopCall(nil, StopAll),
		func(m *Message) (any, error) { return ParseStopCall(m) }, StopAll, false},
	{"stop result", header(TypeServerStopResult, "") + str("no") + "\x07\x00\x00\x02\x0d", AppendStopResult(nil, &StopResult{"no", CodeControlRejected}),
		parseStopResult, StopResult{"no", CodeControlRejected}, false},
	{"disconnect", header(TypeDisconnect, "") + str("gmd_failure"), AppendDisconnect(nil, "gmd_failure"),
		func(m *Message) (any, error) { return ParseDisconnect(m) }, "gmd_failure", false},
	{"control", header(TypeControl, "/_s_1") + str("quit force"), AppendControl(nil, "/_s_1", "quit force"),
		func(m *Message) (any, error) { return ParseControl(m) }, "quit force", false},
}

var (
	testHello = Hello{Version: 1, Project: "rtworks", Unique: "/_n_1", Ident: "RTclient", User: "joe", Node: "n", PID: 1234, Arch: "amd64",
		DisconnectMode: "gmd_success", Prefix: "/app", HasPrefix: true, Instance: sixteen, Policy: PolicyPassword, Username: "u", Password: "p",
		Features: 5, LastServer: "/_s_1"}
	testWelcome = Welcome{Code: CodeDenied, Text: "no", Server: "/_s_1", Prefix: "/app", ServerID: 1<<64 - 1, Features: 3, KeepAlive: 15 * time.Second,
		Warm: true, MaxMessageSize: 64 << 20, Unique: "/_n_1"}
	testBatch   = []SetSubscribe{{[]byte("/a"), true, false}, {[]byte{}, false, true}}
	testResults = []SubscribeResult{{[]byte("/a"), CodeOK}, {[]byte{}, CodeControlRejected}}
)

func parseHello(m *Message) (any, error) {
	var h Hello
	err := ParseHello(m, &h)
	return h, err
}

func parseWelcome(m *Message) (any, error) {
	var w Welcome
	err := ParseWelcome(m, &w)
	return w, err
}

func parseSetSubscribe(m *Message) (any, error) {
	var s SetSubscribe
	err := ParseSetSubscribe(m, &s)
	return s, err
}

func parseStopResult(m *Message) (any, error) {
	var r StopResult
	err := ParseStopResult(m, &r)
	return r, err
}

func parseBatch(m *Message) (any, error)       { return ParseBatchSubscribe(nil, m) }
func parseBatchResult(m *Message) (any, error) { return ParseBatchResult(nil, m) }

func TestControl(t *testing.T) {
	for _, row := range controlRows {
		t.Run(row.name, func(t *testing.T) {
			if string(row.made) != row.bytes {
				t.Fatalf("appended %q, want %q", row.made, row.bytes)
			}
			parse := func(b string) (any, error) {
				var m Message
				if err := Parse([]byte(b), &m); err != nil {
					t.Fatal(err)
				}
				return row.parse(&m)
			}
			if got, err := parse(row.bytes); err != nil || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%+v, %v; want %+v", got, err, row.want)
			}
			if got, err := parse(row.bytes + "\x17\x01"); row.more && (err != nil || !reflect.DeepEqual(got, row.want)) || !row.more && !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("with a field more: %+v, %v", got, err)
			}
			var m Message
			if err := Parse([]byte(row.bytes), &m); err != nil {
				t.Fatal(err)
			}
			refuse := func(name string, m Message) {
				t.Helper()
				if got, err := row.parse(&m); !errors.Is(err, codec.ErrMalformed) {
					t.Errorf("%s: %+v, %v", name, got, err)
				}
			}
			for i := range m.Fields {
				short := m
				short.Fields = m.Fields[:i]
				refuse(fmt.Sprintf("the first %d bytes of the fields", i), short)
			}
			other, compressed, named, unknown := m, m, m, m
			other.Type = TypeInfo
			refuse("another type", other)
			compressed.Flags = FlagCompressed
			refuse("compressed", compressed)
			_, n, err := NextField(m.Fields)
			if err != nil {
				t.Fatal(err)
			}
			named.Fields = append(AppendNamed(nil, "x", m.Fields[:n:n]), m.Fields[n:]...)
			refuse("first field with a name", named)
			unknown.Fields = append(AppendUnknown(nil, Kind(m.Fields[0])), m.Fields[n:]...)
			refuse("first field unknown", unknown)
		})
	}
}

func TestControlRefuses(t *testing.T) {
	rows := []struct {
		name   string
		t      Type
		fields string
		parse  func(*Message) (any, error)
	}{
		{"a bool that is none", TypeSubjectSetSubscribe, str("/a") + "\x17\x02\x17\x00", parseSetSubscribe},
		{"a bool of a batch that is none", TypeBatchSubjectSetSubscribe, "\x04\x00\x00\x00\x01\x00\x00\x00\x00\x18\x00\x00\x00\x01\x02\x18\x00\x00\x00\x01\x00", parseBatch},
		{"too few bools", TypeBatchSubjectSetSubscribe, "\x04\x00\x00\x00\x01\x00\x00\x00\x00\x18\x00\x00\x00\x00\x18\x00\x00\x00\x01\x00", parseBatch},
		{"too many bools", TypeBatchSubjectSetSubscribe, "\x04\x00\x00\x00\x00\x18\x00\x00\x00\x00\x18\x00\x00\x00\x01\x00", parseBatch},
		{"too few codes", TypeBatchSubjectSetSubscribeResult, "\x04\x00\x00\x00\x01\x00\x00\x00\x00\x08\x00\x00\x00\x00", parseBatchResult},
		{"stop type -1", TypeServerStopCall, "\x07\xff\xff\xff\xff", func(m *Message) (any, error) { return ParseStopCall(m) }},
		{"stop type 4", TypeServerStopCall, "\x07\x00\x00\x00\x04", func(m *Message) (any, error) { return ParseStopCall(m) }},
		{"negative keep-alive", TypeConnectResult, string(withoutHeader(AppendWelcome(nil, &Welcome{KeepAlive: -time.Second}))), parseWelcome},
		{"absurd keep-alive", TypeConnectResult, string(withoutHeader(AppendWelcome(nil, &Welcome{KeepAlive: 1 << 62}))), parseWelcome},
		{"negative size", TypeConnectResult, string(withoutHeader(AppendWelcome(nil, &Welcome{MaxMessageSize: -1}))), parseWelcome},
	}
	for _, row := range rows {
		if got, err := row.parse(&Message{Type: row.t, Fields: []byte(row.fields)}); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%s: %+v, %v", row.name, got, err)
		}
	}
}

func withoutHeader(b []byte) []byte { return b[HeaderLen:] }

func TestHelloHidesItsPassword(t *testing.T) {
	h := Hello{Username: "u", Password: "xyzzy"}
	for _, s := range []string{fmt.Sprint(h), fmt.Sprintf("%+v", &h), fmt.Sprintf("%v", []Hello{h}), fmt.Sprintf("%#v", h)} {
		if strings.Contains(s, h.Password) {
			t.Error(s)
		}
	}
}

func TestBatchLimit(t *testing.T) {
	for _, n := range []int{MaxBatch - 1, MaxBatch, MaxBatch + 1} {
		var m Message
		if err := Parse(AppendBatchSubscribe(nil, make([]SetSubscribe, n)), &m); err != nil {
			t.Fatal(err)
		}
		all, err := ParseBatchSubscribe(nil, &m)
		if errors.Is(err, codec.ErrTooLarge) != (n > MaxBatch) || err == nil && len(all) != n {
			t.Errorf("%d: %d, %v", n, len(all), err)
		}
		if err := Parse(AppendBatchResult(nil, make([]SubscribeResult, n)), &m); err != nil {
			t.Fatal(err)
		}
		results, err := ParseBatchResult(nil, &m)
		if errors.Is(err, codec.ErrTooLarge) != (n > MaxBatch) || err == nil && len(results) != n {
			t.Errorf("%d: %d, %v", n, len(results), err)
		}
	}
}

func TestFrameInPlace(t *testing.T) {
	dst := []byte("before")
	start := len(dst)
	dst = EndFrame(AppendControl(BeginFrame(dst), "/a", "x"), start)
	want := AppendFrame([]byte("before"), &Message{Type: TypeControl, Dest: []byte("/a"), Fields: AppendStr(nil, "x")})
	if string(dst) != string(want) {
		t.Errorf("%q, want %q", dst, want)
	}
}

func TestCodeTexts(t *testing.T) {
	if CodeNoReceivers.String() == "" || Code(9999).String() != "error 9999" || CodeOK.String() != "ok" {
		t.Error(CodeNoReceivers, Code(9999), CodeOK)
	}
}

func TestNATSBridge(t *testing.T) {
	const block = "NATS/1.0\r\nA: b\r\n\r\n"
	nats := func(header, payload string) string {
		b := AppendFromNATS([]byte("x"), []byte(header), []byte(payload))
		if FromNATSSize([]byte(header), []byte(payload)) != len(b)-1 {
			t.Errorf("size %d, want %d", FromNATSSize([]byte(header), []byte(payload)), len(b)-1)
		}
		return string(b[1:])
	}
	whole := "\x00whole" // the field block
	rows := []struct{ name, fields, header, payload string }{
		{"payload", nats("", "hi"), "", "hi"},
		{"empty payload", nats("", ""), "", ""},
		{"header", nats(block, "hi"), block, "hi"},
		{"header and empty payload", nats(block, ""), block, ""},
		{"status", nats("NATS/1.0 503\r\n\r\n", ""), "NATS/1.0 503\r\n\r\n", ""},
		{"str", string(AppendStr(nil, "hi")), "", "hi"},
		{"utf8", string(AppendUTF8(nil, "hi")), "", "hi"},
		{"xml", string(AppendXML(nil, "<a/>")), "", "<a/>"},
		{"no fields", "", "", ""},
		{"object", string(AppendObject(nil, "hi")), "", whole},
		{"int4", string(AppendInt4(nil, 7)), "", whole},
		{"named", string(AppendNamed(nil, "a", AppendStr(nil, "hi"))), "", whole},
		{"unknown", string(AppendUnknown(nil, Binary)), "", whole},
		{"two fields", string(AppendStr(AppendStr(nil, "a"), "b")), "", whole},
		{"only a header", string(AppendNamed(nil, "nats_header", AppendBinary(nil, block))), "", whole},
		{"header with another name", nats("", "hi") + string(AppendNamed(nil, "nats_headex", AppendBinary(nil, block))), "", whole},
		{"header of another kind", nats("", "hi") + string(AppendNamed(nil, "nats_header", AppendStr(nil, block))), "", whole},
		{"header that is no header block", nats("GET / HTTP/1.1\r\n\r\n", "hi"), "", whole},
		{"header block that does not end", nats("NATS/1.0\r\nA: b\r\n", "hi"), "", whole},
		{"a field behind the header", nats(block, "hi") + "\x17\x01", "", whole},
		{"malformed", "\x02\x00\x00\x00\x05hi", "", whole},
		{"malformed header", nats(block, "hi")[:20], "", whole},
		{"header whose length is wrong", strings.Replace(nats(block, "hi"), "\x12NATS", "\x11NATS", 1), "", whole},
	}
	for _, row := range rows {
		m := Message{Type: TypeJMSBytes, Fields: []byte(row.fields)}
		if row.payload == whole {
			row.payload = row.fields
		}
		if header, payload := NATSPayload(&m); string(header) != row.header || string(payload) != row.payload {
			t.Errorf("%s: %q, %q; want %q, %q", row.name, header, payload, row.header, row.payload)
		}
		m.Flags = FlagCompressed
		if header, payload := NATSPayload(&m); header != nil || string(payload) != row.fields {
			t.Errorf("%s, compressed: %q, %q", row.name, header, payload)
		}
	}
}

func BenchmarkNATSPayload(b *testing.B) {
	m := Message{Type: TypeJMSBytes, Fields: AppendFromNATS(nil, []byte("NATS/1.0\r\nA: b\r\n\r\n"), make([]byte, 128))}
	b.ReportAllocs()
	for b.Loop() {
		if header, payload := NATSPayload(&m); len(header) == 0 || len(payload) != 128 {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkParseHello(b *testing.B) {
	var m Message
	if err := Parse(AppendHello(nil, &testHello), &m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var h Hello
		if err := ParseHello(&m, &h); err != nil {
			b.Fatal(err)
		}
	}
}
