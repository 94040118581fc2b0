package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// number answers with the number of the connection; /close closes it.
func number(c *rawConn) {
	for {
		head, body, err := c.message()
		if err != nil {
			return
		}
		if strings.Contains(head, "/close") {
			c.write(fmt.Sprintf("HTTP/1.1 200 OK|Connection: close|Content-Length: 1||%d", c.number))
			return
		}
		c.reply(fmt.Sprint(c.number, len(body)))
	}
}

// TestHTTPKeepAlive counts the connections to the back end.
func TestHTTPKeepAlive(t *testing.T) {
	r := startScript(t, nil, number)
	ask := func(c *rawClient, in, want string) {
		t.Helper()
		c.send(in + " HTTP/1.1|Host: h||")
		if resp, body := c.expect(200); body != want || resp.Close {
			t.Errorf("%s: connection %q, want %q", in, body, want)
		}
	}
	c, other := r.client(), r.client()
	for range 50 {
		ask(c, "GET $F/", "1 0")
		ask(other, "GET $F/", "1 0")
	}
	ask(c, "GET $F/close", "1")
	ask(other, "GET $F/", "2 0")
	ask(c, "GET $F/", "2 0")
	c.send("GET $F/ HTTP/1.1|Host: h|Connection: close||GET $F/ HTTP/1.1|Host: h||")
	if resp, body := c.expect(200); body != "2 0" || !resp.Close {
		t.Errorf("%q %v", body, resp.Header)
	}
	c.ends()
	ask(other, "GET $F/", "2 0")
}

// TestHTTPHalfClosed ends the client's side after the request: the answer comes all the same, and then the end.
func TestHTTPHalfClosed(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, hashing))
	for range 10 {
		for _, in := range []string{"GET $F/?size=%d HTTP/1.1|Host: h||", "POST $F/?size=%d HTTP/1.1|Host: h|Content-Length: 3||abc", "POST $F/?size=%d HTTP/1.1|Host: h|Transfer-Encoding: chunked||3|abc|0||"} {
			c := r.client()
			c.send(fmt.Sprintf(in, 5))
			_ = c.CloseWrite()
			if _, body := c.expect(200); len(body) != 5 {
				t.Errorf("%d bytes", len(body))
			}
			c.ends()
		}
	}
	c := r.client()
	c.send(fmt.Sprintf("GET $F/?size=%d HTTP/1.1|Host: h||GET $F/?size=1 HTTP/1.1|Host: h||", size))
	_ = c.CloseWrite()
	eventually(t, "the answer is blocked", func() bool { return r.server.TotalsForTest().Held > 0 })
	for _, want := range []int{size, 1} {
		if _, body := c.expect(200); len(body) != want {
			t.Errorf("%d bytes, want %d", len(body), want)
		}
	}
	c.ends()
	for _, in := range []string{"GET $F/ HT", "POST $F/ HTTP/1.1|Host: h|Content-Length: 3||ab", "GET $F/ HTTP/1.1|Host: h||GET $F/"} {
		c := r.client()
		c.send(in)
		_ = c.CloseWrite()
		if got, err := io.ReadAll(c.r); err != nil || strings.Contains(string(got), "408") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	eventually(t, "nothing in flight", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

// TestHTTPTimeouts checks what a client may take, with times that are short for a test.
func TestHTTPTimeouts(t *testing.T) {
	hold := make(chan struct{})
	r := startRelay(t, func(cfg *config.Config) {
		// Only the first is shorter than what a busy machine takes between two steps of a test.
		cfg.Relay.HeaderTimeout, cfg.Relay.IdleTimeout = 300*time.Millisecond, 2*time.Second
		cfg.Relay.BodyGrace, cfg.Relay.ResponseTimeout = time.Second, 2*time.Second
	})
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err == nil && q.URL.Path == "/hold" {
			<-hold
		}
	}))
	t.Cleanup(func() { close(hold) })
	run := func(name string, f func(t *testing.T)) { t.Run(name, func(t *testing.T) { t.Parallel(); f(t) }) }
	run("idle at first", func(t *testing.T) { dialRaw(t, r.addr).ends() })
	run("idle after a request", func(t *testing.T) {
		c := dialRaw(t, r.addr)
		c.send("GET $F/ HTTP/1.1|Host: h||")
		c.expect(200)
		c.ends()
	})
	run("head", func(t *testing.T) {
		c := dialRaw(t, r.addr)
		began, done := time.Now(), make(chan struct{})
		go func() { // more bytes do not help; ends with the test
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for _, b := range []byte(wire("GET $F/ HTTP/1.1|Host: h|" + strings.Repeat("a", 1000))) {
				select {
				case <-done:
					return
				case <-tick.C:
					_, _ = c.Write([]byte{b})
				}
			}
		}()
		resp, _ := c.expect(408)
		close(done)
		if took := time.Since(began); took < 300*time.Millisecond || !resp.Close || resp.Header.Get("Ias-Rs-Error") != "1203" {
			t.Errorf("after %v: %v", took, resp.Header)
		}
		c.ends()
	})
	for name, in := range map[string]string{"body": "Content-Length: 1000||a", "chunks": "Transfer-Encoding: chunked||1|a|", "expected body": "Expect: 100-continue|Content-Length: 1000||"} {
		run(name, func(t *testing.T) {
			c := dialRaw(t, r.addr)
			c.send("POST $F/ HTTP/1.1|Host: h|" + in)
			if strings.HasPrefix(name, "expected") {
				c.head()
			}
			if resp, _ := c.expect(408); !resp.Close || resp.Header.Get("Ias-Rs-Error") != "1203" {
				t.Error(resp.Header)
			}
			c.ends()
		})
	}
	run("answer", func(t *testing.T) {
		c := dialRaw(t, r.addr)
		c.send("GET $F/hold HTTP/1.1|Host: h||")
		if resp, _ := c.expect(504); resp.Close || resp.Header.Get("Ias-Rs-Error") != "1201" {
			t.Error(resp.Header)
		}
		c.send("GET $F/ HTTP/1.1|Host: h||")
		c.expect(200)
	})
}

