package laneio

import (
	"bytes"
	"fmt"
	"time"

	"roundhouse/server/loop"
)

// A body of a given length is for proxies that refuse chunked requests. It comes to its end some day, so the stream of packets
// goes on in the next one: a packet may begin in one body and end in another. The writer asks for the connection of the next body a
// while before; when it is late, what is to be written waits. The reader takes the connection of the next body beside the one
// that it reads, and reads it when that one is complete, which it answers with 200. Bodies are numbered. So nothing is lost, and no stream notices.

// BodyLength is the length of a body when nothing else is said, in bytes: the most that every proxy can count.
const BodyLength = 1<<31 - 1

const (
	renewPause = time.Second     // until the next body is asked for again
	renewAt    = 16 << 20        // bytes of a body that are left when the next one is asked for; less of a small body
	answerTime = 2 * time.Minute // how long the answer to a complete body may take
)

// lengthOut is what an End knows of the bodies that it writes.
type lengthOut struct {
	e        *End
	renew    func()
	begun    int   // bodies so far, the running one included
	left     int64 // of the running body, in bytes; 0 <= left
	mark     int64 // of left, from which on the next body is asked for
	owed     int   // complete bodies that are not answered; the next one is not asked for before they are, so that at most one waits there
	again    loop.Timer
	next     *loop.Conn
	nextSize int64
}

// SetOutLength gives the end a connection that it writes packets to, as a body of size bytes, size > 0. The HTTP head has been
// written. When the body is nearly complete renew is called, once a second until SetOutLength is called for the next one.
func (e *End) SetOutLength(c *loop.Conn, size int64, renew func()) {
	l := e.lengthOut
	switch {
	case l == nil:
		l = &lengthOut{e: e, renew: renew}
		l.again.Init(e.loop, l.maybeRenew)
		e.lengthOut, e.special = l, true
		l.start(c, size)
		e.begin()
	case l.next != nil || e.gone || e.closing:
		c.Abort(nil)
	case l.left > 0:
		l.again.Stop()
		l.next, l.nextSize = c, size
		c.SetSession(&nextOut{e: e, c: c})
	default:
		l.start(c, size)
		c.WantFlush()
	}
}

// NextBody is the number of the body that SetOutLength is to be called for next, from 1 on.
func (e *End) NextBody() int {
	if e.lengthOut == nil {
		return 1
	}
	return e.lengthOut.begun + 1
}

// start makes c the connection that is written to.
func (l *lengthOut) start(c *loop.Conn, size int64) {
	e := l.e
	l.again.Stop()
	l.begun++
	l.left, l.mark = size, min(size/4, renewAt)
	e.out = c
	c.SetWatermarks(high, low)
	c.SetBatch(true)
	c.SetSession(&outSession{e})
}

// exhausted tells that output waits for the next body. l may be nil.
func (l *lengthOut) exhausted() bool { return l != nil && l.left == 0 && l.next == nil }

// drop gives up the connection that was to come next. l may be nil.
func (l *lengthOut) drop() {
	if l == nil {
		return
	}
	l.again.Stop()
	if l.next != nil {
		l.next.Abort(nil)
		l.next = nil
	}
}

// maybeRenew asks for the next body, if it is time and not done yet.
func (l *lengthOut) maybeRenew() {
	if l.left <= l.mark && l.next == nil && l.owed == 0 && !l.again.Armed() && !l.e.gone && !l.e.closing {
		l.again.Arm(renewPause)
		l.renew()
	}
}

// write writes the packets of the turn, and data, as far as the bodies that are there have room. The rest stays in buf.
func (l *lengthOut) write(data []byte) {
	e := l.e
	b := e.buf
	for len(b)+len(data) > 0 && l.maybeNext() {
		n := int(min(int64(len(b)), l.left))
		m := int(min(int64(len(data)), l.left-int64(n)))
		e.out.Writev(b[:n], data[:m])
		b, data = b[n:], data[m:]
		if l.left -= int64(n + m); l.left == 0 {
			newSpent(e, e.out)
		}
	}
	if len(b)+len(data) == 0 {
		e.resetBuf()
	} else {
		e.buf = append(append(e.buf[:0], b...), data...)
	}
	l.maybeRenew()
}

// maybeNext goes on to the next body when the running one is complete. False means that there is none yet.
func (l *lengthOut) maybeNext() bool {
	if l.left > 0 {
		return true
	}
	c := l.next
	if c == nil || c.Closing() {
		return false
	}
	l.next = nil
	l.start(c, l.nextSize)
	return true
}

// nextOut is the session of a connection whose body has not begun. When it ends early, as when a proxy does not want to wait,
// another one is asked for.
type nextOut struct {
	e *End
	c *loop.Conn
}

func (s *nextOut) Data(c *loop.Conn, in []byte) (int, error) {
	c.Abort(nil)
	return len(in), nil
}
func (s *nextOut) Drained(*loop.Conn) {}
func (s *nextOut) Closed(*loop.Conn, error) {
	if l := s.e.lengthOut; l.next == s.c {
		l.next = nil
		l.again.Arm(renewPause)
	}
}

