package outbound_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/codec/lane"
	"roundhouse/codec/proxyheader"
	"roundhouse/server/config"
)

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// ok waits for an answer without a socket, and returns its body.
func (r *laneReader) ok(stream uint32) string {
	r.l.t.Helper()
	p := r.next(lane.OpResponse, stream)
	var body []byte
	for p.Flags&lane.FlagLast == 0 {
		p = r.next(lane.OpData, stream)
		body = append(body, p.Data...)
	}
	return string(body)
}

// refused waits for a reset.
func (r *laneReader) refused(stream uint32, code lane.Code, unseen bool) {
	r.l.t.Helper()
	p := r.next(lane.OpReset, stream)
	if got, text, err := lane.ParseReset(p.Data); got != code || (p.Flags&lane.FlagUnseen != 0) != unseen || err != nil {
		r.l.t.Errorf("stream %d: code %d, flags %b, %q, %v; want code %d, unseen %v", stream, got, p.Flags, text, err, code, unseen)
	}
}

// TestMaxJunction has the relay's limit go above -jl: what is more is refused, unseen.
func TestMaxJunction(t *testing.T) {
	r := startFakeRelay(t)
	r.limits = `"max_junction":3`
	addr, came, release := startPorts(t)
	e, _ := startEnablerWith(t, r, addr, func(cfg *config.Enabler) { cfg.MaxJunction = 1 })
	in := newLaneReader(r.accept(true))
	in.quiet = true
	for id := uint32(1); id <= 3; id++ {
		in.l.send(packet(lane.OpRequest, lane.FlagLast, id, get("/wait")))
		<-came
	}
	in.l.send(packet(lane.OpRequest, lane.FlagLast, 4, get("/")))
	in.refused(4, lane.CodeOverload, true)
	close(release)
	for id := uint32(1); id <= 3; id++ {
		in.ok(id)
	}
	eventually(t, "nothing is left", func() bool { return e.Stats().Streams == 0 })
	in.l.send(packet(lane.OpRequest, lane.FlagLast, 5, get("/")))
	in.ok(5)
}

// TestMaxConns has more requests than there may be connections, over several loops, with and without sessions: they wait for each
// other, and the back end never sees more.
func TestMaxConns(t *testing.T) {
	const loops, most, requests = 3, 4, 300
	r := startFakeRelay(t)
	r.lanes = loops
	var mu sync.Mutex
	open, peak := map[net.Conn]bool{}, 0 // guarded by mu
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, port, _ := net.SplitHostPort(q.RemoteAddr)
		fmt.Fprint(w, port)
	}), ConnState: func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			maps.DeleteFunc(open, func(other net.Conn, _ bool) bool { return hungUp(other) }) // which the server has not seen yet
			open[c] = true
			peak = max(peak, len(open))
		case http.StateClosed:
			delete(open, c)
		}
	}}
	go func() { _ = s.Serve(ln) }() // ends with the server
	t.Cleanup(func() { s.Close() })
	e, _ := startEnablerWith(t, r, ln.Addr().String(), func(cfg *config.Enabler) {
		cfg.Backend.MaxConns, cfg.Retry = most, time.Hour
	})
	var lanes [loops]*laneReader
	for i := range lanes {
		lanes[i] = newLaneReader(r.accept(true))
	}
	for id := uint32(1); id <= requests; id++ {
		in := lanes[id%loops]
		if id%5 == 0 {
			in.l.ask(id, lane.Socket{}, "/")
			continue
		}
		in.l.send(packet(lane.OpRequest, lane.FlagLast, id, getHead))
	}
	for id := uint32(1); id <= requests; id++ {
		in := lanes[id%loops]
		if id%5 == 0 {
			in.answer(id)
			continue
		}
		in.ok(id)
	}
	eventually(t, "nothing is left", func() bool { return e.Stats().Streams == 0 })
	const probe = 1 // the enabler looks whether the back end is up, once
	if mu.Lock(); peak > most+probe {
		t.Errorf("%d connections at a time, %d are allowed", peak, most)
	}
	mu.Unlock()
}

// hungUp tells whether the other end has ended a connection.
func hungUp(c net.Conn) (ended bool) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	if err := raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && err != unix.EAGAIN
	}); err != nil {
		return true // it is closed on this side, too
	}
	return ended
}

// TestSpareConnections keeps between -jsl and -jsh connections: they are opened before anybody needs them, what a burst leaves above goes
// soon, and what the relay calls too old goes as well, down to the least.
func TestSpareConnections(t *testing.T) {
	const low, high, burst = 3, 6, 20
	r := startFakeRelay(t)
	r.limits = `"max_junction_idle_sec":2`
	backend, open, release := startCounter(t)
	startEnablerWith(t, r, backend, func(cfg *config.Enabler) { cfg.SpareLow, cfg.SpareHigh, cfg.Retry = low, high, time.Hour })
	in := newLaneReader(r.accept(true))
	eventually(t, "spare ones are opened", func() bool { return open() == low })
	for id := uint32(1); id <= burst; id++ {
		in.l.send(packet(lane.OpRequest, lane.FlagLast, id, get("/slow")))
	}
	// Spare ones may stand beside the busy ones.
	eventually(t, "all are busy", func() bool { return open() >= burst })
	release()
	for id := uint32(1); id <= burst; id++ {
		in.ok(id)
	}
	eventually(t, "the surplus goes", func() bool { return open() <= high })
	eventually(t, "the old ones go", func() bool { return open() == low })
}

