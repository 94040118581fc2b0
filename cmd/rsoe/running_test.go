package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rsoe")
	if found, err := findRunning(dir); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
	r, err := announce(dir, "F", "S")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"1.run": `{"pid":1,"farm":"F","id":"S"}`, "77.run": "", "notes": "text"} { // nobody holds them
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		found, err := findRunning(dir)
		if err != nil || len(found) != 1 || found[0].PID != os.Getpid() || found[0].Farm != "F" || found[0].ID != "S" {
			t.Error(found, err)
		}
		for _, f := range found {
			f.file.Close()
		}
	}
	r.end()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Error("left:", left, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := announce(dir, "F", "S"); err == nil {
		t.Error("a directory that others may enter is used")
	}
	other := filepath.Join(t.TempDir(), "other")
	if r, err = announceIn([]string{dir, other}, "F", "S"); err != nil || filepath.Dir(r.file.Name()) != other {
		t.Fatal("in the next directory:", err)
	}
	r.end()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := announce(link, "F", "S"); err == nil {
		t.Error("a symbolic link is followed")
	}
}
