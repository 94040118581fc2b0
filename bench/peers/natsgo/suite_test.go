package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	s, err := readSuite()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, s.document()) {
		t.Errorf("%s is not what the list says: go run . -doc", docFile)
	}
}

func TestApply(t *testing.T) {
	newSuite := func() *suite {
		return &suite{tests: []test{{pkg: "p", file: "a_test.go", name: "TestA"}, {pkg: "p", file: "a_test.go", name: "TestB"}, {pkg: "p", file: "b_test.go", name: "TestC"}}}
	}
	for _, c := range []struct{ list, skipped, err string }{
		{"# nothing\n\n", "", ""},
		{"p/TestB: why", "^TestB$", ""},
		{"p/a_test.go: why", "^TestA$|^TestB$", ""},
		{"p/TestA/part: why\np/TestC: why", "^TestA$/^part$|^TestC$", ""},
		{"p/TestX: why", "", "list.txt:1"},
		{"p/TestA: why\np/TestA: again", "^TestA$", "list.txt:2"},
		{"p/TestA", "", "list.txt:1"},
	} {
		s := newSuite()
		err := s.apply(c.list)
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.list, err, c.err)
		}
		if got := s.skipped("p"); got != c.skipped {
			t.Errorf("%q: skipped %q, want %q", c.list, got, c.skipped)
		}
	}
}

func TestVerdicts(t *testing.T) {
	v := &verdicts{output: map[string]*strings.Builder{}}
	events := `{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"a_test.go:1: said\n"}
{"Action":"pass","Test":"TestA/part"}
{"Action":"fail","Test":"TestA","Elapsed":1.5}
{"Action":"pass","Test":"TestB"}
{"Action":"skip","Test":"TestC"}
{"Action":"fail"}
`
	if err := v.read(strings.NewReader(events), "p"); err != nil {
		t.Fatal(err)
	}
	if v.passed != 1 || v.failed != 1 || v.skipped != 1 {
		t.Errorf("passed %d, failed %d, skipped %d: want one of each", v.passed, v.failed, v.skipped)
	}
	if want := "== p/TestA\na_test.go:1: said\n\n"; v.details.String() != want {
		t.Errorf("details %q, want %q", v.details.String(), want)
	}
}
