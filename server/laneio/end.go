// Package laneio runs one end of a lane: the connections that carry its packets, on one loop. The relay and the enabler both
// stand on it.
//
// An End gathers the packets of a turn in one chunk, so that however many streams speak, the lane costs one system call; a
// large piece of a body goes out with them straight from the slice that it was read into. What comes in is cut into packets
// and handed to a Handler. An End pings the other one, and is gone when that is silent for three heartbeats.
//
// Each direction has one of three framings; where a chunk, a body or a message ends means nothing in any of them:
//
//	chunked  SetOut, SetIn               an HTTP body that is chunked and never ends
//	length   SetOutLength, SetInLength   HTTP bodies of a given length, one after the other (length.go)
//	socket   SetSocket                   both directions on one WebSocket connection (socket.go)
//
// Everything here is owned by the loop of the two connections. A lane is never paused: credit bounds what a stream can send
// (codec/lane), and its receiver holds no more than that.
package laneio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// Handler is what a lane's packets go to. All calls come on the lane's loop.
type Handler interface {
	// Packet gets every packet but ping, pong and pad. Its data is valid during the call. An error closes the lane.
	Packet(p lane.Packet) error
	// Writable tells that the lane takes bodies again after Room was 0. Nothing may be sent before it has returned.
	Writable()
	// Gone is the last call. err is nil after Close or an orderly end by the other side.
	Gone(err error)
}

// Errors that Gone may get.
var (
	ErrSilent = errors.New("laneio: the other end is silent")
	ErrUnsent = errors.New("laneio: a body was not taken to its end")
)

// StrayError is an answer on the connection that an End writes to, where none can be yet: a proxy's refusal, most likely.
type StrayError struct {
	Head []byte // of the answer, as far as it has come; at most maxStray bytes
}

func (e *StrayError) Error() string {
	line, _, _ := bytes.Cut(e.Head, crlf)
	return fmt.Sprintf("laneio: the other end answered the lane's outgoing connection: %.100q", line)
}

const maxStray = 2 << 10 // bytes

const (
	high     = 512 << 10 // bytes of output above which bodies wait
	low      = 128 << 10
	start    = 16 << 10 // bytes of each body that do not wait, up to twice as much output
	large    = 8 << 10  // bytes of data that are worth going out without a copy
	keepBuf  = 64 << 10
	missable = 3 // heartbeats
)

// End is one end of a lane.
type End struct {
	loop      *loop.Loop
	handler   Handler
	out, in   *loop.Conn
	buf       []byte // packets of this turn
	reader    lane.Reader
	chunks    http1.Chunked
	limits    http1.Limits
	timer     loop.Timer
	heartbeat time.Duration
	missed    int
	rtt       time.Duration
	begun     time.Time
	proof     func() // what Prove has set
	closing   bool
	gone      bool
	scratch   [32]byte

	special   bool       // out is not just chunked: below is something that it needs
	pad       int        // bytes of padding after each burst
	unpadded  bool       // something has left that no padding has followed yet
	lengthOut *lengthOut // nil: out has another framing
	lengthIn  *lengthIn  // nil: in has another framing
	socket    *socket    // nil: there is none
}

// New returns an end without connections.
func New(l *loop.Loop, heartbeat time.Duration, h Handler) *End {
	e := &End{loop: l, handler: h, heartbeat: heartbeat, limits: http1.DefaultLimits(), begun: time.Now()}
	e.timer.Init(l, e.beat)
	return e
}

// SetOut gives the end the connection that it writes packets to. The HTTP head that makes it one has been written.
func (e *End) SetOut(c *loop.Conn) {
	e.out = c
	c.SetWatermarks(high, low)
	c.SetBatch(true)
	c.SetSession(&outSession{e})
	e.begin()
}

// SetIn gives the end the connection that it reads packets from: chunked, from its next byte on.
func (e *End) SetIn(c *loop.Conn) {
	e.in = c
	c.SetSession(&inSession{e})
	c.Again()
	e.begin()
}

func (e *End) begin() {
	if e.Live() {
		e.timer.Arm(e.heartbeat)
	}
}

// Live tells whether both connections are there.
func (e *End) Live() bool { return e.out != nil && e.in != nil && !e.gone }

// Since is when the end was made; RTT is the time that the last ping took, 0 before the first.
func (e *End) Since() time.Time { return e.begun }

