package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Lab is one run: a temporary directory and the processes started in it.
type Lab struct {
	Dir   string
	procs []*Process // in the order of their start
	cert  *Certificate
}

// NewLab makes the temporary directory and raises the descriptor limit. The caller calls Close.
func NewLab() (*Lab, error) {
	if err := raiseFileLimit(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "roundhouse-bench-")
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	return &Lab{Dir: dir}, nil
}

// Close ends the processes, the last started first, and removes the directory.
func (l *Lab) Close() {
	for i := len(l.procs) - 1; i >= 0; i-- {
		l.procs[i].Stop()
	}
	if err := os.RemoveAll(l.Dir); err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
	}
}

// WriteFile writes a file of the lab, readable by its owner only (ssh insists), and returns its path.
func (l *Lab) WriteFile(name, content string) (string, error) {
	path := filepath.Join(l.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("harness: %w", err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("harness: %w", err)
	}
	return path, nil
}

// WaitFor calls cond until it returns nil. The error names what was waited for and cond's last complaint.
func WaitFor(ctx context.Context, limit time.Duration, what string, cond func() error) error {
	const pause = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return nil
		}
		var final *finalError
		if errors.As(err, &final) {
			return fmt.Errorf("harness: %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("harness: %s: gave up within %v: %w", what, limit, err)
		case <-tick.C:
		}
	}
}

// finalError tells WaitFor that waiting longer is useless.
type finalError struct{ reason string }

func (e *finalError) Error() string { return e.reason }

// raiseFileLimit raises the soft limit to the hard one. The Go runtime does so for itself but puts the old limit back in
// children; an explicit Setrlimit makes children inherit the raised one.
func raiseFileLimit() error {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("harness: getrlimit: %w", err)
	}
	lim.Cur = lim.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("harness: setrlimit: %w", err)
	}
	return nil
}

// FileLimit is how many descriptors one process may have.
func FileLimit() (int, error) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("harness: getrlimit: %w", err)
	}
	return int(lim.Max), nil
}
