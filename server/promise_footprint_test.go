package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// footprint is what programs use while nothing happens: a relay server, and with it its enablers.
type footprint struct {
	descriptors        []int // of the relay server, then of each enabler
	goroutines         int
	live               int64 // bytes of its heap that are in use after a collection
	resident, enablers int64 // bytes of memory, of the relay server and of all enablers
}

func (f footprint) String() string {
	return fmt.Sprintf("%v descriptors, %d goroutines, %d KiB live, %d KiB RSS, enablers %d KiB",
		f.descriptors, f.goroutines, f.live>>10, f.resident>>10, f.enablers>>10)
}

func footprintOf(t testing.TB, r *relayChild, enablers []*child) (f footprint) {
	t.Helper()
	f.live, f.goroutines = r.live(), int(r.metric("go_goroutines", ""))
	f.resident = r.memory("VmRSS")
	f.descriptors = []int{descriptorsOf(t, r.child)}
	for _, e := range enablers {
		f.descriptors = append(f.descriptors, descriptorsOf(t, e))
		f.enablers += e.memory("VmRSS")
	}
	return f
}

// least makes each figure of f the least of two.
func (f *footprint) least(now footprint) {
	for i := range f.descriptors {
		f.descriptors[i] = min(f.descriptors[i], now.descriptors[i])
	}
	f.goroutines, f.live = min(f.goroutines, now.goroutines), min(f.live, now.live)
	f.resident, f.enablers = min(f.resident, now.resident), min(f.enablers, now.enablers)
}

// atRest is the footprint when what the load has left behind has gone: the least that is seen for a while.
func atRest(t testing.TB, r *relayChild, enablers []*child) footprint {
	t.Helper()
	f := footprintOf(t, r, enablers)
	began := time.Now()
	eventually(t, "it is at rest", func() bool {
		f.least(footprintOf(t, r, enablers))
		return time.Since(began) > 500*time.Millisecond
	})
	return f
}

// again waits until no more is used than in f: as many descriptors and goroutines, and 5 per cent and spare bytes more memory. What is resident depends on when
// the runtime collects, and where it puts things: only the full length is held to it, and to 10 per cent; that of the enablers, which begin
// small and have carried ten times as much at the end, is told.
func (f footprint) again(t testing.TB, r *relayChild, enablers []*child, spare int64) footprint {
	t.Helper()
	now := footprintOf(t, r, enablers)
	more := f.live/20 + spare
	tooMuch := ""
	defer func() {
		if tooMuch != "" {
			t.Logf("too much: %s; before: %v; now: %v", tooMuch, f, now)
		}
	}()
	eventually(t, "no more is used than before", func() bool {
		now.least(footprintOf(t, r, enablers))
		tooMuch = ""
		for i, n := range now.descriptors {
			if n > f.descriptors[i] {
				tooMuch = "descriptors"
			}
		}
		switch {
		case now.goroutines > f.goroutines:
			tooMuch = "goroutines"
		case now.live > f.live+more:
			tooMuch = "live memory"
		case isFull() && now.resident > f.resident+f.resident/10:
			tooMuch = "resident memory"
		}
		return tooMuch == ""
	})
	return now
}

// live is what is in use of the heap after collections: what pools hold outlives the first.
func (r *relayChild) live() (n int64) {
	r.t.Helper()
	for range 2 {
		_, text, _ := strings.Cut(ask("GET", "http://"+r.admin+"/debug/pprof/heap?gc=1&debug=1", "").body, "# HeapAlloc = ")
		if _, err := fmt.Sscan(text, &n); err != nil {
			r.t.Fatal("the heap profile says nothing:", err)
		}
	}
	return n
}

// descriptorsOf are those that a program has open.
func descriptorsOf(t testing.TB, c *child) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
