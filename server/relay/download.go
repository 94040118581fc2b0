package relay

import (
	"fmt"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
)

// halfOpenTime is how long the client of an upgraded connection may be silent after the back end has ended its side.
const halfOpenTime = 10 * time.Second

// large is the size of a piece of a body, in bytes, from which on it is worth sending without a copy.
const large = 8 << 10

var crlf = []byte("\r\n")

// begin handles the head of an answer, final or not.
func (r *response) begin(p lane.Packet) error {
	last := p.Flags&lane.FlagLast != 0
	if r.x.client == nil {
		r.shadow(last)
		return nil
	}
	if r.started {
		return fmt.Errorf("relay: a second response on stream %d: %w", r.x.id, codec.ErrMalformed)
	}
	r.x.packetCame()
	r.x.seen.downHead = len(p.Data)
	head := p.Data
	if p.Flags&lane.FlagSocket != 0 && r.x.session.asks {
		var err error
		if r.x.session.used, head, err = lane.CutSocket(p.Op, p.Data); err != nil {
			return err
		}
	}
	if p.Flags&lane.FlagTimed != 0 {
		var err error
		if r.x.seen.backTime, head, err = lane.CutTook(p.Op, head); err != nil {
			return err
		}
		r.x.seen.backTimed = true
	}
	q := &r.x.s.resp
	n, err := q.Parse(head, &r.x.s.relay.answers, r.x.req.isHead)
	if err != nil || n == 0 || n != len(head) {
		return fmt.Errorf("relay: a response head on stream %d that breaks the rules (%v): %w", r.x.id, err, codec.ErrMalformed)
	}
	switch {
	case q.Status == 101:
		return r.upgrade(q)
	case q.Status < 200:
		r.informational(q)
		return nil
	}
	return r.final(q, last)
}

// informational passes a 1xx on to clients that can have asked for one. There is no credit for it, so a client that takes none
// of its output does without.
func (r *response) informational(q *http1.Response) {
	conn := r.x.client.conn
	if r.x.req.minor == 0 || q.Status == 100 && !r.x.req.expects || conn.High() {
		return
	}
	if q.Status == 100 && r.x.client.phase == phaseAnswer && !r.x.req.done { // now it is the client's turn
		r.x.client.rateBody()
	}
	conn.SetBuffer(http1.AppendResponse(conn.Buffer(), q, &http1.Answer{Minor: 1}))
}

func (r *response) upgrade(q *http1.Response) error {
	if !r.x.req.wantsUpgrade || !q.Upgrade {
		return fmt.Errorf("relay: an upgrade on stream %d that was not asked for: %w", r.x.id, codec.ErrMalformed)
	}
	c := r.x.client
	r.started, r.upgraded, r.status, r.left = true, true, 101, -1
	r.answered()
	r.x.seen.counts.upgraded.Add(1)
	r.x.relocate(q.Fields)
	r.x.s.stats.upgraded.Add(1)
	c.conn.SetBuffer(http1.AppendResponse(c.conn.Buffer(), q, &http1.Answer{Minor: 1, Via: Via, Extra: r.x.session.appendTo(nil)}))
	c.enterStream()
	c.conn.Resume()
	return nil
}

// answered tells the roster that the server answers.
func (r *response) answered() {
	if l := r.x.link; l != nil && l.server != nil {
		r.x.s.roster.Succeeded(l.server)
	}
}

func (r *response) final(q *http1.Response, last bool) error {
	bodyless := q.Body == http1.BodyNone || q.Body == http1.BodyLength && q.ContentLength == 0
	if bodyless != last {
		return fmt.Errorf("relay: response on stream %d with a body of %d bytes, last %v: %w", r.x.id, q.ContentLength, last, codec.ErrMalformed)
	}
	c := r.x.client
	a := http1.Answer{Via: Via, Minor: int(r.x.req.minor), KeepAlive10: r.x.req.keepAlive}
	r.started, r.status = true, q.Status
	r.x.req.drop()
	r.answered()
	r.closes = !r.x.req.keepAlive || !r.x.req.done || http1.CloseDelimited(q, &a) || r.x.s.relay.draining.Load()
	a.Close = r.closes
	r.chunked = r.x.req.minor == 1 && (q.Body == http1.BodyChunked || q.Body == http1.BodyUntilClose)
	r.x.relocate(q.Fields)
	r.x.s.path = r.x.session.appendTo(r.x.s.path[:0])
	a.Extra = r.x.s.path
	r.left = -1
	if q.Body == http1.BodyLength {
		r.left = q.ContentLength
	}
	c.conn.SetBuffer(http1.AppendResponse(c.conn.Buffer(), q, &a))
	c.enterStream() // also when the request still comes: the back end has decided not to wait for it
	if last {
		r.complete()
	}
	return nil
}