// RTT is the round trip time that the last ping took.
func (e *End) RTT() time.Duration { return e.rtt }

// Pending is the output that has not left, in bytes.
func (e *End) Pending() int {
	if e.out == nil {
		return len(e.buf)
	}
	return len(e.buf) + e.out.Pending()
}

// Room is how much the lane takes of a body of which sent bytes have been sent, in bytes; at 0 it should wait until Writable. The start of a
// body has room where the rest has none: what is short should not wait for what is long.
func (e *End) Room(sent int64) int {
	switch {
	case !full(e):
		return math.MaxInt
	case e.out != nil && sent < start && e.Pending() < 2*high:
		return int(start - sent)
	}
	return 0
}

func full(e *End) bool { return e.out == nil || e.out.High() || len(e.buf) > high }

// Buffer lends the packets of this turn for appending with package lane; SetBuffer takes them back.
func (e *End) Buffer() []byte { return e.buf }

// SetBuffer takes back what Buffer lent.
func (e *End) SetBuffer(b []byte) {
	e.buf = b
	if e.out != nil {
		e.out.WantFlush()
	}
}

// Send appends a packet.
func (e *End) Send(op lane.Op, flags lane.Flags, stream uint32, data []byte) {
	e.SetBuffer(lane.Append(e.buf, lane.Packet{Op: op, Flags: flags, Stream: stream, Data: data}))
}

// SendData sends body bytes. Large ones leave at once, with what was appended before them, and are not copied as far as the
// socket takes them.
func (e *End) SendData(flags lane.Flags, stream uint32, data []byte) {
	for len(data) > lane.MaxData {
		e.SendData(flags&^lane.FlagLast, stream, data[:lane.MaxData])
		data = data[lane.MaxData:]
	}
	if len(data) < large || e.out == nil {
		e.Send(lane.OpData, flags, stream, data)
		return
	}
	if e.special {
		e.sendSpecial(flags, stream, data)
		return
	}
	e.buf = lane.AppendHead(e.buf, lane.OpData, flags, stream, len(data))
	head := appendChunkHead(e.scratch[:0], len(e.buf)+len(data))
	e.out.Writev(head, e.buf, data, crlf)
	e.resetBuf()
}

var (
	crlf      = []byte("\r\n")
	endOfHead = []byte("\r\n\r\n")
)

func appendChunkHead(dst []byte, size int) []byte {
	return append(strconv.AppendUint(dst, uint64(size), 16), '\r', '\n')
}

func (e *End) resetBuf() {
	if cap(e.buf) > keepBuf {
		e.buf = nil
	}
	e.buf = e.buf[:0]
}

// flush sends the packets of the turn as one chunk, without a copy as far as the socket takes them.
func (e *End) flush(c *loop.Conn) {
	if e.special {
		e.flushSpecial()
		return
	}
	if len(e.buf) == 0 {
		return
	}
	wasFull := len(e.buf) > high
	c.Writev(appendChunkHead(e.scratch[:0], len(e.buf)), e.buf, crlf)
	e.resetBuf()
	if wasFull && !e.closing && !c.High() { // the socket took it: the output was never high, and Drained does not follow
		e.handler.Writable()
	}
}

// farewell is how long the other end may take to see that a lane has ended in good order.
const farewell = 5 * time.Second

// Close ends the lane in good order: what was sent leaves first, and the other end, which sees that nothing follows, closes the connection that
// it writes to. If this one did that too, the other end could hear of it before it has read the rest, and take the lane for broken. Gone
// follows, with nil.
func (e *End) Close() {
	if e.gone || e.closing {
		return
	}
	e.closing = true
	e.timer.Stop()
	if e.out != nil {
		e.flush(e.out)
		switch {
		case e.socket != nil:
			e.socket.writeClose(e.out)
		case e.lengthOut == nil: // a body of a given length has no other end: it is cut
			e.out.Write([]byte("0\r\n\r\n"))
		}
		e.out.Close()
	}
	switch {
	case e.out == nil && e.in == nil:
		e.end(nil)
	case awaits(e):
		e.timer.Arm(farewell)
	case e.in != nil:
		e.in.Close()
	}
	e.lengthOut.drop()
}

// awaits tells that the end is over when the other one has closed the connection to this one.
func awaits(e *End) bool { return e.closing && e.out != nil && e.in != nil && e.socket == nil }

