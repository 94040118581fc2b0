package sdk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
)

// pipes is a connection over two pipes.
type pipes struct {
	r, w *os.File
}

func (p pipes) Read(b []byte) (int, error)  { return p.r.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.r.Close(), p.w.Close()) }

// startProcess starts an engine as the server does, and reads its hello. way is ENGINE_FD=3, ENGINE_STDIO=1 or pipes, which is the
// latter over pipes.
func startProcess(t *testing.T, cmd *exec.Cmd, way string) *peer {
	t.Helper()
	cmd.Env = append(os.Environ(), "SDK_TEST_ENGINE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	conn, theirs := engineEnd(t, cmd, way)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range theirs {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	p := &peer{t: t, conn: conn, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() { // ended by the process; waited for by the cleanup
		defer close(done)
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, &stderr)
		}
		p.ended <- err
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, if all went well
		<-done
	})
	p.readHello()
	return p
}

// engineEnd gives cmd its end of a connection; theirs is to be closed here when it runs.
func engineEnd(t testing.TB, cmd *exec.Cmd, way string) (conn io.ReadWriteCloser, theirs []*os.File) {
	t.Helper()
	if way == "pipes" {
		in, toEngine, err := os.Pipe()
		fromEngine, out, err2 := os.Pipe()
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		cmd.Stdin, cmd.Stdout = in, out
		cmd.Env = append(cmd.Env, "ENGINE_STDIO=1")
		t.Cleanup(func() { _ = pipes{fromEngine, toEngine}.Close() }) // the test may have closed it
		return pipes{fromEngine, toEngine}, []*os.File{in, out}
	}
	var server net.Conn
	server, fd := socketpair(t)
	file := os.NewFile(uintptr(fd), "engine")
	cmd.Env = append(cmd.Env, way)
	if way == "ENGINE_STDIO=1" {
		cmd.Stdin, cmd.Stdout = file, file
	} else {
		cmd.ExtraFiles = []*os.File{file}
	}
	return server, []*os.File{file}
}
