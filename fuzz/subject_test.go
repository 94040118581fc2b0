package fuzz

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"roundhouse/routing/subject"
)

// line is a subscription: the number of a line of the input.
type line int

func (l line) Key() uint64 { return uint64(l) }

// FuzzSubjectTable holds the table, the cache and Matches against each other. The lines of patterns are subscribed to; those that begin
// with a minus take one out again.
func FuzzSubjectTable(f *testing.F) {
	f.Add("/a/*\n/a/...\n/a/b\n/.../b*\n/*b*\n-/a/*\n/a/b", "/a/b")
	f.Add("/.../a/.../a\n/.../*a*a*\n/*/*/*\n/...", "/a/.../b*")
	f.Fuzz(func(t *testing.T, patterns, text string) {
		name, err := subject.Canonical(nil, "/", []byte(text))
		lines := strings.Split(patterns, "\n")
		if err != nil || len(lines) > 200 {
			return
		}
		var table subject.Table[line]
		cache := subject.NewCache[line, []line](10, nil)
		had := map[string]bool{}
		for _, p := range lines {
			p, gone := strings.CutPrefix(p, "-")
			pattern, err := subject.Canonical(nil, "/", []byte(p))
			if err != nil {
				continue
			}
			p = string(pattern)
			v := line(len(p))
			if !gone {
				table.Add(p, v)
			} else if got := table.Remove(p, v); got != had[p] {
				t.Fatalf("Remove(%q) is %v", p, got)
			}
			had[p] = !gone
			s := table.Snapshot()
			want := linesFor(t, had, string(name))
			got := s.Append(nil, string(name))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", name, got, want)
			}
			if kept, ok := cache.Get(s, name); ok && !slices.Equal(kept, want) {
				t.Fatalf("%q: %v from the cache, want %v", name, kept, want)
			} else if !ok {
				cache.Put(s, name, string(name), got)
			}
		}
	})
}

// linesFor returns the values of the patterns that match name, in order.
func linesFor(t *testing.T, had map[string]bool, name string) (all []line) {
	for p, there := range had {
		matches := subject.Matches(p, name)
		if matches != subject.Matches(name, p) {
			t.Fatalf("Matches(%q, %q) depends on their order", p, name)
		}
		if there && matches {
			all = append(all, line(len(p)))
		}
	}
	slices.Sort(all)
	return all
}

// FuzzSubjectName states that Canonical has nothing to do on its own result, and that IsCanonical says so.
func FuzzSubjectName(f *testing.F) {
	f.Add("/", []byte("eps"))
	f.Add("/a/", []byte("/b*/.../c/"))
	f.Fuzz(func(t *testing.T, prefix string, name []byte) {
		before := bytes.Clone(name)
		out, err := subject.Canonical(nil, prefix, name)
		if !bytes.Equal(name, before) {
			t.Fatalf("%q was changed", before)
		}
		if err != nil {
			if out != nil || subject.IsCanonical(name) {
				t.Fatalf("%q: %q, %v; but it is canonical", name, out, err)
			}
			return
		}
		if again, err := subject.Canonical(nil, "/other", out); err != nil || !bytes.Equal(again, out) || !subject.IsCanonical(out) {
			t.Fatalf("%q becomes %q and then %q, %v", name, out, again, err)
		}
		if subject.IsCanonical(name) != bytes.Equal(name, out) {
			t.Fatalf("%q becomes %q, but IsCanonical is %v", name, out, subject.IsCanonical(name))
		}
		if !subject.Matches(string(out), string(out)) || !subject.Matches("/...", string(out)) {
			t.Fatalf("%q does not match itself", out)
		}
	})
}

// FuzzSubjectNATS states that a subject of NATS comes back as it was, and so does a name that FromNATS can make.
func FuzzSubjectNATS(f *testing.F) {
	f.Add([]byte("a.*.>"), true)
	f.Add([]byte("50%.%2E%2E%2E.%25%2F"), false)
	f.Fuzz(func(t *testing.T, in []byte, pattern bool) {
		if name, err := subject.FromNATS(nil, in, pattern); err == nil {
			if !pattern && subject.IsWild(string(name)) {
				t.Fatalf("%q has become the wildcard name %q", in, name)
			}
			if len(name) < 256 && strings.Count(string(name), "/") <= subject.MaxComponents && !subject.IsCanonical(name) {
				t.Fatalf("%q has become %q, which is not canonical", in, name)
			}
			if back := subject.ToNATS(nil, name); !bytes.Equal(back, in) {
				t.Fatalf("%q has become %q, and back %q", in, name, back)
			}
		}
		if !subject.IsCanonical(in) || subject.IsWild(string(in)) {
			return
		}
		// What ToNATS makes is a subject, whatever the name was; and the second time round nothing changes.
		out := subject.ToNATS(nil, in)
		name, err := subject.FromNATS(nil, out, false)
		if err != nil {
			t.Fatalf("%q has become %q: %v", in, out, err)
		}
		if !bytes.Contains(in, []byte("%")) && !bytes.Equal(name, in) {
			t.Fatalf("%q has become %q, and back %q", in, out, name)
		}
		if again := subject.ToNATS(nil, name); !bytes.Equal(again, out) {
			t.Fatalf("%q has become %q and then %q", in, out, again)
		}
	})
}