// startCounter starts a back end that counts its connections; those that say nothing and leave at once are probes, and do not
// count. It answers once it is released.
func startCounter(t *testing.T) (addr string, open func() int, release func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	add := func(d int) { mu.Lock(); n += d; mu.Unlock() }
	all := make(chan struct{})
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case <-all:
		case <-time.After(patience):
		}
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			add(1)
		case http.StateClosed:
			add(-1)
		}
	}}
	go func() { _ = s.Serve(ln) }() // ends with the server
	t.Cleanup(func() { s.Close() })
	return ln.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return n }, func() { close(all) }
}

// TestResponseTimeout has a back end that does not answer: the request is reset as late as response_timeout says, and what has been
// seen is not called unseen.
func TestResponseTimeout(t *testing.T) {
	r := startFakeRelay(t)
	addr, came, release := startPorts(t)
	defer close(release)
	startEnablerWith(t, r, addr, func(cfg *config.Enabler) { cfg.Backend.ResponseTimeout = time.Second })
	in := newLaneReader(r.accept(true))
	in.quiet = true
	began := time.Now()
	in.l.send(packet(lane.OpRequest, lane.FlagLast, 1, get("/wait")))
	<-came
	in.refused(1, lane.CodeTimeout, false)
	if took := time.Since(began); took < time.Second {
		t.Errorf("after %v", took)
	}
}

// TestMemoryLimit sends more of request bodies than -cm allows to be held for a back end that takes none of them.
func TestMemoryLimit(t *testing.T) {
	r := startFakeRelay(t)
	backend, _ := startMute(t)
	e, _ := startEnablerWith(t, r, backend, func(cfg *config.Enabler) { cfg.MemoryBytes = 300 << 10 })
	in := newLaneReader(r.accept(true))
	in.quiet = true
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nStop: now\r\n\r\n"
	id := uint32(0)
	refused := false
	deadline := time.Now().Add(patience)
	for !refused && time.Now().Before(deadline) {
		id++
		in.l.send(packet(lane.OpRequest, 0, id, post))
		in.l.send(packet(lane.OpData, 0, id, strings.Repeat("x", 200<<10)))
		eventually(t, "it was taken", func() bool { return e.Stats().Requests == int64(id) })
		refused = e.Stats().Streams < int64(id)
	}
	if !refused || id < 2 {
		t.Errorf("%d requests; refused: %v", id, refused)
	}
}

// TestHostAndProxy reads what a back end gets with host_header=back-end and proxy_protocol: clients do not share connections.
func TestHostAndProxy(t *testing.T) {
	for version := 1; version <= 2; version++ {
		r := startFakeRelay(t)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go serveProxied(t, ln)
		startEnablerWith(t, r, ln.Addr().String(), func(cfg *config.Enabler) {
			cfg.Backend.ProxyProtocol, cfg.Backend.OwnHost, cfg.Retry = version, true, time.Hour
		})
		in := newLaneReader(r.accept(true))
		from := map[string]string{} // connection by client
		for id, client := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1, 10.0.0.1", "unknown", "192.0.2.2"} {
			head := "GET / HTTP/1.1\r\nHost: www.example\r\nX-Forwarded-For: " + client + "\r\nX-Forwarded-Host: www.example\r\n\r\n"
			in.l.send(packet(lane.OpRequest, lane.FlagLast, uint32(id+1), head))
			got := strings.Split(in.ok(uint32(id+1)), " ") // source, destination, port, Host, X-Forwarded-Host
			client, _, _ = strings.Cut(client, ",")
			want := client
			if client == "unknown" {
				want = "invalid"
			}
			if len(got) != 5 || !strings.HasPrefix(got[0], want) && !strings.HasPrefix(got[0], "["+want) || got[3] != ln.Addr().String() || got[4] != "www.example" {
				t.Errorf("version %d: %q from %s", version, got, client)
				continue
			}
			if want != "invalid" && !strings.HasSuffix(got[1], ln.Addr().String()) && !strings.Contains(got[1], "127.0.0.1]:") {
				t.Errorf("version %d: destination %s", version, got[1])
			}
			for other, port := range from {
				if (other == client) != (port == got[2]) {
					t.Errorf("version %d: %s and %s came from ports %s and %s", version, client, other, got[2], port)
				}
			}
			from[client] = got[2]
		}
	}
}

// serveProxied answers on connections that begin with a PROXY header with what that says, until the listener is closed.
func serveProxied(t *testing.T, ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience)) // fails as a read would
			var head []byte
			var h proxyheader.Header
			for n := 0; n == 0; {
				one := make([]byte, 1)
				if _, err := c.Read(one); err != nil {
					return // a probe
				}
				head = append(head, one[0])
				if h, n, err = proxyheader.Parse(head); err != nil {
					t.Error(err)
					return
				}
			}
			in := bufio.NewReader(c)
			for {
				q, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, port, _ := net.SplitHostPort(c.RemoteAddr().String())
				source, to := h.Source.String(), h.Destination.String()
				if !h.Source.IsValid() {
					source, to = "invalid", "invalid"
				}
				body := fmt.Sprint(source, " ", to, " ", port, " ", q.Host, " ", q.Header.Get("X-Forwarded-Host"))
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			}
		}()
	}
}
