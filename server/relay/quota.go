package relay

import (
	"net/netip"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// quota is what one request counts against the limits that its farm had when it began. Owned by the loop of its exchange.
type quota struct {
	limits  *allowance // nil: none, and nothing else holds
	use     *usage
	counted bool          // in use.inFlight
	inDue   time.Duration // when the upload may go on, since the relay began
	outDue  time.Duration // when credit for more of the download may be given
	pacer   *pacer        // made when the request has to wait for the first time
}

// pacer wakes an exchange that was too fast for the max_bytes_sec of its farm. What waits is the client's connection, which is not
// read, and the credit for the back end: never bytes.
type pacer struct{ in, out loop.Timer }

// end gives back what the request has held.
func (u *quota) end() {
	if u.counted {
		u.counted = false
		u.use.inFlight.Add(-1)
	}
	if u.pacer != nil {
		u.pacer.in.Stop()
		u.pacer.out.Stop()
		u.pacer = nil
	}
}

// Longest time that a request waits until the bytes of those before it are paid, and the time that it does not have to wait for.
const (
	longestTurn = 30 * time.Second
	freeTurn    = time.Second
)

// waitsItsTurn pauses a client whose request, which has been read but not taken, is for a farm that has used up its bytes. Each
// request waits at most once.
func (c *client) waitsItsTurn(q *http1.Request) bool {
	if c.phase == phaseTurn || c.s.relay.draining.Load() {
		return false
	}
	to := c.s.route(q)
	if to.kind != routeClient {
		return false
	}
	f := c.s.view.farm(to.farm)
	if f == nil || f.limits == nil || f.limits.bytes == 0 {
		return false
	}
	wait := f.state.use.out.due(byteBurst+freeTurn) - c.s.now()
	if wait <= 0 || wait > longestTurn {
		return false
	}
	f.state.use.limited[limitBytesOut].Add(1)
	c.conn.Pause()
	c.enter(phaseTurn, wait)
	return true
}

// within holds a request against the limits of its farm that can be judged by its head. When it breaks one, it has been rejected.
func (c *client) within(q *http1.Request, f *farmView) bool {
	a, use := f.limits, &f.state.use
	switch {
	case len(a.allow)+len(a.deny) > 0 && !a.admits(c.judgedBy(q)):
		use.limited[limitAddress].Add(1)
		c.reject(q, failDenied, "The farm is not open to the client's address.")
	case a.body > 0 && q.ContentLength > a.body:
		use.limited[limitBody].Add(1)
		c.reject(q, failTooLarge, "The body of the request is too large.")
	case a.bytes > 0 && use.out.due(byteBurst+freeTurn+longestTurn) > c.s.now():
		use.limited[limitBytesOut].Add(1)
		c.rejectWith(q, failBusy, answer{status: failBusy.status, after: use.out.due(byteBurst+freeTurn) - c.s.now()}, "The farm has used up its bytes.")
	case a.interval > 0 && use.requests.take(c.s.now(), a.interval, rateBurst) > 0:
		use.limited[limitRate].Add(1)
		c.reject(q, failRate, "The farm gets too many requests.")
	default:
		return true
	}
	return false
}

// judgedBy is the address that the lists of a farm are held against.
func (c *client) judgedBy(q *http1.Request) netip.Addr {
	peer := c.conn.Remote().Addr()
	if !c.trusted {
		return peer
	}
	return forwardedAddr(q.Fields, peer, c.s.view.trusts)
}

// told is the client's address as a trusted proxy tells it; invalid: none does, it is the connection's.
func told(c *client, q *http1.Request) (from netip.Addr) {
	if c.trusted {
		from = c.judgedBy(q)
	}
	return from
}

// begin counts a request against the limits of its farm, for as long as its client waits for it. False means that too many are in
// flight.
func (u *quota) begin(f *farmView) bool {
	a, use := f.limits, &f.state.use
	if a == nil {
		return true
	}
	u.limits, u.use = a, use
	if a.inFlight > 0 {
		if !use.enter(a.inFlight) {
			use.limited[limitInFlight].Add(1)
			return false
		}
		u.counted = true
	}
	return true
}

// full tells that as many requests as the whole relay may relay are in flight. Loops look one at a time, so that there may be one
// more for each of them.
func full(s *shard, f *farmView) bool {
	most := int64(s.view.cfg.Limits.MaxRequests)
	if most == 0 || s.relay.InFlight() < most {
		return false
	}
	f.state.use.limited[limitRequests].Add(1)
	return true
}

// mostBody is how long the request's body may be, in bytes; 0: as long as it likes.
func (f *farmView) mostBody(cfg *config.Config) int64 {
	most := cfg.Relay.MaxRequestBody
	if f.limits != nil && f.limits.body > 0 && (most == 0 || f.limits.body < most) {
		most = f.limits.body
	}
	return most
}

// now is the time since the relay began.
func (s *shard) now() time.Duration { return s.loop.Now().Sub(s.relay.began) }

// tooLong counts a body of unknown length that has become longer than most, which may be the farm's limit.
func (u *quota) tooLong(most int64) {
	if u.limits != nil && most == u.limits.body {
		u.use.limited[limitBody].Add(1)
	}
}

// uploaded charges n bytes of the request's body; downloaded does so for the answer's.
func (u *quota) uploaded(s *shard, n int) {
	if u.limits != nil && u.limits.bytes > 0 {
		u.inDue = u.use.in.owe(s.now(), int64(n), u.limits.bytes, byteBurst)
	}
}

func (u *quota) downloaded(s *shard, n int) {
	if u.limits != nil && u.limits.bytes > 0 {
		u.outDue = u.use.out.owe(s.now(), int64(n), u.limits.bytes, byteBurst)
	}
}

// uploadWaits tells that what has come of the body of x, whose quota this is, has not been paid yet. Its client is read again when it is.
func (u *quota) uploadWaits(x *exchange) bool {
	if u.limits == nil || u.inDue == 0 {
		return false
	}
	wait := u.inDue - x.s.now()
	if wait <= 0 {
		return false
	}
	if t := &u.pace(x).in; !t.Armed() {
		u.use.limited[limitBytesIn].Add(1)
		t.Arm(wait)
	}
	return true
}

// creditWaits is uploadWaits for the answer: credit is given when what has come is paid.
func (u *quota) creditWaits(x *exchange) bool {
	if u.limits == nil || u.outDue == 0 {
		return false
	}
	wait := u.outDue - x.s.now()
	if wait <= 0 {
		return false
	}
	if t := &u.pace(x).out; !t.Armed() {
		u.use.limited[limitBytesOut].Add(1)
		t.Arm(wait)
	}
	return true
}

// pace returns the timers of x, whose quota this is. They fire only while it has a client: end stops them.
func (u *quota) pace(x *exchange) *pacer {
	if u.pacer == nil {
		p := &pacer{}
		p.in.Init(x.s.loop, func() { x.client.readOn() })
		p.out.Init(x.s.loop, func() {
			if !x.client.conn.High() { // else Drained does it
				x.resp.giveCredit()
			}
		})
		u.pacer = p
	}
	return u.pacer
}
