package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server"
	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

// patience is how long a test waits for a condition before it gives up.
const patience = time.Minute

// slack is what a busy machine may add to an interval. What is promised is held to at full length only, which has a machine to itself.
var slack = map[bool]time.Duration{false: 30 * time.Second, true: 2 * time.Second}[isFull()]

// eventually waits until ok says true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventuallyIn(t, patience, what, ok)
}

// eventuallyIn waits until ok says true, with another patience.
func eventuallyIn(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}

// lines is a log that a test can look into.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// relayUnderTest is a real server with the farm "f", and what is needed to reach it.
type relayUnderTest struct {
	t      testing.TB
	server *server.Server
	cfg    *config.Config
	addr   string
	admin  string
	log    *lines
	cancel context.CancelFunc
	done   chan error
}

// startRelay starts a server on free ports. Servers s1, s2, s3 of the farm "f" are known, with the token "secret".
func startRelay(t testing.TB, change func(*config.Config)) *relayUnderTest {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Listen, cfg.Admin.Listen = []string{"127.0.0.1:0"}, "127.0.0.1:0"
	cfg.Engine.Listen = nil // it would be a port that others may have
	cfg.Loops = 2
	cfg.DrainGrace = 0 // tests leave idle connections behind
	f := config.DefaultFarm()
	f.ID = "f"
	f.ActiveCookie, f.ActiveHeader = false, false // answers are compared byte by byte; tests of sessions switch them on

	cfg.Relay.Farms = []config.Farm{f}
	for _, id := range []string{"s1", "s2", "s3"} {
		b := config.DefaultBackend()
		b.Farm, b.ID, b.Token = "f", id, "secret"
		cfg.Relay.Backends = append(cfg.Relay.Backends, b)
	}
	if change != nil {
		change(cfg)
	}
	r := &relayUnderTest{t: t, cfg: cfg, log: &lines{}, done: make(chan error, 1)}
	s, err := server.New(cfg, r.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	r.server = s
	r.addr, r.admin = s.RelayAddrs()[0].String(), s.AdminAddr().String()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- s.Run(ctx) }() // ends with ctx; stop waits for it
	t.Cleanup(func() { r.stop() })
	return r
}

// stop drains the server and returns what Run said.
func (r *relayUnderTest) stop() error {
	r.cancel()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(patience):
		r.t.Error("the server did not stop")
		return nil
	}
}

// url is the client URL of a path of the farm.
func (r *relayUnderTest) url(path string) string {
	return "http://" + r.addr + "/cli/iarelayserver/f" + path
}

// enabler is a running outbound enabler.
type enabler struct {
	cancel context.CancelFunc
	done   chan error
	log    *lines
}

// startEnabler serves backend ("host:port") as server id, and waits until every lane is up.
func startEnabler(t testing.TB, r *relayUnderTest, id, backend string) *enabler {
	t.Helper()
	return startEnablerWith(t, r, id, backend, nil)
}

// startEnablerWith is startEnabler with a configuration that is changed before; change may be nil.
func startEnablerWith(t testing.TB, r *relayUnderTest, id, backend string, change func(*config.Enabler)) *enabler {
	t.Helper()
	up := func() int { return strings.Count(r.log.text(), `msg="lane up" farm=f server=`+id+" ") }
	before := up()
	e := runEnablerWith(t, r, id, backend, "secret", change)
	eventually(t, "lanes up", func() bool { return up() >= before+r.cfg.Loops })
	return e
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func runEnabler(t testing.TB, r *relayUnderTest, id, backend, token string) *enabler {
	t.Helper()
	return runEnablerWith(t, r, id, backend, token, nil)
}

func runEnablerWith(t testing.TB, r *relayUnderTest, id, backend, token string, change func(*config.Enabler)) *enabler {
	t.Helper()
	host, port := split(t, r.addr)
	bhost, bport := split(t, backend)
	cfg := &config.Enabler{
		Farm: "f", ID: id, Token: token, Retry: time.Second,
		Backend: config.BackendAddr{Host: bhost, Port: bport},
		Relays:  []config.RelayAddr{{Host: host, Port: port, URLSuffix: "/srv/iarelayserver"}},
	}
	if change != nil {
		change(cfg)
	}
	e := &enabler{log: &lines{}, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go func() { e.done <- outbound.Run(ctx, cfg, e.log.logger()) }() // ends with ctx; stop waits for it
	t.Cleanup(func() { e.stop(t) })
	return e
}

func (e *enabler) stop(t testing.TB) {
	t.Helper()
	e.cancel()
	select {
	case err := <-e.done:
		e.done <- err
		if err != nil {
			t.Error("enabler:", err)
		}
	case <-time.After(patience):
		t.Error("the enabler did not stop")
	}
}

func split(t testing.TB, addr string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(text, &port); err != nil {
		t.Fatal(err)
	}
	return host, port
}

// startBackend starts a net/http back end and returns its address.
func startBackend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// get asks for a path of the farm.
func (r *relayUnderTest) get(path string) (status int, body string) {
	r.t.Helper()
	resp, err := http.Get(r.url(path))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
