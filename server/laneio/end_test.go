package laneio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/codec/lane"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

const patience = time.Minute

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("not in time:", what)
		panic("unreachable")
	}
}

// side is one end of a lane, with what came to it.
type side struct {
	t    *testing.T
	loop *loop.Loop
	end  *laneio.End
	gone chan error

	// Owned by the loop.
	next  uint32 // number of the packet that is to come next
	rest  int    // bytes that are to come of the packet before it
	want  uint32 // got is closed when so many have come
	got   chan struct{}
	send  uint32 // number of the packet to send next
	ended bool
}

// size is how much data the packet of that number has: small ones, and some that go out without a copy.
func size(number uint32) int {
	if number%16 == 7 {
		return 20_000 + int(number%5)*10_000
	}
	return 4 + int(number*37%900)
}

// fill is what the packet of that number holds.
func fill(number uint32) []byte {
	b := bytes.Repeat([]byte{byte(number)}, size(number))
	binary.BigEndian.PutUint32(b, number)
	return b
}

// Packet checks that packets come in order and whole.
func (s *side) Packet(p lane.Packet) error {
	if p.Op != lane.OpData {
		return nil
	}
	if s.rest == 0 {
		s.rest = size(s.next)
		s.next++
		if p.Stream != s.next {
			return fmt.Errorf("packet %d comes as number %d", p.Stream, s.next)
		}
	}
	number := s.next - 1
	at := size(number) - s.rest
	if len(p.Data) > s.rest || !bytes.Equal(p.Data, fill(number)[at:at+len(p.Data)]) {
		return fmt.Errorf("packet %d is wrong at %d", number, at)
	}
	if s.rest -= len(p.Data); s.rest == 0 && s.next == s.want {
		close(s.got)
	}
	return nil
}

func (s *side) Writable()      { s.loop.Post(s.pump) }
func (s *side) Gone(err error) { s.ended = true; s.gone <- err }

// pump sends packets as long as the lane takes them.
func (s *side) pump() {
	if !s.end.Live() {
		if !s.ended {
			s.loop.Post(s.pump) // it is being connected
		}
		return
	}
	for i := 0; s.send < s.want && s.end.Room(1<<40) > 0 && i < 100; i++ {
		s.end.SendData(0, s.send+1, fill(s.send))
		s.send++
	}
	if s.send < s.want && s.end.Room(1<<40) > 0 {
		s.loop.Post(s.pump)
	}
}

func onLoop(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	<-done
}

// pair is both ends of a lane, each on its loop.
type pair struct {
	enabler, relay *side
	length         int64 // of bodies; 0: chunked
	bodies         int   // owned by the enabler's loop
	opened         atomic.Int32
	asked          bool // for another one; owned by the enabler's loop
	late           func(open func())
}

