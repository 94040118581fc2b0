package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

// startPorts starts a back end that answers with the port that it is asked from; /close closes that connection after it.
func startPorts(t testing.TB) string {
	return startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		if q.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		_, port, _ := net.SplitHostPort(q.RemoteAddr)
		fmt.Fprint(w, port)
	})
}

// visitor is a client that keeps cookies and no connections.
type visitor struct {
	t testing.TB
	c *http.Client
}

func newVisitor(t testing.TB) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}}
}

func (v *visitor) get(url string) (status int, body string) {
	resp, err := v.c.Get(url)
	if err != nil {
		v.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Error(err)
	}
	return resp.StatusCode, string(b)
}

// runBoth runs one enabler with loops of its own for both relay servers.
func runBoth(t *testing.T, backend string, relays ...*relayUnderTest) *enabler {
	t.Helper()
	return runEnablerWith(t, relays[0], "s1", backend, "secret", func(cfg *config.Enabler) {
		for _, r := range relays[1:] {
			host, port := split(t, r.addr)
			cfg.Relays = append(cfg.Relays, config.RelayAddr{Host: host, Port: port, URLSuffix: "/srv/iarelayserver"})
		}
	})
}

// TestSessionsEverywhere has many clients at once, over connections that come to any loop of two relay servers: each has a connection
// to the back end of its own, and keeps it.
func TestSessionsEverywhere(t *testing.T) {
	const visitors, visits = 12, 20
	var relays []*relayUnderTest
	for range 2 {
		relays = append(relays, startRelay(t, func(cfg *config.Config) {
			sessionFarm(cfg)
			cfg.Relay.Trust.AffinityKey = "the key of both relay servers, of which each gives out ids that both know"
		}))
	}
	e := runBoth(t, startPorts(t), relays...)
	eventually(t, "lanes up", func() bool { return strings.Count(e.log.text(), `msg="lane up"`) >= 4 })
	var mu sync.Mutex
	owners := map[string]int{} // of ports; guarded by mu
	var wg sync.WaitGroup
	for i := range visitors {
		wg.Go(func() { // ends with its visits
			v := newVisitor(t)
			first := ""
			for n := range visits {
				status, port := v.get(relays[(i+n)%2].url("/"))
				if first == "" {
					first = port
				}
				if status != 200 || port != first {
					t.Errorf("visitor %d: status %d, port %s on visit %d; it was %s", i, status, port, n, first)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if other, taken := owners[first]; taken {
				t.Errorf("visitors %d and %d share port %s", i, other, first)
			}
			owners[first] = i
		})
	}
	wg.Wait()
}

// TestSessionConnectionClosed has the back end close a session's connection: the session moves on to another one.
func TestSessionConnectionClosed(t *testing.T) {
	r := startRelay(t, sessionFarm)
	startEnabler(t, r, "s1", startPorts(t))
	v := newVisitor(t)
	_, first := v.get(r.url("/"))
	if status, port := v.get(r.url("/close")); status != 200 || port != first {
		t.Errorf("status %d, port %s; want %s", status, port, first)
	}
	status, second := v.get(r.url("/"))
	if status != 200 || second == first {
		t.Errorf("status %d, port %s", status, second)
	}
	for range 5 {
		if status, port := v.get(r.url("/")); status != 200 || port != second {
			t.Errorf("status %d, port %s; want %s", status, port, second)
		}
	}
}

// TestSessionAfterEpoch replaces the enabler: what sessions knew of connections is void. Without renew_overlapped_cookie their next
// request is refused, once; with it they get another connection.
func TestSessionAfterEpoch(t *testing.T) {
	for _, renew := range []bool{false, true} {
		r := startRelay(t, func(cfg *config.Config) {
			sessionFarm(cfg)
			cfg.Relay.Farms[0].RenewOverlappedCookie = renew
		})
		backend := startPorts(t)
		e := startEnabler(t, r, "s1", backend)
		v := newVisitor(t)
		v.get(r.url("/"))
		e.stop(t)
		eventually(t, "its lanes are gone", func() bool { return r.server.TotalsForTest().Lanes == 0 })
		startEnabler(t, r, "s1", backend)
		want := 400
		if renew {
			want = 200
		}
		if status, body := v.get(r.url("/")); status != want {
			t.Errorf("renew %v: status %d, want %d: %s", renew, status, want, body)
		}
		if status, body := v.get(r.url("/")); status != 200 {
			t.Errorf("renew %v, once more: status %d: %s", renew, status, body)
		}
	}
}

// TestAcceptance16 is about junctions: max_junction of the relay goes above -jl, idle ones leave after max_junction_idle_sec, and between
// -jsl and -jsh spare ones are kept.
func TestAcceptance16(t *testing.T) {
	t.Parallel() // it waits most of its time
	const low, high, most = 2, 4, 8
	release := make(chan struct{})
	var mu sync.Mutex
	open, busy := 0, 0 // guarded by mu
	count := func(n *int, d int) { mu.Lock(); *n += d; mu.Unlock() }
	is := func(n *int) int { mu.Lock(); defer mu.Unlock(); return *n }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		count(&busy, 1)
		defer count(&busy, -1)
		select {
		case <-release:
		case <-time.After(patience):
		}
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			count(&open, 1)
		case http.StateClosed:
			count(&open, -1)
		}
	}}
	go func() { _ = s.Serve(ln) }() // ends with the server
	t.Cleanup(func() { s.Close() })
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.Backends[0].MaxJunction, cfg.Relay.Backends[0].MaxJunctionIdle = most, 2*time.Second
	})
	runEnablerWith(t, r, "s1", ln.Addr().String(), "secret", func(cfg *config.Enabler) {
		cfg.MaxJunction, cfg.SpareLow, cfg.SpareHigh, cfg.Retry = 3, low, high, time.Hour
	})
	eventually(t, "spare junctions are kept", func() bool { return is(&open) == low })
	var running []<-chan outcome
	for range most {
		running = append(running, begin("GET", r.url("/"), ""))
	}
	eventually(t, "more than -jl are served", func() bool { return is(&busy) == most })
	if o := ask("GET", r.url("/"), ""); o.status != 503 {
		t.Errorf("one more than max_junction: %v", o)
	}
	close(release)
	for _, c := range running {
		if o := <-c; o.status != 200 {
			t.Error(o)
		}
	}
	eventually(t, "idle junctions leave", func() bool { return is(&open) == low })
}

