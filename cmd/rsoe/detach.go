package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"roundhouse/cmd/process"
)

// detachedEnv tells a process that it is the one in the background: the descriptor by which it says that it has started.
const detachedEnv = "ROUNDHOUSE_RSOE_DETACHED"

// detach starts this program again in a session of its own, and waits until it serves or has ended.
func detach(args []string, out, errOut io.Writer) int {
	pid, code, err := startDetached(args)
	switch {
	case err != nil:
		fmt.Fprintf(errOut, "rsoe: -ud: %v\n", err)
		return process.ExitRuntime
	case pid != 0:
		fmt.Fprintf(out, "process %d runs in the background\n", pid)
	}
	return code
}

// startDetached returns the process in the background, or, when that has ended already, 0 and its exit code.
func startDetached(args []string) (pid, code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	heard, tell, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer heard.Close()
	const first = 3 // the number of the first of ExtraFiles
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), detachedEnv+"="+strconv.Itoa(first))
	cmd.Stderr = os.Stderr // for what is wrong at the start; it lets go of it then
	cmd.ExtraFiles = []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	tell.Close() // the other process has it
	if err != nil {
		return 0, 0, err
	}
	if n, _ := heard.Read(make([]byte, 1)); n == 1 { // else it has ended
		pid = cmd.Process.Pid
		return pid, process.ExitOK, cmd.Process.Release()
	}
	err = cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		if code = exit.ExitCode(); code < 0 {
			return 0, process.ExitRuntime, nil // a signal
		}
		return 0, code, nil
	}
	return 0, process.ExitRuntime, err
}

// attached tells the process that has started this one in the background, if there is one, that this one has started, and lets go of the
// terminal.
func attached(log *slog.Logger) {
	fd, err := strconv.Atoi(os.Getenv(detachedEnv))
	if err != nil || fd < 3 {
		return
	}
	_ = os.Unsetenv(detachedEnv) // it is a valid name
	if err := leaveTerminal(); err != nil {
		log.Warn("the terminal is kept", "error", err)
	}
	tell := os.NewFile(uintptr(fd), "started")
	if _, err := tell.Write([]byte{1}); err != nil {
		log.Warn("the process that has started this one was not told", "error", err)
	}
	_ = tell.Close() // the byte is written
}

func leaveTerminal() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
