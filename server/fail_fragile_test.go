package server_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fragile is a back end that answers every request with the same body, in pieces, and that can be killed: all its connections
// are reset at once. It listens on.
type fragile struct {
	addr, body string

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

func newFragile(t testing.TB, size int) *fragile {
	t.Helper()
	b := &fragile{body: strings.Repeat("0123456789", size/10), conns: map[net.Conn]bool{}}
	b.addr = listenRaw(t, b.serve)
	return b
}

// listenRaw serves connections until the end of the test.
func listenRaw(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }() // ends with its connection, which the enabler ends
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	return ln.Addr().String()
}

func (b *fragile) serve(c net.Conn) {
	b.mu.Lock()
	b.conns[c] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	in := bufio.NewReader(c)
	for {
		path, err := readRequestHead(in)
		if err != nil {
			return
		}
		framing, before, after := fmt.Sprintf("Content-Length: %d", len(b.body)), "", ""
		if path == "/chunked" {
			framing, before, after = "Transfer-Encoding: chunked", "2710\r\n", "\r\n"
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", framing)
		for i := 0; i < len(b.body); i += 10_000 {
			if _, err := c.Write([]byte(before + b.body[i:i+10_000] + after)); err != nil {
				return
			}
			pause(time.Millisecond) // a body takes a while: kills meet it in its midst
		}
		if path == "/chunked" {
			fmt.Fprint(c, "0\r\n\r\n")
		}
	}
}

// pause lets a back end take its time.
func pause(d time.Duration) { <-time.After(d) }

// kill resets all connections and returns how many there were.
func (b *fragile) kill() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.(*net.TCPConn).SetLinger(0) // it is gone already
		c.Close()
		n++
	}
	return n
}

// killEvery kills until stop is closed and returns how many connections it has reset. On a slow machine it kills less often: some
// answer has come whole in between.
func (b *fragile) killEvery(d time.Duration, whole *atomic.Int64, stop <-chan struct{}) (n int) {
	t := time.NewTicker(d)
	defer t.Stop()
	for last := int64(-1); ; {
		select {
		case <-stop:
			return n
		case <-t.C:
			if now := whole.Load(); now != last {
				last = now
				n += b.kill()
			}
		}
	}
}
