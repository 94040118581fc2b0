package loop

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// peerEnd is what becomes of a connection whose peer has ended its side, or has hung up. gnet closes its descriptor then,
// whatever is unsent or unread. A connection that goes on lives on a duplicate as an orphan: for output, which the room watches.
type peerEnd struct {
	c      *Conn
	ended  bool // its side has ended; the session knows, or is closing
	keeps  bool // what InputClosed said
	hungUp bool // it is gone altogether; unread input is left
}

// InputEnded tells that the peer has ended its side: no Data will follow but for what is left unread.
func (c *Conn) InputEnded() bool { return c.peer.ended }

// lastWord follows gnet's last word about the connection. The descriptor is closed when it returns, unless it is duplicated here.
func (p *peerEnd) lastWord(err error) {
	c := p.c
	eof := errors.Is(err, io.EOF)
	switch {
	case c.state == connDead, c.state == connLingering:
		err = c.err
	case eof && c.in.paused: // it is not read, so this was a hang-up
		if err = p.hangUp(); err == nil {
			return
		}
	case eof:
		if p.endOfStream() {
			return
		}
		err = c.err
	}
	c.loop.room.forget(c)
	c.sock.forget()
	c.finish(err)
}

// endOfStream follows the end of the peer's side. True means that the connection goes on without gnet.
func (p *peerEnd) endOfStream() bool {
	c := p.c
	keep := false
	if c.state == connOpen {
		if keep = p.tell(); !keep && c.state == connOpen && c.Pending() > 0 {
			c.Close()
		}
	}
	p.ended = true
	if c.state == connFlushing {
		keep = c.Pending() > 0
	}
	return keep && p.orphan()
}

// tell tells the session, once, that the peer has ended its side, and reports whether it wants to go on.
func (p *peerEnd) tell() bool {
	if !p.ended {
		p.ended = true
		p.keeps = p.c.session.inputClosed(p.c)
	}
	return p.keeps && p.c.state < connDead
}

// orphan keeps the connection for output after gnet has closed its own descriptor.
func (p *peerEnd) orphan() bool {
	c := p.c
	fd, err := c.sock.duplicate()
	if err != nil {
		c.err = err
		c.sock.resetOnClose()
		return false
	}
	room, wasBlocked := &c.loop.room, c.out.blocked
	room.forget(c)
	c.sock = socket{nil, fd}
	if wasBlocked {
		room.block(c)
	} else {
		room.arm(c, 0)
	}
	c.out.queue()
	return true
}

// hangUp follows a hang-up of a paused connection. A reset is returned as an error. A peer on a Unix socket that has closed
// both sides hangs up, too, and its last bytes are still to be read: they are kept for Resume, no more than a receive buffer.
func (p *peerEnd) hangUp() error {
	c := p.c
	if err := c.sock.broken(); err != nil {
		return err
	}
	if c.state != connOpen || p.ended {
		return unix.ECONNRESET
	}
	c.in.readRest()
	c.loop.room.forget(c)
	c.sock.forget()
	p.goneForOutput()
	return nil
}

// hangUpOrphan is hangUp for a connection whose input has ended before.
func (p *peerEnd) hangUpOrphan(broken bool) {
	c := p.c
	if broken || !c.in.paused || c.Unread() == 0 || c.state != connOpen {
		c.fail(unix.ECONNRESET)
		return
	}
	c.loop.room.forget(c)
	unix.Close(c.sock.fd)
	c.sock.forget()
	p.goneForOutput()
}

// goneForOutput drops the output: nobody is there to take it.
func (p *peerEnd) goneForOutput() {
	p.hungUp = true
	p.c.out.release()
	p.c.out.above = false
}

// maybeFinish ends a connection whose peer has hung up, when its session has got all that was left.
func (p *peerEnd) maybeFinish() {
	c := p.c
	if !p.hungUp || c.state != connOpen || c.in.paused || c.in.queued {
		return
	}
	if p.tell() {
		c.fail(unix.ECONNRESET) // it would go on, but nobody is there
		return
	}
	c.fail(nil)
}

// flush is what comes of a flush of the output after a hang-up.
func (p *peerEnd) flush() {
	c := p.c
	switch {
	case c.state == connFlushing:
		c.fail(nil)
	case c.Pending() > 0:
		c.fail(unix.EPIPE)
	}
}
