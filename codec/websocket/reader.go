package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"

	"roundhouse/codec"
)

// Piece is a part of a binary message, or a whole control frame.
type Piece struct {
	Op   Op   // OpBinary, OpClose, OpPing, OpPong; OpNone: nothing yet
	Last bool // the message ends with it
	// Data is unmasked. It aliases what the reader was given, or the reader's own memory: it is valid until the next call.
	Data []byte
}

// Reader takes the bytes of one direction of a connection as they come and gives pieces. It holds back heads and control frames
// that are incomplete, in memory of its own; the payload of messages is not held back but passed on as it comes, unmasked in
// place. Text messages are refused. The zero value, with its limits set, is ready.
type Reader struct {
	// Masked tells that the other end is a client, whose frames must be masked; those of a server must not be.
	Masked bool
	// MaxMessage is the longest message that is taken, in bytes; 0 or less means that there is no limit.
	MaxMessage int64

	remain  uint64 // bytes of the payload that are still to come
	message int64  // bytes of the message so far, those of the running frame included
	pos     int    // where the next byte stands in the payload of its frame, modulo 4
	key     [4]byte
	op      Op    // of the running frame; a data frame's is OpBinary
	fin     bool  // of the running frame
	inside  bool  // a message has begun and not ended
	running bool  // the payload of a frame is being read
	closed  bool  // a close frame has come
	head    uint8 // bytes in hold of an incomplete head
	held    uint8 // bytes in hold of an incomplete control frame's payload
	hold    [MaxControl]byte
}

// Closed tells that a close frame has come: nothing that follows is looked at (RFC 6455, 5.5.1).
func (r *Reader) Closed() bool { return r.closed }

// Idle tells whether the reader stands between two frames.
func (r *Reader) Idle() bool { return !r.running && r.head == 0 }

// Next reads from the front of in, and changes it: what is masked is unmasked in place. n is what it consumed; with n > 0 and
// p.Op == OpNone there is nothing to deliver yet. It is to be called until in is used up.
//
// Errors: codec.ErrMalformed, codec.ErrTooLarge. After either the connection is out of step; CloseCode says what to tell.
func (r *Reader) Next(in []byte) (p Piece, n int, err error) {
	if r.closed {
		return Piece{}, len(in), nil
	}
	if !r.running {
		if n, err = r.readHead(in); err != nil || !r.running {
			return Piece{}, n, err
		}
	}
	var used int
	if r.op.control() {
		p, used, err = r.control(in[n:])
	} else {
		p, used = r.data(in[n:])
	}
	return p, n + used, err
}

// readHead reads what it can of a frame's head, and begins the frame when it is complete. What is wrong is found as soon as its
// bytes are there.
func (r *Reader) readHead(in []byte) (n int, err error) {
	for n < len(in) {
		r.hold[r.head] = in[n]
		r.head++
		n++
		need, err := r.judge()
		if err != nil {
			return n, err
		}
		if int(r.head) == need {
			return n, r.begin()
		}
	}
	return n, nil
}

// judge looks at the bytes of the head that are there. need is its length, as far as it is known.
func (r *Reader) judge() (need int, err error) {
	op := Op(r.hold[0] & opBits)
	switch {
	case r.head == 1:
		return 2, r.judgeOp(op)
	case r.head > 2:
		return headLen(r.hold[1]), nil
	case r.hold[1]&maskBit != 0 != r.Masked: // RFC 6455, 5.1
		return 0, fmt.Errorf("websocket: masked %v, want %v: %w", !r.Masked, r.Masked, codec.ErrMalformed)
	case op.control() && r.hold[1]&lengthBits > MaxControl: // RFC 6455, 5.5
		return 0, fmt.Errorf("websocket: control frame of more than %d bytes: %w", MaxControl, codec.ErrMalformed)
	}
	return headLen(r.hold[1]), nil
}

