package relay

import (
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
)

// phase says what a client's connection is waiting for, and so what its deadline means.
type phase uint8

const (
	phaseIdle   phase = iota // the next request
	phaseHead                // the rest of a head
	phaseBody                // the rest of a request body
	phaseQueue               // a back-end server that can take the request
	phaseAnswer              // the head of the response
	phaseTurn                // until the farm has bytes to spend again
	phasePage                // a status page
	phaseStream              // nothing but that the client takes its answer, or what comes over its upgraded connection
)

// client is the session of a connection that a client, or an enabler with its first request, has opened.
type client struct {
	s    *shard
	conn *loop.Conn
	origin
	x     *exchange // the request that is being answered; nil between requests
	timer loop.Timer
	// deadline is when the phase has lasted too long; the timer may fire sooner, and is then set again.
	deadline time.Time
	fires    time.Time // when the timer does, if it is armed
	phase    phase
	cert     *presented // what the peer has shown; nil: nothing
	requests uint32
	call     *remoteCall // for administration, while its body comes; nil: none
	inquiry  *inquiry    // what has to be found out before an enabler's call is answered; nil: nothing
}

func (s *shard) newClient(conn *loop.Conn) *client {
	c := &client{s: s, conn: conn}
	if a := conn.Remote(); a.IsValid() {
		c.ip = a.Addr().AppendTo(nil)
		c.trusted = s.view.trusts(conn.Peer().Addr())
	}
	if state, ok := conn.TLS(); ok {
		c.overTLS, c.https, c.cert = true, true, newPresented(&state, c.trusted && conn.Remote() == conn.Peer())
	}
	conn.SetWatermarks(clientHigh, clientHigh/4)
	c.timer.Init(s.loop, c.expired)
	s.stats.clients.Add(1)
	c.enter(phaseIdle, s.view.cfg.Relay.IdleTimeout)
	return c
}

// enter begins a phase that lasts at most d; 0 means for ever.
func (c *client) enter(p phase, d time.Duration) {
	c.phase = p
	if d == 0 {
		c.deadline = time.Time{}
		return
	}
	c.deadline = c.s.loop.Now().Add(d)
	if !c.timer.Armed() || c.deadline.Before(c.fires) {
		c.fires = c.deadline
		c.timer.Arm(d)
	}
}

// expired runs when the timer fires, which may be before the deadline.
func (c *client) expired() {
	if c.deadline.IsZero() || c.conn.Closing() {
		return
	}
	if left := c.deadline.Sub(c.s.loop.Now()); left > 0 {
		c.fires = c.deadline
		c.timer.Arm(left)
		return
	}
	switch c.phase {
	case phaseIdle:
		closeIdle(c)
	case phasePage:
		c.conn.Close()
	case phaseHead:
		c.refuse(failClientTimeout, failClientTimeout.status, "The head of the request did not arrive in time.")
	case phaseBody:
		c.x.req.checkRate()
	case phaseQueue:
		c.x.waitedTooLong()
	case phaseAnswer:
		c.x.fail(failHeaderTimeout, "The back-end server did not answer in time.")
	case phaseTurn:
		c.conn.Resume()
	case phaseStream:
		c.checkTaken()
	}
}

// enterStream follows the head of the answer: from here on no time limit holds but that the client takes what it is sent.
func (c *client) enterStream() {
	c.enter(phaseStream, c.s.view.cfg.Relay.IdleTimeout)
}

// checkTaken cuts a client that has taken nothing of its answer since the last look, though there was something to take.
func (c *client) checkTaken() {
	x := c.x
	switch {
	case x.resp.ended && c.conn.Unacked() == 0: // nothing but the client's own silence can tell that it has gone
		if x.req.rated == x.req.came {
			c.conn.Close()
			return
		}
		x.req.rated = x.req.came
		c.enter(phaseStream, halfOpenTime)
	case x.resp.stalls(c.conn.Unacked()):
		x.fail(failClientTimeout, "The client did not take its answer.")
	default:
		c.enterStream()
	}
}

