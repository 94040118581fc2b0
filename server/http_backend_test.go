package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// badResponses break the rules: the client gets a 502, or sees that the answer is broken, and the connection to the back end is
// never used again.
var badResponses = []struct {
	name, in string
	broken   bool // the head is right
}{
	{"two lengths", "HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 3||abc", false},
	{"two equal lengths", "HTTP/1.1 200 OK|Content-Length: 2|Content-Length: 2||ab", false},
	{"signed length", "HTTP/1.1 200 OK|Content-Length: +2||ab", false},
	{"length and coding", "HTTP/1.1 200 OK|Content-Length: 2|Transfer-Encoding: chunked||0||", false},
	{"gzip", "HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked||0||", false},
	{"coding in HTTP/1.0", "HTTP/1.0 200 OK|Transfer-Encoding: chunked||0||", false},
	{"blank before the colon", "HTTP/1.1 200 OK|Content-Length : 2||ab", false},
	{"folding", "HTTP/1.1 200 OK|A: b| c|Content-Length: 2||ab", false},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nab", false},
	{"NUL in a value", "HTTP/1.1 200 OK|A: \x00|Content-Length: 2||ab", false},
	{"no status", "HTTP/1.1 OK|Content-Length: 2||ab", false},
	{"status 99", "HTTP/1.1 099 OK|Content-Length: 2||ab", false},
	{"status 600", "HTTP/1.1 600 OK|Content-Length: 2||ab", false},
	{"HTTP/2", "HTTP/2.0 200 OK|Content-Length: 2||ab", false},
	{"no HTTP", "220 smtp ready|", false},
	{"101 that was not asked for", "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket||", false},
	{"head too large", "HTTP/1.1 200 OK|A: " + strings.Repeat("a", 200<<10) + "|Content-Length: 0||", false},
	{"too many fields", "HTTP/1.1 200 OK|" + strings.Repeat("A: b|", 101) + "|", false},
	{"coding in a 1xx", "HTTP/1.1 103 Early Hints|Transfer-Encoding: chunked||HTTP/1.1 200 OK|Content-Length: 0||", false},
	{"chunk size", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ab|x|", true},
	{"chunk end", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|abc|0||", true},
	{"trailer", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|ab|0|A b||", true},
}

// TestHTTPBadBackend has a back end break the rules over a connection that has been used before.
func TestHTTPBadBackend(t *testing.T) {
	bad := make(chan string, 1)
	r := startScript(t, nil, func(c *rawConn) {
		for {
			if _, _, err := c.message(); err != nil {
				return
			}
			select {
			case in := <-bad:
				c.write(in)
			default:
				c.reply(fmt.Sprint(c.number))
			}
		}
	})
	ask := func() string {
		c := r.client()
		defer c.Close()
		c.send("GET $F/ HTTP/1.1|Host: h||")
		_, body := c.expect(200)
		return body
	}
	for i, row := range badResponses {
		if got := ask(); got != fmt.Sprint(i+1) {
			t.Fatalf("before %s: connection %s, want %d", row.name, got, i+1)
		}
		bad <- row.in
		c := r.client()
		c.send("GET $F/ HTTP/1.1|Host: h||")
		if row.broken {
			if got := c.breaks(); strings.HasSuffix(got, "0\r\n\r\n") {
				t.Errorf("%s: a whole answer: %q", row.name, got)
			}
			continue
		}
		if resp, body := c.expect(502); resp.Header.Get("Ias-Rs-Error") != "1106" || resp.Close {
			t.Errorf("%s: %v %q", row.name, resp.Header, body)
		}
		if got := ask(); got != fmt.Sprint(i+2) {
			t.Errorf("%s: connection %s was used again", row.name, got)
		}
	}
	if strings.Count(r.log.text(), "lane down") > 0 {
		t.Error("a lane was lost:\n", r.log.text())
	}
}

// TestHTTPUnsolicited has a back end send an answer that nobody has asked for, over an idle connection: it is closed.
func TestHTTPUnsolicited(t *testing.T) {
	closed := make(chan struct{})
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, _, err := c.message()
			if err != nil {
				return
			}
			c.reply(fmt.Sprint(c.number))
			if strings.Contains(head, "/evil") {
				c.write("HTTP/1.1 200 OK|Content-Length: 4||evil")
				_, _ = io.Copy(io.Discard, c.r) // until the enabler closes
				closed <- struct{}{}
				return
			}
		}
	})
	for i := range 3 {
		c := r.client()
		for _, path := range []string{"/", "/", "/evil"} {
			c.send("GET $F" + path + " HTTP/1.1|Host: h||")
			if _, body := c.expect(200); body != fmt.Sprint(i+1) {
				t.Errorf("%s: %q, want %d", path, body, i+1)
			}
		}
		<-closed
	}
}

