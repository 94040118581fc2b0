package pubsub

import (
	"context"
	"fmt"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

// output is what waits to be written. It is guarded by Conn.mu; only the link's writer takes from it.
//
// It is written as soon as the network takes it. What is published while a write is under way gathers and goes with the next one: the
// busier the connection, the larger the pieces.
type output struct {
	// Fixed at Connect.
	prefix string // default subject prefix

	link       *link // nil: there is none
	maxMessage int   // what the server takes, in bytes

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

// lockFor locks mu when size more bytes of output may wait; it waits for room as long as there is a connection. Nothing is locked
// after an error: ErrClosed, ErrBufferFull, that of ctx. A size of 0 needs room only where others wait for it.
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
		case c.out.link == nil:
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

// freed lets everybody look again who waits for room.
func (o *output) freed() {
	if o.taken != nil {
		close(o.taken)
		o.taken = nil
	}
}

// append puts a message of the connection itself into the output, whatever waits. write appends it without a frame header.
func (o *output) append(write func(dst []byte) []byte) {
	start := len(o.pending)
	o.pending = message.EndFrame(write(message.BeginFrame(o.pending)), start)
	o.ring()
}

// ring wakes the writer.
func (o *output) ring() {
	if o.asleep && o.link != nil {
		o.asleep = false
		o.link.bell <- struct{}{} // has room: it is rung once for each sleep
	}
}

// maxAsked bounds those who wait for a sign of life of the server.
const maxAsked = 100_000

// ask asks the server for a sign of life; waits, unless it is nil, is told. There is a link.
func (o *output) ask(waits chan error) {
	if len(o.link.asked) >= maxAsked && waits != nil {
		waits <- fmt.Errorf("pubsub: %d calls wait for the server, more may not", maxAsked)
		return
	}
	o.link.asked = append(o.link.asked, waits)
	o.append(func(dst []byte) []byte {
		return message.Append(dst, &message.Message{Type: message.TypeKeepAliveCall})
	})
}

// canonical returns the full form of a name. It is valid until the next call.
func (o *output) canonical(name string) ([]byte, error) {
	o.given = append(o.given[:0], name...)
	full, err := subject.Canonical(o.name[:0], o.prefix, o.given)
	if err != nil {
		return nil, fmt.Errorf("pubsub: subject %q: %w", name, err)
	}
	o.name = full
	return full, nil
}

// send sends what waits until the link ends, or the last word of a polite end is sent.
func (l *link) send() {
	defer close(l.written)
	for b := []byte(nil); ; {
		if b = l.takeOutput(b); b == nil {
			l.closeWrite()
			return
		}
		if n, err := l.write(b, l.conn.options.WriteTimeout); err != nil {
			l.unsent = b[sentFrames(b, n):]
			l.fail(err)
			return
		}
	}
}

// takeOutput waits for output and takes all of it; nil: there will be none. done is what it returned before.
func (l *link) takeOutput(done []byte) []byte {
	c := l.conn
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
	c.out.freed()
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
