package pubsub

import (
	"bytes"
	"testing"

	"roundhouse/codec/message"
)

func TestCompress(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	var flags []uint8
	f.meet = func(_ *fakePeer, m *message.Message) bool {
		if string(m.Dest) == "/a" {
			flags = append(flags, m.Flags)
		}
		return false
	}
	c := f.connect(Options{MaxMessage: 10_000})
	s, err := c.SubscribeChan(ctx, "/a")
	must(t, err)
	var inline []*Msg
	_, err = c.Subscribe(ctx, "/a", func(m *Msg) { inline = append(inline, m) }, Inline())
	must(t, err)
	data := bytes.Repeat([]byte("abc"), 1000)
	for i, m := range []*Msg{
		{Subject: "/a", Data: data, Compressed: true},
		{Subject: "/a", Fields: message.AppendStr(nil, data), Compressed: true},
		{Subject: "/a", Data: []byte("x"), Compressed: true}, // would not be smaller
		{Subject: "/a", Data: make([]byte, 20_000), Compressed: true},
	} {
		must(t, c.PublishMsg(ctx, m))
		got, err := s.Next(ctx)
		must(t, err)
		must(t, c.Flush(ctx))
		want := [][]byte{data, data, []byte("x"), nil}[i]
		tooLarge := i == 3
		if got.Compressed != tooLarge || inline[i].Compressed != tooLarge || !tooLarge && (!bytes.Equal(got.Data, want) || !bytes.Equal(inline[i].Data, want)) {
			t.Errorf("%d: %d bytes, compressed: %v", i, len(got.Data), got.Compressed)
		}
		if packed := flags[i]&message.FlagCompressed != 0; packed != (i != 2) || !m.Compressed {
			t.Errorf("%d: flags %d", i, flags[i])
		}
		if tooLarge {
			if _, ok := got.Field(0); ok || !bytes.Contains(got.AppendText(nil, nil), []byte("compressed {")) {
				t.Errorf("%s", got.AppendText(nil, nil))
			}
		}
	}
	broken := &Msg{Fields: []byte("no zlib"), Compressed: true}
	if broken.unpack(100); !broken.Compressed {
		t.Error("unpacked what is not packed")
	}
	broken.Fields = []byte("x\x9c\x4a")
	if broken.unpack(100); !broken.Compressed {
		t.Error("unpacked what is torn")
	}
}

func TestAppendText(t *testing.T) {
	for _, row := range []struct {
		m    Msg
		want string
	}{
		{Msg{Subject: "/a", Type: message.TypeInfo, Fields: message.AppendStr(nil, "x")}, "info /a \"x\"\n"},
		{Msg{Subject: "/a", Data: []byte{1}}, "jms_bytes /a { binary { 01 } }\n"},
	} {
		if got := string(row.m.AppendText(nil, nil)); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}
