package loop

import (
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// Write appends b to the output. It keeps no reference to b. On a closing connection it does nothing.
func (c *Conn) Write(b []byte) {
	if c.Closing() {
		return
	}
	if c.tls != nil {
		c.tls.write(b)
	} else {
		c.buffer().B = append(c.out.B, b...)
	}
	c.wrote()
}

// Buffer lends the output buffer for appending: b := c.Buffer(); b = append(b, ...); c.SetBuffer(b). It saves a copy where the
// bytes are made anyway. Nothing else of the connection may be called between the two.
func (c *Conn) Buffer() []byte {
	if c.tls != nil {
		return c.tls.buffer().B
	}
	return c.buffer().B
}

// SetBuffer takes back what Buffer lent.
func (c *Conn) SetBuffer(b []byte) {
	switch {
	case c.Closing():
		return
	case c.tls != nil:
		c.tls.buffer().B = b
	default:
		c.out.B = b
	}
	c.wrote()
}

// WantFlush sees to it that the output is flushed, and BeforeFlush called, as after a Write.
func (c *Conn) WantFlush() {
	if !c.Closing() && !c.inFlush {
		c.queueOut()
	}
}

// Writev sends parts after what is queued, in one system call and without a copy, as far as the socket takes them; the rest is
// copied. It keeps no reference. At most six parts.
func (c *Conn) Writev(parts ...[]byte) {
	if c.Closing() {
		return
	}
	if c.tls != nil || c.isBlocked || c.fd < 0 || c.state == connOpening {
		for _, p := range parts {
			c.Write(p)
		}
		return
	}
	iov, total := c.loop.iov[:0], 0
	if c.out != nil {
		iov = append(iov, c.out.B[c.sent:])
		total = len(iov[0])
	}
	queued := total
	for _, p := range parts {
		iov = append(iov, p)
		total += len(p)
	}
	n := c.writev(iov)
	clear(c.loop.iov[:])
	if n == total {
		c.releaseOut()
		return
	}
	c.keepRest(parts, n, queued)
}

// keepRest puts what a writev left into the output buffer; n bytes are gone, queued of all were in the buffer before.
func (c *Conn) keepRest(parts [][]byte, n, queued int) {
	if c.Closing() {
		return
	}
	if n >= queued {
		c.releaseOut()
		n -= queued
	} else {
		c.sent += n
		n = 0
	}
	out := c.buffer()
	for _, p := range parts {
		gone := min(n, len(p))
		n -= gone
		out.B = append(out.B, p[gone:]...)
	}
	c.loop.room.block(c)
	c.mark()
}

// writev is writev(2) with the errors sorted out: how many bytes the socket took.
func (c *Conn) writev(iov [][]byte) int {
	n, err := unix.Writev(c.fd, iov)
	return c.took(n, err)
}

func (c *Conn) took(n int, err error) int {
	switch err {
	case nil:
		c.loop.bytesOut.Add(int64(n))
		return n
	case unix.EAGAIN, unix.EINTR:
		return 0
	default:
		c.fail(err)
		return 0
	}
}

// buffer returns the output buffer and takes one from the pool when there is none.
func (c *Conn) buffer() *bytebufferpool.ByteBuffer {
	if c.out == nil {
		c.out = bytebufferpool.Get()
	}
	if c.sent > flushAt && c.sent > len(c.out.B)/2 {
		n := copy(c.out.B, c.out.B[c.sent:])
		c.out.B, c.sent = c.out.B[:n], 0
	}
	return c.out
}

// wrote follows every append to the output.
func (c *Conn) wrote() {
	if c.inFlush {
		return
	}
	if c.Pending() >= flushAt && !c.isBlocked {
		c.push()
	}
	c.mark()
	if c.Pending() > 0 || c.above || c.flusher != nil {
		c.queueOut()
	}
}

// mark keeps the high watermark.
func (c *Conn) mark() {
	if c.Pending() > c.high {
		c.above = true
	}
}

// queueOut sees to it that flush is called: at the end of the callback, or of the turn for a batched connection.
func (c *Conn) queueOut() {
	if c.queuedOut || c.state == connOpening {
		return
	}
	c.queuedOut = true
	if c.batched && c.state == connOpen {
		c.loop.turn.addBatch(c)
	} else {
		c.loop.turn.addDirty(c)
	}
}

// flush writes as much as the socket takes, and tells the session what comes of it. It is not called inside a callback of c.
func (c *Conn) flush() {
	if c.inFlush || c.state >= connLingering || c.state == connOpening {
		return
	}
	if c.hungUp {
		c.flushHungUp()
		return
	}
	if c.flusher != nil && c.state == connOpen {
		c.inFlush = true
		c.callBeforeFlush()
		c.inFlush = false
	}
	c.push()
	switch c.state {
	case connFlushing:
		c.goOnClosing()
	case connOpen:
		c.mark()
		if c.above && c.Pending() <= c.low {
			c.above = false
			c.callDrained()
		}
	}
}

// push seals and writes as much as the socket takes. It calls nothing of the session: that may be in the middle of a message.
func (c *Conn) push() {
	if c.state >= connDead || c.state == connOpening || c.fd < 0 {
		return
	}
	if c.tls != nil {
		c.tls.seal(c.state == connFlushing)
	}
	if c.out != nil && !c.isBlocked {
		c.send()
	}
}

// send writes the output buffer; what the socket does not take waits for room.
func (c *Conn) send() {
	b := c.out.B[c.sent:]
	if len(b) > 0 {
		n, err := unix.Write(c.fd, b)
		c.sent += c.took(n, err)
	}
	switch {
	case c.state >= connDead:
	case c.sent == len(c.out.B):
		c.releaseOut()
	default:
		c.loop.room.block(c)
	}
}

// writable follows a report of the room.
func (c *Conn) writable(events uint32) {
	orphan := c.gc == nil
	if orphan && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		c.orphanHangUp(events&unix.EPOLLERR != 0)
		return
	}
	c.loop.room.unblock(c)
	c.flush()
	if orphan && !c.isBlocked && c.state < connDead {
		c.loop.room.arm(c, 0) // its one shot is spent: watch for errors again
	}
}
