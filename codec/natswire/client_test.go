package natswire

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"roundhouse/codec"
)

// parser is ParseClient or ParseServer.
type parser func([]byte, *Command, *Limits) (int, error)

// row is a command and what becomes of it: a Command, or the text of an error.
type row struct {
	in   string
	want Command
	text string
}

// b is s as bytes.
func b(s string) []byte { return []byte(s) }

// clientRows were given to a nats-server v2.15.2 too: it took what has no text here, and refused the others, with this text or, for
// TextParser, with none.
var clientRows = []row{
	{in: "PUB a 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a"), Payload: b("hi")}},
	{in: "PUB foo.bar reply.to 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("foo.bar"), Reply: b("reply.to"), Payload: b("hi")}},
	{in: "PUB long.enough.for.two.words 12a 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("long.enough.for.two.words"), Reply: b("12a"), Payload: b("hi")}},
	{in: "PUB a 12 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a"), Reply: b("12"), Payload: b("hi")}},
	{in: "pUb\t a\tb \t 2 \r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a"), Reply: b("b"), Payload: b("hi")}},
	{in: "PUB a 2\nhi\r\n", want: Command{Op: OpPub, Subject: b("a"), Payload: b("hi")}},
	{in: "PUB a 000000002\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a"), Payload: b("hi")}},
	{in: "PUB a 0\r\n\r\n", want: Command{Op: OpPub, Subject: b("a"), Payload: b("")}},
	{in: "PUB \na 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("\na"), Payload: b("hi")}},
	{in: "PUB \ra 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("\ra"), Payload: b("hi")}},
	{in: "PUB a\rb 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a\rb"), Payload: b("hi")}},
	{in: "PUB a\rb 20\nhi\r\n", want: Command{Op: OpPub, Subject: b("a\rb"), Payload: b("hi")}},
	{in: "PUB a\x00b 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a\x00b"), Payload: b("hi")}},
	{in: "PUB a..b 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a..b"), Payload: b("hi")}},
	{in: "PUB a.* 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a.*"), Payload: b("hi")}},
	{in: "PUB \xff 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("\xff"), Payload: b("hi")}},
	{in: "PUB a 2\r\nhi\n", text: TextUnknownOperation},
	{in: "PUB a 2\r\nhix\r\n", text: TextUnknownOperation},
	{in: "PUB a 2\r\nhi\rx", text: TextUnknownOperation},
	{in: "PUB a -1\r\n", text: TextParser},
	{in: "PUB a +1\r\n", text: TextParser},
	{in: "PUB a 0x1\r\n", text: TextParser},
	{in: "PUB a 1234567890\r\n", text: TextParser},
	{in: "PUB a 0000000002\r\nhi\r\n", text: TextParser},
	{in: "PUB a 999999999\r\n", text: TextMaxPayload},
	{in: "PUB a 1048577\r\n", text: TextMaxPayload},
	{in: "PUB a\t1048577\r\n", text: TextMaxPayload},
	{in: "PUB a\r\n", text: TextParser},
	{in: "PUB \r\n", text: TextParser},
	{in: "PUB\r\n", text: TextUnknownOperation},
	{in: "PUBa 2\r\n", text: TextUnknownOperation},
	{in: "PU ", text: TextUnknownOperation},
	{in: "PUB a b c 2\r\nhi\r\n", text: TextParser},
	{in: "PUB a b c d e f 2\r\nhi\r\n", text: TextParser},

	{in: "HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHPub, Subject: b("a"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}},
	{in: "HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHPub, Subject: b("a"), Reply: b("r"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}},
	{in: "HPUB a 0 2\r\nhi\r\n", want: Command{Op: OpHPub, Subject: b("a"), Header: b(""), Payload: b("hi")}},
	{in: "HPUB a 5 5\r\nabcde\r\n", want: Command{Op: OpHPub, Subject: b("a"), Header: b("abcde"), Payload: b("")}},
	{in: "HPUB a 15 14\r\n", text: TextParser},
	{in: "HPUB a 14\r\n", text: TextParser},
	{in: "HPUB a x 14\r\n", text: TextParser},
	{in: "HPUB a 1 x\r\n", text: TextParser},
	{in: "HPUB a r x 5 5\r\n", text: TextParser},
	{in: "HPUB a 1 1048577\r\n", text: TextMaxPayload},

	{in: "SUB a 1\r\n", want: Command{Op: OpSub, Subject: b("a"), SID: b("1")}},
	{in: "SUB a q 1\r\n", want: Command{Op: OpSub, Subject: b("a"), Queue: b("q"), SID: b("1")}},
	{in: "SUB a\r1\r\n", want: Command{Op: OpSub, Subject: b("a"), SID: b("1")}},
	{in: "SUB \na 1\r\n", want: Command{Op: OpSub, Subject: b("a"), SID: b("1")}},
	{in: "SUB a..b 1\r\n", want: Command{Op: OpSub, Subject: b("a..b"), SID: b("1")}},
	{in: "SUB a q 1 2\r\n", text: TextParser},
	{in: "SUB a\r\n", text: TextParser},

	{in: "UNSUB 99\r\n", want: Command{Op: OpUnsub, SID: b("99")}},
	{in: "UNSUB 99 1\r\n", want: Command{Op: OpUnsub, SID: b("99"), Max: 1}},
	{in: "UNSUB 99 999999999\n", want: Command{Op: OpUnsub, SID: b("99"), Max: 999999999}},
	{in: "UNSUB 99 x\r\n", want: Command{Op: OpUnsub, SID: b("99")}},
	{in: "UNSUB 99 -3\r\n", want: Command{Op: OpUnsub, SID: b("99")}},
	{in: "UNSUB 99 1234567890\r\n", want: Command{Op: OpUnsub, SID: b("99")}},
	{in: "UNSUB 99 1 2\r\n", text: TextParser},
	{in: "UNSUB \r\n", text: TextParser},
	{in: "UNSUB\r\n", text: TextUnknownOperation},

	{in: "PING\r\n", want: Command{Op: OpPing}},
	{in: "PINGxyz\r\n", want: Command{Op: OpPing}},
	{in: "ping\n", want: Command{Op: OpPing}},
	{in: "PONG garbage\r\n", want: Command{Op: OpPong}},
	{in: "+OK\r\n", want: Command{Op: OpOK}},
	{in: "+okxyz\n", want: Command{Op: OpOK}},
	{in: "-ERR 'x'\r\n", want: Command{Op: OpErr, Arg: b("'x'")}},
	{in: "-ERR\r\n", text: TextUnknownOperation},
	{in: "INFO {}\r\n", want: Command{Op: OpInfo, Arg: b("{}")}},
	{in: "INFO{}\r\n", want: Command{Op: OpInfo, Arg: b("{}")}},
	{in: "CONNECT{}\r\n", want: Command{Op: OpConnect, Arg: b("{}")}},
	{in: "CONNECT \r\n", want: Command{Op: OpConnect, Arg: b("\r")}},
	{in: "connect\t {\"verbose\":true}\n", want: Command{Op: OpConnect, Arg: b(`{"verbose":true}`)}},

	{in: "X", text: TextUnknownOperation},
	{in: "\r\n", text: TextUnknownOperation},
	{in: " PING\r\n", text: TextUnknownOperation},
	{in: "MSG a 1 2\r\nhi\r\n", text: TextUnknownOperation},
	{in: "HMSG a 1 2 2\r\nhi\r\n", text: TextUnknownOperation},
	{in: "A+ a\r\n", text: TextUnknownOperation},
	{in: "RS+ a\r\n", text: TextUnknownOperation},
	{in: "LS+ a\r\n", text: TextUnknownOperation},
}

// clientLimitRows are about Limits.Line. nats-server has no limit for those with many blanks.
var clientLimitRows = []row{
	{in: "SUB " + strings.Repeat("a", 4094) + " 1\r\n", want: Command{Op: OpSub, Subject: b(strings.Repeat("a", 4094)), SID: b("1")}},
	{in: "SUB " + strings.Repeat("a", 4095) + " 1\r\n", text: TextMaxControlLine},
	{in: "SUB " + strings.Repeat("a", 4098), text: TextMaxControlLine},
	{in: "PUB " + strings.Repeat("a", 4094) + " 0\r\n\r\n", want: Command{Op: OpPub, Subject: b(strings.Repeat("a", 4094)), Payload: b("")}},
	{in: "PUB " + strings.Repeat("a", 4095) + " 0\r\n\r\n", text: TextMaxControlLine},
	{in: "PUB a" + strings.Repeat(" ", 4094) + "0\r\n\r\n", want: Command{Op: OpPub, Subject: b("a"), Payload: b("")}},
	{in: "PUB a" + strings.Repeat(" ", 4095) + "0\r\n\r\n", text: TextMaxControlLine},
	{in: "SUB" + strings.Repeat(" ", 4096) + "a 1\r\n", want: Command{Op: OpSub, Subject: b("a"), SID: b("1")}},
	{in: "SUB" + strings.Repeat(" ", 4097), text: TextMaxControlLine},
	{in: "PING" + strings.Repeat(" ", 4096) + "\n", want: Command{Op: OpPing}},
	{in: "PING" + strings.Repeat(" ", 4097), text: TextMaxControlLine},
}

func TestParseClient(t *testing.T) {
	for _, r := range append(clientRows, clientLimitRows...) {
		checkRow(t, ParseClient, r)
	}
}

// checkRow parses the input of a row alone, with more behind it, and cut at every byte.
func checkRow(t *testing.T, parse parser, r row) {
	t.Helper()
	lim := limits
	for _, after := range []string{"", "\r\n", "PUB next 1\r\n1\r\n", strings.Repeat(" x\r\n", 20)} {
		if r.text != "" && after != "" {
			continue // more is needed to refuse it, or it is refused already
		}
		var c Command
		n, err := parse([]byte(r.in+after), &c, &lim)
		checkOutcome(t, r, c, n, err)
	}
	for cut := range len(r.in) {
		var c Command
		switch n, err := parse([]byte(r.in[:cut]), &c, &lim); {
		case n != 0:
			t.Errorf("%.50q: %d of its first %d bytes are taken", r.in, n, cut)
		case err != nil && errText(t, err) != r.text:
			t.Errorf("%.50q: after %d bytes: %v", r.in, cut, err)
		}
	}
}

func checkOutcome(t *testing.T, r row, c Command, n int, err error) {
	t.Helper()
	switch {
	case r.text != "":
		if n != 0 || err == nil || errText(t, err) != r.text {
			t.Errorf("%.50q: %d, %v; want %s", r.in, n, err, r.text)
		}
	case n != len(r.in) || err != nil:
		t.Errorf("%.50q: %d, %v; want %d", r.in, n, err, len(r.in))
	case !reflect.DeepEqual(c, r.want):
		t.Errorf("%.50q: %+v, want %+v", r.in, c, r.want)
	}
}

// errText returns the text of a ProtocolError, whose kind has to fit.
func errText(t *testing.T, err error) string {
	t.Helper()
	var wire *ProtocolError
	if !errors.As(err, &wire) {
		t.Errorf("%v is no ProtocolError", err)
		return ""
	}
	large := wire.Text == TextMaxPayload || wire.Text == TextMaxControlLine
	if errors.Is(err, codec.ErrTooLarge) != large || errors.Is(err, codec.ErrMalformed) == large {
		t.Errorf("%v is of the wrong kind", err)
	}
	return wire.Text
}

func TestParseClientKeepsNothingOfTheCommandBefore(t *testing.T) {
	for _, r := range clientRows {
		old := Command{Subject: b("s"), Reply: b("r"), Queue: b("q"), SID: b("i"), Header: b("h"), Payload: b("p"), Arg: b("a"), Max: 9}
		c := old
		lim := limits
		if n, _ := ParseClient([]byte(r.in), &c, &lim); n == 0 {
			continue
		}
		got, want := reflect.ValueOf(c), reflect.ValueOf(r.want)
		for i := range got.NumField() {
			kept := reflect.DeepEqual(got.Field(i).Interface(), reflect.ValueOf(old).Field(i).Interface())
			if same := reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()); !same && !kept {
				t.Errorf("%q: %s is %v", r.in, got.Type().Field(i).Name, got.Field(i))
			}
		}
		if c.Op == OpPub && (c.Header != nil || string(c.Reply) != string(r.want.Reply)) || c.Op == OpSub && string(c.Queue) != string(r.want.Queue) {
			t.Errorf("%q: %+v", r.in, c)
		}
	}
}

func TestParseClientLimits(t *testing.T) {
	for _, test := range []struct {
		in   string
		lim  Limits
		text string
	}{
		{"PUB a 2\r\nhi\r\n", Limits{3, 2}, ""},
		{"PUB a 2\r\nhi\r\n", Limits{2, 2}, TextMaxControlLine},
		{"PUB a 2\r\nhi\r\n", Limits{3, 1}, TextMaxPayload},
		{"PUB a 2\r\nhi\r\n", Limits{3, -1}, ""},
		{"HPUB a 1 2\r\nhi\r\n", Limits{5, 2}, ""},
		{"HPUB a 1 2\r\nhi\r\n", Limits{5, 1}, TextMaxPayload},
		{"HPUB a 1 2\r\nhi\r\n", Limits{5, -1}, ""},
		{"PUB a 0\r\n\r\n", Limits{3, 0}, ""},
		{"PUB a 1\r\n1\r\n", Limits{3, 0}, TextMaxPayload},
	} {
		var c Command
		n, err := ParseClient([]byte(test.in), &c, &test.lim)
		if test.text == "" && (n != len(test.in) || err != nil) || test.text != "" && (err == nil || errText(t, err) != test.text) {
			t.Errorf("%q, %+v: %d, %v; want %q", test.in, test.lim, n, err, test.text)
		}
	}
}

func TestParseAllocates(t *testing.T) {
	var c Command
	lim := limits
	for _, r := range clientRows {
		in := []byte(r.in)
		if allocs := testing.AllocsPerRun(10, func() { _, _ = ParseClient(in, &c, &lim) }); allocs > 0 {
			t.Errorf("%q: %v allocations", r.in, allocs)
		}
	}
	for _, r := range serverRows {
		in := []byte(r.in)
		if allocs := testing.AllocsPerRun(10, func() { _, _ = ParseServer(in, &c, &lim) }); allocs > 0 {
			t.Errorf("%q: %v allocations", r.in, allocs)
		}
	}
}
