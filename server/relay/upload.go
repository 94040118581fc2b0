package relay

import (
	"errors"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

var errBroken = errors.New("relay: the answer cannot be completed")

// takeBody sends on as much of the request body at the front of in as lane and credit allow, and returns how much that was.
// When it is nothing the connection is paused.
func (x *exchange) takeBody(in []byte) int {
	conn := x.client.conn
	switch {
	case x.req.wantsUpgrade && !x.resp.upgraded: // too early: nobody knows yet which protocol this is
		conn.Pause()
		return 0
	case x.link == nil: // it waits for a server
	case x.quota.uploadWaits(x):
		conn.Pause()
		return 0
	case x.link.end.Full():
		x.waitForLane()
		conn.Pause()
		return 0
	case x.req.send.Left() == 0:
		x.req.starved = true
		conn.Pause()
		return 0
	}
	if !x.resp.upgraded && x.req.left < 0 {
		return x.takeChunks(in)
	}
	in = in[:min(len(in), x.req.send.Left())]
	switch {
	case x.resp.upgraded:
		x.upload(in, 0)
		return len(in)
	default:
		in = in[:min(int64(len(in)), x.req.left)]
		x.req.left -= int64(len(in))
		if x.req.left > 0 {
			x.upload(in, 0)
			return len(in)
		}
		x.upload(in, lane.FlagLast)
		x.requestSent()
		return len(in)
	}
}

// takeChunks is takeBody for a chunked body. Credit counts data only, so all of in is looked at: a size line or a trailer
// section is taken whole or not at all.
func (x *exchange) takeChunks(in []byte) int {
	limits := &x.s.view.limits
	done := 0
	for {
		data, n, kind, err := x.req.chunks.Next(in[done:], limits)
		if err != nil {
			e := err.(*http1.Error) // Next returns nothing else
			x.s.stats.refusals[e.Reason].Add(1)
			x.abandon(failRefused, e.Status, e.Text)
			return len(in)
		}
		done += n
		switch kind {
		case http1.ChunkData:
			if more := len(data) - x.req.send.Left(); more > 0 {
				x.req.chunks.Unread(more)
				data, done = data[:len(data)-more], done-more
			}
			if len(data) == 0 {
				return done
			}
			x.upload(data, 0)
			if x.req.most > 0 && x.req.came > x.req.most {
				x.quota.tooLong(x.req.most)
				x.abandon(failTooLarge, failTooLarge.status, "The body of the request is too large.")
				return len(in)
			}
		case http1.ChunkEnd:
			x.endChunks()
			return done
		default:
			return done
		}
	}
}

// endChunks ends a chunked request body, with its trailer fields.
func (x *exchange) endChunks() {
	if fields := x.req.chunks.Trailer(); len(fields) > 0 {
		x.req.drop()                                         // of a second sending they would not be part
		x.s.path = http1.AppendTrailer(x.s.path[:0], fields) // at most lane.MaxControl: see New
		x.link.end.Send(lane.OpTrailer, lane.FlagLast, x.id, x.s.path)
	} else {
		x.link.end.Send(lane.OpData, lane.FlagLast, x.id, nil)
	}
	x.requestSent()
}

func (x *exchange) upload(data []byte, flags lane.Flags) {
	x.req.send.Spend(len(data))
	x.req.came += int64(len(data))
	x.quota.uploaded(x.s, len(data))
	x.req.keep(data)
	if x.client.phase == phaseAnswer && !x.resp.started { // the client did not wait for 100 (Continue)
		x.client.rateBody()
	}
	x.s.stats.bodyIn.Add(int64(len(data)))
	x.link.end.SendData(flags, x.id, data)
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
func (x *exchange) endUpload() {
	if x.link != nil && !x.req.done {
		x.req.done = true
		x.link.end.Send(lane.OpData, lane.FlagLast, x.id, nil)
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
	took := x.s.loop.Now().Sub(x.began)
	x.leave()
	c.send(f, a, text, took)
}

// waitForLane has the exchange woken when the lane takes bodies again.
func (x *exchange) waitForLane() {
	if !x.req.waiting {
		x.req.waiting = true
		x.link.waiters = append(x.link.waiters, x)
	}
}

// granted takes credit from the enabler.
func (x *exchange) granted(n uint32) error {
	if err := x.req.send.Grant(n); err != nil {
		return err
	}
	if x.req.starved && x.client != nil {
		x.req.starved = false
		x.client.readOn()
	}
	return nil
}

// readOn reads again after the body had to wait for credit or for the lane.
func (c *client) readOn() {
	if c.phase == phaseBody {
		c.rateBody() // the time that it had to wait does not count
	}
	c.conn.Resume()
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
func (x *exchange) checkRate() {
	period, cfg := x.s.view.ratePeriod(), &x.s.view.cfg.Relay
	if x.client.conn.Paused() {
		if !x.quota.uploadWaits(x) {
			x.req.waits++
		}
		if cfg.ResponseTimeout > 0 && time.Duration(x.req.waits)*period >= cfg.ResponseTimeout {
			x.fail(failBodyTimeout, "The back-end server did not take the request.")
			return
		}
		x.client.enter(phaseBody, period)
		return
	}
	if least := float64(cfg.BodyMinRate) * period.Seconds(); float64(x.req.came-x.req.rated) < least {
		x.abandon(failClientTimeout, failClientTimeout.status, "The body of the request came too slowly.")
		return
	}
	x.client.rateBody()
}
