package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"roundhouse/server/config"
)

func noEnv(string) string { return "" }

// runs calls rsoe and returns its exit code and all it wrote.
func runs(args ...string) (code int, text string) {
	var out bytes.Buffer
	code = run(args, noEnv, &out, &out)
	return code, out.String()
}

func TestServiceCommandLine(t *testing.T) {
	const least = " -f F -id S -cr host=h"
	for _, row := range []struct {
		args string
		code int
		out  string
	}{
		{"", 2, "what to do is missing"},
		{"-h", 0, "usage: rsoe service install"},
		{"restart", 2, `"restart": there are install, uninstall`},
		{"install a/b" + least, 2, `name "a/b"`},
		{"install ../x" + least, 2, `name "../x"`},
		{"install x -f F", 2, `option "-id": missing`},
		{"install x --print -ud" + least, 2, "-ud are not for a service"},
		{"install x --print -s" + least, 2, "not for a service"},
		{"install --user --run-as joe" + least, 2, "--run-as"},
		{"install --unit-dir", 2, "flag needs an argument"},
		{"stop x -v 1", 2, "takes no options of rsoe"},
		{"uninstall --unit-dir /nowhere", 1, "rsoe is not installed"},
		{"install x --unit-dir /nowhere/at/all --run-as no-such-user" + least, 1, "--run-as: user: unknown user no-such-user"},
		{"install x --print -e -cs https=1;identity=/nowhere" + least, 0, "the service has an environment of its own"},
		{"install x --print -cs https=1;identity=/nowhere" + least, 0, "warning: outbound: option \"-cs\": identity: open /nowhere"},
		{"start x --unit-dir /nowhere", 0, "to do: systemctl start --no-block x.service"},
		{"status --user --unit-dir=/nowhere", 0, "to do: systemctl --user status --no-pager rsoe.service"},
	} {
		if code, out := runs(append([]string{"service"}, strings.Fields(row.args)...)...); code != row.code || !strings.Contains(out, row.out) {
			t.Errorf("%s: exit code %d, want %d\n%s", row.args, code, row.code, out)
		}
	}
}

// TestServiceInstall installs a service, has its options read as rsoe will, and takes it away again.
func TestServiceInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a 100% dir")
	more := filepath.Join(t.TempDir(), "more")
	if err := os.WriteFile(more, []byte("-d 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := []string{"-f", "F", "-id", "S 1", "-t", "s3cret # of \\mine", "-cr", "host=h;http_userid=u;http_password='a;b c'", "@" + more, "-v", "1"}
	args := append([]string{"service", "install", "shop", "--unit-dir", dir}, options...)
	code, printed := runs(append(args, "--print")...)
	if _, err := os.Stat(dir); code != 0 || err == nil || strings.Contains(printed, "s3cret") || strings.Contains(printed, "b c") {
		t.Errorf("--print: exit code %d, %v\n%s", code, err, printed)
	}
	code, out := runs(args...)
	if code != 0 || !strings.Contains(out, "to do: systemctl daemon-reload\n") || !strings.Contains(out, "to do: systemctl enable shop.service\n") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	unit, err := os.ReadFile(filepath.Join(dir, "shop.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Type=notify\n", "Restart=on-failure\n", "RestartPreventExitStatus=2 78\n", "TimeoutStartSec=infinity\n", "WatchdogSec=60\n", "a 100%% dir/shop.options\"\n"} {
		if !strings.Contains(string(unit), s) || !strings.Contains(printed, s) {
			t.Errorf("no %q in\n%s", s, unit)
		}
	}
	if strings.Contains(string(unit), "s3cret") {
		t.Error("the token is in the unit")
	}
	verifyUnit(t, filepath.Join(dir, "shop.service"))
	file := filepath.Join(dir, "shop.options")
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Error(info.Mode(), err)
	}
	want, _, err := config.ParseEnabler(options, noEnv, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := config.ParseEnabler([]string{"@" + file}, noEnv, os.ReadFile)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("from the file %+v, want %+v; %v", got, want, err)
	}
	if code, out := runs("service", "uninstall", "shop", "--unit-dir", dir); code != 0 || !strings.Contains(out, "to do: systemctl disable --now shop.service\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error("left behind:", left, err)
	}
}

// verifyUnit has systemd read a unit, where there is one.
func verifyUnit(t *testing.T, path string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("no systemd-analyze: the unit is not verified")
		return
	}
	out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "shop.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestServiceOptionsFile(t *testing.T) {
	env := func(name string) string { return map[string]string{"OPTS": "-v 1"}[name] }
	for _, args := range [][]string{{"-t", `a"b`}, {"-t", "a\nb"}, {"@OPTS"}, {"@a file"}} {
		if text, err := optionsFile(args, env); err == nil {
			t.Errorf("%q is written as %s", args, text)
		}
	}
}

// TestServiceTellsSystemd has a systemctl of the test's own.
func TestServiceTellsSystemd(t *testing.T) {
	defer func(f func() bool) { systemdRuns = f }(systemdRuns)
	systemdRuns = func() bool { return true }
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := "#!/bin/sh\necho \"$@\" >> " + log + "\ncase $* in *status*) echo inactive; exit 3;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	for _, row := range []struct {
		args string
		code int
	}{
		{"install shop --user -f F -id S -cr host=h", 0}, {"start shop --user", 0}, {"status shop --user", 3}, {"stop shop", 0}, {"uninstall --user shop", 2}, {"uninstall shop --user", 0},
	} {
		if code, out := runs(append([]string{"service"}, strings.Fields(row.args)...)...); code != row.code || code == 3 && out != "inactive\n" {
			t.Errorf("%s: exit code %d\n%s", row.args, code, out)
		}
	}
	got, err := os.ReadFile(log)
	const want = `--user daemon-reload
--user enable shop.service
--user start --no-block shop.service
--user status --no-pager shop.service
stop shop.service
--user disable --now shop.service
--user daemon-reload
`
	if err != nil || string(got) != want {
		t.Errorf("systemctl was told\n%s%v", got, err)
	}
}
