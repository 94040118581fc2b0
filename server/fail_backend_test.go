package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestBackendBreaks has a back end end its answers in every wrong way; nobody may take one for whole.
func TestBackendBreaks(t *testing.T) {
	const length, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	answers := map[string]struct {
		say    string
		reset  bool
		status int // 0: a broken 200
	}{
		"/nothing": {"", false, 502}, "/nothing-reset": {"", true, 502},
		"/half-head": {"HTTP/1.1 200 OK\r\nA: b\r\n", false, 502}, "/half-head-reset": {"HTTP/1.1 20", true, 502},
		"/garbage": {"SSH-2.0-OpenSSH\r\n\r\n", false, 502},
		"/length":  {length + "first", false, 0}, "/length-reset": {length + "first", true, 0},
		"/chunk": {chunked + "5\r\nfir", false, 0}, "/chunk-reset": {chunked + "5\r\nfirst\r\n", true, 0},
		"/no-last-chunk": {chunked + "5\r\nfirst\r\n", false, 0}, "/bad-chunk": {chunked + "5\r\nfirst\r\nzz\r\n", false, 0},
		"/half-end": {chunked + "5\r\nfirst\r\n0\r\n", false, 0}, "/infos": {flood(), false, 502},
		"/until-close": {"HTTP/1.1 200 OK\r\n\r\nfirst", true, 0},
	}
	backend := listenRaw(t, func(c net.Conn) {
		path, err := readRequestHead(bufio.NewReader(c))
		if err != nil {
			return
		}
		a := answers[path]
		fmt.Fprint(c, a.say)
		if a.reset {
			_ = c.(*net.TCPConn).SetLinger(0) // the connection is closed next
		}
	})
	r := startRelay(t, twoFarms)
	startEnabler(t, r, "s1", backend)
	for path, a := range answers {
		switch o := ask("GET", r.url(path), ""); {
		case a.status != 0 && (o.status != a.status || o.err != nil), a.status == 0 && o.err == nil:
			t.Errorf("%s: %v", path, o)
		}
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

func flood() (s string) {
	for range 100 {
		s += "HTTP/1.1 103 Early Hints\r\n\r\n"
	}
	return s + "HTTP/1.1 204 No Content\r\n\r\n"
}

// TestBackendStalls has a back end say nothing more: before the head the relay gives up, afterwards the client may.
func TestBackendStalls(t *testing.T) {
	gone := make(chan string, 2)
	backend := listenRaw(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		path, err := readRequestHead(in)
		if err != nil {
			return
		}
		if path == "/body" {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
		}
		_, _ = in.ReadByte() // until the enabler hangs up
		gone <- path
	})
	hasty := startRelay(t, func(cfg *config.Config) { cfg.Relay.ResponseTimeout = 200 * time.Millisecond })
	startEnabler(t, hasty, "s1", backend)
	if o := ask("GET", hasty.url("/head"), ""); o.status != 504 {
		t.Error(o)
	}
	if path := <-gone; path != "/head" {
		t.Error(path)
	}
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", backend)
	c := r.dial()
	write(t, c, "GET /cli/iarelayserver/f/body HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	_ = c.(*net.TCPConn).SetLinger(0) // a mere end of the client's side would not tell that it is gone
	c.Close()
	if path := <-gone; path != "/body" {
		t.Error(path)
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

// TestUpgradedEnds has a back end end an upgraded connection, well and with a reset: the client can tell one from the other.
func TestUpgradedEnds(t *testing.T) {
	t.Parallel() // it waits most of its time
	backend := listenRaw(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		path, err := readRequestHead(in)
		if err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = in.ReadByte() // until the client has got that far
		if path == "/reset" {
			_ = c.(*net.TCPConn).SetLinger(0) // the connection is closed next
		}
	})
	r := startRelay(t, twoFarms)
	startEnabler(t, r, "s1", backend)
	for path, clean := range map[string]bool{"/well": true, "/reset": false} {
		c := r.dial()
		write(t, c, "GET /cli/iarelayserver/f"+path+" HTTP/1.1\r\nHost: a\r\n"+upgradeFields+"\r\n")
		in := bufio.NewReader(c)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		write(t, c, "x")
		if _, err := in.ReadByte(); (err == io.EOF) != clean {
			t.Errorf("%s: %v", path, err)
		}
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}
