package proc

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestExit(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":         "exit status 0",
		"exit 3":         "exit status 3",
		"kill -TERM $$":  "signal: terminated",
		"kill -KILL $$":  "signal: killed",
		"exec sleep 0":   "exit status 0",
		"exec 1>&- 2>&-": "exit status 0",
	} {
		x := shell(t, script).exit()
		if x.String() != want || x.Signal != 0 && x.Code != -1 {
			t.Errorf("%s: %v, code %d", script, x, x.Code)
		}
	}
	if got := (Exit{Code: -1}).String(); got != "exit status unknown" {
		t.Error(got)
	}
}

// TestIgnoresTerm: TERM does nothing, KILL does.
func TestIgnoresTerm(t *testing.T) {
	e := shell(t, `trap "" TERM; echo ready; while read x <&3; do echo "still $x"; done`)
	e.says("ready")
	e.Signal(syscall.SIGTERM)
	if _, err := e.socket.WriteString("here\n"); err != nil {
		t.Fatal(err)
	}
	e.says("still here")
	e.Signal(syscall.SIGKILL)
	if x := e.exit(); x.Signal != syscall.SIGKILL {
		t.Error(x)
	}
}

// TestGroup: whatever ends the engine ends its children.
func TestGroup(t *testing.T) {
	for name, end := range map[string]func(*engine){
		"signal":  func(e *engine) { e.Signal(syscall.SIGTERM) },
		"by self": func(e *engine) { e.socket.Close() },
		"alone":   func(e *engine) { _ = syscall.Kill(e.PID(), syscall.SIGKILL) },
	} {
		e := shell(t, `for i in 1 2 3; do (trap "" TERM; sleep 1000) & done; echo ready; read x <&3; exit 4`)
		e.says("ready")
		if pgid, err := syscall.Getpgid(e.PID()); err != nil || pgid != e.PID() {
			t.Errorf("it is in group %d, %v", pgid, err)
		}
		end(e)
		x := e.exit()
		if !gone(e.PID()) {
			eventually(t, "its children are gone", func() bool { return gone(e.PID()) }) // killed: they go when they are scheduled
		}
		t.Log(name, x)
	}
}

// TestEscaped has a grandchild in a session of its own that keeps the pipes: it is not waited for.
func TestEscaped(t *testing.T) {
	e := shell(t, `setsid sh -c 'echo $$; while echo x; do sleep 0.01; done' & read x <&3`)
	eventually(t, "the grandchild writes", func() bool { return len(e.said("stdout")) > 2 })
	began := time.Now()
	e.socket.Close()
	if x := e.exit(); x.Code == 0 {
		t.Error(x) // read has met the end of the stream
	}
	if took := time.Since(began); took > outputGrace+5*time.Second {
		t.Errorf("it took %v", took)
	}
	eventually(t, "the grandchild ends: its pipe is closed", func() bool {
		return syscall.Kill(atoi(t, e.said("stdout")[0]), 0) != nil || zombie(atoi(t, e.said("stdout")[0]))
	})
}

// TestOutputBlocks: who does not take the output does not keep the engine from being reaped.
func TestOutputBlocks(t *testing.T) {
	before := descriptors(t)
	release := make(chan struct{})
	ended := make(chan Exit, 1)
	_, fd, err := Start(Spec{Name: "E", Argv: []string{"sh", "-c", "echo a; echo b >&2"}}, func(string, []byte) { <-release }, func(x Exit) { ended <- x })
	if err != nil {
		t.Fatal(err)
	}
	closeAll(fd)
	if x := <-ended; x.Code != 0 || !slices.Equal(x.Stderr, []string{"b"}) {
		t.Error(x, x.Stderr)
	}
	close(release)
	eventually(t, "its pipes are closed", func() bool { return descriptors(t) <= before })
}

// TestSignalRace signals from many goroutines while the process ends.
func TestSignalRace(t *testing.T) {
	for range 20 {
		e := shell(t, "exit 0")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { // ends with the process
				for len(e.ended) == 0 {
					e.Signal(0)
				}
				e.Signal(syscall.SIGKILL)
			})
		}
		all.Wait()
		if x := e.exit(); x.Code != 0 {
			t.Error(x)
		}
	}
}
