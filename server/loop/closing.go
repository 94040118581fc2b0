package loop

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// ErrStalled is why a closing connection was cut whose peer took none of its output for 30 s.
var ErrStalled = errors.New("loop: the peer takes no output")

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
