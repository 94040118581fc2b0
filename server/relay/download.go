package relay

import (
	"fmt"

	"roundhouse/codec"
	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

// large is the size of a piece of a body, in bytes, from which on it is worth sending without a copy.
const large = 8 << 10

var crlf = []byte("\r\n")

// response handles the head of an answer, final or not.
func (x *exchange) response(p lane.Packet) error {
	last := p.Flags&lane.FlagLast != 0
	if x.client == nil {
		x.shadow(last)
		return nil
	}
	if x.resp.started {
		return fmt.Errorf("relay: a second response on stream %d: %w", x.id, codec.ErrMalformed)
	}
	head := p.Data
	if p.Flags&lane.FlagSocket != 0 && x.session.asks {
		var err error
		if x.session.used, head, err = lane.CutSocket(p.Op, p.Data); err != nil {
			return err
		}
	}
	q := &x.s.resp
	n, err := q.Parse(head, &x.s.relay.answers, x.req.isHead)
	if err != nil || n == 0 || n != len(head) {
		return fmt.Errorf("relay: a response head on stream %d that breaks the rules (%v): %w", x.id, err, codec.ErrMalformed)
	}
	switch {
	case q.Status == 101:
		return x.upgrade(q)
	case q.Status < 200:
		x.informational(q)
		return nil
	}
	return x.final(q, last)
}

// informational passes a 1xx on to clients that can have asked for one. There is no credit for it, so a client that takes none
// of its output does without.
func (x *exchange) informational(q *http1.Response) {
	conn := x.client.conn
	if x.req.minor == 0 || q.Status == 100 && !x.req.expects || conn.High() {
		return
	}
	if q.Status == 100 && x.client.phase == phaseAnswer && !x.req.done { // now it is the client's turn
		x.client.rateBody()
	}
	conn.SetBuffer(http1.AppendResponse(conn.Buffer(), q, &http1.Answer{Minor: 1}))
}

func (x *exchange) upgrade(q *http1.Response) error {
	if !x.req.wantsUpgrade || !q.Upgrade {
		return fmt.Errorf("relay: an upgrade on stream %d that was not asked for: %w", x.id, codec.ErrMalformed)
	}
	c := x.client
	x.resp.started, x.resp.upgraded, x.resp.status, x.resp.left = true, true, 101, -1
	x.answered()
	x.s.stats.upgrades.Add(1)
	c.conn.SetBuffer(http1.AppendResponse(c.conn.Buffer(), q, &http1.Answer{Minor: 1, Via: Via, Extra: x.appendSession(nil)}))
	c.enterStream()
	c.conn.Resume()
	return nil
}

// answered tells the roster that the server answers.
func (x *exchange) answered() {
	if l := x.link; l != nil && l.server != nil {
		x.s.roster.Succeeded(l.server)
	}
}

func (x *exchange) final(q *http1.Response, last bool) error {
	bodyless := q.Body == http1.BodyNone || q.Body == http1.BodyLength && q.ContentLength == 0
	if bodyless != last {
		return fmt.Errorf("relay: response on stream %d with a body of %d bytes, last %v: %w", x.id, q.ContentLength, last, codec.ErrMalformed)
	}
	c := x.client
	a := http1.Answer{Via: Via, Minor: int(x.req.minor), KeepAlive10: x.req.keepAlive}
	x.resp.started, x.resp.status = true, q.Status
	x.req.drop()
	x.answered()
	x.resp.closes = !x.req.keepAlive || !x.req.done || http1.CloseDelimited(q, &a) || x.s.relay.draining.Load()
	a.Close = x.resp.closes
	x.resp.chunked = x.req.minor == 1 && (q.Body == http1.BodyChunked || q.Body == http1.BodyUntilClose)
	x.s.path = x.appendSession(x.s.path[:0])
	a.Extra = x.s.path
	x.resp.left = -1
	if q.Body == http1.BodyLength {
		x.resp.left = q.ContentLength
	}
	c.conn.SetBuffer(http1.AppendResponse(c.conn.Buffer(), q, &a))
	c.enterStream() // also when the request still comes: the back end has decided not to wait for it
	if last {
		x.complete()
	}
	return nil
}

// body handles a piece of the answer's body.
func (x *exchange) body(p lane.Packet) error {
	last := p.Flags&lane.FlagLast != 0
	if err := x.resp.recv.Receive(len(p.Data)); err != nil {
		return err
	}
	if x.client == nil {
		x.shadow(last)
		return nil
	}
	n := int64(len(p.Data))
	switch {
	case !x.resp.started:
		return fmt.Errorf("relay: a body before the head on stream %d: %w", x.id, codec.ErrMalformed)
	case x.resp.left >= 0 && n > x.resp.left, last && x.resp.left > n:
		return fmt.Errorf("relay: the body on stream %d is not as long as announced: %w", x.id, codec.ErrMalformed)
	case x.resp.left >= 0:
		x.resp.left -= n
	}
	if n > 0 {
		x.download(p.Data)
	}
	switch {
	case last:
		if x.resp.chunked {
			x.client.conn.Write([]byte("0\r\n\r\n"))
		}
		x.complete()
	case n > 0:
		x.resp.held += len(p.Data)
		x.s.relay.held.Add(n)
		if !x.client.conn.High() {
			x.giveCredit()
		}
	}
	return nil
}

// download writes a piece of the body to the client.
func (x *exchange) download(data []byte) {
	conn := x.client.conn
	x.resp.went += int64(len(data))
	x.quota.downloaded(x.s, len(data))
	x.s.stats.bodyOut.Add(int64(len(data)))
	switch {
	case len(data) >= large && x.resp.chunked:
		var size [20]byte
		conn.Writev(http1.AppendChunkHeader(size[:0], len(data)), data, crlf)
	case len(data) >= large:
		conn.Writev(data)
	case x.resp.chunked:
		b := http1.AppendChunkHeader(conn.Buffer(), len(data))
		conn.SetBuffer(append(append(b, data...), crlf...))
	default:
		conn.Write(data)
	}
}

// trailers handles the trailer fields that end a chunked body.
func (x *exchange) trailers(p lane.Packet) error {
	if x.client == nil {
		x.shadow(true)
		return nil
	}
	var d http1.Chunked
	_, n, kind, err := d.Next(p.Data, &x.s.relay.answers)
	if err != nil || kind != http1.ChunkEnd || n != len(p.Data) || !x.resp.started || x.resp.left >= 0 {
		return fmt.Errorf("relay: a trailer on stream %d that breaks the rules (%v): %w", x.id, err, codec.ErrMalformed)
	}
	if x.resp.chunked {
		conn := x.client.conn
		conn.SetBuffer(http1.AppendTrailer(conn.Buffer(), d.Trailer()))
	}
	x.complete()
	return nil
}

// giveCredit gives the enabler credit for what the client's connection has taken.
func (x *exchange) giveCredit() {
	n := x.resp.held
	x.dropHeld()
	x.resp.recv.Release(n)
	if x.quota.creditWaits(x) {
		return
	}
	if credit := x.resp.recv.Credit(); credit > 0 && x.link != nil && x.link.end.Live() {
		x.link.end.SetBuffer(lane.AppendUint32(x.link.end.Buffer(), lane.OpCredit, x.id, credit))
	}
}

func (x *exchange) dropHeld() {
	if x.resp.held > 0 {
		x.s.relay.held.Add(-int64(x.resp.held))
		x.resp.held = 0
	}
}

// shadow drops what comes for a client that has left, and ends with the stream.
func (x *exchange) shadow(last bool) {
	if last {
		x.streamEnded()
		x.s.release(x)
	}
}

// complete follows the last byte of the answer.
func (x *exchange) complete() {
	c := x.client
	if !x.req.done && !x.resp.upgraded { // answered early: the rest of the request has no use
		x.cancel()
	}
	x.streamEnded()
	x.log(nil)
	closes := x.resp.closes || x.resp.upgraded || !x.req.done
	x.leave()
	if closes {
		c.conn.Close()
		return
	}
	c.nextRequest()
}
