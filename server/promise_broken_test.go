package server_test

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestPromise05BackendDies kills the back end every 100 ms while 500 requests, 10,000 at full length, get their answers, with a length
// and chunked: the client sees that an answer is broken, and never a short 200.
func TestPromise05BackendDies(t *testing.T) {
	const clients, size = 10, 200_000
	each := 50
	if isFull() {
		each = 1000
	}
	r := startRelay(t, nil)
	b := newFragile(t, size)
	startEnabler(t, r, "s1", b.addr)
	stop := make(chan struct{})
	kills := make(chan int, 1)
	var whole atomic.Int64
	go func() { kills <- b.killEvery(100*time.Millisecond, &whole, stop) }() // ends with stop
	outcomes := make(chan outcome, clients*each)
	for range clients {
		go func() { // ends after its requests, all of whose outcomes are received
			for i := range each {
				outcomes <- ask("GET", r.url([]string{"/", "/chunked"}[i%2]), "")
			}
		}()
	}
	var broken, short, refused int
	for range clients * each {
		switch o := <-outcomes; {
		case o.status == 200 && o.err == nil && o.body == b.body:
			whole.Add(1)
		case o.status == 200 && o.err == nil:
			short++
			t.Errorf("a short 200: %v", o)
		case o.err != nil:
			broken++
		case o.status == 502 || o.status == 503:
			refused++
		default:
			t.Errorf("%v", o)
		}
	}
	close(stop)
	t.Logf("%d sent, %d answered whole, %d seen to be broken, %d answered 502 or 503, %d lost: a short 200; %d kills",
		clients*each, whole.Load(), broken, refused, short, <-kills)
	if whole.Load() == 0 || broken == 0 {
		t.Error("the test shows nothing")
	}
	eventually(t, "it serves again", func() bool { return ask("GET", r.url("/"), "").status == 200 })
}
