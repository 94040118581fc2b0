package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSecretsInReadableFiles has files of all modes, with and without secrets.
func TestSecretsInReadableFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	const servers = "[options]\nx_listen=:1\n[backend_farm]\nid=F\n[backend_server]\nfarm=F\nid=s\n"
	file("part", "token=t\n", 0o604)
	for _, row := range []struct {
		name, text string
		mode       os.FileMode
		want       string // the file and line that are named
	}{
		{"all", servers + "token=t\nx_second_token=u\n", 0o644, "all:8:7"},
		{"group", servers + "token=t\n", 0o640, ""},
		{"digest", servers + "token=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n", 0o604, "digest:8:7"},
		{"bcrypt", servers + "token=" + hashOfBar + "\n", 0o644, ""},
		{"none", servers + "token=!\n", 0o644, ""},
		{"variable", servers + "token=${T}\n", 0o644, ""},
		{"plain", servers + "token=x${T}\n", 0o644, "plain:8:7"},
		{"include", servers + "@include part\n", 0o644, "part:1:7"},
		{"auto", "[options]\nauto_config=off\n" + servers[len("[options]\n"):], 0o644, ""},
		{"f.toml", "relay.listen=[\":1\"]\n[relay.trust]\naffinity_key=\"0123456789abcdef\"\n", 0o644, "f.toml:3:14"},
		{"hash.toml", "engine.listen=[\":1\"]\nengine.control_password=\"" + hashOfFoo + "\"\nengine.type=[{name=\"default\", command=\"x\"}]\n", 0o644, ""},
	} {
		s := Sources{RSConfig: file(row.name, row.text, row.mode), ExpandEnv: true, Environ: []string{"T=t"}, Look: func(*Config, Findings) {}}
		if strings.HasSuffix(row.name, ".toml") {
			s.TOML, s.RSConfig = s.RSConfig, ""
		}
		const what = "a secret in a file that everybody on this machine may read"
		_, warnings, err := Load(s)
		i := slices.IndexFunc(warnings, func(w Warning) bool { return strings.HasPrefix(w.Text, what) })
		if err != nil || (i >= 0) != (row.want != "") || i >= 0 && !strings.HasPrefix(warnings[i].String(), filepath.Join(dir, row.want)+": ") {
			t.Errorf("%s: %v, %v, want %s", row.name, err, texts(warnings), row.want)
		}
		s.Strict = true
		if _, _, err := Load(s); (err != nil) != (row.want != "") || err != nil && !strings.HasPrefix(err.Error(), filepath.Join(dir, row.want)+": "+what) {
			t.Errorf("%s, strict: %v, want %s", row.name, err, row.want)
		}
		s.Look = nil
		if _, _, err := Load(s); err != nil {
			t.Errorf("%s, no look at the world: %v", row.name, err)
		}
	}
}

// TestLongFile reads a file that never ends, and one of just the longest length.
func TestLongFile(t *testing.T) {
	if _, _, err := Load(Sources{RSConfig: "/dev/zero"}); err == nil || !strings.Contains(err.Error(), ErrTooLong.Error()) {
		t.Errorf("/dev/zero: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]error{MaxFile: nil, MaxFile + 1: ErrTooLong} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if text, err := readFile(path); !errors.Is(err, want) || want == nil && int64(len(text)) != size {
			t.Errorf("%d bytes: %d, %v", size, len(text), err)
		}
	}
}
