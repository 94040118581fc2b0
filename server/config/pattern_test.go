package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMatchPattern(t *testing.T) {
	for _, row := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "x", false},
		{"*", "", true},
		{"*", "CN=a,O=b", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "é", true},
		{"??", "é", false},
		{"*?", "é", true},
		{"CN=a", "CN=a", true},
		{"CN=a", "CN=A", false},
		{"CN=a", "CN=ab", false},
		{"CN=a*", "CN=ab", true},
		{"CN = a , O = b", "CN=a,O=b", true},
		{"CN=a,O=b", "CN = a,\tO\t=  b", true},
		{"CN=a b", "CN=ab", false},
		{"CN=a b", "CN=a b", true},
		{"CN=a  b", "CN=a b", false},
		{" CN=a ", "CN=a", true},
		{`CN = \*.mysap.com, *`, "CN=*.mysap.com, O=SAP, C=DE", true},
		{`CN = \*.mysap.com, *`, "CN=x.mysap.com, O=SAP, C=DE", false},
		{"CN = ca??.mysap.com, *", "CN=ca01.mysap.com, O=SAP", true},
		{"CN = ca??.mysap.com, *", "CN=ca1.mysap.com, O=SAP", false},
		{"CN = ca??.mysap.com, *", "CN=ca01.mysap.com", false},
		{`O=Acme\, Inc`, `O=Acme\, Inc`, true}, // the comma is written so in the text, too
		{"CN=a, *", `CN=a\, b, O=c`, false},
		{`a\\b`, `a\b`, true},
		{`a\\b`, `a\\b`, false},
		{`a\?b`, "a?b", true},
		{`a\?b`, "axb", false},
		{`a\`, `a\`, true},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"ab*ba", "aba", false},
		{"ab*ba", "abba", true},
		{"*ab", "abab", true},
		{"*?b", "b", false},
		{"a*?b", "ab", false},
		{"a*?b", "aéb", true},
		{"*a?c*", "abcabd", true},
		{"a*a?c*d", "aabcxd", true},
		{"?", "\xff", true},
		{"*\x80?", "a\x80b", false}, // a character goes as a whole
		{"**", "a", true},
	} {
		if got := MatchPattern(row.pattern, row.text); got != row.want {
			t.Errorf("%q, %q: got %v", row.pattern, row.text, got)
		}
	}
}

// TestMatchPatternIsFast takes a pattern and a text that a search with returns would not finish with in years.
func TestMatchPatternIsFast(t *testing.T) {
	start := time.Now()
	text := strings.Repeat("a", 64<<10)
	for _, pattern := range []string{strings.Repeat("a*", 1000) + "b", strings.Repeat("*aa", 600) + "b*", strings.Repeat("*a?", 600) + "b*"} {
		if MatchPattern(pattern, text) {
			t.Errorf("%.9s... matches", pattern)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAutoKeys(t *testing.T) {
	key := func(secret string) [32]byte { k, _ := tokenKey(secret); return k }
	for _, row := range []struct {
		config, farm string
		secrets      []string
	}{
		{"", "a", nil},
		{"off", "a", nil},
		{"token:s=1", "a b", []string{"s=1"}},
		{"token:s;t", "a", []string{"s;t"}},
		{"acme.*=s", "acme.web", []string{"s"}},
		{"acme.*=s", "acmeXweb", nil},
		{"acme.* = s ; *web = t=u ;", "acme.web", []string{"s", "t=u"}},
		{"token:sha256:" + strings.Repeat("ab", 32), "a", []string{"sha256:" + strings.Repeat("ab", 32)}},
		{"on", "a", nil}, // refused
	} {
		got := RelayTrust{AutoConfig: row.config}.AutoKeys(row.farm)
		if len(got) != len(row.secrets) {
			t.Errorf("%q: %d keys, want %d", row.config, len(got), len(row.secrets))
			continue
		}
		for i, secret := range row.secrets {
			if got[i] != key(secret) {
				t.Errorf("%q: key %d is not that of %q", row.config, i, secret)
			}
		}
	}
	for _, wrong := range []string{"on", "token:", "=s", "a=", "a=s;;b=t", "token:ä", "token:sha256:12", "***", "x"} {
		if _, want := parseAutoConfig(wrong); want == "" {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

// TestNetworks reads lists of networks; those of IPv4 that are written as of IPv6 are of IPv4.
func TestNetworks(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "192.0.2.1/24": "192.0.2.0/24", "2001:db8::1": "2001:db8::1/128", "::ffff:192.0.2.1": "192.0.2.1/32",
		"::ffff:192.0.2.1/112": "192.0.0.0/16", "::ffff:0:0/96": "0.0.0.0/0", "::/0": "::/0", "::ffff:0:0/80": "::/80",
		"fe80::1%eth0": "", "192.0.2.1/33": "", "192.0.2": "", "": "", "::ffff:192.0.2.1/129": "",
	} {
		var list []netip.Prefix
		text := assignList(reflect.ValueOf(&list).Elem(), []string{in})
		if got := ""; text == "" {
			got = list[0].String()
			if got != want {
				t.Errorf("%q: got %s, want %s", in, got, want)
			}
		} else if want != "" {
			t.Errorf("%q: %s", in, text)
		}
	}
}
