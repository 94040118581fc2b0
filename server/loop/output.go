package loop

import (
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// Default watermarks of a connection's output, in bytes.
const (
	DefaultHigh = 256 << 10
	DefaultLow  = 64 << 10
)

const flushAt = 64 << 10 // bytes of output that go out without waiting for the end of the callback

// output is what was written to a connection and the socket has not taken. It has no bound of its own: above the high watermark
// a session should write no more until Drained.
type output struct {
	c    *Conn
	buf  *bytebufferpool.ByteBuffer // nil when there is no output
	sent int                        // bytes at the front of buf that are gone; 0 <= sent <= len(buf)
	gone uint64                     // bytes that the socket has ever taken
	high int
	low  int

	above   bool // the high watermark was passed, and the low one not yet
	batched bool
	queued  bool // is in its turn's list dirty or batch
	inFlush bool
	blocked bool // waits for room
	ends    bool // EndOutput was called
	ended   bool // the peer has been told
	watched bool // its descriptor is in the room's epoll
}

// SetWatermarks sets the output watermarks, in bytes; 0 <= low < high.
func (c *Conn) SetWatermarks(high, low int) { c.out.high, c.out.low = high, low }

// SetBatch makes the output go out at the end of the turn, with what other connections' callbacks add to it, and not at the
// end of the callback.
func (c *Conn) SetBatch(on bool) { c.out.batched = on }

// Pending is the output that the socket has not yet taken, in bytes.
func (c *Conn) Pending() int {
	n := 0
	if c.out.buf != nil {
		n = len(c.out.buf.B) - c.out.sent
	}
	if c.tls != nil {
		n += c.tls.plainLen()
	}
	return n
}

// Unacked is the output that the peer has not acknowledged, in bytes: Pending, and what the kernel holds. It costs a system call.
func (c *Conn) Unacked() int { return c.Pending() + c.sock.unacked() }

// Sent is what the socket has taken since the connection was opened, in bytes.
func (c *Conn) Sent() uint64 { return c.out.gone }

// High tells that the output is above the high watermark: Drained will follow, the session should produce no more.
func (c *Conn) High() bool { return c.out.above }

// Write appends b to the output. It keeps no reference to b. On a closing connection it does nothing.
func (c *Conn) Write(b []byte) {
	if c.Closing() || c.out.ends {
		return
	}
	if c.tls != nil {
		c.tls.write(b)
	} else {
		buf := c.out.buffer()
		buf.B = append(buf.B, b...)
	}
	c.out.grown()
}

// Buffer lends the output buffer for appending: b := c.Buffer(); b = append(b, ...); c.SetBuffer(b). It saves a copy where the
// bytes are made anyway. Nothing else of the connection may be called between the two.
func (c *Conn) Buffer() []byte {
	if c.tls != nil {
		return c.tls.buffer().B
	}
	return c.out.buffer().B
}

// SetBuffer takes back what Buffer lent.
func (c *Conn) SetBuffer(b []byte) {
	switch {
	case c.Closing(), c.out.ends:
		return
	case c.tls != nil:
		c.tls.buffer().B = b
	default:
		c.out.buf.B = b
	}
	c.out.grown()
}

// WantFlush sees to it that the output is flushed, and BeforeFlush called, as after a Write.
func (c *Conn) WantFlush() {
	if !c.Closing() && !c.out.inFlush {
		c.out.queue()
	}
}

// Writev sends parts after what is queued, in one system call and without a copy, as far as the socket takes them; the rest is
// copied. It keeps no reference. At most six parts.
func (c *Conn) Writev(parts ...[]byte) {
	if c.Closing() || c.out.ends {
		return
	}
	if c.tls != nil || c.out.blocked || c.sock.fd < 0 || c.state == connOpening {
		for _, p := range parts {
			c.Write(p)
		}
		return
	}
	c.out.writev(parts)
}

// writev is Writev where the socket may have room.
func (o *output) writev(parts [][]byte) {
	l := o.c.loop
	iov, total := l.iov[:0], 0
	if o.buf != nil {
		iov = append(iov, o.buf.B[o.sent:])
		total = len(iov[0])
	}
	queued := total
	for _, p := range parts {
		iov = append(iov, p)
		total += len(p)
	}
	n, err := unix.Writev(o.c.sock.fd, iov)
	n = o.took(n, err)
	clear(l.iov[:])
	if n == total {
		o.release()
		return
	}
	o.keepRest(parts, n, queued)
}

// keepRest puts what a writev left into the buffer; n bytes are gone, queued of all were in the buffer before.
func (o *output) keepRest(parts [][]byte, n, queued int) {
	if o.c.Closing() {
		return
	}
	if n >= queued {
		o.release()
		n -= queued
	} else {
		o.sent += n
		n = 0
	}
	buf := o.buffer()
	for _, p := range parts {
		gone := min(n, len(p))
		n -= gone
		buf.B = append(buf.B, p[gone:]...)
	}
	o.c.loop.room.block(o.c)
	o.mark()
}

// took sorts out what write(2) said: how many bytes the socket took.
func (o *output) took(n int, err error) int {
	switch err {
	case nil:
		o.c.loop.bytesOut.Add(int64(n))
		o.gone += uint64(n)
		return n
	case unix.EAGAIN, unix.EINTR:
		return 0
	default:
		o.c.fail(err)
		return 0
	}
}

// buffer returns the buffer for appending, and takes a spare one when there is none.
func (o *output) buffer() *bytebufferpool.ByteBuffer {
	if o.buf == nil {
		o.buf = o.c.loop.spares.get()
	}
	if o.sent > flushAt && o.sent > len(o.buf.B)/2 {
		n := copy(o.buf.B, o.buf.B[o.sent:])
		o.buf.B, o.sent = o.buf.B[:n], 0
	}
	return o.buf
}

func (o *output) release() {
	if o.buf != nil {
		o.c.loop.spares.put(o.buf)
		o.buf = nil
	}
	o.sent = 0
}

// grown follows every append.
func (o *output) grown() {
	if o.inFlush {
		return
	}
	pending := o.c.Pending()
	if pending >= flushAt && !o.blocked {
		o.push()
		pending = o.c.Pending()
	}
	if pending > o.high {
		o.above = true
	}
	if !o.queued && (pending > 0 || o.above || o.c.session.flusher != nil) {
		o.queue()
	}
}

// mark keeps the high watermark.
func (o *output) mark() {
	if o.c.Pending() > o.high {
		o.above = true
	}
}

// queue sees to it that flush is called: at the end of the callback, or of the turn for a batched connection.
func (o *output) queue() {
	c := o.c
	if o.queued || c.state == connOpening {
		return
	}
	o.queued = true
	if o.batched && c.state == connOpen {
		c.loop.turn.addBatch(c)
	} else {
		c.loop.turn.addDirty(c)
	}
}

// flush writes as much as the socket takes, and tells the session what comes of it. It is not called inside a callback of the
// connection.
func (o *output) flush() {
	c := o.c
	if o.inFlush || c.state >= connLingering || c.state == connOpening {
		return
	}
	if c.peer.hungUp {
		c.peer.flush()
		return
	}
	if c.session.flusher != nil && c.state == connOpen {
		o.inFlush = true
		c.session.beforeFlush(c)
		o.inFlush = false
	}
	o.push()
	switch c.state {
	case connFlushing:
		c.ending.goOn()
	case connOpen:
		o.maybeEnd()
		o.mark()
		if o.above && c.Pending() <= o.low {
			o.above = false
			c.session.drained(c)
		}
	}
}

// push seals and writes as much as the socket takes. It calls nothing of the session: that may be in the middle of a message.
func (o *output) push() {
	c := o.c
	if c.state >= connDead || c.state == connOpening || c.sock.fd < 0 {
		return
	}
	if c.tls != nil {
		c.tls.seal(c.state == connFlushing || o.ends)
	}
	if o.buf != nil && !o.blocked {
		o.send()
	}
}

// send writes the buffer; what the socket does not take waits for room.
func (o *output) send() {
	if b := o.buf.B[o.sent:]; len(b) > 0 {
		n, err := unix.Write(o.c.sock.fd, b)
		o.sent += o.took(n, err)
	}
	switch {
	case o.c.state >= connDead:
	case o.sent == len(o.buf.B):
		o.release()
	default:
		o.c.loop.room.block(o.c)
	}
}

// writable follows a report of the room.
func (o *output) writable(events uint32) {
	c := o.c
	orphan := c.sock.gc == nil
	if orphan && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		c.peer.hangUpOrphan(events&unix.EPOLLERR != 0)
		return
	}
	c.loop.room.unblock(c)
	o.flush()
	if orphan && !o.blocked && c.state < connDead {
		c.loop.room.arm(c, 0) // its one shot is spent: watch for errors again
	}
}
