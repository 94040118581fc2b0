package relay

import (
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
)

// exchange is one request and its answer: a client on one side, a stream of a lane on the other. When the client leaves first,
// the exchange stays as a shadow (client == nil) until the enabler has ended the stream, so that nothing of it can reach
// another request.
type exchange struct {
	s       *shard
	client  *client // nil: nobody waits any more
	link    *link   // nil once the stream has ended
	id      uint32  // of the stream
	farm    *farm.Farm
	server  *farm.Server
	began   time.Time
	retried bool

	req   request
	resp  response
	quota quota
}

// request is the client's side of an exchange.
type request struct {
	head   []byte // as sent, kept until the answer begins in case it has to be sent again
	path   int    // where the path ends in head, for the access log
	send   lane.SendWindow
	chunks http1.Chunked
	left   int64 // bytes of the body that are still to come; -1 when chunked
	most   int64 // bytes that the body may have; 0: any number
	came   int64 // bytes of the body that have come
	rated  int64 // came when the rate was looked at last
	waits  int   // rate periods in which the relay did not read, because nobody took the body
	minor  int8  // of the client's HTTP version

	isHead, idempotent, bodyless, keepAlive, wantsUpgrade, expects bool

	done    bool // all of it was sent on
	waiting bool // for the lane to take bodies again
	starved bool // of credit
}

// response is the answer's side of an exchange.
type response struct {
	recv   lane.RecvWindow
	left   int64 // bytes of the body that are still to come; -1 when unknown
	went   int64 // bytes of the body given to the client's connection
	taken  int64 // went, less what the client had not acknowledged when it was looked at last
	owed   bool  // there was something to acknowledge then
	held   int   // of these, bytes without credit for them yet, because the client is slow
	status int

	started  bool // its head was sent on
	chunked  bool // to the client
	upgraded bool // both directions are opaque
	closes   bool // the client's connection ends with it
}

// stalls looks whether the client takes its answer, of which unacked bytes are not acknowledged. It does not when something was
// outstanding at the last look, too, and nothing of it has been acknowledged since: what was sent just before a look proves nothing.
func (r *response) stalls(unacked int) bool {
	taken, owed := r.went-int64(unacked), unacked > 0
	stalled := owed && r.owed && taken == r.taken
	r.taken, r.owed = taken, owed
	return stalled
}

// startExchange sends a request to a back-end server. q and path are valid during the call.
func (c *client) startExchange(q *http1.Request, f *farmView, path []byte) {
	s := c.s
	server, to, ok := s.roster.Pick(f.farm, farm.Want{Now: s.loop.Now()})
	if !ok {
		c.reject(q, failNoBackend, "No back-end server of the farm is connected to this relay server.")
		return
	}
	x := s.newExchange()
	x.s, x.client, x.farm, x.server, x.began = s, c, f.farm, server, s.loop.Now()
	x.req.minor, x.req.isHead, x.req.idempotent = int8(q.Minor), q.Head, q.Idempotent
	x.req.keepAlive, x.req.wantsUpgrade, x.req.expects = q.KeepAlive, q.Upgrade, q.Expect100
	x.req.left, x.req.most, x.resp.left = q.ContentLength, s.mostBody(f), -1
	x.req.bodyless = !q.Chunked && q.ContentLength == 0
	x.req.head = http1.AppendRequest(x.req.head[:0], q, &http1.Forward{
		Path: path, RemoteIP: c.ip, DefaultHost: f.conf.ID, Proto: "http", Via: Via, Trusted: c.trusted,
	})
	x.req.path = len(q.Method) + 1 + len(path)
	if len(x.req.head) > lane.MaxControl { // what is added may make a head too long that the limits let through
		s.release(x)
		c.reject(q, failHeadTooLarge, "The header section is too large to be sent on.")
		return
	}
	if !x.quota.begin(f) {
		s.release(x)
		c.reject(q, failBusy, "The farm has too many requests.")
		return
	}
	c.x = x
	if !x.open(to) {
		c.x = nil
		s.release(x)
		c.reject(q, failNoBackend, "The back-end server has too many requests.")
		return
	}
	s.stats.inFlight.Add(1)
	switch {
	case q.Upgrade, q.Expect100: // it is the back end's turn
		c.enter(phaseAnswer, s.view.cfg.Relay.ResponseTimeout)
	case x.req.bodyless:
		x.requestSent()
	default:
		c.rateBody()
	}
}

