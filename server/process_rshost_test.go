package server_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// rshost runs the program under the name of rshost with orders for a running one, and returns what it printed.
func rshost(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(binary(t, "roundhouse"), args...)
	cmd.Args[0] = "rshost"
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// TestRshost runs a relay with an rs.config as the original's rshost did, has it apply the file again, right and wrong, and archive its log.
func TestRshost(t *testing.T) {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "rs.config"), filepath.Join(dir, "relay.log")
	addr, adminAddr := freeAddr(t), freeAddr(t)
	config := func(more string) string {
		return "[options]\nverbosity = 1\nx_listen = " + addr + "\nx_admin_listen = " + adminAddr + "\n[backend_farm]\nid = f\n" +
			"[backend_server]\nfarm = f\nid = s1\ntoken = secret\n" + more
	}
	rewrite(t, file, config(""))
	rewrite(t, log, "what was there before\n")
	cmd := exec.Command(binary(t, "roundhouse"), "-f", file, "-ot", log, "-os", "100K", "-q", "-qc", "-oq")
	cmd.Args[0] = "rshost"
	c := startCommand(t, cmd)
	logged := func() string {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	eventually(t, "it listens", func() bool { return strings.Contains(logged(), "listening door=relay addr="+addr) })
	shape := regexp.MustCompile(`^[EWID]\. \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} <\d+\.\d+(\.[FBSR\d]+)?> `)
	for line := range strings.Lines(logged()) {
		if !shape.MatchString(line) {
			t.Errorf("a line of another shape: %q", line)
		}
	}
	eventually(t, "it serves", func() bool { return ask("GET", "http://"+adminAddr+"/readyz", "").status == http.StatusOK })

	rewrite(t, file, config("[backend_farm]\nid = g\n"))
	if code, out := rshost(t, "-u", "-f", file, "-q", "-qc"); code != 0 || !strings.Contains(out, "generation 2\n") {
		t.Errorf("-u: exit code %d: %s", code, out)
	}
	rewrite(t, file, config("[backend_farm]\nid = g\nid = \n[backend_farm]\nmax_client_buffer = much\n"))
	if code, out := rshost(t, "-u", "-f", file); code != 78 || !strings.Contains(out, "max_client_buffer") {
		t.Errorf("-u with mistakes: exit code %d: %s", code, out)
	}
	if code, out := rshost(t, "-u", "-f", filepath.Join(dir, "none")); code != 78 || !strings.Contains(out, "cannot read") {
		t.Errorf("-u with no file: exit code %d: %s", code, out)
	}
	code, out := rshost(t, "-ua", "-f", file+".right")
	if code != 78 {
		t.Errorf("-ua with no file: exit code %d: %s", code, out)
	}
	rewrite(t, file, config(""))
	if code, out = rshost(t, "-ua", "-f", file); code != 0 || !regexp.MustCompile(`/\d{6}00\.log\n$`).MatchString(out) {
		t.Fatalf("-ua: exit code %d: %s", code, out)
	}
	said := strings.Split(strings.TrimSpace(out), "\n") // warnings come first
	old, err := os.ReadFile(said[len(said)-1])
	if err != nil || !strings.Contains(string(old), "listening") || strings.Contains(string(old), "before") || strings.Contains(logged(), "listening") {
		t.Errorf("archived: %v\n%s\n--\n%s", err, old, logged())
	}
	if o := ask("POST", "http://"+adminAddr+"/api/reload?rs_config=relative", ""); o.status != http.StatusBadRequest {
		t.Errorf("a relative path: %v", o)
	}
	c.signal(syscall.SIGHUP)
	eventually(t, "it reads the file again", func() bool { return strings.Contains(logged(), "generation=3") })
	c.signal(syscall.SIGTERM)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code, _ := rshost(t, "-u", "-f", file); code != 1 {
		t.Errorf("-u with nobody there: exit code %d", code)
	}
}