// TestHTTPIdleAfterLongAnswer checks that the time for an answer, when it is longer, does not extend the time between requests.
func TestHTTPIdleAfterLongAnswer(t *testing.T) {
	t.Parallel()
	r := startScript(t, func(cfg *config.Config) {
		cfg.Relay.IdleTimeout, cfg.Relay.ResponseTimeout = time.Second, time.Hour
	}, func(c *rawConn) {
		for {
			if _, _, err := c.message(); err != nil {
				return
			}
			time.AfterFunc(1500*time.Millisecond, func() { c.reply("late") }) // the timer fires while the answer is awaited
		}
	})
	c := r.client()
	for range 2 {
		c.send("GET $F/ HTTP/1.1|Host: h||")
		c.expect(200)
	}
	c.ends()
}

// TestHTTPLimits checks each limit at and above its value.
func TestHTTPLimits(t *testing.T) {
	r := startScript(t, func(cfg *config.Config) {
		cfg.Relay.RequestLine, cfg.Relay.Head, cfg.Relay.Fields = 100, 1000, 20
		cfg.Relay.MaxRequestBody, cfg.Relay.TrailerBytes = 50, 0
	}, mirror)
	pad := func(format string, size int) string {
		return fmt.Sprintf(format, strings.Repeat("a", size-len(wire(fmt.Sprintf(format, "")))))
	}
	line := func(n int) string { return pad("GET $F/%s HTTP/1.1", n) + "|Host: h||" }
	head := func(n int) string { return pad("GET $F/ HTTP/1.1|Host: h|A: %s||", n) }
	fields := func(n int) string { return "GET $F/ HTTP/1.1|Host: h|" + strings.Repeat("A: b|", n-1) + "|" }
	body := func(n int) string {
		return fmt.Sprintf("POST $F/ HTTP/1.1|Host: h|Content-Length: %d||%s", n, strings.Repeat("a", n))
	}
	chunks := func(n int) string {
		return "POST $F/ HTTP/1.1|Host: h|Transfer-Encoding: chunked||" + strings.Repeat("1|a|", n) + "0||"
	}
	for _, row := range []struct {
		name, in, code string
		status         int
	}{
		{"line", line(100), "", 200}, {"longer line", line(101), "1006", 414},
		{"head", head(1000), "", 200}, {"longer head", head(1001), "1302", 431},
		{"fields", fields(20), "", 200}, {"more fields", fields(21), "1302", 431},
		{"body", body(50), "", 200}, {"longer body", body(51), "1301", 413},
		{"chunks", chunks(50), "", 200}, {"more chunks", chunks(51), "1301", 413},
		{"no trailer", chunks(1), "", 200}, {"trailer", strings.TrimSuffix(chunks(1), "|") + "A: b||", "1006", 400},
	} {
		c := r.client()
		c.send(row.in)
		resp, _ := c.expect(row.status)
		if got := resp.Header.Get("Ias-Rs-Error"); got != row.code || resp.Close != (row.status != 200) {
			t.Errorf("%s: error %q, close %v", row.name, got, resp.Close)
		}
		if resp.Close {
			c.ends()
		}
	}
}

// TestHTTPLargeHead lets heads through that no lane takes once they are rewritten.
func TestHTTPLargeHead(t *testing.T) {
	r := startScript(t, func(cfg *config.Config) { cfg.Relay.Head = 1 << 20 }, mirror)
	c := r.client()
	c.send("GET $F/ HTTP/1.1|Host: h|A: " + strings.Repeat("a", 200<<10) + "||")
	c.expect(200)
	c.send("GET $F/ HTTP/1.1|Host: h|A: " + strings.Repeat("a", 300<<10) + "||")
	if resp, _ := c.expect(431); resp.Header.Get("Ias-Rs-Error") != "1302" {
		t.Error(resp.Header)
	}
	canaries(r, 1)
	if r.log.has("lane down") {
		t.Error("a lane was lost:\n", r.log.text())
	}
}

// TestHTTPMemory refuses new requests while the bodies held for slow clients are too much, and takes them again after.
func TestHTTPMemory(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(cfg *config.Config) { cfg.Limits.MemoryBytes = 1 })
	startEnabler(t, r, "s1", startBackend(t, hashing))
	slow := r.client()
	slow.send("GET $F/?size=50000000 HTTP/1.1|Host: h||")
	stopsGrowing(t, "what is held", func() int64 { return r.server.TotalsForTest().Held }) // before, the sockets may take all of it again
	c := r.client()
	c.send("GET $F/?size=1 HTTP/1.1|Host: h||")
	if resp, _ := c.expect(503); resp.Header.Get("Ias-Rs-Error") != "1303" || resp.Header.Get("Retry-After") == "" || resp.Close {
		t.Error(resp.Header)
	}
	if _, body := slow.expect(200); len(body) != 50000000 {
		t.Errorf("%d bytes", len(body))
	}
	eventually(t, "nothing is held", func() bool { return r.server.TotalsForTest().Held == 0 })
	c.send("GET $F/?size=1 HTTP/1.1|Host: h||")
	c.expect(200)
}
