package logfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "rs.log"), Options{})
	tail := func(n int) string {
		t.Helper()
		b, err := f.Tail(n)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := tail(3); got != "" {
		t.Errorf("of an empty file: %q", got)
	}
	write(t, f, "one\ntwo\nthree\n")
	for n, want := range map[int]string{1: "three\n", 2: "two\nthree\n", 3: "one\ntwo\nthree\n", 100: "one\ntwo\nthree\n"} {
		if got := tail(n); got != want {
			t.Errorf("%d lines: %q, want %q", n, got, want)
		}
	}
	write(t, f, strings.Repeat(strings.Repeat("x", 1<<20-1)+"\n", 6))
	if got := tail(100); len(got) != 4<<20 && len(got) != 3<<20 || bytes.HasPrefix([]byte(got), []byte("one")) {
		t.Errorf("of a long file: %d bytes", len(got))
	}
}

// TestDiskFull: what cannot be written is an error, and a record that was cut does not spoil the next one.
func TestDiskFull(t *testing.T) {
	full := open(t, "/dev/full", Options{})
	if n, err := full.Write([]byte("line\n")); n != 0 || err == nil {
		t.Errorf("%d bytes written to a full disk: %v", n, err)
	}
	path := filepath.Join(t.TempDir(), "rs.log")
	f := open(t, path, Options{})
	write(t, f, "half")
	f.cut = true // as a disk leaves it that fills up in the middle
	write(t, f, "whole\n")
	write(t, f, "another\n")
	if got := read(t, path); got != "half\nwhole\nanother\n" {
		t.Errorf("%q", got)
	}
}

// TestLook: a program that rotates logs moves the file and says so: what is written from then on is in a new one.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rs.log")
	f := open(t, path, Options{Now: newDay().now}) // the clock stands still: it is not looked again by itself
	write(t, f, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, f, "two\n")
	f.Look()
	write(t, f, "three\n")
	if old, now := read(t, path+".1"), read(t, path); old != "one\ntwo\n" || now != "three\n" {
		t.Errorf("%q, then %q", old, now)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if name, err := f.Archive(); err == nil || !strings.Contains(err.Error(), "moved away") {
		t.Errorf("archived what is not there: %q, %v", name, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	f.Look()
}
