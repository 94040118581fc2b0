package router

import (
	"time"

	"roundhouse/server/loop"
)

// gate slows what is sent to a peer down to a rate: a token bucket, one token a byte. It holds back whole messages; the last one may overdraw.
// It is owned by the peer's loop. Source: options Client_Token_Rate, Client_Max_Tokens, Client_Burst_Interval.
type gate struct {
	peer *peer

	rate     float64       // bytes a second
	most     float64       // tokens that gather at most; 0: no limit
	interval time.Duration // between looks, once there are no tokens

	tokens float64
	filled time.Time // when tokens were last added
	timer  loop.Timer

	buf   []byte // whole messages; at most the peer's maxBuffer and one message more
	sent  int    // bytes at the front of buf that are gone
	sizes []int  // of the messages in buf[sent:]
}

// rates are the limits of a gate.
type rates struct {
	rate, most int           // bytes a second, bytes
	interval   time.Duration // 0: 1 ms
}

// setRates gives the peer a gate, changes the one it has, or takes it away when rate is 0.
func (p *peer) setRates(r rates) {
	if r.rate == 0 {
		if g := p.gate; g != nil {
			p.gate = nil
			p.conn.Write(g.buf[g.sent:])
			g.timer.Stop()
		}
		return
	}
	if p.gate == nil {
		p.gate = newGate(p)
	}
	g := p.gate
	g.fill() // by the old rate, up to now
	g.rate, g.most, g.interval = float64(r.rate), float64(r.most), max(r.interval, time.Millisecond)
	g.pass() // what waits does not wait for the old interval
}

func newGate(p *peer) *gate {
	g := &gate{peer: p, filled: p.shard.loop.Now()}
	g.timer.Init(p.shard.loop, g.pass)
	return g
}

// buffer lends the buffer for appending one message, which add takes back.
func (g *gate) buffer() []byte {
	if g.sent > gateKeep && g.sent > len(g.buf)/2 {
		n := copy(g.buf, g.buf[g.sent:])
		g.buf, g.sent = g.buf[:n], 0
	}
	return g.buf
}

// add takes back what buffer lent, one message longer.
func (g *gate) add(b []byte) {
	size := len(b) - len(g.buf)
	g.buf = b
	g.sizes = append(g.sizes, size)
	if !g.timer.Armed() {
		g.pass()
	}
}

// size is what the gate holds back, in bytes.
func (g *gate) size() int { return len(g.buf) - g.sent }

// pass lets through what the tokens allow, and looks again later when they do not allow all.
func (g *gate) pass() {
	if g.peer.gone {
		return
	}
	g.fill()
	n, end := 0, g.sent
	for n < len(g.sizes) && g.tokens > 0 {
		g.tokens -= float64(g.sizes[n])
		end += g.sizes[n]
		n++
	}
	if n > 0 {
		g.peer.conn.Write(g.buf[g.sent:end])
		g.sent = end
		g.sizes = g.sizes[:copy(g.sizes, g.sizes[n:])]
	}
	if len(g.sizes) == 0 {
		g.buf, g.sent = g.buf[:0], 0
		if cap(g.buf) > gateKeep {
			g.buf, g.sizes = nil, nil
		}
		return
	}
	g.timer.Arm(g.interval)
}

// gateKeep is the largest buffer that a gate keeps when nothing waits, in bytes.
const gateKeep = 64 << 10

// fill adds the tokens of the time that has passed.
func (g *gate) fill() {
	now := g.peer.shard.loop.Now()
	g.tokens += g.rate * now.Sub(g.filled).Seconds()
	g.filled = now
	if g.most > 0 {
		g.tokens = min(g.tokens, g.most)
	}
}