// newPair makes two ends without connections.
func newPair(t *testing.T) *pair {
	t.Helper()
	g, err := loop.New(loop.Options{Loops: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	newSide := func(l *loop.Loop) *side {
		s := &side{t: t, loop: l, gone: make(chan error, 2), got: make(chan struct{})}
		onLoop(l, func() { s.end = laneio.New(l, 10*time.Second, s) })
		return s
	}
	return &pair{enabler: newSide(g.Loops()[0]), relay: newSide(g.Loops()[1]), late: func(open func()) { open() }}
}

// connect makes a connection and gives its ends to the loops.
func connect(t *testing.T, enabler, relay *loop.Loop, onEnabler, onRelay func(*loop.Conn)) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	b, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	adopt := func(l *loop.Loop, nc net.Conn, then func(*loop.Conn)) {
		l.Adopt(nc, func(c *loop.Conn, err error) loop.Session {
			if err != nil {
				return nil
			}
			then(c)
			return c.Session()
		})
	}
	adopt(enabler, a, onEnabler)
	adopt(relay, b, onRelay)
}

// chunked connects a direction from one side to the other.
func (p *pair) chunked(t *testing.T, from, to *side) {
	connect(t, from.loop, to.loop, func(c *loop.Conn) { from.end.SetOut(c) }, func(c *loop.Conn) { to.end.SetIn(c) })
}

// body connects a body of p.length from the enabler to the relay; it is asked for by the end for all but the first.
func (p *pair) body(t *testing.T) {
	number := int(p.opened.Add(1))
	connect(t, p.enabler.loop, p.relay.loop, func(c *loop.Conn) {
		p.bodies++
		p.asked = false
		p.enabler.end.SetOutLength(c, p.length, func() {
			if !p.asked {
				p.asked = true
				go p.late(func() { p.body(t) }) // ends when it has connected; the lane lasts longer
			}
		})
	}, func(c *loop.Conn) {
		if !p.relay.end.SetInLength(c, number, p.length) {
			t.Errorf("body %d is not wanted", number)
		}
	})
}

var framings = []string{"chunked", "length", "socket"}

// open connects the ends in a framing.
func (p *pair) open(t *testing.T, framing string) {
	switch framing {
	case "socket":
		connect(t, p.enabler.loop, p.relay.loop, func(c *loop.Conn) { p.enabler.end.SetSocket(c, true) },
			func(c *loop.Conn) { p.relay.end.SetSocket(c, false) })
		return
	case "length":
		if p.length == 0 {
			p.length = laneio.BodyLength
		}
		p.body(t)
	default:
		p.chunked(t, p.enabler, p.relay)
	}
	p.chunked(t, p.relay, p.enabler)
}

func (p *pair) other(s *side) *side {
	if s == p.relay {
		return p.enabler
	}
	return p.relay
}

// load sends packets both ways at the same time and waits until they have come.
func (p *pair) load(t *testing.T, packets uint32) {
	t.Helper()
	sides := []*side{p.enabler, p.relay}
	for _, s := range sides {
		onLoop(s.loop, func() { s.want = packets })
	}
	for _, s := range sides {
		onLoop(s.loop, s.pump)
	}
	for _, s := range sides {
		select {
		case <-s.got:
		case err := <-s.gone:
			t.Fatal("the lane broke:", err, receive(t, "the other end", p.other(s).gone))
		case <-time.After(patience):
			for _, s := range sides {
				onLoop(s.loop, func() { t.Logf("next %d, rest %d, sent %d: %s", s.next, s.rest, s.send, s.end.StateForTest()) })
			}
			t.Fatal("packets are missing")
		}
	}
}

// TestFramings carries packets of all sizes both ways, with padding and without, and proves the lane before.
func TestFramings(t *testing.T) {
	for _, framing := range framings {
		for _, pad := range []int{0, 1, 4096, 300_000} {
			t.Run(fmt.Sprintf("%s/pad=%d", framing, pad), func(t *testing.T) {
				p := newPair(t)
				proved := make(chan bool, 2)
				for _, s := range []*side{p.enabler, p.relay} {
					onLoop(s.loop, func() { s.end.SetPad(pad) })
				}
				p.open(t, framing)
				onLoop(p.enabler.loop, func() { p.enabler.end.Prove(func() { proved <- true }) })
				receive(t, "the proof", proved)
				p.load(t, 2000)
				onLoop(p.enabler.loop, func() {
					if p.enabler.end.RTT() <= 0 || !p.enabler.end.Live() {
						t.Error("no round trip, or not live")
					}
					p.enabler.end.Close()
				})
				if err := receive(t, "the end", p.enabler.gone); err != nil {
					t.Error(err)
				}
				if err := receive(t, "the other end", p.relay.gone); err != nil && framing != "length" { // which has no end of its own
					t.Error(err)
				}
				if len(proved)+len(p.enabler.gone)+len(p.relay.gone) > 0 {
					t.Error("proof or end came twice")
				}
			})
		}
	}
}

// TestLengthRenewal sends many times the length of a body: the stream of packets goes on in the next one, in time or late.
func TestLengthRenewal(t *testing.T) {
	for _, row := range []struct {
		name string
		late func(open func())
	}{
		{"in time", nil},
		{"late", func(open func()) { <-time.After(20 * time.Millisecond); open() }}, // the body is used up long before
	} {
		for _, length := range []int64{1, 1000, 100_000, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", row.name, length), func(t *testing.T) {
				packets := uint32(max(2, min(length/10, 3000)))
				if row.late != nil {
					packets = uint32(max(2, min(length/100, 1000)))
				}
				p := newPair(t)
				p.length = length
				if row.late != nil {
					p.late = row.late
				}
				p.open(t, "length")
				p.load(t, packets)
				total := int64(0)
				for n := range packets {
					total += int64(lane.HeadLen + size(n))
				}
				onLoop(p.enabler.loop, func() {
					if least := int(total / length); p.bodies < least {
						t.Errorf("%d bodies of %d bytes for %d bytes", p.bodies, length, total)
					}
				})
			})
		}
	}
}

