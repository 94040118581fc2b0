package outbound

import (
	"bytes"
	"fmt"
	"net/netip"

	"roundhouse/codec"
	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// stream is one request of a lane and the answer to it.
type stream struct {
	k    *link // nil: it is free
	id   uint32
	b    *backend // nil while a connection is being opened
	turn uint32   // counts the uses of this value: a dial that comes back late meets another turn

	head    []byte // the request head, kept until the answer begins in case it has to be sent again
	pending []byte // body that came before there was a connection; at most the window
	trailer []byte // last chunk and trailer fields that came before there was a connection
	send    lane.SendWindow
	recv    lane.RecvWindow
	held    int // request body given to a slow back end without credit for it yet, in bytes
	charged int // what of it counts for the memory of the enabler, in bytes
	infos   int // informational responses so far
	aff     affinity
	timer   loop.Timer // response_timeout
	seen    seen
	trace   trace
	client  netip.Addr // who gets a connection of its own; invalid: all share them

	traits
	reqDone, pendingEnd, answered, retried bool
	waiting, starved                       bool
}

// traits are what the head of a request says.
type traits struct {
	isHead, idempotent, bodyless, chunked, upgrade, timed bool
	method                                                uint8 // index in methodNames
}

// request begins a stream.
func (k *link) request(p lane.Packet) error {
	head, socket, affine := p.Data, lane.Socket{}, p.Flags&lane.FlagSocket != 0
	if affine {
		var err error
		if socket, head, err = lane.CutSocket(p.Op, p.Data); err != nil {
			return err
		}
	}
	method, _, ok := bytes.Cut(head, []byte{' '})
	if !ok || !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		return fmt.Errorf("outbound: a request head on stream %d that is none: %w", p.Stream, codec.ErrMalformed)
	}
	s := k.s.newStream()
	if !k.streams.Put(p.Stream, s) {
		return fmt.Errorf("outbound: stream %d is in use: %w", p.Stream, codec.ErrMalformed)
	}
	e := k.s.e
	streams := e.streams.Add(1)
	e.requests.Add(1)
	s.k, s.id = k, p.Stream
	s.seen.begin(k.s)
	s.head = e.appendHead(s.head[:0], head)
	s.method = methodIndex(method)
	s.isHead, s.idempotent = string(method) == "HEAD", isIdempotent(method)
	s.bodyless, s.chunked, s.upgrade = p.Flags&lane.FlagLast != 0, p.Flags&lane.FlagChunked != 0, p.Flags&lane.FlagUpgrade != 0
	s.timed = p.Flags&lane.FlagTimed != 0
	s.reqDone = s.bodyless
	if s.trace.begin(e.cfg, s.head); s.trace.verbosity >= showRequests {
		showRequest(s)
	}
	if s.trace.verbosity >= showPackets && e.cfg.Verbosity < showPackets {
		k.showPacket("up", p.Op, p.Stream, s, p.Data)
	}
	s.send, s.recv = lane.NewSendWindow(k.window), lane.NewRecvWindow(e.window)
	if e.perClient {
		s.client = clientOf(head)
	}
	switch {
	case e.tooMany(streams):
		s.fail(lane.CodeOverload, "The outbound enabler has as many requests as it may have.", lane.FlagUnseen)
		return nil
	case !s.bodyless && e.overMemory(0):
		s.fail(lane.CodeOverload, errMemory, lane.FlagUnseen)
		return nil
	case s.bodyless:
		s.awaitAnswer()
	}
	if !affine {
		s.start(k.s.pool.take(s.client))
		return nil
	}
	s.aff.on, s.aff.number, s.aff.asked = true, socket.Number, socket.Number
	switch {
	case socket.Number == 0:
		s.startNew()
	case socket.Epoch != e.epoch.Load():
		s.fail(lane.CodeAffinityLost, "The connection to the back-end server that the session was bound to is lost.", lane.FlagUnseen)
	default:
		s.resume()
	}
	return nil
}

