package server_test

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// upgrade has the newest process replaced, and returns when the new one serves. The old one may go on as long as it has something to do.
func (g *generations) upgrade() {
	g.t.Helper()
	old := len(g.pids) - 1
	if err := syscall.Kill(g.pids[old], syscall.SIGUSR2); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "a new process serves", func() bool { return len(g.records("a new process serves")) == old+1 })
	pid, _ := g.records("a new process serves")[old]["pid"].(float64)
	g.pids = append(g.pids, int(pid))
}

// haproxyFor starts HAProxy before HTTP servers, and returns its address. Its health checks ask checks/readyz, and what could not be
// connected to is tried elsewhere; it never sends a request twice.
func haproxyFor(t testing.TB, servers, checks []string) string {
	t.Helper()
	addr, dir := freeAddr(t), t.TempDir()
	var list strings.Builder
	for i, s := range servers {
		port := checks[i][strings.LastIndexByte(checks[i], ':')+1:]
		fmt.Fprintf(&list, "  server r%d %s check inter 100ms fall 1 rise 1 port %s\n", i, s, port)
	}
	conf := fmt.Sprintf(`global
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout check 5s
  timeout client 60s
  timeout server 60s
  option redispatch 1
  retries 3
frontend f
  bind %s
  default_backend relays
backend relays
  option httpchk GET /readyz
%s`, addr, list.String())
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	runProgram(t, addr, "haproxy", "-db", "-f", path)
	return addr
}

// echoSum answers with as many bytes as the query wants, made of its number, and with the sum of what came.
func echoSum(w http.ResponseWriter, q *http.Request) {
	size, _ := strconv.Atoi(q.URL.Query().Get("size"))
	sum := sha256.New()
	_, _ = io.Copy(sum, q.Body) // what is missing shows in the sum
	w.Header().Set("Request-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	_, _ = w.Write(bodyOf(q.URL.Query().Get("n"), size))
}

// bodyOf are bytes that nobody else has.
func bodyOf(seed string, size int) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed)) // never fails
	x := h.Sum64() | 1
	b := make([]byte, size)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// sumLoad sends requests by several clients and judges every byte of the answers.
type sumLoad struct {
	url                    string
	sent, answered, failed atomic.Int64
	first                  sync.Once
	why                    string // of the first failure
	over                   atomic.Bool
}

// run sends n requests by so many clients, of which one in eight is a POST; fewer when it is over.
func (l *sumLoad) run(n, clients int) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	next := new(atomic.Int64)
	for range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && !l.over.Load(); i = next.Add(1) {
				l.sent.Add(1)
				if err := l.one(transport, i); err != nil {
					l.failed.Add(1)
					l.first.Do(func() { l.why = err.Error() })
				} else {
					l.answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
}

// during sends requests by so many clients while f runs.
func (l *sumLoad) during(clients int, f func()) {
	l.over.Store(false)
	var load sync.WaitGroup
	load.Go(func() { // ends when it is over
		for !l.over.Load() {
			l.run(2000, clients)
		}
	})
	defer func() { l.over.Store(true); load.Wait() }()
	f()
}

// more waits until n more requests have been sent.
func (l *sumLoad) more(t testing.TB, n int64) {
	t.Helper()
	l.until(t, l.sent.Load()+n)
}

// until waits until so many requests were sent, however long that takes, as long as there are more.
func (l *sumLoad) until(t testing.TB, n int64) {
	t.Helper()
	for from := l.sent.Load(); from < n; from = l.sent.Load() {
		eventually(t, "requests are sent", func() bool { return l.sent.Load() > from })
	}
}

func (l *sumLoad) one(transport *http.Transport, i int64) error {
	seed, size := strconv.FormatInt(i, 10), int(i%16)*64
	if i%1000 == 0 {
		size = 300 << 10
	}
	method, sent := "GET", []byte(nil)
	if i%8 == 0 {
		method, sent = "POST", bodyOf("sent"+seed, int(i%4096))
	}
	q, err := http.NewRequest(method, fmt.Sprintf("%s?n=%s&size=%d", l.url, seed, size), strings.NewReader(string(sent)))
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(q)
	if err != nil {
		return fmt.Errorf("%s %d: %w", method, i, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %d: %w", method, i, err)
	case resp.StatusCode != 200:
		return fmt.Errorf("%s %d: %s %q", method, i, resp.Status, got)
	case sha256.Sum256(got) != sha256.Sum256(bodyOf(seed, size)):
		return fmt.Errorf("%s %d: %d bytes that are not its own", method, i, len(got))
	case resp.Header.Get("Request-Sum") != fmt.Sprintf("%x", sha256.Sum256(sent)):
		return fmt.Errorf("%s %d: the back end got another body", method, i)
	}
	return nil
}

// TestPromise01 replaces the running program behind HAProxy, under load, again and again: nothing is refused, cut or lost.
func TestPromise01(t *testing.T) {
	requests, upgrades := 60_000, 4
	if racing {
		requests = 15_000
	}
	if isFull() {
		requests, upgrades = 1_000_000, 20
	}
	g := startGenerations(t, binary(t, "roundhouse"), "serve", "-c", relayFile(t, "127.0.0.1:0", ""))
	relay, admin := g.addrs()
	startEnablerChild(t, relay, "s1", startBackend(t, echoSum))
	eventually(t, "its lanes are up", func() bool { return len(g.records("lane up")) >= 2 })
	l := &sumLoad{url: "http://" + haproxyFor(t, []string{relay}, []string{admin}) + "/cli/iarelayserver/f/"}
	eventually(t, "HAProxy serves", func() bool { return ask("GET", l.url, "").status == 200 })
	done := make(chan struct{})
	go func() { defer close(done); l.run(requests, 64) }() // ends when all are sent; the test waits for it
	for i := range upgrades {
		l.until(t, int64(requests*(i+1)/(upgrades+1)))
		g.upgrade()
	}
	<-done
	t.Logf("%d upgrades: %d sent, %d answered, %d lost", upgrades, l.sent.Load(), l.answered.Load(), l.failed.Load())
	if l.failed.Load() > 0 {
		t.Error(l.why)
	}
}
