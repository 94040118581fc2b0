package fuzz

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// FuzzFrameHeader holds both header parsers against strconv, and what they take against AppendHeader.
func FuzzFrameHeader(f *testing.F) {
	for _, h := range []string{"00000042payload", "99999999", "      42", "42\x00\x00\x00\x00\x00\x00", "-0000001", "0x000010", "1_000_00", "0000001"} {
		f.Add([]byte(h), 100)
		f.Add([]byte(h), frame.MaxSize)
	}
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		size, n, err := frame.ParseHeader(in, limit)
		checkFrameHeader(t, in, limit, "", size, n, err)
		if n > 0 {
			if out := frame.AppendHeader(nil, size); !bytes.Equal(out, in[:n]) {
				t.Errorf("%q is written as %q", in[:n], out)
			}
		}
		size, n, err = frame.ParsePadded(in, limit)
		checkFrameHeader(t, in, limit, " \x00", size, n, err)
	})
}

// checkFrameHeader works out with strconv what the header at the front of in is, when any of pad may stand around its digits.
func checkFrameHeader(t *testing.T, in []byte, limit int, pad string, size, n int, err error) {
	t.Helper()
	if len(in) < frame.HeaderLen {
		if size != 0 || n != 0 || err != nil {
			t.Errorf("%q: %d, %d, %v; want that more is needed", in, size, n, err)
		}
		return
	}
	want, wantErr := strconv.ParseUint(string(bytes.Trim(in[:frame.HeaderLen], pad)), 10, 32)
	switch {
	case wantErr != nil:
		wantErr = codec.ErrMalformed
	case int(want) > limit:
		wantErr = codec.ErrTooLarge
	default:
		if size != int(want) || n != frame.HeaderLen || err != nil {
			t.Errorf("%q, limit %d: %d, %d, %v; want %d", in, limit, size, n, err, want)
		}
		return
	}
	if size != 0 || n != 0 || !errors.Is(err, wantErr) {
		t.Errorf("%q, limit %d: %d, %d, %v; want %v", in, limit, size, n, err, wantErr)
	}
}