// Fail ends the lane at once.
func (e *End) Fail(err error) { e.end(err) }

// end closes what is left and tells the handler, once.
func (e *End) end(err error) {
	if e.gone {
		return
	}
	e.gone = true
	e.timer.Stop()
	for _, c := range []*loop.Conn{e.out, e.in} {
		switch {
		case c == nil:
		case e.closing:
			c.Close()
		default:
			c.Abort(err)
		}
	}
	e.lengthOut.drop()
	e.lengthIn.drop()
	if e.closing {
		err = nil
	}
	e.handler.Gone(err)
}

// beat pings, and gives up on a silent peer.
func (e *End) beat() {
	if e.gone {
		return
	}
	if e.closing {
		e.end(nil)
		return
	}
	if e.missed++; e.missed > missable {
		e.end(fmt.Errorf("%w for %v", ErrSilent, missable*e.heartbeat))
		return
	}
	e.ping()
	e.timer.Arm(e.heartbeat)
}

func (e *End) ping() {
	b := lane.AppendHead(e.buf, lane.OpPing, 0, 0, 8)
	e.SetBuffer(binary.BigEndian.AppendUint64(b, uint64(time.Since(e.begun))))
}

// Prove pings, and calls proved, once, when the answer comes: both directions pass packets on.
func (e *End) Prove(proved func()) {
	e.proof = proved
	e.ping()
}

// receive cuts input into packets.
func (e *End) receive(in []byte) (done int, err error) {
	e.missed = 0
	for done < len(in) && !e.gone {
		data, n, kind, err := e.chunks.Next(in[done:], &e.limits)
		if err != nil {
			return done, err
		}
		done += n
		switch kind {
		case http1.ChunkData:
			if err := e.packets(data); err != nil {
				return done, err
			}
		case http1.ChunkEnd:
			e.closing = true
			if e.out != nil {
				e.out.Close()
			}
			e.in.Close()
			e.end(nil) // nothing more comes, whatever the connections still do
			return done, nil
		default:
			if n == 0 {
				return done, nil
			}
		}
	}
	return done, nil
}

func (e *End) packets(data []byte) error {
	for len(data) > 0 && !e.gone {
		p, n, err := e.reader.Next(data)
		if err != nil {
			return err
		}
		data = data[n:]
		switch p.Op {
		case 0, lane.OpPad:
		case lane.OpPing:
			e.Send(lane.OpPong, 0, 0, p.Data)
		case lane.OpPong:
			if len(p.Data) == 8 {
				e.rtt = time.Since(e.begun) - time.Duration(binary.BigEndian.Uint64(p.Data))
			}
			if proved := e.proof; proved != nil {
				e.proof = nil
				proved()
			}
		default:
			if err := e.handler.Packet(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// outSession is the session of the connection that an end writes to: nothing comes back on it but its end.
type outSession struct{ e *End }

func (s *outSession) Data(_ *loop.Conn, in []byte) (int, error) {
	if !s.e.closing {
		if len(in) < maxStray && !bytes.Contains(in, endOfHead) {
			return 0, nil // the rest is wanted, too: it says who answers
		}
		s.e.end(&StrayError{bytes.Clone(in[:min(len(in), maxStray)])})
	}
	return len(in), nil
}
func (s *outSession) BeforeFlush(c *loop.Conn) { s.e.flush(c) }
func (s *outSession) Drained(*loop.Conn)       { s.e.handler.Writable() }
func (s *outSession) Closed(_ *loop.Conn, err error) {
	if err != nil || !awaits(s.e) {
		s.e.end(closedBecause(err))
	}
}

// inSession is the session of the connection that an end reads from.
type inSession struct{ e *End }

// Data ends the lane at once when the peer breaks the protocol: nobody should wait for an orderly end.
func (s *inSession) Data(_ *loop.Conn, in []byte) (int, error) {
	if s.e.closing {
		return len(in), nil
	}
	n, err := s.e.receive(in)
	if err != nil {
		s.e.end(err)
		return len(in), nil
	}
	return n, nil
}
func (s *inSession) Drained(*loop.Conn)             {}
func (s *inSession) Closed(_ *loop.Conn, err error) { s.e.end(closedBecause(err)) }

var errClosed = errors.New("laneio: the connection was closed")

func closedBecause(err error) error {
	if err == nil {
		return errClosed
	}
	return err
}
