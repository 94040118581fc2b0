package handover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = time.Minute

func newSet() *set { return &set{ready: make(chan struct{})} }

// readySet returns a set that serves, as that of a running process.
func readySet(t *testing.T) *set {
	t.Helper()
	s := newSet()
	s.nowReady(testLog(t))
	return s
}

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func (s *set) mustListen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := s.listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(a.Network(), a.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what a child says on a connection: the number of the listener, its process, and how many variables it has seen that
// it should not.
func answer(t *testing.T, c net.Conn) (listener, pid, left int) {
	t.Helper()
	listener, pid, left, _ = answerKey(t, c)
	return listener, pid, left
}

// answerKey is answer with the key that the child has.
func answerKey(t *testing.T, c net.Conn) (listener, pid, left int, key string) {
	t.Helper()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &listener, &pid, &left, &key); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return listener, pid, left, key
}

// quit ends a child and waits for its end.
func quit(t *testing.T, a net.Addr) {
	t.Helper()
	c := dial(t, a)
	answer(t, c)
	if _, err := c.Write([]byte("quit\n")); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; { // until the process has ended
		_, err = c.Read(make([]byte, 1))
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestHandover passes on two listeners of the same configured address and one of a Unix socket.
func TestHandover(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	s := readySet(t)
	all := []net.Listener{s.mustListen(t, "tcp", "127.0.0.1:0"), s.mustListen(t, "tcp", "127.0.0.1:0"), s.mustListen(t, "unix", path)}
	closed := s.mustListen(t, "tcp", "127.0.0.1:0")
	closed.Close()
	t.Setenv(modeEnv, "serve")
	t.Setenv(listenEnv, "tcp 127.0.0.1:0,tcp 127.0.0.1:0,unix "+path)
	waiting := dial(t, all[0].Addr()) // nobody accepts it here
	if err := s.start(t.Context(), testLog(t), startLimits); err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context(), testLog(t), startLimits); err == nil || err.Error() != "handover: a new process serves already" {
		t.Error(err)
	}
	for _, ln := range all {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
	_, first, _ := answer(t, waiting)
	for i, ln := range all {
		listener, pid, left, key := answerKey(t, dial(t, ln.Addr()))
		if listener != i || pid != first || pid == os.Getpid() || left != 0 {
			t.Errorf("listener %d is %d of process %d, which sees %d variables", i, listener, pid, left)
		}
		if want := hex.EncodeToString(s.secret()); key != want || len(want) != 2*keyLen || want == hex.EncodeToString(newSet().secret()) {
			t.Errorf("the new process has the key %s, this one %s", key, want)
		}
	}
	quit(t, all[2].Addr())
	eventually(t, "the socket's file is removed by its last owner", func() bool {
		_, err := os.Stat(path)
		return errors.Is(err, os.ErrNotExist)
	})
}

// TestFailedHandover: the new process does not make it; the old one serves on and can try again.
func TestFailedHandover(t *testing.T) {
	s := readySet(t)
	ln := s.mustListen(t, "tcp", "127.0.0.1:0")
	t.Setenv(listenEnv, "tcp 127.0.0.1:0")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.start(cancelled, testLog(t), startLimits); err == nil { // what the runtime opens for itself
		t.Fatal("it was started")
	}
	before := descriptors(t)
	for _, row := range []struct {
		mode string
		ctx  context.Context
		most limits
		want string
	}{
		{"die", t.Context(), startLimits, "it ended before it was ready: exit status 7"},
		{"leave", t.Context(), limits{10 * time.Second, patience}, "it ended before it was ready: exit status 8"},
		{"hang", t.Context(), limits{300 * time.Millisecond, patience}, "it was not ready within 300ms"},
		{"stubborn", t.Context(), limits{2 * time.Second, 50 * time.Millisecond}, "it was not ready within 2s"},
		{"hang", cancelled, startLimits, "it was given up: context canceled"},
	} {
		t.Setenv(modeEnv, row.mode)
		err := s.start(row.ctx, testLog(t), row.most)
		if err == nil || !strings.HasPrefix(err.Error(), "handover: new process ") || !strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("%s: %v", row.mode, err)
		}
	}
	s.program = "/nowhere/program"
	if err := s.start(t.Context(), testLog(t), startLimits); err == nil || err.Error() != "handover: exec /nowhere/program: no such file or directory" {
		t.Error(err)
	}
	s.program = ""
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
	c := dial(t, ln.Addr())
	here, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	here.Close()
	c.Close()
	t.Setenv(modeEnv, "serve")
	if err := s.start(t.Context(), testLog(t), startLimits); err != nil {
		t.Fatal(err)
	}
	quit(t, ln.Addr())
}

// TestStartRefused: only a process that serves can be replaced, and not twice at a time.
func TestStartRefused(t *testing.T) {
	s := newSet()
	if err := s.start(t.Context(), testLog(t), startLimits); err == nil || err.Error() != "handover: this process is not ready itself" {
		t.Error(err)
	}
	s.nowReady(testLog(t))
	s.nowReady(testLog(t)) // nothing happens
	s.phase = phaseStarting
	if err := s.start(t.Context(), testLog(t), startLimits); err == nil || err.Error() != "handover: a new process is being started already" {
		t.Error(err)
	}
}

// TestUnclaimed: a listener that the new process does not want is closed there.
func TestUnclaimed(t *testing.T) {
	s := readySet(t)
	kept, left := s.mustListen(t, "tcp", "127.0.0.1:0"), s.mustListen(t, "tcp", "localhost:0")
	t.Setenv(modeEnv, "serve")
	t.Setenv(listenEnv, "tcp "+kept.Addr().String()) // by its real address
	if err := s.start(t.Context(), testLog(t), startLimits); err != nil {
		t.Fatal(err)
	}
	kept.Close()
	left.Close()
	if c, err := net.Dial("tcp", left.Addr().String()); err == nil {
		c.Close()
		t.Error("it is still open")
	}
	quit(t, kept.Addr())
}

// notifySocket takes what is sent to systemd.
func notifySocket(t *testing.T, name string) (read func() string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", name)
	return func() string {
		b := make([]byte, 1000)
		n, err := c.Read(b)
		if err != nil {
			t.Error(err)
		}
		return string(b[:n])
	}
}

// TestActivation starts a server as systemd does.
func TestActivation(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	said := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run := func(pid string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command("sh", "-c", "LISTEN_PID="+pid+` exec "$0"`, os.Args[0])
		cmd.Env = append(os.Environ(), modeEnv+"=serve", listenEnv+"=tcp "+ln.Addr().String(), "LISTEN_FDS=1", "LISTEN_FDNAMES=relay.socket")
		cmd.ExtraFiles = []*os.File{f}
		out := new(bytes.Buffer)
		cmd.Stderr = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	other, out := run("1") // not meant for it
	if err := other.Wait(); err == nil || !strings.Contains(out.String(), "address already in use") {
		t.Errorf("%v: %s", err, out)
	}
	cmd, _ := run("$$")
	if got, want := said(), fmt.Sprintf("READY=1\nMAINPID=%d", cmd.Process.Pid); got != want {
		t.Errorf("systemd heard %q, want %q", got, want)
	}
	if _, pid, left := answer(t, dial(t, ln.Addr())); pid != cmd.Process.Pid || left != 0 {
		t.Errorf("process %d answers, which sees %d variables", pid, left)
	}
	quit(t, ln.Addr())
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestNotify sends to an abstract socket, as systemd of users has it, and to names that are none.
func TestNotify(t *testing.T) {
	said := notifySocket(t, fmt.Sprintf("@roundhouse-test-%d", os.Getpid()))
	Stopping(testLog(t))
	if got := said(); got != "STOPPING=1" {
		t.Errorf("systemd heard %q", got)
	}
	t.Setenv("NOTIFY_SOCKET", "vsock:2:1")
	if err := notify("READY=1"); err == nil {
		t.Error("vsock is not known")
	}
	t.Setenv("NOTIFY_SOCKET", "/nowhere/at/all")
	if err := notify("READY=1"); err == nil {
		t.Error("nobody is there")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Error(err)
	}
}

// TestWatchdog tells systemd that a process works, after each beat and not without one, and not when another process is watched.
func TestWatchdog(t *testing.T) {
	said := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	log := slog.New(slog.DiscardHandler)
	for _, nothing := range [][2]string{{"", ""}, {"x", ""}, {"1", ""}, {"99999999999999999999", ""}, {"1000", "1"}} {
		t.Setenv("WATCHDOG_USEC", nothing[0])
		t.Setenv("WATCHDOG_PID", nothing[1])
		Watchdog(t.Context(), log, func() { t.Error("it beats:", nothing) })
	}
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	beats, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with ctx
		defer close(ended)
		Watchdog(ctx, log, func() {
			select {
			case <-beats:
			case <-ctx.Done():
			}
		})
	}()
	for range 3 {
		beats <- struct{}{}
		if got := said(); got != "WATCHDOG=1" {
			t.Errorf("systemd heard %q", got)
		}
	}
	cancel()
	<-ended
}

// TestInheritNonsense: what the environment says is not believed.
func TestInheritNonsense(t *testing.T) {
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	plain, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(plain)
	for name, value := range map[string]string{
		envListeners: fmt.Sprintf(`[{"fd":%d},{"fd":%d},{"fd":-1},{"fd":1000000}]`, pipe.Fd(), plain), // 4 mistakes
		envReady:     fmt.Sprint(plain),
		"LISTEN_PID": fmt.Sprint(os.Getpid()),
		"LISTEN_FDS": "many",
		envKey:       "abcd",
	} {
		t.Setenv(name, value)
	}
	s := newSet()
	s.inherit()
	if len(s.secret()) != keyLen {
		t.Errorf("a key of %d bytes", len(s.secret()))
	}
	if len(s.mistakes) != 6 || len(s.inherited) != 0 || s.tell != nil || leftEnv() != 0 {
		t.Errorf("%d listeners, %d variables, %d mistakes: %v", len(s.inherited), leftEnv(), len(s.mistakes), errors.Join(s.mistakes...))
	}
	for _, fd := range []int{int(pipe.Fd()), plain} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d was not left alone: %v", fd, err)
		}
	}
	t.Setenv(envListeners, "{")
	t.Setenv(envReady, "x")
	s = newSet()
	s.inherit()
	if len(s.mistakes) != 2 {
		t.Error(s.mistakes)
	}
	s.nowReady(testLog(t))
}

