package handover

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	envListeners = "ROUNDHOUSE_LISTEN_FDS"
	envReady     = "ROUNDHOUSE_LISTEN_READY"
	envKey       = "HANDOVER_KEY" // not ROUNDHOUSE_: an earlier release would take that for a mistake

	firstInherited = 3 // sd_listen_fds(3): SD_LISTEN_FDS_START
)

// passed is a listener in envListeners.
type passed struct {
	FD      int    `json:"fd"`
	Network string `json:"network"`
	Addr    string `json:"addr"`
}

// Inherit reads from the environment what this process was given, and takes it out of the environment, so that no other program
// takes it for its own. Call it once, before anything else reads the environment. What is wrong is told by Ready.
func Inherit() { process.inherit() }

func (s *set) inherit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program = ownProgram()
	if text, ok := takeEnv(envReady); ok {
		f, err := readyPipe(text)
		if err != nil {
			s.mistakes = append(s.mistakes, err)
		}
		s.tell, s.succeeds = f, true
	}
	if text, ok := takeEnv(envKey); ok {
		if key, err := hex.DecodeString(text); err == nil && len(key) == keyLen {
			s.key = key
		}
	}
	if text, ok := takeEnv(envListeners); ok {
		var all []passed
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			s.mistakes = append(s.mistakes, fmt.Errorf("handover: %s: %w", envListeners, err))
		}
		for _, p := range all {
			s.adopt(p)
		}
	}
	s.inheritActivated()
}

// Succeeds tells whether this process was started by another one to take its place.
func Succeeds() bool {
	process.mu.Lock()
	defer process.mu.Unlock()
	return process.succeeds
}

// inheritActivated takes over what systemd has opened: sd_listen_fds(3).
func (s *set) inheritActivated() {
	pid, _ := takeEnv("LISTEN_PID")
	count, ok := takeEnv("LISTEN_FDS")
	_, _ = takeEnv("LISTEN_FDNAMES") // names of units, which say nothing about addresses
	if !ok || pid != strconv.Itoa(os.Getpid()) {
		return // meant for who has started us
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		s.mistakes = append(s.mistakes, fmt.Errorf("handover: LISTEN_FDS is %q", count))
		return
	}
	for fd := firstInherited; fd < firstInherited+min(n, 1000); fd++ {
		s.adopt(passed{FD: fd})
	}
}

// adopt makes a listener of a descriptor. One that is no listener is left alone: it may be somebody else's.
func (s *set) adopt(p passed) {
	if listens, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
		s.mistakes = append(s.mistakes, fmt.Errorf("handover: inherited descriptor %d is no listener (%s)", p.FD, p.Addr))
		return
	}
	unix.CloseOnExec(p.FD)
	f := os.NewFile(uintptr(p.FD), "listener")
	ln, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil { // ln has a copy
		s.mistakes = append(s.mistakes, fmt.Errorf("handover: inherited descriptor %d: %w", p.FD, err))
		return
	}
	s.inherited = append(s.inherited, &listener{Listener: ln, set: s, network: p.Network, addr: p.Addr, gate: s.ready, closed: make(chan struct{})})
}

// readyPipe returns the pipe to the old process.
func readyPipe(text string) (*os.File, error) {
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("handover: %s is %q", envReady, text)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil, fmt.Errorf("handover: %s: descriptor %d is no pipe", envReady, fd)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "ready"), nil
}

func takeEnv(name string) (value string, ok bool) {
	if value, ok = os.LookupEnv(name); ok {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	return value, ok
}

// ownProgram returns the path by which this program was started, through whatever symbolic links: a new release is put there.
// Empty: what is there is another program.
func ownProgram() string {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	there, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if own, err := os.Stat("/proc/self/exe"); err != nil || !os.SameFile(there, own) {
		return ""
	}
	return path
}

// Ready says that this process serves: its inherited listeners accept, what it has inherited and not asked for is closed with a
// warning, and systemd and the old process are told. Only the first call counts.
func Ready(log *slog.Logger) { process.nowReady(log) }

func (s *set) nowReady(log *slog.Logger) {
	s.mu.Lock()
	if s.serving {
		s.mu.Unlock()
		return
	}
	s.serving = true
	tell, left, mistakes := s.tell, s.inherited, s.mistakes
	s.tell, s.inherited, s.mistakes = nil, nil, nil
	s.mu.Unlock()
	close(s.ready)
	for _, err := range mistakes {
		log.Warn("what was inherited cannot be used", "error", err)
	}
	for _, l := range left {
		log.Warn("an inherited listener is closed: the configuration has no such address", "addr", l.Addr().String(), "configured", l.addr)
		if err := l.Close(); err != nil {
			log.Warn("the inherited listener is not closed", "error", err)
		}
	}
	// systemd first: once the old process knows, it may be gone before systemd has heard which process is to be watched.
	if err := notify("READY=1", "MAINPID="+strconv.Itoa(os.Getpid())); err != nil {
		log.Warn("systemd was not told that the server is ready", "error", err)
	}
	if tell != nil {
		if _, err := tell.Write([]byte{isReady}); err != nil {
			log.Warn("the process before this one was not told", "error", err)
		}
		_ = tell.Close() // the byte is written
	}
}

// isReady is the byte that goes through the pipe.
const isReady = '1'

// Stopping tells systemd that the server drains, unless a new process has taken its place.
func Stopping(log *slog.Logger) {
	if Passed() {
		return
	}
	if err := notify("STOPPING=1"); err != nil {
		log.Warn("systemd was not told that the server drains", "error", err)
	}
}

// Watchdog tells systemd that the process works, twice in each interval that WatchdogSec gives it (WATCHDOG_USEC); each time beat has to
// return first. It returns when ctx ends, or at once where systemd does not watch.
func Watchdog(ctx context.Context, log *slog.Logger, beat func()) {
	micros, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 63)
	pid := os.Getenv("WATCHDOG_PID")
	const most = uint64(math.MaxInt64 / time.Microsecond)
	if err != nil || micros < 2 || micros > most || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	t := time.NewTicker(time.Duration(micros) * time.Microsecond / 2)
	defer t.Stop()
	for {
		beat()
		if err := notify("WATCHDOG=1"); err != nil {
			log.Warn("systemd was not told that the process works", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// notify sends lines to systemd, if that wants to know: sd_notify(3).
func notify(lines ...string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "@") { // @: abstract, which net knows
		return fmt.Errorf("handover: NOTIFY_SOCKET is %q: neither a path nor an abstract name", name)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return errors.Join(err, c.Close())
}

func duplicate(fd uintptr) (int, error) {
	return unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, firstInherited)
}
