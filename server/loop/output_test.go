package loop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// batcher counts how often its output goes out.
type batcher struct {
	funcSession
	flushes int // owned by the loop
}

func (s *batcher) BeforeFlush(*Conn) { s.flushes++ }

// Callbacks of one turn that write to a shared connection: with SetBatch their output goes out once.
func TestBatchGoesOutOncePerTurn(t *testing.T) {
	const sources, rounds = 20, 5
	for _, batch := range []bool{true, false} {
		g := newGroup(t, 1)
		l := g.Loops()[0]
		shared := &batcher{}
		lane, peer := pair(t, l, "tcp", shared)
		var ends []net.Conn
		for range sources {
			_, nc := pair(t, l, "tcp", &funcSession{data: func(_ *Conn, in []byte) (int, error) {
				lane.Write(in)
				return len(in), nil
			}})
			ends = append(ends, nc)
		}
		onLoop(l, func() { lane.SetBatch(batch); shared.flushes = 0 })
		lines := bufio.NewReader(peer)
		for round := range rounds {
			hold, held := make(chan int), make(chan int)
			l.Post(func() { close(held); <-hold }) // all sources have input before the loop looks
			<-held
			for i, nc := range ends {
				if _, err := fmt.Fprintln(nc, i, round); err != nil {
					t.Fatal(err)
				}
			}
			close(hold)
			var got []string
			for range ends {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, line)
			}
			if slices.Sort(got); len(slices.Compact(got)) != sources || !strings.HasSuffix(got[0], fmt.Sprintln(round)) {
				t.Errorf("round %d: got %q", round, got)
			}
		}
		want := rounds
		if !batch {
			want *= sources
		}
		onLoop(l, func() {
			if shared.flushes != want {
				t.Errorf("batch %v: %d flushes for %d rounds of %d callbacks", batch, shared.flushes, rounds, sources)
			}
		})
	}
}

// gnet tells nobody when there is room again.
func TestWatermarks(t *testing.T) {
	const high, low, chunk, total = 300_000, 20_000, 7_000, 24 << 20
	for _, secure := range []bool{false, true} {
		g := newGroup(t, 1)
		var sent, drains, highs int // owned by the loop
		full := make(chan int)      // closed at the first high
		produce := func(c *Conn) {
			for sent < total && !c.High() {
				if c.Pending() > high {
					t.Errorf("%d bytes pending, and High is false", c.Pending())
				}
				n := min(chunk, total-sent)
				c.Write(patternAt(int64(sent), n))
				sent += n
			}
			if c.High() {
				if highs == 0 {
					close(full)
				}
				if highs++; c.Pending() <= high || c.Pending() > high+chunk+1<<14 {
					t.Errorf("High at %d bytes", c.Pending())
				}
			}
			if sent == total {
				c.Close()
			}
		}
		closed := make(chan error, 1)
		s := &funcSession{closed: func(_ *Conn, err error) { closed <- err }, drained: func(c *Conn) {
			if drains++; c.Pending() > low || c.High() {
				t.Errorf("Drained at %d bytes, High %v", c.Pending(), c.High())
			}
			produce(c)
		}}
		o := AcceptOptions{Open: func(c *Conn) Session {
			c.SetWatermarks(high, low)
			produce(c)
			return s
		}}
		if secure {
			o.TLS = serverTLS()
		}
		tcp := dial(t, listen(t, g, o))
		if err := tcp.SetReadBuffer(512 << 10); err != nil {
			t.Fatal(err)
		}
		var nc net.Conn = slow{tcp}
		if secure {
			client := tls.Client(nc, clientTLS(tls.VersionTLS12))
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			nc = client
		}
		receive(t, "the high watermark", full)
		got, err := io.ReadAll(nc)
		nc.Close()
		receive(t, "Closed", closed)
		if len(got) != total || err != nil || drains == 0 || drains != highs {
			t.Errorf("%d of %d bytes, %v; %d times high, %d times drained", len(got), total, err, highs, drains)
		}
		for at := 0; at < len(got); at += chunk {
			if n := min(chunk, len(got)-at); !bytes.Equal(got[at:at+n], patternAt(int64(at), n)) {
				t.Fatal("the stream differs at", at)
			}
		}
	}
}

// nosy counts calls into the session that come while it is in the middle of something.
type nosy struct {
	funcSession
	busy   bool
	nested int
}

func (s *nosy) BeforeFlush(c *Conn) {
	if s.busy {
		s.nested++
	}
}

// Drained and BeforeFlush never come inside Write: the session may be in the middle of a message.
func TestWriteCallsNothing(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	s, drains := &nosy{}, 0
	s.drained = func(c *Conn) {
		s.BeforeFlush(c)
		drains++
	}
	c, nc := pair(t, l, "tcp", s)
	go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
	onLoop(l, func() {
		c.SetWatermarks(1000, 10)
		s.busy = true
		for range 64 {
			c.Write(make([]byte, flushAt))
			c.SetBuffer(append(c.Buffer(), make([]byte, 10_000)...))
			c.Writev(make([]byte, 10_000), make([]byte, 10))
		}
		s.busy = false
		if !c.High() {
			t.Error("not high")
		}
	})
	waitFor(t, "Drained", func() (ok bool) { onLoop(l, func() { ok = drains > 0 && !c.High() }); return ok })
	onLoop(l, func() {
		if s.nested > 0 {
			t.Errorf("%d nested calls", s.nested)
		}
	})
}

func TestWritevKeepsOrder(t *testing.T) {
	const total = 16 << 20
	for _, secure := range []bool{false, true} {
		g := newGroup(t, 1)
		o := AcceptOptions{Open: func(c *Conn) Session {
			for sent, i := 0, 0; sent < total; i++ {
				n := min(1+i*7919%100_000, total-sent)
				b := bytes.Clone(patternAt(int64(sent), n))
				switch i % 3 {
				case 0:
					c.Write(b)
				case 1:
					c.Writev(b[:n/3], b[n/3:n/2], nil, b[n/2:])
				case 2:
					c.SetBuffer(append(c.Buffer(), b...))
				}
				clear(b) // no reference is kept
				sent += n
			}
			c.Close()
			return &funcSession{}
		}}
		if secure {
			o.TLS = serverTLS()
		}
		var nc net.Conn = dial(t, listen(t, g, o))
		if secure {
			nc = tls.Client(nc, clientTLS(tls.VersionTLS13))
		}
		got := 0
		for buf := make([]byte, 64<<10); got < total; {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(got, err)
			}
			if !bytes.Equal(buf[:n], patternAt(int64(got), n)) {
				t.Fatal("the stream differs at", got)
			}
			got += n
		}
		nc.Close()
	}
}

// A session that goes on producing in Drained while the peer keeps up uses no stack.
func TestDrainedDoesNotNest(t *testing.T) {
	g := newGroup(t, 1)
	depth, calls, done := 0, 0, make(chan int)
	s := &funcSession{drained: func(c *Conn) {
		if depth++; depth > 1 {
			t.Error("Drained is called inside Drained")
		}
		if calls++; calls == 1000 {
			close(done)
		}
		if calls < 1000 {
			c.Write(make([]byte, 2000))
		}
		depth--
	}}
	c, nc := pair(t, g.Loops()[0], "tcp", s)
	go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
	onLoop(g.Loops()[0], func() {
		c.SetWatermarks(1000, 100)
		c.Write(make([]byte, 2000))
	})
	receive(t, "a thousand calls", done)
}
