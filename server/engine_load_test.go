package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/enginepool/sdk"
	"roundhouse/enginepool/sdk/engines"
	"roundhouse/server/config"
)

// fullEnv, when it is set, has the tests that take long run at full length: three minutes of a soak, 100,000 requests.
const fullEnv = "ROUNDHOUSE_TEST_FULL"

func isFull() bool { return os.Getenv(fullEnv) != "" }

// recorderArg makes this test binary the engine recorder, whatever TestMain does with other arguments.
const recorderArg = "recorder"

func init() {
	if len(os.Args) < 3 || os.Args[1] != recorderArg {
		if os.Getenv("GORACE") == "" {
			_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // else an engine of a test binary with the race detector takes a second to end
		}
		return
	}
	if err := sdk.Serve(context.Background(), newRecorder(os.Args[2], os.Args[3:])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// recorder is an engine that appends a line to a file for each procedure that the server runs on it: the kind and the procedure. More
// arguments say how such a procedure goes on: fail-KIND, slow-KIND. For clients it is mix, and this:
//
//	who           what it has logged in with, parted by |
//	pid           its process id
//	once f        the first time ends without a word and leaves the file f behind; when that is there, returns "again"
//	count f       appends a line to f, tells that it has begun, and ends its process
//	hold n        fills n MiB and waits for its end
//	spawn f       starts a process that sleeps, writes its id to f, and hangs
//	fds           the numbers of its open descriptors
//	environment   its arguments and its environment
//	nice          its niceness
type recorder struct {
	mix sdk.Engine

	// Guarded by mu.
	mu    sync.Mutex
	login sdk.Login
}

func newRecorder(file string, options []string) sdk.Engine {
	r := &recorder{}
	r.mix, _ = engines.New("mix")
	has := func(o string) bool { return strings.Contains(" "+strings.Join(options, " ")+" ", " "+o+" ") }
	return sdk.Engine{Name: "recorder", Version: "1", Manual: true, Login: r.logIn, Handler: func(c *sdk.Context) ([]byte, error) {
		if c.Kind == "client" {
			return r.handle(c)
		}
		if err := note(file, c.Kind+" "+c.Procedure); err != nil {
			return nil, err
		}
		if has("slow-" + c.Kind) {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-c.Done():
			}
		}
		if has("fail-" + c.Kind) {
			return nil, errors.New("it failed")
		}
		return nil, nil
	}}
}

func (r *recorder) logIn(l sdk.Login) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.login = l
	return nil
}

func (r *recorder) handle(c *sdk.Context) ([]byte, error) {
	switch c.Arg(0) {
	case "who":
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Appendf(nil, "%s|%s|%s|%s|%d", r.login.User, r.login.Password, r.login.Application, r.login.Procedure, os.Getpid()), nil
	case "pid":
		return []byte(strconv.Itoa(os.Getpid())), nil
	case "once":
		if _, err := os.Stat(c.Arg(1)); err != nil {
			_ = note(c.Arg(1), "once") // the test sees that it is not there
			os.Exit(1)
		}
		return []byte("again"), nil
	case "count":
		_ = note(c.Arg(1), "begun") // the test counts the lines
		c.Begin()
		os.Exit(1)
	case "hold":
		n, _ := strconv.Atoi(c.Arg(1))
		c.Begin()
		b := bytes.Repeat([]byte{1}, n<<20)
		<-c.Gone()
		return b[:1], sdk.ErrGone
	case "spawn":
		c.Begin()
		p, err := os.StartProcess("/bin/sleep", []string{"sleep", "600"}, &os.ProcAttr{})
		if err != nil {
			return nil, err
		}
		_ = note(c.Arg(1), strconv.Itoa(p.Pid)) // the test waits for it
		<-time.After(time.Minute)
		return nil, nil
	case "environment":
		return []byte(strings.Join(append(os.Args, os.Environ()...), "\n")), nil
	case "nice":
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		return []byte(strconv.Itoa(20 - n)), err // the system call returns 20 minus the niceness
	}
	return r.mix.Handler(c)
}

// recorderCommand is the command line of a recorder.
func recorderCommand(file string, options ...string) string {
	return fmt.Sprintf("%q %s %q %s", os.Args[0], recorderArg, file, strings.Join(options, " "))
}

// programCommand is the command line of an engine of the real program, which starts faster than a test binary.
func programCommand(t testing.TB, args string) string {
	return fmt.Sprintf("%q engine %s", binary(t, "roundhouse"), args)
}

// withEngine sets the command line of the engines.
func withEngine(cfg *config.Config, command string) {
	cfg.Engine.Types = []config.EngineType{{Name: "default", Command: command}}
}

// noted are the lines of a file.
func noted(path string) []string {
	b, _ := os.ReadFile(path) // it may not be there yet
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(b)), " ", "_"))
}

