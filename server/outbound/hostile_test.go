package outbound_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
	"roundhouse/server/loop"
	"roundhouse/server/outbound"
)

const patience = time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
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

// text is a log that a test can look into.
type text struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func (l *text) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// fakeRelay is a relay server that says whatever a test wants. It names itself as the only one, with one lane.
type fakeRelay struct {
	t    *testing.T
	addr string
	up   chan net.Conn // calls of the up channel, heads read
	down chan net.Conn
	// Before it is called: false means that it has answered itself.
	judge  atomic.Pointer[func(net.Conn, *http.Request) bool]
	https  atomic.Int32 // the port for TLS that it names
	others atomic.Value // string: more relay servers, each with a comma in front
	// Before it is started: how many lanes it wants, which is how many loops the enabler has (0: one), and what it says of limits.
	lanes  int
	limits string
}

func startFakeRelay(t *testing.T) *fakeRelay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeRelay{t: t, addr: ln.Addr().String(), up: make(chan net.Conn, 100), down: make(chan net.Conn, 100)}
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(c) // ends with the head
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return r
}

func (r *fakeRelay) serve(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(patience)) // fails as a read would
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) { // not a byte too much
		if _, err := c.Read(one); err != nil {
			c.Close()
			return
		}
	}
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		r.t.Error(err)
		return
	}
	if strings.Contains(string(head), "secret") {
		r.t.Error("the token is sent")
	}
	if judge := r.judge.Load(); judge != nil && !(*judge)(c, q) {
		c.Close()
		return
	}
	switch q.Header.Get("Ias-Rs-Op") {
	case "up":
		r.up <- c
	case "down":
		r.down <- c
	default:
		_, port, _ := net.SplitHostPort(r.addr)
		others, _ := r.others.Load().(string) // empty when there are none
		body := fmt.Sprintf(`{"peers":[{"host":"127.0.0.1","http_port":%s,"https_port":%d,"lanes":%d}%s],"limits":{%s}}`,
			port, r.https.Load(), max(r.lanes, 1), others, r.limits)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		c.Close()
	}
}

// fakeLane is the relay's end of a lane.
type fakeLane struct {
	t        *testing.T
	up, down net.Conn
}

// accept takes the enabler's next lane and says hello unless told not to.
func (r *fakeRelay) accept(hello bool) *fakeLane {
	r.t.Helper()
	l := &fakeLane{t: r.t, up: <-r.up}
	fmt.Fprint(l.up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	l.down = <-r.down
	r.t.Cleanup(func() { l.up.Close(); l.down.Close() })
	if hello {
		l.send(lane.AppendHello(nil, lane.Hello{Version: 1, Window: 64 << 10, Heartbeat: 15000, MaxHead: 64 << 10}))
	}
	return l
}

func (l *fakeLane) send(b []byte) { _, _ = fmt.Fprintf(l.up, "%x\r\n%s\r\n", len(b), b) }

// isClosed waits until the enabler has hung up.
func (l *fakeLane) isClosed() {
	l.t.Helper()
	for _, c := range []net.Conn{l.up, l.down} {
		_, err := io.Copy(io.Discard, c)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			l.t.Error("the enabler did not close the lane")
		}
	}
}

// startEnabler serves backend to the relay.
func startEnabler(t *testing.T, r *fakeRelay, backend string) (*outbound.Enabler, *text) {
	t.Helper()
	return startEnablerWith(t, r, backend, func(*config.Enabler) {})
}

// startEnablerWith is startEnabler with a configuration that is changed before.
func startEnablerWith(t *testing.T, r *fakeRelay, backend string, change func(*config.Enabler)) (*outbound.Enabler, *text) {
	t.Helper()
	log := &text{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	g, err := loop.New(loop.Options{Loops: max(r.lanes, 1), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Enabler{Farm: "f", ID: "s", Token: "secret", Retry: 50 * time.Millisecond}
	cfg.Backend.Host, cfg.Backend.Port = split(backend)
	cfg.Relays = []config.RelayAddr{{URLSuffix: "/srv/iarelayserver"}}
	cfg.Relays[0].Host, cfg.Relays[0].Port = split(r.addr)
	change(cfg)
	e, err := outbound.New(cfg, g, logger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Serve(ctx); close(done) }() // ends with ctx; the clean-up waits
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the enabler did not end")
		}
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(stop); err != nil {
			t.Error(err)
		}
		if log.has("panic") {
			t.Error(log.b.String())
		}
	})
	return e, log
}

func split(addr string) (string, int) {
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return host, n
}

