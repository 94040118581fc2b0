package lane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// packetRows are written by Append and read by Reader.
var packetRows = []struct {
	name  string
	p     Packet
	bytes string
}{
	{"hello", Packet{OpHello, 0, 0, []byte("\x01\x00\x02\x00\x04\x00\x00\x00\x00\x75\x30\x00\x01\x00\x00")},
		"00000021\x01\x00\x00\x00\x00\x00\x01\x00\x02\x00\x04\x00\x00\x00\x00\x75\x30\x00\x01\x00\x00"},
	{"request", Packet{OpRequest, FlagLast | FlagUpgrade, 7, []byte("GET / HTTP/1.1\r\n\r\n")}, "00000024\x02\x09\x00\x00\x00\x07GET / HTTP/1.1\r\n\r\n"},
	{"response", Packet{OpResponse, FlagChunked, 7, []byte("HTTP/1.1 200 OK\r\n\r\n")}, "00000025\x03\x04\x00\x00\x00\x07HTTP/1.1 200 OK\r\n\r\n"},
	{"information", Packet{OpResponse, FlagInfo, 7, []byte("HTTP/1.1 100 \r\n\r\n")}, "00000023\x03\x02\x00\x00\x00\x07HTTP/1.1 100 \r\n\r\n"},
	{"data", Packet{OpData, 0, 0x01020304, []byte("body")}, "00000010\x04\x00\x01\x02\x03\x04body"},
	{"data, last", Packet{OpData, FlagLast, 7, []byte("body")}, "00000010\x04\x01\x00\x00\x00\x07body"},
	{"data, empty and last", Packet{OpData, FlagLast, 7, nil}, "00000006\x04\x01\x00\x00\x00\x07"},
	{"data, one byte", Packet{OpData, FlagLast, 7, []byte("x")}, "00000007\x04\x01\x00\x00\x00\x07x"},
	{"trailer", Packet{OpTrailer, FlagLast, 7, []byte("A: b\r\n\r\n")}, "00000014\x05\x01\x00\x00\x00\x07A: b\r\n\r\n"},
	{"credit", Packet{OpCredit, 0, 7, []byte("\x00\x01\x00\x00")}, "00000010\x06\x00\x00\x00\x00\x07\x00\x01\x00\x00"},
	{"reset", Packet{OpReset, FlagUnseen, 7, []byte("\x00\x05late")}, "00000012\x07\x10\x00\x00\x00\x07\x00\x05late"},
	{"upgraded", Packet{OpUpgraded, FlagUpgrade, 0xFFFFFFFF, nil}, "00000006\x08\x08\xff\xff\xff\xff"},
	{"status", Packet{OpStatus, 0, 0, []byte("\x00refused")}, "00000014\x09\x00\x00\x00\x00\x00\x00refused"},
	{"ping", Packet{OpPing, 0, 0, []byte("12345678")}, "00000014\x0a\x00\x00\x00\x00\x0012345678"},
	{"pong", Packet{OpPong, 0, 0, []byte("12345678")}, "00000014\x0b\x00\x00\x00\x00\x0012345678"},
	{"goaway", Packet{OpGoaway, 0, 0, []byte("\x00\x00\x03\xe8")}, "00000010\x0c\x00\x00\x00\x00\x00\x00\x00\x03\xe8"},
	{"pad", Packet{OpPad, 0, 0, []byte("\x00\x00\x00")}, "00000009\x0d\x00\x00\x00\x00\x00\x00\x00\x00"},
	{"unknown flags", Packet{OpPad, 0xC0, 0, nil}, "00000006\x0d\xc0\x00\x00\x00\x00"},
}

func TestPackets(t *testing.T) {
	var all []byte
	var want []Packet
	for _, row := range packetRows {
		t.Run(row.name, func(t *testing.T) {
			if got := string(Append([]byte("x"), row.p)); got != "x"+row.bytes {
				t.Errorf("Append: %q, want %q", got[1:], row.bytes)
			}
			checkSplits(t, []byte(row.bytes), []Packet{row.p}, nil)
			checkTruncations(t, row.bytes, row.p)
		})
		all, want = Append(all, row.p), append(want, row.p)
	}
	checkSplits(t, all, want, nil)
}

