package loop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// ErrAborted is what a session's Closed gets after Abort(nil).
var ErrAborted = errors.New("loop: aborted")

// ErrStalled is why a closing connection was cut whose peer took none of its output for a minute.
var ErrStalled = errors.New("loop: the peer takes no output")

const (
	closeStall  = time.Minute     // a closing connection whose peer takes nothing for so long is cut
	lingerTime  = 2 * time.Second // how long a closed connection still reads, so that the peer sees our last bytes and no reset
	lingerBytes = 1 << 20         // how much it reads and throws away
)

// ending is what follows Close: the output goes out, then our side is ended, and the peer's is read and thrown away until it
// ends, too. Both have a bound in time: closeStall without progress, and lingerTime.
type ending struct {
	c       *Conn
	timer   Timer
	unacked int // output that the peer had not acknowledged when the timer was set, in bytes
	thrown  int // input thrown away, in bytes; above lingerBytes the connection is closed
}

// Close ends the connection after its output is flushed: our side is ended, the peer's is read and thrown away for a bounded
// time so that it sees our last bytes, then the socket is closed. Closed follows, with nil.
func (c *Conn) Close() {
	switch c.state {
	case connOpening:
		c.fail(nil)
	case connOpen:
		c.state = connFlushing
		c.ending = &ending{c: c}
		c.ending.timer.Init(c.loop, c.ending.timeUp)
		c.in.release()
		c.out.queue()
	}
}

// EndOutput ends our side after the output is flushed, and goes on reading: the peer may still have something to say. Writes do nothing
// from then on. The session closes the connection when it is done with it.
func (c *Conn) EndOutput() {
	if c.state == connOpen && !c.out.ends {
		c.out.ends = true
		c.out.queue()
	}
}

// maybeEnd tells the peer that no output follows, when the session has ended it and all of it has left.
func (o *output) maybeEnd() {
	if !o.ends || o.ended || o.c.Pending() > 0 {
		return
	}
	o.ended = true
	if err := o.c.sock.endOurSide(); err != nil {
		o.c.fail(err)
	}
}

// Abort closes at once. Output is dropped and the peer sees a reset, so that it cannot take what it has for the whole.
// Closed follows, with err, or ErrAborted when err is nil.
func (c *Conn) Abort(err error) {
	if c.state >= connDead {
		return
	}
	if err == nil {
		err = ErrAborted
	}
	c.sock.resetOnClose()
	c.fail(err)
}

// goOn takes a closing connection further, after a flush.
func (e *ending) goOn() {
	c := e.c
	if c.Pending() > 0 {
		if !e.timer.Armed() {
			e.unacked = c.Unacked()
			e.timer.Arm(closeStall)
		}
		return
	}
	if c.sock.gc == nil || c.peer.ended {
		c.fail(nil)
		return
	}
	if err := c.sock.endOurSide(); err != nil {
		c.fail(nil) // the peer is gone
		return
	}
	c.state = connLingering
	if c.in.paused {
		c.in.paused = false
		c.in.setMask()
	}
	e.timer.Arm(lingerTime)
}

func (e *ending) timeUp() {
	switch e.c.state {
	case connFlushing:
		e.checkStall()
	case connLingering:
		e.c.fail(nil)
	}
}

// checkStall cuts a connection whose peer has taken nothing since the last look. What counts is what the peer has acknowledged:
// the kernel takes more from us only when a good part of its buffer is free, which a slow reader needs minutes for.
func (e *ending) checkStall() {
	n := e.c.Unacked()
	if n >= e.unacked {
		e.c.Abort(ErrStalled)
		return
	}
	e.unacked = n
	e.timer.Arm(closeStall)
}

// throwAway counts n bytes of input that nobody gets.
func (e *ending) throwAway(n int) {
	if e.thrown += n; e.thrown > lingerBytes {
		e.c.fail(nil)
	}
}

// fail marks the connection as broken; it is closed at the end of the callback. An earlier error stands when err is nil.
func (c *Conn) fail(err error) {
	if c.state >= connDead {
		return
	}
	c.state = connDead
	if err != nil {
		c.err = err
	}
	c.loop.turn.addDead(c)
}

// bury closes a dead connection's descriptor.
func (c *Conn) bury() {
	if c.sock.gc != nil {
		_ = c.loop.el.Close(c.sock.gc) // comes back as OnClose; an error names a descriptor that is gone already
		return
	}
	c.finish(c.err)
}

// finish is the end: everything is given back and the session hears of it.
func (c *Conn) finish(err error) {
	if c.state == connClosed {
		return
	}
	c.loop.room.forget(c)
	if c.ending != nil {
		c.ending.timer.Stop()
	}
	delete(c.loop.conns, c.id)
	farewell(c, err)
}

// farewell is the part of finish that touches nothing of the loop's: it is all there is to do for a connection that never came to one.
func farewell(c *Conn, err error) {
	c.state = connClosed
	if c.sock.gc == nil && c.sock.fd >= 0 {
		if c.Pending() > 0 {
			c.sock.resetOnClose()
		}
		unix.Close(c.sock.fd)
	}
	c.sock.forget()
	c.in.release()
	c.out.release()
	c.loop.group.stats.open.Add(-1)
	if c.acceptor != nil {
		c.acceptor.open.Add(-1)
	}
	if c.arrival != nil { // never came to its loop
		c.arrival.fail(err)
	}
	if c.session.own != nil {
		c.session.closed(c, err)
	}
	c.session, c.tls = guarded{}, nil
}