// open gives the request a stream on a lane and sends its head.
func (x *exchange) open(to *link) bool {
	id, ok := to.streams.Alloc(x)
	if !ok {
		return false
	}
	x.client.conn.SetWatermarks(to.high, to.high/4)
	x.id, x.link = id, to
	x.req.send, x.resp.recv = lane.NewSendWindow(to.window), lane.NewRecvWindow(to.grant)
	flags := lane.Flags(0)
	switch {
	case x.req.wantsUpgrade:
		flags = lane.FlagUpgrade
	case x.req.bodyless:
		flags = lane.FlagLast
	case x.req.left < 0:
		flags = lane.FlagChunked
	}
	to.end.Send(lane.OpRequest, flags, id, x.req.head)
	to.requests++
	return true
}

// requestSent follows the last byte of the request.
func (x *exchange) requestSent() {
	x.req.done = true
	if !x.resp.started {
		x.client.enter(phaseAnswer, x.s.view.cfg.Relay.ResponseTimeout)
	}
}

// streamEnded forgets the stream: the enabler has ended it and sends nothing more of it.
func (x *exchange) streamEnded() {
	if x.link != nil {
		x.link.streams.Delete(x.id)
		x.link = nil
	}
}

// cancel tells the enabler that nobody waits for the stream any more. The exchange becomes a shadow.
func (x *exchange) cancel() {
	if x.link != nil && x.link.end.Live() {
		x.link.end.SetBuffer(lane.AppendReset(x.link.end.Buffer(), x.id, 0, lane.CodeCancelled, ""))
	}
}

// leave parts the exchange from its client, which does not wait for it any more.
func (x *exchange) leave() {
	x.dropHeld()
	x.quota.end()
	x.client.x = nil
	x.client = nil
	x.s.stats.inFlight.Add(-1)
	if x.resp.upgraded {
		x.s.stats.upgrades.Add(-1)
	}
	if x.link == nil {
		x.s.release(x)
	}
}

// clientGone follows the end of the client's connection.
func (x *exchange) clientGone() {
	if x.resp.upgraded {
		x.log(nil)
	} else {
		x.s.stats.failures[failClientGone.index].Add(1)
		x.log(failClientGone)
	}
	x.cancel()
	x.leave()
}

// fail ends the exchange for a reason that is not the client's: with an answer when none has begun, else so that the client
// sees that the answer is broken.
func (x *exchange) fail(f *failure, text string) {
	c := x.client
	if c == nil { // a shadow
		x.streamEnded()
		x.s.release(x)
		return
	}
	x.cancel()
	if x.resp.started {
		x.s.stats.failures[f.index].Add(1)
		x.s.logFailure(c, f, x.pathText(), text)
		x.log(f)
		x.leave()
		c.conn.Abort(errBroken)
		return
	}
	x.resp.status = f.status
	x.s.logFailure(c, f, x.pathText(), text)
	x.log(f)
	a := answer{status: f.status, minor: int(x.req.minor), head: x.req.isHead, accept: acceptOf(x.req.head), pages: x.s.pages(x.farm)}
	a.close = !x.req.keepAlive || !x.req.done || x.req.wantsUpgrade || x.s.relay.draining.Load()
	took := x.s.loop.Now().Sub(x.began)
	x.leave()
	c.send(f, a, text, took)
}

// lost follows the end of the stream without an answer: once, another server may be asked, unless the back end has answered,
// however badly.
func (x *exchange) lost(f *failure, text string, unseen bool) {
	from := x.server
	x.streamEnded()
	again := unseen || x.req.idempotent && (f == failChannelLost || f == failBackendReset)
	if again && x.client != nil && !x.resp.started && !x.retried && x.req.bodyless && !x.req.wantsUpgrade {
		if server, to, ok := x.s.roster.Pick(x.farm, farm.Want{Not: from, Now: x.s.loop.Now()}); ok {
			x.retried, x.server = true, server
			if x.open(to) {
				x.s.stats.retries.Add(1)
				return
			}
		}
	}
	x.fail(f, text)
}

// pathText is the path that the back end was asked for.
func (x *exchange) pathText() string {
	for i, b := range x.req.head[:min(x.req.path, len(x.req.head))] {
		if b == ' ' {
			return string(x.req.head[i+1 : x.req.path])
		}
	}
	return ""
}
