package relay

import (
	"net/netip"
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
	farm    *farmView
	server  *farm.Server // nil until one is chosen
	began   time.Time
	from    netip.Addr // of the client, as a trusted proxy tells it; invalid: it is the connection's
	hash    uint64     // of the client's address, when the farm goes by that
	waits   time.Time  // until when it may wait for a server; zero: it has not waited
	retried bool
	parked  bool   // it waits for a server
	orphan  bool   // its farm is that of an earlier configuration, and the one in force has none of that name
	base    []byte // the part of the URL's path that leads to the farm, as it came

	session session
	req     request
	resp    response
	quota   quota
	seen    seen
	trace   trace
}

// request is the client's side of an exchange.
type request struct {
	x      *exchange
	head   []byte // as sent, kept until the answer begins in case it has to be sent again
	path   int    // where the path ends in head, for the access log
	send   lane.SendWindow
	chunks http1.Chunked
	left   int64  // bytes of the body that are still to come; -1 when chunked
	most   int64  // bytes that the body may have; 0: any number
	came   int64  // bytes of the body that have come
	rated  int64  // came when the rate was looked at last
	waits  int    // rate periods in which the relay did not read, because nobody took the body
	kept   []byte // of the body: all that has come, while keeps is true
	minor  int8   // of the client's HTTP version

	keeps                                                          bool // the body is kept in case the request has to be sent again
	isHead, idempotent, bodyless, keepAlive, wantsUpgrade, expects bool

	done    bool // all of it was sent on
	waiting bool // for the lane to take bodies again
	starved bool // of credit
}

// response is the answer's side of an exchange.
type response struct {
	x      *exchange
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
	ended    bool // upgraded, and the back end has ended its side: the client may go on with its own
	closes   bool // the client's connection ends with it
}

// whole tells whether all that has come of the request could be sent again. Of a long body that is so before its first byte.
func (r *request) whole() bool { return r.bodyless || r.keeps || r.came == 0 && !r.done }

// chunked tells whether the length of the body was not announced.
func (r *request) chunked() bool { return r.left < 0 }

// stalls looks whether the client takes its answer, of which unacked bytes are not acknowledged. It does not when something was
// outstanding at the last look, too, and nothing of it has been acknowledged since: what was sent just before a look proves nothing.
func (r *response) stalls(unacked int) bool {
	taken, owed := r.went-int64(unacked), unacked > 0
	stalled := owed && r.owed && taken == r.taken
	r.taken, r.owed = taken, owed
	return stalled
}

// startExchange begins to relay a request. q and to are valid during the call.
func (c *client) startExchange(q *http1.Request, f *farmView, to route) {
	s := c.s
	x := s.newExchange()
	x.s, x.client, x.farm, x.began = s, c, f, s.loop.Now()
	x.from = told(c, q)
	x.req.minor, x.req.isHead, x.req.idempotent = int8(q.Minor), q.Head, q.Idempotent
	x.req.keepAlive, x.req.wantsUpgrade, x.req.expects = q.KeepAlive, q.Upgrade, q.Expect100
	x.req.left, x.req.most, x.resp.left = q.ContentLength, f.mostBody(s.view.cfg), -1
	x.req.bodyless = !q.Chunked && q.ContentLength == 0
	x.req.done = x.req.bodyless && !q.Upgrade
	x.req.keeps = !q.Upgrade && q.ContentLength <= maxKept
	x.req.head = http1.AppendRequest(x.req.head[:0], q, &http1.Forward{
		Path: to.path, RemoteIP: c.ip, DefaultHost: f.conf.ID, Proto: c.proto(), Via: Via, Trusted: c.trusted,
		Extra: c.cert.linesFor(f.conf), ClientCert: c.cert.forwardsTo(f.conf),
	})
	x.req.path = len(q.Method) + 1 + len(to.path)
	if len(x.req.head)+lane.SocketLen > lane.MaxControl { // what is added may make a head too long that the limits let through
		s.release(x)
		c.reject(q, failHeadTooLarge, "The header section is too large to be sent on.")
		return
	}
	if !x.quota.begin(f) {
		s.release(x)
		c.reject(q, failBusy, "The farm has too many requests.")
		return
	}
	x.base = append(x.base[:0], to.base...)
	x.session.read(q)
	if f.farm.Balance == farm.Hash {
		x.hash = addrHash(c, q)
	}
	if s.view.cfg.Log.PassportMaxVerbosity > 0 {
		x.trace.read(q.Fields, s.view.cfg.Log.PassportMaxVerbosity)
	}
	c.x = x
	s.stats.inFlight.Add(1)
	x.seen.begin(s, f, q.Method)
	x.assign()
}

// join lets the parts of the exchange, each of which has rules and a file of its own, reach each other through it.
func (x *exchange) join() { x.session.x, x.req.x, x.resp.x = x, x, x }

// requestSent follows the last byte of the request.
func (x *exchange) requestSent() {
	x.req.done = true
	x.seen.sent = x.since()
	if !x.resp.started && !x.parked {
		x.client.enter(phaseAnswer, x.s.view.cfg.Relay.ResponseTimeout)
	}
}

// streamEnded forgets the stream: the enabler has ended it and sends nothing more of it.
func (x *exchange) streamEnded() {
	if l := x.link; l != nil {
		l.streams.Delete(x.id)
		x.link = nil
		l.ended()
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
	x.resp.dropHeld()
	x.quota.end()
	x.unpark()
	x.client.x = nil
	x.client = nil
	x.s.stats.inFlight.Add(-1)
	if x.resp.upgraded {
		x.seen.counts.upgraded.Add(-1)
		x.s.stats.upgraded.Add(-1)
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
	x.unpark()
	if x.resp.started {
		x.s.logFailure(c, f, x.pathText(), text)
		x.log(f)
		x.leave()
		c.conn.Abort(errBroken)
		return
	}
	x.resp.status = f.status
	x.s.logFailure(c, f, x.pathText(), text)
	x.log(f)
	a := answer{status: f.status, minor: int(x.req.minor), head: x.req.isHead, accept: acceptOf(x.req.head), pages: x.farm.pages}
	a.close = !x.req.keepAlive || !x.req.done || x.req.wantsUpgrade || x.s.relay.draining.Load()
	if f == failAffinityLost {
		a.extra = x.session.appendForget(nil)
	}
	x.leave()
	c.send(f, a, text)
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
