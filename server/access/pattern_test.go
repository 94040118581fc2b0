package access

import (
	"math/rand/v2"
	"strings"
	"testing"

	"roundhouse/routing/subject"
)

func mustPattern(t testing.TB, text string) *pattern {
	t.Helper()
	p, err := parsePattern(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return p
}

func TestCovers(t *testing.T) {
	for _, row := range []struct {
		pattern, subject string
		want             bool
	}{
		// without wildcards in the subject
		{"/a", "/a", true}, {"/a", "/b", false}, {"/a", "/a/b", false}, {"a", "/a", true}, {"/a/", "/a", true},
		{"/a/...", "/a", true}, {"/a/...", "/a/b/c", true}, {"/a/...", "/ab", false}, {"/...", "/a", true},
		{"/*", "/a", true}, {"/*", "/a/b", false}, {"/a/*", "/a", false},
		{"/foo/b*/baz", "/foo/bar/baz", true}, {"/foo/b*/baz", "/foo/b/baz", true}, {"/foo/b*/baz", "/foo/car/baz", false},
		{"/.../ibm", "/ibm", true}, {"/.../ibm", "/x/y/ibm", true}, {"/.../ibm", "/x/y/ibm/z", false},
		{"/a/.../z*", "/a/zoo", true}, {"/a/.../z*", "/a/b/c/z", true}, {"/a/.../z*", "/a/b", false},
		{"/*a*b*", "/xaybz", true}, {"/*a*b*", "/xbya", false}, {"/**", "/x", true},
		{"/a...", "/a...", true}, {"/a...", "/ab", false}, {"/a.../*", "/a.../b", true},
		{"/*/...", "/a", true}, {"/a/*/...", "/a", false}, {"/a/*/...", "/a/b/c", true}, {"/a/.../*", "/a/b", true},
		// with
		{"/a/...", "/a/b*/...", true}, {"/a/...", "/a/...", true}, {"/a/...", "/a/*", true}, {"/a/...", "/...", false},
		{"/a/...", "/*/a", false}, {"/a/...", "/a*/b", false}, {"/...", "/...", true}, {"/...", "/*", true},
		{"/*", "/*", true}, {"/*", "/a*", true}, {"/*", "/**", true}, {"/*", "/...", false}, {"/a*", "/*", false},
		{"/a*", "/ab*", true}, {"/a*b", "/a*cb", true}, {"/a*b", "/ac*b", true}, {"/a*b", "/a*", false}, {"/ab*", "/a*b", false},
		{"/*/...", "/...", true}, {"/a/*/...", "/a/...", false}, {"/a/*/...", "/a/*/...", true}, {"/a/*/...", "/a/.../b", true},
		{"/a/.../*", "/a/*/...", true}, {"/a/*/...", "/a/.../*", true}, {"/.../...", "/...", true}, {"/a/.../b", "/a/.../b", true},
		{"/a/.../b", "/a/*/b", true}, {"/a/.../b", "/a/.../*", false}, {"/.../b/...", "/a/*/b/c*", true}, {"/a/*/*/...", "/a/*/...", false},
		{"/a", "/a*", false}, {"/a", "/...", false},
		// no names
		{"/*", "/", false}, {"/*/*", "/a/", false}, {"/*/a", "//a", false},
	} {
		if got := mustPattern(t, row.pattern).covers(row.subject); got != row.want {
			t.Errorf("%s covers %s: %v", row.pattern, row.subject, got)
		}
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for _, text := range []string{"", "/", "//", "/a//b", "/a\n", "/\xff", "/" + strings.Repeat("a", 256), strings.Repeat("/a", 64),
		strings.Repeat("/abcdefg", 128)} {
		if p, err := parsePattern(text); err == nil {
			t.Errorf("%.20q: accepted as %+v", text, p)
		}
	}
	longest := strings.Repeat("/a", 63)
	if p := mustPattern(t, longest[:len(longest)-1]+"*"); !p.covers(longest) || p.covers(longest[2:]) {
		t.Error("the longest pattern")
	}
}

// What covers says holds for every name, and is all that could be said where "..." comes last only.
func TestCoversProperty(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	subjects := func() string {
		parts := []string{"a", "b", "ab", "*", "a*", "*b", "a*b", "*a*", "...", "..."}
		var b strings.Builder
		for range 1 + random.IntN(3) {
			b.WriteString("/" + parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	names := namesOf([]string{"a", "b", "ab", "aab", "xa", "x", "axb"}, 5)
	plain := func(s string) bool { return !strings.Contains(strings.TrimSuffix(s, "/..."), "...") }
	for range 250 {
		p, s := mustPattern(t, subjects()), subjects()
		got, all := p.covers(s), true
		for _, name := range names {
			matches := subject.Matches(p.text, name)
			if p.covers(name) != matches {
				t.Fatalf("%s covers %s: not %v", p.text, name, matches)
			}
			if !matches && subject.Matches(s, name) {
				if all = false; got {
					t.Fatalf("%s covers %s, but not %s", p.text, s, name)
				}
			}
		}
		if all && !got && plain(p.text) && plain(s) {
			t.Errorf("%s does not cover %s, which has no other names", p.text, s)
		}
	}
}

// namesOf returns all names of up to depth components, short ones first, but no more than some thousands.
func namesOf(components []string, depth int) []string {
	var all []string
	level := []string{""}
	for range depth {
		var next []string
		for _, start := range level {
			for _, c := range components {
				next = append(next, start+"/"+c)
			}
		}
		level = next
		all = append(all, next...)
		if len(all) > 1500 {
			break
		}
	}
	return all
}
