package fuzz

import (
	"bytes"
	"encoding/hex"
	"testing"

	"roundhouse/codec/passport"
)

// FuzzPassport: what is read of a passport can stand at the end of a log line, and the case of its digits does not matter.
func FuzzPassport(f *testing.F) {
	b := append([]byte("*TH*\x02\x00\xb9\x89\x0a"), bytes.Repeat([]byte(" "), 140)...)
	b = append(append(b, "a65762116e4e48b6b1fccdc428785d49"...), "*TH*"...)
	f.Add([]byte(hex.EncodeToString(b)))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := passport.Parse(value)
		text := p.Append(nil)
		if err != nil && len(text) > 0 {
			t.Errorf("%q in spite of %v", text, err)
		}
		for _, c := range text {
			if c <= ' ' || c > '~' {
				t.Errorf("%q", text)
			}
		}
		if q, again := passport.Parse(bytes.ToUpper(value)); (again == nil) != (err == nil) || err == nil && q != p {
			t.Errorf("in upper case: %+v, %v", q, again)
		}
	})
}
