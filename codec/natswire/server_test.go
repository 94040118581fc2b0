package natswire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

var serverRows = []row{
	{in: "MSG a 1 2\r\nhi\r\n", want: Command{Op: OpMsg, Subject: b("a"), SID: b("1"), Payload: b("hi")}},
	{in: "MSG foo.bar.baz 12 reply.to 2\r\nhi\r\n", want: Command{Op: OpMsg, Subject: b("foo.bar.baz"), SID: b("12"), Reply: b("reply.to"), Payload: b("hi")}},
	{in: "msg\ta  1\t2 \nhi\r\n", want: Command{Op: OpMsg, Subject: b("a"), SID: b("1"), Payload: b("hi")}},
	{in: "MSG a 1 0\r\n\r\n", want: Command{Op: OpMsg, Subject: b("a"), SID: b("1"), Payload: b("")}},
	{in: "MSG a 1 12 2\r\nhi\r\n", want: Command{Op: OpMsg, Subject: b("a"), SID: b("1"), Reply: b("12"), Payload: b("hi")}},
	{in: "MSG a 2\r\nhi\r\n", text: TextParser},
	{in: "MSG a 1 r x 2\r\nhi\r\n", text: TextParser},
	{in: "MSG a 1 -2\r\nhi\r\n", text: TextParser},
	{in: "MSG a 1 1048577\r\n", text: TextMaxPayload},
	{in: "MSG a  1 1048577\r\n", text: TextMaxPayload},
	{in: "MSG a 1 2\r\nhix", text: TextUnknownOperation},
	{in: "MSG\r\n", text: TextUnknownOperation},

	{in: "HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHMsg, Subject: b("a"), SID: b("1"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}},
	{in: "HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHMsg, Subject: b("a"), SID: b("1"), Reply: b("r"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}},
	{in: "HMSG a 1 14\r\n", text: TextParser},
	{in: "HMSG a 1 3 2\r\n", text: TextParser},
	{in: "HMSG a 1 2 1048577\r\n", text: TextMaxPayload},

	{in: "INFO {\"server_id\":\"x\"}\r\n", want: Command{Op: OpInfo, Arg: b(`{"server_id":"x"}`)}},
	{in: "INFO " + strings.Repeat("x", 2*DefaultLine) + "\r\n", want: Command{Op: OpInfo, Arg: b(strings.Repeat("x", 2*DefaultLine))}},
	{in: "INFO{}\r\n", text: TextUnknownOperation},
	{in: "PING\r\n", want: Command{Op: OpPing}},
	{in: "PONG\r\n", want: Command{Op: OpPong}},
	{in: "+OK\r\n", want: Command{Op: OpOK}},
	{in: "-ERR 'Authorization Violation'\r\n", want: Command{Op: OpErr, Arg: b("'Authorization Violation'")}},
	{in: "PUB a 2\r\nhi\r\n", text: TextUnknownOperation},
	{in: "\r\n", text: TextUnknownOperation},
}

func TestParseServer(t *testing.T) {
	for _, r := range serverRows {
		checkRow(t, ParseServer, r)
	}
}

func TestParseServerLimitsLines(t *testing.T) {
	for _, in := range []string{"MSG " + strings.Repeat("a", maxServerLine), "INFO " + strings.Repeat("a", maxServerLine), "PING", "-ERR"} {
		in += strings.Repeat(" ", maxServerLine) + "  "
		var c Command
		lim := limits
		if n, err := ParseServer([]byte(in), &c, &lim); n != 0 || err == nil || errText(t, err) != TextMaxControlLine {
			t.Errorf("%.20q: %d, %v", in, n, err)
		}
	}
}

// appendRows are what the Append functions write, byte for byte.
var appendRows = []struct {
	out   []byte
	parse parser
	row
}{
	{AppendMsg(nil, b("a.b"), b("7"), nil, b("hi")), ParseServer,
		row{in: "MSG a.b 7 2\r\nhi\r\n", want: Command{Op: OpMsg, Subject: b("a.b"), SID: b("7"), Payload: b("hi")}}},
	{AppendMsg(nil, b("a.b"), b("7"), b("r"), b("hi")), ParseServer,
		row{in: "MSG a.b 7 r 2\r\nhi\r\n", want: Command{Op: OpMsg, Subject: b("a.b"), SID: b("7"), Reply: b("r"), Payload: b("hi")}}},
	{AppendHMsg(nil, b("a.b"), b("7"), b("r"), b("NATS/1.0\r\n\r\n"), b("hi")), ParseServer,
		row{in: "HMSG a.b 7 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHMsg, Subject: b("a.b"), SID: b("7"), Reply: b("r"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}}},
	{AppendPub(nil, b("a.b"), nil, b("hi")), ParseClient, row{in: "PUB a.b 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a.b"), Payload: b("hi")}}},
	{AppendPub(nil, b("a.b"), b("r"), b("hi")), ParseClient,
		row{in: "PUB a.b r 2\r\nhi\r\n", want: Command{Op: OpPub, Subject: b("a.b"), Reply: b("r"), Payload: b("hi")}}},
	{AppendHPub(nil, b("a.b"), nil, b("NATS/1.0\r\n\r\n"), b("hi")), ParseClient,
		row{in: "HPUB a.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", want: Command{Op: OpHPub, Subject: b("a.b"), Header: b("NATS/1.0\r\n\r\n"), Payload: b("hi")}}},
	{AppendSub(nil, b("a.*"), nil, b("7")), ParseClient, row{in: "SUB a.* 7\r\n", want: Command{Op: OpSub, Subject: b("a.*"), SID: b("7")}}},
	{AppendSub(nil, b("a.*"), b("q"), b("7")), ParseClient, row{in: "SUB a.* q 7\r\n", want: Command{Op: OpSub, Subject: b("a.*"), Queue: b("q"), SID: b("7")}}},
	{AppendUnsub(nil, b("7"), 0), ParseClient, row{in: "UNSUB 7\r\n", want: Command{Op: OpUnsub, SID: b("7")}}},
	{AppendUnsub(nil, b("7"), 1000), ParseClient, row{in: "UNSUB 7 1000\r\n", want: Command{Op: OpUnsub, SID: b("7"), Max: 1000}}},
	{AppendErr(nil, TextStale), ParseServer, row{in: "-ERR 'Stale Connection'\r\n", want: Command{Op: OpErr, Arg: b("'Stale Connection'")}}},
	{AppendInfo(nil, b("{}")), ParseServer, row{in: "INFO {}\r\n", want: Command{Op: OpInfo, Arg: b("{}")}}},
	{AppendConnect(nil, b("{}")), ParseClient, row{in: "CONNECT {}\r\n", want: Command{Op: OpConnect, Arg: b("{}")}}},
	{b(Ping), ParseServer, row{in: "PING\r\n", want: Command{Op: OpPing}}},
	{b(Pong), ParseClient, row{in: "PONG\r\n", want: Command{Op: OpPong}}},
	{b(OK), ParseServer, row{in: "+OK\r\n", want: Command{Op: OpOK}}},
}

func TestAppend(t *testing.T) {
	for _, r := range appendRows {
		if string(r.out) != r.in {
			t.Errorf("%q is written, want %q", r.out, r.in)
		}
		checkRow(t, r.parse, r.row)
	}
}

func TestAppendMsgAllocates(t *testing.T) {
	dst := make([]byte, 0, 1024)
	subject, sid, payload := b("a.b"), b("7"), make([]byte, 128)
	if allocs := testing.AllocsPerRun(10, func() { dst = AppendMsg(dst[:0], subject, sid, subject, payload) }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestAppendUint(t *testing.T) {
	for _, v := range []uint64{0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1024, 65535, 999_999_999, 1<<64 - 1} {
		if got, want := string(AppendUint(b("x"), v)), fmt.Sprint("x", v); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestOpString(t *testing.T) {
	if got := fmt.Sprint(OpConnect, OpHPub, OpErr, Op(0), Op(200)); got != "CONNECT HPUB -ERR  " {
		t.Errorf("%q", got)
	}
	if OpErr+1 != Op(len(opNames)) {
		t.Error("an Op has no name")
	}
}

func TestViolations(t *testing.T) {
	got := []string{PublishViolation("a"), ReplyViolation("a\"b"), SubscribeViolation("a.>", ""), SubscribeViolation("a.>", "q")}
	want := []string{`Permissions Violation for Publish to "a"`, `Permissions Violation for Publish with Reply of "a\"b"`,
		`Permissions Violation for Subscription to "a.>"`, `Permissions Violation for Subscription to "a.>" using queue "q"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}
