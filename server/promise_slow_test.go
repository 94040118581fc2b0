package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// siege is an attack on a relay server by slow clients, each of which comes back when it has been cut, until the siege is over.
type siege struct {
	t     *testing.T
	relay string
	limit time.Duration // after which the relay server cuts who sends slowly
	idle  time.Duration // after which it cuts who does nothing: good clients on a busy machine need some
	pace  time.Duration // between two pieces of what a client sends
	over  chan struct{}

	attackers                 sync.WaitGroup
	told, cut, spared, others atomic.Int64 // attacks: answered with 408, cut, neither in time, answered with something else

	mu      sync.Mutex // guards readers
	readers []net.Conn // who have read nothing until the end
}

// dial connects as the i-th attacker: 32 addresses have enough ports.
func (s *siege) dial(i int) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%32))}, Timeout: patience}
	c, err := d.Dial("tcp", s.relay)
	if err != nil {
		s.t.Errorf("an attacker is not let in: %v", err)
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(s.limit + s.idle + 2*patience)) // fails as the next call would
	return c
}

func (s *siege) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// send has an attacker send head at once and then text bit by bit, again and again.
func (s *siege) send(i int, head, text string) {
	for !s.isOver() {
		c := s.dial(i)
		if c == nil {
			return
		}
		_, _ = io.WriteString(c, head) // fails as what follows
		status, err := slowly(c, text, 10, s.pace)
		switch {
		case status == 408:
			s.told.Add(1)
		case isTimeout(err):
			s.spared.Add(1)
		case err != nil:
			s.cut.Add(1)
		default:
			s.others.Add(1)
		}
		c.Close()
	}
}

// slowly sends text bit by bit, until it is cut or has been answered, and returns the status of the answer.
func slowly(c net.Conn, text string, each int, every time.Duration) (status int, err error) {
	type answer struct {
		status int
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends with the connection
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			answered <- answer{err: err}
			return
		}
		answered <- answer{status: resp.StatusCode}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case a := <-answered:
			return a.status, a.err
		case <-tick.C:
			if len(text) == 0 {
				continue
			}
			n := min(each, len(text))
			if _, err := io.WriteString(c, text[:n]); err != nil {
				n = len(text) // it was cut: the answer says how
			}
			text = text[n:]
		}
	}
}

// ignore has an attacker ask for more than the sockets take by themselves, and read nothing, again and again.
func (s *siege) ignore(i int) {
	for {
		c := s.dial(i)
		if c == nil {
			return
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10) // as large as it may be: it is cut anyway
		_, _ = io.WriteString(c, getText("/5000000"))
		select {
		case <-s.over:
			s.mu.Lock()
			s.readers = append(s.readers, c)
			s.mu.Unlock()
			return
		case <-time.After(2 * s.idle):
			c.Close()
		}
	}
}

// neighbour is what a good client has seen.
type neighbour struct {
	sent, answered int
	slowest        time.Duration
	most           float64 // connections of clients at a time
}

// serve has a good client ask until the siege is over.
func (s *siege) serve(r *relayChild) (g neighbour) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.isOver() {
		began := time.Now()
		g.sent++
		if o := ask("GET", r.url("/fast"), ""); o.status == 200 && o.body == "fast" && o.err == nil {
			g.answered++
		} else {
			s.t.Logf("a good client: %v", o)
		}
		g.slowest = max(g.slowest, time.Since(began))
		if g.sent%50 == 0 {
			g.most = max(g.most, r.metric("rs_clients", ""))
		}
		<-tick.C
	}
	return g
}

// whole reads what is left of the answers that nobody has read, and returns how many come to their end.
func (s *siege) whole() (n int) {
	for _, c := range s.readers {
		_ = c.SetDeadline(time.Now().Add(patience)) // fails as the read would
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err == nil || isTimeout(err) {
			n++
		}
		c.Close()
	}
	return n
}

// TestPromise08SlowAttackers has 1,000 clients send their heads slowly, send their bodies slowly, or read nothing, for 20 s; at full length
// 10,000 for 240 s, with more patience. All are cut, and all good clients are served meanwhile.
func TestPromise08SlowAttackers(t *testing.T) {
	t.Parallel()                                                                          // it waits, mostly
	n, unread, limit, idle, lasts := 450, 100, time.Second, 5*time.Second, 20*time.Second // of heads and bodies each, of who reads nothing
	if isFull() {
		n, unread, limit, idle, lasts = 4500, 1000, 30*time.Second, 30*time.Second, 240*time.Second
	}
	path := relayFile(t, "127.0.0.1:0", fmt.Sprintf("header_timeout = %q\nbody_grace = %[1]q\nbody_min_rate = 1000\nidle_timeout = %q\n", limit, idle))
	manyJunctions(t, path)
	edit(t, path, "id = \"f\"\n", "id = \"f\"\nmax_client_buffer = \"32KiB\"\n")
	server := start(t, binary(t, "roundhouse"), "serve", "-c", path)
	r := &relayChild{server, server.listens("relay"), server.listens("admin")}
	w := startWellspring(t)
	close(w.gate)
	startEnablerChild(t, r.addr, "s1", w.addr, "-jl", "10000")
	r.up(2)

	s := &siege{t: t, relay: r.addr, limit: limit, idle: idle, pace: max(limit/30, 250*time.Millisecond), over: make(chan struct{})}
	head := "GET /cli/iarelayserver/f/fast HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("x", 5000) + "\r\n\r\n"
	body := "POST /cli/iarelayserver/f/up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
	load := strings.Repeat("x", 100_000)
	for i := range n {
		s.attackers.Go(func() { s.send(i, "", head) })
		s.attackers.Go(func() { s.send(i, body, load) })
	}
	for i := range unread {
		s.attackers.Go(func() { s.ignore(i) })
	}
	end := time.AfterFunc(lasts, func() { close(s.over) })
	defer end.Stop()
	good := s.serve(r)
	s.attackers.Wait()
	eventuallyIn(t, idle+patience, "who reads nothing is cut", func() bool { return r.metric("rs_inflight", "") == 0 })
	whole := s.whole()
	t.Logf("%d slow clients, %.0f connections at most: %d attacks answered 408, %d cut; of %d who read nothing %d cut; good clients: %d sent, %d answered, %d lost, the slowest in %v",
		2*n+unread, good.most, s.told.Load(), s.cut.Load(), len(s.readers), len(s.readers)-whole,
		good.sent, good.answered, good.sent-good.answered, good.slowest.Round(time.Millisecond))
	if good.answered < good.sent || good.sent == 0 || good.most < float64(n) {
		t.Error("good clients were not served, or there was no attack")
	}
	if s.told.Load() < int64(n) || s.spared.Load()+s.others.Load() > 0 || whole > 0 || len(s.readers) != unread {
		t.Errorf("somebody was not cut in time: %d who sent, %d who read nothing; %d got another answer", s.spared.Load(), whole, s.others.Load())
	}
	eventually(t, "nothing is left", func() bool { return r.metric("rs_clients", "") == 0 && w.open.Load() == 0 })
}
