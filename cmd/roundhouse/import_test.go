package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImport makes a file of three others, checks it, and finds the same in a dump of either.
func TestImport(t *testing.T) {
	rs := write(t, "rs.config", "[options]\nverbosity=1\nx_listen=:1\n[backend_farm]\nid=F\ndescription=${WHAT}\n[backend_server]\nfarm=F\nid=s\ntoken=hunter2\n")
	es := write(t, "eserver.cfg", "PortNumber=8088\nEngine_default=engine -q\n")
	cm := write(t, "rtserver.cm", "setopt conn_names tcp:127.0.0.1:0\necho hello there\n")
	files := []string{"--rs-config", rs, "--eserver", es, "--rtserver", cm, "-e", "--set", "loops=3"}
	environ := []string{"WHAT=a farm", "ROUNDHOUSE_DRAIN_TIMEOUT=7s"}
	command := func(environ []string, args ...string) (out string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(args, environ, &stdout, &stderr); code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, stderr.String())
		}
		return stdout.String()
	}
	text := command(environ, append([]string{"import"}, files...)...)
	for _, want := range []string{"# Made by roundhouse import of \"" + rs, "\n# Tokens and passwords", "hunter2", "a farm", "loops = 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "drain_timeout") {
		t.Errorf("a variable of the server is in\n%s", text)
	}
	made := filepath.Join(t.TempDir(), "made.toml")
	if err := os.WriteFile(made, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command(nil, "check", "-c", made)
	before := command(environ[:1], append([]string{"serve", "-T"}, files...)...)
	if after := command(nil, "serve", "-T", "-c", made); after != before {
		t.Errorf("it amounts to\n%s\nand not to\n%s", after, before)
	}
}

func TestImportMistakes(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		err  string
	}{
		"import":                                  {2, "no file"},
		"import --set loops=1":                    {2, "no file"},
		"import --rs-config none":                 {78, "cannot read"},
		"import --rs-config none stray":           {2, "see: roundhouse import --help"},
		"import --rs-config testdata-none --nope": {2, "unknown flag"},
	} {
		var out, errOut bytes.Buffer
		if code := run(strings.Fields(args), nil, &out, &errOut); code != want.code || !strings.Contains(errOut.String(), want.err) || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %s%s", args, code, out.String(), errOut.String())
		}
	}
}
