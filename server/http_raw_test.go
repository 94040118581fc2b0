package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
)

// wire turns the shorthand of the tables into bytes: "|" is CRLF, "$F" the client URL of the farm "f".
func wire(s string) string {
	return strings.NewReplacer("|", "\r\n", "$F", "/cli/iarelayserver/f").Replace(s)
}

// short turns bytes into the shorthand of the tables.
func short(s string) string { return strings.ReplaceAll(s, "\r\n", "|") }

// rawClient is a connection to the relay that sends and sees exact bytes.
type rawClient struct {
	*net.TCPConn
	t testing.TB
	r *bufio.Reader
}

// client connects to the relay. The connection is closed with the test at the latest.
func (r *relayUnderTest) client() *rawClient {
	r.t.Helper()
	return dialRaw(r.t, r.addr)
}

func dialRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &rawClient{TCPConn: nc.(*net.TCPConn), t: t, r: bufio.NewReader(nc)}
}

// send writes shorthand.
func (c *rawClient) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, wire(s)); err != nil {
		c.t.Fatal("send:", err)
	}
}

// head reads through the next empty line and returns it in shorthand.
func (c *rawClient) head() string {
	c.t.Helper()
	h, err := readHead(c.r)
	if err != nil {
		c.t.Fatalf("head: %v after %q", err, h)
	}
	return short(h)
}

// answer reads a whole response to a request with the given method.
func (c *rawClient) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal("answer:", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("body of a %d: %v after %d bytes", resp.StatusCode, err, len(body))
	}
	return resp, string(body)
}

// expect reads a response and checks its status.
func (c *rawClient) expect(status int) (*http.Response, string) {
	c.t.Helper()
	resp, body := c.answer("GET")
	if resp.StatusCode != status {
		c.t.Fatalf("status %d, want %d: %s", resp.StatusCode, status, body)
	}
	return resp, body
}

// ends checks that nothing follows but the end of the connection.
func (c *rawClient) ends() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Errorf("%d bytes and %v instead of the end: %.100q", len(rest), err, rest)
	}
}

// breaks reads until the connection is reset, and returns what came before.
func (c *rawClient) breaks() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err == nil {
		c.t.Errorf("an orderly end after %d bytes, want a reset", len(rest))
	}
	return string(rest)
}

func readHead(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// rawConn is a connection of the enabler to a scripted back end.
type rawConn struct {
	net.Conn
	r      *bufio.Reader
	number int // counts the connections that something came on, from 1
}

// startRawBackend starts a back end that calls serve, in a goroutine, for each connection that something comes on: the enabler's
// probes send nothing. The connection is closed when serve returns, and at the end of the test.
func startRawBackend(t testing.TB, serve func(c *rawConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open, used := map[net.Conn]bool{}, 0
	handle := func(nc net.Conn) {
		defer nc.Close()
		c := &rawConn{Conn: nc, r: bufio.NewReader(nc)}
		if _, err := c.r.Peek(1); err == nil {
			mu.Lock()
			used++
			c.number = used
			mu.Unlock()
			serve(c)
		}
		mu.Lock()
		delete(open, nc)
		mu.Unlock()
	}
	wg.Go(func() { // ends when the listener is closed; the clean-up waits for it
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			wg.Go(func() { handle(nc) }) // ends with its connection
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for nc := range open {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// write writes shorthand; an error is seen by what follows.
func (c *rawConn) write(s string) { _, _ = io.WriteString(c, wire(s)) }

// reply writes a 200 with a body.
func (c *rawConn) reply(body string) {
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// message reads a request: its head in shorthand, and its body, with the trailer lines in brackets. It takes nothing but the
// strictest form of either.
func (c *rawConn) message() (head, body string, err error) {
	if head, err = readHead(c.r); err != nil {
		return head, "", err
	}
	lower := strings.ToLower(head)
	switch _, length, ok := strings.Cut(lower, "\r\ncontent-length: "); {
	case strings.Contains(lower, "\r\ntransfer-encoding: chunked\r\n"):
		body, err = c.chunks()
	case ok:
		length, _, _ = strings.Cut(length, "\r\n")
		var n int
		if n, err = strconv.Atoi(length); err == nil {
			b := make([]byte, n)
			_, err = io.ReadFull(c.r, b)
			body = string(b)
		}
	}
	return short(head), body, err
}

func (c *rawConn) chunks() (string, error) {
	var body strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return body.String(), err
		}
		size, err := strconv.ParseUint(strings.TrimSuffix(line, "\r\n"), 16, 32)
		if err != nil {
			return body.String(), err
		}
		if size == 0 {
			trailer, err := readHead(c.r)
			if trailer != "\r\n" {
				body.WriteString("[" + short(strings.TrimSuffix(trailer, "\r\n")) + "]")
			}
			return body.String(), err
		}
		data := make([]byte, size+2)
		if _, err := io.ReadFull(c.r, data); err != nil {
			return body.String(), err
		}
		if string(data[size:]) != "\r\n" {
			return body.String(), fmt.Errorf("a chunk ends with %q", data[size:])
		}
		body.Write(data[:size])
	}
}

// mirror answers every request with what came: head in shorthand, blank, body.
func mirror(c *rawConn) {
	for {
		head, body, err := c.message()
		if err != nil {
			return
		}
		c.reply(head + " " + body)
	}
}

// startScript starts a relay with one loop, and so one lane and one pool of connections, before a scripted back end.
func startScript(t testing.TB, change func(*config.Config), serve func(*rawConn)) *relayUnderTest {
	t.Helper()
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Loops = 1
		if change != nil {
			change(cfg)
		}
	})
	startEnabler(t, r, "s1", startRawBackend(t, serve))
	return r
}
