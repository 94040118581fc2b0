package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/frame"
	"roundhouse/enginepool/sdk"
	"roundhouse/enginepool/sdk/engines"
	"roundhouse/server"
	"roundhouse/server/config"
)

// controlPassword is that of every engine door under test.
const controlPassword = "sesame"

// engineUnderTest is a real server whose engine door is open, and what is needed to reach it. Its engines are this test binary.
type engineUnderTest struct {
	t      testing.TB
	server *server.Server
	cfg    *config.Config
	addr   string // of the first client listener
	log    *lines
	cancel context.CancelFunc
	done   chan error
}

// startEngines starts a server with an engine door on a free port and two loops; change may be nil. Its engines are of the type lab. When
// the test ends, the server is drained, and no process, goroutine or descriptor of it may be left.
func startEngines(t testing.TB, change func(*config.Config)) *engineUnderTest {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Listen, cfg.Admin.Listen = nil, "127.0.0.1:0"
	cfg.Loops = 2
	cfg.DrainGrace = 0
	cfg.Engine.Listen = []string{"127.0.0.1:0"}
	cfg.Engine.ControlPassword = controlPassword
	cfg.Engine.Client.PollInterval = time.Minute // else a client in a dialogue is told after a second that its call still runs
	cfg.Engine.Process.StopTimeout = 2 * time.Second
	cfg.Engine.Process.BreakTimeout = 2 * time.Second
	cfg.Engine.Process.KillTimeout = time.Second
	cfg.Engine.Process.Env = []string{"GORACE=atexit_sleep_ms=0"} // else an engine with the race detector takes a second to end
	cfg.Engine.Types = []config.EngineType{{Name: "default", Command: engineCommand("lab")}}
	if change != nil {
		change(cfg)
	}
	checkNothingLeft(t)
	s := &engineUnderTest{t: t, cfg: cfg, log: &lines{}, done: make(chan error, 1)}
	var err error
	if s.server, err = server.New(cfg, s.log.logger()); err != nil {
		t.Fatal(err)
	}
	s.addr = s.server.EngineAddrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.server.Run(ctx) }() // ends with ctx; stop waits for it
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error("the server ended with", err)
		}
		if s.log.has("panic") || s.log.has("BUG") {
			t.Error("the log has a panic or a BUG")
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("log:\n%s", tail(s.log.text()))
		}
	})
	return s
}

// engineCommand is the command line of this test binary as an engine: lab, or one of package engines.
func engineCommand(name string) string { return `"` + os.Args[0] + `" engine ` + name }

// stop drains the server and returns what Run said.
func (s *engineUnderTest) stop() error {
	s.cancel()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(2 * patience):
		s.t.Error("the server did not stop")
		return nil
	}
}

// logged waits until one line of the log has all of these words.
func (s *engineUnderTest) logged(words ...string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("a line of the log with %q", words), func() bool { return s.log.line(words...) != "" })
}

// line is the first line of the log that has all of these words, or "".
func (l *lines) line(words ...string) string {
	for line := range strings.Lines(l.text()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return line
		}
	}
	return ""
}

// engineRow is an engine as code -1 lists it.
type engineRow struct {
	mine, name, category, state, application, user, procedure, client string
	requests                                                          string
	pid                                                               int
	mode                                                              string
}

// rows asks for the list of engines with a connection of its own.
func (s *engineUnderTest) rows() []engineRow {
	s.t.Helper()
	c := s.dial()
	defer c.close()
	return engineRows(s.t, c.ask("-1^1^"))
}

// engineRows reads the reply to a -1 with charflag, without a prefix.
func engineRows(t testing.TB, reply string) (rows []engineRow) {
	t.Helper()
	body, ok := strings.CutPrefix(reply, "0^")
	if body, ok2 := strings.CutSuffix(body, "^"); ok && ok2 {
		return engineArray(t, body)
	}
	t.Fatalf("not a list of engines: %q", reply)
	return nil
}

// engineArray reads a dynamic array of engines.
func engineArray(t testing.TB, body string) (rows []engineRow) {
	t.Helper()
	if body == "" {
		return nil
	}
	for _, field := range strings.Split(body, "\xfe") {
		v := strings.Split(field, "\xfd")
		if len(v) != 17 {
			t.Fatalf("%d columns: %q", len(v), field)
		}
		pid, err := strconv.Atoi(v[12])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, engineRow{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[10], pid, v[14]})
	}
	return rows
}

