package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	module = "github.com/nats-io/nats.go"
	tags   = "internal_testing" // with it the client has what some of its tests need
)

// packages are those of module whose tests talk to a server and need nothing beyond core NATS.
var packages = []string{"test", "micro/test"}

// suite is everything that there is to run.
type suite struct {
	tests []test // in the order of packages, files and lines
}

// test is a test function, or a part of one that list.txt names.
type test struct {
	pkg, file, name string
	reason          string // why it cannot apply; empty: it has to pass
}

func (t test) id() string { return t.pkg + "/" + t.name }

// listText has a line for each test, part of a test, or whole file that cannot apply: package/name: reason.
//
//go:embed list.txt
var listText string

// readSuite finds the tests and applies the list to them. A line of the list that fits no test is a mistake.
func readSuite() (*suite, error) {
	s := &suite{}
	for _, pkg := range packages {
		if err := s.find(pkg); err != nil {
			return nil, err
		}
	}
	return s, s.apply(listText)
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)

// find adds the tests of a package.
func (s *suite) find(pkg string) error {
	format := `{{range .TestGoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`
	cmd := exec.Command("go", "list", "-tags", tags, "-f", format, module+"/"+pkg)
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			out = exit.Stderr
		}
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, bytes.TrimSpace(out))
	}
	for _, path := range strings.Fields(string(out)) {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range testFunc.FindAllSubmatch(text, -1) {
			s.tests = append(s.tests, test{pkg: pkg, file: filepath.Base(path), name: string(found[1])})
		}
	}
	return nil
}

// apply gives the tests that list names their reason.
func (s *suite) apply(list string) error {
	var wrong []error
	for i, line := range strings.Split(list, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || !s.exclude(name, reason) {
			wrong = append(wrong, fmt.Errorf("list.txt:%d: %q: not a test or file of the suite, and a reason", i+1, line))
		}
	}
	return errors.Join(wrong...)
}

// exclude gives the tests called name, or in the file of that name, their reason. False: there are none, or they have one.
func (s *suite) exclude(name, reason string) bool {
	found := false
	for i := range s.tests {
		t := &s.tests[i]
		switch {
		case t.pkg+"/"+t.file == name && t.reason == "", t.id() == name && t.reason == "":
			t.reason, found = reason, true
		case strings.HasPrefix(name, t.id()+"/"): // a part of it
			part := *t
			part.name, part.reason = strings.TrimPrefix(name, t.pkg+"/"), reason
			s.tests = slices.Insert(s.tests, i+1, part)
			return true
		}
	}
	return found
}

// count returns how many tests there are that apply, and how many that cannot. Parts are not counted.
func (s *suite) count() (apply, not int) {
	for _, t := range s.tests {
		switch {
		case strings.Contains(t.name, "/"):
		case t.reason == "":
			apply++
		default:
			not++
		}
	}
	return apply, not
}

// skipped returns the regular expression of what of a package is left out.
func (s *suite) skipped(pkg string) string {
	var all []string
	for _, t := range s.tests {
		if t.pkg != pkg || t.reason == "" {
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(t.name, "/") {
			parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
		}
		all = append(all, strings.Join(parts, "/"))
	}
	return strings.Join(all, "|")
}