// Data reads requests. It stops at a body that has to wait for credit, and after a request until that is answered.
func (c *client) Data(conn *loop.Conn, in []byte) (int, error) {
	done := 0
	for done < len(in) && !conn.Closing() && !conn.Paused() {
		n := c.step(in[done:])
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

func (c *client) step(in []byte) int {
	switch {
	case c.call != nil:
		return c.call.take(in)
	case c.x == nil:
		return c.readHead(in)
	case !c.x.req.done:
		return c.x.req.takeBody(in)
	default: // the next request waits for its turn, unread beyond what has been read
		c.conn.Pause()
		return 0
	}
}

// readHead begins an exchange when the head at the front of in is complete.
func (c *client) readHead(in []byte) int {
	n, err := c.s.req.Parse(in, &c.s.view.limits)
	if err != nil {
		e := err.(*http1.Error) // Parse returns nothing else
		c.s.stats.refusals[e.Reason].Add(1)
		f := failRefused
		if e.Status == 431 {
			f = failHeadTooLarge
		}
		c.s.req.Fields = c.s.req.Fields[:0]
		c.refuse(f, e.Status, e.Text)
		return len(in)
	}
	if n == 0 {
		if c.conn.InputEnded() { // the rest will never come
			c.conn.Close()
			return len(in)
		}
		if c.phase == phaseIdle {
			c.enter(phaseHead, c.s.view.cfg.Relay.HeaderTimeout)
		}
		return 0
	}
	if c.s.view.paced && c.waitsItsTurn(&c.s.req) {
		return 0
	}
	c.requests++
	c.begin(&c.s.req)
	if c.inquiry != nil { // the head is read again
		return 0
	}
	return n
}

// begin acts on a complete head, which is valid during the call.
func (c *client) begin(q *http1.Request) {
	r := c.s.relay
	c.s.asked = nil
	c.readScheme(q.Fields)
	to := c.s.route(q)
	if to.kind == routeServer {
		c.enabler(q)
		return
	}
	c.s.stats.requests.Add(1)
	if to.bare && asksPage(q) {
		statusPage(c, q, ForClients)
		return
	}
	if to.kind == routeNone && isRemote(c, q) {
		startRemote(c, q)
		return
	}
	if to.kind == routeStray {
		c.reject(q, failBadURL, "The call of an enabler, but this is no server URL: its url_suffix is wrong.")
		return
	}
	if to.kind == routeNone || len(to.farm) == 0 {
		c.reject(q, failBadURL, noFarm(to))
		return
	}
	f := c.s.view.farm(to.farm)
	c.s.asked = f
	switch {
	case f == nil:
		c.reject(q, failUnknownFarm, "There is no farm of this name.")
	case !f.conf.Enable:
		c.reject(q, failFarmDisabled, "The farm is disabled.")
	case f.conf.ClientSecurity != "" && !secureEnough(c, q, f): // answered
	case f.limits != nil && !c.within(q, f): // rejected
	case c.s.view.cfg.Relay.MaxRequestBody > 0 && q.ContentLength > c.s.view.cfg.Relay.MaxRequestBody:
		c.reject(q, failTooLarge, "The body of the request is too large.")
	case full(c.s, f):
		c.reject(q, failBusy, "The relay server has too many requests.")
	case r.held.Load() > c.s.view.memory:
		c.reject(q, failNoMemory, "The relay server holds too much for slow clients.")
	default:
		c.startExchange(q, f, to)
	}
}

// reject answers a request that has just been read with a failure. The connection is kept when the request had no body.
func (c *client) reject(q *http1.Request, f *failure, text string) {
	c.rejectWith(q, f, answer{status: f.status}, text)
}

// rejectWith is reject with what a says already: the status, and what is in the head besides.
func (c *client) rejectWith(q *http1.Request, f *failure, a answer, text string) {
	a.minor, a.head, a.accept = q.Minor, q.Head, fieldValue(q.Fields, "accept")
	if c.s.asked != nil {
		a.pages = c.s.asked.pages
	}
	a.close = endsWith(c, q)
	c.s.logFailure(c, f, string(q.Path), text)
	c.s.logRefused(c, q, a.status, f)
	c.send(f, a, text)
}

// endsWith tells whether the connection ends with the relay's own answer to a request.
func endsWith(c *client, q *http1.Request) bool {
	return !q.KeepAlive || q.Chunked || q.ContentLength > 0 || q.Upgrade || c.s.relay.draining.Load()
}

// refuse answers what cannot be read as a request with a failure, and closes.
func (c *client) refuse(f *failure, status int, text string) {
	c.s.logFailure(c, f, "", text)
	c.s.logRefused(c, nil, status, f)
	c.send(f, answer{status: status, minor: 1, close: true}, text)
}

// send writes a failure.
func (c *client) send(f *failure, a answer, text string) {
	c.conn.SetBuffer(appendFailure(c.conn.Buffer(), f, a, text))
	if a.close {
		c.conn.Close()
		return
	}
	c.nextRequest()
}

// nextRequest makes the connection ready for its next request.
func (c *client) nextRequest() {
	c.enter(phaseIdle, c.s.view.cfg.Relay.IdleTimeout)
	if c.s.relay.draining.Load() {
		c.lastRequest()
	}
	switch {
	case c.conn.InputEnded() && c.conn.Unread() == 0:
		c.conn.Close()
	case c.conn.Paused():
		c.conn.Resume()
	case c.conn.Unread() > 0:
		c.conn.Again()
	}
}

// closeIdle closes a connection that waits for a request, unless one has just come: the kernel has it, and the loop is about to read it. A
// load balancer would see it lost, and would not send a POST again.
func closeIdle(c *client) {
	const look = 100 * time.Millisecond
	if loop.Arrived(c.conn) > 0 {
		c.enter(phaseIdle, look)
		return
	}
	c.conn.Close()
}

// lastRequest gives an idle connection a moment to bring one more request: it may be on its way, and would be lost.
func (c *client) lastRequest() {
	grace := c.s.view.cfg.DrainGrace
	if handover.Passed() {
		grace = c.s.view.cfg.Relay.IdleTimeout // there is no hurry: its next request is the last one that it gets answered here
	}
	if grace == 0 {
		closeIdle(c)
		return
	}
	c.enter(phaseIdle, min(grace, c.s.view.cfg.Relay.IdleTimeout))
}

// Drained gives credit for what has left the output.
func (c *client) Drained(*loop.Conn) {
	if c.x != nil {
		ends(&c.x.seen.slowAt, &c.x.seen.slow, c.x.since())
		c.x.resp.giveCredit()
	}
}

// InputClosed keeps the connection of a client that has sent its request and ended its side.
func (c *client) InputClosed(*loop.Conn) bool {
	switch {
	case c.x == nil:
		return c.phase == phaseTurn || c.phase == phasePage
	case c.x.resp.upgraded:
		c.x.req.endUpload()
		return true
	default:
		return c.x.req.done
	}
}

// Closed ends what the client was waiting for.
func (c *client) Closed(*loop.Conn, error) {
	c.timer.Stop()
	c.phase = phaseIdle // whoever brings a status page sees that nobody waits
	c.s.stats.clients.Add(-1)
	if c.x != nil {
		c.x.clientGone()
	}
}
