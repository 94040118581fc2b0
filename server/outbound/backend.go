package outbound

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// backend is the session of one connection to the back end.
type backend struct {
	sh   *shard
	conn *loop.Conn
	s    *stream // whose answer it reads; nil while it is idle

	chunks http1.Chunked
	left   int64     // bytes of the body that are still to come; -1 when chunked, -2 until the connection ends
	idle   time.Time // since when it is

	client netip.Addr // whose connection it is, when each client has its own
	number uint32     // by which sessions know it; 0: none does
	epoch  uint32     // of the number
	queue  []waiter   // who wants it next; at most maxQueue streams, and each loop once

	carries slotWaiter // for whom it is on its way to another loop
	sent    uint64     // what the socket had taken before the request, in bytes

	pinned bool // its session has come back
	moving bool // it is between two loops: nobody touches it

	inEnded bool // the back end has ended its side of an upgraded connection

	used                   bool // it has waited in the pool: the back end may have closed it in the meantime
	inBody, keep, upgraded bool
}

const (
	leftChunked = -1
	leftClose   = -2
	// backendHigh and backendLow are the watermarks of the output to a back end, in bytes.
	backendHigh, backendLow = 128 << 10, 32 << 10
)

func newBackend(sh *shard, c *loop.Conn) *backend {
	c.SetWatermarks(backendHigh, backendLow)
	return &backend{sh: sh, conn: c}
}

var (
	errUnasked = errors.New("outbound: the back end sent something that nobody asked for")
	errInfos   = errors.New("outbound: too many informational responses")
)

// maxInfos is how many 1xx responses a request may get: they are passed on without credit, so somebody has to count them.
const maxInfos = 32

