// Package proc starts, watches and ends the processes of engines. No other package starts one.
//
// An engine is the leader of a process group of its own and sees no descriptor of the server but these:
//
//	          0           1        2        3             environment
//	socket    /dev/null   a pipe   a pipe   the socket    ENGINE_FD=3
//	stdio     the socket           a pipe   -             ENGINE_STDIO=1
//
// The socket is one end of a pair of Unix stream sockets; the other end belongs to who called Start. What comes through the pipes
// is text for the log, see Output. When the process ends, however it does, the rest of its group is killed before the process is
// reaped: until then its number cannot mean another process.
//
// Nothing ends an engine when the server itself is killed but the end of the stream on its socket.
package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec is what to start.
type Spec struct {
	// Name is the engine's name; errors start with it.
	Name string
	// Argv is the program and its arguments: see Command. A program without a slash is looked up in the PATH of Env, or in the
	// server's own when Env has none; one with a slash is relative to Dir.
	Argv []string
	// Dir is the working directory; empty: the server's.
	Dir string
	// Env is the environment, as NAME=value; of equal names the last counts. Nothing else is inherited. Variables by which
	// listeners and the readiness of the server are passed on are left out.
	Env []string
	// User runs the engine as another user: a name or a number, or user:group. Only root may. Empty: the server's.
	User string
	// Nice is added to the server's own niceness; negative values are for root only.
	Nice int
	// Stdio makes the socket standard input and output instead of descriptor 3.
	Stdio bool
}

// Process is a process that was started. All its methods may be called by any goroutine.
type Process struct {
	// Fixed by Start.
	pid    int
	output *output
	exited func(Exit)

	mu     sync.Mutex // guards reaped; held only over system calls that do not wait
	reaped bool       // pid may mean another process
}

// PID is the number of the process, and of its group. It stays after the end.
func (p *Process) PID() int { return p.pid }

// Start starts the process of an engine. fd is our end of the socket: non-blocking, close-on-exec, the caller's to close.
//
// out gets each line that the process writes; nil: nobody does. exited is called once, in a goroutine of the process, when that
// has been reaped, its group killed and its output read; this may be before Start has returned. After an error nothing was
// started, no descriptor is left open and exited is not called.
//
// Start blocks for as long as the system needs to start a program: never call it on a loop.
func Start(spec Spec, out Output, exited func(Exit)) (p *Process, fd int, err error) {
	p, fd, err = start(spec, out, exited)
	if err != nil {
		return nil, -1, fmt.Errorf("engine %s: %w", spec.Name, err)
	}
	return p, fd, nil
}

func start(spec Spec, out Output, exited func(Exit)) (*Process, int, error) {
	path, err := spec.program()
	if err != nil {
		return nil, -1, err
	}
	attr := &syscall.ProcAttr{Dir: spec.Dir, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if attr.Env, err = spec.environment(); err != nil {
		return nil, -1, err
	}
	if attr.Sys.Credential, err = credential(spec.User); err != nil {
		return nil, -1, err
	}
	c, err := openChannels(spec.Stdio)
	if err != nil {
		return nil, -1, err
	}
	defer c.closeTheirs()
	attr.Files = c.files(spec.Stdio)
	pid, err := fork(path, spec.Argv, attr, spec.Nice)
	if err != nil {
		c.closeOurs()
		return nil, -1, execError(spec, path, err)
	}
	p := &Process{pid: pid, output: newOutput(out, c.stdout, c.stderr), exited: exited}
	p.output.start()
	go p.reap() // ends with the process; exited tells
	return p, c.socket, nil
}

// program returns the path of the file to execute.
func (s *Spec) program() (string, error) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return "", errors.New("no program to start")
	}
	if s.Dir != "" {
		if info, err := os.Stat(s.Dir); err != nil {
			return "", fmt.Errorf("directory: %w", err)
		} else if !info.IsDir() {
			return "", fmt.Errorf("directory: %s is none", s.Dir)
		}
	}
	name := s.Argv[0]
	if strings.Contains(name, "/") {
		at := name
		if !filepath.IsAbs(at) {
			at = filepath.Join(s.Dir, at)
		}
		if err := executable(at); err != nil {
			return "", fmt.Errorf("exec %s: %w", name, err)
		}
		return name, nil // relative to Dir, where the process will be by then
	}
	search, ok := lookupEnv(s.Env, "PATH")
	if !ok {
		search = os.Getenv("PATH")
	}
	var denied error
	for _, dir := range filepath.SplitList(search) {
		if !filepath.IsAbs(dir) {
			continue // as os/exec: a program of the working directory has to be called by ./
		}
		at := filepath.Join(dir, name)
		err := executable(at)
		if err == nil {
			return at, nil
		}
		if !errors.Is(err, os.ErrNotExist) && denied == nil {
			denied = fmt.Errorf("exec %s: %s: %w", name, at, err)
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("exec %s: not found in PATH", name)
}

// executable tells why the file at a path cannot be executed. Whether another user may is seen when it is tried.
func executable(at string) error {
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return os.ErrNotExist
	case err != nil:
		return errors.Unwrap(err) // without the path, which the caller names
	case info.IsDir():
		return syscall.EISDIR
	case info.Mode()&0o111 == 0:
		return syscall.EACCES
	}
	return nil
}

