package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to end after SIGTERM before it gets SIGKILL.
const stopLimit = 5 * time.Second

// Process is a program that the lab started, with whatever it forks.
type Process struct {
	// Fixed at start.
	Name string
	PID  int
	log  string // path of its standard output and error
	// Closed when the program ended.
	done chan struct{}
}

// Start starts argv in a process group of its own; its output goes to name.log in the lab's directory.
func (l *Lab) Start(name string, argv ...string) (*Process, error) {
	path := filepath.Join(l.Dir, name+".log")
	out, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer out.Close() // the child has its own copy
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.Dir, out, out
	// A group of its own keeps the terminal's Ctrl-C from the children: Close ends them, after the last figures were read.
	// Pdeathsig is for the case that this program is killed; Go keeps its threads, so no early death of a thread fires it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("harness: start %s: %w", name, err)
	}
	p := &Process{Name: name, PID: cmd.Process.Pid, log: path, done: make(chan struct{})}
	// Ends with the child; Stop waits for it.
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is told by its log
	}()
	l.procs = append(l.procs, p)
	return p, nil
}

// Ended tells with the tail of its log that the process is gone, nil while it runs.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return &finalError{fmt.Sprintf("%s ended: %s", p.Name, p.logTail())}
	default:
		return nil
	}
}

// logTail returns the last bytes of the log on one line.
func (p *Process) logTail() string {
	const limit = 600
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	if len(text) > limit {
		text = text[len(text)-limit:]
	}
	return string(bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), []byte(" | ")))
}

// Stop ends the process and everything that it forked. Calling it again does nothing.
func (p *Process) Stop() {
	if p.Ended() != nil {
		return
	}
	// Taken first: a child in a session of its own (sshd's) is found by its parent only while that one lives.
	tree, err := Descendants(p.PID)
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
	}
	signalGroup(p.PID, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		signalGroup(p.PID, syscall.SIGKILL)
		<-p.done
	}
	for _, child := range tree {
		child.kill()
	}
}

// Kill ends the process with SIGKILL, as kill -9 does, with what is in its process group, and waits until it is gone: then the kernel has
// closed its connections. Calling it again does nothing.
func (p *Process) Kill() {
	if p.Ended() == nil {
		signalGroup(p.PID, syscall.SIGKILL)
		<-p.done
	}
}

func signalGroup(pid int, sig syscall.Signal) {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "harness: signal group %d: %v\n", pid, err)
	}
}

// kill ends a former descendant if it is still the process that it was: a pid may have been given to another one.
func (id ProcID) kill() {
	now, err := readStat(id.PID)
	if err != nil || now.start != id.start {
		return
	}
	if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "harness: kill %d: %v\n", id.PID, err)
	}
}