// body handles a piece of the answer's body.
func (r *response) body(p lane.Packet) error {
	last := p.Flags&lane.FlagLast != 0
	if err := r.recv.Receive(len(p.Data)); err != nil {
		return err
	}
	if r.x.client == nil {
		r.shadow(last)
		return nil
	}
	n := int64(len(p.Data))
	r.x.packetCame()
	switch {
	case r.ended:
		return fmt.Errorf("relay: a body after its end on stream %d: %w", r.x.id, codec.ErrMalformed)
	case !r.started:
		return fmt.Errorf("relay: a body before the head on stream %d: %w", r.x.id, codec.ErrMalformed)
	case r.left >= 0 && n > r.left, last && r.left > n:
		return fmt.Errorf("relay: the body on stream %d is not as long as announced: %w", r.x.id, codec.ErrMalformed)
	case r.left >= 0:
		r.left -= n
	}
	if n > 0 {
		r.download(p.Data)
	}
	switch {
	case last && r.upgraded && !r.x.req.done: // the client may go on
		r.ended = true
		r.x.req.rated = r.x.req.came
		r.x.client.conn.EndOutput()
		r.x.client.enter(phaseStream, halfOpenTime)
	case last:
		if r.chunked {
			r.x.client.conn.Write([]byte("0\r\n\r\n"))
		}
		r.complete()
	case n > 0:
		r.held += len(p.Data)
		r.x.s.relay.held.Add(n)
		r.x.seen.held = max(r.x.seen.held, r.held)
		if !r.x.client.conn.High() {
			r.giveCredit()
		} else {
			begins(&r.x.seen.slowAt, r.x.since())
		}
	}
	return nil
}

// download writes a piece of the body to the client.
func (r *response) download(data []byte) {
	conn := r.x.client.conn
	r.went += int64(len(data))
	r.x.quota.downloaded(r.x.s, len(data))
	r.x.seen.counts.bodyOut.Add(int64(len(data)))
	switch {
	case len(data) >= large && r.chunked:
		var size [20]byte
		conn.Writev(http1.AppendChunkHeader(size[:0], len(data)), data, crlf)
	case len(data) >= large:
		conn.Writev(data)
	case r.chunked:
		b := http1.AppendChunkHeader(conn.Buffer(), len(data))
		conn.SetBuffer(append(append(b, data...), crlf...))
	default:
		conn.Write(data)
	}
}

// trailers handles the trailer fields that end a chunked body.
func (r *response) trailers(p lane.Packet) error {
	if r.x.client == nil {
		r.shadow(true)
		return nil
	}
	r.x.packetCame()
	var d http1.Chunked
	_, n, kind, err := d.Next(p.Data, &r.x.s.relay.answers)
	if err != nil || kind != http1.ChunkEnd || n != len(p.Data) || !r.started || r.left >= 0 {
		return fmt.Errorf("relay: a trailer on stream %d that breaks the rules (%v): %w", r.x.id, err, codec.ErrMalformed)
	}
	if r.chunked {
		conn := r.x.client.conn
		conn.SetBuffer(http1.AppendTrailer(conn.Buffer(), d.Trailer()))
	}
	r.complete()
	return nil
}

// giveCredit gives the enabler credit for what the client's connection has taken.
func (r *response) giveCredit() {
	n := r.held
	r.dropHeld()
	r.recv.Release(n)
	if r.x.quota.creditWaits(r.x) {
		return
	}
	if credit := r.recv.Credit(); credit > 0 && r.x.link != nil && r.x.link.end.Live() {
		r.x.link.end.SetBuffer(lane.AppendUint32(r.x.link.end.Buffer(), lane.OpCredit, r.x.id, credit))
	}
}

func (r *response) dropHeld() {
	if r.held > 0 {
		r.x.s.relay.held.Add(-int64(r.held))
		r.held = 0
	}
}

// shadow drops what comes for a client that has left, and ends with the stream.
func (r *response) shadow(last bool) {
	if last {
		r.x.streamEnded()
		r.x.s.release(r.x)
	}
}

// complete follows the last byte of the answer.
func (r *response) complete() {
	c := r.x.client
	if !r.x.req.done && !r.upgraded { // answered early: the rest of the request has no use
		r.x.cancel()
	}
	r.x.streamEnded()
	r.x.log(nil)
	closes := r.closes || r.upgraded || !r.x.req.done
	r.x.leave()
	if closes {
		c.conn.Close()
		return
	}
	c.nextRequest()
}