// TestGate: an inherited listener accepts when the process is ready; until then it can be closed.
func TestGate(t *testing.T) {
	open := func(s *set) *listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := &listener{Listener: ln, set: s, gate: s.ready, closed: make(chan struct{})}
		t.Cleanup(func() { l.Close() })
		return l
	}
	s := newSet()
	var all sync.WaitGroup
	closed, taken := open(s), open(s)
	c := dial(t, taken.Addr())
	all.Go(func() {
		if _, err := closed.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	accepted := make(chan struct{})
	all.Go(func() {
		defer close(accepted)
		here, err := taken.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		here.Close()
	})
	closed.Close()
	select {
	case <-accepted:
		t.Error("it accepts before it is ready")
	case <-time.After(20 * time.Millisecond):
	}
	s.nowReady(testLog(t))
	<-accepted
	all.Wait()
	c.Close()
}

func TestBound(t *testing.T) {
	for _, row := range []struct {
		has, network, wanted string
		same                 bool
	}{
		{"127.0.0.1:80", "tcp", "127.0.0.1:80", true},
		{"127.0.0.1:80", "tcp", "127.0.0.1:81", false},
		{"127.0.0.1:80", "tcp", "127.0.0.2:80", false},
		{"127.0.0.1:80", "tcp", ":80", false},
		{"[::]:80", "tcp", ":80", true},
		{"[::]:80", "tcp", "0.0.0.0:80", true},
		{"0.0.0.0:80", "tcp4", ":80", true},
		{"[::]:80", "tcp", "127.0.0.1:80", false},
		{"[::1]:80", "tcp", "[::1]:80", true},
		{"127.0.0.1:80", "tcp", "127.0.0.1:0", false},
		{"127.0.0.1:80", "tcp", "127.0.0.1", false},
		{"127.0.0.1:80", "unix", "127.0.0.1:80", false},
	} {
		has, err := net.ResolveTCPAddr("tcp", row.has)
		if err != nil {
			t.Fatal(err)
		}
		wanted := resolve(row.network, row.wanted)
		if got := wanted != nil && bound(has, wanted); got != row.same {
			t.Errorf("%s for %s %s: %v", row.has, row.network, row.wanted, got)
		}
	}
	if !bound(&net.UnixAddr{Name: "/run/a", Net: "unix"}, resolve("unix", "/run/a")) {
		t.Error("a Unix socket is not found")
	}
}

// TestOwnProgram: the test binary is found by the name that it was started by, and nothing that is not it.
func TestOwnProgram(t *testing.T) {
	first := os.Args[0]
	defer func() { os.Args[0] = first }()
	if got := ownProgram(); !filepath.IsAbs(got) {
		t.Errorf("%q", got)
	}
	for _, wrong := range []string{"/bin/sh", "no-such-program", ""} {
		os.Args[0] = wrong
		if got := ownProgram(); got != "" {
			t.Errorf("%q: %q", wrong, got)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	os.Args[0] = link
	if got := ownProgram(); got != link {
		t.Errorf("%q, not the link that will point to the next release", got)
	}
}
