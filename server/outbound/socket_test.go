package outbound_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/lane"
)

// laneReader gathers what an enabler says on a lane.
type laneReader struct {
	l      *fakeLane
	body   io.Reader
	reader lane.Reader
	quiet  bool          // resets are expected
	kept   []lane.Packet // of other streams than those that were waited for
}

func newLaneReader(l *fakeLane) *laneReader {
	return &laneReader{l: l, body: chunksOf(l.down)}
}

// chunksOf takes a body out of its chunks.
func chunksOf(c net.Conn) io.Reader {
	head := strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	q, err := http.ReadRequest(bufio.NewReader(io.MultiReader(head, c)))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return q.Body
}

// next waits for a packet of a stream. Those of others are kept.
func (r *laneReader) next(op lane.Op, stream uint32) lane.Packet {
	r.l.t.Helper()
	buf := make([]byte, 64<<10)
	for {
		for i, p := range r.kept {
			if p.Op == op && p.Stream == stream {
				r.kept = slices.Delete(r.kept, i, i+1)
				return p
			}
		}
		n, err := r.body.Read(buf)
		if n == 0 && err != nil {
			r.l.t.Fatalf("no %v on stream %d: %v; %d packets of others", op, stream, err, len(r.kept))
		}
		r.keep(buf[:n])
	}
}

// keep cuts what has come into packets.
func (r *laneReader) keep(in []byte) {
	r.l.t.Helper()
	for len(in) > 0 {
		p, n, err := r.reader.Next(in)
		if err != nil {
			r.l.t.Fatal(err)
		}
		in = in[n:]
		if code, text, _ := lane.ParseReset(p.Data); p.Op == lane.OpReset && !r.quiet && code != lane.CodeCancelled && code != lane.CodeAffinityLost {
			r.l.t.Errorf("stream %d: reset, code %d: %s", p.Stream, code, text)
		}
		if p.Op != 0 {
			p.Data = bytes.Clone(p.Data)
			r.kept = append(r.kept, p)
		}
	}
}

// answer waits for the answer on a stream: the connection that it names, and its body.
func (r *laneReader) answer(stream uint32) (lane.Socket, string) {
	r.l.t.Helper()
	p := r.next(lane.OpResponse, stream)
	if p.Flags&lane.FlagSocket == 0 {
		r.l.t.Fatalf("the answer on stream %d names no connection: %q", stream, p.Data)
	}
	socket, head, err := lane.CutSocket(p.Op, p.Data)
	if err != nil || !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		r.l.t.Fatalf("%v %q", err, head)
	}
	var body []byte
	for p.Flags&lane.FlagLast == 0 {
		p = r.next(lane.OpData, stream)
		body = append(body, p.Data...)
	}
	return socket, string(body)
}

// ask sends a GET of a session.
func (l *fakeLane) ask(stream uint32, socket lane.Socket, path string) {
	head := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
	l.send(packet(lane.OpRequest, lane.FlagLast|lane.FlagSocket, stream, string(lane.AppendSocket(nil, socket))+head))
}

// startPorts starts a back end that answers with the port that it is asked from. A request for /wait/X waits for a word on
// release; came tells of each request.
func startPorts(t *testing.T) (addr string, came chan string, release chan struct{}) {
	t.Helper()
	came, release = make(chan string, 1000), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		came <- q.URL.Path
		if strings.HasPrefix(q.URL.Path, "/wait") {
			select {
			case <-release:
			case <-time.After(patience):
			}
		}
		if q.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		_, port, _ := net.SplitHostPort(q.RemoteAddr)
		fmt.Fprint(w, port)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), came, release
}

// TestSessionsKeepTheirConnections has sessions of one lane come back: each meets its own connection, and a request without a
// session none of them.
func TestSessionsKeepTheirConnections(t *testing.T) {
	r := startFakeRelay(t)
	addr, _, _ := startPorts(t)
	startEnabler(t, r, addr)
	l := r.accept(true)
	in := newLaneReader(l)
	const sessions = 10
	var sockets [sessions]lane.Socket
	ports := map[string]int{}
	id := uint32(0)
	for i := range sessions {
		id++
		l.ask(id, lane.Socket{}, "/")
		socket, port := in.answer(id)
		if other, taken := ports[port]; taken || socket.Number == 0 {
			t.Fatalf("session %d got connection %v of session %d", i, socket, other)
		}
		sockets[i], ports[port] = socket, i
	}
	for round := range 3 {
		for i := range sessions {
			id++
			l.ask(id, sockets[i], "/")
			socket, port := in.answer(id)
			if n, ok := ports[port]; !ok || n != i || socket != sockets[i] {
				t.Errorf("round %d: session %d came to port %s, connection %v; it has %v", round, i, port, socket, sockets[i])
			}
		}
	}
	id++
	l.send(packet(lane.OpRequest, lane.FlagLast, id, getHead))
	if p := in.next(lane.OpResponse, id); p.Flags&lane.FlagSocket != 0 {
		t.Error("an answer names a connection to who did not ask")
	}
	if p := in.next(lane.OpData, id); ports[string(p.Data)] != 0 {
		t.Errorf("a request without a session came over the connection of session %d", ports[string(p.Data)])
	}
}

