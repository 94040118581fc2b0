package loop

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Move takes the connection to another loop with its session, its unread input and its unsent output, at the end of the
// current callback. then runs there, unless the connection ends first. Between the two nobody may touch the connection; timers
// of the session must be stopped. A paused connection stays paused.
func (c *Conn) Move(to *Loop, then func(*Conn)) {
	if c.state != connOpen || c.moveTo != nil {
		return
	}
	c.moveTo, c.open = to, func(c *Conn, err error) Session {
		if err == nil {
			then(c)
		}
		return nil
	}
	c.staysPaused, c.paused = c.paused, true // nothing more is offered here; epoll need not know
	c.loop.turn.moving = append(c.loop.turn.moving, c)
}

// leaveLoop carries out a Move.
func (c *Conn) leaveLoop() {
	from, to := c.loop, c.moveTo
	c.moveTo, c.paused = nil, c.staysPaused
	switch {
	case c.state != connOpen:
		c.open = nil
	case to == from:
		c.start()
	case c.gc == nil: // the peer has ended its side: only we know the descriptor
		from.turn.forget(c)
		delete(from.conns, c.id)
		from.room.forget(c)
		c.state, c.loop = connOpening, to
		if !to.Post(c.openedOrphan) {
			c.lost(errStopping)
		}
	default:
		c.takeDuplicate(from, to)
	}
}

// takeDuplicate moves a connection that gnet reads: gnet closes its descriptor, and gets a duplicate on the other loop.
func (c *Conn) takeDuplicate(from, to *Loop) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		c.open = nil
		c.fail(fmt.Errorf("loop: move: %w", err))
		return
	}
	gc := c.gc
	from.turn.forget(c)
	delete(from.conns, c.id)
	c.gone()
	_ = from.el.Close(gc) // its descriptor goes, the duplicate stays; onClose finds that the connection is not gc's any more
	c.state, c.loop = connOpening, to
	to.group.background(func() { // ends when gnet has the connection; Stop waits for it
		nc, err := fileConn(fd)
		if err != nil {
			c.lost(fmt.Errorf("loop: move: %w", err))
			return
		}
		c.enrol(nc)
	}, func() { c.fd = fd; c.lost(errStopping) }) // which closes it
}

// openedOrphan is opened for a connection that gnet does not read.
func (c *Conn) openedOrphan() {
	c.loop.conns[c.id] = c
	if c.fd >= 0 {
		c.loop.room.arm(c, 0)
	}
	if c.state == connOpening {
		c.start()
	}
}