// spent is the session of a connection whose body is complete, until it is answered: a proxy could take an earlier end for a
// broken upload, and drop what it has of it.
type spent struct {
	e        *End
	timer    loop.Timer
	answered bool
}

func newSpent(e *End, c *loop.Conn) {
	e.lengthOut.owed++
	s := &spent{e: e}
	s.timer.Init(e.loop, func() { c.Abort(ErrUnsent) })
	s.timer.Arm(answerTime)
	c.SetSession(s)
}

func (s *spent) Data(c *loop.Conn, in []byte) (int, error) {
	const start = "HTTP/1.1 200"
	if len(in) < len(start) {
		return 0, nil
	}
	if s.answered = bytes.HasPrefix(in, []byte("HTTP/1.")) && string(in[8:len(start)]) == " 200"; s.answered {
		c.Close()
		s.e.lengthOut.owed--
		s.e.lengthOut.maybeRenew()
		return len(in), nil
	}
	line, _, _ := bytes.Cut(in, crlf)
	s.e.end(fmt.Errorf("%w: %.100q", ErrUnsent, line))
	return len(in), nil
}
func (s *spent) Drained(*loop.Conn) { s.e.handler.Writable() }
func (s *spent) Closed(_ *loop.Conn, err error) {
	s.timer.Stop()
	if !s.answered {
		s.e.end(fmt.Errorf("%w: %v", ErrUnsent, closedBecause(err)))
	}
}

// lengthIn is what an End knows of the bodies that it reads.
type lengthIn struct {
	e      *End
	left   int64 // of the running body, in bytes; 0 <= left
	number int   // of the running body, or of the last one
	nexts  [maxNexts]nextIn
}

// maxNexts is how many bodies may wait for their turn: the writer asks for the one after the next as soon as the running one is
// answered, and connections may overtake each other.
const maxNexts = 2

// nextIn is a body that is not read yet.
type nextIn struct {
	c      *loop.Conn // nil: none
	size   int64
	number int
}

// SetInLength gives the end a connection that it reads packets from: body number, from 1 on, of size bytes, size > 0, from its next
// byte on. Bodies may come before their turn, as many as maxNexts. ok is false when the end has no use for this one; then the
// connection stays the caller's.
func (e *End) SetInLength(c *loop.Conn, number int, size int64) (ok bool) {
	if e.lengthIn == nil {
		e.lengthIn = &lengthIn{e: e}
	}
	l := e.lengthIn
	slot := &l.nexts[number%maxNexts]
	switch {
	case number <= l.number, number-l.number > maxNexts, slot.c != nil, e.gone, e.closing:
		return false
	case l.left == 0 && number == l.number+1:
		l.read(nextIn{c, size, number})
		e.begin()
	default:
		*slot = nextIn{c, size, number}
		c.Pause()
		c.SetSession(waiting{l})
	}
	return true
}

// read makes b the body that is read.
func (l *lengthIn) read(b nextIn) {
	l.left, l.number = b.size, b.number
	l.e.in = b.c
	b.c.SetSession(&bodySession{l.e})
	b.c.Resume()
	b.c.Again()
}

// bodySession is the session of the connection whose body is being read.
type bodySession struct{ e *End }

// Data ends the lane as inSession does. Nothing follows a body: its sender closes.
func (s *bodySession) Data(c *loop.Conn, in []byte) (int, error) {
	e, l := s.e, s.e.lengthIn
	if e.closing {
		return len(in), nil
	}
	e.missed = 0
	n := int(min(int64(len(in)), l.left))
	l.left -= int64(n)
	if err := e.packets(in[:n]); err != nil {
		e.end(err)
		return len(in), nil
	}
	if l.left == 0 && !e.gone {
		l.answer(c)
	}
	return len(in), nil
}
func (s *bodySession) Drained(*loop.Conn)             {}
func (s *bodySession) Closed(_ *loop.Conn, err error) { s.e.end(closedBecause(err)) }

// answer takes leave of a connection whose body is complete, and goes on to the next one when it is there.
func (l *lengthIn) answer(c *loop.Conn) {
	c.SetSession(done{})
	c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	c.Close()
	if slot := &l.nexts[(l.number+1)%maxNexts]; slot.c != nil {
		b := *slot
		*slot = nextIn{}
		l.read(b)
	}
}

// drop gives up the bodies that were to come. l may be nil.
func (l *lengthIn) drop() {
	if l == nil {
		return
	}
	for _, b := range l.nexts {
		if b.c != nil {
			b.c.Abort(nil)
		}
	}
}

// waiting is the session of a connection whose body is not read yet.
type waiting struct{ l *lengthIn }

func (waiting) Data(*loop.Conn, []byte) (int, error) { return 0, nil }
func (waiting) Drained(*loop.Conn)                   {}
func (w waiting) Closed(c *loop.Conn, _ error) {
	for i := range w.l.nexts {
		if w.l.nexts[i].c == c {
			w.l.nexts[i] = nextIn{}
		}
	}
}

// done is the session of a connection that only has to end.
type done struct{}

func (done) Data(_ *loop.Conn, in []byte) (int, error) { return len(in), nil }
func (done) Drained(*loop.Conn)                        {}
func (done) Closed(*loop.Conn, error)                  {}
