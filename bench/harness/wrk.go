package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// WrkResult is what wrk printed about one run.
type WrkResult struct {
	Requests     int64 // complete answers, also those that were not 2xx or 3xx
	Bytes        int64 // read, heads and incomplete answers included; wrk rounds to three digits or so
	PerSecond    float64
	P50, P99     time.Duration
	SocketErrors int64 // connect, read, write, timeout
	BadStatus    int64 // "Non-2xx or 3xx responses"
}

// RunWrk loads url over conns kept connections for d, which wrk takes in whole seconds (at least 1).
func RunWrk(ctx context.Context, url string, conns int, d time.Duration) (WrkResult, error) {
	seconds := max(1, int(d.Round(time.Second)/time.Second))
	threads := min(2, conns) // wrk refuses more threads than connections
	cmd := exec.CommandContext(ctx, "wrk", "-t", strconv.Itoa(threads), "-c", strconv.Itoa(conns),
		"-d", strconv.Itoa(seconds)+"s", "--timeout", "10s", "--latency", url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return WrkResult{}, fmt.Errorf("harness: wrk %s: %w: %s", url, err, bytes.TrimSpace(out))
	}
	return ParseWrk(string(out))
}

// wrk pads the units s, m and h with a blank.
var (
	wrkTotal   = regexp.MustCompile(`(?m)^\s*(\d+) requests in \S+, (\S+)B read\s*$`)
	wrkRate    = regexp.MustCompile(`(?m)^Requests/sec:\s+(\S+)\s*$`)
	wrkP50     = regexp.MustCompile(`(?m)^\s+50%\s+(\S+)\s*$`)
	wrkP99     = regexp.MustCompile(`(?m)^\s+99%\s+(\S+)\s*$`)
	wrkSockets = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)\s*$`)
	wrkStatus  = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)\s*$`)
)

// ParseWrk reads the output of `wrk --latency` 4.x. The lines about errors are there only when there were some.
func ParseWrk(text string) (r WrkResult, err error) {
	total, rate := wrkTotal.FindStringSubmatch(text), wrkRate.FindStringSubmatch(text)
	p50, p99 := wrkP50.FindStringSubmatch(text), wrkP99.FindStringSubmatch(text)
	if total == nil || rate == nil || p50 == nil || p99 == nil {
		return r, fmt.Errorf("harness: not the output of wrk --latency: %q", text)
	}
	var errs [6]error
	r.Requests, errs[0] = strconv.ParseInt(total[1], 10, 64)
	r.Bytes, errs[1] = parseWrkBytes(total[2])
	r.PerSecond, errs[2] = strconv.ParseFloat(rate[1], 64)
	r.P50, errs[3] = parseWrkTime(p50[1])
	r.P99, errs[4] = parseWrkTime(p99[1])
	if m := wrkStatus.FindStringSubmatch(text); m != nil {
		r.BadStatus, errs[5] = strconv.ParseInt(m[1], 10, 64)
	}
	if m := wrkSockets.FindStringSubmatch(text); m != nil {
		for _, digits := range m[1:] {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return r, fmt.Errorf("harness: wrk: %w", err)
			}
			r.SocketErrors += n
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return r, fmt.Errorf("harness: wrk: %w", err)
	}
	return r, nil
}

// parseWrkTime reads a number with us, ms, s, m or h: Go writes durations the same way.
func parseWrkTime(s string) (time.Duration, error) {
	return time.ParseDuration(s)
}

// parseWrkBytes reads "0.91M": a number and a power of 1024, the B cut off. Source: wrk's units.c.
func parseWrkBytes(s string) (int64, error) {
	unit := 1.0
	for i, suffix := range []string{"K", "M", "G", "T", "P"} {
		if cut, found := bytes.CutSuffix([]byte(s), []byte(suffix)); found {
			s, unit = string(cut), float64(int64(1)<<(10*(i+1)))
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return int64(n * unit), err
}
