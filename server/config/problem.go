package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake and where it stands.
type Problem struct {
	// File is the path as it was given, or "environment", "--set", "command line". Empty: a Config made by a program.
	File string
	// Line and Col count from 1; 0 where there are no lines.
	Line, Col int
	// Text names the field, its value and what would be right: field "x": value "y": a port from 1 to 65535.
	Text string
}

// Warning is something that is accepted but hardly meant.
type Warning = Problem

// String returns "file:line:column: text", less what is not known.
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	case p.Col == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text)
	}
}

// Error is what Load, Validate and ParseEnabler return for mistakes, in the order in which they were found.
type Error struct {
	Problems []Problem // at least one
}

// Error returns one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// InFiles tells whether a mistake stands elsewhere than on the command line.
func (e *Error) InFiles() bool {
	return slices.ContainsFunc(e.Problems, func(p Problem) bool { return p.File != commandLine })
}

// where is a place in a source.
type where struct {
	file      string
	line, col int
}

// problems collects what one run finds.
type problems struct {
	errors   []Problem
	warnings []Warning
}

func (p *problems) fail(at where, format string, args ...any) {
	p.errors = append(p.errors, Problem{at.file, at.line, at.col, fmt.Sprintf(format, args...)})
}

func (p *problems) warn(at where, format string, args ...any) {
	p.warnings = append(p.warnings, Problem{at.file, at.line, at.col, fmt.Sprintf(format, args...)})
}

// err returns nil or an *Error.
func (p *problems) err() error {
	if len(p.errors) == 0 {
		return nil
	}
	return &Error{Problems: p.errors}
}
