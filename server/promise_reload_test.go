package server_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// reloadFile writes the n-th of many configurations: farms and servers come and go, tokens and settings change, and the farm f with its
// server s1 is always there.
func reloadFile(t testing.TB, path string, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("loops = 2\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = [\"127.0.0.1:0\"]\n")
	farm := func(id string) {
		fmt.Fprintf(&b, "[[relay.farm]]\nid = %q\nactive_cookie = %v\nactive_header = false\nmax_client_buffer = \"%dk\"\nbalance = %q\n",
			id, n%2 == 0, 512+n, []string{"round_robin", "least_conn", "p2c", "hash"}[n%4])
	}
	server := func(farm, id, token string, enable bool) {
		fmt.Fprintf(&b, "[[relay.backend]]\nfarm = %q\nid = %q\ntoken = %q\nenable = %v\nmax_junction_idle = \"1s\"\n", farm, id, token, enable)
	}
	if n%3 == 0 {
		farm("other")
		server("other", "s1", "another", true)
	}
	for i := range 100 { // that stay: a table that would be kept, by whatever, is not small
		farm(fmt.Sprintf("g%d", i))
		server(fmt.Sprintf("g%d", i), "s1", fmt.Sprintf("secret%d", i), true)
	}
	farm("f")
	server("f", "s1", "secret", true)
	if n%5 != 1 { // removed, disabled, under another token: the enabler of s2 is sent away, and comes back
		server("f", "s2", []string{"secret", "changed"}[n%7/6], n%4 != 2)
	}
	server("f", fmt.Sprintf("new%d", n), "secret", true)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPromise02 changes farms, servers, tokens and settings of a running relay server by the command line, under load, a hundred times and with
// full length six hundred times; one of ten with a file that is wrong. Nothing is lost. The first reloads are left out of what is measured:
// after all the others nothing of them is left.
func TestPromise02(t *testing.T) {
	warmUp, n, spare := 20, 80, int64(128<<10) // a short load leaves the heap small, and what pools keep is in it
	if isFull() {
		warmUp, n, spare = 100, 500, 0
	}
	path := filepath.Join(t.TempDir(), "roundhouse.toml")
	reloadFile(t, path, 0)
	c := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	backend, used := startCountedConns(t, echoSum)
	enablers := []*child{startEnablerChild(t, r.addr, "s1", backend, "-jsl", "0"), startEnablerChild(t, r.addr, "s2", backend, "-jsl", "0")}
	r.up(4)
	l := &sumLoad{url: r.url("/")}
	run := func(first, last int) {
		l.during(8, func() {
			l.more(t, 1000)
			for i := first; i <= last; i++ {
				if i%10 == 0 {
					refuseFile(t, r, path)
				}
				reloadFile(t, path, i)
				r.reload()
				l.more(t, 20)
			}
			reloadFile(t, path, 0)
			r.reload()
			l.more(t, 1000)
		})
		// The enabler whose token was wrong too often is not listened to for a minute.
		eventuallyIn(t, time.Minute+patience, "all lanes are back, and no client and no connection to the back end is left", func() bool {
			return r.metric("rs_lanes", "") == 4 && r.metric("rs_clients", "") == 0 && used.Load() == 0
		})
	}
	run(1, warmUp)
	before := atRest(t, r, enablers)
	run(warmUp+1, warmUp+n)
	after := before.again(t, r, enablers, spare)
	t.Logf("%d reloads: %d sent, %d answered, %d lost; before: %v; after: %v", n, l.sent.Load(), l.answered.Load(), l.failed.Load(), before, after)
	if l.failed.Load() > 0 {
		t.Error(l.why)
	}
}

// refuseFile reloads a file that is wrong.
func refuseFile(t *testing.T, r *relayChild, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("[relay]\nlisten = [\"nowhere\"]\nnonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := r.tryReload(); err == nil || !strings.Contains(out, "nonsense") || !strings.Contains(out, "listen") {
		t.Errorf("a wrong file: %v, %q", err, out)
	}
}

// startCountedConns is startBackend that counts the connections it has.
func startCountedConns(t testing.TB, h http.HandlerFunc) (addr string, open *atomic.Int64) {
	t.Helper()
	open = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), open
}

func (r *relayChild) tryReload() (said string, err error) {
	out, err := exec.Command(binary(r.t, "roundhouse"), "reload", "--admin", r.admin).CombinedOutput()
	return string(out), err
}

func (r *relayChild) reload() {
	r.t.Helper()
	if out, err := r.tryReload(); err != nil {
		r.t.Fatalf("a reload: %v, %s", err, out)
	}
}
