package proc

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if err := SealDescriptors(); err != nil { // who started the test may have left some open
		panic(err)
	}
	r, w, err := os.Pipe() // what the runtime opens with the first pipe stays open, and is not to be counted
	if err != nil {
		panic(err)
	}
	r.Close()
	w.Close()
	goleak.VerifyTestMain(m)
}

const patience = time.Minute

// engine is a process of a test. Its socket is read as a file.
type engine struct {
	*Process
	t      testing.TB
	socket *os.File
	ended  chan Exit

	mu    sync.Mutex // guards lines
	lines map[string][]string
}

// run starts a process and has it killed at the end of the test.
func run(t testing.TB, spec Spec) *engine {
	t.Helper()
	e := &engine{t: t, ended: make(chan Exit, 1), lines: map[string][]string{}}
	if spec.Name == "" {
		spec.Name = "E0001"
	}
	p, fd, err := Start(spec, e.take, func(x Exit) { e.ended <- x })
	if err != nil {
		t.Fatal(err)
	}
	e.Process, e.socket = p, os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() {
		e.socket.Close()
		p.Signal(syscall.SIGKILL)
		eventually(t, "it is reaped", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.reaped })
	})
	return e
}

// shell runs a script.
func shell(t testing.TB, script string) *engine {
	t.Helper()
	return run(t, Spec{Argv: []string{"sh", "-c", script}})
}

func (e *engine) take(stream string, line []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines[stream] = append(e.lines[stream], string(line))
}

func (e *engine) said(stream string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.lines[stream]...)
}

// says waits until a line has come.
func (e *engine) says(line string) {
	e.t.Helper()
	eventually(e.t, "it says "+line, func() bool {
		for _, l := range e.said("stdout") {
			if l == line {
				return true
			}
		}
		return false
	})
}

// exit waits for the end.
func (e *engine) exit() Exit {
	e.t.Helper()
	select {
	case x := <-e.ended:
		return x
	case <-time.After(patience):
		e.t.Fatal("it did not end")
		return Exit{}
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// descriptors is the number of open descriptors.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// gone tells whether no process of a group is left, or only such that are ended and not reaped by who adopted them.
func gone(pgid int) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // no process, or one that has just ended
		}
		text := string(stat)
		f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // state, parent, group
		if len(f) > 2 && f[2] == itoa(pgid) && f[0] != "Z" && f[0] != "X" {
			return false
		}
	}
	return true
}

// leak opens a descriptor that children inherit.
func leak(t testing.TB) int {
	t.Helper()
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}