func isIdempotent(method []byte) bool {
	switch string(method) { // RFC 9110, 9.2.2
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// start sends the request over b, or over a new connection when there is none.
func (s *stream) start(b *backend) {
	switch {
	case b != nil:
		s.sendHead(b)
	case s.k.s.e.slots.take():
		s.dial()
	default:
		s.waitForSlot()
	}
}

// dial opens a connection for the request. Its slot has been taken.
func (s *stream) dial() {
	turn, client := s.turn, s.client
	sh := s.k.s
	sh.loop.Dial(sh.e.dialOptions(client), func(c *loop.Conn, err error) loop.Session {
		waits := slotWaiter{s, turn, sh}.waits()
		if err != nil {
			sh.e.slots.give()
			sh.e.monitor.suspect()
			if waits {
				s.fail(lane.CodeBackendDown, "The back-end server cannot be reached.", lane.FlagUnseen)
			}
			return nil
		}
		b := newBackend(sh, c)
		b.client = client
		c.SetSession(b)
		if waits {
			b.serve(s)
		} else {
			sh.pool.put(b)
		}
		return b
	})
}

func (s *stream) sendHead(b *backend) {
	s.b, b.s = b, s
	b.sent = b.conn.Sent()
	s.seen.connected, s.seen.used, s.seen.socket = s.since(), b.used, b.number
	b.conn.Write(s.head)
	if len(s.pending) > 0 {
		pending := s.pending
		s.pending = nil
		s.charge(0)
		s.write(pending)
	}
	if s.pendingEnd && s.b != nil {
		s.writeEnd()
	}
}

// body handles a piece of the request body.
func (s *stream) body(p lane.Packet) error {
	if err := s.recv.Receive(len(p.Data)); err != nil {
		return err
	}
	if s.reqDone {
		return fmt.Errorf("outbound: a body after its end on stream %d: %w", s.id, codec.ErrMalformed)
	}
	s.seen.upPackets++
	s.seen.upBody += int64(len(p.Data))
	last := p.Flags&lane.FlagLast != 0
	if s.reqDone = last; last {
		s.awaitAnswer()
	}
	if s.b == nil {
		s.pendingEnd = last
		s.keep(p.Data)
		return nil
	}
	if len(p.Data) > 0 {
		s.write(p.Data)
	}
	if last && s.b != nil {
		s.writeEnd()
	}
	return nil
}

// keep holds a piece of the body until there is a connection.
func (s *stream) keep(data []byte) {
	if len(data) == 0 {
		return
	}
	if s.k.s.e.overMemory(len(data)) {
		s.fail(lane.CodeOverload, errMemory, lane.FlagUnseen)
		return
	}
	s.pending = append(s.pending, data...)
	s.charge(len(s.pending))
	s.seen.upHeld = max(s.seen.upHeld, s.charged)
}

const errMemory = "The outbound enabler holds as much of request bodies as it may."

// awaitAnswer begins to wait for the head of the answer: the request is complete.
func (s *stream) awaitAnswer() {
	s.seen.sent = s.since()
	if d := s.k.s.e.cfg.Backend.ResponseTimeout; d > 0 && !s.answered {
		s.timer.Arm(d)
	}
}

// timedOut follows the end of that time.
func (s *stream) timedOut() {
	if s.k != nil && !s.answered {
		s.fail(lane.CodeTimeout, "The back-end server did not answer in time.", s.unseen())
	}
}

// unseen is FlagUnseen while no byte of the request was given to the back end.
func (s *stream) unseen() lane.Flags {
	if s.b == nil || s.b.unseen() {
		return lane.FlagUnseen
	}
	return 0
}

// trailers ends a chunked body with trailer fields; the packet holds the last chunk and what follows it.
func (s *stream) trailers(p lane.Packet) error {
	if s.reqDone || !s.chunked {
		return fmt.Errorf("outbound: a trailer without a chunked body on stream %d: %w", s.id, codec.ErrMalformed)
	}
	s.reqDone = true
	s.awaitAnswer()
	if s.b == nil {
		s.pendingEnd, s.trailer = true, bytes.Clone(p.Data)
		return nil
	}
	s.b.conn.Write(p.Data)
	return nil
}

var crlf = []byte("\r\n")

// large is the size of a piece of a body, in bytes, from which on it is worth sending without a copy.
const large = 8 << 10

// write passes a piece of the body on to the back end.
func (s *stream) write(data []byte) {
	conn := s.b.conn
	switch {
	case s.chunked && len(data) >= large:
		var size [20]byte
		conn.Writev(http1.AppendChunkHeader(size[:0], len(data)), data, crlf)
	case s.chunked:
		b := http1.AppendChunkHeader(conn.Buffer(), len(data))
		conn.SetBuffer(append(append(b, data...), crlf...))
	case len(data) >= large:
		conn.Writev(data)
	default:
		conn.Write(data)
	}
	s.held += len(data)
	if !conn.High() {
		s.giveCredit()
		return
	}
	s.charge(conn.Pending())
	s.seen.upHeld = max(s.seen.upHeld, s.charged)
	if s.k.s.e.overMemory(0) {
		s.fail(lane.CodeOverload, errMemory, s.unseen())
	}
}

// writeEnd ends the request body.
func (s *stream) writeEnd() {
	switch {
	case len(s.trailer) > 0:
		s.b.conn.Write(s.trailer)
	case s.chunked:
		s.b.conn.Write([]byte("0\r\n\r\n"))
	}
	if s.upgrade && s.b.upgraded { // the client has ended its side
		s.b.endOutput()
	}
}

// giveCredit gives the relay credit for what the back end has taken.
func (s *stream) giveCredit() {
	s.recv.Release(s.held)
	s.held = 0
	s.charge(0)
	if credit := s.recv.Credit(); credit > 0 && !s.reqDone {
		s.k.end.SetBuffer(lane.AppendUint32(s.k.end.Buffer(), lane.OpCredit, s.id, credit))
	}
}

// granted takes credit from the relay.
func (s *stream) granted(n uint32) error {
	if err := s.send.Grant(n); err != nil {
		return err
	}
	if s.starved && s.b != nil {
		s.starved = false
		loop.ResumeInTurn(s.b.conn)
	}
	return nil
}

// fail ends the stream with a reset. The connection to the back end is not used again.
func (s *stream) fail(code lane.Code, text string, flags lane.Flags) {
	s.seen.code = code
	if s.k.end.Live() {
		s.k.shows(s, lane.OpReset, []byte(text))
		s.k.end.SetBuffer(lane.AppendReset(s.k.end.Buffer(), s.id, flags, code, text))
	}
	s.drop()
}

// drop ends the stream without a word.
func (s *stream) drop() {
	s.leaveQueues()
	if b := s.b; b != nil {
		b.s, s.b = nil, nil
		b.sh.sockets.forget(b)
		b.conn.Abort(nil)
	}
	s.ended()
}

// ended gives the stream back.
func (s *stream) ended() {
	k := s.k
	s.count()
	s.charge(0)
	s.timer.Stop()
	s.aff.patience.Stop()
	k.streams.Delete(s.id)
	k.s.e.streams.Add(-1)
	s.k = nil
	k.s.release(s)
	k.maybeClose()
}
