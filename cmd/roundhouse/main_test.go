package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roundhouse/server/config"
)

// write makes a file in a directory of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLine(t *testing.T) {
	right := write(t, "right.toml", "[relay]\nlisten = [\":1\"]\n[[relay.farm]]\nid = \"a\"\n[[relay.backend]]\nfarm = \"a\"\nid = \"s\"\ntoken = \"hunter2, sixteen bytes and more\"\n")
	wrong := write(t, "wrong.toml", "lops = 1\nloops = -1\n")
	rs := write(t, "rs.config", "[options]\nnothing = 1\n")
	rsAsks := write(t, "rs.config", "[options]\nverbosity = 1\n")
	es := write(t, "eserver.cfg", "// engines\nPortNumber=8088\nEngine_default=engine -q\nControlPassword=hunter2\nNothing=1\n")
	cm := write(t, "rtserver.cm", "setopt conn_names tcp:127.0.0.1:0\nsetopt nothing 1\necho hello there\n")
	acl := filepath.Dir(write(t, "users.cfg", "ann : hunter2\n"))
	for _, row := range []struct {
		args     string
		environ  []string
		code     int
		out, err string // parts of what is printed
	}{
		{"", nil, 0, "Exit codes", ""},
		{"--help", nil, 0, "serve", ""},
		{"check", nil, 0, "the configuration is right", ""},
		{"check -c " + right, nil, 0, "the configuration is right", ""},
		{"check -c " + wrong, nil, 78, "", wrong + ":1:1: field \"lops\": unknown"},
		{"check -c " + wrong, nil, 78, "", wrong + ":2:9: field \"loops\": value \"-1\": 0 to 1024"},
		{"check -c " + wrong + ".none", nil, 78, "", "cannot read"},
		{"check --rs-config " + rs, nil, 0, "right", "warning: " + rs + ":2:11: field \"nothing\": unknown in [options]: ignored"},
		{"check --strict --rs-config " + rsAsks, nil, 1, "", "not set: listening on 127.0.0.1:8080\nthe configuration is right; warnings: 1\n"},
		{"check --strict --rs-config " + rsAsks + " --set relay.listen=:1", nil, 0, "the configuration is right", ""},
		{"check --rs-config=", nil, 2, "", "flag --rs-config: no name of a file"},
		{"serve --config=", nil, 2, "", "flag --config: no name of a file"},
		{"serve -T --set relay.farm[0].id=A --set relay.farm[0].balance=hash", nil, 0, "id = \"A\"", "not set: listening"},
		{"check --strict --rs-config " + rs, nil, 78, "", rs + ":2:11: field \"nothing\": unknown"},
		{"check --eserver " + es, nil, 0, "right", "warning: " + es + ":5:1: field \"Nothing\": unknown: ignored"},
		{"check --strict --eserver " + es, nil, 78, "", es + ":5:1: field \"Nothing\": unknown"},
		{"check --eserver " + rs, nil, 78, "", rs + ":1:1: neither a comment, which starts with //, nor Key=Value"},
		{"serve -T --eserver " + es, nil, 0, "control_password = \"***\"", es + ":4:1: field \"ControlPassword\": in clear text"},
		{"check --rtserver " + cm, nil, 0, "right", "hello there\nwarning: " + cm + ":2:1: option \"nothing\": no such option\n"},
		{"check --strict --rtserver " + cm, nil, 78, "", cm + ":2:1: option \"nothing\": no such option"},
		{"serve -T --rtserver " + cm, nil, 0, "listen = [\"tcp:127.0.0.1:0\"]", "hello there"},
		{"check --rtserver " + cm + ".none", nil, 78, "", "cannot read"},
		{"check --set access.driver=basic --set access.directory=" + acl, nil, 0, "right", "users.cfg:1"},
		{"check --set access.driver=basic --set access.directory=" + cm, nil, 78, "", "no directory of users.cfg"},
		{"check", []string{"ROUNDHOUSE_LOOPS=x"}, 78, "", "environment: field \"ROUNDHOUSE_LOOPS\""},
		{"check --set loops=x --set relay.listen=y", nil, 78, "", "--set: field \"loops\": value \"x\": a whole number\n--set: field \"relay.listen\""},
		{"serve -t -c " + wrong, nil, 78, "", "lops"},
		{"serve --test -c " + right, nil, 0, "the configuration is right", ""},
		{"serve -T -c " + right, nil, 0, "token = \"***\"", ""},
		{"serve --dump --set loops=3", nil, 0, "loops = 3\n", ""},
		{"serve -c " + wrong, nil, 78, "", "lops"},
		{"version", nil, 0, "roundhouse devel", ""},
		{"completion bash", nil, 0, "bash completion", ""},
		{"nothing", nil, 2, "", "unknown command \"nothing\" for \"roundhouse\"\nsee: roundhouse --help\n"},
		{"serve --nothing", nil, 2, "", "unknown flag: --nothing\nsee: roundhouse serve --help\n"},
		{"serve stray", nil, 2, "", "see: roundhouse serve --help"},
		{"check -c", nil, 2, "", "flag needs an argument"},
	} {
		var out, errOut bytes.Buffer
		code := run(strings.Fields(row.args), row.environ, &out, &errOut)
		if code != row.code || !strings.Contains(out.String(), row.out) || !strings.Contains(errOut.String(), row.err) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", row.args, code, row.code, out.String(), errOut.String())
		}
		if row.err == "" && errOut.Len() > 0 || strings.Contains(out.String()+errOut.String(), "hunter2") {
			t.Errorf("%s: printed\n%s%s", row.args, out.String(), errOut.String())
		}
	}
}

func TestVersionAsJSON(t *testing.T) {
	var out bytes.Buffer
	var version struct{ Version, Go string }
	if code := run([]string{"version", "--json"}, nil, &out, &out); code != 0 || json.Unmarshal(out.Bytes(), &version) != nil || version.Go == "" {
		t.Errorf("exit code %d, %s", code, out.String())
	}
}

func TestServe(t *testing.T) {
	defer func(f func(context.Context, *config.Config, *reloader, *slog.Logger) error) {
		runServer = f
	}(runServer)
	for _, row := range []struct {
		fails error
		code  int
		err   string
	}{{nil, 0, ""}, {errors.New("no luck"), 1, "roundhouse: no luck\n"}} {
		var loops int
		runServer = func(ctx context.Context, cfg *config.Config, _ *reloader, _ *slog.Logger) error {
			loops = cfg.Loops
			return errors.Join(ctx.Err(), row.fails)
		}
		var out, errOut bytes.Buffer
		code := run([]string{"serve", "--set", "loops=3"}, []string{"ROUNDHOUSE_NOTHING=1"}, &out, &errOut)
		if code != row.code || loops != 3 || !strings.HasSuffix(errOut.String(), row.err) {
			t.Errorf("exit code %d, loops %d, %s", code, loops, errOut.String())
		}
		if !strings.Contains(errOut.String(), `"warning":"field \"ROUNDHOUSE_NOTHING\": no such key"`) {
			t.Errorf("the warning is not in the log: %s", errOut.String())
		}
	}
}