// TestHTTPOldBackends has back ends answer without a length, as 100 fields more, and close.
func TestHTTPOldBackends(t *testing.T) {
	r := startScript(t, nil, func(c *rawConn) {
		head, _, err := c.message()
		switch {
		case err != nil:
		case strings.Contains(head, "/fields"):
			c.write("HTTP/1.0 200 OK|" + strings.Repeat("A:b|", 100) + "|old")
		default:
			c.write("HTTP/1.0 200 OK|A: b||old")
		}
	})
	for _, path := range []string{"/", "/fields"} {
		c := r.client()
		for range 3 { // the client's connection is kept
			c.send("GET $F" + path + " HTTP/1.1|Host: h||")
			if resp, body := c.expect(200); body != "old" || len(resp.TransferEncoding) != 1 || resp.Close {
				t.Errorf("%q %v", body, resp)
			}
		}
		c.send("GET $F" + path + " HTTP/1.0||")
		if resp, body := c.expect(200); body != "old" || !resp.Close || resp.ContentLength != -1 {
			t.Errorf("%q %v", body, resp)
		}
		c.ends()
	}
	if r.log.has("lane down") {
		t.Error("a lane was lost:\n", r.log.text())
	}
}

// TestHTTPEarlyAnswer has a back end answer a large request before it has read it, and close.
func TestHTTPEarlyAnswer(t *testing.T) {
	r := startScript(t, nil, func(c *rawConn) {
		head, _ := readHead(c.r)
		c.write("HTTP/1.1 413 Too Large|Connection: close|Content-Length: 5||large")
		if strings.Contains(head, "/lingers") {
			_, _ = io.Copy(io.Discard, c.r)
		}
	})
	for _, in := range []string{"POST $F/lingers HTTP/1.1|Host: h|Content-Length: 100000000||", "POST $F/lingers HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|", "POST $F/x HTTP/1.1|Host: h|Content-Length: 10||"} {
		c := r.client()
		c.send(in)
		if resp, body := c.expect(413); body != "large" || !resp.Close {
			t.Errorf("%q %v", body, resp.Header)
		}
		c.ends()
	}
	eventually(t, "nothing in flight", func() bool { return r.server.TotalsForTest().InFlight == 0 })
}

// TestHTTPLongAnswer has an answer outlast what the request's body was allowed to take, in every case in which the answer begins
// before the request has ended.
func TestHTTPLongAnswer(t *testing.T) {
	t.Parallel()
	const period = 2 * time.Second // a rate is measured in no less than one
	r := startScript(t, func(cfg *config.Config) {
		cfg.Relay.BodyGrace, cfg.Relay.ResponseTimeout = 0, period
	}, func(c *rawConn) {
		if _, err := readHead(c.r); err != nil {
			return
		}
		c.write("HTTP/1.1 200 OK|Content-Length: 4||ab")
		time.AfterFunc(period+period/2, func() { c.write("cd") })
		_, _ = io.Copy(io.Discard, c.r)
	})
	var all []*rawClient
	for _, in := range []string{
		"POST $F/ HTTP/1.1|Host: h|Content-Length: 10||",                                        // the body does not come
		"POST $F/ HTTP/1.1|Host: h|Content-Length: 1||",                                         // it does, after the answer's head
		"POST $F/ HTTP/1.1|Host: h|Content-Length: 1|Expect: 100-continue||",                    // the client waits
		"GET $F/ HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket|" + webSocketKey + "|", // refused
	} {
		c := r.client()
		c.send(in)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 OK|") {
			t.Fatal(h)
		}
		if strings.HasSuffix(in, "Content-Length: 1||") {
			c.send("x")
		}
		all = append(all, c)
	}
	for i, c := range all {
		got := make([]byte, 4)
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "abcd" {
			t.Errorf("%d: %q %v", i, got, err)
		}
	}
}

const webSocketKey = "Sec-WebSocket-Version: 13|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|"
