package subject

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// meets is the rule of the specification, word by word: the reference for everything else. a and b are lists of components.
func meets(a, b []string) bool {
	known := map[[2]int]bool{}
	var rule func(i, j int) bool
	rule = func(i, j int) (ok bool) {
		if ok, done := known[[2]int{i, j}]; done {
			return ok
		}
		defer func() { known[[2]int{i, j}] = ok }()
		switch {
		case i == len(a) && j == len(b):
			return true
		case i < len(a) && a[i] == dots:
			return rule(i+1, j) || j < len(b) && rule(i, j+1)
		case j < len(b) && b[j] == dots:
			return rule(i, j+1) || i < len(a) && rule(i+1, j)
		}
		return i < len(a) && j < len(b) && globsMeet(a[i], b[j]) && rule(i+1, j+1)
	}
	return rule(0, 0)
}

// globsMeet is the same rule for bytes.
func globsMeet(a, b string) bool {
	switch {
	case a == "" && b == "":
		return true
	case a != "" && a[0] == '*':
		return globsMeet(a[1:], b) || b != "" && globsMeet(a, b[1:])
	case b != "" && b[0] == '*':
		return globsMeet(a, b[1:]) || a != "" && globsMeet(a[1:], b)
	}
	return a != "" && b != "" && a[0] == b[0] && globsMeet(a[1:], b[1:])
}

func reference(pattern, name string) bool {
	return meets(strings.Split(pattern[1:], "/"), strings.Split(name[1:], "/"))
}

// rows are the cases of the wildcard rules: pattern, name, whether they match.
var rows = []struct {
	pattern, name string
	want          bool
}{
	{"/eps", "/eps", true},
	{"/eps", "/Eps", false},
	{"/eps", "/eps/a", false},
	{"/a/eps", "/eps", false},
	// `*` inside a component
	{"/foo/b*/baz", "/foo/bar/baz", true},
	{"/foo/b*/baz", "/foo/box/baz", true},
	{"/foo/b*/baz", "/foo/b/baz", true}, // zero bytes
	{"/foo/b*/baz", "/foo/car/baz", false},
	{"/foo/b*/baz", "/foo/bar", false},
	{"/foo/b*/baz", "/foo/bar/x/baz", false},
	{"/foo/bar*", "/foo/bar", true},
	{"/foo/bar*", "/foo/barn", true},
	{"/foo/bar*", "/foo/bar/n", false},
	{"/foo/*r*n", "/foo/barn", true},
	{"/foo/*r*n", "/foo/rn", true},
	{"/foo/*r*n", "/foo/nr", false},
	{"/ab*ba", "/aba", false}, // both ends need their bytes
	{"/ab*ba", "/abba", true},
	{"/*a*", "/bab", true},
	{"/**", "/x", true},
	// a lone `*` is one existing component
	{"/*", "/a", true},
	{"/*", "/a/b", false},
	{"/a/*", "/a", false},
	{"/a/*", "/a/b", true},
	{"/*/b", "/a/b", true},
	{"/*/b", "/b", false},
	// `...` is zero or more components
	{"/...", "/a", true},
	{"/...", "/a/b/c", true},
	{"/a/...", "/a", true},
	{"/a/...", "/a/b", true},
	{"/a/...", "/a/b/c", true},
	{"/a/...", "/ab", false},
	{"/a/...", "/b/a", false},
	{"/control/...", "/control/x", true},
	{"/.../ibm", "/ibm", true},
	{"/.../ibm", "/nyse/us/ibm", true},
	{"/.../ibm", "/nyse/ibm/x", false},
	{"/a/.../z*", "/a/z", true},
	{"/a/.../z*", "/a/b/c/zoo", true},
	{"/a/.../z*", "/a/b/c/oz", false},
	{"/a/.../b/.../c", "/a/b/c", true},
	{"/a/.../b/.../c", "/a/x/b/y/b/c", true},
	{"/a/.../b/.../c", "/a/x/c", false},
	{"/a/.../*/...", "/a", false},
	{"/a/.../*/...", "/a/b", true},
	{"/.../...", "/a", true},
	// dots are literal unless they are all of a component, and three
	{"/a...b", "/a...b", true},
	{"/a...b", "/axb", false},
	{"/..", "/a", false},
	{"/....", "/a", false},
	// names with wildcards
	{"/a/b", "/a/*", true},
	{"/a/...", "/a/*", true},
	{"/x", "/a/*", false},
	{"/a", "/a/*", false},
	{"/a/b/c", "/a/*", false},
	{"/a", "/a/...", true},
	{"/*", "/...", true},
	{"/a*", "/*b", true},
	{"/a*", "/b*", false},
	{"/ab*", "/a*", true},
	{"/*ab", "/*b", true},
	{"/*ab", "/*ac", false},
	{"/a*a", "/a", false},
	{"/a/.../c", "/.../b/...", true},
	{"/a/.../c", "/b/...", false},
	{"/a/.../c", "/.../d", false},
	{"/.../a", "/.../a/b", false},
	{"/a/...", "/b*/...", false},
}

func TestMatches(t *testing.T) {
	for _, r := range rows {
		if !IsCanonical([]byte(r.pattern)) || !IsCanonical([]byte(r.name)) {
			t.Errorf("%s, %s: not canonical", r.pattern, r.name)
		}
		if reference(r.pattern, r.name) != r.want {
			t.Errorf("the reference says %v for %s and %s", !r.want, r.pattern, r.name)
		}
		for _, pair := range [][2]string{{r.pattern, r.name}, {r.name, r.pattern}} { // the rule is symmetric
			if got := Matches(pair[0], pair[1]); got != r.want {
				t.Errorf("Matches(%s, %s) is %v", pair[0], pair[1], got)
			}
			var table Table[id]
			table.Add(pair[0], 1)
			if got := table.Snapshot().Append(nil, pair[1]); (len(got) == 1) != r.want {
				t.Errorf("a table with %s has %v for %s", pair[0], got, pair[1])
			}
		}
	}
}

func TestMatchesAsReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		a, b := randomName(random, 5, random.IntN(2) == 0), randomName(random, 5, random.IntN(2) == 0)
		if got, want := Matches(a, b), reference(a, b); got != want {
			t.Fatalf("Matches(%s, %s) is %v", a, b, got)
		}
	}
}

// randomName returns a name of few different components, so that many names match each other.
func randomName(random *rand.Rand, depth int, wild bool) string {
	literals := []string{"a", "b", "ab", "aab", "ba", "..", "....", "a...b", "abc"}
	wilds := []string{"*", "*", dots, dots, "a*", "*b", "a*b", "*a*", "a*b*", "**", "*aa*b"}
	var name strings.Builder
	for range 1 + random.IntN(depth) {
		name.WriteByte('/')
		if wild && random.IntN(5) < 2 {
			name.WriteString(wilds[random.IntN(len(wilds))])
		} else {
			name.WriteString(literals[random.IntN(len(literals))])
		}
	}
	return name.String()
}
