package server_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"roundhouse/server/config"
)

// TestReloadNamesWhatNeedsAStart: a key that is read at the start is named by every reload until it is again what it was then.
func TestReloadNamesWhatNeedsAStart(t *testing.T) {
	r := startRelay(t, nil)
	reload := func(change func(*config.Config), want ...string) {
		t.Helper()
		next := *r.cfg
		if change != nil {
			change(&next)
		}
		done, err := r.server.Reload(&next)
		if err != nil || !slices.Equal(done.NeedStart, want) {
			t.Errorf("%q, %v; want %q", done.NeedStart, err, want)
		}
	}
	other := func(c *config.Config) {
		c.Admin.Listen, c.Log.Format, c.Router.Listen = "127.0.0.1:1", "rs", []string{"tcp:_any:5101"}
	}
	for range 2 {
		reload(other, "router.listen", "admin.listen", "log.format")
	}
	reload(nil)
}

// TestSignalsWhileDraining: a process that drains is neither replaced nor ended by the signals that mean something else, and it drains as the
// last reload has said.
func TestSignalsWhileDraining(t *testing.T) {
	path := relayFile(t, "127.0.0.1:0", "")
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	g := startGate(t, 0)
	startEnablerChild(t, r.addr, "s1", g.addr)
	r.up(2)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("drain_delay = \"1ms\"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary(t, "roundhouse"), "reload", "--admin", r.admin).CombinedOutput(); err != nil || strings.Contains(string(out), "start") {
		t.Fatalf("%v: %s", err, out)
	}
	answer := begin("GET", r.url("/slow"), "")
	eventually(t, "it is at the back end", func() bool { return g.came() == 1 })
	r.signal(syscall.SIGTERM)
	eventually(t, "it waits for the new drain_delay", func() bool { return len(r.records("not ready; the listeners close later")) == 1 })
	r.signal(syscall.SIGHUP)
	eventually(t, "it says that it does not reload", func() bool {
		return len(r.records("the configuration is not read again: this process drains")) == 1
	})
	r.signal(syscall.SIGUSR2)
	eventually(t, "it says that it is not replaced", func() bool { return len(r.records("the server was not replaced: it drains")) == 1 })
	g.open()
	if o := <-answer; o.status != 200 {
		t.Error(o)
	}
	if code := r.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
