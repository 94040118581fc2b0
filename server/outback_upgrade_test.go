package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
)

// startDuplex starts a back end that upgrades whoever asks, and then gives the connection to serve.
func startDuplex(t *testing.T, serve func(c *net.TCPConn, in *bufio.Reader)) string {
	return listenRaw(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if _, err := readRequestHead(in); err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		serve(c.(*net.TCPConn), in)
	})
}

// upgraded opens an upgraded connection.
func upgraded(t *testing.T, r *relayUnderTest) *rawClient {
	t.Helper()
	c := r.client()
	c.send("GET $F/ HTTP/1.1|Host: a|" + short(upgradeFields) + "|")
	c.head()
	return c
}

// TestUpgradedClientEndsFirst has a client end its side: what the back end has still to say comes.
func TestUpgradedClientEndsFirst(t *testing.T) {
	const size = 3 << 20
	backend := startDuplex(t, func(c *net.TCPConn, in *bufio.Reader) {
		said, err := io.ReadAll(in)
		if err != nil || string(said) != "that was all" {
			t.Errorf("the back end got %q, %v", said, err)
		}
		_, _ = io.Copy(c, noise(size))
	})
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", backend)
	c := upgraded(t, r)
	c.send("that was all")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c.r); n != size || err != nil {
		t.Errorf("%d bytes, %v; want %d", n, err, size)
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

// TestUpgradedBackendEndsFirst has a back end end its side: what the client has still to say comes.
func TestUpgradedBackendEndsFirst(t *testing.T) {
	const size = 3 << 20
	got := make(chan int64, 1)
	backend := startDuplex(t, func(c *net.TCPConn, in *bufio.Reader) {
		fmt.Fprint(c, "nothing more")
		_ = c.CloseWrite() // the client's read tells
		n, _ := io.Copy(io.Discard, in)
		got <- n
	})
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", backend)
	c := upgraded(t, r)
	if said, err := io.ReadAll(c.r); string(said) != "nothing more" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := io.Copy(c, noise(size)); err != nil {
		t.Error(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n := <-got; n != size {
		t.Errorf("the back end got %d bytes, want %d", n, size)
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

// TestUpgradedBackendLeaves has a back end close the connection while the client goes on: the client is cut, and nothing is left.
func TestUpgradedBackendLeaves(t *testing.T) {
	backend := startDuplex(t, func(c *net.TCPConn, _ *bufio.Reader) { fmt.Fprint(c, "bye") })
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", backend)
	c := upgraded(t, r)
	if said, err := io.ReadAll(c.r); string(said) != "bye" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	_, _ = io.Copy(c, noise(64<<20)) // until it is cut
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 })
	if r.log.has("request failed") {
		t.Error(r.log.text())
	}
}
