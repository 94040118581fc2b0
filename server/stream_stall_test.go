package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// endless answers with more than all socket buffers on the way hold.
func endless(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.CopyN(w, zeroReader{}, 256<<20) // the client is cut before
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// ask opens a connection and sends a GET for a path of the farm.
func (r *relayUnderTest) ask(path string) net.Conn {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	fmt.Fprintf(nc, "GET /cli/iarelayserver/f%s HTTP/1.1\r\nHost: h\r\n\r\n", path)
	return nc
}

func TestClientThatTakesNothingIsCut(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *config.Config) { c.Relay.IdleTimeout = 2 * time.Second })
	startEnabler(t, r, "s1", startBackend(t, endless))
	r.ask("/")
	eventually(t, "a client that takes nothing is cut", func() bool { return r.log.has("The client did not take its answer.") })
}

func TestSlowButSteadyClientIsNotCut(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	r := startRelay(t, func(c *config.Config) { c.Relay.IdleTimeout = idle })
	startEnabler(t, r, "s1", startBackend(t, endless))
	nc := r.ask("/")
	if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(idle / 40)
	defer tick.Stop()
	piece := make([]byte, 1<<20) // more than a receiver's window must grow by before it is told of
	for began := time.Now(); time.Since(began) < 3*idle; <-tick.C {
		if _, err := io.ReadFull(nc, piece); err != nil {
			t.Fatal("cut while it read:", err)
		}
	}
	if r.log.has("The client did not take its answer.") {
		t.Error("a client that reads was cut")
	}
}

func TestUploadThatNobodyTakesIsGivenUp(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // connects, and neither reads nor answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	r := startRelay(t, func(c *config.Config) { c.Relay.ResponseTimeout = 500 * time.Millisecond })
	startEnabler(t, r, "s1", ln.Addr().String())
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(nc, "POST /cli/iarelayserver/f/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 1<<30)
	go func() { _, _ = io.CopyN(nc, zeroReader{}, 1<<30) }() // ends when the connection is closed
	status, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 504 ") {
		t.Fatalf("%q, %v; want 504", status, err)
	}
}