// checkTruncations wants nothing but a part of a data packet from a packet that is cut short.
func checkTruncations(t *testing.T, in string, p Packet) {
	t.Helper()
	for i := range in {
		var r Reader
		got, err := readAll(&r, []byte(in[:i]))
		if err != nil || r.Idle() != (i == 0) {
			t.Fatalf("%q: %v, idle %v", in[:i], err, r.Idle())
		}
		if p.Op != OpData || i <= HeadLen {
			if len(got) > 0 {
				t.Fatalf("%q: %v", in[:i], got)
			}
		} else if len(got) != 1 || string(got[0].Data) != in[HeadLen:i] || got[0].Flags != p.Flags&^FlagLast || got[0].Stream != p.Stream {
			t.Fatalf("%q: %v", in[:i], got)
		}
	}
}

// TestMaxSizes has a row for each limit on a packet's size: at, below and over it.
func TestMaxSizes(t *testing.T) {
	for _, row := range []struct {
		op   Op
		size int
		ok   bool
	}{
		{OpRequest, MaxControl - 1, true}, {OpRequest, MaxControl, true}, {OpRequest, MaxControl + 1, false},
		{OpPad, MaxControl - 1, true}, {OpPad, MaxControl, true}, {OpPad, MaxControl + 1, false},
		{OpHello, MaxData, false},
		{OpData, MaxControl + 1, true}, {OpData, MaxData - 1, true}, {OpData, MaxData, true}, {OpData, MaxData + 1, false},
	} {
		t.Run(fmt.Sprintf("%v/%d", row.op, row.size), func(t *testing.T) {
			in := append(AppendHead(nil, row.op, 0, 1, row.size), make([]byte, row.size)...)
			for _, step := range []int{len(in), HeadLen, HeadLen - 1, 1000} {
				var r Reader
				got, err := readSteps(&r, in, step)
				if !row.ok {
					if !errors.Is(err, codec.ErrTooLarge) || len(got) > 0 || cap(r.held) > minHeld {
						t.Errorf("in steps of %d: %d packets, %v; memory %d", step, len(got), err, cap(r.held))
					}
				} else if err != nil || len(got) != 1 || len(got[0].Data) != row.size || !r.Idle() {
					t.Errorf("in steps of %d: %d packets, %v", step, len(got), err)
				}
			}
		})
	}
}

// TestRefusals also wants the packet in front of what is refused, whole and split.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		name, bytes string
		err         error
	}{
		{"no digits", "abcdefgh", codec.ErrMalformed},
		{"sign", "+0000006", codec.ErrMalformed},
		{"blanks", "       6", codec.ErrMalformed},
		{"hexadecimal", "0x000006", codec.ErrMalformed},
		{"a chunk's line", "1a\r\n0000", codec.ErrMalformed},
		{"HTTP", "HTTP/1.1", codec.ErrMalformed},
		{"no room for the head", "00000005", codec.ErrMalformed},
		{"nothing", "00000000", codec.ErrMalformed},
		{"longer than any packet", fmt.Sprintf("%08d", headRest+MaxData+1), codec.ErrTooLarge},
		{"longest", "99999999", codec.ErrTooLarge},
		{"op 0", "00000006\x00\x00\x00\x00\x00\x00", codec.ErrMalformed},
		{"op 16", "00000006\x10\x00\x00\x00\x00\x00", codec.ErrMalformed},
		{"op 255", "00000006\xff\x00\x00\x00\x00\x00", codec.ErrMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			first := Packet{OpPing, 0, 0, []byte("12345678")}
			checkSplits(t, append(Append(nil, first), row.bytes+"more"...), []Packet{first}, row.err)
			for i := range row.bytes {
				var r Reader
				if _, err := readAll(&r, []byte(row.bytes[:i])); err != nil {
					t.Errorf("%q is refused too early: %v", row.bytes[:i], err)
				}
			}
			var r Reader
			if _, err := readAll(&r, []byte(row.bytes)); !errors.Is(err, row.err) || cap(r.held) > 0 {
				t.Errorf("%v, memory %d", err, cap(r.held))
			}
		})
	}
}

// TestStarts tries every two bytes where a packet starts: what is not two digits is refused, and takes no memory.
func TestStarts(t *testing.T) {
	rest := "000014\x0a\x00\x00\x00\x00\x0012345678"
	for i := range 1 << 16 {
		hi, lo := byte(i>>8), byte(i)
		var want error
		switch {
		case hi-'0' > 9 || lo-'0' > 9:
			want = codec.ErrMalformed
		case hi != '0' || lo != '0':
			want = codec.ErrTooLarge
		}
		in := string([]byte{hi, lo}) + rest
		var whole, split Reader
		_, _, err := whole.Next([]byte(in))
		_, errSplit := readSteps(&split, []byte(in), 5)
		if !errors.Is(err, want) || !errors.Is(errSplit, want) || (err == nil) != (want == nil) {
			t.Fatalf("%q: %v, split %v, want %v", in, err, errSplit, want)
		}
		if cap(whole.held) > 0 || cap(split.held) > minHeld {
			t.Fatalf("%q: memory %d, split %d", in, cap(whole.held), cap(split.held))
		}
	}
}

