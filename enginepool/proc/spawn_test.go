package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestDescriptors leaks a descriptor as a careless parent would, and looks at what engines see.
func TestDescriptors(t *testing.T) {
	leaked := leak(t)
	see := func(stdio bool) string {
		e := run(t, Spec{Argv: []string{"ls", "-l", "/proc/self/fd"}, Stdio: stdio})
		text, err := io.ReadAll(e.socket) // ends with the process
		if err != nil {
			t.Fatal(err)
		}
		e.exit()
		var seen []string
		for _, line := range append(e.said("stdout"), strings.Split(string(text), "\n")...) {
			_, link, ok := strings.Cut(line, " -> ")
			if f := strings.Fields(line); ok && !strings.HasPrefix(link, "/proc/") { // that is the list itself
				seen = append(seen, f[len(f)-3]+" "+link)
			}
		}
		return strings.Join(seen, "\n")
	}
	if !strings.Contains(see(false), "/dev/zero") {
		t.Fatal("the leaked descriptor was not inherited: the test cannot bite")
	}
	seals := map[string]func() error{"close_range": SealDescriptors, "list": sealListed}
	for name, seal := range seals {
		if _, err := unix.FcntlInt(uintptr(leaked), unix.F_SETFD, 0); err != nil {
			t.Fatal(err)
		}
		if err := seal(); err != nil {
			t.Fatal(err)
		}
		for stdio, want := range map[bool][]string{
			false: {"0 /dev/null", "1 pipe:", "2 pipe:", "3 socket:"},
			true:  {"0 socket:", "1 socket:", "2 pipe:"},
		} {
			got := strings.Split(see(stdio), "\n")
			ok := len(got) == len(want)
			for i := range min(len(got), len(want)) {
				ok = ok && strings.HasPrefix(got[i], want[i])
			}
			if !ok {
				t.Errorf("%s, stdio %v: it sees %q", name, stdio, got)
			}
		}
	}
}

