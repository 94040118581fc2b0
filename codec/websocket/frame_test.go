package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"roundhouse/codec"
)

// RFC 6455, 1.3.
func TestAccept(t *testing.T) {
	if got := Accept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestMask(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	for size := range 40 {
		for pos := range 5 {
			b := bytes.Repeat([]byte{0xa5}, size)
			if end := Mask(key, pos, b); end != pos+size {
				t.Errorf("ends at %d", end)
			}
			for i, c := range b {
				if c != 0xa5^key[(pos+i)%4] {
					t.Fatalf("size %d, pos %d: byte %d is %#x", size, pos, i, c)
				}
			}
		}
	}
}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frames are named rows with what a frame looks like; those of RFC 6455, 5.7 are marked.
var frames = []struct {
	name   string
	op     Op
	data   string
	key    *[4]byte
	prefix string // the head, and a short payload
}{
	{"RFC: a masked binary frame", OpBinary, "Hello", &testKey, "\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"},
	{"RFC: a ping", OpPing, "Hello", nil, "\x89\x05Hello"},
	{"RFC: a masked pong", OpPong, "Hello", &testKey, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"},
	{"RFC: 256 bytes", OpBinary, strings.Repeat("x", 256), nil, "\x82\x7e\x01\x00xx"},
	{"RFC: 64 KiB", OpBinary, strings.Repeat("x", 65536), nil, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00xx"},
	{"nothing", OpBinary, "", nil, "\x82\x00"},
	{"125 bytes", OpBinary, strings.Repeat("x", 125), nil, "\x82\x7dxx"},
	{"126 bytes", OpBinary, strings.Repeat("x", 126), nil, "\x82\x7e\x00\x7exx"},
	{"65535 bytes", OpBinary, strings.Repeat("x", 65535), nil, "\x82\x7e\xff\xffxx"},
	{"a ping of 125 bytes", OpPing, strings.Repeat("x", 125), nil, "\x89\x7dxx"},
	{"an empty close", OpClose, "", nil, "\x88\x00"},
	{"a close with a reason", OpClose, "\x03\xe8bye", nil, "\x88\x05\x03\xe8bye"},
}

func TestFrames(t *testing.T) {
	for _, row := range frames {
		b := append(AppendHead(nil, row.op, len(row.data), row.key), row.data...)
		if row.key != nil {
			Mask(*row.key, 0, b[len(b)-len(row.data):])
		}
		if !strings.HasPrefix(string(b), row.prefix) {
			t.Errorf("%s: % x", row.name, b[:min(len(b), 20)])
		}
		for step := 1; step <= len(b); step = 3*step + 1 {
			r := Reader{Masked: row.key != nil}
			var got []byte
			ends := 0
			for in := bytes.Clone(b); len(in) > 0; {
				p, n, err := r.Next(in[:min(step, len(in))])
				if err != nil || n < 1 {
					t.Fatalf("%s: %d, %v", row.name, n, err)
				}
				in = in[n:]
				if p.Op != OpNone && p.Op != row.op {
					t.Fatalf("%s: opcode %d", row.name, p.Op)
				}
				got = append(got, p.Data...)
				if p.Last {
					ends++
				}
			}
			if string(got) != row.data || ends != 1 || !r.Idle() || r.Closed() != (row.op == OpClose) {
				t.Errorf("%s, %d at a time: %d bytes, %d ends", row.name, step, len(got), ends)
			}
		}
	}
}

// read gives all of in to r, and writes down what comes out.
func read(r *Reader, in []byte) (out string, err error) {
	for len(in) > 0 {
		p, n, err := r.Next(in)
		if err != nil {
			return out, err
		}
		in = in[n:]
		if p.Op != OpNone {
			out += fmt.Sprintf("%d:%s", p.Op, p.Data)
		}
		if p.Last {
			out += "."
		}
	}
	return out, nil
}

func TestReader(t *testing.T) {
	for _, row := range []struct {
		name, in, want string
		err            error
		code           uint16
	}{
		{"RFC: in parts", "\x02\x03Hel\x80\x02lo", "2:Hel2:lo.", nil, 0},
		{"a ping between parts", "\x02\x01a\x89\x01p\x00\x00\x80\x01b", "2:a9:p.2:b.", nil, 0},
		{"an empty end", "\x02\x01a\x80\x00", "2:a2:.", nil, 0},
		{"after a close", "\x88\x00\xff\xff\xff", "8:.", nil, 0},
		{"a limit, met", "\x02\x04abcd\x80\x04efgh\x82\x08abcdefgh", "2:abcd2:efgh.2:abcdefgh.", nil, 0},
		{"a limit, passed", "\x82\x09", "", codec.ErrTooLarge, CloseTooLarge},
		{"a limit, passed in parts", "\x02\x04abcd\x80\x05", "2:abcd", codec.ErrTooLarge, CloseTooLarge},
		{"a limit, passed by far", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "", codec.ErrTooLarge, CloseTooLarge},
		{"the highest bit", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "", codec.ErrMalformed, CloseProtocol},
		{"a long length", "\x82\x7e\x00\x7d", "", codec.ErrMalformed, CloseProtocol},
		{"a longer length", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "", codec.ErrMalformed, CloseProtocol},
		{"a text", "\x81", "", codec.ErrMalformed, CloseUnsupported},
		{"RSV1", "\xc2", "", codec.ErrMalformed, CloseProtocol},
		{"RSV3", "\x92", "", codec.ErrMalformed, CloseProtocol},
		{"opcode 3", "\x83", "", codec.ErrMalformed, CloseProtocol},
		{"opcode 11", "\x8b", "", codec.ErrMalformed, CloseProtocol},
		{"a continuation of nothing", "\x80", "", codec.ErrMalformed, CloseProtocol},
		{"a message in a message", "\x02\x00\x82", "", codec.ErrMalformed, CloseProtocol},
		{"a ping in parts", "\x09", "", codec.ErrMalformed, CloseProtocol},
		{"a long ping", "\x89\x7e", "", codec.ErrMalformed, CloseProtocol},
		{"a mask of a server", "\x82\x80", "", codec.ErrMalformed, CloseProtocol},
		{"a close of 1 byte", "\x88\x01\x03", "", codec.ErrMalformed, CloseProtocol},
		{"a close code that is none", "\x88\x02\x03\xed", "", codec.ErrMalformed, CloseProtocol},
		{"a close reason that is no text", "\x88\x03\x03\xe8\xff", "", codec.ErrMalformed, CloseProtocol},
	} {
		for step := 1; step <= len(row.in); step++ {
			r := Reader{MaxMessage: 8}
			var got string
			var err error
			in := []byte(row.in)
			for len(in) > 0 && err == nil {
				var more string
				k := min(step, len(in))
				more, err = read(&r, in[:k])
				got += more
				in = in[k:]
			}
			if step == len(row.in) && got != row.want {
				t.Errorf("%s: %q", row.name, got)
			}
			if !errors.Is(err, row.err) || err != nil && CloseCode(err) != row.code {
				t.Errorf("%s, %d at a time: %v", row.name, step, err)
			}
		}
	}
	unmasked := Reader{Masked: true}
	if _, _, err := unmasked.Next([]byte("\x82\x00")); !errors.Is(err, codec.ErrMalformed) {
		t.Error("an unmasked frame of a client:", err)
	}
}

func TestClose(t *testing.T) {
	for _, row := range []struct {
		code         uint16
		reason, want string
	}{
		{CloseNormal, "", ""}, {CloseGoingAway, "bye", "bye"}, {4999, strings.Repeat("x", 200), strings.Repeat("x", 123)},
		{3000, strings.Repeat("x", 122) + "é", strings.Repeat("x", 122)}, {3000, "\xff", ""},
	} {
		b := AppendClose(nil, row.code, row.reason, nil)
		code, reason, err := ParseClose(b[2:])
		if err != nil || code != row.code || string(reason) != row.want {
			t.Errorf("%d %q: %d %q %v", row.code, row.reason, code, reason, err)
		}
	}
	if code, _, err := ParseClose(nil); code != CloseNone || err != nil {
		t.Error(code, err)
	}
}

func TestNoAllocation(t *testing.T) {
	b := append(AppendHead(nil, OpBinary, 1000, &testKey), make([]byte, 1000)...)
	r := Reader{Masked: true, MaxMessage: 1000}
	dst := make([]byte, 0, MaxHead)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendHead(dst[:0], OpBinary, 1000, &testKey)
		for in := b; len(in) > 0; {
			_, n, err := r.Next(in)
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMask(b *testing.B) {
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		Mask(testKey, 0, buf)
	}
}
