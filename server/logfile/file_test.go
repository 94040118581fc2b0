package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// day is the clock of the tests: it stands still unless it is told to go on.
type day struct{ at time.Time }

func (d *day) now() time.Time { return d.at }

func newDay() *day { return &day{time.Date(2026, 3, 9, 12, 0, 0, 0, time.Local)} }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, f *File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("%d bytes written of %d: %v", n, len(text), err)
	}
}

func open(t *testing.T, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestRotate fills a file past its size: what came before stands in files of the day, in order, and no record is cut or lost.
func TestRotate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rs.log")
	if err := os.WriteFile(filepath.Join(dir, "26030901.olg"), []byte("another's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Options{MaxSize: 20, Now: newDay().now})
	for i := range 6 {
		write(t, f, fmt.Sprintf("record %d\n", i))
	}
	for name, want := range map[string]string{
		"26030900.olg": "record 0\nrecord 1\n",
		"26030901.olg": "another's\n",
		"26030902.olg": "record 2\nrecord 3\n",
		"rs.log":       "record 4\nrecord 5\n",
	} {
		if got := read(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	write(t, f, strings.Repeat("long", 10)+"\n") // longer than the size by itself: whole all the same
	if got := read(t, path); got != strings.Repeat("long", 10)+"\n" {
		t.Errorf("a long record: %q", got)
	}
}

// TestOpenModes appends, truncates, and puts the header where a file begins.
func TestOpenModes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rs.log")
	header := func() []byte { return []byte("#h\n") }
	f := open(t, path, Options{})
	write(t, f, "one\n")
	f = open(t, path, Options{Header: header, Now: newDay().now})
	write(t, f, "two\n")
	if got := read(t, path); got != "one\n#h\ntwo\n" {
		t.Errorf("appended: %q", got)
	}
	name, err := f.Archive()
	if err != nil || filepath.Base(name) != "26030900.log" || read(t, name) != "one\n#h\ntwo\n" || read(t, path) != "#h\n" {
		t.Errorf("archived: %q, %v: %q and %q", name, err, read(t, name), read(t, path))
	}
	f = open(t, path, Options{Truncate: true})
	if err := f.SetHeader(header); err != nil {
		t.Fatal(err)
	}
	write(t, f, "three\n")
	if got := read(t, path); got != "#h\nthree\n" {
		t.Errorf("truncated: %q", got)
	}
	if err := f.Close(); err != nil || f.Close() != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := f.Write([]byte("late\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
	if _, err := f.Archive(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Archive after Close: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "no", "file"), Options{}); err == nil {
		t.Error("opened in a directory that is not there")
	}
}

// TestNoNameLeft uses every number of the day: the file grows on, nothing is lost, and the next day it is put away.
func TestNoNameLeft(t *testing.T) {
	dir, d := t.TempDir(), newDay()
	for n := range namesADay {
		for _, suffix := range []string{rotatedSuffix, archivedSuffix} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("260309%02d%s", n, suffix)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(dir, "rs.log")
	f := open(t, path, Options{MaxSize: 4, Now: d.now})
	write(t, f, "one\n")
	write(t, f, "two\n")
	if _, err := f.Archive(); !errors.Is(err, ErrNoName) {
		t.Errorf("Archive: %v", err)
	}
	if got := read(t, path); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	d.at = d.at.AddDate(0, 0, 1)
	write(t, f, "three\n")
	if got := read(t, path); got != "three\n" {
		t.Errorf("the next day: %q", got)
	}
}

// TestRenamedByAnother moves the file away behind its back, and writes to it from two Files.
func TestRenamedByAnother(t *testing.T) {
	dir, d := t.TempDir(), newDay()
	path := filepath.Join(dir, "rs.log")
	f := open(t, path, Options{MaxSize: 12, Now: d.now})
	write(t, f, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, f, "two\n") // within the second
	d.at = d.at.Add(lookEvery)
	write(t, f, "three\n")
	if got, old := read(t, path), read(t, path+".1"); got != "three\n" || old != "one\ntwo\n" {
		t.Errorf("%q, before %q", got, old)
	}
	g := open(t, path, Options{MaxSize: 12, Now: d.now})
	write(t, g, "four\n")
	write(t, g, "five\n") // puts it away
	write(t, f, "seven777\n")
	if got, old := read(t, path), read(t, filepath.Join(dir, "26030900.olg")); got != "five\nseven777\n" || old != "three\nfour\n" {
		t.Errorf("%q, before %q", got, old)
	}
}

// TestConcurrentWrites has many write at a time while the file is put away again and again: every record is somewhere, whole, once.
func TestConcurrentWrites(t *testing.T) {
	dir := t.TempDir()
	f := open(t, filepath.Join(dir, "rs.log"), Options{MaxSize: 2000, Now: newDay().now})
	const writers, records = 8, 100
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range records {
				if _, err := fmt.Fprintf(f, "<%d.%d>\n", w, i); err != nil {
					t.Error(err)
				}
				if i == records/2 {
					if _, err := f.Archive(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range entries {
		for line := range bytes.Lines([]byte(read(t, filepath.Join(dir, e.Name())))) {
			seen[string(line)]++
		}
	}
	if len(entries) < writers || len(seen) != writers*records {
		t.Errorf("%d files, %d different records", len(entries), len(seen))
	}
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%q %d times", line, n)
		}
	}
}