// startMute starts a back end that takes connections and says nothing; open counts them.
func startMute(t *testing.T) (addr string, open func() int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	add := func(d int) { mu.Lock(); n += d; mu.Unlock() }
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			add(1)
			go func() { // ends with its connection, which the enabler ends; it reads the head and little more
				defer func() { c.Close(); add(-1) }()
				in := bufio.NewReaderSize(c, 16)
				for {
					if line, err := in.ReadString('\n'); err != nil || strings.HasPrefix(line, "Stop:") {
						_ = c.(*net.TCPConn).SetReadBuffer(4 << 10) // only so much is taken
						if err == nil {
							waitHangUp(c)
						}
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// waitHangUp waits, without reading, until the other end has reset the connection: it answers with a head that comes byte by byte, and
// that does not end before the test does.
func waitHangUp(c net.Conn) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for b := []byte("HTTP/1.1 200 OK\r\nA: "); ; b = []byte("a") {
		if _, err := c.Write(b); err != nil {
			return
		}
		<-tick.C
	}
}

func packet(op lane.Op, flags lane.Flags, stream uint32, data string) []byte {
	return lane.Append(nil, lane.Packet{Op: op, Flags: flags, Stream: stream, Data: []byte(data)})
}

const getHead = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestHostileRelay has a relay break the protocol in every way: the lane is closed at once, nothing of it is left, and another
// one is opened.
func TestHostileRelay(t *testing.T) {
	r := startFakeRelay(t)
	backend, open := startMute(t)
	e, _ := startEnabler(t, r, backend)
	get := packet(lane.OpRequest, lane.FlagLast, 1, getHead)
	post := packet(lane.OpRequest, 0, 1, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
	for _, row := range []struct {
		name  string
		hello bool
		send  [][]byte
	}{
		{"a request before the hello", false, [][]byte{get}},
		{"a hello without a window", false, [][]byte{lane.AppendHello(nil, lane.Hello{Version: 1})}},
		{"a second hello without a window", true, [][]byte{get, lane.AppendHello(nil, lane.Hello{Version: 1})}},
		{"a frame that is none", true, [][]byte{get, []byte("garbage, garbage")}},
		{"an oversize frame", true, [][]byte{get, []byte("99999999")}},
		{"an unknown op", true, [][]byte{get, packet(99, 0, 1, "")}},
		{"a response", true, [][]byte{get, packet(lane.OpResponse, 0, 1, "HTTP/1.1 200 OK\r\n\r\n")}},
		{"a status", true, [][]byte{get, packet(lane.OpStatus, 0, 1, "\x01")}},
		{"a stream that is in use", true, [][]byte{get, get}},
		{"stream 0", true, [][]byte{packet(lane.OpRequest, lane.FlagLast, 0, getHead)}},
		{"half a head", true, [][]byte{packet(lane.OpRequest, lane.FlagLast, 1, "GET / HTTP/1.1\r\n")}},
		{"no head", true, [][]byte{packet(lane.OpRequest, lane.FlagLast, 1, "")}},
		{"a body where none was to come", true, [][]byte{get, packet(lane.OpData, 0, 1, "x")}},
		{"a body after its end", true, [][]byte{post, packet(lane.OpData, lane.FlagLast, 1, "123456789"), packet(lane.OpData, 0, 1, "0")}},
		{"a trailer that is not to be", true, [][]byte{post, packet(lane.OpTrailer, lane.FlagLast, 1, "0\r\n\r\n")}},
		{"too much credit", true, [][]byte{get, packet(lane.OpCredit, 0, 1, "\xff\xff\xff\xff")}},
		{"a short credit", true, [][]byte{get, packet(lane.OpCredit, 0, 1, "12")}},
		{"data beyond credit", true, [][]byte{packet(lane.OpRequest, 0, 1, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nStop: now\r\n\r\n"),
			bytes.Repeat(packet(lane.OpData, 0, 1, strings.Repeat("x", 1<<20)), 32)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := r.accept(row.hello)
			l.t = t
			for _, b := range row.send {
				l.send(b)
			}
			l.isClosed()
			const kept = 2 // connections that came when their request was over, and wait for the next
			eventually(t, "nothing is left", func() bool { return e.Stats().Streams == 0 && e.Stats().Lanes == 0 && open() <= kept })
		})
	}
}

// TestRefusedChannels has a relay refuse both halves of lanes: the enabler leaves nothing open, and says why.
func TestRefusedChannels(t *testing.T) {
	r := startFakeRelay(t)
	backend, _ := startMute(t)
	_, log := startEnabler(t, r, backend)
	for range 3 {
		c := <-r.up
		fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno thanks")
		if _, err := c.Read(make([]byte, 1)); err == nil || timedOut(err) {
			t.Error("the enabler keeps a refused channel:", err)
		}
		c.Close()
	}
	eventually(t, "it says why", func() bool { return log.has("503 Service Unavailable") && log.has("no thanks") })
	up := <-r.up
	fmt.Fprint(up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	down := <-r.down
	fmt.Fprint(down, "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\n\r\n")
	l := &fakeLane{t: t, up: up, down: down}
	l.isClosed()
	eventually(t, "it says why", func() bool { return log.has("411 Length Required") })
}

func timedOut(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestManyStreams runs more requests over a lane than it has numbers for, one after the other, most of them cancelled before
// they have a connection: dials that come late must not meet another request.
func TestManyStreams(t *testing.T) {
	const n = 5000
	r := startFakeRelay(t)
	backend, open := startMute(t)
	e, _ := startEnabler(t, r, backend)
	l := r.accept(true)
	go func() { _, _ = io.Copy(io.Discard, l.down) }() // ends with the lane
	for i := uint32(0); i < n; i++ {
		id := i<<20 | 1 + i%4
		l.send(append(packet(lane.OpRequest, lane.FlagLast, id, getHead), lane.AppendReset(nil, id, 0, lane.CodeCancelled, "")...))
		if i%50 == 0 {
			eventually(t, "it keeps up", func() bool { return e.Stats().Requests >= int64(i) })
		}
	}
	eventually(t, "all are gone", func() bool { s := e.Stats(); return s.Requests == n && s.Streams == 0 })
	const most = 512 // that wait for a request
	eventually(t, "few connections are kept", func() bool { return open() <= most })
	t.Logf("%d sent, %d cancelled, %d connections to the back end are kept", n, n, open())
}
