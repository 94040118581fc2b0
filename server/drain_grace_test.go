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

// A request that is on its way on a kept connection when the drain begins is answered, and the connection closed.
func TestDrainAnswersTheLastRequest(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *config.Config) { c.DrainGrace = patience })
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answer") }))
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(nc)
	exchange := func() *http.Response {
		fmt.Fprint(nc, "GET /cli/iarelayserver/f/ HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "answer" {
			t.Fatalf("%d %q %v", resp.StatusCode, body, err)
		}
		return resp
	}
	if exchange().Close {
		t.Fatal("the connection is closed before the drain")
	}
	r.cancel()
	eventually(t, "the listener is closed", func() bool {
		other, err := net.Dial("tcp", r.addr)
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	if !exchange().Close {
		t.Error("the last answer does not say that the connection closes")
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the last answer: %v, want the end", err)
	}
	if err := r.stop(); err != nil {
		t.Error("stop:", err)
	}
}

// A connection that brings nothing more does not hold the drain up for longer than the grace.
func TestDrainGraceEnds(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *config.Config) { c.DrainGrace = 200 * time.Millisecond })
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	fmt.Fprint(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Error("stop:", err)
	}
}
