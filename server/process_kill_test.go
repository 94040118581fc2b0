package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inFlight is a request that has come as far as the back end.
type inFlight struct {
	name, path string
	conn       net.Conn
	in         *bufio.Reader
	resp       *http.Response // nil before its head
}

const upgradeFields = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// startInFlight sends one request of each kind and waits until each is where it should be.
func startInFlight(t *testing.T, r *relayChild) []*inFlight {
	t.Helper()
	var all []*inFlight
	for _, f := range []*inFlight{
		{name: "before the head", path: "/head"}, {name: "in a body with a length", path: "/length"},
		{name: "in a chunked body", path: "/chunked"}, {name: "in an upload", path: "/upload"}, {name: "upgraded", path: "/upgrade"},
	} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience)) // fails as a read would
		method, more := "GET", ""
		switch f.path {
		case "/upload":
			method, more = "POST", "Content-Length: 100000\r\n"
		case "/upgrade":
			more = upgradeFields
		}
		write(t, c, method+" /cli/iarelayserver/f"+f.path+" HTTP/1.1\r\nHost: a\r\n"+more+"\r\n")
		f.conn, f.in = c, bufio.NewReader(c)
		switch f.path {
		case "/upload":
			write(t, c, strings.Repeat("x", 50_000))
		case "/length", "/chunked", "/upgrade":
			f.readFirst(t)
		}
		all = append(all, f)
	}
	return all
}

// readFirst reads the head and the first half of the body.
func (f *inFlight) readFirst(t *testing.T) {
	t.Helper()
	resp, err := http.ReadResponse(f.in, nil)
	if err != nil {
		t.Fatal(f.name, err)
	}
	f.resp = resp
	body := io.Reader(resp.Body)
	if resp.StatusCode == 101 {
		body = f.in
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(body, first); err != nil || string(first) != "first" {
		t.Fatalf("%s: %q %v", f.name, first, err)
	}
}

// isBroken waits for the end of the request and checks that nobody can take it for a good one. reset tells that the relay is
// gone, and with it every answer that it could make.
func (f *inFlight) isBroken(t *testing.T, reset bool) {
	t.Helper()
	if f.resp == nil {
		resp, err := http.ReadResponse(f.in, nil)
		switch {
		case isTimeout(err), err != nil && !reset:
			t.Errorf("%s: no answer: %v", f.name, err)
		case err == nil && resp.StatusCode != 502:
			t.Errorf("%s: status %d", f.name, resp.StatusCode)
		}
		return
	}
	body := io.Reader(f.resp.Body)
	if f.resp.StatusCode == 101 {
		body = f.in
	}
	rest, err := io.ReadAll(body)
	clean := err == nil && f.resp.StatusCode != 101 // the kernel ends a killed back end's connections well
	if clean && !reset || isTimeout(err) || len(rest) > 0 {
		t.Errorf("%s: %q, and then the end: %v", f.name, rest, err)
	}
}

// allBroken checks that all requests are broken soon.
func allBroken(t *testing.T, all []*inFlight, reset bool) {
	t.Helper()
	began := time.Now()
	for _, f := range all {
		f.isBroken(t, reset)
	}
	took := time.Since(began)
	if took > slack {
		t.Errorf("the last one heard of it after %v", took)
	}
	t.Logf("%d in flight, %d broken, the last one %v after the kill", len(all), len(all), took.Round(time.Millisecond))
}

// servesAgain waits until a request is answered, and checks how long that took.
func servesAgain(t *testing.T, r *relayChild, atMost time.Duration) {
	t.Helper()
	began := time.Now()
	eventually(t, "it serves again", func() bool { o := ask("GET", r.url("/"), ""); return o.status == 200 && o.body == "alive" })
	if took := time.Since(began); took > atMost {
		t.Errorf("it served again after %v", took)
	}
}

func TestKillEnabler(t *testing.T) {
	r := startRelayChild(t, "127.0.0.1:0", "")
	_, backend := startBackendChild(t, "")
	e := startEnablerChild(t, r.addr, "s1", backend)
	r.up(2)
	all := startInFlight(t, r)
	e.kill()
	allBroken(t, all, false)
	if o := ask("GET", r.url("/"), ""); o.status != 503 {
		t.Errorf("without an enabler: %v", o)
	}
	startEnablerChild(t, r.addr, "s1", backend)
	servesAgain(t, r, time.Second+slack)
}

func TestKillBackend(t *testing.T) {
	r := startRelayChild(t, "127.0.0.1:0", "")
	b, backend := startBackendChild(t, "")
	startEnablerChild(t, r.addr, "s1", backend)
	r.up(2)
	all := startInFlight(t, r)
	b.kill()
	allBroken(t, all, false)
	if o := ask("GET", r.url("/"), ""); o.status != 502 && o.status != 503 {
		t.Errorf("without a back end: %v", o)
	}
	eventually(t, "the relay knows", func() bool { return ask("GET", r.url("/"), "").status == 503 })
	startBackendChild(t, backend)
	servesAgain(t, r, time.Second+slack)
}

func TestKillRelay(t *testing.T) {
	r := startRelayChild(t, freeAddr(t), "")
	_, backend := startBackendChild(t, "")
	e := startEnablerChild(t, r.addr, "s1", backend)
	r.up(2)
	all := startInFlight(t, r)
	r.kill()
	allBroken(t, all, true)
	eventually(t, "the enabler has tried and failed", func() bool { return len(e.records("no list of relay servers; trying again")) >= 3 })
	again := startRelayChild(t, r.addr, "")
	servesAgain(t, again, time.Second+slack)
	e.signal(syscall.SIGTERM)
	if code := e.exit(); code != 0 {
		t.Errorf("the enabler's exit code is %d", code)
	}
}
