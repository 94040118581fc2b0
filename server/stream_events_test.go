package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"roundhouse/server/config"
)

// TestStreamEvents has each event sent only when the one before has been seen: none may wait for company.
func TestStreamEvents(t *testing.T) {
	next := make(chan int)
	for _, path := range []string{"/events", "/length", "/old"} {
		r := startScript(t, nil, func(c *rawConn) {
			head, _, err := c.message()
			if err != nil {
				return
			}
			event := func(n int) string { return fmt.Sprintf("data: %03d\n\n", n) }
			switch {
			case strings.Contains(head, "/events"):
				c.write("HTTP/1.1 200 OK|Content-Type: text/event-stream|Transfer-Encoding: chunked||")
				event = func(n int) string { return chunksOf(fmt.Sprintf("data: %03d\n\n", n), 100) }
			case strings.Contains(head, "/length"):
				c.write("HTTP/1.1 200 OK|Content-Length: 1100||")
			default:
				c.write("HTTP/1.0 200 OK||")
			}
			for n := range next {
				_, _ = io.WriteString(c, event(n))
			}
		})
		resp, err := http.Get(r.url(path))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for n := range 100 {
			next <- n
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("data: %03d\n", n); line != want || err != nil {
				t.Fatalf("%s: %q %v, want %q", path, line, err, want)
			}
			_, _ = lines.ReadString('\n')
		}
		close(next)
		resp.Body.Close()
		next = make(chan int)
	}
}

// socketBackend echoes messages; /close closes after the first, /refused refuses, /burst sends 1000 messages first.
func socketBackend(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/refused" {
		http.Error(w, "not you", http.StatusForbidden)
		return
	}
	ws, err := websocket.Accept(w, q, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(-1)
	ctx := context.Background()
	if q.URL.Path == "/burst" {
		for i := range 1000 {
			if ws.Write(ctx, websocket.MessageText, fmt.Append(nil, i)) != nil {
				return
			}
		}
	}
	for {
		kind, b, err := ws.Read(ctx)
		if err != nil {
			return
		}
		if q.URL.Path == "/close" {
			_ = ws.Close(websocket.StatusGoingAway, string(b))
			return
		}
		if ws.Write(ctx, kind, b) != nil {
			return
		}
	}
}

func startSockets(t *testing.T, change func(*config.Config)) *relayUnderTest {
	t.Helper()
	r := startRelay(t, change)
	startEnabler(t, r, "s1", startBackend(t, socketBackend))
	return r
}

func openSocket(t *testing.T, r *relayUnderTest, path string) (context.Context, *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	ws, _, err := websocket.Dial(ctx, r.url(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(-1)
	return ctx, ws
}

// TestStreamWebSocket exchanges messages of every kind and many sizes.
func TestStreamWebSocket(t *testing.T) {
	r := startSockets(t, nil)
	ctx, ws := openSocket(t, r, "/")
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20, 3 << 20} {
		for _, kind := range []websocket.MessageType{websocket.MessageBinary, websocket.MessageText} {
			b, _ := io.ReadAll(noise(int64(size)))
			if kind == websocket.MessageText {
				b = bytes.Repeat([]byte("é"), size/2)
			}
			go func() { _ = ws.Write(ctx, kind, b) }() // ends with the connection at the latest
			k, got, err := ws.Read(ctx)
			if err != nil || k != kind || !bytes.Equal(got, b) {
				t.Fatalf("%v of %d bytes: %v, %d bytes, %v", kind, size, k, len(got), err)
			}
		}
	}
	reading := ws.CloseRead(ctx)
	for range 10 {
		if err := ws.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Error(err)
	}
	<-reading.Done()
	eventually(t, "nothing is left", func() bool {
		n := r.server.TotalsForTest()
		return n.Upgraded == 0 && n.InFlight == 0
	})
	if r.log.has("request failed") {
		t.Error(r.log.text())
	}
}

// TestStreamManyMessages sends and gets many small messages at once.
func TestStreamManyMessages(t *testing.T) {
	r := startSockets(t, nil)
	ctx, ws := openSocket(t, r, "/burst")
	const more = 3000
	go func() { // ends when all are written or the connection ends
		for i := range more {
			if ws.Write(ctx, websocket.MessageText, fmt.Append(nil, 1000+i)) != nil {
				return
			}
		}
	}()
	for i := range 1000 + more {
		if _, b, err := ws.Read(ctx); err != nil || string(b) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q %v", i, b, err)
		}
	}
}

// TestStreamClosedByBackend has the back end close, and the client see why.
func TestStreamClosedByBackend(t *testing.T) {
	r := startSockets(t, nil)
	ctx, ws := openSocket(t, r, "/close")
	if err := ws.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	_, _, err := ws.Read(ctx)
	if got := (websocket.CloseError{}); !asClose(err, &got) || got.Code != websocket.StatusGoingAway || got.Reason != "bye" {
		t.Error(err)
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().Upgraded == 0 })
}

func asClose(err error, to *websocket.CloseError) bool {
	code := websocket.CloseStatus(err)
	to.Code = code
	_, reason, _ := strings.Cut(fmt.Sprint(err), `reason = "`)
	to.Reason = strings.TrimSuffix(reason, `"`)
	return code != -1
}

// TestStreamRefused has the back end refuse the upgrade: the client gets the answer with its body.
func TestStreamRefused(t *testing.T) {
	r := startSockets(t, nil)
	for range 3 {
		_, resp, err := websocket.Dial(context.Background(), r.url("/refused"), nil)
		if err == nil || resp == nil {
			t.Fatal(resp, err)
		}
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 || string(b) != "not you\n" || !resp.Close {
			t.Errorf("%d %q, close %v", resp.StatusCode, b, resp.Close)
		}
	}
}

// TestStreamOutlivesTimeouts keeps a connection open for longer than every time that is configured.
func TestStreamOutlivesTimeouts(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	r := startSockets(t, func(cfg *config.Config) {
		cfg.Relay.HeaderTimeout, cfg.Relay.IdleTimeout, cfg.Relay.ResponseTimeout, cfg.Relay.BodyGrace = limit, limit, limit, limit
	})
	ctx, ws := openSocket(t, r, "/")
	<-time.After(5 * limit / 2) // longer than a body's rate is measured
	if err := ws.Write(ctx, websocket.MessageText, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := ws.Read(ctx); err != nil || string(b) != "still here" {
		t.Errorf("%q %v", b, err)
	}
}

// TestStreamEarlyBytes sends the first frame with the handshake: it waits for the back end's word.
func TestStreamEarlyBytes(t *testing.T) {
	r := startScript(t, nil, func(c *rawConn) {
		if _, err := readHead(c.r); err != nil {
			return
		}
		c.write("HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: WebSocket|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||hello")
		b := make([]byte, len("early late"))
		_, _ = io.ReadFull(c.r, b)
		_, _ = c.Write(b)
	})
	c := r.client()
	c.send("GET $F/ HTTP/1.1|Host: h|Connection: keep-alive, Upgrade|Upgrade: WebSocket|" + webSocketKey + "|early")
	if h := c.head(); h != "HTTP/1.1 101 Switching Protocols|Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|Connection: Upgrade|Upgrade: websocket|Via: 1.1 roundhouse||" {
		t.Errorf("%q", h)
	}
	c.send(" late")
	if b, err := io.ReadAll(c.r); err != nil || string(b) != "helloearly late" {
		t.Errorf("%q %v", b, err)
	}
}
