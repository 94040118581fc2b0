package harness

import (
	"testing"
	"time"
)

const wrkClean = `Running 1s test @ http://127.0.0.1:18999/100b.bin
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   628.10us  200.00us   3.00ms   91.67%
    Req/Sec    48.92k   103.98    50.11k    70.00%
  Latency Distribution
     50%  612.00us
     75%    2.44ms
     90%    2.88ms
     99%    1.34s 
  97837 requests in 1.00s, 32.50MB read
Requests/sec:  97836.30
Transfer/sec:     32.50MB
`

const wrkErrors = `Running 1s test @ http://127.0.0.1:18999/nope
  2 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.16ms    1.05ms  15.93ms   91.67%
    Req/Sec     0.92k   103.98     1.11k    70.00%
  Latency Distribution
     50%    2.01ms
     75%    2.44ms
     90%    2.88ms
     99%    5.34ms
  1837 requests in 1.00s, 512.00B read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 1830
Requests/sec:   1836.30
Transfer/sec:      512.00B
`

func TestParseWrk(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       WrkResult
	}{
		{"clean", wrkClean, WrkResult{
			Requests: 97837, Bytes: 65 << 19, PerSecond: 97836.30, P50: 612 * time.Microsecond, P99: 1340 * time.Millisecond,
		}},
		{"errors", wrkErrors, WrkResult{
			Requests: 1837, Bytes: 512, PerSecond: 1836.30, P50: 2010 * time.Microsecond, P99: 5340 * time.Microsecond,
			SocketErrors: 10, BadStatus: 1830,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseWrk(c.text)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestParseWrkRejects(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"no latencies":   "  10 requests in 1.00s, 1.00MB read\nRequests/sec: 10.00\n",
		"cut off":        wrkClean[:300],
		"refused":        "unable to connect to 127.0.0.1:1 Connection refused",
		"bad percentile": "     50%   x\n     99%   1.00ms\n  1 requests in 1.00s, 1.00MB read\nRequests/sec: 1.00\n",
	} {
		if got, err := ParseWrk(text); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestParseWrkBytes(t *testing.T) {
	for text, want := range map[string]int64{"7.00": 7, "1.50K": 1536, "0.50M": 1 << 19, "2.00G": 2 << 30} {
		if got, err := parseWrkBytes(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
}
