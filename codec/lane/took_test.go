package lane

import (
	"errors"
	"testing"
	"time"

	"roundhouse/codec"
)

func TestTook(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: 0, -time.Second: 0, 1500 * time.Nanosecond: time.Microsecond, time.Second: time.Second, time.Hour: time.Hour, 48 * time.Hour: time.Hour,
	} {
		b := append(AppendTook(nil, given), "head"...)
		if took, head, err := CutTook(OpResponse, b); err != nil || took != want || string(head) != "head" || len(b) != TookLen+len("head") {
			t.Errorf("%v: %v, %q, %v", given, took, head, err)
		}
	}
	for n := range TookLen {
		if _, _, err := CutTook(OpResponse, make([]byte, n)); !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