// TestEnablerRecords reads the enabler's records: one a request, with the columns that the header names.
func TestEnablerRecords(t *testing.T) {
	r := startRelay(t, sessionFarm)
	records := &lines{}
	host, port := split(t, r.addr)
	backend := startPorts(t)
	bhost, bport := split(t, backend)
	cfg := &config.Enabler{Farm: "f", ID: "s1", Token: "secret", Retry: time.Second, Verbosity: 1,
		Backend: config.BackendAddr{Host: bhost, Port: bport}, Relays: []config.RelayAddr{{Host: host, Port: port, URLSuffix: "/srv/iarelayserver"}}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- outbound.RunHooked(ctx, cfg, (&lines{}).logger(), outbound.Hooks{Records: records}) }() // ends with ctx
	eventually(t, "lanes up", func() bool { return r.server.TotalsForTest().Lanes == 2 })
	v := newVisitor(t)
	v.get(r.url("/"))
	q, err := http.NewRequest("POST", r.url("/"), strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("User-Agent", `a "b" c`)
	resp, err := v.c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	eventually(t, "records", func() bool { return strings.Count(records.text(), "\n") == 2 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	names := strings.Fields(string(outbound.RecordHeader("text")))
	for _, line := range strings.Split(strings.TrimSpace(records.text()), "\n") {
		values := strings.Fields(strings.ReplaceAll(line, `a \x22b\x22 c`, "agent"))
		if len(values) != len(names) || values[0] != "OER" {
			t.Fatalf("%d columns, want %d: %s", len(values), len(names), line)
		}
		got := map[string]string{}
		for i, name := range names {
			got[name] = values[i]
		}
		want := map[string]string{"i:oidx": "0", "i:status": "200", "i:oee": "0", "b:up.body": "0", "b:dn.body": fmt.Sprint(len("12345")), "affinity:string": `"new"`,
			"x:flags": "1", "backend:string": `"` + backend + `"`, "error:string": "-"}
		if got["ua:string"] == `"agent"` {
			want["b:up.body"], want["affinity:string"], want["x:flags"], want["cookie:string"] = "5", `"kept"`, "5", `"yes"`
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %s, want %s: %s", name, got[name], value, line)
			}
		}
		if got["i:sidx"] == "0" {
			t.Errorf("no connection: %s", line)
		}
	}
}
