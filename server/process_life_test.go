package server_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// rsoeIn is a command rsoe whose file for -s is below dir.
func rsoeIn(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary(t, "rsoe"), args...)
	cmd.Env = append(os.Environ(), "RSOE_RUN_DIR="+filepath.Join(dir, "rsoe"), "NOTIFY_SOCKET=")
	return cmd
}

// enablerArgs are the arguments of an enabler of server id.
func enablerArgs(t testing.TB, relay, id, backend string, more ...string) []string {
	return append([]string{"-f", "f", "-id", id, "-t", "secret", "-d", "1", "-v", "1", "-log", "json", "-cr", connString(t, relay), "-cs", connString(t, backend)}, more...)
}

// TestEnablerStops ends enablers by rsoe -s.
func TestEnablerStops(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	r := startRelayChild(t, "127.0.0.1:0", "")
	dir := t.TempDir()
	first := startCommand(t, rsoeIn(t, dir, enablerArgs(t, r.addr, "s1", backend)...))
	second := startCommand(t, rsoeIn(t, dir, enablerArgs(t, r.addr, "s2", backend)...))
	r.up(4)
	killed := startCommand(t, rsoeIn(t, dir, enablerArgs(t, r.addr, "s3", backend)...))
	r.up(6)
	killed.kill() // leaves its file behind
	stop := func(code int, want string, args ...string) {
		t.Helper()
		c := startCommand(t, rsoeIn(t, dir, append([]string{"-s"}, args...)...))
		if got := c.exit(); got != code || !strings.Contains(c.out.text()+c.log.text(), want) {
			t.Errorf("rsoe -s %v: exit code %d, want %d\n%s%s", args, got, code, c.out.text(), c.log.text())
		}
	}
	stop(1, fmt.Sprintf("process %d: farm f, id s2", second.cmd.Process.Pid))
	stop(1, "no such enabler", "-f", "f", "-id", "s3")
	stop(0, fmt.Sprintf("ended: process %d: farm f, id s1", first.cmd.Process.Pid), "-f", "f", "-id", "s1")
	if code := first.exit(); code != 0 {
		t.Errorf("the first has ended with %d", code)
	}
	if o := ask("GET", r.url("/"), ""); o.status != 200 {
		t.Errorf("through the second: %v", o)
	}
	stop(0, "ended: ")
	if code := second.exit(); code != 0 {
		t.Errorf("the second has ended with %d", code)
	}
	stop(1, "no such enabler")
}

// TestEnablerInBackground starts an enabler by -ud: rsoe returns when that runs, and passes on what is wrong.
func TestEnablerInBackground(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	r := startRelayChild(t, "127.0.0.1:0", "")
	dir := t.TempDir()
	log := filepath.Join(dir, "oe.log")
	t.Cleanup(func() { _ = rsoeIn(t, dir, "-s").Run() }) // fails when it has ended, as it should
	c := startCommand(t, rsoeIn(t, dir, enablerArgs(t, r.addr, "s1", backend, "-ud", "-o", log)...))
	if code := c.exit(); code != 0 { // Wait returns when nobody has its standard streams any more
		t.Fatalf("exit code %d\n%s", code, c.log.text())
	}
	said := regexp.MustCompile(`^process (\d+) runs in the background\n$`).FindStringSubmatch(c.out.text())
	if said == nil {
		t.Fatal(c.out.text())
	}
	r.up(2)
	if o := ask("GET", r.url("/"), ""); o.status != 200 {
		t.Error(o)
	}
	eventually(t, "its log says so", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), "lane up")
	})
	if fd, err := os.Readlink("/proc/" + said[1] + "/fd/2"); err != nil || fd != os.DevNull {
		t.Error("standard error is", fd, err)
	}
	s := startCommand(t, rsoeIn(t, dir, "-s"))
	if code := s.exit(); code != 0 || !strings.Contains(s.out.text(), "process "+said[1]) {
		t.Errorf("rsoe -s: exit code %d\n%s%s", code, s.out.text(), s.log.text())
	}
	c = startCommand(t, rsoeIn(t, dir, enablerArgs(t, r.addr, "s1", backend, "-ud", "-o", filepath.Join(dir, "none", "oe.log"))...))
	if code := c.exit(); code != 78 || !strings.Contains(c.log.text(), "no such file") {
		t.Errorf("exit code %d\n%s", code, c.log.text())
	}
}

// TestEnablerTellsSystemd gives an enabler the socket of a service manager: it is ready with the first lane, not before.
func TestEnablerTellsSystemd(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	told := func(within time.Duration) string {
		b := make([]byte, 1000)
		if err := socket.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		n, _ := socket.Read(b) // nothing when it was told nothing
		return string(b[:n])
	}
	addr := freeAddr(t)
	cmd := rsoeIn(t, t.TempDir(), enablerArgs(t, addr, "s1", backend)...)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	e := startCommand(t, cmd)
	eventually(t, "it misses the relay", func() bool { return len(e.records("no list of relay servers; trying again")) > 0 })
	if s := told(50 * time.Millisecond); s != "" {
		t.Errorf("without a lane, systemd is told %q", s)
	}
	startRelayChild(t, addr, "")
	if s := told(patience); !strings.HasPrefix(s, "READY=1") {
		t.Errorf("with a lane, systemd is told %q", s)
	}
	e.signal(syscall.SIGTERM)
	if s := told(patience); s != "STOPPING=1" {
		t.Errorf("at the end, systemd is told %q", s)
	}
	if code := e.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestEnablerIsWatched asks an enabler for its health and metrics.
func TestEnablerIsWatched(t *testing.T) {
	backend := startCounted(t, "alive", "").addr
	addr := freeAddr(t)
	e := startCommand(t, rsoeIn(t, t.TempDir(), enablerArgs(t, addr, "s1", backend, "-metrics", "127.0.0.1:0")...))
	url := "http://" + e.listens("admin")
	if o := ask("GET", url+"/healthz", ""); o.status != 200 {
		t.Error("/healthz", o)
	}
	eventually(t, "it is not ready", func() bool {
		o := ask("GET", url+"/readyz", "")
		return o.status == 503 && o.body == "no lane to a relay\n"
	})
	r := startRelayChild(t, addr, "")
	eventually(t, "it is ready", func() bool { return ask("GET", url+"/readyz", "").status == 200 })
	r.up(2)
	for range 3 {
		if o := ask("GET", r.url("/"), ""); o.status != 200 {
			t.Error(o)
		}
	}
	eventually(t, "it counts", func() bool {
		text := ask("GET", url+"/metrics", "").body
		for _, line := range []string{`rsoe_channels{farm="f",kind="http",server="s1"} 2`, `rsoe_requests_total{code="200",farm="f",method="GET"} 3`,
			`rsoe_backend_up{farm="f",server="s1"} 1`, `rsoe_oe_connected{farm="f",server="s1"} 1`, `rsoe_inflight{farm="f",server="s1"} 0`,
			`rsoe_request_seconds_count{farm="f",phase="rtp"} 3`, "rsoe_dropped_log_lines_total 0"} {
			if !strings.Contains(text, "\n"+line+"\n") {
				return false
			}
		}
		return strings.Contains(text, "\nrsoe_up{node=") && !strings.Contains(text, "\nrs_")
	})
	problems, err := promlint.New(strings.NewReader(ask("GET", url+"/metrics", "").body)).Lint()
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
