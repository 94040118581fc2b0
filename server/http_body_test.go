package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// noise is a body of size bytes that looks random and is always the same for a size.
func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}), size)
}

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// hashing answers with a body of ?size bytes, chunked if it says ?chunked, and with the hash of the request's body in a field.
func hashing(w http.ResponseWriter, q *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, q.Body)
	w.Header().Set("X-Got", fmt.Sprintf("%d %s %v", n, sum(h), err))
	size, _ := strconv.ParseInt(q.FormValue("size"), 10, 64)
	if !q.Form.Has("chunked") {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	_, _ = io.Copy(w, noise(size))
}

// TestHTTPBodies sends and gets bodies of many sizes, with a length and chunked.
func TestHTTPBodies(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, hashing))
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for _, size := range []int64{0, 1, 100, 8191, 8192, 8193, 65535, 65536, 65537, 256 << 10, 256<<10 + 1, 1 << 20, 5<<20 + 7, 64 << 20} {
		want := sha256.New()
		_, _ = io.Copy(want, noise(size))
		for _, chunked := range []string{"", "&chunked"} {
			q, _ := http.NewRequest("POST", r.url(fmt.Sprintf("/?size=%d%s", size, chunked)), noise(size))
			if chunked == "" && size > 0 {
				q.ContentLength = size
			}
			resp, err := client.Do(q)
			if err != nil {
				t.Fatal(size, err)
			}
			got := sha256.New()
			n, err := io.Copy(got, resp.Body)
			resp.Body.Close()
			if sent := resp.Header.Get("X-Got"); sent != fmt.Sprintf("%d %s <nil>", size, sum(want)) {
				t.Errorf("%d%s: the back end got %s", size, chunked, sent)
			}
			if n != size || err != nil || sum(got) != sum(want) || chunked == "" && resp.ContentLength != size {
				t.Errorf("%d%s: %d bytes, %v, content length %d", size, chunked, n, err, resp.ContentLength)
			}
		}
	}
}

// TestHTTPSmallChunks sends a body in chunks of every small size, beyond the window of the stream and while the back end does not
// read: the sizes stand everywhere in relation to the credit. The answer comes back the same way.
func TestHTTPSmallChunks(t *testing.T) {
	t.Parallel()
	r := startScript(t, nil, func(c *rawConn) {
		for {
			_, body, err := c.message()
			if err != nil {
				return
			}
			c.write("HTTP/1.1 200 OK|Transfer-Encoding: chunked||")
			_, _ = io.WriteString(c, chunksOf(body, len(body)%13+1)+"0\r\nA: b\r\n\r\n")
		}
	})
	for _, size := range []int{1, 3, 8} {
		body := strings.Repeat("0123456789abcdefghi", 40000)[:300_000+size]
		c := r.client()
		go func() { // ends when it is written, or with the connection
			_, _ = io.WriteString(c, wire("POST $F/ HTTP/1.1|Host: h|Transfer-Encoding: chunked||")+chunksOf(body, size)+"0\r\n\r\n")
		}()
		resp, got := c.expect(200)
		if got != body || resp.Trailer.Get("A") != "b" {
			t.Fatalf("chunks of %d: %d bytes, trailer %v", size, len(got), resp.Trailer)
		}
	}
}

func chunksOf(body string, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String()
}

// TestHTTPEcho has the back end answer while it reads: each piece comes back before the next is sent.
func TestHTTPEcho(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		buf := make([]byte, 32<<10)
		for {
			n, err := q.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = rc.Flush()
			if err != nil {
				return
			}
		}
	}))
	body, pipe := io.Pipe()
	q, _ := http.NewRequest("POST", r.url("/"), body)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, size := range []int{1, 10, 5000, 100_000, 1, 300_000} {
		piece, _ := io.ReadAll(noise(int64(size)))
		go func() { _, _ = pipe.Write(piece) }() // ends when it is read, or with the body
		got := make([]byte, size)
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, piece) {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
	pipe.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
}

// TestHTTPHead checks answers without a body, over one connection: nothing may shift the next answer.
func TestHTTPHead(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Method", q.Method)
		switch q.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		case "/205":
			w.WriteHeader(205)
		default:
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
		}
	}))
	c := r.client()
	for range 3 {
		for _, row := range []struct {
			method, path string
			status       int
			length, body string
		}{
			{"HEAD", "/", 200, "5", ""}, {"GET", "/", 200, "5", "hello"}, {"GET", "/204", 204, "", ""}, {"HEAD", "/304", 304, "", ""},
			{"GET", "/304", 304, "", ""}, {"GET", "/205", 205, "0", ""}, {"DELETE", "/204", 204, "", ""}, {"HEAD", "/", 200, "5", ""},
		} {
			c.send(row.method + " $F" + row.path + " HTTP/1.1|Host: h||")
			resp, body := c.answer(row.method)
			if resp.StatusCode != row.status || resp.Header.Get("Content-Length") != row.length || body != row.body || resp.Header.Get("X-Method") != row.method {
				t.Errorf("%s %s: %d %v %q", row.method, row.path, resp.StatusCode, resp.Header, body)
			}
		}
	}
}

