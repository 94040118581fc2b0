package server_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"strings"
	"syscall"
	"testing"

	"roundhouse/codec/oes"
	"roundhouse/server/config"
)

// hotClient is a client that costs the process as little as it can: its descriptor blocks, and no goroutine of its own waits for it.
type hotClient struct {
	t       testing.TB
	fd      int
	request []byte
	reply   []byte
	buf     []byte
}

// startHot starts a server with an echo engine that answers at once, and a client that has logged in to it in block mode.
func startHot(t testing.TB) *hotClient {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Types = []config.EngineType{{Name: "default", Command: engineCommand("echo")}}
	})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	fd := int(file.Fd())
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // a socket of which nothing is lost
	payload := bytes.Repeat([]byte("x"), 100)
	h := &hotClient{
		t: t, fd: fd, buf: make([]byte, 4096),
		request: oes.AppendCommand(nil, oes.Execute, payload),
		reply:   oes.AppendReplyBytes(nil, true, oes.Done, payload),
	}
	h.send(oes.AppendLogin(nil, oes.LoginFields{User: []byte("u"), Mode: []byte("0")}))
	if n, err := syscall.Read(fd, h.buf); err != nil || !bytes.HasPrefix(h.buf[8:max(8, n)], []byte("00\x01")) {
		t.Fatalf("login: %q, %v", h.buf[:max(n, 0)], err)
	}
	for range 200 { // everything grows to its size
		h.call()
	}
	return h
}

func (h *hotClient) send(b []byte) {
	if n, err := syscall.Write(h.fd, b); err != nil || n != len(b) {
		h.t.Fatalf("%d of %d bytes written: %v", n, len(b), err)
	}
}

// call sends a request and waits for its reply.
func (h *hotClient) call() {
	h.send(h.request)
	n := 0
	for n < len(h.reply) {
		m, err := syscall.Read(h.fd, h.buf[n:])
		if err != nil || m == 0 {
			h.t.Fatalf("%d bytes read: %v", m, err)
		}
		n += m
	}
	if !bytes.Equal(h.buf[:n], h.reply) {
		h.t.Fatalf("reply %q", h.buf[:n])
	}
}

// BenchmarkEngineCall is the way of a request from the client to an engine process and back. What it allocates, the server does.
func BenchmarkEngineCall(b *testing.B) {
	h := startHot(b)
	b.ReportAllocs()
	for b.Loop() {
		h.call()
	}
}

// TestEngineHotPathAllocates checks that a request allocates nothing in the server.
func TestEngineHotPathAllocates(t *testing.T) {
	if racing {
		t.Skip("the race detector makes pools forget")
	}
	h := startHot(t)
	const calls = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		h.call()
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > calls/20 { // timers, statistics and the test itself allocate now and then
		t.Errorf("%d allocations in %d requests, want none", n, calls)
	}
}

// TestEngineHotPathSwitches checks in a trace of the runtime that no goroutine hands a request to another one: the loop that has read it
// sends it to the engine, and the reply back.
func TestEngineHotPathSwitches(t *testing.T) {
	h := startHot(t)
	const calls = 1000
	file := filepath.Join(t.TempDir(), "trace")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.Start(out); err != nil {
		t.Fatal(err)
	}
	for range calls {
		h.call()
	}
	trace.Stop()
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("go", "tool", "trace", "-d=parsed", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var created, woken, syscalls int
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		switch line := lines.Text(); {
		case !strings.Contains(line, "StateTransition") || !strings.Contains(line, "GoID="):
		case strings.Contains(line, "NotExist->"):
			created++
		case strings.Contains(line, "Waiting->Runnable"):
			woken++
		case strings.Contains(line, "Running->Syscall"):
			syscalls++
		}
	}
	t.Logf("%d requests: %d goroutines created, %d woken, %d system calls", calls, created, woken, syscalls)
	if syscalls < 4*calls {
		t.Fatalf("the trace shows %d system calls, at least %d were made: it is not read rightly", syscalls, 4*calls)
	}
	if created+woken > calls/10 { // the ticker, the garbage collector and the trace itself run now and then
		t.Errorf("%d goroutines created and %d woken in %d requests, want none", created, woken, calls)
	}
}
