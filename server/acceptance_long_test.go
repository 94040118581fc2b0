package server_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"roundhouse/server/config"
)

// TestAcceptance11 keeps a WebSocket and an event stream open while thousands of requests wait for their answers and large bodies go
// both ways. With full length the idle time is an hour, the polls are 10,000 and the bodies 5 GB.
func TestAcceptance11(t *testing.T) {
	polls, size, idle := 1000, int64(64<<20), 3*time.Second
	if isFull() {
		polls, size, idle = 10_000, 5<<30, time.Hour
	}
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Backends[0].MaxJunction = 2 * polls })
	var came atomic.Int64
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	mux := http.NewServeMux()
	mux.HandleFunc("/poll", func(w http.ResponseWriter, _ *http.Request) {
		came.Add(1)
		<-gate
		fmt.Fprint(w, "news")
	})
	mux.HandleFunc("/events", serveEvents(min(time.Second, idle/10)))
	mux.HandleFunc("/ws", serveEcho)
	mux.HandleFunc("/large", serveLarge(size))
	startEnabler(t, r, "s1", startBackend(t, mux.ServeHTTP))

	ctx := t.Context()
	ws, _, err := websocket.Dial(ctx, r.url("/ws"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	heard := make(chan error, 1)
	go func() { // ends with the connection; pongs come by it
		_, b, err := ws.Read(ctx)
		if err == nil && string(b) != "still there" {
			err = fmt.Errorf("%q", b)
		}
		heard <- err
	}()
	events, err := http.Get(r.url("/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	lines := bufio.NewReader(events.Body)

	outcomes := make(chan outcome, polls)
	for range polls {
		go func() { outcomes <- ask("GET", r.url("/poll"), "") }() // ends when the gate opens
	}
	eventually(t, "all polls are at the back end", func() bool { return came.Load() == int64(polls) })

	large(t, r.url("/large"), size)
	pings := 0
	for until := time.Now().Add(idle); time.Now().Before(until); pings++ {
		ping(t, ws)
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", pings) {
			t.Fatalf("event %d: %q, %v", pings, line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte("still there")); err != nil {
		t.Error(err)
	}
	if err := <-heard; err != nil {
		t.Error(err)
	}
	open()
	answered := 0
	for range polls {
		if o := <-outcomes; o.status == 200 && o.body == "news" {
			answered++
		} else {
			t.Error(o)
		}
	}
	t.Logf("%d polls, %d answered; %d pings and events; %d MB each way", polls, answered, pings, size>>20)
}

// serveEvents sends a numbered event every so often until the client leaves.
func serveEvents(every time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			select {
			case <-q.Context().Done():
				return
			case <-tick.C:
			}
		}
	}
}

// serveEcho is a WebSocket that sends back what comes.
func serveEcho(w http.ResponseWriter, q *http.Request) {
	c, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, b, err := c.Read(q.Context())
		if err != nil || c.Write(q.Context(), kind, b) != nil {
			return
		}
	}
}

// serveLarge answers with noise, and with the sum of what came.
func serveLarge(size int64) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		sum := sha256.New()
		n, _ := io.Copy(sum, q.Body) // what is missing shows in the sum
		w.Header().Set("Request-Sum", fmt.Sprintf("%d %x", n, sum.Sum(nil)))
		_, _ = io.CopyN(w, noise(size), size)
	}
}

func ping(t testing.TB, ws *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := ws.Ping(ctx); err != nil {
		t.Fatal("the WebSocket:", err)
	}
}

// large sends and receives a body of so many bytes at the same time.
func large(t testing.TB, url string, size int64) {
	t.Helper()
	if err := tryLarge(url, size); err != nil {
		t.Error(err)
	}
}

func tryLarge(url string, size int64) error {
	sum := sha256.New()
	q, err := http.NewRequest("POST", url, io.TeeReader(io.LimitReader(noise(size), size), sum))
	if err != nil {
		return err
	}
	q.ContentLength = size
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got := sha256.New()
	n, err := io.Copy(got, resp.Body)
	want := fmt.Sprintf("%d %x", size, sum.Sum(nil))
	if up := resp.Header.Get("Request-Sum"); err != nil || up != want {
		return fmt.Errorf("up: %s, want %s; %v", up, want, err)
	}
	if down := fmt.Sprintf("%d %x", n, got.Sum(nil)); down != want { // the same noise
		return fmt.Errorf("down: %s, want %s", down, want)
	}
	return nil
}
