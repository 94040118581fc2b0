package server_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// soakEnv says how long the soak lasts; without it, it is a look whether it works.
const soakEnv = "ROUNDHOUSE_TEST_SOAK"

// soaker is a kind of client that comes again and again. Once is one visit.
type soaker struct {
	name     string
	once     func() error
	sent, ok atomic.Int64
}

// soakers are a client of each kind. farm is the URL of the farm.
func soakers(t testing.TB, relay, farm string, size int64) []*soaker {
	rng := rand.New(rand.NewPCG(1, 2))
	return []*soaker{
		{name: "large both ways", once: func() error { return tryLarge(farm+"/large", size) }},
		{name: "WebSockets", once: func() error { return talk(farm + "/ws") }},
		{name: "event streams", once: func() error { return listen(farm + "/events") }},
		{name: "aborts", once: func() error { abort(t, relay, rng); return nil }},
	}
}

// talk has a few messages echoed over a WebSocket.
func talk(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for i := range 20 {
		text := fmt.Sprint("message ", i)
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			return err
		}
		if _, b, err := c.Read(ctx); err != nil || string(b) != text {
			return fmt.Errorf("%q for %q: %w", b, text, err)
		}
	}
	return c.Close(websocket.StatusNormalClosure, "")
}

// listen hears some events, and leaves.
func listen(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 10 {
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			return fmt.Errorf("event %d: %q: %w", i, line, err)
		}
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// endure has clients of all kinds come for so long, while the configuration is read again every second or so, and tells how it goes.
func endure(t *testing.T, r *relayChild, path string, l *sumLoad, all []*soaker, lasts time.Duration, each func(at time.Duration)) {
	t.Helper()
	over := make(chan struct{})
	var clients sync.WaitGroup
	for _, s := range all {
		clients.Go(func() { // ends when it is over
			for {
				select {
				case <-over:
					return
				default:
				}
				s.sent.Add(1)
				if err := s.once(); err != nil {
					t.Errorf("%s: %v", s.name, err)
				} else {
					s.ok.Add(1)
				}
			}
		})
	}
	began := time.Now()
	step := max(lasts/60, 100*time.Millisecond)
	l.during(4, func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for n := 1; time.Since(began) < lasts; n++ {
			reloadFile(t, path, n)
			r.reload()
			each(time.Since(began))
			<-tick.C
		}
	})
	close(over)
	clients.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// slope is by how much y grows with x, by least squares.
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(y))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// TestPromise24Soak has small and large requests, uploads, WebSockets, event streams, clients that leave anywhere, and reloads, all at the same
// time, for as long as soakEnv says. At rest it uses what it used after the first of it; in an hour or more the memory grows by less than 1 MB an
// hour.
func TestPromise24Soak(t *testing.T) {
	lasts, size := 2*time.Second, int64(1<<20)
	if text := os.Getenv(soakEnv); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil || lasts <= 0 {
			t.Fatalf("%s is %q: want a duration, as 3m or 8h", soakEnv, text)
		}
		size = 8 << 20
	}
	path := filepath.Join(t.TempDir(), "roundhouse.toml")
	reloadFile(t, path, 0)
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	w := &wellspring{gate: make(chan struct{})}
	close(w.gate)
	mux := http.NewServeMux()
	mux.HandleFunc("/", w.serve)
	mux.HandleFunc("/sum", echoSum)
	mux.HandleFunc("/large", serveLarge(size))
	mux.HandleFunc("/ws", serveEcho)
	mux.HandleFunc("/events", serveEvents(20*time.Millisecond))
	backend, used := startCountedConns(t, mux.ServeHTTP)
	enablers := []*child{startEnablerChild(t, r.addr, "s1", backend, "-jsl", "0")}
	r.up(2)
	l, all := &sumLoad{url: r.url("/sum")}, soakers(t, r.addr, r.url(""), size)
	rest := func() {
		reloadFile(t, path, 0)
		r.reload()
		eventually(t, "no client and no connection to the back end is left", func() bool {
			return r.metric("rs_clients", "") == 0 && r.metric("rs_inflight", "") == 0 && used.Load() == 0
		})
	}
	endure(t, r, path, l, all, max(lasts/10, time.Second), func(time.Duration) {})
	rest()
	before := atRest(t, r, enablers)

	var hours, live, resident []float64
	endure(t, r, path, l, all, lasts, func(at time.Duration) {
		f := footprintOf(t, r, enablers)
		hours, live, resident = append(hours, at.Hours()), append(live, float64(f.live)/1e6), append(resident, float64(f.resident)/1e6)
		if len(hours)%10 == 0 {
			t.Logf("%v: RSS %d KiB, %v", at.Round(time.Second), f.resident>>10, f)
		}
	})
	rest()
	after := before.again(t, r, enablers, 1<<20) // loops keep buffers for the most that they had to do at a time: the slope is what counts
	late := len(hours) / 4                       // by then it has grown to what the load needs
	growth := slope(hours[late:], resident[late:])
	t.Logf("%v: %d sent, %d answered, %d lost; before: %v; after: %v", lasts, l.sent.Load(), l.answered.Load(), l.failed.Load(), before, after)
	for _, s := range all {
		t.Logf("%s: %d sent, %d answered, %d lost", s.name, s.sent.Load(), s.ok.Load(), s.sent.Load()-s.ok.Load())
	}
	t.Logf("slope under load, without the first quarter: RSS %.2f MB/h, live %.2f MB/h", growth, slope(hours[late:], live[late:]))
	if l.failed.Load() > 0 {
		t.Error(l.why)
	}
	if lasts >= time.Hour && growth >= 1 {
		t.Errorf("the memory grows by %.2f MB an hour", growth)
	}
}
