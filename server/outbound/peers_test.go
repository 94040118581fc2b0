package outbound_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
)

// TestPeersAgain has a relay say that the list of relay servers has changed: the enabler fetches it again, long before it would.
func TestPeersAgain(t *testing.T) {
	r := startFakeRelay(t)
	var lists atomic.Int32
	judge := func(_ net.Conn, q *http.Request) bool {
		if q.Header.Get("Ias-Rs-Op") == "peers" {
			lists.Add(1)
		}
		return true
	}
	r.judge.Store(&judge)
	startEnabler(t, r, r.addr)
	l := r.accept(true)
	for n := lists.Load(); n < 4; n = lists.Load() {
		l.send(packet(lane.OpPeers, 0, 0, ""))
		eventually(t, "another list", func() bool { return lists.Load() > n })
	}
}

// TestRetryAfter has a relay ask for a longer pause than -d.
func TestRetryAfter(t *testing.T) {
	r := startFakeRelay(t)
	var calls atomic.Int32
	judge := func(c net.Conn, _ *http.Request) bool {
		calls.Add(1)
		fmt.Fprint(c, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nIas-Rs-Error: 2009\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	r.judge.Store(&judge)
	_, log := startEnabler(t, r, r.addr)
	eventually(t, "it waits as long", func() bool { return log.has("after=1m0s") })
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestUselessPeers names relay servers that have no port for the enabler: each is said once, and the others are served.
func TestUselessPeers(t *testing.T) {
	r := startFakeRelay(t)
	r.others.Store(`,{"host":"secure.test","https_port":443,"lanes":1},{"host":"odd.test","http_port":70000,"lanes":1}`)
	e, log := startEnabler(t, r, r.addr)
	l := r.accept(true)
	eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
	l.send(packet(lane.OpPeers, 0, 0, ""))
	l.up.Close()
	r.accept(true) // the list has been fetched again
	for _, host := range []string{"secure.test", "odd.test"} {
		if n := log.count("it gets no lanes\" host=" + host); n != 1 {
			t.Errorf("%s: said %d times", host, n)
		}
	}
}

// TestSelfPeer has a relay that knows no address of its own name itself by what a proxy before it has made of Host: the enabler goes where
// its -cr says.
func TestSelfPeer(t *testing.T) {
	r := startFakeRelay(t)
	judge := func(c net.Conn, q *http.Request) bool {
		if q.Header.Get("Ias-Rs-Op") == "peers" {
			list := `{"peers":[{"host":"elsewhere.test","http_port":0,"https_port":443,"lanes":1,"self":true}]}`
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
			return false
		}
		return true
	}
	r.judge.Store(&judge)
	e, _ := startEnabler(t, r, r.addr)
	r.accept(true)
	eventually(t, "a lane is up", func() bool { return e.Stats().Lanes == 1 })
}

// TestLanesHurryEachOther has a relay server refuse one lane and let another in later: the refused one comes back at once, though its turn would
// be much later.
func TestLanesHurryEachOther(t *testing.T) {
	r := startFakeRelay(t)
	r.lanes = 2
	let := make(chan struct{})
	var refused atomic.Bool
	judge := func(c net.Conn, q *http.Request) bool {
		switch {
		case q.Header.Get("Ias-Rs-Op") != "up":
		case strings.HasSuffix(q.Header.Get("Ias-Rs-Lane"), "/0"):
			<-let
		case !refused.Swap(true):
			fmt.Fprint(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			return false
		}
		return true
	}
	r.judge.Store(&judge)
	backend, _ := startMute(t)
	e, log := startEnablerWith(t, r, backend, func(cfg *config.Enabler) { cfg.Retry = time.Hour })
	eventually(t, "one lane is refused", func() bool { return log.has("lane down") })
	close(let)
	r.accept(true)
	r.accept(true)
	eventually(t, "both lanes are up", func() bool { return e.Stats().Lanes == 2 })
}

// TestViaBalancer has lanes to all relay servers go through the address of -cr, with the name of each for the load balancer there.
func TestViaBalancer(t *testing.T) {
	r := startFakeRelay(t)
	var seen sync.Map // what Ias-Rs-Peer was in calls for lanes
	judge := func(c net.Conn, q *http.Request) bool {
		if q.Header.Get("Ias-Rs-Op") == "peers" {
			list := `{"peers":[{"host":"one.test","http_port":8081,"lanes":1},{"host":"two.test","https_port":443,"lanes":1},` +
				`{"host":"x\r\nIas-Rs-Evil: y","http_port":1,"lanes":1}]}`
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
			if q.Header.Get("Ias-Rs-Peer") != "" {
				t.Error("a call for the list names a relay server")
			}
			return false
		}
		if q.Header.Get("Ias-Rs-Evil") != "" {
			t.Error("the list has made a field")
		}
		seen.Store(q.Header.Get("Ias-Rs-Peer"), true)
		fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	r.judge.Store(&judge)
	startEnablerWith(t, r, r.addr, func(c *config.Enabler) { c.Relays[0].ViaBalancer = true })
	for _, name := range []string{"one.test:8081", "two.test:443"} {
		eventually(t, "a call for a lane to "+name, func() bool { _, ok := seen.Load(name); return ok })
	}
}
