package fuzz

import (
	"errors"
	"strings"
	"testing"

	"roundhouse/codec"
	"roundhouse/codec/proxyheader"
)

// FuzzProxyHeader parses a header when all of it has come, and every part of it: a part needs more, or has the error of the whole. What
// is taken is written in both versions, and means the same.
func FuzzProxyHeader(f *testing.F) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	for _, in := range []string{
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 65535\r\n", "PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", proxyheader.MaxV1), "PROXY TCP4 1.2.3.4 1.2.3.4 65536 0\r\n", "PROXY\n",
		signature + "\x21\x11\x00\x0C\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB", signature + "\x20\x00\x00\x00", signature + "\x21\x31\x00\xD8",
		signature + "\x21\x00\x00\x05\x04\x00\x02xx", signature + "\x20\x00\xFF\xFF", "GET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := proxyheader.Parse(in)
		switch {
		case err != nil && !errors.Is(err, codec.ErrMalformed) && !errors.Is(err, codec.ErrTooLarge):
			t.Fatalf("%q: an error of no kind: %v", in, err)
		case (err != nil || n == 0) && (n != 0 || h != proxyheader.Header{}):
			t.Fatalf("%q: %v, %d with %v", in, h, n, err)
		case err == nil && n == 0 && len(in) >= proxyheader.MaxV2:
			t.Fatalf("%d bytes, and more are needed", len(in))
		case n > len(in) || h.Source.IsValid() != h.Destination.IsValid():
			t.Fatalf("%q: %v, %d", in, h, n)
		}
		for i := range min(len(in), proxyheader.MaxV2+1) {
			part, m, partErr := proxyheader.Parse(in[:i])
			switch {
			case n > 0 && i >= n && (part != h || m != n || partErr != nil):
				t.Fatalf("%q of %q: %v, %d, %v; the whole: %v, %d", in[:i], in, part, m, partErr, h, n)
			case (n == 0 || i < n) && (m != 0 || partErr != nil && (err == nil || partErr.Error() != err.Error())):
				t.Fatalf("%q of %q: %v, %d, %v; the whole: %v", in[:i], in, part, m, partErr, err)
			}
		}
		if n == 0 {
			return
		}
		for _, out := range [][]byte{proxyheader.AppendV1(nil, h), proxyheader.AppendV2(nil, h)} {
			if again, m, err := proxyheader.Parse(out); again != h || m != len(out) || err != nil {
				t.Fatalf("%v is written as %q: %v, %d, %v", h, out, again, m, err)
			}
		}
	})
}