// TestHTTPContinue has a client wait for 100 (Continue), which comes from the back end.
func TestHTTPContinue(t *testing.T) {
	asked := make(chan string, 10)
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, err := readHead(c.r)
			if err != nil {
				return
			}
			asked <- head
			if strings.Contains(head, "/refused") {
				c.write("HTTP/1.1 417 No|Content-Length: 2||no")
				continue
			}
			c.write("HTTP/1.1 100 Continue||")
			body := make([]byte, 4)
			if _, err := io.ReadFull(c.r, body); err != nil {
				return
			}
			c.reply(fmt.Sprint(c.number, string(body)))
		}
	})
	const request = " HTTP/1.1|Host: h|Expect: 100-Continue|Content-Length: 4||"
	c := r.client()
	for range 3 {
		c.send("POST $F/" + request)
		if h := c.head(); h != "HTTP/1.1 100 Continue||" {
			t.Fatal(h)
		}
		if head := <-asked; !strings.Contains(head, "\r\nExpect: 100-continue\r\n") {
			t.Errorf("the back end was not asked: %q", head)
		}
		c.send("body")
		if _, body := c.expect(200); body != "1body" {
			t.Error(body)
		}
		c.send("POST $F/" + request + "body") // does not wait
		if h := c.head(); h != "HTTP/1.1 100 Continue||" {
			t.Fatal(h)
		}
		c.expect(200)
		<-asked
	}
	c.send("POST $F/refused" + request)
	if resp, body := c.expect(417); body != "no" || !resp.Close {
		t.Errorf("%q, close %v", body, resp.Close)
	}
	c.ends()
	<-asked
	c = r.client() // the connection to the back end, which may still wait for a body, is not used again
	c.send("POST $F/" + request + "body")
	c.head()
	if _, body := c.expect(200); body != "2body" {
		t.Errorf("%q", body)
	}
}

// TestHTTPOldClients checks HTTP/1.0: no chunks, no 1xx, a connection that is kept only when it was asked for.
func TestHTTPOldClients(t *testing.T) {
	r := startScript(t, nil, func(c *rawConn) {
		for {
			head, _, err := c.message()
			if err != nil {
				return
			}
			c.write("HTTP/1.1 103 Early Hints|Link: a||")
			if strings.Contains(head, "/chunked") {
				c.write("HTTP/1.1 200 OK|Transfer-Encoding: chunked|Trailer: A||3|abc|2|de|0|A: b||")
				continue
			}
			if strings.HasPrefix(head, "HEAD ") {
				c.write("HTTP/1.1 200 OK|Content-Length: 5||")
				continue
			}
			c.reply("hello")
		}
	})
	const old = " HTTP/1.0|Host: h|"
	for _, row := range []struct {
		in, want string
		kept     bool
	}{
		{"GET $F/" + old + "|", "HTTP/1.1 200 OK|Content-Length: 5|Connection: close|Via: 1.1 roundhouse||hello", false},
		{"GET $F/" + old + "Connection: Keep-Alive||", "HTTP/1.1 200 OK|Content-Length: 5|Connection: keep-alive|Via: 1.1 roundhouse||hello", true},
		{"GET $F/" + old + "Connection: keep-alive, close||", "HTTP/1.1 200 OK|Content-Length: 5|Connection: close|Via: 1.1 roundhouse||hello", false},
		{"GET $F/chunked" + old + "Connection: Keep-Alive||", "HTTP/1.1 200 OK|Connection: close|Via: 1.1 roundhouse||abcde", false},
		{"HEAD $F/" + old + "Connection: Keep-Alive||", "HTTP/1.1 200 OK|Content-Length: 5|Connection: keep-alive|Via: 1.1 roundhouse||", true},
	} {
		c := r.client()
		for range 2 {
			c.send(row.in)
			got := make([]byte, len(wire(row.want)))
			if _, err := io.ReadFull(c.r, got); err != nil || short(string(got)) != row.want {
				t.Fatalf("%q: %v, %q", row.in, err, short(string(got)))
			}
			if !row.kept {
				c.ends()
				break
			}
		}
	}
}

// TestHTTPTrailers sends trailers both ways through net/http.
func TestHTTPTrailers(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		b, _ := io.ReadAll(q.Body)
		_, _ = w.Write(b)
		w.Header().Set("X-Sum", q.Trailer.Get("X-Sum")+" back")
	}))
	q, _ := http.NewRequestWithContext(context.Background(), "POST", r.url("/"), io.MultiReader(strings.NewReader("body")))
	q.Trailer = http.Header{"X-Sum": {"there"}}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "body" || resp.Trailer.Get("X-Sum") != "there back" {
		t.Errorf("%q %v %v", b, err, resp.Trailer)
	}
}
