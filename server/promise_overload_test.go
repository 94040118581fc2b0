package server_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
)

// offered is what clients have seen of a server under load.
type offered struct {
	mu      sync.Mutex // guards what follows
	good    int        // answered with 200
	refused []time.Duration
	other   []string
}

// run sends requests from a number of clients, each of which sends one every so often, or as soon as it has its answer, until the time is
// over.
func (l *offered) run(url string, clients int, every, d time.Duration) {
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			tick := time.NewTicker(every)
			defer tick.Stop()
			for time.Now().Before(end) {
				l.add(c.Get, url)
				<-tick.C
			}
		})
	}
	wg.Wait()
}

func (l *offered) add(get func(string) (*http.Response, error), url string) {
	began := time.Now()
	resp, err := get(url)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.other = append(l.other, err.Error())
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // for the connection's sake
	switch {
	case resp.StatusCode == 200:
		l.good++
	case resp.StatusCode == 503 && resp.Header.Get("Retry-After") != "" && resp.Header.Get("Ias-Rs-Error") == "1304":
		l.refused = append(l.refused, took)
	default:
		l.other = append(l.other, strconv.Itoa(resp.StatusCode))
	}
}

// TestPromise09Overload offers three times what the back end can do for 10 s, at full length for 60 s: max_inflight refuses the rest at once, and
// the good answers do not become fewer. How fast that is depends on the machine: only the full length, which has it for itself, is held to the
// figures of the promise.
func TestPromise09Overload(t *testing.T) {
	t.Parallel() // it waits, mostly
	const atOnce, clients = 4, 8
	lasts, each := 10*time.Second, 50*time.Millisecond // the back end's capacity is 80 a second, which slow machines can ask for as well
	if isFull() {
		lasts, each = time.Minute, 5*time.Millisecond
	}
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Farms[0].Limits.MaxInflight = clients })
	room := make(chan struct{}, atOnce)
	startEnabler(t, r, "s1", startBackend(t, func(http.ResponseWriter, *http.Request) {
		room <- struct{}{}
		pause(each)
		<-room
	}))
	var peak, over, after offered
	peak.run(r.url("/"), clients, time.Microsecond, lasts/10)
	over.run(r.url("/"), 3*clients, 2*each, lasts) // three times that
	began := time.Now()
	eventually(t, "it has recovered", func() bool {
		after.add(http.Get, r.url("/"))
		return after.good > 0
	})
	slices.Sort(over.refused)
	if len(over.refused) == 0 || len(peak.other)+len(over.other)+len(after.other) > 0 {
		t.Fatalf("%d were refused; neither 200 nor 503: %.10q %.10q %.10q", len(over.refused), peak.other, over.other, after.other)
	}
	recovered, slow503 := time.Since(began), over.refused[len(over.refused)*99/100]
	goodput := float64(over.good) / float64(peak.good) / 10
	t.Logf("peak: %d sent, %d answered; overload: %d sent, %d answered, that is %.0f %% of the peak a second, %d refused, p99 of 503 %v; recovered after %v",
		peak.good+len(peak.refused), peak.good, over.good+len(over.refused), over.good, 100*goodput, len(over.refused),
		slow503.Round(time.Microsecond), recovered.Round(time.Microsecond))
	if goodput < 0.05 { // any less is no slow machine
		t.Error("it serves nothing under overload")
	}
	if isFull() && (goodput < 0.8 || slow503 > 5*time.Millisecond || recovered > 2*time.Second) {
		t.Error("want 80 % of the peak, 99 of 100 refusals within 5 ms, and recovery within 2 s")
	}
}
