package fuzz

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"testing"

	"roundhouse/server/config"
)

// load reads a configuration whose only files are those of texts.
func load(s config.Sources, texts map[string][]byte) (*config.Config, []config.Warning, error) {
	s.ReadFile = func(path string) ([]byte, error) {
		if text, ok := texts[path]; ok {
			return text, nil
		}
		return nil, fs.ErrNotExist
	}
	return config.Load(s)
}

// FuzzRSConfig reads an rs.config, which may include another one and name variables. Whatever is found wrong has a file and a line; what is
// right can be said in TOML as well, and is the same after it went through a dump, but for the secrets, which a dump masks.
func FuzzRSConfig(f *testing.F) {
	f.Fuzz(func(t *testing.T, text, included []byte, strict bool) {
		cfg, warnings, err := load(config.Sources{
			RSConfig: "rs.config", Strict: strict, ExpandEnv: !strict, Environ: []string{"A=a b", "N=3", "B=\xff"},
		}, map[string][]byte{"rs.config": text, "included": included})
		var mistakes *config.Error
		if err != nil && (!errors.As(err, &mistakes) || len(mistakes.Problems) == 0 || cfg != nil) {
			t.Fatalf("config %v, error %v", cfg, err)
		}
		if err != nil {
			for _, p := range mistakes.Problems {
				if p.File == "" || p.Line < 1 || p.Col < 1 || p.Text == "" {
					t.Errorf("a mistake without its place: %+v", p)
				}
			}
			return
		}
		for _, w := range warnings {
			if w.Text == "" || w.File != "" && (w.Line < 1 || w.Col < 1) {
				t.Errorf("a warning without its place: %+v", w)
			}
		}
		if err := config.Export(io.Discard, cfg); err != nil {
			t.Fatal(err)
		}
		clearSecrets(cfg)
		var dump bytes.Buffer
		if err := config.Dump(&dump, cfg); err != nil {
			t.Fatal(err)
		}
		again, _, err := load(config.Sources{TOML: "dump"}, map[string][]byte{"dump": dump.Bytes()})
		if err != nil {
			t.Fatalf("the dump has mistakes: %v\n%s", err, dump.Bytes())
		}
		if !reflect.DeepEqual(cfg, again) {
			t.Errorf("got %+v\nwant %+v\n%s", again, cfg, dump.Bytes())
		}
	})
}

// FuzzTOML reads a TOML file: no input ends the process, every mistake has a place, and what is right stays right in a dump.
func FuzzTOML(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, _, err := load(config.Sources{TOML: "f"}, map[string][]byte{"f": text})
		var mistakes *config.Error
		switch {
		case err == nil:
		case !errors.As(err, &mistakes) || cfg != nil:
			t.Fatalf("config %v, error %v", cfg, err)
		default:
			return
		}
		clearSecrets(cfg)
		var first, second bytes.Buffer
		if err := config.Dump(&first, cfg); err != nil {
			t.Fatal(err)
		}
		again, _, err := load(config.Sources{TOML: "f"}, map[string][]byte{"f": first.Bytes()})
		if err != nil {
			t.Fatalf("the dump has mistakes: %v\n%s", err, first.Bytes())
		}
		if err := config.Dump(&second, again); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("a dump of the dump is another one:\n%s\n%s", first.String(), second.String())
		}
	})
}
