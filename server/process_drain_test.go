package server_test

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// gate is a back end in a process of its own that answers /slow when it has been opened.
type gate struct {
	t    testing.TB
	addr string
}

// startGate starts a gate. When it has been opened it answers between after and twice as long after.
func startGate(t testing.TB, after time.Duration) *gate {
	t.Helper()
	_, addr := startBackendRole(t, "127.0.0.1:0", gateEnv+"="+after.String())
	return &gate{t, addr}
}

// came is how many requests wait there or have waited.
func (g *gate) came() int {
	g.t.Helper()
	n, err := strconv.Atoi(ask("GET", "http://"+g.addr+"/came", "").body)
	if err != nil {
		g.t.Fatal("the gate does not tell:", err)
	}
	return n
}

func (g *gate) open() { ask("POST", "http://"+g.addr+"/open", "") }

// serveGate is that process.
func serveGate(ln net.Listener, after time.Duration) error {
	opened := make(chan struct{})
	var came atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/came", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, came.Load()) })
	mux.HandleFunc("/open", func(http.ResponseWriter, *http.Request) { close(opened) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		n := came.Add(1)
		<-opened
		pause(after + time.Duration(n%100)*after/100)
		fmt.Fprint(w, "done")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") })
	return http.Serve(ln, mux)
}

// TestDrainIsCut has requests in flight that never end: the time to drain ends them, or a second signal does.
func TestDrainIsCut(t *testing.T) {
	for _, row := range []struct {
		timeout string
		again   bool
		code    int
	}{{"300ms", false, 1}, {"1h", true, 3}} {
		path := relayFile(t, "127.0.0.1:0", "")
		c := start(t, binary(t, "roundhouse"), "serve", "-c", path, "--set", "drain_timeout="+row.timeout)
		r := &relayChild{c, c.listens("relay"), c.listens("admin")}
		g := startGate(t, 0)
		startEnablerChild(t, r.addr, "s1", g.addr)
		r.up(2)
		answer := begin("GET", r.url("/slow"), "")
		eventually(t, "it is at the back end", func() bool { return g.came() == 1 })
		began := time.Now()
		r.signal(syscall.SIGTERM)
		if row.again {
			eventually(t, "it drains", func() bool { return len(r.records("draining")) == 1 })
			r.signal(syscall.SIGTERM)
		}
		if code := r.exit(); code != row.code {
			t.Errorf("%s: exit code %d, want %d", row.timeout, code, row.code)
		}
		if row.code == 1 && !r.log.has("requests were cut after 300ms of draining") {
			t.Error("it does not say why it failed")
		}
		if o := <-answer; o.status == 200 {
			t.Errorf("%s: %v", row.timeout, o)
		}
		if took := time.Since(began); took > time.Second+slack {
			t.Errorf("%s: it took %v", row.timeout, took)
		}
	}
}

// TestDrainEnabler ends one of two enablers of a farm while requests keep coming: none is lost.
func TestDrainEnabler(t *testing.T) {
	const clients = 8
	r := startRelayChild(t, "127.0.0.1:0", "")
	var at [2]atomic.Int64
	serve := func(i int) string {
		return startBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			at[i].Add(1)
			pause(5 * time.Millisecond)
			fmt.Fprint(w, "done")
		})
	}
	first := startEnablerChild(t, r.addr, "s1", serve(0))
	startEnablerChild(t, r.addr, "s2", serve(1))
	r.up(4)
	stop := make(chan struct{})
	lost := make(chan int, clients)
	var sent atomic.Int64
	for i := range clients {
		go func() { // ends with stop
			n := 0
			for {
				select {
				case <-stop:
					lost <- n
					return
				default:
				}
				sent.Add(1)
				if o := ask([]string{"GET", "POST"}[i%2], r.url("/"), "body"[:4*(i%2)]); o.status != 200 || o.body != "done" || o.err != nil {
					t.Errorf("lost: %v", o)
					n++
				}
			}
		}()
	}
	eventually(t, "both serve", func() bool { return at[0].Load() > 50 && at[1].Load() > 50 })
	first.signal(syscall.SIGTERM)
	if code := first.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	here, there := at[0].Load(), at[1].Load()
	eventually(t, "the other one serves on", func() bool { return at[1].Load() > there+50 })
	close(stop)
	all := 0
	for range clients {
		all += <-lost
	}
	t.Logf("%d sent, %d answered, %d lost", sent.Load(), sent.Load()-int64(all), all)
	if at[0].Load() != here {
		t.Error("the enabler that had gone got requests")
	}
}
