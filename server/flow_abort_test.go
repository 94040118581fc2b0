package server_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// descriptors counts the open ones of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestAborts has clients leave at random points of requests and answers: nothing of them is left, and others get what is theirs.
func TestAborts(t *testing.T) {
	const workers, each = 8, 125
	r := startRelay(t, nil)
	s := startWellspring(t)
	close(s.gate)
	e := startWatchedEnabler(t, r, s.addr)
	neighbours(t, r, 5)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() { // ends after its aborts
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range each {
				abort(t, r.addr, rng)
				if i%25 == 0 {
					if o := ask("GET", r.url(fmt.Sprintf("/%d", 10_000)), ""); o.status != 200 || len(o.body) != 10_000 {
						t.Errorf("a canary: %v", o)
					}
				}
			}
		})
	}
	running.Wait()
	eventually(t, "no request and no stream is left", func() bool {
		n := r.server.TotalsForTest()
		return n.InFlight == 0 && n.Held == 0 && n.Clients == 0 && e.Stats().Streams == 0 && s.open.Load() == 0
	})
	for _, l := range r.server.LanesForTest() {
		if l.Streams != 0 {
			t.Errorf("%d streams are left on a lane", l.Streams)
		}
	}
	eventually(t, "descriptors and goroutines are back", func() bool {
		return descriptors(t) <= files+60 && runtime.NumGoroutine() <= goroutines+60 // kept connections, both ends of them
	})
	neighbours(t, r, 20)
	total := r.server.TotalsForTest()
	t.Logf("%d aborted; %d seen by the relay; descriptors %d, then %d; goroutines %d, then %d", workers*each, total.Failures["RSE_CLIENT_GONE"],
		files, descriptors(t), goroutines, runtime.NumGoroutine())
}

// abort begins a request and leaves somewhere.
func abort(t testing.TB, relay string, rng *rand.Rand) {
	c, err := net.Dial("tcp", relay)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0) // leaves with a reset
	comes := rng.Int64N(500_000)      // that many bytes of an answer come for sure
	text := getText(fmt.Sprintf("/%d", comes))
	switch rng.IntN(3) {
	case 0:
		text = strings.Replace(text, " HTTP", "?chunked HTTP", 1)
	case 1:
		size := 1 + rng.IntN(300_000)
		text = fmt.Sprintf("POST /cli/iarelayserver/f/up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size) + strings.Repeat("x", size)
		comes = 100
	}
	if rng.IntN(4) == 0 { // in mid-request
		text, comes = text[:rng.IntN(len(text))], 0
	}
	if _, err := io.WriteString(c, text); err == nil {
		_, _ = io.CopyN(io.Discard, c, rng.Int64N(comes+1)) // in mid-answer
	}
}