// eventuallyRows waits until the list of engines is as ok wants it.
func (s *engineUnderTest) eventuallyRows(what string, ok func(rows []engineRow) bool) {
	s.t.Helper()
	var last []engineRow
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("last rows: %+v", last)
		}
	})
	eventually(s.t, what, func() bool { last = s.rows(); return ok(last) })
}

// enginesIn returns how many of rows are in a state.
func enginesIn(rows []engineRow, state string) (n int) {
	for _, r := range rows {
		if r.state == state {
			n++
		}
	}
	return n
}

// engineClient is a client of the engine door that knows nothing but frames. In the texts that it takes and gives, ^ stands for the byte
// 1 and ~ for the byte 2.
type engineClient struct {
	t    testing.TB
	conn *net.TCPConn
	in   *bufio.Reader
}

var (
	toWire   = strings.NewReplacer("^", "\x01", "~", "\x02")
	fromWire = strings.NewReplacer("\x01", "^", "\x02", "~")
)

// dial connects to the first client listener.
func (s *engineUnderTest) dial() *engineClient { s.t.Helper(); return dialEngines(s.t, s.addr) }

// dialEngines connects to a client listener. The connection is closed when the test ends.
func dialEngines(t testing.TB, addr string) *engineClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &engineClient{t: t, conn: conn.(*net.TCPConn), in: bufio.NewReaderSize(conn, 64<<10)}
}

// login connects and logs in to the application APP as user u, whose reply must be success.
func (s *engineUnderTest) login(mode string) *engineClient {
	s.t.Helper()
	c := s.dial()
	c.mustLogin("1^u^p^APP^" + mode + "^^^^^^")
	return c
}

// mustLogin sends a login and returns the pairs of its engineDetails.
func (c *engineClient) mustLogin(login string) map[string]string {
	c.t.Helper()
	reply := c.ask(login)
	fields := strings.Split(strings.TrimPrefix(reply, "0"), "^")
	if !strings.HasPrefix(reply, "0^") && !strings.HasPrefix(reply, "00^") || len(fields) != 5 {
		c.t.Fatalf("login %q: %q", login, reply)
	}
	pairs := map[string]string{}
	for _, pair := range strings.Split(fields[2], ";") {
		name, value, _ := strings.Cut(pair, "=")
		pairs[name] = value
	}
	return pairs
}

// write writes bytes as they are.
func (c *engineClient) write(b string) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience)) // fails as the write would
	if _, err := io.WriteString(c.conn, b); err != nil {
		c.t.Fatal(err)
	}
}

// framed makes a frame of a text with ^ and ~.
func framed(text string) string {
	return string(frame.AppendHeader(nil, len(text))) + toWire.Replace(text)
}

// send sends a frame.
func (c *engineClient) send(text string) { c.t.Helper(); c.write(framed(text)) }

// rawFrame reads a frame and returns its header and payload as they came.
func (c *engineClient) rawFrame() (header, payload string, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	b := make([]byte, frame.HeaderLen)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return "", "", err
	}
	size, _, err := frame.ParsePadded(b, frame.MaxSize)
	if err != nil {
		return "", "", err
	}
	body := make([]byte, size)
	_, err = io.ReadFull(c.in, body)
	return string(b), string(body), err
}

// read reads a frame.
func (c *engineClient) read() string {
	c.t.Helper()
	_, payload, err := c.rawFrame()
	if err != nil {
		c.t.Fatalf("no reply: %v", err)
	}
	return fromWire.Replace(payload)
}

// ask sends a frame and reads one.
func (c *engineClient) ask(text string) string {
	c.t.Helper()
	c.send(text)
	return c.read()
}

// want reads frames, each of which must be as given.
func (c *engineClient) want(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if got := c.read(); got != text {
			c.t.Fatalf("reply %.300q, want %.300q", got, text)
		}
	}
}

// talk sends the first text of each pair and wants the second.
func (c *engineClient) talk(pairs ...string) {
	c.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := c.ask(pairs[i]); got != pairs[i+1] {
			c.t.Fatalf("%.300q is answered with %.300q, want %.300q", pairs[i], got, pairs[i+1])
		}
	}
}

// ended wants the end of the connection, and nothing before it.
func (c *engineClient) ended() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	b, err := io.ReadAll(c.in)
	if isTimeout(err) || len(b) > 0 {
		c.t.Fatalf("%.100q, %v instead of the end", b, err)
	}
}

func (c *engineClient) close() { c.conn.Close() }

