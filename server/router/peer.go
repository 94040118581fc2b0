package router

import (
	"log/slog"
	"time"

	"roundhouse/server/access"
	"roundhouse/server/loop"
)

// peer is what the sessions of both protocols have in common: one connection that publishes and gets messages. It is owned by its loop;
// subscriptions and plans of other loops point to it, and read only what is fixed.
type peer struct {
	// Fixed at open.
	id    uint64
	shard *shard
	conn  *loop.Conn
	nats  *natsSession // nil: a client
	rt    *client      // nil: a NATS client

	// Fixed once the peer has connected.
	view     *view // of its project, on its loop
	identity *access.Identity
	noEcho   bool // gets nothing that it published itself

	// Owned by its loop.
	last      recent
	maxBuffer int // bytes of output that may wait; one more and the peer is cut
	gate      *gate
	ownRates  bool        // set for this connection alone
	bury      *loop.Timer // resets a connection that was cut; nil: it was not
	left      bool        // it has unsubscribed from something since its last sign of life was answered
	late      int         // answers that wait until what is on its way from other loops has come
	gone      bool        // cut or closed: gets nothing more
	held      bool        // paused, because a loop cannot deliver as fast as it publishes

	// Of sweeps, owned by its loop. Times are those of the shard's clock.
	place  int           // in the shard's list; -1: not in it
	opened time.Duration // when it came
	since  time.Time     // likewise, for people
	heard  time.Duration // when its last input came
	stuck  time.Duration // since when it takes nothing
	sent   uint64        // bytes that it had taken then
}

// recent is the plan that was used last: most publishers go on with the same subject.
type recent struct {
	version uint64
	key     []byte // what the peer called the subject
	plan    *plan
}

// log is the door's, with what tells the peer from others.
func (p *peer) log() *slog.Logger {
	l := p.shard.door.log.With("conn", p.id, "remote", p.conn.Remote().String())
	if p.rt != nil && p.rt.unique != "" {
		l = l.With("client", p.rt.unique)
	}
	return l
}

// pending is what waits to be sent to the peer, in bytes.
func (p *peer) pending() int {
	n := p.conn.Pending()
	if p.gate != nil {
		n += p.gate.size()
	}
	return n
}

// answer answers a sign of life behind everything that has come before it. Who has unsubscribed from something may then rely on having had
// the last of it, so what other loops have sent is waited for: another loop may have looked up the subscribers before the subscription ended,
// and send the message later.
func (p *peer) answer(write func()) {
	if p.late == 0 && (!p.left || len(p.shard.door.shards) == 1) {
		write()
		return
	}
	p.left = false
	p.late++
	p.shard.settle(func() {
		p.late--
		if !p.gone {
			write()
		}
	})
}

// drop takes a subscription out of the table.
func (p *peer) drop(sub *subscription) {
	p.view.project.unsubscribe(sub)
	p.shard.stats.subscriptions.Add(-1)
}

// drain takes the subscriptions of a peer that has left out of the table, in steps so that the loop does other things between them. The peer
// gets nothing in the meantime. Source: options Client_Drain_Subjects and Client_Drain_Timeout.
func (p *peer) drain(left subs) {
	cfg := &p.shard.door.settings.Load().cfg.Client
	step := cfg.DrainSubjects
	for sub := range left.all {
		if step == 0 {
			p.drainLater(left, cfg.DrainTimeout)
			return
		}
		step--
		left.remove(sub)
		p.drop(sub)
	}
}

func (p *peer) drainLater(left subs, pause time.Duration) {
	if pause == 0 {
		p.shard.loop.Post(func() { p.drain(left) }) // a loop that is stopping needs no table
		return
	}
	t := new(loop.Timer)
	t.Init(p.shard.loop, func() { p.drain(left) })
	t.Arm(pause)
}
