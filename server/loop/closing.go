package loop

import (
	"errors"
	"time"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// ErrStalled is why a closing connection was cut whose peer took none of its output for 30 s.
var ErrStalled = errors.New("loop: the peer takes no output")

// Close ends the connection after its output is flushed: our side is ended, the peer's is read and thrown away for a bounded
// time so that it sees our last bytes, then the socket is closed. Closed follows, with nil.
func (c *Conn) Close() {
	if c.state == connOpening {
		c.fail(nil)
		return
	}
	if c.state != connOpen {
		return
	}
	c.state = connFlushing
	c.releaseIn()
	c.queueOut()
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
	c.resetOnClose()
	c.fail(err)
}

// resetOnClose makes the peer see a reset: what it has got is not the whole.
func (c *Conn) resetOnClose() {
	if c.fd >= 0 {
		// A Unix socket knows no linger; it is closed all the same.
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
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
	switch {
	case c.state == connClosed:
	case c.gc != nil:
		_ = c.loop.el.Close(c.gc) // comes back as onClose; an error names a descriptor that is gone already
	default:
		c.finish(c.err)
	}
}

// finish is the end: everything is given back and the session hears of it.
func (c *Conn) finish(err error) {
	if c.state == connClosed {
		return
	}
	c.loop.room.forget(c)
	if c.timer != nil {
		c.timer.Stop()
	}
	delete(c.loop.conns, c.id)
	c.sayFarewell(err)
}

// sayFarewell is the part of finish that touches nothing of the loop's.
func (c *Conn) sayFarewell(err error) {
	c.state = connClosed
	if c.gc == nil && c.fd >= 0 {
		if c.Pending() > 0 {
			c.resetOnClose()
		}
		unix.Close(c.fd)
	}
	c.gc, c.fd = nil, -1
	c.releaseIn()
	c.releaseOut()
	c.loop.group.stats.open.Add(-1)
	if c.acceptor != nil {
		c.acceptor.open.Add(-1)
	}
	if c.open != nil { // never came to its loop
		c.callOpen(orAborted(err))
	}
	if c.session != nil {
		c.callClosed(err)
	}
	c.session, c.flusher, c.tls = nil, nil, nil
}

func orAborted(err error) error {
	if err == nil {
		return ErrAborted
	}
	return err
}

func (c *Conn) releaseIn() {
	if c.in != nil {
		bytebufferpool.Put(c.in)
		c.in, c.taken = nil, 0
	}
}

func (c *Conn) releaseOut() {
	if c.out != nil {
		bytebufferpool.Put(c.out)
		c.out = nil
	}
	c.sent = 0
}

// goOnClosing takes a closing connection further: when the output is gone our side is ended, and the peer's is waited for.
func (c *Conn) goOnClosing() {
	if c.Pending() > 0 {
		if c.timer == nil {
			c.setTimer(closeStall, c.checkStall)
			c.stalled = c.Pending()
		}
		return
	}
	if c.gc == nil || c.inputEnded {
		c.fail(nil)
		return
	}
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		c.fail(nil) // the peer is gone
		return
	}
	c.state = connLingering
	if c.paused {
		c.paused = false
		c.setMask()
	}
	c.setTimer(lingerTime, func() { c.fail(nil) })
}

// checkStall cuts a closing connection whose peer has taken nothing since the last look.
func (c *Conn) checkStall() {
	if c.state != connFlushing {
		return
	}
	if c.Pending() >= c.stalled {
		c.Abort(ErrStalled)
		return
	}
	c.stalled = c.Pending()
	c.timer.Arm(closeStall)
}

// cut ends the connection at once, at the end of Stop's time.
func (c *Conn) cut() {
	if c.Pending() > 0 {
		c.Abort(errStopping)
		return
	}
	c.fail(nil)
}

func (c *Conn) setTimer(d time.Duration, f func()) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = c.loop.NewTimer(f)
	c.timer.Arm(d)
}