func headLen(second byte) int {
	n := 2
	switch second & lengthBits {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if second&maskBit != 0 {
		n += 4
	}
	return n
}

var errText = fmt.Errorf("websocket: a text message: %w", codec.ErrMalformed)

// judgeOp judges the first byte of a frame.
func (r *Reader) judgeOp(op Op) error {
	fin := r.hold[0]&finBit != 0
	switch {
	case r.hold[0]&reservedBit != 0: // RFC 6455, 5.2: no extension was agreed upon
		return fmt.Errorf("websocket: reserved bits %#x: %w", r.hold[0]&reservedBit, codec.ErrMalformed)
	case op == OpText:
		return errText
	case op != OpContinuation && op != OpBinary && (op < OpClose || op > OpPong):
		return fmt.Errorf("websocket: opcode %d: %w", op, codec.ErrMalformed)
	case op.control() && !fin: // RFC 6455, 5.5
		return fmt.Errorf("websocket: a control frame in parts: %w", codec.ErrMalformed)
	case op == OpContinuation && !r.inside, op == OpBinary && r.inside: // RFC 6455, 5.4
		return fmt.Errorf("websocket: opcode %d, inside a message %v: %w", op, r.inside, codec.ErrMalformed)
	}
	return nil
}

// begin starts the frame whose head is complete.
func (r *Reader) begin() error {
	h := r.hold[:r.head]
	size := uint64(h[1] & lengthBits)
	switch size {
	case length16:
		if size = uint64(binary.BigEndian.Uint16(h[2:])); size < length16 {
			return fmt.Errorf("websocket: length %d in 2 bytes: %w", size, codec.ErrMalformed)
		}
	case length64:
		if size = binary.BigEndian.Uint64(h[2:]); size < 1<<16 || size >= 1<<63 {
			return fmt.Errorf("websocket: length %d in 8 bytes: %w", size, codec.ErrMalformed)
		}
	}
	op := Op(h[0] & opBits)
	if !op.control() {
		if limit := uint64(r.MaxMessage); r.MaxMessage > 0 && (size > limit || uint64(r.message) > limit-size) {
			return fmt.Errorf("websocket: message of %d bytes and %d more, limit %d: %w", r.message, size, limit, codec.ErrTooLarge)
		}
		op = OpBinary
		if r.MaxMessage > 0 {
			r.message += int64(size) // at most the limit
		}
		r.inside = true
	}
	if r.Masked {
		r.key = [4]byte(h[len(h)-4:])
	}
	r.op, r.fin, r.remain, r.pos = op, h[0]&finBit != 0, size, 0
	r.running, r.head, r.held = true, 0, 0
	return nil
}

// data passes on what in holds of the running data frame.
func (r *Reader) data(in []byte) (p Piece, n int) {
	n = int(min(uint64(len(in)), r.remain))
	if r.Masked {
		r.pos = Mask(r.key, r.pos, in[:n]) & 3
	}
	r.remain -= uint64(n)
	p = Piece{Op: OpBinary, Data: in[:n]}
	if r.remain == 0 {
		r.running = false
		if r.fin {
			p.Last, r.inside, r.message = true, false, 0
		}
	}
	if n == 0 && !p.Last {
		p.Op = OpNone
	}
	return p, n
}

// control collects a control frame, and delivers it when it is complete.
func (r *Reader) control(in []byte) (p Piece, n int, err error) {
	n = int(min(uint64(len(in)), r.remain))
	copy(r.hold[r.held:], in[:n])
	r.held += uint8(n) // at most MaxControl
	if r.remain -= uint64(n); r.remain > 0 {
		return Piece{}, n, nil
	}
	payload := r.hold[:r.held]
	if r.Masked {
		Mask(r.key, 0, payload)
	}
	r.running = false
	if r.op == OpClose {
		r.closed = true
		if _, _, err := ParseClose(payload); err != nil {
			return Piece{}, n, err
		}
	}
	return Piece{Op: r.op, Last: true, Data: payload}, n, nil
}

// CloseCode is the code of the close frame that answers an error of Next.
func CloseCode(err error) uint16 {
	switch {
	case errors.Is(err, errText):
		return CloseUnsupported
	case errors.Is(err, codec.ErrTooLarge):
		return CloseTooLarge
	default:
		return CloseProtocol
	}
}
