package loop

import "fmt"

// Move takes the connection to another loop with its session, its unread input and its unsent output, at the end of the
// current callback. then runs there, unless the connection ends first. Between the two nobody may touch the connection; timers
// of the session must be stopped. A paused connection stays paused.
func (c *Conn) Move(to *Loop, then func(*Conn)) {
	if c.state != connOpen || c.arrival != nil {
		return
	}
	open := func(c *Conn, err error) Session {
		if err == nil {
			then(c)
		}
		return nil // the session stays
	}
	c.arrival = &arrival{c: c, open: open, to: to, wasPaused: c.in.paused}
	c.in.paused = true // nothing more is offered here; epoll need not know
	c.loop.turn.moving = append(c.loop.turn.moving, c.arrival)
}

// depart carries out a Move, at the end of the callback.
func (a *arrival) depart() {
	c, from := a.c, a.c.loop
	c.in.paused = a.wasPaused
	switch {
	case c.state != connOpen:
		c.arrival = nil
	case a.to == from:
		a.finish()
	case c.sock.gc == nil: // the peer has ended its side: only we know the descriptor
		from.leftBy(c)
		c.state, c.loop = connOpening, a.to
		if !a.to.Post(a.openedOrphan) {
			a.lost(errStopping)
		}
	default:
		a.departFromGnet(from)
	}
}

// departFromGnet moves a connection that gnet reads: gnet closes its descriptor, and gets a duplicate on the other loop.
func (a *arrival) departFromGnet(from *Loop) {
	c := a.c
	fd, err := c.sock.duplicate()
	if err != nil {
		c.arrival = nil
		c.fail(fmt.Errorf("loop: move: %w", err))
		return
	}
	gc := c.sock.gc
	from.leftBy(c)
	c.sock.forget()
	_ = from.el.Close(gc) // its descriptor goes, the duplicate stays; OnClose finds that the connection is not gc's any more
	c.state, c.loop = connOpening, a.to
	a.to.group.background(func() { // ends when gnet has the connection; Stop waits for it
		nc, err := fileConn(fd)
		if err != nil {
			a.lost(fmt.Errorf("loop: move: %w", err))
			return
		}
		a.enrol(nc)
	}, func() { c.sock.fd = fd; a.lost(errStopping) }) // which closes it
}

// openedOrphan is opened for a connection that gnet does not read.
func (a *arrival) openedOrphan() {
	c := a.c
	c.loop.conns[c.id] = c
	if c.sock.fd >= 0 {
		c.loop.room.arm(c, 0)
	}
	if c.state == connOpening {
		a.finish()
	}
}

// leftBy forgets a connection that goes: another loop owns it from now on.
func (l *Loop) leftBy(c *Conn) {
	delete(l.conns, c.id)
	l.turn.forget(c)
	l.room.forget(c)
}
