package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/cmd/process"
)

// running is the file by which -s finds an enabler: it is locked for as long as the process lives, whatever its end is, so that
// what is in it can be believed.
type running struct {
	file *os.File
	PID  int    `json:"pid"`
	Farm string `json:"farm"`
	ID   string `json:"id"`
}

func (r *running) String() string {
	return fmt.Sprintf("process %d: farm %s, id %s", r.PID, r.Farm, r.ID)
}

// runDirs are where those files may be, each a directory of one user: the first that can be had gets the file of this process. Of two
// shells of a user one may know of XDG_RUNTIME_DIR and the other not. RSOE_RUN_DIR names the only one.
func runDirs(env func(string) string) (dirs []string) {
	if dir := env("RSOE_RUN_DIR"); filepath.IsAbs(dir) {
		return []string{dir}
	}
	uid := strconv.Itoa(os.Getuid())
	if dir := env("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, "rsoe"))
	}
	if dir := "/run/user/" + uid + "/rsoe"; !slices.Contains(dirs, dir) {
		dirs = append(dirs, dir)
	}
	return append(dirs, "/tmp/rsoe-"+uid)
}

// announceIn makes the file of this process in one of the directories.
func announceIn(dirs []string, farm, id string) (r *running, err error) {
	var all []error
	for _, dir := range dirs {
		if r, err = announce(dir, farm, id); err == nil {
			return r, nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}

// ownDir makes the directory, or sees that it is nobody else's: everybody may write to /tmp.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("%s: not a directory that only this user may enter", dir)
	}
	return nil
}

const runSuffix = ".run"

// announce makes the file of this process.
func announce(dir, farm, id string) (*running, error) {
	if err := ownDir(dir); err != nil {
		return nil, err
	}
	r := &running{PID: os.Getpid(), Farm: farm, ID: id}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, strconv.Itoa(r.PID)+runSuffix)
	for r.file == nil {
		if r.file, err = lockNew(path); err != nil {
			return nil, err
		}
	}
	if err := r.file.Truncate(0); err != nil {
		r.end()
		return nil, err
	}
	if _, err := r.file.WriteAt(text, 0); err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

// lockNew makes and locks a file. nil: somebody has removed it in the meantime, who took it for that of a process that is gone.
func lockNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	own, errOwn := f.Stat()
	there, errThere := os.Stat(path)
	if errOwn != nil || errThere != nil || !os.SameFile(own, there) {
		f.Close()
		return nil, nil
	}
	return f, nil
}

func lock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// end removes the file. The lock stays until the process has ended, which -s waits for.
func (r *running) end() {
	_ = os.Remove(r.file.Name()) // when that fails, who looks finds out that it is void
	ended.Store(r)
}

// ended keeps the file of this process open to the last.
var ended atomic.Pointer[running]

// findRunning returns the enablers of this user that run, and removes what others have left behind. Their files are open: close them.
func findRunning(dir string) (found []*running, err error) {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err := ownDir(dir); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+runSuffix))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // it has gone
		}
		if lock(f, unix.LOCK_SH|unix.LOCK_NB) == nil {
			_ = os.Remove(path) // the process has ended without
			f.Close()
			continue
		}
		const most = 64 << 10
		r := &running{file: f}
		text, err := io.ReadAll(io.LimitReader(f, most))
		if err != nil || json.Unmarshal(text, r) != nil || r.PID <= 1 {
			f.Close() // it is just being written
			continue
		}
		found = append(found, r)
	}
	return found, nil
}

// stopTime is how long the end of an enabler may take: it drains for half a minute.
const stopTime = time.Minute

// stopRunning ends the enabler of a farm and an id, or, when they are empty, the only one of this user.
func stopRunning(dirs []string, farm, id string, out, errOut io.Writer) int {
	var all []*running
	for _, dir := range dirs {
		found, err := findRunning(dir)
		if err != nil {
			fmt.Fprintf(errOut, "rsoe: %v\n", err) // it may be in the others
		}
		all = append(all, found...)
	}
	var meant []*running
	for _, r := range all {
		defer r.file.Close()
		if farm == "" || r.Farm == farm && r.ID == id {
			meant = append(meant, r)
		}
	}
	switch len(meant) {
	case 1:
		if err := meant[0].stop(stopTime); err != nil {
			fmt.Fprintf(errOut, "rsoe: %s: %v\n", meant[0], err)
			return process.ExitRuntime
		}
		fmt.Fprintf(out, "ended: %s\n", meant[0])
		return process.ExitOK
	case 0:
		fmt.Fprintln(errOut, "rsoe: no such enabler of this user runs")
		meant = all
	default:
		fmt.Fprintln(errOut, "rsoe: several enablers run: name one by -f and -id, or send its process SIGTERM")
	}
	for _, r := range meant {
		fmt.Fprintf(errOut, "  %s\n", r)
	}
	return process.ExitRuntime
}

// stop ends an enabler and waits until it is gone.
func (r *running) stop(most time.Duration) error {
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	gone := make(chan error, 1)
	go func() { gone <- lock(r.file, unix.LOCK_SH) }() // ends with the other process, or with this one
	select {
	case err := <-gone:
		return err
	case <-time.After(most):
		return fmt.Errorf("it has not ended within %v", most)
	}
}
