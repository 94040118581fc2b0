package lane

import (
	"errors"
	"testing"

	"roundhouse/codec"
)

func TestHello(t *testing.T) {
	for _, row := range []struct {
		name  string
		hello Hello
		bytes string
		err   error
	}{
		{"usual", Hello{1, 3, DefaultWindow, 30000, 65536}, "\x01\x00\x03\x00\x04\x00\x00\x00\x00\x75\x30\x00\x01\x00\x00", nil},
		{"every byte", Hello{1, 0x0203, 0x04050607, 0x08090A0B, 0x0C0D0E0F}, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", nil},
		{"a later version", Hello{255, 0, 1, 0, 0}, "\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", nil},
		{"version 0", Hello{0, 0, 1, 0, 0}, "\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", codec.ErrMalformed},
		{"window 0", Hello{1, 0, 0, 0, 0}, "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", codec.ErrMalformed},
		{"window below the most", Hello{1, 0, MaxWindow - 1, 0, 0}, "\x01\x00\x00\x3f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", nil},
		{"window at the most", Hello{1, 0, MaxWindow, 0, 0}, "\x01\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", nil},
		{"window over the most", Hello{1, 0, MaxWindow + 1, 0, 0}, "\x01\x00\x00\x40\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", codec.ErrMalformed},
		{"highest values", Hello{255, 65535, MaxWindow, 1<<32 - 1, 1<<32 - 1}, "\xff\xff\xff\x40\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			checkData(t, AppendHello(nil, row.hello), OpHello, 0, 0, row.bytes)
			for _, more := range []string{"", "what a later version adds"} {
				got, err := ParseHello([]byte(row.bytes + more))
				if !errors.Is(err, row.err) || err == nil && got != row.hello {
					t.Errorf("ParseHello: %+v, %v; want %+v, %v", got, err, row.hello, row.err)
				}
			}
			for i := range row.bytes {
				if _, err := ParseHello([]byte(row.bytes[:i])); !errors.Is(err, codec.ErrMalformed) {
					t.Errorf("ParseHello of %d bytes: %v", i, err)
				}
			}
		})
	}
}

func TestJunctions(t *testing.T) {
	for bytes, j := range map[string]Junctions{
		"\x00\x00\x00\x00\x00\x00\x00\x00": {}, "\x00\x00\x01\x02\xff\xff\xff\xff": {258, 1<<32 - 1},
	} {
		checkData(t, AppendJunctions(nil, j), OpJunctions, 0, 0, bytes)
		for _, more := range []string{"", "what a later version adds"} {
			if got, err := ParseJunctions([]byte(bytes + more)); got != j || err != nil {
				t.Errorf("ParseJunctions: %+v, %v; want %+v", got, err, j)
			}
		}
		for i := range bytes {
			if _, err := ParseJunctions([]byte(bytes[:i])); !errors.Is(err, codec.ErrMalformed) {
				t.Errorf("ParseJunctions of %d bytes: %v", i, err)
			}
		}
	}
}

func TestReset(t *testing.T) {
	for _, row := range []struct {
		code  Code
		text  string
		flags Flags
		bytes string
	}{
		{CodeCancelled, "", 0, "\x00\x01"},
		{CodeGoingAway, "shutting down", FlagUnseen, "\x00\x08shutting down"},
		{0, "", 0, "\x00\x00"},
		{65535, "\x00é", 255, "\xff\xff\x00é"},
	} {
		checkData(t, AppendReset(nil, 0x01020304, row.flags, row.code, row.text), OpReset, row.flags, 0x01020304, row.bytes)
		if code, text, err := ParseReset([]byte(row.bytes)); code != row.code || string(text) != row.text || err != nil {
			t.Errorf("ParseReset(%q) = %d, %q, %v", row.bytes, code, text, err)
		}
	}
	for _, in := range []string{"", "\x00"} {
		if _, _, err := ParseReset([]byte(in)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("ParseReset(%q): %v", in, err)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, row := range []struct {
		up    bool
		text  string
		bytes string
	}{
		{true, "", "\x01"}, {false, "", "\x00"}, {true, "again", "\x01again"}, {false, "connection refused", "\x00connection refused"},
	} {
		checkData(t, AppendStatus(nil, row.up, row.text), OpStatus, 0, 0, row.bytes)
		if up, text, err := ParseStatus([]byte(row.bytes)); up != row.up || string(text) != row.text || err != nil {
			t.Errorf("ParseStatus(%q) = %v, %q, %v", row.bytes, up, text, err)
		}
	}
	for _, in := range []string{"", "\x02", "\xff", "1 up"} {
		if _, _, err := ParseStatus([]byte(in)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("ParseStatus(%q): %v", in, err)
		}
	}
}

func TestUint32(t *testing.T) {
	for _, row := range []struct {
		v     uint32
		bytes string
	}{
		{0, "\x00\x00\x00\x00"}, {1, "\x00\x00\x00\x01"}, {0x01020304, "\x01\x02\x03\x04"}, {1<<32 - 1, "\xff\xff\xff\xff"},
	} {
		for _, op := range []Op{OpCredit, OpGoaway} {
			checkData(t, AppendUint32(nil, op, 9, row.v), op, 0, 9, row.bytes)
			if v, err := ParseUint32(op, []byte(row.bytes)); v != row.v || err != nil {
				t.Errorf("ParseUint32(%v, %q) = %d, %v", op, row.bytes, v, err)
			}
		}
	}
	for _, in := range []string{"", "1", "12", "123", "12345"} {
		if _, err := ParseUint32(OpCredit, []byte(in)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("ParseUint32(%q): %v", in, err)
		}
	}
}

// checkData wants in to be one packet.
func checkData(t *testing.T, in []byte, op Op, flags Flags, stream uint32, data string) {
	t.Helper()
	checkSplits(t, in, []Packet{{op, flags, stream, []byte(data)}}, nil)
}

func TestSocket(t *testing.T) {
	want := Socket{Epoch: 0xfffffffe, Number: 7}
	b := append(AppendSocket(nil, want), "GET"...)
	got, head, err := CutSocket(OpRequest, b)
	if got != want || string(head) != "GET" || err != nil {
		t.Errorf("got %v, head %q, error %v", got, head, err)
	}
	for n := range SocketLen {
		if _, _, err := CutSocket(OpRequest, b[:n]); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%d bytes: error %v, want %v", n, err, codec.ErrMalformed)
		}
	}
}
