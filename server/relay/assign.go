package relay

import (
	"slices"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
)

const (
	maxKept   = 16 << 10 // bytes of a request body that are kept in case it has to be sent again
	maxParked = 1024     // requests of a farm that wait on one loop
	// sessionWait is how long a request waits for the server that its session is bound to, from the loss of that server's last lane on.
	sessionWait = 500 * time.Millisecond
)

// farmLocal is what one loop knows of a farm. It survives reloads, keyed by the farm's id.
type farmLocal struct {
	parked  []*exchange // that wait for a server, oldest first; at most maxParked
	hadLane bool        // some server of the farm has had a lane on this loop
	counts  *farmCounts // nil: nothing was counted yet
}

// assign sends the request to a server: the one that its session is bound to, or one that the farm's rule chooses. When none can take it
// now the exchange waits as long as it may, and then fails.
func (x *exchange) assign() {
	if x.session.bound && !x.session.lost {
		x.assignBound()
		return
	}
	if server, to, ok := x.s.roster.Pick(x.farm.farm, x.want(nil)); ok {
		x.begin(server, to)
		return
	}
	x.wait(x.farm.conf.QueueTimeout)
}

// want is what the farm's rule has to know of the request.
func (x *exchange) want(not *farm.Server) farm.Want {
	w := farm.Want{Not: not, Now: x.s.loop.Now()}
	switch x.farm.farm.Balance {
	case farm.Hash:
		w.Hash = x.hash
	case farm.P2C:
		w.Random = x.s.random()
	}
	return w
}

// assignBound sends the request to the server that its session is bound to (spec of the original: only that one has the session's state).
func (x *exchange) assignBound() {
	server := x.farm.farm.ServerByKey(x.session.given.Server)
	if server != nil {
		if to, ok := x.s.roster.PickServer(server); ok {
			x.begin(server, to)
			return
		}
		if server.Enable && x.s.roster.Up(server) {
			if since, ok := x.s.gone[serverName{x.farm.conf.ID, server.ID}]; ok {
				if left := sessionWait - x.s.loop.Now().Sub(since); left > 0 {
					x.wait(left)
					return
				}
			} else if x.s.holds() > 0 {
				x.wait(0)
				return
			}
		}
	}
	x.sessionLost("The back-end server of the session cannot be reached.")
}

// begin sends the request to a server over one of its lanes.
func (x *exchange) begin(server *farm.Server, to *link) {
	x.server = server
	if !x.open(to) {
		x.fail(failNoBackend, "The back-end server has too many requests.")
		return
	}
	c := x.client
	switch {
	case x.req.wantsUpgrade, x.req.expects && x.req.came == 0: // it is the back end's turn
		c.enter(phaseAnswer, x.s.view.cfg.Relay.ResponseTimeout)
	case x.req.done:
		x.requestSent()
	default:
		c.rateBody()
	}
	if !x.req.done && c.conn.Paused() { // the body came while the request waited
		c.conn.Resume()
	}
}

// open gives the request a stream on a lane and sends its head, and what has come of its body if that is not the first time.
func (x *exchange) open(to *link) bool {
	if len(x.req.kept) > int(to.window) { // the enabler could not take it at once
		return false
	}
	id, ok := to.streams.Alloc(x)
	if !ok {
		return false
	}
	to.fit()
	x.client.conn.SetWatermarks(to.each.high, to.each.high/4)
	x.id, x.link = id, to
	x.req.send, x.resp.recv = lane.NewSendWindow(to.window), lane.NewRecvWindow(to.each.grant)
	x.req.starved, x.req.waiting = false, false
	flags := lane.Flags(0)
	switch {
	case x.req.wantsUpgrade:
		flags = lane.FlagUpgrade
	case x.req.bodyless:
		flags = lane.FlagLast
	case x.req.chunked():
		flags = lane.FlagChunked
	}
	if x.s.relay.access.form != formNone {
		flags |= lane.FlagTimed
	}
	if x.session.asks {
		b := lane.AppendHead(to.end.Buffer(), lane.OpRequest, flags|lane.FlagSocket, id, lane.SocketLen+len(x.req.head))
		to.end.SetBuffer(append(lane.AppendSocket(b, x.session.socket()), x.req.head...))
	} else {
		to.end.Send(lane.OpRequest, flags, id, x.req.head)
	}
	x.seen.sentTo(x.since(), len(x.req.head))
	to.began()
	if max(to.verbosity, x.trace.verbosity) >= showRequests {
		x.show()
	}
	if max(to.verbosity, x.trace.verbosity) >= showPackets {
		to.showPacket("up", lane.OpRequest, id, x.req.head, &x.trace)
	}
	if len(x.req.kept) > 0 {
		x.req.send.Spend(len(x.req.kept))
		to.end.SendData(0, id, x.req.kept)
		x.seen.upPackets++
	}
	if x.req.done && !x.req.bodyless {
		to.end.Send(lane.OpData, lane.FlagLast, id, nil)
	}
	return true
}