// TestHeldMemory sends the longest control packet in steps: the reader's memory follows what has come, and is given back.
func TestHeldMemory(t *testing.T) {
	in := append(AppendHead(nil, OpRequest, 0, 1, MaxControl), bytes.Repeat([]byte("x"), MaxControl)...)
	for _, step := range []int{1, HeadLen, 100, 4096, 100_000} {
		var r Reader
		for sent := 0; sent < len(in); {
			n := min(step, len(in)-sent)
			got, err := readAll(&r, in[sent:sent+n])
			sent += n
			if err != nil || len(got) > 0 != (sent == len(in)) {
				t.Fatalf("step %d, after %d bytes: %d packets, %v", step, sent, len(got), err)
			}
			if c := cap(r.held); c > max(2*sent, minHeld) || c > HeadLen+MaxControl {
				t.Fatalf("step %d, after %d bytes: memory %d", step, sent, c)
			}
			if sent == len(in) && !bytes.Equal(got[0].Data, in[HeadLen:]) {
				t.Fatalf("step %d: the data differs", step)
			}
		}
		if r.held != nil {
			t.Errorf("step %d: %d bytes are kept", step, cap(r.held))
		}
	}
}

func TestNextWithoutInput(t *testing.T) {
	for _, in := range []string{"", "0000", "00000010\x04\x01\x00\x00\x00\x07", "00000010\x04\x01\x00\x00\x00\x07bo", "00000012\x07\x10\x00\x00\x00\x07\x00"} {
		var r Reader
		if _, err := readAll(&r, []byte(in)); err != nil {
			t.Fatal(err)
		}
		before := r.Idle()
		if p, n, err := r.Next(nil); p.Op != 0 || p.Data != nil || n != 0 || err != nil || r.Idle() != before {
			t.Errorf("after %q: %v, %d, %v", in, p, n, err)
		}
	}
}

func TestOpString(t *testing.T) {
	for _, row := range packetRows[:4] {
		if name, _, _ := strings.Cut(row.name, ","); row.p.Op.String() != name && name != "information" {
			t.Errorf("%d: %v, want %s", row.p.Op, row.p.Op, name)
		}
	}
	if OpPad.String() != "pad" || Op(0).String() != "op 0" || Op(16).String() != "op 16" || Op(255).String() != "op 255" {
		t.Error(OpPad, Op(0), Op(16), Op(255))
	}
}

// checkSplits reads in whole, in steps of every length, and in two parts split at every byte.
func checkSplits(t *testing.T, in []byte, want []Packet, wantErr error) {
	t.Helper()
	check := func(how string, got []Packet, err error) {
		if !errors.Is(err, wantErr) || len(got) != len(want) {
			t.Fatalf("%s: %d packets, %v; want %d, %v", how, len(got), err, len(want), wantErr)
		}
		for i, p := range got {
			if w := want[i]; p.Op != w.Op || p.Flags != w.Flags || p.Stream != w.Stream || !bytes.Equal(p.Data, w.Data) {
				t.Fatalf("%s: packet %d is %v, want %v", how, i, p, w)
			}
		}
	}
	for step := 1; step <= len(in); step++ {
		var r Reader
		got, err := readSteps(&r, in, step)
		check(fmt.Sprintf("in steps of %d", step), got, err)

		r = Reader{}
		got, err = readAll(&r, in[:step])
		if err == nil {
			var more []Packet
			more, err = readAll(&r, in[step:])
			got = join(got, more)
		}
		check(fmt.Sprintf("split at %d", step), got, err)
	}
}

func readSteps(r *Reader, in []byte, step int) (got []Packet, err error) {
	for len(in) > 0 && err == nil {
		n := min(step, len(in))
		var more []Packet
		more, err = readAll(r, in[:n])
		got, in = join(got, more), in[n:]
	}
	return got, err
}

// readAll reads all of in; what it returns aliases nothing.
func readAll(r *Reader, in []byte) (got []Packet, err error) {
	for len(in) > 0 {
		p, n, err := r.Next(in)
		if err != nil {
			return got, err
		}
		if n == 0 {
			panic("nothing is consumed")
		}
		if in = in[n:]; p.Op != 0 {
			p.Data = bytes.Clone(p.Data)
			got = append(got, p)
		}
	}
	return got, nil
}

