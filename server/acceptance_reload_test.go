package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// reloadFile writes the n-th of many configurations: farms and servers come and go, tokens and settings change, and the farm f with its
// server s1 is always there.
func reloadFile(t testing.TB, path string, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("loops = 2\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = [\"127.0.0.1:0\"]\n")
	farm := func(id string) {
		fmt.Fprintf(&b, "[[relay.farm]]\nid = %q\nactive_cookie = %v\nactive_header = false\nmax_client_buffer = \"%dk\"\nbalance = %q\n",
			id, n%2 == 0, 512+n, []string{"round_robin", "least_conn", "p2c", "hash"}[n%4])
	}
	server := func(farm, id, token string, enable bool) {
		fmt.Fprintf(&b, "[[relay.backend]]\nfarm = %q\nid = %q\ntoken = %q\nenable = %v\n", farm, id, token, enable)
	}
	if n%3 == 0 {
		farm("other")
		server("other", "s1", "another", true)
	}
	farm("f")
	server("f", "s1", "secret", true)
	if n%5 != 1 { // removed, disabled, under another token: the enabler of s2 is sent away, and comes back
		server("f", "s2", []string{"secret", "changed"}[n%7/6], n%4 != 2)
	}
	server("f", fmt.Sprintf("new%d", n), "secret", true)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reloads runs n reloads by the command line under load, one of ten with a file that is wrong, and returns what was lost.
func reloads(t *testing.T, n int) {
	path := filepath.Join(t.TempDir(), "roundhouse.toml")
	reloadFile(t, path, 0)
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	backend := startBackend(t, echoSum)
	startEnablerChild(t, r.addr, "s1", backend)
	startEnablerChild(t, r.addr, "s2", backend)
	r.up(4)
	l := &sumLoad{url: r.url("/")}
	var stop atomic.Bool
	done := make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		for !stop.Load() {
			l.run(500, 8)
		}
	}()
	more := func(n int64) {
		from := l.sent.Load()
		eventually(t, "requests are sent", func() bool { return l.sent.Load() >= from+n })
	}
	reload := func() (string, error) {
		out, err := exec.Command(binary(t, "roundhouse"), "reload", "--admin", r.admin).CombinedOutput()
		return string(out), err
	}
	more(1000)
	before := usage(t, c)
	for i := 1; i <= n; i++ {
		if i%10 == 0 {
			if err := os.WriteFile(path, []byte("[relay]\nlisten = [\"nowhere\"]\nnonsense = 1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := reload()
			if err == nil || !strings.Contains(out, "nonsense") || !strings.Contains(out, "listen") {
				t.Errorf("a wrong file: %v, %q", err, out)
			}
		}
		reloadFile(t, path, i)
		if out, err := reload(); err != nil {
			t.Fatalf("reload %d: %v, %s", i, err, out)
		}
		more(20)
	}
	reloadFile(t, path, 0)
	if out, err := reload(); err != nil {
		t.Fatalf("the last reload: %v, %s", err, out)
	}
	more(1000)
	stop.Store(true)
	<-done
	var after process
	eventually(t, "as many descriptors as before", func() bool {
		after = usage(t, c)
		return after.descriptors <= before.descriptors
	})
	t.Logf("%d reloads: %d sent, %d answered, %d lost; descriptors %d, then %d; memory %d KiB, then %d KiB", n,
		l.sent.Load(), l.answered.Load(), l.failed.Load(), before.descriptors, after.descriptors, before.memory>>10, after.memory>>10)
	if l.failed.Load() > 0 {
		t.Error(l.why)
	}
}

// process is what a process uses.
type process struct {
	descriptors int
	memory      int64 // resident, in bytes
}

func usage(t testing.TB, c *child) (p process) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	fds, err := os.ReadDir(dir + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(dir + "fd/" + fd.Name()); err == nil && !strings.HasPrefix(to, "socket:") { // clients come and go
			p.descriptors++
		}
	}
	text, err := os.ReadFile(dir + "statm")
	if err != nil {
		t.Fatal(err)
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		t.Fatal(err)
	}
	p.memory = resident * int64(os.Getpagesize())
	return p
}

// TestAcceptance09 changes farms, servers, tokens and settings of a running relay server under load.
func TestAcceptance09(t *testing.T) { reloads(t, 100) }

// TestPromise02 is the same, shorter, or for longer with full length: what a reload leaves behind would add up.
func TestPromise02(t *testing.T) {
	n := 50
	if isFull() {
		n = 500
	}
	reloads(t, n)
}
