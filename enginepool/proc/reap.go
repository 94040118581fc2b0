package proc

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	Code   int            // -1 when a signal ended it
	Signal syscall.Signal // that ended it; 0: none did
	Stderr []string       // the last 20 lines of standard error, as they were given to Output
}

// String is "exit status 3" or "signal: killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	if e.Code < 0 {
		return "exit status unknown"
	}
	return "exit status " + strconv.Itoa(e.Code)
}

// reap waits for the end of the process, kills what is left of its group, and tells. It takes a thread of the system for as long
// as the process lives.
func (p *Process) reap() {
	known := p.wait()
	exit := p.bury(known)
	exit.Stderr = p.output.end()
	if p.exited != nil {
		p.exited(exit)
	}
}

// wait waits for the end of the process but does not reap it, so that its number stays taken. false means that this cannot be
// known: somebody else has reaped it.
func (p *Process) wait() bool {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			return true
		}
		if !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// bury kills the group and reaps the process, of which the latter cannot block any more. Nobody signals meanwhile.
func (p *Process) bury(known bool) Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	if !known {
		return Exit{Code: -1}
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // there may be nobody left
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.pid, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return Exit{Code: -1}
		case status.Signaled():
			return Exit{Code: -1, Signal: status.Signal()}
		default:
			return Exit{Code: status.ExitStatus()}
		}
	}
}