// TestSocket sends a line to an engine and back, in both kinds of transport.
func TestSocket(t *testing.T) {
	for stdio, script := range map[bool]string{false: "head -c 6 <&3 >&3", true: "head -c 6"} {
		e := run(t, Spec{Argv: []string{"sh", "-c", script}, Stdio: stdio})
		if flags, err := unix.FcntlInt(e.socket.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Error("our end is inherited by others", err)
		}
		if _, err := e.socket.WriteString("hello\n"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(e.socket) // ends with the process: nobody else has the other end
		if err != nil || string(got) != "hello\n" {
			t.Errorf("stdio %v: %q, %v", stdio, got, err)
		}
		if x := e.exit(); x.Code != 0 {
			t.Errorf("%v: %v", x, x.Stderr)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ROUNDHOUSE_TEST_SECRET", "1")
	path := "PATH=" + os.Getenv("PATH")
	env := []string{path, "A=1", "A=2", "NOTIFY_SOCKET=@x", "LISTEN_FDS=3", "LISTEN_PID=1", "LISTEN_FDNAMES=a",
		"ROUNDHOUSE_LISTEN_FDS=1", "ENGINE_FD=7", "ENGINE_STDIO=1", "B="}
	for stdio, last := range map[bool]string{false: "ENGINE_FD=3", true: "ENGINE_STDIO=1"} {
		e := run(t, Spec{Argv: []string{"sh", "-c", "env >&2"}, Env: env, Stdio: stdio})
		got := e.exit().Stderr
		got = slices.DeleteFunc(got, func(s string) bool { // the shell's own
			return strings.HasPrefix(s, "PWD=") || strings.HasPrefix(s, "SHLVL=") || strings.HasPrefix(s, "_=") || strings.HasPrefix(s, "OLDPWD")
		})
		slices.Sort(got)
		want := []string{"A=2", "B=", last, path}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("stdio %v: %q", stdio, got)
		}
	}
}

// TestStartErrors makes every step fail. Nothing stays open.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return at
	}
	plain := file("plain", "text", 0o600)
	script := file("script", "#!/nowhere/interpreter\n", 0o700)
	junk := file("junk", "\x00\x01\x02", 0o700)
	before := descriptors(t)
	for _, row := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "no program to start"},
		{Spec{Argv: []string{""}}, "no program to start"},
		{Spec{Argv: []string{"no-such-program"}}, "exec no-such-program: not found in PATH"},
		{Spec{Argv: []string{"sh"}, Env: []string{"PATH=" + dir}}, "exec sh: not found in PATH"},
		{Spec{Argv: []string{"plain"}, Env: []string{"PATH=" + dir}}, "exec plain: " + plain + ": permission denied"},
		{Spec{Argv: []string{"./no-such-program"}, Dir: dir}, "exec ./no-such-program: file does not exist"},
		{Spec{Argv: []string{plain}}, "exec " + plain + ": permission denied"},
		{Spec{Argv: []string{dir}}, "exec " + dir + ": is a directory"},
		{Spec{Argv: []string{script}}, "exec " + script + ": the interpreter or loader that it names does not exist: no such file or directory"},
		{Spec{Argv: []string{junk}}, "exec " + junk + ": neither a program nor a script with #! in its first line: exec format error"},
		{Spec{Argv: []string{"sh", "a\x00b"}}, "an argument or variable holds a zero byte: invalid argument"},
		{Spec{Argv: []string{"sh"}, Dir: dir + "/none"}, "directory: stat " + dir + "/none: no such file or directory"},
		{Spec{Argv: []string{"sh"}, Dir: plain}, "directory: " + plain + " is none"},
		{Spec{Argv: []string{"sh"}, Env: []string{"secret"}}, "is not NAME=value"},
		{Spec{Argv: []string{"sh"}, Env: []string{"A=\x00"}}, `environment: "A" holds a zero byte`},
		{Spec{Argv: []string{"sh"}, User: "no-such-user"}, "user no-such-user: no such user"},
		{Spec{Argv: []string{"sh"}, User: "4294967295:0"}, "user 4294967295:0: no such user"},
		{Spec{Argv: []string{"sh"}, User: "0:no-such-group"}, "user 0:no-such-group: no such group: no-such-group"},
		{Spec{Argv: []string{"sh"}, User: "123456"}, "user 123456: no such user, so that its group is not known: write user:group"},
	} {
		row.spec.Name = "shop-7"
		p, fd, err := Start(row.spec, nil, func(Exit) { t.Error("exited was called") })
		if err == nil || p != nil || fd != -1 || !strings.HasPrefix(err.Error(), "engine shop-7: ") || !strings.HasSuffix(err.Error(), row.want) {
			t.Errorf("got %v\nwant %s", err, row.want)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestNoDescriptors has no descriptor left at each step of a start.
func TestNoDescriptors(t *testing.T) {
	before := descriptors(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	failed := 0
	for room := range 12 {
		low := unix.Rlimit{Cur: uint64(before + room), Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		ended := make(chan Exit, 1)
		_, fd, err := Start(Spec{Name: "E", Argv: []string{"true"}}, nil, func(x Exit) { ended <- x })
		if err == nil {
			<-ended
			closeAll(fd)
			continue
		}
		failed++
		if !errors.Is(err, syscall.EMFILE) {
			t.Error(err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if after := descriptors(t); after != before || failed < 3 {
		t.Errorf("%d descriptors, %d before; %d starts failed", after, before, failed)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "here"), []byte("#!/bin/sh\npwd\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	e := run(t, Spec{Argv: []string{"./here"}, Dir: dir})
	if e.exit(); !slices.Equal(e.said("stdout"), []string{dir}) {
		t.Errorf("it is in %q", e.said("stdout"))
	}
}

func TestNice(t *testing.T) {
	have, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := run(t, Spec{Argv: []string{"sh", "-c", "nice"}, Nice: 3})
	if e.exit(); !slices.Equal(e.said("stdout"), []string{itoa(20 - have + 3)}) {
		t.Errorf("niceness %q", e.said("stdout"))
	}
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || now != have {
		t.Errorf("the server's own niceness was %d and is %d, %v", 20-have, 20-now, err)
	}
}

func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		_, _, err := Start(Spec{Name: "E", Argv: []string{"true"}, User: "root"}, nil, nil)
		if err == nil || err.Error() != "engine E: user root: only root can start engines of another user" {
			t.Error(err)
		}
		run(t, Spec{Argv: []string{"true"}, User: itoa(os.Geteuid()) + ":" + itoa(os.Getegid())}).exit()
		return
	}
	for who, want := range map[string]string{"nobody": "65534 ", "65534": "65534 ", "nobody:0": "65534 0 0", "123456:77": "123456 77 77", "root": "0 0"} {
		e := run(t, Spec{Argv: []string{"sh", "-c", "echo $(id -u) $(id -g) $(id -G)"}, User: who})
		x := e.exit()
		if got := strings.Join(e.said("stdout"), "|"); !strings.HasPrefix(got, want) || x.Code != 0 {
			t.Errorf("%s runs as %q, %v %q", who, got, x, x.Stderr)
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := Start(Spec{Name: "E", Argv: []string{"/bin/true"}, User: "nobody", Dir: dir}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "user nobody may not use the program or the directory") {
		t.Error(err)
	}
}

func TestRSS(t *testing.T) {
	bytes, err := RSS(os.Getpid())
	if err != nil || bytes < 1<<20 || bytes > 1<<34 {
		t.Errorf("%d bytes, %v", bytes, err)
	}
	if _, err := RSS(1 << 30); err == nil {
		t.Error("there is no such process")
	}
}

// TestManyStarts starts and kills engines. Descriptors and goroutines come back to their count.
func TestManyStarts(t *testing.T) {
	one := func(i int) {
		ended := make(chan Exit, 1)
		p, fd, err := Start(Spec{Name: fmt.Sprint(i), Argv: []string{"sleep", "1000"}, Stdio: i%2 == 1}, nil, func(x Exit) { ended <- x })
		if err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGKILL)
		x := <-ended
		p.Signal(syscall.SIGKILL) // nothing happens
		closeAll(fd)
		if x.Signal != syscall.SIGKILL {
			t.Fatal(x)
		}
	}
	one(0) // what the runtime opens for itself
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for i := range 200 {
		one(i)
	}
	eventually(t, "all is given back", func() bool { return descriptors(t) == fds && runtime.NumGoroutine() <= goroutines })
}

// TestParallelStarts: no engine inherits the channels of another that starts at the same time.
func TestParallelStarts(t *testing.T) {
	var all []*engine
	started := make(chan *engine)
	for range 8 {
		go func() { // ends when its engine was started
			for range 5 {
				started <- run(t, Spec{Argv: []string{"sh", "-c", "echo $(ls /proc/self/fd); exec cat <&3"}})
			}
		}()
	}
	for range 40 {
		all = append(all, <-started)
	}
	for _, e := range all {
		e.socket.Close()
		if x := e.exit(); x.Code != 0 { // cat ends: no other process holds our end
			t.Error(x, x.Stderr)
		}
		// 4 is the directory that it lists.
		if got := e.said("stdout"); !slices.Equal(got, []string{"0 1 2 3 4"}) {
			t.Errorf("it sees %q", got)
		}
	}
}