// join appends more to got, where data that goes on becomes one packet with the data before it.
func join(got, more []Packet) []Packet {
	for _, p := range more {
		if last := len(got) - 1; last >= 0 && p.Op == OpData && got[last].Op == OpData && got[last].Stream == p.Stream &&
			got[last].Flags == p.Flags&^FlagLast && len(p.Data) > 0 {
			got[last].Data, got[last].Flags = append(got[last].Data, p.Data...), p.Flags
			continue
		}
		got = append(got, p)
	}
	return got
}

func TestReaderAllocatesNothing(t *testing.T) {
	batch, body := smallBatch(64), AppendHead(nil, OpData, FlagLast, 7, 64<<10)
	body = append(body, make([]byte, 64<<10)...)
	dst := make([]byte, 0, 1024)
	var r Reader
	rows := []struct {
		name string
		f    func() (packets, size int)
	}{
		{"batch", func() (int, int) { return drain(&r, batch, len(batch)) }},
		{"batch in pieces", func() (int, int) { return drain(&r, batch, 100) }}, // a small packet that is held is not new memory
		{"data in parts", func() (int, int) { return drain(&r, body, 4<<10) }},
		{"write", func() (int, int) {
			dst = AppendHead(dst[:0], OpData, FlagLast, 7, 10)
			dst = AppendUint32(dst, OpCredit, 7, 1)
			dst = AppendReset(dst, 7, FlagUnseen, CodeTimeout, "late")
			dst = AppendStatus(dst, true, "")
			dst = AppendHello(dst, Hello{Version: Version, Window: 1})
			return 0, 0
		}},
	}
	for _, row := range rows {
		row.f()
		if allocs := testing.AllocsPerRun(100, func() { row.f() }); allocs != 0 {
			t.Errorf("%s: %v allocations", row.name, allocs)
		}
	}
}

// smallBatch is what a turn of a busy lane looks like: heads, a little data, credit.
func smallBatch(packets int) []byte {
	var b []byte
	for i := range packets {
		stream := uint32(i)
		switch i % 4 {
		case 0:
			b = Append(b, Packet{OpResponse, FlagChunked, stream, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n")})
		case 3:
			b = AppendUint32(b, OpCredit, stream, 65536)
		default:
			b = Append(b, Packet{OpData, FlagLast, stream, bytes.Repeat([]byte("x"), 100)})
		}
	}
	return b
}

// drain reads in, step bytes at a time, and returns how many packets came and how many bytes of data.
func drain(r *Reader, in []byte, step int) (packets, size int) {
	for len(in) > 0 {
		piece := in[:min(step, len(in))]
		in = in[len(piece):]
		for len(piece) > 0 {
			p, n, err := r.Next(piece)
			if err != nil {
				panic(err)
			}
			if piece = piece[n:]; p.Op != 0 {
				packets, size = packets+1, size+len(p.Data)
			}
		}
	}
	return packets, size
}

func BenchmarkAppendHead(b *testing.B) {
	dst := make([]byte, 0, 64)
	b.SetBytes(HeadLen)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHead(dst[:0], OpData, FlagLast, 7, 65536)
	}
}

func BenchmarkReader(b *testing.B) {
	head := Append(nil, Packet{OpData, FlagLast, 7, nil})
	body := append(AppendHead(nil, OpData, FlagLast, 7, 64<<10), make([]byte, 64<<10)...)
	batch := smallBatch(64)
	for _, row := range []struct {
		name    string
		in      []byte
		step    int
		packets int
	}{
		{"head", head, len(head), 1},
		{"batch=64", batch, len(batch), 64},
		{"batch=64/pieces=1448", batch, 1448, 0},
		{"data=64KiB/parts=4KiB", body, 4 << 10, 17}, // the head takes a little of the first part
	} {
		b.Run(row.name, func(b *testing.B) {
			var r Reader
			b.SetBytes(int64(len(row.in)))
			b.ReportAllocs()
			for b.Loop() {
				if packets, _ := drain(&r, row.in, row.step); row.packets > 0 && packets != row.packets {
					b.Fatal(packets)
				}
			}
		})
	}
}

// TestHeaderIsAFrame holds the layout against package frame: a proxy of frames may carry packets without knowing them.
func TestHeaderIsAFrame(t *testing.T) {
	for _, row := range packetRows {
		size, n, err := frame.ParseHeader([]byte(row.bytes), frame.MaxSize)
		if err != nil || n+size != len(row.bytes) || row.bytes[n] != byte(row.p.Op) || binary.BigEndian.Uint32([]byte(row.bytes[n+2:])) != row.p.Stream {
			t.Errorf("%s: %d, %d, %v", row.name, size, n, err)
		}
	}
}
