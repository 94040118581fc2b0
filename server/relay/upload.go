package relay

import (
	"errors"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

var errBroken = errors.New("relay: the answer cannot be completed")

// takeBody sends on as much of the request body at the front of in as lane and credit allow, and returns how much that was.
// When it is nothing the connection is paused.
func (r *request) takeBody(in []byte) int {
	conn, room := r.x.client.conn, 0
	if r.x.link != nil {
		room = r.x.link.end.Room(r.came)
	}
	switch {
	case r.wantsUpgrade && !r.x.resp.upgraded: // too early: nobody knows yet which protocol this is
		conn.Pause()
		return 0
	case r.x.link == nil, // it waits for a server
		r.x.quota.uploadWaits(r.x):
		conn.Pause()
		return 0
	case room == 0:
		begins(&r.x.seen.stallsAt, r.x.since())
		r.waitForLane()
		conn.Pause()
		return 0
	case r.send.Left() == 0:
		begins(&r.x.seen.stallsAt, r.x.since())
		r.starved = true
		conn.Pause()
		return 0
	}
	in = in[:min(len(in), room)]
	if !r.x.resp.upgraded && r.left < 0 {
		return r.takeChunks(in)
	}
	in = in[:min(len(in), r.send.Left())]
	switch {
	case r.x.resp.upgraded:
		r.upload(in, 0)
		loop.Carried(conn, len(in))
		return len(in)
	default:
		in = in[:min(int64(len(in)), r.left)]
		r.left -= int64(len(in))
		if r.left > 0 {
			r.upload(in, 0)
			loop.Carried(conn, len(in))
			return len(in)
		}
		r.upload(in, lane.FlagLast)
		r.x.requestSent()
		return len(in)
	}
}

// takeChunks is takeBody for a chunked body. Credit counts data only, so all of in is looked at: a size line or a trailer
// section is taken whole or not at all.
func (r *request) takeChunks(in []byte) int {
	limits := &r.x.s.view.limits
	done := 0
	for {
		data, n, kind, err := r.chunks.Next(in[done:], limits)
		if err != nil {
			e := err.(*http1.Error) // Next returns nothing else
			r.x.s.stats.refusals[e.Reason].Add(1)
			r.x.abandon(failRefused, e.Status, e.Text)
			return len(in)
		}
		done += n
		switch kind {
		case http1.ChunkData:
			if more := len(data) - r.send.Left(); more > 0 {
				r.chunks.Unread(more)
				data, done = data[:len(data)-more], done-more
			}
			if len(data) == 0 {
				return done
			}
			r.upload(data, 0)
			if r.most > 0 && r.came > r.most {
				r.x.quota.tooLong(r.most)
				r.x.abandon(failTooLarge, failTooLarge.status, "The body of the request is too large.")
				return len(in)
			}
		case http1.ChunkEnd:
			r.endChunks()
			return done
		default:
			loop.Carried(r.x.client.conn, done)
			return done
		}
	}
}

// endChunks ends a chunked request body, with its trailer fields.
func (r *request) endChunks() {
	if fields := r.chunks.Trailer(); len(fields) > 0 {
		r.drop()                                                 // of a second sending they would not be part
		r.x.s.path = http1.AppendTrailer(r.x.s.path[:0], fields) // at most lane.MaxControl: see New
		r.x.link.end.Send(lane.OpTrailer, lane.FlagLast, r.x.id, r.x.s.path)
	} else {
		r.x.link.end.Send(lane.OpData, lane.FlagLast, r.x.id, nil)
	}
	r.x.seen.upPackets++
	r.x.requestSent()
}

func (r *request) upload(data []byte, flags lane.Flags) {
	r.send.Spend(len(data))
	r.came += int64(len(data))
	r.x.quota.uploaded(r.x.s, len(data))
	r.keep(data)
	if r.x.client.phase == phaseAnswer && !r.x.resp.started { // the client did not wait for 100 (Continue)
		r.x.client.rateBody()
	}
	r.x.seen.counts.bodyIn.Add(int64(len(data)))
	r.x.seen.upPackets++
	if max(r.x.link.verbosity, r.x.trace.verbosity) >= showPackets {
		r.x.link.showPacket("up", lane.OpData, r.x.id, data, &r.x.trace)
	}
	r.x.link.end.SendData(flags, r.x.id, data)
}

// keep keeps a piece of the body as long as that is worth it.
func (r *request) keep(data []byte) {
	switch {
	case !r.keeps:
	case len(r.kept)+len(data) > maxKept:
		r.drop()
	default:
		r.kept = append(r.kept, data...)
	}
}

// drop stops keeping the body.
func (r *request) drop() { r.keeps, r.kept = false, r.kept[:0] }

// endUpload ends the client's side of an upgraded connection.
func (r *request) endUpload() {
	if r.x.link != nil && !r.done {
		r.done = true
		r.x.link.end.Send(lane.OpData, lane.FlagLast, r.x.id, nil)
		if r.x.resp.ended {
			r.x.resp.complete()
		}
	}
}

// abandon ends the exchange because the request turned out to be wrong in the midst of its body.
func (x *exchange) abandon(f *failure, status int, text string) {
	c := x.client
	if x.resp.started {
		x.fail(f, text)
		return
	}
	x.resp.status = status
	x.s.logFailure(c, f, x.pathText(), text)
	x.log(f)
	x.cancel()
	a := answer{status: status, minor: int(x.req.minor), head: x.req.isHead, close: true, accept: acceptOf(x.req.head), pages: x.farm.pages}
	x.leave()
	c.send(f, a, text)
}

// waitForLane has the exchange woken when the lane takes bodies again.
func (r *request) waitForLane() {
	if !r.waiting {
		r.waiting = true
		r.x.link.waiters = append(r.x.link.waiters, r.x)
	}
}

// granted takes credit from the enabler.
func (r *request) granted(n uint32) error {
	if err := r.send.Grant(n); err != nil {
		return err
	}
	if r.starved && r.x.client != nil {
		r.starved = false
		r.x.client.readOn()
	}
	return nil
}

// readOn reads again after the body had to wait for credit or for the lane.
func (c *client) readOn() {
	ends(&c.x.seen.stallsAt, &c.x.seen.stalled, c.x.since())
	if c.phase == phaseBody {
		c.rateBody() // the time that it had to wait does not count
	}
	loop.ResumeInTurn(c.conn)
}

// rateBody begins to measure how fast the body comes.
func (c *client) rateBody() {
	c.x.req.rated, c.x.req.waits = c.x.req.came, 0
	c.enter(phaseBody, c.s.view.ratePeriod())
}

// ratePeriod is how long the rate of a body is measured.
func (v *view) ratePeriod() time.Duration { return max(v.cfg.Relay.BodyGrace, time.Second) }

// checkRate cuts a request whose body comes too slowly. Time in which the relay itself did not read does not count, but when
// nobody has taken the body for as long as an answer may take, the back end is given up.
func (r *request) checkRate() {
	period, cfg := r.x.s.view.ratePeriod(), &r.x.s.view.cfg.Relay
	if r.x.client.conn.Paused() {
		if !r.x.quota.uploadWaits(r.x) {
			r.waits++
		}
		if cfg.ResponseTimeout > 0 && time.Duration(r.waits)*period >= cfg.ResponseTimeout {
			r.x.fail(failBodyTimeout, "The back-end server did not take the request.")
			return
		}
		r.x.client.enter(phaseBody, period)
		return
	}
	if least := float64(cfg.BodyMinRate) * period.Seconds(); float64(r.came-r.rated) < least {
		r.x.abandon(failClientTimeout, failClientTimeout.status, "The body of the request came too slowly.")
		return
	}
	r.x.client.rateBody()
}