// TestSessionWaits has several requests of one session at a time: they take turns on its connection.
func TestSessionWaits(t *testing.T) {
	r := startFakeRelay(t)
	addr, came, release := startPorts(t)
	e, _ := startEnabler(t, r, addr)
	l := r.accept(true)
	in := newLaneReader(l)
	l.ask(1, lane.Socket{}, "/")
	socket, port := in.answer(1)
	<-came
	l.ask(2, socket, "/wait")
	if got := <-came; got != "/wait" {
		t.Fatal(got)
	}
	const most = 64 // may wait
	for id := uint32(3); id < 3+most; id++ {
		l.ask(id, socket, "/turn")
	}
	l.send(lane.AppendReset(nil, 3, 0, lane.CodeCancelled, "")) // this one changes its mind
	l.ask(3+most, socket, "/instead")
	l.ask(4+most, socket, "/too-many")
	other, otherPort := in.answer(4 + most)
	if other == socket || otherPort == port {
		t.Errorf("more than %d wait", most)
	}
	if got := <-came; got != "/too-many" {
		t.Errorf("%s did not wait", got)
	}
	release <- struct{}{}
	for id := uint32(2); id < 4+most; id++ {
		if id == 3 {
			continue
		}
		if got, p := in.answer(id); got != socket || p != port {
			t.Errorf("stream %d: connection %v, port %s; want %v, %s", id, got, p, socket, port)
		}
	}
	eventually(t, "nothing is left", func() bool { return e.Stats().Streams == 0 })
}

// TestSessionMovesOn has the back end close a session's connection, idle, with an answer, and in the midst of a request that
// others wait behind: the session goes on over another one, and learns which.
func TestSessionMovesOn(t *testing.T) {
	r := startFakeRelay(t)
	addr, came, release := startPorts(t)
	startEnabler(t, r, addr)
	l := r.accept(true)
	in := newLaneReader(l)
	l.ask(1, lane.Socket{}, "/")
	first, port := in.answer(1)
	<-came
	l.ask(2, first, "/close")
	if got, p := in.answer(2); got != first || p != port {
		t.Errorf("connection %v, port %s", got, p)
	}
	<-came
	l.ask(3, first, "/")
	second, port2 := in.answer(3)
	if second == first || second.Epoch != first.Epoch || port2 == port {
		t.Errorf("connection %v after %v was closed", second, first)
	}
	<-came
	l.ask(4, second, "/wait")
	<-came
	l.ask(5, second, "/behind")
	l.ask(6, second, "/behind")
	l.send(lane.AppendReset(nil, 4, 0, lane.CodeCancelled, "")) // ends the connection: nobody knows what the back end does with it
	a, _ := in.answer(5)
	b, _ := in.answer(6)
	if a == second || b == second {
		t.Errorf("%v was used again", second)
	}
	close(release)
	l.ask(7, lane.Socket{Epoch: first.Epoch, Number: 1 << 31}, "/")
	if got, _ := in.answer(7); got.Number == 1<<31 || got.Number == 0 {
		t.Errorf("a connection that never was: %v", got)
	}
}

