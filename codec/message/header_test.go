package message

import (
	"testing"
)

func TestSmoke(t *testing.T) {
	m := Message{Priority: -2, Type: TypeInfo, Delivery: All, Balance: Sorted, Seq: 7, Dest: []byte("/a"),
		Props: AppendTextProperty(nil, TagSender, "/s"), Fields: AppendStr(nil, "x")}
	b := Append(nil, &m)
	var got Message
	if err := Parse(b, &got); err != nil || string(Append(nil, &got)) != string(b) {
		t.Fatal(err, got)
	}
	h := Hello{Version: 1, Project: "p", Password: "x", PID: 4}
	b = AppendHello(nil, &h)
	var g Hello
	if err := Parse(b, &got); err != nil {
		t.Fatal(err)
	}
	if err := ParseHello(&got, &g); err != nil || g != h {
		t.Fatal(err, g)
	}
}
