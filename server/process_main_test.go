package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// backendEnv makes the test binary a back end: some tests kill one with -9, others have more connections than a process may have twice.
// gateEnv makes this a gate.
const (
	backendEnv = "ROUNDHOUSE_TEST_BACKEND"
	gateEnv    = "ROUNDHOUSE_TEST_GATE"
)

func TestMain(m *testing.M) {
	if serveAsEngine() {
		return
	}
	if addr := os.Getenv(backendEnv); addr != "" {
		childBackend(addr)
		return
	}
	code := m.Run()
	if binDir != "" {
		_ = os.RemoveAll(binDir) // a leftover in the temporary directory does no harm
	}
	os.Exit(code)
}

var (
	binDir   string
	binOnce  sync.Once
	binError error
)

// binary builds the programs, once, and returns the path of one of them.
func binary(t testing.TB, name string) string {
	t.Helper()
	binOnce.Do(func() {
		if binDir, binError = os.MkdirTemp("", "roundhouse-test"); binError != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", binDir+"/", "roundhouse/cmd/roundhouse", "roundhouse/cmd/rsoe").CombinedOutput(); err != nil {
			binError = fmt.Errorf("%w: %s", err, out)
		}
	})
	if binError != nil {
		t.Fatal(binError)
	}
	return filepath.Join(binDir, name)
}

// child is a program that a test has started. Its log is what it writes to standard error, one JSON object a line.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  lines
	out  lines
	done chan struct{} // closed when it has ended
}

// start starts a program; it is killed at the end of the test.
func start(t testing.TB, path string, args ...string) *child {
	t.Helper()
	return startCommand(t, exec.Command(path, args...))
}

func startCommand(t testing.TB, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd, done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.cmd.Wait(); close(c.done) }() // ends with the program; exit tells how that ended
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(c.cmd.Path), tail(c.log.text()))
		}
		if strings.Contains(c.log.text(), "panic") {
			t.Errorf("%s panicked:\n%s", filepath.Base(c.cmd.Path), c.log.text())
		}
	})
	return c
}

func tail(s string) string { return s[max(0, len(s)-9000):] }

// signal sends a signal; that the program is gone is no error.
func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }

// kill kills it with -9 and waits for its end.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.done
}

// exit waits for its end and returns the exit code.
func (c *child) exit() int {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Errorf("%s did not end", filepath.Base(c.cmd.Path))
		c.kill()
	}
	return c.cmd.ProcessState.ExitCode()
}

// records are the lines of the log that hold a message.
func (c *child) records(msg string) (found []map[string]any) {
	for line := range bytes.Lines([]byte(c.log.text())) {
		var record map[string]any
		if json.Unmarshal(line, &record) == nil && record["msg"] == msg {
			found = append(found, record)
		}
	}
	return found
}

// listens waits until it listens at a door and returns the address.
func (c *child) listens(door string) (addr string) {
	c.t.Helper()
	eventually(c.t, "listening: "+door, func() bool {
		for _, r := range c.records("listening") {
			if r["door"] == door {
				addr, _ = r["addr"].(string)
			}
		}
		return addr != ""
	})
	return addr
}

// up waits until it has said n times that a lane is up.
func (c *child) up(n int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%d lanes up", n), func() bool { return len(c.records("lane up")) >= n })
}

var givenAddrs sync.Map // those that freeAddr has returned

// freeAddr is an address for something that is to come, or to come back there. Its port is none that the system gives to others, nor one
// that a test has had.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(20_000+rand.IntN(12_000))
		if _, given := givenAddrs.LoadOrStore(addr, true); given {
			continue
		}
		if ln, err := net.Listen("tcp", addr); err == nil { // else it is taken
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// relayChild is a relay server in a process of its own.
type relayChild struct {
	*child
	addr, admin string
}

// relayFile writes a configuration of the farm f with the servers s1, s2 and s3, two loops; more is added to its end.
func relayFile(t testing.TB, listen, more string) string {
	t.Helper()
	text := "loops = 2\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = [\"" + listen + "\"]\n" + more + "\n[[relay.farm]]\nid = \"f\"\nactive_cookie = false\nactive_header = false\n"
	for _, id := range []string{"s1", "s2", "s3"} {
		text += "[[relay.backend]]\nfarm = \"f\"\nid = \"" + id + "\"\ntoken = \"secret\"\n"
	}
	path := filepath.Join(t.TempDir(), "roundhouse.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startRelayChild starts a relay server and waits until it listens.
func startRelayChild(t testing.TB, listen, more string) *relayChild {
	t.Helper()
	c := start(t, binary(t, "roundhouse"), "serve", "-c", relayFile(t, listen, more))
	return &relayChild{c, c.listens("relay"), c.listens("admin")}
}

func (r *relayChild) url(path string) string {
	return "http://" + r.addr + "/cli/iarelayserver/f" + path
}

// startEnablerChild starts an enabler of server id; -d is one second.
func startEnablerChild(t testing.TB, relay, id, backend string, more ...string) *child {
	t.Helper()
	return startEnablerOf(t, relay, "f", id, backend, more...)
}

// startEnablerOf is startEnablerChild for another farm.
func startEnablerOf(t testing.TB, relay, farm, id, backend string, more ...string) *child {
	t.Helper()
	args := append([]string{"-f", farm, "-id", id, "-t", "secret", "-d", "1", "-v", "1", "-log", "json"}, more...)
	return start(t, binary(t, "rsoe"), append(args, "-cr", connString(t, relay), "-cs", connString(t, backend))...)
}

func connString(t testing.TB, addr string) string {
	host, port := split(t, addr)
	return fmt.Sprintf("host=%s;port=%d", host, port)
}

// startBackendChild starts a back end in a process of its own, at addr or, when that is empty, somewhere.
func startBackendChild(t testing.TB, addr string) (*child, string) {
	t.Helper()
	if addr == "" {
		addr = freeAddr(t)
	}
	return startBackendRole(t, addr)
}

// startBackendRole is startBackendChild with more in the environment.
func startBackendRole(t testing.TB, addr string, env ...string) (*child, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, backendEnv+"="+addr)...)
	c := startCommand(t, cmd)
	eventually(t, "the back end listens", func() bool { return strings.HasSuffix(c.out.text(), "\n") })
	return c, strings.TrimSpace(c.out.text())
}

// childBackend serves until it is killed. What it does with a request is written in its path.
func childBackend(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(ln.Addr())
	if after, err := time.ParseDuration(os.Getenv(gateEnv)); err == nil {
		fmt.Fprintln(os.Stderr, serveGate(ln, after))
		return
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go childServe(c) // ends with its connection; the process does not wait
	}
}

// childServe answers the requests of a connection: /head not at all, /length and /chunked with the first half of a body,
// /upload when it has begun, /upgrade with a 101 and an echo, everything else with "alive".
func childServe(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		path, err := readRequestHead(in)
		if err != nil {
			return
		}
		switch path {
		case "/length":
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
		case "/chunked":
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
		case "/upgrade":
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
		case "/head", "/upload":
		default:
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive")
		}
	}
}

// readRequestHead reads the head of a request and returns its path.
func readRequestHead(in *bufio.Reader) (path string, err error) {
	first, err := in.ReadString('\n')
	for line := first; err == nil && line != "\r\n"; {
		line, err = in.ReadString('\n')
	}
	if f := strings.Fields(first); len(f) > 1 {
		path = f[1]
	}
	return path, err
}