// TestKill breaks a connection while packets flow: both sides hear of it, once, with an error.
func TestKill(t *testing.T) {
	for _, framing := range framings {
		t.Run(framing, func(t *testing.T) {
			p := newPair(t)
			conns := make(chan *loop.Conn, 1)
			p.open(t, framing)
			for _, s := range []*side{p.enabler, p.relay} {
				onLoop(s.loop, func() { s.want = 1 << 30 })
				onLoop(s.loop, s.pump)
			}
			onLoop(p.enabler.loop, func() {}) // it pumps
			p.enabler.loop.Post(func() { killWhenUsed(p.enabler.loop, conns) })
			select {
			case <-conns:
			case <-time.After(patience):
				for _, s := range []*side{p.enabler, p.relay} {
					onLoop(s.loop, func() { t.Logf("next %d, rest %d, sent %d: %s", s.next, s.rest, s.send, s.end.StateForTest()) })
				}
				t.Fatal("nothing is sent")
			}
			for _, s := range []*side{p.enabler, p.relay} {
				if err := receive(t, "the end", s.gone); err == nil {
					t.Error("an orderly end")
				}
				onLoop(s.loop, func() {})
				if len(s.gone) > 0 {
					t.Error("it ended twice")
				}
			}
		})
	}
}

// killWhenUsed resets a connection of the loop that has sent something.
func killWhenUsed(l *loop.Loop, killed chan<- *loop.Conn) {
	done := false
	l.Conns(func(c *loop.Conn) {
		if !done && c.Sent() > 1<<20 {
			done = true
			c.Abort(nil)
			killed <- c
		}
	})
	if !done {
		l.Post(func() { killWhenUsed(l, killed) })
	}
}

