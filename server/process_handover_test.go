package server_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// generations is a server that is replaced by new processes. All of them write to one log.
type generations struct {
	t     testing.TB
	path  string // of the log
	first *exec.Cmd
	pids  []int
}

// startGenerations starts the first process. Those after it become children of the test when the one before them ends.
func startGenerations(t testing.TB, path string, args ...string) *generations {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }) // does no harm
	g := &generations{t: t, path: filepath.Join(t.TempDir(), "log")}
	// A file: a pipe would have to be read until the last process has closed it.
	log, err := os.Create(g.path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	g.first = exec.Command(path, args...)
	g.first.Stderr = log
	if err := g.first.Start(); err != nil {
		t.Fatal(err)
	}
	g.pids = []int{g.first.Process.Pid}
	t.Cleanup(func() {
		for _, pid := range g.pids {
			if pid != 0 { // not reaped: the number is that of our process
				_ = syscall.Kill(pid, syscall.SIGKILL)
				var status syscall.WaitStatus
				_, _ = syscall.Wait4(pid, &status, 0, nil)
			}
		}
		if t.Failed() {
			t.Log(tail(g.text()))
		}
	})
	return g
}

func (g *generations) text() string {
	b, err := os.ReadFile(g.path)
	if err != nil {
		g.t.Error(err)
	}
	return string(b)
}

// records are the lines of the log that hold a message.
func (g *generations) records(msg string) []map[string]any {
	c := child{}
	_, _ = c.log.Write([]byte(g.text()))
	return c.records(msg)
}

// addrs waits until the newest process listens, and returns where.
func (g *generations) addrs() (relay, admin string) {
	g.t.Helper()
	at := map[string]string{}
	eventually(g.t, "it listens", func() bool {
		all := g.records("listening")
		for _, r := range all {
			door, _ := r["door"].(string)
			at[door], _ = r["addr"].(string)
		}
		return len(all) == 2*len(g.pids)
	})
	return at["relay"], at["admin"]
}

// replace has the newest process replaced and waits until that has ended; it returns its exit code.
func (g *generations) replace() (code int) {
	g.t.Helper()
	old := len(g.pids) - 1
	if err := syscall.Kill(g.pids[old], syscall.SIGUSR2); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "a new process serves", func() bool { return len(g.records("a new process serves")) == old+1 })
	pid, _ := g.records("a new process serves")[old]["pid"].(float64)
	g.pids = append(g.pids, int(pid))
	return g.exit(old)
}

// exit waits for the end of a process and returns its exit code.
func (g *generations) exit(i int) int {
	g.t.Helper()
	var status syscall.WaitStatus
	eventually(g.t, "the process ends", func() bool {
		pid, err := syscall.Wait4(g.pids[i], &status, syscall.WNOHANG, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		return pid == g.pids[i]
	})
	g.pids[i] = 0
	return status.ExitStatus()
}

// TestReplace replaces the server twice, the second time by another file, while 200 requests a second come, each on a connection
// of its own: none is refused and none fails.
func TestReplace(t *testing.T) {
	const perSecond = 200
	path := filepath.Join(t.TempDir(), "roundhouse")
	copyFile(t, binary(t, "roundhouse"), path)
	g := startGenerations(t, path, "serve", "-c", relayFile(t, "127.0.0.1:0", "")) // each process asks for any port
	relay, admin := g.addrs()

	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: patience}
	var sent, answered atomic.Int64
	var asking sync.WaitGroup
	get := func(url string, want int) {
		sent.Add(1)
		resp, err := client.Get(url)
		if err != nil {
			t.Errorf("lost: %v", err)
			return
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", url, resp.Status)
			return
		}
		answered.Add(1)
	}
	stop := make(chan struct{})
	asking.Go(func() { // ends with stop
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			asking.Go(func() { get("http://"+relay+"/no/such/page", 404) }) // end with their answers
			if n%10 == 0 {
				asking.Go(func() { get("http://"+admin+"/readyz", 200) })
			}
		}
	})
	more := func() {
		from := answered.Load()
		eventually(t, "requests are answered", func() bool { return answered.Load() > from+perSecond/2 })
	}
	more()
	if code := g.replace(); code != 0 {
		t.Errorf("the first process: exit code %d", code)
	}
	more()
	newer := path + ".new"
	copyFile(t, path, newer)
	if err := os.Rename(newer, path); err != nil {
		t.Fatal(err)
	}
	if code := g.replace(); code != 0 {
		t.Errorf("the second process: exit code %d", code)
	}
	more()
	close(stop)
	asking.Wait()
	if again, alsoAdmin := g.addrs(); again != relay || alsoAdmin != admin {
		t.Errorf("it listens at %s and %s, not %s and %s", again, alsoAdmin, relay, admin)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", g.pids[2])); err != nil || exe != path {
		t.Errorf("it executes %s, %v", exe, err)
	}
	t.Logf("%d sent, %d answered", sent.Load(), answered.Load())
	if err := syscall.Kill(g.pids[2], syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if code := g.exit(2); code != 0 {
		t.Errorf("the last process: exit code %d", code)
	}
}

// TestReplaceFails puts a program there that cannot serve, and then a good one: the server serves on until then.
func TestReplaceFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roundhouse")
	copyFile(t, binary(t, "roundhouse"), path)
	config := relayFile(t, "127.0.0.1:0", "")
	g := startGenerations(t, path, "serve", "-c", config)
	relay, _ := g.addrs()
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(config, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte("nonsense = 1\n"))
	if err := syscall.Kill(g.pids[0], syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says why not", func() bool { return len(g.records("the server was not replaced and serves on")) == 1 })
	why, _ := g.records("the server was not replaced and serves on")[0]["error"].(string)
	if !strings.HasSuffix(why, "it ended before it was ready: exit status 78") {
		t.Error(why)
	}
	if o := ask("GET", "http://"+relay+"/no/such/page", ""); o.status != 404 {
		t.Error(o)
	}
	write(good)
	if code := g.replace(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if o := ask("GET", "http://"+relay+"/no/such/page", ""); o.status != 404 {
		t.Error(o)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o700); err != nil {
		t.Fatal(err)
	}
}
