package server_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPromise04Drain sends SIGTERM to a relay server with 500 requests in flight, which last for up to half a second more: all are answered,
// and it ends well. At full length it has 10,000, which last for 2.5 to 5 s more.
func TestPromise04Drain(t *testing.T) {
	n, lasts, notReady := 500, 250*time.Millisecond, slack
	if isFull() {
		n, lasts, notReady = 10_000, 2500*time.Millisecond, 100*time.Millisecond
	}
	path := relayFile(t, "127.0.0.1:0", "")
	manyJunctions(t, path)
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path, "--set", "drain_grace=500ms")
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	g := startGate(t, lasts)
	e := startEnablerChild(t, r.addr, "s1", g.addr, "-jl", "10000")
	r.up(2)
	kept, err := net.Dial("tcp", r.addr) // a connection that waits for its next request
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	write(t, kept, "GET /cli/iarelayserver/f/ HTTP/1.1\r\nHost: a\r\n\r\n")
	in := bufio.NewReader(kept)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 || resp.Close {
		t.Fatal(resp, err)
	}
	_, _ = in.Discard(len("done"))
	outcomes := make(chan outcome, n)
	for range n {
		go func() { outcomes <- ask("GET", r.url("/slow"), "") }() // ends with its request
	}
	eventuallyIn(t, 3*patience, "all are at the back end", func() bool { return g.came() == n })

	began := time.Now()
	r.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool { return ask("GET", "http://"+r.admin+"/readyz", "").status == 503 })
	readyz := time.Since(began)
	eventually(t, "no listener", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if _, err := in.ReadByte(); err == nil {
		t.Error("a kept connection got an answer without a request")
	}
	g.open()
	answered := 0
	for range n {
		if o := <-outcomes; o.status == 200 && o.body == "done" && o.err == nil {
			answered++
		} else {
			t.Errorf("lost: %v", o)
		}
	}
	code := r.exit()
	t.Logf("%d sent, %d answered, %d lost; readyz failed %v after the signal; exit code %d", n, answered, n-answered, readyz.Round(time.Millisecond), code)
	if code != 0 || readyz > notReady {
		t.Errorf("exit code %d, readyz after %v", code, readyz)
	}
	eventually(t, "the lanes are down", func() bool { return len(e.records("lane down; opening it again")) >= 2 })
	e.signal(os.Interrupt)
	if code := e.exit(); code != 0 {
		t.Errorf("the enabler's exit code is %d", code)
	}
}

// manyJunctions lets the enablers of a configuration run 10,000 requests at a time.
func manyJunctions(t testing.TB, path string) {
	edit(t, path, "token = \"secret\"\n", "token = \"secret\"\nmax_junction = 10000\n")
}

// edit replaces something in a file.
func edit(t testing.TB, path, before, after string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), before) {
		t.Fatalf("%s: there is no %q", path, before)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), before, after)), 0o600); err != nil {
		t.Fatal(err)
	}
}
