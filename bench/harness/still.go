package harness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// StillLimits says when a figure counts as still.
type StillLimits struct {
	Still    time.Duration // for so long it has not changed by more than a two-hundredth
	Deadline time.Duration // give up after so long
}

// StillPSS reads the PSS of processes until it stands still. ok is false if it never did; then pss is the last reading.
func StillPSS(ctx context.Context, pids []int, l StillLimits) (pss int64, ok bool, err error) {
	const pause, parts = 250 * time.Millisecond, 200
	tick := time.NewTicker(pause)
	defer tick.Stop()
	begin := time.Now()
	var low, high int64 // of the readings since
	since := begin
	for {
		if pss, err = SumPSS(pids); err != nil {
			return 0, false, err
		}
		if pss == 0 {
			return 0, false, fmt.Errorf("harness: processes %v are gone", pids)
		}
		low, high = min(low, pss), max(high, pss)
		if now := time.Now(); high-low > high/parts {
			low, high, since = pss, pss, now
		} else if now.Sub(since) >= l.Still {
			return pss, true, nil
		}
		if time.Since(begin) > l.Deadline {
			return pss, false, nil
		}
		select {
		case <-ctx.Done():
			return 0, false, ctx.Err()
		case <-tick.C:
		}
	}
}

// SumPSS reads the PSS of processes, in bytes. One that is gone has none.
func SumPSS(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		n, err := ReadPSS(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

var heapLine = regexp.MustCompile(`(?m)^go_memstats_heap_alloc_bytes (\S+)$`)

// LiveHeap asks a Go server, by its admin listener at base, to collect its garbage, and returns the bytes that are left.
func LiveHeap(ctx context.Context, base string) (int64, error) {
	for range 2 { // what lies in a sync.Pool lives through one collection
		if _, err := get(ctx, base+"debug/pprof/heap?gc=1"); err != nil {
			return 0, err
		}
	}
	text, err := get(ctx, base+"metrics")
	if err != nil {
		return 0, err
	}
	m := heapLine.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("harness: %smetrics does not tell of the heap", base)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64) // it may be written 1.2e+07
	return int64(n), err
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	resp, err := checkClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("harness: GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