// TestEpoch loses the only lane: what sessions know is void, and their connections are closed. Another lane alone changes nothing.
func TestEpoch(t *testing.T) {
	r := startFakeRelay(t)
	addr, _, _ := startPorts(t)
	e, _ := startEnabler(t, r, addr)
	l := r.accept(true)
	in := newLaneReader(l)
	l.ask(1, lane.Socket{}, "/")
	old, port := in.answer(1)
	l.up.Close()
	l.down.Close()
	eventually(t, "the lane is down", func() bool { return e.Stats().Lanes == 0 })
	l = r.accept(true)
	in = newLaneReader(l)
	l.ask(2, old, "/")
	p := in.next(lane.OpReset, 2)
	if code, text, err := lane.ParseReset(p.Data); code != lane.CodeAffinityLost || p.Flags&lane.FlagUnseen == 0 || err != nil {
		t.Errorf("code %d, flags %b: %s, %v", code, p.Flags, text, err)
	}
	l.ask(3, lane.Socket{}, "/")
	if now, p := in.answer(3); now.Epoch == old.Epoch || p == port {
		t.Errorf("connection %v, port %s; before it was %v, %s", now, p, old, port)
	}
}

// TestSessionOverOtherLoops has sessions come over the lanes of different loops, in turn and at once: each keeps its connection, which
// moves with it.
func TestSessionOverOtherLoops(t *testing.T) {
	const loops, sessions, rounds = 3, 8, 30
	r := startFakeRelay(t)
	r.lanes = loops
	addr, _, _ := startPorts(t)
	e, _ := startEnabler(t, r, addr)
	var lanes [loops]*laneReader
	for i := range lanes {
		lanes[i] = newLaneReader(r.accept(true))
	}
	id := uint32(0)
	var sockets [sessions]lane.Socket
	var ports [sessions]string
	for i := range sessions {
		id++
		in := lanes[i%loops]
		in.l.ask(id, lane.Socket{}, "/")
		sockets[i], ports[i] = in.answer(id)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	type asked struct {
		in      *laneReader
		id      uint32
		session int
	}
	for range rounds {
		var all []asked
		for i := range sessions {
			for range 1 + rng.IntN(3) { // at once
				id++
				a := asked{lanes[rng.IntN(loops)], id, i}
				a.in.l.ask(id, sockets[i], "/")
				if rng.IntN(8) == 0 {
					a.in.l.send(lane.AppendReset(nil, id, 0, lane.CodeCancelled, ""))
					continue
				}
				all = append(all, a)
			}
		}
		for _, a := range all {
			socket, port := a.in.answer(a.id)
			if port != ports[a.session] && socket == sockets[a.session] {
				t.Fatalf("session %d: port %s under connection %v, which is port %s", a.session, port, socket, ports[a.session])
			}
			if socket != sockets[a.session] { // a request that was cancelled took it along: the session has moved on
				sockets[a.session], ports[a.session] = socket, port
			}
		}
	}
	for i := range sessions { // nothing is cancelled any more: each has settled
		for n := range 3 * loops {
			id++
			in := lanes[n%loops]
			in.l.ask(id, sockets[i], "/")
			socket, port := in.answer(id)
			if n == 0 {
				sockets[i], ports[i] = socket, port
			} else if socket != sockets[i] || port != ports[i] {
				t.Errorf("session %d moved on from %v to %v over lane %d", i, sockets[i], socket, n%loops)
			}
		}
	}
	eventually(t, "nothing is left", func() bool { return e.Stats().Streams == 0 })
}

// TestSessionWaitsOnOtherLoops has requests of one session wait for its connection on every loop, while it is busy on one.
func TestSessionWaitsOnOtherLoops(t *testing.T) {
	const loops = 3
	r := startFakeRelay(t)
	r.lanes = loops
	addr, came, release := startPorts(t)
	e, _ := startEnabler(t, r, addr)
	var lanes [loops]*laneReader
	for i := range lanes {
		lanes[i] = newLaneReader(r.accept(true))
	}
	lanes[0].l.ask(1, lane.Socket{}, "/")
	socket, port := lanes[0].answer(1)
	<-came
	lanes[1].l.ask(2, socket, "/wait")
	<-came
	id := uint32(2)
	for range 5 {
		for _, in := range lanes {
			id++
			in.l.ask(id, socket, "/")
		}
	}
	eventually(t, "all have come", func() bool { return e.Stats().Requests == int64(id) })
	select {
	case path := <-came:
		t.Errorf("%s did not wait", path)
	default:
	}
	release <- struct{}{}
	if got, p := lanes[1].answer(2); got != socket || p != port {
		t.Errorf("connection %v, port %s; want %v, %s", got, p, socket, port)
	}
	id = 2
	for range 5 {
		for _, in := range lanes {
			id++
			if got, p := in.answer(id); got != socket || p != port {
				t.Errorf("stream %d: connection %v, port %s; want %v, %s", id, got, p, socket, port)
			}
		}
	}
}
