package subject

import (
	"errors"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	deep, long := strings.Repeat("/a", MaxComponents), "/"+strings.Repeat("c", MaxComponent)
	longest := strings.Repeat("/"+strings.Repeat("d", 127), 7) + "/" + strings.Repeat("d", 126)
	for _, r := range []struct{ prefix, name, want string }{ // want "" is an error
		{"/", "eps", "/eps"},
		{"", "eps", "/eps"},
		{"/a", "x", "/a/x"},
		{"/a/", "x", "/a/x"},
		{"a", "x", "/a/x"},
		{"/a", "/x", "/x"},
		{"/a", "x/y/", "/a/x/y"},
		{"/", "/x/", "/x"},
		{"/", "...", "/..."},
		{"/", "b*/...", "/b*/..."},
		{"/", "/a.b c%", "/a.b c%"},
		{"/", "/größe", "/größe"},
		{"/", "", ""},
		{"/", "/", ""},
		{"/a", "/", ""},
		{"/", "//", ""},
		{"/", "//a", ""},
		{"/", "/a//b", ""},
		{"/", "/a//", ""},
		{"//", "a", ""},
		{"/", "/a\x00", ""},
		{"/", "/a\tb", ""},
		{"/", "/a\x7f", ""},
		{"/", "/a\xff", ""},
		{"/", "/a\xc3", ""},
		{"/", deep, deep},
		{"/", deep + "/", deep},
		{"/", deep + "/a", ""},
		{"/", long, long},
		{"/", long + "c", ""},
		{"/", longest, longest},
		{"/", longest + "d", ""},
		{"/", longest + "/", longest},
		{strings.Repeat("/a", 60), "a/a/a/a", deep},
		{strings.Repeat("/a", 60), "a/a/a/a/a", ""},
		{"/", strings.Repeat("/a", 100_000), ""},
	} {
		got, err := Canonical([]byte("kept"), r.prefix, []byte(r.name))
		if r.want == "" {
			if !errors.Is(err, ErrName) || string(got) != "kept" {
				t.Errorf("%.40q: %.40q, %v", r.name, got, err)
			}
			continue
		}
		if err != nil || string(got) != "kept"+r.want {
			t.Errorf("%.40q below %.40q: %.40q, %v", r.name, r.prefix, got, err)
		}
		if IsCanonical([]byte(r.name)) != (r.name == r.want) || !IsCanonical([]byte(r.want)) {
			t.Errorf("IsCanonical(%.40q) is %v, of the result %v", r.name, IsCanonical([]byte(r.name)), IsCanonical([]byte(r.want)))
		}
	}
	if len(longest) != MaxName {
		t.Errorf("the longest name has %d bytes", len(longest))
	}
}

func TestIsWild(t *testing.T) {
	for name, want := range map[string]bool{
		"/a": false, "/a/...b": false, "/a/....": false, "/a.../b": false, "/..": false, "/....../a": false,
		"/*": true, "/a*b": true, "/...": true, "/a/...": true, "/.../a": true, "/..../...": true, "/a/.../b": true,
	} {
		if IsWild(name) != want {
			t.Errorf("IsWild(%s) is %v", name, !want)
		}
	}
}

func TestNamesAllocateNothing(t *testing.T) {
	dst, name, nats := make([]byte, 0, 100), []byte("/a/größe/c"), []byte("a.größe.c%2Ed")
	if n := testing.AllocsPerRun(100, func() {
		_, _ = Canonical(dst, "/", name)
		_ = IsCanonical(name)
		_, _ = FromNATS(dst, nats, true)
		_ = ToNATS(dst, name)
		_, _ = Canonical(dst, "/", name[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