// address is the client's own.
func (c *engineClient) address() string { return c.conn.LocalAddr().String() }

// checkNothingLeft compares, when the test ends, processes, goroutines and descriptors with those of now. What is cleaned up was to be
// registered later than this.
func checkNothingLeft(t testing.TB) {
	t.Helper()
	before, files, processes := goleak.IgnoreCurrent(), openDescriptors(t), childProcesses(t)
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		more := func(now, then []string) []string {
			return slices.DeleteFunc(now, func(s string) bool { return slices.Contains(then, s) })
		}
		eventually(t, "no process is left", func() bool { return len(more(childProcesses(t), processes)) == 0 })
		eventually(t, "no descriptor is left", func() bool { return len(more(openDescriptors(t), files)) == 0 })
		// ants runs these for as long as the process lives; the last two are idle connections of earlier tests.
		goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	})
}

// openDescriptors is what this process has open, but for what the Go runtime keeps for itself.
func openDescriptors(t testing.TB) (all []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") && !strings.HasPrefix(target, "/proc/") {
			all = append(all, target)
		}
	}
	return all
}

// childProcesses are the processes that this one has started and that have not been reaped.
func childProcesses(t testing.TB) (all []string) {
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, _ := os.ReadFile(file) // the thread may have ended
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}

// alive tells whether there is a process, be it a zombie.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// serveAsEngine makes this test binary an engine, when a server has started it as one.
func serveAsEngine() bool {
	if len(os.Args) != 3 || os.Args[1] != "engine" {
		return false
	}
	e, ok := engines.New(os.Args[2])
	if os.Args[2] == "lab" {
		e, ok = newLab(), true
	}
	if !ok {
		fmt.Fprintln(os.Stderr, "no such engine")
		os.Exit(2)
	}
	if err := sdk.Serve(context.Background(), e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// lab is an engine for tests: each behaviour of package engines by its name in the first argument, and these:
//
//	raw            returns all arguments as they came, with the last delimiter
//	who            returns code, kind, procedure, and what it has logged in with, parted by |
//	pid            returns its process id
//	work n         says n times that it works, then returns "worked"
//	busy d         says nothing for a duration, whatever comes, then returns "was busy"
//	mixed          output, information, a question, output; returns "end" and the status text "status"
//	status s t     returns s with the status text t
//	fail s         sends s as output when it is not empty, then fails with "failed"
//	note f s       appends a line s to the file f, and returns nothing
//	noteask f p    asks p and appends the answer to the file f
//	commandinto f n ...  appends the answer to the command n to the file f
//	until f        runs until the file f is there, and ignores breaks; returns "seen"
//	trickle n d    sends n pieces of output, "piece 0;" and so on, with a pause of d between them
//	debug          runs until it is to debug, then returns "debugging"
//	infos n        sends n pieces of information of a byte
//
// With LAB_ECHO in its environment, it returns the arguments of everything else. In JD3 mode, the code in front of the arguments is
// skipped, but by raw. The login of the user refused is refused.
type lab struct {
	mix sdk.Engine

	// Guarded by mu.
	mu    sync.Mutex
	login sdk.Login
}

func newLab() sdk.Engine {
	l := &lab{}
	l.mix, _ = engines.New("mix")
	return sdk.Engine{Name: "lab", Version: "1", Manual: true, Login: l.logIn, Handler: l.handle}
}

func (l *lab) logIn(login sdk.Login) error {
	if login.User == "refused" {
		return &sdk.Error{Code: "LOGIN", Text: "user refused is refused"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.login = login
	return nil
}

func (l *lab) handle(c *sdk.Context) ([]byte, error) {
	raw := c.Args
	if first, rest, _ := frame.Cut(c.Args); string(first) == strconv.Itoa(c.Code) {
		c.Args = rest
	}
	b, ok := labBehaviours[c.Arg(0)]
	switch {
	case c.Arg(0) == "raw":
		return raw, nil
	case c.Arg(0) == "who":
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Appendf(nil, "%d|%s|%s|%s|%s|%s|%s|%s|%s|%s", c.Code, c.Kind, c.Procedure, l.login.User, l.login.Password, l.login.Application,
			l.login.Mode, l.login.Procedure, l.login.Flags, l.login.Location), nil
	case !ok && os.Getenv("LAB_ECHO") != "" && !slices.Contains(engines.Names(), c.Arg(0)):
		return bytes.TrimSuffix(raw, []byte{frame.Delimiter}), nil
	case !ok:
		return l.mix.Handler(c)
	}
	c.Begin()
	return b(c)
}

var labBehaviours = map[string]func(c *sdk.Context) ([]byte, error){
	"pid": func(*sdk.Context) ([]byte, error) { return []byte(strconv.Itoa(os.Getpid())), nil },
	"work": func(c *sdk.Context) ([]byte, error) {
		n, _ := strconv.Atoi(c.Arg(1))
		for i := range n {
			if err := c.Processing(min(100, i)); err != nil {
				return nil, err
			}
		}
		return []byte("worked"), nil
	},
	"busy": func(c *sdk.Context) ([]byte, error) {
		d, err := time.ParseDuration(c.Arg(1))
		<-time.After(d)
		return []byte("was busy"), err
	},
	"mixed": func(c *sdk.Context) ([]byte, error) {
		_ = c.Data([]byte("one;")) // an error comes again
		_ = c.Info("two;")
		answer, err := c.Ask("three?")
		_ = c.Data([]byte("answer=" + answer + ";"))
		c.SetStatus("status")
		return []byte("end"), err
	},
	"status": func(c *sdk.Context) ([]byte, error) { c.SetStatus(c.Arg(2)); return []byte(c.Arg(1)), nil },
	"fail": func(c *sdk.Context) ([]byte, error) {
		if c.Arg(1) != "" {
			_ = c.Data([]byte(c.Arg(1))) // an error comes again
		}
		return nil, errors.New("failed")
	},
	"note": func(c *sdk.Context) ([]byte, error) { return nil, note(c.Arg(1), c.Arg(2)) },
	"noteask": func(c *sdk.Context) ([]byte, error) {
		answer, err := c.Ask(c.Arg(2))
		if err == nil {
			err = note(c.Arg(1), answer)
		}
		return nil, err
	},
	"commandinto": func(c *sdk.Context) ([]byte, error) {
		n, _ := strconv.Atoi(c.Arg(2))
		answer, err := c.Command(n)
		if err == nil {
			err = note(c.Arg(1), answer)
		}
		return nil, err
	},
	"until": func(c *sdk.Context) ([]byte, error) {
		err := waitFor(c, func() bool { _, err := os.Stat(c.Arg(1)); return err == nil }, nil)
		return []byte("seen"), err
	},
	"trickle": func(c *sdk.Context) ([]byte, error) {
		n, _ := strconv.Atoi(c.Arg(1))
		d, err := time.ParseDuration(c.Arg(2))
		for i := 0; i < n && err == nil; i++ {
			if i > 0 {
				<-time.After(d)
			}
			err = c.Data(fmt.Appendf(nil, "piece %d;", i))
		}
		return nil, err
	},
	"debug": func(c *sdk.Context) ([]byte, error) {
		err := waitFor(c, c.Debugging, c.Done())
		return []byte("debugging"), err
	},
	"infos": func(c *sdk.Context) ([]byte, error) {
		n, _ := strconv.Atoi(c.Arg(1))
		for range n {
			if err := c.Info("i"); err != nil {
				return nil, err
			}
		}
		return nil, nil
	},
}

// waitFor waits until ok says true; until then it ends with broken, and when the server has gone.
func waitFor(c *sdk.Context, ok func() bool, broken <-chan struct{}) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-c.Gone():
			return sdk.ErrGone
		case <-broken:
			return c.Err()
		}
	}
	return nil
}

// note appends a line to a file.
func note(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\n")
	return errors.Join(err, f.Close())
}

// eventuallyNoted waits until a file has these lines.
func eventuallyNoted(t testing.TB, path string, want ...string) {
	t.Helper()
	var b []byte
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %q", filepath.Base(path), b)
		}
	})
	eventually(t, fmt.Sprintf("lines %q", want), func() bool {
		b, _ = os.ReadFile(path) // it may not be there yet
		return bytes.Equal(b, []byte(strings.Join(want, "\n")+"\n"))
	})
}

// TestEngineHarness has the harness at work.
func TestEngineHarness(t *testing.T) {
	s := startEngines(t, nil)
	for _, mode := range []string{"-1", "0", "1", "2"} {
		c := s.login(mode)
		prefix := "0"
		if mode == "-1" {
			prefix = ""
		}
		c.talk("3^echo^hello^", prefix+"0^hello^", "2^", prefix+"0^")
	}
	s.eventuallyRows("one engine of the pool for all", func(rows []engineRow) bool { return enginesIn(rows, "available") == 1 && len(rows) == 1 })
}
