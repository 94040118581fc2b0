package subject

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestFromNATS(t *testing.T) {
	deep := strings.Repeat("a.", 2000) + "a"
	for _, r := range []struct{ subject, literal, pattern string }{
		{"a", "/a", "/a"},
		{"a.b", "/a/b", "/a/b"},
		{"a.*", "/a/%2A", "/a/*"},
		{"a.>", "/a/%3E", "/a/*/..."},
		{">", "/%3E", "/*/..."},
		{"*", "/%2A", "/*"},
		{"a.*.>", "/a/%2A/%3E", "/a/*/*/..."},
		{">.a", "/%3E/a", "/%3E/a"},
		{"a*.b>", "/a%2A/b%3E", "/a%2A/b%3E"},
		{"a/b", "/a%2Fb", "/a%2Fb"},
		{"50%", "/50%25", "/50%25"},
		{"%2E", "/.", "/."},
		{"_host%2Edomain_17", "/_host.domain_17", "/_host.domain_17"},
		{"a%20b", "/a b", "/a b"},
		{"a%3Eb", "/a>b", "/a>b"},
		{"%2E%2E", "/..", "/.."},
		{"%2E%2E%2E", "/%252E%252E%252E", "/%252E%252E%252E"}, // never a wildcard
		{"%2e", "/%252e", "/%252e"},
		{"50%25", "/50%", "/50%"},
		{"%252F", "/%25252F", "/%25252F"},
		{"%2F", "/%252F", "/%252F"},
		{"%", "/%25", "/%25"},
		{"a\x01\x7f", "/a%01%7F", "/a%01%7F"},
		{"größe", "/größe", "/größe"},
		{"gr\xf6\xdfe", "/gr%F6%DFe", "/gr%F6%DFe"},
		{"\uFFFD", "/\uFFFD", "/\uFFFD"},
		{"a\u00a0b", "/a\u00a0b", "/a\u00a0b"},
		{deep, "/" + strings.ReplaceAll(deep, ".", "/"), "/" + strings.ReplaceAll(deep, ".", "/")},
	} {
		for pattern, want := range map[bool]string{false: r.literal, true: r.pattern} {
			got, err := FromNATS([]byte("kept"), []byte(r.subject), pattern)
			if err != nil || string(got) != "kept"+want {
				t.Errorf("%.40q: %.40q, %v; want %.40q", r.subject, got, err, want)
			}
			if back := string(ToNATS([]byte("kept"), []byte(want))); back != "kept"+r.subject {
				t.Errorf("%.40q comes back as %.40q", want, back)
			}
		}
	}
}

func TestFromNATSRefuses(t *testing.T) {
	for subject, want := range map[string]error{
		"": ErrEmptyToken, ".": ErrEmptyToken, "a.": ErrEmptyToken, ".a": ErrEmptyToken, "a..b": ErrEmptyToken,
		"a b": ErrName, "\t": ErrName, "a\r": ErrName, "a.\n": ErrName,
	} {
		if got, err := FromNATS([]byte("kept"), []byte(subject), true); !errors.Is(err, want) || string(got) != "kept" {
			t.Errorf("%q: %q, %v", subject, got, err)
		}
	}
}

// TestToNATS has the names that no NATS client makes. back is what comes back when it is not the name itself.
func TestToNATS(t *testing.T) {
	for _, r := range []struct{ name, want, back string }{
		{"/_host.domain_17", "_host%2Edomain_17", ""},
		{"/a b", "a%20b", ""},
		{"/a>b/>", "a%3Eb.%3E", ""},
		{"/50%", "50%25", ""},
		{"/50%/2", "50%25.2", ""},
		{"/%41%2", "%2541%252", ""},
		{"/%2e", "%252e", ""},
		{"/%09", "%2509", ""}, // NATS cannot carry a tab
		{"/%2F.", "/%2E", ""},
		{"/....", "%2E%2E%2E%2E", ""},
		{"/a*b", "a*b", "/a%2Ab"},
		{"/...", ">", "/%3E"},
		{"/*/...", ">", "/%3E"},
		{"/x*/...", "x*.%2E%2E%2E", "/x%2A/%252E%252E%252E"},
		{"/a/.../b", "a.%2E%2E%2E.b", "/a/%252E%252E%252E/b"},
		{"/%252E", "%2E", "/."}, // FromNATS never makes this escape
		{"/%C3%B6", "ö", "/ö"},  // nor this
	} {
		got := string(ToNATS(nil, []byte(r.name)))
		if got != r.want {
			t.Errorf("%s: %q, want %q", r.name, got, r.want)
		}
		want := r.back
		if want == "" {
			want = r.name
		}
		if back, err := FromNATS(nil, []byte(got), false); err != nil || string(back) != want {
			t.Errorf("%s comes back as %s, %v", r.name, back, err)
		}
	}
}

func TestNATSBothWays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	parts := []string{
		"%", "25", "2E", "2", "E", "%25", "%2E", "%3E", "%2F", "%C3", "%B6",
		"a", ".", ">", "*", "/", "\xc3", "\xb6", "ö", "\x01", "%09", " ",
	}
	text := func() string {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	for range 50_000 {
		subject, pattern := text(), random.IntN(2) == 0
		name, err := FromNATS(nil, []byte(subject), pattern)
		if err != nil {
			continue
		}
		if !IsCanonical(name) || IsWild(string(name)) && !pattern {
			t.Fatalf("%q is %q", subject, name)
		}
		if back := string(ToNATS(nil, name)); back != subject {
			t.Fatalf("%q is %q, and back %q", subject, name, back)
		}
	}
	never := []string{"%252E", "%2520", "%253E", "%2525", "%C3", "%B6"} // escapes that FromNATS never makes
	for range 50_000 {
		name := "/" + text()
		if !IsCanonical([]byte(name)) || IsWild(name) || containsAny(name, never) {
			continue
		}
		subject := ToNATS(nil, []byte(name))
		if back, err := FromNATS(nil, subject, false); err != nil || string(back) != name {
			t.Fatalf("%q is %q, and back %q, %v", name, subject, back, err)
		}
	}
}

func containsAny(s string, list []string) bool {
	for _, e := range list {
		if strings.Contains(s, e) {
			return true
		}
	}
	return false
}

// TestNATSPatterns has what a subscription of NATS means when it is one of ours.
func TestNATSPatterns(t *testing.T) {
	for _, r := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.*", "a.b", true},
		{"a.*", "a", false},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{">", "a", true},
		{"a.b*", "a.bc", false}, // a `*` beside others is a character
		{"a.b*", "a.b*", true},
		{"a.*", "a.*", true},
		{"a.b", "a.*", false}, // what is published has no wildcards
	} {
		pattern, _ := FromNATS(nil, []byte(r.pattern), true)
		name, _ := FromNATS(nil, []byte(r.subject), false)
		if got := Matches(string(pattern), string(name)); got != r.want {
			t.Errorf("%s, %s: %v", r.pattern, r.subject, got)
		}
	}
}