// Data reads answers. It stops at a body that has to wait for credit or for the lane.
func (b *backend) Data(c *loop.Conn, in []byte) (int, error) {
	done := 0
	for done < len(in) && !c.Closing() && !c.Paused() {
		if b.s == nil {
			return done, errUnasked
		}
		var n int
		if b.inBody {
			n = b.takeBody(in[done:])
		} else {
			n = b.takeHead(in[done:])
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// takeHead sends a response head on.
func (b *backend) takeHead(in []byte) int {
	s, q := b.s, &b.sh.resp
	n, err := q.Parse(in, &b.sh.e.answers, s.isHead)
	if err == nil && n == 0 {
		return 0
	}
	if err == nil && q.Status == 101 && !(s.upgrade && q.Upgrade) {
		err = errors.New("an upgrade that was not asked for")
	}
	if err == nil && q.Status < 200 {
		if s.infos++; s.infos > maxInfos {
			err = errInfos
		}
	}
	if err != nil {
		b.sh.e.log.Warn("bad response of the back end", "error", err)
		s.fail(lane.CodeBadResponse, "The answer of the back-end server is malformed.", 0)
		return len(in)
	}
	flags := b.judge(q)
	if s.answered {
		s.seen.head(s.since(), q.Status)
	}
	b.sh.head = b.sh.head[:0]
	switch {
	case b.upgraded, s.aff.on && isEventStream(q): // it goes on for ever: the session is not to wait for it
		b.keep = false
		b.sh.sockets.forget(b)
	case s.aff.on && s.answered:
		flags |= lane.FlagSocket
		b.sh.head = lane.AppendSocket(b.sh.head, b.socketOf())
	}
	if s.timed && s.answered {
		flags |= lane.FlagTimed
		b.sh.head = lane.AppendTook(b.sh.head, s.seen.rtp())
	}
	b.sh.e.cutOwnHost(q.Fields, &b.sh.e.cfg.Backend)
	b.sh.head = http1.AppendResponse(b.sh.head, q, &http1.Answer{Minor: 1})
	s.k.end.Send(lane.OpResponse, flags, s.id, b.sh.head)
	s.k.shows(s, lane.OpResponse, b.sh.head)
	switch {
	case flags&lane.FlagInfo != 0:
	case flags&lane.FlagLast != 0:
		b.finish()
	}
	return n
}

// isEventStream tells whether an answer is one of server-sent events.
func isEventStream(q *http1.Response) bool {
	const kind = "text/event-stream"
	for i := range q.Fields {
		if f := &q.Fields[i]; f.ID == http1.IDContentType {
			return q.Status == 200 && len(f.Value) >= len(kind) && bytes.EqualFold(f.Value[:len(kind)], []byte(kind))
		}
	}
	return false
}

// judge finds out what follows a head.
func (b *backend) judge(q *http1.Response) lane.Flags {
	switch {
	case q.Status == 101:
		b.s.answered, b.upgraded, b.inBody, b.left = true, true, true, leftClose
		b.sh.stats.upgraded.Add(1)
		b.s.timer.Stop()
		return lane.FlagUpgrade
	case q.Status < 200:
		return lane.FlagInfo
	}
	b.s.answered = true
	b.s.timer.Stop()
	b.keep = q.KeepAlive
	switch q.Body {
	case http1.BodyLength:
		if q.ContentLength == 0 {
			return lane.FlagLast
		}
		b.inBody, b.left = true, q.ContentLength
		return 0
	case http1.BodyChunked:
		b.inBody, b.left = true, leftChunked
		b.chunks.Reset()
		return lane.FlagChunked
	case http1.BodyUntilClose:
		b.inBody, b.left, b.keep = true, leftClose, false
		return lane.FlagChunked
	default:
		return lane.FlagLast
	}
}

// takeBody sends on as much of the body as lane and credit allow, and returns how much that was. When it is nothing the
// connection is paused.
func (b *backend) takeBody(in []byte) int {
	s := b.s
	room := s.k.end.Room(s.seen.downBody)
	if room == 0 {
		s.seen.pause(s.since(), len(in))
		if !s.waiting {
			s.waiting = true
			s.k.waiters = append(s.k.waiters, s)
		}
		b.conn.Pause()
		return 0
	}
	if s.send.Left() == 0 {
		b.starve(len(in))
		return 0
	}
	in = in[:min(len(in), room)]
	if b.left == leftChunked {
		return b.takeChunks(in)
	}
	in = in[:min(len(in), s.send.Left())]
	if b.left == leftClose {
		s.sendBody(in, 0)
		b.more(len(in))
		return len(in)
	}
	in = in[:min(int64(len(in)), b.left)]
	if b.left -= int64(len(in)); b.left > 0 {
		s.sendBody(in, 0)
		b.more(len(in))
		return len(in)
	}
	s.sendBody(in, lane.FlagLast)
	b.finish()
	return len(in)
}

func (s *stream) sendBody(data []byte, flags lane.Flags) {
	s.send.Spend(len(data))
	s.seen.body(s.since(), len(data))
	s.k.end.SendData(flags, s.id, data)
	s.k.shows(s, lane.OpData, data)
}

// more follows n bytes of a body of which more is to come: it is read when there is credit for it, and in turn with others.
func (b *backend) more(n int) {
	if b.s.send.Left() == 0 {
		b.starve(0)
		return
	}
	loop.Carried(b.conn, n)
}

// starve waits for credit, with size bytes that have come already.
func (b *backend) starve(size int) {
	b.s.starved = true
	b.s.seen.pause(b.s.since(), size)
	b.conn.Pause()
}

// takeChunks is takeBody for a chunked body. Credit counts data only, so all of in is looked at: a size line or a trailer section
// is taken whole or not at all.
func (b *backend) takeChunks(in []byte) int {
	s := b.s
	for done, sent := 0, 0; ; {
		data, n, kind, err := b.chunks.Next(in[done:], &b.sh.e.answers)
		if err != nil {
			s.fail(lane.CodeBadResponse, "The body of the back-end server's answer is malformed.", 0)
			return len(in)
		}
		done += n
		switch kind {
		case http1.ChunkData:
			if more := len(data) - s.send.Left(); more > 0 {
				b.chunks.Unread(more)
				data, done = data[:len(data)-more], done-more
			}
			if len(data) == 0 {
				b.more(0)
				return done
			}
			s.sendBody(data, 0)
			sent += len(data)
		case http1.ChunkEnd:
			if fields := b.chunks.Trailer(); len(fields) > 0 {
				b.sh.head = http1.AppendTrailer(b.sh.head[:0], fields)
				s.k.shows(s, lane.OpTrailer, b.sh.head)
				s.k.end.Send(lane.OpTrailer, lane.FlagLast, s.id, b.sh.head)
			} else {
				s.k.end.Send(lane.OpData, lane.FlagLast, s.id, nil)
			}
			b.finish()
			return done
		default:
			b.more(sent)
			return done
		}
	}
}

// finish follows the last byte of an answer.
func (b *backend) finish() {
	s := b.s
	clean := b.keep && s.reqDone && !b.upgraded
	b.s, s.b = nil, nil
	s.ended()
	b.inBody = false
	switch {
	case clean && b.number != 0:
		b.sh.sockets.rest(b)
	case clean:
		b.sh.pool.put(b)
	default:
		b.sh.sockets.forget(b)
		b.conn.Close()
	}
}

// Drained gives the relay credit for what the back end has taken.
func (b *backend) Drained(*loop.Conn) {
	if b.s != nil {
		b.s.giveCredit()
	}
}

// unseen tells whether no byte of the request was given to the back end.
func (b *backend) unseen() bool { return b.conn.Sent() == b.sent }

// endOutput ends our side of an upgraded connection: the client has ended its own.
func (b *backend) endOutput() {
	if b.inEnded {
		b.finish()
		return
	}
	b.conn.EndOutput()
}

// InputClosed handles the orderly end of the back end's side. On an upgraded connection the client may go on.
func (b *backend) InputClosed(*loop.Conn) bool {
	if b.s != nil && b.upgraded && !b.s.reqDone {
		b.inEnded = true
		b.s.k.end.Send(lane.OpData, lane.FlagLast, b.s.id, nil)
		return true
	}
	if b.s != nil && b.inBody && b.left == leftClose {
		b.s.k.end.Send(lane.OpData, lane.FlagLast, b.s.id, nil)
		b.finish()
	}
	return false
}

// Closed handles the end of a connection, which breaks the exchange that it carried.
func (b *backend) Closed(_ *loop.Conn, err error) {
	if b.moving {
		b.lostOnTheWay()
		b.sh.e.slots.give()
		return
	}
	b.sh.e.slots.give()
	b.sh.pool.remove(b)
	b.sh.sockets.forget(b)
	s := b.s
	if s == nil {
		return
	}
	b.s, s.b = nil, nil
	switch {
	case b.upgraded && b.inEnded: // both ends know of the one direction; nobody takes the other any more
		s.fail(lane.CodeCancelled, "The back-end server takes nothing more.", 0)
		return
	case b.upgraded && err == nil:
		s.k.end.Send(lane.OpData, lane.FlagLast, s.id, nil)
		s.ended()
		return
	}
	if b.used && !s.answered && !s.retried && s.bodyless && s.idempotent && !s.upgrade {
		s.retried, s.aff.number = true, 0 // it was closed just when it was used again
		s.start(nil)
		return
	}
	flags := lane.Flags(0)
	if b.unseen() {
		flags = lane.FlagUnseen
	}
	s.fail(lane.CodeBackendReset, "The back-end server broke the connection.", flags)
}
