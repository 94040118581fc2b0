package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// docFile is the page that the list is published on; a test checks that it is what document returns.
var docFile = filepath.FromSlash("../../../docs/nats-conformance.md")

// docHead is the page up to the tables, with two places for numbers.
//
//go:embed document.md
var docHead string

// document returns the page.
func (s *suite) document() []byte {
	var b bytes.Buffer
	apply, not := s.count()
	fmt.Fprintf(&b, docHead, apply, not)
	b.WriteString("\n## Tests that are run\n\n| file | tests |\n|---|---|\n")
	for _, file := range s.files() {
		if names := s.names(file, func(t test) bool { return t.reason == "" }); len(names) > 0 {
			fmt.Fprintf(&b, "| %s | %s |\n", file, strings.Join(names, ", "))
		}
	}
	b.WriteString("\n## Tests that cannot apply\n\n| file | tests | reason |\n|---|---|---|\n")
	for _, file := range s.files() {
		for _, reason := range s.reasons(file) {
			names := s.names(file, func(t test) bool { return t.reason == reason })
			text := strings.Join(names, ", ")
			if all := s.names(file, func(test) bool { return true }); len(names) == len(all) {
				text = fmt.Sprintf("all %d", len(all))
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", file, text, reason)
		}
	}
	return b.Bytes()
}

// files returns the files of the suite, each with its package.
func (s *suite) files() []string {
	var all []string
	for _, t := range s.tests {
		all = append(all, t.pkg+"/"+t.file)
	}
	return slices.Compact(all)
}

// names returns the names of those tests of a file that want holds for.
func (s *suite) names(file string, want func(test) bool) []string {
	var all []string
	for _, t := range s.tests {
		if t.pkg+"/"+t.file == file && want(t) {
			all = append(all, t.name)
		}
	}
	return all
}

// reasons returns the reasons that tests of a file have, each once.
func (s *suite) reasons(file string) []string {
	var all []string
	for _, t := range s.tests {
		if t.pkg+"/"+t.file == file && t.reason != "" && !slices.Contains(all, t.reason) {
			all = append(all, t.reason)
		}
	}
	return all
}