// connect dials and logs in with the client library. The connection is closed when the test ends.
func connect(t testing.TB, addr string, cr client.Credentials) *client.Conn {
	t.Helper()
	c, err := tryConnect(addr, cr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// tryConnect dials and logs in, within the patience of a test.
func tryConnect(addr string, cr client.Credentials) (*client.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Dial(ctx, addr, client.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, cr); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// block is a login in block mode.
var block = client.Credentials{User: "u", Password: "p", Application: "APP", Mode: client.Block}

// execute runs something within the patience of a test.
func execute(c *client.Conn, params ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	b, err := c.Execute(ctx, params...)
	return string(b), err
}

// answers executes something, whose output must be as given.
func answers(t testing.TB, c *client.Conn, want string, params ...string) {
	t.Helper()
	if got, err := execute(c, params...); err != nil || got != want {
		t.Errorf("%q is answered with %.200q, %v; want %q", params, got, err, want)
	}
}

// fails executes something, which the server must answer with the error text.
func fails(t testing.TB, c *client.Conn, text string, params ...string) {
	t.Helper()
	got, err := execute(c, params...)
	if !isAnswer(err, text) {
		t.Errorf("%q is answered with %.200q, %v; want the error %q", params, got, err, text)
	}
}

// isAnswer tells whether err is an error text of the server.
func isAnswer(err error, text string) bool {
	var e *client.ServerError
	return errors.As(err, &e) && e.Text == text
}

// output executes something that must succeed.
func output(t testing.TB, c *client.Conn, params ...string) string {
	t.Helper()
	got, err := execute(c, params...)
	if err != nil {
		t.Fatalf("%q: %v", params, err)
	}
	return got
}

// engineChildren are the processes that a process has started as engines, all of which were there at one moment.
func engineChildren(parent int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent)) // the pattern is right
	for _, file := range files {
		b, _ := os.ReadFile(file) // the thread may have ended
		for _, field := range strings.Fields(string(b)) {
			line, _ := os.ReadFile("/proc/" + field + "/cmdline") // empty for a zombie, which counts: it holds a slot
			isEngine := len(line) == 0 || bytes.Contains(line, []byte("engine")) || bytes.Contains(line, []byte(recorderArg))
			if pid, err := strconv.Atoi(field); err == nil && isEngine && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	// The files are read one after the other: who is gone by now may have been gone when the last ones came.
	return slices.DeleteFunc(pids, func(pid int) bool { return !alive(pid) })
}

// sample runs f again and again until stop is called.
func sample(every time.Duration, f func()) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop, which waits for it
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return func() { close(end); <-ended }
}

// idleFor lets a time go by that is itself what a test is about.
func idleFor(d time.Duration) { <-time.After(d) }

// flush has every loop take what it was sent before: a loop takes input in the order in which it came.
func (s *engineUnderTest) flush(probes []*engineClient) {
	s.t.Helper()
	for _, p := range probes {
		if got := p.ask("-5^"); !strings.HasPrefix(got, "0^Startup") {
			s.t.Fatalf("%q", got)
		}
	}
}

// probes are idle connections on all loops.
func (s *engineUnderTest) probes() (all []*engineClient) {
	for range 4 {
		all = append(all, s.dial())
	}
	return all
}

// engineChild is a server with an engine door in a process of its own.
type engineChild struct {
	*child
	addr, admin, file string
}

// engineFile is a configuration with an engine door whose engines are started by a command line; more is added to its end.
func engineFile(command, more string) string {
	return "loops = 2\ndrain_grace = \"0s\"\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = []\n[engine]\nlisten = [\"127.0.0.1:0\"]\n" +
		"control_password = \"" + controlPassword + "\"\n[[engine.type]]\nname = \"default\"\ncommand = '''" + command + "'''\n" + more + "\n"
}

// rewrite replaces a file in one step.
func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startEngineChild starts a server and waits until it listens.
func startEngineChild(t testing.TB, command, more string) *engineChild {
	t.Helper()
	file := filepath.Join(t.TempDir(), "roundhouse.toml")
	rewrite(t, file, engineFile(command, more))
	c := start(t, binary(t, "roundhouse"), "serve", "-c", file)
	return &engineChild{c, c.listens("engine"), c.listens("admin"), file}
}

// rss is the resident memory of a process in bytes.
func rss(t testing.TB, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// readAll reads a frame from c and hands its payload on piece by piece, so that a large one takes no memory.
func (c *engineClient) readAll(to io.Writer) (n int64, err error) {
	header := make([]byte, 8)
	_ = c.conn.SetReadDeadline(time.Now().Add(2 * patience)) // fails as the read would
	if _, err := io.ReadFull(c.in, header); err != nil {
		return 0, err
	}
	size, err := strconv.Atoi(string(header))
	if err != nil {
		return 0, err
	}
	return io.CopyN(to, c.in, int64(size))
}

// kill kills a process with -9.
func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
