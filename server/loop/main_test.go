package loop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// childEnv names what the test binary is to do instead of testing: some things need a process of their own.
const childEnv = "ROUNDHOUSE_LOOP_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "few-files":
		childFewFiles()
	case "quiet":
		childQuiet()
	}
}

// child is the test binary run again with another task.
func child(t *testing.T, task string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+task)
	return cmd
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childFewFiles serves with 64 descriptors until its standard input ends: it echoes lines, and answers "?" with its number of
// accept errors.
func childFewFiles() {
	must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
	g, err := New(Options{Loops: 1, Logger: slog.New(slog.DiscardHandler)})
	must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	_, err = g.Accept(ln, AcceptOptions{Open: func(*Conn) Session {
		return &funcSession{data: func(c *Conn, in []byte) (int, error) {
			if strings.HasPrefix(string(in), "?") {
				c.Write(fmt.Appendln(nil, g.Stats().AcceptErrors))
			} else {
				c.Write(in)
			}
			return len(in), nil
		}}
	}})
	must(err)
	fmt.Println(ln.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	must(err)
	must(g.Stop(context.Background()))
}

// childQuiet starts a group, echoes once and stops.
func childQuiet() {
	g, err := New(Options{Loops: 2, Logger: slog.New(slog.DiscardHandler)})
	must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	_, err = g.Accept(ln, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
	must(err)
	nc, err := net.Dial("tcp", ln.Addr().String())
	must(err)
	_, err = nc.Write([]byte("x"))
	must(err)
	_, err = nc.Read(make([]byte, 1))
	must(err)
	must(nc.Close())
	must(g.Stop(context.Background()))
}

// ask sends a line and returns the answer; "" when the connection does not work.
func ask(nc net.Conn, line string) string {
	if _, err := fmt.Fprintln(nc, line); err != nil {
		return ""
	}
	answer, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(answer)
}
