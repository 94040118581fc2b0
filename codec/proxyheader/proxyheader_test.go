package proxyheader

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"roundhouse/codec"
)

func addr(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

const (
	sig   = "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
	v4    = "\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB"
	from  = "192.0.2.1:56324"
	to    = "198.51.100.7:443"
	long6 = "ffff:f00f:ffff:ffff:ffff:ffff:ffff:ffff"
)

var (
	zero8 = strings.Repeat("\x00", 8)
	v6    = "\x20\x01\x0d\xb8" + zero8 + "\x00\x00\x00\x01" + "\x20\x01\x0d\xb8" + zero8 + "\x00\x00\x00\x02" + "\xDC\x04\x01\xBB"
)

// rows are read; those that are the canonical form are written as well, which is what append says.
var rows = []struct {
	name, bytes string
	source      string
	destination string
	append      func([]byte, Header) []byte
	err         error
}{
	// Vectors of the specification, section 2.1.
	{"v1 TCP4, longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535", AppendV1, nil},
	{"v1 TCP6, longest", "PROXY TCP6 " + long6 + " " + long6 + " 65535 65535\r\n", "[" + long6 + "]:65535", "[" + long6 + "]:65535", AppendV1, nil},
	{"v1 unknown, longest", "PROXY UNKNOWN " + long6 + " " + long6 + " 65535 65535\r\n", "", "", nil, nil},
	{"v1 unknown, short", "PROXY UNKNOWN\r\n", "", "", AppendV1, nil},
	{"v1 example", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443", AppendV1, nil},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 0\r\n", "[2001:db8::1]:1", "[2001:db8::2]:0", AppendV1, nil},
	{"v1 TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", "192.0.2.1:1", "[2001:db8::2]:2", AppendV1, nil},
	{"v1 unknown with anything", "PROXY UNKNOWN what \x01 ever\r\n", "", "", nil, nil},

	{"v1 bare LF", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "", "", nil, codec.ErrMalformed},
	{"v1 LF at once", "PROXY \n", "", "", nil, codec.ErrMalformed},
	{"v1 CR in it", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", MaxV1-len("PROXY UNKNOWN \r\n")+1) + "\r\n", "", "", nil, codec.ErrTooLarge},
	{"v1 at its limit", "PROXY UNKNOWN " + strings.Repeat("x", MaxV1-len("PROXY UNKNOWN \r\n")) + "\r\n", "", "", nil, nil},
	{"v1 lower case", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 lower family", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 unknown glued", "PROXY UNKNOWNS\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 nothing", "PROXY \r\n", "", "", nil, codec.ErrMalformed},
	{"v1 two blanks", "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 tab", "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 blank behind", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "", "", nil, codec.ErrMalformed},
	{"v1 one word more", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 one word less", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 no port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", "", "", nil, codec.ErrMalformed},
	{"v1 family of the other", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 families mixed", "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 leading zero in the address", "PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 short address", "PROXY TCP4 192.1 192.0.2.2 1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 port above", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 port of six digits", "PROXY TCP4 192.0.2.1 192.0.2.2 100000 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 port with a zero", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 port with a sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "", "", nil, codec.ErrMalformed},
	{"v1 port in hexadecimal", "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2\r\n", "", "", nil, codec.ErrMalformed},

	{"v2 TCP4", sig + "\x21\x11\x00\x0C" + v4, from, to, AppendV2, nil},
	{"v2 TCP6", sig + "\x21\x21\x00\x24" + v6, "[2001:db8::1]:56324", "[2001:db8::2]:443", AppendV2, nil},
	{"v2 LOCAL", sig + "\x20\x00\x00\x00", "", "", AppendV2, nil},
	{"v2 LOCAL with addresses", sig + "\x20\x11\x00\x0C" + v4, "", "", nil, nil},
	{"v2 LOCAL of a family that nobody knows", sig + "\x20\xFF\x00\x02xx", "", "", nil, nil},
	{"v2 unspecified", sig + "\x21\x00\x00\x00", "", "", nil, nil},
	{"v2 unspecified with a TLV", sig + "\x21\x00\x00\x05\x04\x00\x02xx", "", "", nil, nil},
	{"v2 Unix", sig + "\x21\x31\x00\xD8" + strings.Repeat("/", 216), "", "", nil, nil},
	{"v2 TLVs", sig + "\x21\x11\x00\x17" + v4 + "\x04\x00\x00" + "\x02\x00\x05host!", from, to, nil, nil},
	{"v2 at its limit", sig + "\x21\x11\x02\x18" + v4 + "\x04\x02\x09" + strings.Repeat("x", 521), from, to, nil, nil},

	{"v2 too long", sig + "\x21\x11\x02\x19", "", "", nil, codec.ErrTooLarge},
	{"v2 as long as it can say", sig + "\x20\x00\xFF\xFF", "", "", nil, codec.ErrTooLarge},
	{"v2 of version 1", sig + "\x11\x11\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 of version 3", sig + "\x31\x11\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 of another command", sig + "\x22\x11\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 UDP", sig + "\x21\x12\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 of another family", sig + "\x21\x41\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 of half a family", sig + "\x21\x10\x00\x0C" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 short for TCP4", sig + "\x21\x11\x00\x0B" + v4, "", "", nil, codec.ErrMalformed},
	{"v2 short for TCP6", sig + "\x21\x21\x00\x23" + v6, "", "", nil, codec.ErrMalformed},
	{"v2 short for Unix", sig + "\x21\x31\x00\xD7", "", "", nil, codec.ErrMalformed},
	{"v2 a TLV cut in its head", sig + "\x21\x11\x00\x0E" + v4 + "\x04\x00", "", "", nil, codec.ErrMalformed},
	{"v2 a TLV cut in its value", sig + "\x21\x11\x00\x10" + v4 + "\x04\x00\x02x", "", "", nil, codec.ErrMalformed},

	{"HTTP", "GET / HTTP/1.1\r\n\r\n", "", "", nil, codec.ErrMalformed},
	{"a method like it", "PROXYFIND / HTTP/1.1\r\n\r\n", "", "", nil, codec.ErrMalformed},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01", "", "", nil, codec.ErrMalformed},
	{"empty lines", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", "", nil, codec.ErrMalformed},
}

func TestParse(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			want := Header{addr(row.source), addr(row.destination)}
			for _, behind := range []string{"", "GET / HTTP/1.1\r\n", "\x16\x03\x01", "\n"} {
				in := []byte(row.bytes + behind)
				h, n, err := Parse(in)
				wantN := len(row.bytes)
				if row.err != nil {
					wantN = 0
				}
				if h != want || n != wantN || !errors.Is(err, row.err) {
					t.Fatalf("%q: %v, %d, %v; want %v, %d, %v", in, h, n, err, want, wantN, row.err)
				}
			}
			checkSplit(t, row.bytes, row.err)
			if row.append != nil {
				if got := string(row.append([]byte("x"), want)); got != "x"+row.bytes {
					t.Errorf("written: %q, want x%q", got, row.bytes)
				}
			}
		})
	}
}

// checkSplit parses every truncation: it needs more, or has the error of the whole.
func checkSplit(t *testing.T, whole string, want error) {
	t.Helper()
	for i := range whole {
		h, n, err := Parse([]byte(whole[:i]))
		if h != (Header{}) || n != 0 || err != nil && (want == nil || !errors.Is(err, want)) {
			t.Fatalf("%q: %v, %d, %v", whole[:i], h, n, err)
		}
	}
}

// TestEarly finds out at the first byte that differs who is no proxy: it is not waited for the rest.
func TestEarly(t *testing.T) {
	for _, in := range []string{"G", "PROXx", "PROXYF", "\x16", "\r\nG", sig[:11] + "x", sig + "\x10", sig + "\x21\x55"} {
		if _, n, err := Parse([]byte(in)); n != 0 || !errors.Is(err, codec.ErrMalformed) {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
}

func TestAppendMixed(t *testing.T) {
	rows := []struct{ name, source, destination, line string }{
		{"mapped", "[::ffff:192.0.2.1]:5", "192.0.2.2:6", "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n"},
		{"both families", "192.0.2.1:5", "[2001:db8::2]:6", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5 6\r\n"},
		{"zone", "[fe80::1%eth0]:5", "[fe80::2]:6", "PROXY TCP6 fe80::1 fe80::2 5 6\r\n"},
		{"no source", "", "[fe80::2]:6", "PROXY UNKNOWN\r\n"},
		{"no destination", "192.0.2.1:5", "", "PROXY UNKNOWN\r\n"},
	}
	for _, row := range rows {
		h := Header{addr(row.source), addr(row.destination)}
		line := AppendV1(nil, h)
		if string(line) != row.line {
			t.Errorf("%s: %q, want %q", row.name, line, row.line)
		}
		one, n1, err1 := Parse(line)
		two, n2, err2 := Parse(AppendV2(nil, h))
		if err1 != nil || err2 != nil || n1 == 0 || n2 == 0 || one != two {
			t.Errorf("%s: version 1 says %v (%v), version 2 %v (%v)", row.name, one, err1, two, err2)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string][]byte{
		"v1": []byte("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "v2": []byte(sig + "\x21\x11\x00\x0C" + v4),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, n, _ := Parse(in); n == 0 {
					b.Fatal("not parsed")
				}
			}
		})
	}
}