// execError says in words what the system answered when the program was to be started.
func execError(s Spec, path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("exec %s: the interpreter or loader that it names does not exist: %w", path, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("exec %s: neither a program nor a script with #! in its first line: %w", path, err)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("exec %s: an argument or variable holds a zero byte: %w", path, err)
	case s.User != "" && errors.Is(err, syscall.EPERM):
		return fmt.Errorf("exec %s: the system does not let the server become user %s: %w", path, s.User, err)
	case s.User != "" && errors.Is(err, syscall.EACCES):
		return fmt.Errorf("exec %s: user %s may not use the program or the directory: %w", path, s.User, err)
	}
	return fmt.Errorf("exec %s: %w", path, err)
}

// fork starts the program. The niceness is that of the thread that forks; as it cannot be taken back without privileges, this
// thread is then thrown away.
func fork(path string, argv []string, attr *syscall.ProcAttr, nice int) (pid int, err error) {
	if nice == 0 {
		return syscall.ForkExec(path, argv, attr)
	}
	done := make(chan struct{})
	go func() { // ends when the program has been started, which is waited for
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		have, e := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if e == nil { // the system call returns 20 minus the niceness
			e = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-have+nice)
		}
		if e != nil {
			err = fmt.Errorf("niceness %d: %v", nice, e)
			return
		}
		pid, err = syscall.ForkExec(path, argv, attr)
	}()
	<-done
	return pid, err
}

// private are the variables that are between the server and what started it. An engine that saw them could take the server's
// listeners for its own, or report for the server that it is ready.
var private = []string{
	"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "MAINPID",
	"ENGINE_FD", "ENGINE_STDIO",
}

const privatePrefix = "ROUNDHOUSE_LISTEN_"

// environment returns what the process gets.
func (s *Spec) environment() ([]string, error) {
	all := make([]string, 0, len(s.Env)+1)
	seen := map[string]bool{}
	for _, entry := range slices.Backward(s.Env) {
		name, _, ok := strings.Cut(entry, "=")
		switch {
		case !ok || name == "":
			return nil, fmt.Errorf("environment: %q is not NAME=value", name)
		case strings.ContainsRune(entry, 0):
			return nil, fmt.Errorf("environment: %q holds a zero byte", name)
		case seen[name], slices.Contains(private, name), strings.HasPrefix(name, privatePrefix):
			continue
		}
		seen[name] = true
		all = append(all, entry)
	}
	slices.Reverse(all)
	if s.Stdio {
		return append(all, "ENGINE_STDIO=1"), nil
	}
	return append(all, "ENGINE_FD=3"), nil
}

func lookupEnv(env []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(env) {
		if value, ok = strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
