package handover

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limits are how long a new process may take.
type limits struct {
	ready time.Duration // until it serves
	leave time.Duration // from SIGTERM to SIGKILL, when it did not make it
}

var startLimits = limits{ready: 30 * time.Second, leave: 5 * time.Second}

// Start executes the own program again, with the same arguments, environment and standard streams, gives it every listener that
// is open, and waits until it serves. Then this process should drain and end: see Passed.
//
// A file that has been put in the place of the program is what is executed. On an error, as when the new process ends, or is
// not ready within 30 s, or ctx ends, there is no new process, and this one goes on serving.
func Start(ctx context.Context, log *slog.Logger) error { return process.start(ctx, log, startLimits) }

// Passed tells whether a new process has taken the place of this one.
func Passed() bool {
	process.mu.Lock()
	defer process.mu.Unlock()
	return process.phase == phasePassed
}

func (s *set) start(ctx context.Context, log *slog.Logger, most limits) error {
	if err := s.begin(); err != nil {
		return err
	}
	pid, err := s.replace(ctx, log, most)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.phase = phaseNone
		return err
	}
	s.phase = phasePassed
	for _, l := range s.open {
		if u, ok := l.Listener.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the file is the new process's
		}
	}
	log.Info("a new process serves", "pid", pid)
	return nil
}

func (s *set) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.serving:
		return errors.New("handover: this process is not ready itself")
	case s.phase == phaseStarting:
		return errors.New("handover: a new process is being started already")
	case s.phase == phasePassed:
		return errors.New("handover: a new process serves already")
	}
	s.phase = phaseStarting
	return nil
}

// replace starts the new process and waits until it is ready.
func (s *set) replace(ctx context.Context, log *slog.Logger, most limits) (pid int, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("handover: pipe: %w", err)
	}
	_ = unix.SetNonblock(pipe[0], true) // cannot fail; so that reading can have a time limit
	heard := os.NewFile(uintptr(pipe[0]), "ready")
	defer heard.Close()
	pid, err = s.execute(pipe[1])
	_ = unix.Close(pipe[1]) // the new process has it
	if err != nil {
		return 0, err
	}
	log.Info("a new process is started", "pid", pid)
	child, err := os.FindProcess(pid) // our child: the number is not another's
	if err != nil {
		return 0, fmt.Errorf("handover: new process %d: %w", pid, err)
	}
	ended := make(chan string, 1)
	go func() { // ends with the new process, or with this one; nobody waits
		ended <- reap(child)
		_ = heard.SetReadDeadline(time.Unix(1, 0)) // what it has started may have the pipe; fails when that is closed
	}()
	err = await(ctx, heard, most.ready)
	if err == nil {
		return pid, nil
	}
	gone := errors.Is(err, io.EOF) || len(ended) > 0
	end := dismiss(child, ended, gone, most.leave)
	if gone {
		err = fmt.Errorf("it ended before it was ready: %s", end)
	}
	// It may have told systemd that it is the one to watch.
	return 0, errors.Join(fmt.Errorf("handover: new process %d: %w", pid, err), notify("READY=1", "MAINPID="+strconv.Itoa(os.Getpid())))
}

// execute executes the program with every listener.
func (s *set) execute(ready int) (pid int, err error) {
	path, err := s.nextProgram()
	if err != nil {
		return 0, fmt.Errorf("handover: %w", err)
	}
	files := []uintptr{0, 1, 2, uintptr(ready)}
	var all []passed
	s.mu.Lock()
	for _, l := range s.open {
		fd, e := l.duplicate()
		if errors.Is(e, net.ErrClosed) {
			continue
		}
		if err = e; err != nil {
			break
		}
		all = append(all, passed{FD: len(files), Network: l.network, Addr: l.addr})
		files = append(files, uintptr(fd))
	}
	s.mu.Unlock()
	defer func() {
		for _, fd := range files[4:] {
			_ = unix.Close(int(fd)) // a copy
		}
	}()
	text, e := json.Marshal(all)
	if err = errors.Join(err, e); err != nil {
		return 0, fmt.Errorf("handover: %w", err)
	}
	env := append(os.Environ(), envListeners+"="+string(text), envReady+"=3", envKey+"="+hex.EncodeToString(s.secret()))
	if pid, err = syscall.ForkExec(path, os.Args, &syscall.ProcAttr{Env: env, Files: files}); err != nil {
		return 0, fmt.Errorf("handover: exec %s: %w", path, err)
	}
	return pid, nil
}

// nextProgram returns the file to execute.
func (s *set) nextProgram() (string, error) {
	s.mu.Lock()
	path := s.program
	s.mu.Unlock()
	if path != "" {
		return path, nil
	}
	return os.Executable()
}

// await waits for the byte that Ready sends. io.EOF means that the new process has closed the pipe without it.
func await(ctx context.Context, heard *os.File, limit time.Duration) error {
	if err := heard.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = heard.SetReadDeadline(time.Unix(1, 0)) }) // fails when it is closed
	defer stop()
	var b [1]byte
	_, err := heard.Read(b[:])
	switch {
	case err == nil && b[0] == isReady:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("it was given up: %w", ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("it was not ready within %v", limit)
	}
	return err
}

// dismiss ends a process that did not become ready, and returns how it ended. gone: it is about to end by itself.
func dismiss(child *os.Process, ended <-chan string, gone bool, most time.Duration) string {
	timer := time.NewTimer(most)
	defer timer.Stop()
	if !gone {
		_ = child.Signal(syscall.SIGTERM) // it may have ended
	}
	select {
	case end := <-ended:
		return end
	case <-timer.C:
		_ = child.Kill() // it may have ended
		return <-ended
	}
}

func reap(child *os.Process) string {
	state, err := child.Wait()
	if err != nil {
		return err.Error()
	}
	return state.String()
}