// wait parks the exchange until a server of its farm can take it, for as long as it may wait: d, counted from the first time, or until the
// lanes of the process before this one have come.
func (x *exchange) wait(d time.Duration) {
	local := x.s.local[x.farm.farm.Index]
	now := x.s.loop.Now()
	if x.waits.IsZero() {
		if hold := x.s.holds(); !local.hadLane || x.session.bound {
			d = max(d, hold)
		}
		x.waits = now.Add(d)
	}
	if d = x.waits.Sub(now); d <= 0 || len(local.parked) >= maxParked {
		x.waitedTooLong()
		return
	}
	x.parked = true
	local.parked = append(local.parked, x)
	x.client.enter(phaseQueue, d)
}

// waitedTooLong ends the wait for a server.
func (x *exchange) waitedTooLong() {
	x.unpark()
	if x.session.bound && !x.session.lost {
		x.sessionLost("The back-end server of the session cannot be reached.")
		return
	}
	x.fail(failNoBackend, "No back-end server of the farm is connected to this relay server.")
}

// unpark takes the exchange out of the line of its farm, if it stands there.
func (x *exchange) unpark() {
	if x.parked {
		x.parked = false
		local := x.s.local[x.farm.farm.Index]
		if i := slices.Index(local.parked, x); i >= 0 {
			local.parked = slices.Delete(local.parked, i, i+1)
		}
	}
}

// wake lets those who wait for a server of a farm try again.
func (s *shard) wake(f *farm.Farm) {
	local := s.local[f.Index]
	waiting := local.parked
	local.parked = nil
	for _, x := range waiting {
		x.parked = false
		x.assign()
	}
}

// holds is how long requests may wait for lanes that the process before this one has had.
func (s *shard) holds() time.Duration { return s.relay.holdUntil.Sub(s.loop.Now()) }

// lost follows the end of the stream without an answer: once, another server may be asked, when nothing can happen twice by that.
func (x *exchange) lost(f *failure, text string, unseen bool) {
	from := x.server
	if l := x.link; l != nil && l.server != nil && counts(f) && x.s.roster.Failed(l.server, x.s.loop.Now()) {
		x.s.relay.log.Warn("back-end server ejected: too many failures in a row", "farm", l.key.farm, "server", l.key.server,
			"for", x.farm.conf.EjectTime)
	}
	x.streamEnded()
	switch {
	case x.client != nil && x.resp.ended: // it had said all that it had to say
		x.resp.complete()
		return
	case x.client == nil || x.resp.started:
	case f == failAffinityLost:
		x.sessionLost(text)
		return
	case !x.repeatable(f, unseen):
	case x.again(from):
		return
	}
	x.fail(f, text)
}

// counts tells whether a failure says something about the server.
func counts(f *failure) bool {
	return f == failBackendDown || f == failBackendReset || f == failHeaderTimeout || f == failBadResponse
}

// repeatable tells whether the request may be sent once more: nothing of it was seen, or seeing it twice is as good as once (RFC 9110,
// 9.2.2), and all that was sent of it is still there.
func (x *exchange) repeatable(f *failure, unseen bool) bool {
	safe := unseen || x.req.idempotent && (f == failChannelLost || f == failBackendReset)
	return safe && !x.retried && !x.orphan && x.req.whole() && !x.req.wantsUpgrade
}

// again asks another server if there is one, or else the same one. A session that is bound to the one that failed goes elsewhere only if
// it may have a new id.
func (x *exchange) again(from *farm.Server) bool {
	if x.session.bound && !x.session.lost {
		if !x.session.mayRenew() {
			server := x.farm.farm.ServerByKey(from.Key) // it may be gone from the configuration
			if server == nil {
				return false
			}
			to, ok := x.s.roster.PickServer(server)
			return ok && x.reopen(server, to)
		}
		x.session.lost = true
	}
	server, to, ok := x.s.roster.Pick(x.farm.farm, x.want(from))
	return ok && x.reopen(server, to)
}

// reopen sends the request a second time.
func (x *exchange) reopen(server *farm.Server, to *link) bool {
	x.retried, x.server = true, server
	if !x.open(to) {
		return false
	}
	x.s.stats.retries.Add(1)
	x.client.readOn()
	return true
}