// script gives the enabler's end a connection whose other side is the test.
func script(t *testing.T, p *pair, set func(*loop.Conn)) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ready := make(chan error, 1)
	p.enabler.loop.Dial(loop.DialOptions{Network: "tcp", Addr: ln.Addr().String()}, func(c *loop.Conn, err error) loop.Session {
		defer func() { ready <- err }()
		if err != nil {
			return nil
		}
		set(c)
		return c.Session()
	})
	nc, err := ln.Accept()
	if err == nil {
		err = receive(t, "the connection", ready)
	}
	if err == nil {
		err = nc.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// TestStray has somebody answer the outgoing connection.
func TestStray(t *testing.T) {
	const answer = "HTTP/1.1 411 Length Required\r\nContent-Length: 2\r\n\r\nno"
	for _, framing := range framings[:2] {
		p := newPair(t)
		c := script(t, p, func(c *loop.Conn) {
			if framing == "length" {
				p.enabler.end.SetOutLength(c, 1000, func() {})
			} else {
				p.enabler.end.SetOut(c)
			}
		})
		for _, part := range []string{answer[:10], answer[10:]} {
			if _, err := c.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		err := receive(t, "the end", p.enabler.gone)
		var stray *laneio.StrayError
		if !errors.As(err, &stray) || !strings.HasPrefix(string(stray.Head), "HTTP/1.1 411 Length Required\r\nContent-Length: 2\r\n\r\n") {
			t.Errorf("%s: %v", framing, err)
		}
	}
}

// TestBodyRefused has a complete body be answered with something else than 200, or with nothing: packets may be lost.
func TestBodyRefused(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 500 Internal Server Error\r\n\r\n", ""} {
		p := newPair(t)
		c := script(t, p, func(c *loop.Conn) { p.enabler.end.SetOutLength(c, 100, func() {}) })
		onLoop(p.enabler.loop, func() { p.enabler.end.SendData(0, 1, make([]byte, 200)) })
		b := make([]byte, 100)
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := receive(t, "the end", p.enabler.gone); !errors.Is(err, laneio.ErrUnsent) {
			t.Error(err)
		}
	}
}

// TestPad looks at what a burst looks like on the wire.
func TestPad(t *testing.T) {
	const pad = 1000
	p := newPair(t)
	c := script(t, p, func(c *loop.Conn) {
		p.enabler.end.SetPad(pad)
		p.enabler.end.SetOutLength(c, laneio.BodyLength, func() {})
	})
	for range 3 {
		onLoop(p.enabler.loop, func() { p.enabler.end.SendData(0, 1, []byte("hello")) })
		var want bytes.Buffer
		want.Write(lane.Append(nil, lane.Packet{Op: lane.OpData, Stream: 1, Data: []byte("hello")}))
		want.Write(lane.Append(nil, lane.Packet{Op: lane.OpPad, Data: make([]byte, pad-lane.HeadLen)}))
		got := make([]byte, want.Len())
		for at := 0; at < len(got); {
			n, err := c.Read(got[at:])
			if err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q", got)
		}
	}
}

// TestHostileSocket breaks the rules of WebSocket: the end is gone at once.
func TestHostileSocket(t *testing.T) {
	for name, in := range map[string]string{
		"a masked frame": "\x82\x81abcdx", "a text": "\x81\x01x", "a close with a code of ours": "\x88\x02\x0f\xa0",
		"a message of garbage": "\x82\x08garbage!", "a close of 1 byte": "\x88\x01x",
	} {
		p := newPair(t)
		c := script(t, p, func(c *loop.Conn) { p.enabler.end.SetSocket(c, true) })
		if _, err := c.Write([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, name, p.enabler.gone); err == nil {
			t.Errorf("%s: an orderly end", name)
		}
	}
}

// TestSocketControl sends a ping of WebSocket's own and a close.
func TestSocketControl(t *testing.T) {
	p := newPair(t)
	c := script(t, p, func(c *loop.Conn) { p.enabler.end.SetSocket(c, true) })
	if _, err := c.Write([]byte("\x89\x02hi\x88\x02\x03\xe8")); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end", p.enabler.gone); err != nil {
		t.Error(err)
	}
	got := make([]byte, 0, 64)
	for len(got) < 6+2+6+2 {
		b := make([]byte, 64)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if got[0] != 0x8a || got[1] != 0x82 || got[8] != 0x88 || got[9] != 0x82 {
		t.Errorf("% x", got)
	}
}

// TestCloseIsSeenBehindTheRest: the side that ends a lane leaves it to the other one to end the connection that it reads from, so that this one
// has read everything before it hears of the end.
func TestCloseIsSeenBehindTheRest(t *testing.T) {
	for _, framing := range framings[:2] {
		p := newPair(t)
		out := script(t, p, func(c *loop.Conn) {
			if framing == "length" {
				p.enabler.end.SetOutLength(c, 1000, func() {})
			} else {
				p.enabler.end.SetOut(c)
			}
		})
		in := script(t, p, func(c *loop.Conn) { p.enabler.end.SetIn(c) })
		onLoop(p.enabler.loop, func() {
			p.enabler.end.Send(lane.OpData, 0, 1, []byte("the last word"))
			p.enabler.end.Close()
			p.enabler.end.Close() // no more than one
		})
		if b, err := io.ReadAll(out); err != nil || bytes.Count(b, []byte("the last word")) != 1 {
			t.Errorf("%s: %q, %v", framing, b, err)
		}
		if err := in.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the other connection ends first: %d, %v", framing, n, err)
		}
		in.Close()
		if err := receive(t, "the end", p.enabler.gone); err != nil {
			t.Errorf("%s: %v", framing, err)
		}
	}
}
