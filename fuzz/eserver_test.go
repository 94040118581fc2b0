package fuzz

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"roundhouse/server/config"
)

// FuzzEServer reads an eserver.cfg. Whatever is found wrong has a place and a text; comments between the lines change nothing;
// and what is right is the same after it went through a dump, but for the secrets, which a dump masks.
func FuzzEServer(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, strict bool) {
		cfg, warnings, err := loadEServer(text, strict)
		var mistakes *config.Error
		if err != nil && (!errors.As(err, &mistakes) || len(mistakes.Problems) == 0 || cfg != nil) {
			t.Fatalf("config %v, error %v", cfg, err)
		}
		found := warnings
		if mistakes != nil {
			found = append(found, mistakes.Problems...)
		}
		for _, p := range found {
			if p.File != "e.cfg" || p.Text == "" || (p.Line > 0) != (p.Col > 0) || p.Line > 1+bytes.Count(text, []byte("\n")) {
				t.Errorf("a problem without its place: %+v", p)
			}
		}
		checkComments(t, text, strict, cfg, found)
		if err == nil {
			checkDump(t, cfg)
		}
	})
}

func loadEServer(text []byte, strict bool) (*config.Config, []config.Warning, error) {
	return load(config.Sources{EServer: "e.cfg", Strict: strict}, map[string][]byte{"e.cfg": text})
}

// checkComments puts a comment behind each line of text and expects the same of it, found included.
func checkComments(t *testing.T, text []byte, strict bool, want *config.Config, found []config.Problem) {
	t.Helper()
	var commented bytes.Buffer
	for line := range bytes.Lines(text) {
		commented.Write(bytes.TrimSuffix(line, []byte("\n")))
		commented.WriteString("\n \t// PortNumber=1\r\n#MaxEngines=x\n; \\\n\n")
	}
	got, warnings, err := loadEServer(commented.Bytes(), strict)
	all := warnings
	var mistakes *config.Error
	if errors.As(err, &mistakes) {
		all = append(all, mistakes.Problems...)
	}
	if !reflect.DeepEqual(got, want) || len(all) != len(found) {
		t.Errorf("with comments: got %+v, %v\nwant %+v, %v", got, all, want, found)
	}
}

// checkDump reads the dump of cfg, whose secrets go, and expects the same.
func checkDump(t *testing.T, cfg *config.Config) {
	t.Helper()
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
}

// clearSecrets takes away what a dump masks, and what is wrong without.
func clearSecrets(cfg *config.Config) {
	for i := range cfg.Relay.Backends {
		cfg.Relay.Backends[i].Token, cfg.Relay.Backends[i].SecondToken = "", ""
	}
	cfg.Relay.Trust.AffinityKey, cfg.Relay.Trust.AutoConfig = "", ""
	e := &cfg.Engine
	e.ControlPassword, e.Defaults.Password = "", ""
	for i := range e.Modes {
		e.Modes[i].Password = ""
	}
	for i := range e.Runs {
		e.Runs[i].Password = ""
	}
	if e.DialIn.Token != "" {
		e.DialIn.Token, e.DialIn.Listen = "", nil
		if len(e.Types) == 0 {
			e.Types = []config.EngineType{{Name: "default", Command: "x"}}
		}
	}
}
