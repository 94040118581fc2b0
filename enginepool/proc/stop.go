package proc

import "syscall"

// Signal sends a signal to the whole group of the process; nothing happens when that has been reaped. It never blocks.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, sig) // the group may be gone or belong to another user; its end is told by exited
	}
}
