package http1

import (
	"net/netip"
	"testing"
)

func TestAuthority(t *testing.T) {
	for _, row := range []struct {
		in   string
		want bool
	}{
		{"h", true}, {"a.b-c_d~e", true}, {"1.2.3.4:80", true}, {"h:0", true}, {"h:65535", true}, {"a!$&'()*+;=b", true},
		{"[::]", true}, {"[::1]:8080", true}, {"[2001:db8::1]", true}, {"[1:2:3:4:5:6:7:8]", true}, {"[::ffff:1.2.3.4]", true},
		{"[1:2:3:4:5:6:7::]", true}, {"[1:2:3:4:5:6:1.2.3.4]", true},
		{"", false}, {":80", false}, {"h:", false}, {"h:65536", false}, {"h:000080", false}, {"h:8a", false}, {"h:+8", false},
		{"a,b", false}, {"a b", false}, {"a\tb", false}, {"u@h", false}, {"h/", false}, {"h?", false}, {"h#", false}, {"h%41", false},
		{"a\"b", false}, {"a\\b", false}, {"\xe4", false}, {"h:80:80", false}, {"::1", false}, {"a[", false},
		{"[::1", false}, {"::1]", false}, {"[]", false}, {"[:]", false}, {"[:::]", false}, {"[1::2::3]", false}, {"[12345::]", false},
		{"[1:2:3:4:5:6:7:8:9]", false}, {"[1:2:3:4:5:6:7]", false}, {"[::1%25eth0]", false}, {"[v1.a]", false}, {"[1.2.3.4]", false},
		{"[::1]a", false}, {"[::1]:", false}, {"[::g]", false}, {"[1:2:3:4:5:6:7:8::]", false}, {"[::01.2.3.4]", false}, {"[::1.2.3]", false},
		{"[::1.2.3.256]", false}, {"[1.2.3.4::]", false}, {"[1:]", false}, {"[1:2:3:4:5:6:7:]", false},
	} {
		if got := validAuthority([]byte(row.in)); got != row.want {
			t.Errorf("%q: %v, want %v", row.in, got, row.want)
		}
	}
}

// TestIPv6Enumerated compares with net/netip for every short string over the characters that matter.
func TestIPv6Enumerated(t *testing.T) {
	const alphabet = "1f:."
	var walk func(prefix string, more int)
	walk = func(prefix string, more int) {
		addr, err := netip.ParseAddr(prefix)
		if want := err == nil && addr.Is6(); validIPv6([]byte(prefix)) != want {
			t.Errorf("%q: want %v", prefix, want)
		}
		if more > 0 {
			for _, c := range alphabet {
				walk(prefix+string(c), more-1)
			}
		}
	}
	for _, start := range []string{"", "1:2:3:4:5:6", "::1.2.3", "1::1.2", "1:2:3:4:5:", "1:2:3:4:5:6:1.2"} {
		walk(start, 7)
	}
}
