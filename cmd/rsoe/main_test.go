package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "oe.config")
	if err := os.WriteFile(file, []byte("-f F -id S\n-cr host=h\n-d x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const least = "-f F -id S -cr host=h "
	for _, row := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"-h", 0, "usage: rsoe -f FARM", ""},
		{"-version", 0, "rsoe devel", ""},
		{least + "-check", 0, "the command line is right", ""},
		{least + "-check -os 10k", 0, "right", "warning: command line: option \"-os\": means nothing without"},
		{"-f F", 2, "", "option \"-id\": missing"},
		{"@" + file, 78, "", file + ":3: option \"-d\": value \"x\""},
		{least + "-check -cs https=1;identity=" + file, 78, "", "option \"-cs\": identity: " + file + ": it holds no certificate in PEM form"},
		{least + "-cs https=1;trusted_certificates=" + dir, 1, "", "a directory; one PEM file is needed"},
		{least + "-o " + filepath.Join(dir, "none", "log"), 78, "", "no such file or directory"},
	} {
		var out, errOut bytes.Buffer
		code := run(strings.Fields(row.args), func(string) string { return "" }, &out, &errOut)
		if code != row.code || !strings.Contains(out.String(), row.out) || !strings.Contains(errOut.String(), row.err) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", row.args, code, row.code, out.String(), errOut.String())
		}
	}
}

func TestRun(t *testing.T) {
	defer func(f func(context.Context, *config.Enabler, *slog.Logger, outbound.Hooks) error) { runEnabler = f }(runEnabler)
	file := filepath.Join(t.TempDir(), "log")
	for _, row := range []struct {
		args  string
		fails error
		code  int
		log   string
	}{
		{"-o " + file, nil, 0, "msg=\"serving F\""},
		{"-o " + file, errors.New("no luck"), 1, "msg=\"serving F\""},
		{"-ot " + file, nil, 0, "msg=\"serving F\""},
	} {
		runEnabler = func(_ context.Context, e *config.Enabler, log *slog.Logger, _ outbound.Hooks) error {
			log.Info("serving " + e.Farm)
			log.Debug("not this")
			return row.fails
		}
		var out bytes.Buffer
		code := run(append(strings.Fields(row.args), "-f", "F", "-id", "S", "-cr", "host=h", "-v", "1", "-log", "text", "-q"),
			func(string) string { return "" }, &out, &out)
		log, err := os.ReadFile(file)
		if code != row.code || err != nil || !strings.Contains(string(log), row.log) || strings.Contains(string(log), "not this") {
			t.Errorf("%s: exit code %d, %s\n%s", row.args, code, out.String(), log)
		}
		if row.fails != nil && out.String() != "rsoe: no luck\n" {
			t.Errorf("printed %q", out.String())
		}
	}
	if log, _ := os.ReadFile(file); strings.Count(string(log), "serving F") != 1 { // a file that is gone has none
		t.Errorf("-ot did not empty the file:\n%s", log)
	}
}

// TestLogs checks what goes to the file and what to the terminal, and that a file that has grown is put away.
func TestLogs(t *testing.T) {
	defer func(f func(context.Context, *config.Enabler, *slog.Logger, outbound.Hooks) error) { runEnabler = f }(runEnabler)
	runEnabler = func(_ context.Context, _ *config.Enabler, log *slog.Logger, _ outbound.Hooks) error {
		log.Error("wrong")
		log.Info("news")
		return nil
	}
	for _, row := range []struct {
		args           string
		file, terminal string // e: the error, n: the news
	}{
		{"", "", "e"},
		{"-v 1", "", "en"},
		{"-v 1 -q", "", "e"},
		{"-dl", "", "en"},
		{"-o FILE", "e", ""},
		{"-o FILE -v 1 -q", "en", ""},
		{"-o FILE -dl", "e", "en"},
		{"-o FILE -v 1 -dl -oq", "en", "en"},
	} {
		file := filepath.Join(t.TempDir(), "log")
		var terminal bytes.Buffer
		if code := run(strings.Fields(strings.ReplaceAll(row.args, "FILE", file)+" -f F -id S -cr host=h -log text"), noEnv, &terminal, &terminal); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", row.args, code, terminal.String())
		}
		text, _ := os.ReadFile(file) // empty when there is none
		for name, has := range map[string]struct{ text, want string }{"file": {string(text), row.file}, "terminal": {terminal.String(), row.terminal}} {
			if strings.Contains(has.text, "msg=wrong") != strings.Contains(has.want, "e") || strings.Contains(has.text, "msg=news") != strings.Contains(has.want, "n") {
				t.Errorf("%s: the %s has\n%s", row.args, name, has.text)
			}
		}
	}
	runEnabler = func(_ context.Context, _ *config.Enabler, log *slog.Logger, _ outbound.Hooks) error {
		for range 500 {
			log.Error("a line of some length to fill the file")
		}
		return nil
	}
	dir := t.TempDir()
	if code, out := runs("-o", filepath.Join(dir, "log"), "-os", "10k", "-f", "F", "-id", "S", "-cr", "host=h"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if old, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9][0-9][0-9][0-9]0[0-9].olg")); err != nil || len(old) < 3 {
		t.Error("put away:", old, err)
	}
}
