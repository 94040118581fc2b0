package relay

import (
	"errors"

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
	case x.link.end.Full():
		x.waitForLane()
		conn.Pause()
		return 0
	case x.req.send.Left() == 0:
		x.req.starved = true
		conn.Pause()
		return 0
	}
	in = in[:min(len(in), x.req.send.Left())]
	switch {
	case x.resp.upgraded:
		x.upload(in, 0)
		return len(in)
	case x.req.left >= 0:
		in = in[:min(int64(len(in)), x.req.left)]
		x.req.left -= int64(len(in))
		if x.req.left > 0 {
			x.upload(in, 0)
			return len(in)
		}
		x.upload(in, lane.FlagLast)
		x.requestSent()
		return len(in)
	default:
		return x.takeChunks(in)
	}
}

// takeChunks is takeBody for a chunked body.
func (x *exchange) takeChunks(in []byte) int {
	limits := &x.s.relay.limits
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
			x.upload(data, 0)
			if most := x.s.relay.cfg.Relay.MaxRequestBody; most > 0 && x.req.came > most {
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
		x.s.path = http1.AppendTrailer(x.s.path[:0], fields)
		x.link.end.Send(lane.OpTrailer, lane.FlagLast, x.id, x.s.path)
	} else {
		x.link.end.Send(lane.OpData, lane.FlagLast, x.id, nil)
	}
	x.requestSent()
}

func (x *exchange) upload(data []byte, flags lane.Flags) {
	x.req.send.Spend(len(data))
	x.req.came += int64(len(data))
	x.s.stats.bodyIn.Add(int64(len(data)))
	x.link.end.SendData(flags, x.id, data)
}

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
	x.log(f)
	x.cancel()
	x.leave()
	c.refuse(f, status, text)
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
		x.client.conn.Resume()
	}
	return nil
}

// checkRate cuts a request whose body comes too slowly. Time in which the relay itself did not read does not count.
func (x *exchange) checkRate() {
	cfg := &x.s.relay.cfg.Relay
	came := x.req.came - x.req.rated
	x.req.rated = x.req.came
	if !x.client.conn.Paused() && float64(came) < float64(cfg.BodyMinRate)*cfg.BodyGrace.Seconds() {
		x.abandon(failClientTimeout, failClientTimeout.status, "The body of the request came too slowly.")
		return
	}
	x.client.enter(phaseBody, cfg.BodyGrace)
}
