package router

import (
	"fmt"
	"time"

	"roundhouse/server/loop"
)

// lastWords is how long a peer that was cut may take what it was owed and the reason that follows it; then the connection is reset.
const lastWords = 2 * time.Second

// slow cuts a peer for which more waits than may. The publisher notices nothing.
func (s *shard) slow(p *peer) {
	s.tally.lost(lostSlow, 1)
	reason := fmt.Sprintf("slow consumer: %d bytes wait for it, at most %d may", p.pending(), p.maxBuffer)
	p.cut(cutSlow, reason)
}

// cut ends a connection for a reason that the peer is told after what it was owed, that is logged and counted.
func (p *peer) cut(why cutReason, reason string) {
	if p.gone {
		return
	}
	p.shard.stats.cuts[why].Add(1)
	p.log().Warn("connection ended by the server", "reason", reason, "kind", cutNames[why])
	if p.gate != nil {
		p.setRates(rates{})
	}
	if p.nats != nil {
		p.nats.farewell(why, reason)
	} else {
		p.rt.farewell(why, reason)
	}
	p.leave()
	p.conn.Close()
	bury := new(loop.Timer)
	bury.Init(p.shard.loop, func() { p.conn.Abort(errCut) })
	p.bury = bury
	bury.Arm(lastWords)
}

var errCut = fmt.Errorf("router: it did not take its last messages within %v", lastWords)

// closeSoon ends a connection after what the peer is owed. One that takes nothing of it for a while is reset.
func (p *peer) closeSoon() {
	p.conn.Close()
	sent := p.conn.Sent()
	p.bury = p.shard.loop.NewTimer(func() {
		switch now := p.conn.Sent(); {
		case p.conn.Pending() == 0:
		case now == sent:
			p.conn.Abort(errCut)
		default:
			sent = now
			p.bury.Arm(lastWords)
		}
	})
	p.bury.Arm(lastWords)
}

// leave takes a peer out of everything that could give it messages.
func (p *peer) leave() {
	if p.gone {
		return
	}
	p.gone = true
	if p.gate != nil {
		p.gate.timer.Stop()
	}
	if p.nats != nil {
		p.nats.leave()
	} else {
		p.rt.leave()
	}
	p.shard.forget(p)
}
