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
	infos   int // informational responses so far
	aff     affinity
	client  netip.Addr // who gets a connection of its own; invalid: all share them

	traits
	reqDone, pendingEnd, answered, retried bool
	waiting, starved                       bool
}

// traits are what the head of a request says.
type traits struct{ isHead, idempotent, bodyless, chunked, upgrade bool }

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
	e.streams.Add(1)
	e.requests.Add(1)
	s.k, s.id = k, p.Stream
	s.head = append(s.head[:0], head...)
	s.isHead, s.idempotent = string(method) == "HEAD", isIdempotent(method)
	s.bodyless, s.chunked, s.upgrade = p.Flags&lane.FlagLast != 0, p.Flags&lane.FlagChunked != 0, p.Flags&lane.FlagUpgrade != 0
	s.reqDone = s.bodyless
	s.send, s.recv = lane.NewSendWindow(k.window), lane.NewRecvWindow(e.window)
	if !affine {
		s.start(k.s.pool.take(s.client))
		return nil
	}
	s.aff = affinity{on: true, number: socket.Number}
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
	if b != nil {
		s.sendHead(b)
		return
	}
	turn := s.turn
	sh := s.k.s
	sh.loop.Dial(*sh.e.backend.Load(), func(c *loop.Conn, err error) loop.Session {
		waits := s.turn == turn && s.k != nil
		if err != nil {
			sh.e.monitor.suspect()
			if waits {
				s.fail(lane.CodeBackendDown, "The back-end server cannot be reached.", lane.FlagUnseen)
			}
			return nil
		}
		b := newBackend(sh, c)
		c.SetSession(b)
		if waits {
			if s.aff.on {
				sh.sockets.tell(b)
			}
			s.sendHead(b)
		} else {
			sh.pool.put(b)
		}
		return b
	})
}

func (s *stream) sendHead(b *backend) {
	s.b, b.s = b, s
	b.conn.Write(s.head)
	if len(s.pending) > 0 {
		pending := s.pending
		s.pending = nil
		s.write(pending)
	}
	if s.pendingEnd {
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
	last := p.Flags&lane.FlagLast != 0
	s.reqDone = last
	switch {
	case s.b == nil:
		s.pending = append(s.pending, p.Data...)
		s.pendingEnd = last
	case len(p.Data) > 0:
		s.write(p.Data)
		fallthrough
	default:
		if last {
			s.writeEnd()
		}
	}
	return nil
}

// trailers ends a chunked body with trailer fields; the packet holds the last chunk and what follows it.
func (s *stream) trailers(p lane.Packet) error {
	if s.reqDone || !s.chunked {
		return fmt.Errorf("outbound: a trailer without a chunked body on stream %d: %w", s.id, codec.ErrMalformed)
	}
	s.reqDone = true
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
		s.b.conn.Close()
	}
}

// giveCredit gives the relay credit for what the back end has taken.
func (s *stream) giveCredit() {
	s.recv.Release(s.held)
	s.held = 0
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
		s.b.conn.Resume()
	}
	return nil
}

// fail ends the stream with a reset. The connection to the back end is not used again.
func (s *stream) fail(code lane.Code, text string, flags lane.Flags) {
	if s.k.end.Live() {
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
	k.streams.Delete(s.id)
	k.s.e.streams.Add(-1)
	s.k = nil
	k.s.release(s)
	k.maybeClose()
}
