package loop

import "golang.org/x/sys/unix"

// hangUp follows a hang-up of a paused connection. A reset is returned as an error. A peer on a Unix socket that has closed
// both sides hangs up, too, and its last bytes are still to be read: they are kept for Resume, no more than a receive buffer.
func (c *Conn) hangUp() error {
	if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
		return err
	} else if code != 0 {
		return unix.Errno(code)
	}
	if c.state != connOpen || c.inputEnded {
		return unix.ECONNRESET
	}
	c.readRest()
	c.gone()
	c.releaseOut()
	c.hungUp, c.above = true, false
	return nil
}

// orphanHangUp is hangUp for a connection whose input has ended before.
func (c *Conn) orphanHangUp(broken bool) {
	if broken || !c.paused || c.Unread() == 0 || c.state != connOpen {
		c.fail(unix.ECONNRESET)
		return
	}
	c.loop.room.forget(c)
	unix.Close(c.fd)
	c.fd = -1
	c.releaseOut()
	c.hungUp, c.above = true, false
}

// readRest reads what the socket holds into the unread input.
func (c *Conn) readRest() {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(c.fd, buf)
		switch {
		case n > 0 && c.tls != nil:
			c.tls.mem.kept = append(c.tls.mem.kept, buf[:n]...)
		case n > 0:
			c.keep(buf[:n])
		case err != unix.EINTR:
			return
		}
		c.loop.bytesIn.Add(int64(max(n, 0)))
	}
}

// maybeEndHungUp ends a connection whose peer has hung up, when its session has got all that was left.
func (c *Conn) maybeEndHungUp() {
	if !c.hungUp || c.state != connOpen || c.paused || c.queuedAgain {
		return
	}
	if c.endInput() {
		c.fail(unix.ECONNRESET) // it would go on, but nobody is there
		return
	}
	c.fail(nil)
}

// flushHungUp is flush for a connection whose peer has hung up.
func (c *Conn) flushHungUp() {
	switch {
	case c.state == connFlushing:
		c.fail(nil)
	case c.Pending() > 0:
		c.fail(unix.EPIPE)
	}
}
