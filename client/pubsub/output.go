package pubsub

import (
	"context"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

// output is what waits to be written. It is guarded by Conn.mu; only the link's writer takes from it.
//
// It is written as soon as the network takes it. What is published while a write is under way gathers and goes with the next one: the busier
// the connection, the larger the pieces.
type output struct {
	pending []byte // whole frames; above Options.WriteBuffer, or ReconnectBuffer, publishers wait or fail
	spare   []byte // memory for the next ones
	asleep  bool   // the writer waits for the bell

	taken chan struct{} // closed when pending is taken; nil: nobody waits for room

	msgs, bytes uint64 // published so far

	// Scratch memory.
	message message.Message
	props   []byte
	given   []byte // a name as the caller said it
	name    []byte // and its full form

	// The subject that was published to last: most publishers go on with it.
	last     string
	lastName []byte
}

// lockFor locks mu when size more bytes of output may wait; it waits for room as long as there is a connection. Nothing is locked after an error:
// ErrClosed, ErrBufferFull, that of ctx. A size of 0 needs room only where others wait for it.
func (c *Conn) lockFor(ctx context.Context, size int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	for {
		waiting := len(c.out.pending)
		switch {
		case c.closing:
			c.mu.Unlock()
			return ErrClosed
		case c.link == nil:
			if size == 0 || waiting+size <= c.options.ReconnectBuffer {
				return nil
			}
			c.mu.Unlock()
			return ErrBufferFull
		case waiting == 0 || waiting+size <= c.options.WriteBuffer:
			return nil
		}
		if c.out.taken == nil {
			c.out.taken = make(chan struct{})
		}
		taken := c.out.taken
		c.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.mu.Lock()
	}
}

// takenLocked lets everybody look again who waits for room.
func (c *Conn) takenLocked() {
	if c.out.taken != nil {
		close(c.out.taken)
		c.out.taken = nil
	}
}

// appendLocked puts a message of the connection itself into the output, whatever waits. write appends it without a frame header.
func (c *Conn) appendLocked(write func(dst []byte) []byte) {
	start := len(c.out.pending)
	c.out.pending = message.EndFrame(write(message.BeginFrame(c.out.pending)), start)
	c.ringLocked()
}

// ringLocked wakes the writer.
func (c *Conn) ringLocked() {
	if c.out.asleep && c.link != nil {
		c.out.asleep = false
		c.link.bell <- struct{}{} // has room: it is rung once for each sleep
	}
}

// write sends what waits until the link ends, or the last word of a polite end is sent.
func (c *Conn) write(l *link) {
	defer close(l.written)
	for b := []byte(nil); ; {
		if b = c.takeOutput(l, b); b == nil {
			l.closeWrite()
			return
		}
		if n, err := l.write(b, c.options.WriteTimeout); err != nil {
			l.unsent = b[sentFrames(b, n):]
			l.fail(err)
			return
		}
	}
}

// takeOutput waits for output and takes all of it; nil: there will be none. done is what it returned before.
func (c *Conn) takeOutput(l *link, done []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done != nil && cap(done) <= 2*c.options.WriteBuffer {
		c.out.spare = done[:0]
	}
	for len(c.out.pending) == 0 {
		if l.leaving {
			return nil
		}
		c.out.asleep = true
		c.mu.Unlock()
		select {
		case <-l.bell:
		case <-l.closed:
		}
		c.mu.Lock()
		if l.why() != nil {
			return nil
		}
	}
	b := c.out.pending
	c.out.pending, c.out.spare = c.out.spare, nil
	c.takenLocked()
	return b
}

// sentFrames tells where the first frame of b begins that was not sent whole, when n bytes were.
func sentFrames(b []byte, n int) int {
	at := 0
	for at < n {
		size, _, err := frame.ParseHeader(b[at:], frame.MaxSize)
		if err != nil || at+frame.HeaderLen+size > n {
			break
		}
		at += frame.HeaderLen + size
	}
	return at
}

// appendPublished appends those frames of b that were published; the others were between the client and a server that is gone.
func appendPublished(dst, b []byte) []byte {
	var m message.Message
	for len(b) > 0 {
		size, n, err := frame.ParseHeader(b, frame.MaxSize)
		if err != nil || n == 0 || len(b) < n+size || message.Parse(b[n:n+size], &m) != nil {
			break // never: it is our own
		}
		if !isInternal(m.Type) {
			dst = append(dst, b[:n+size]...)
		}
		b = b[n+size:]
	}
	return dst
}
