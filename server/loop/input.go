package loop

import (
	"errors"
	"io"

	"github.com/panjf2000/gnet/v2"
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"
)

// handler is what gnet calls.
type handler struct{ gnet.BuiltinEventEngine }

// OnOpen runs on the loop that a connection was enrolled into.
func (*handler) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	if e, ok := gc.Context().(*enrolment); ok {
		e.came = true
		gc.SetContext(e.c)
		l := e.c.loop
		l.turn.enter()
		e.c.opened(gc)
		l.turn.leave()
	}
	return nil, gnet.None
}

// OnTraffic has new input in gnet's buffer. All of it is taken every time: gnet would keep the rest without a limit.
func (*handler) OnTraffic(gc gnet.Conn) gnet.Action {
	b, _ := gc.Next(-1) // cannot fail: -1 takes what there is
	if c, ok := gc.Context().(*Conn); ok {
		l := c.loop // a Move in leave changes the connection's
		l.turn.enter()
		l.bytesIn.Add(int64(len(b)))
		c.received(b)
		l.turn.leave()
	}
	return gnet.None
}

// OnClose is called for whatever reason gnet stops reading a connection; the descriptor is still open.
func (*handler) OnClose(gc gnet.Conn, err error) gnet.Action {
	if c, ok := gc.Context().(*Conn); ok && c.gc == gc {
		l := c.loop
		l.turn.enter()
		c.ended(err)
		l.turn.leave()
	}
	return gnet.None
}

// opened ties the connection to gnet's, and asks for its session.
func (c *Conn) opened(gc gnet.Conn) {
	if c.state == connClosed { // before it came here
		_ = c.loop.el.Close(gc) // onClose finds that c is not gc's
		return
	}
	c.gc, c.fd = gc, gc.Fd()
	c.loop.conns[c.id] = c
	if c.state != connOpening { // it is on the list of the dead
		return
	}
	if c.paused {
		c.setMask()
	}
	if c.session == nil {
		c.loop.group.stats.opened.Add(1)
	}
	c.start()
}

// start makes the connection serve: it is on its loop.
func (c *Conn) start() {
	c.state = connOpen
	if open := c.open; open != nil {
		c.open = nil
		s := c.callOpenSession(open)
		if s == nil && c.session == nil {
			c.fail(nil)
			return
		}
		if s != nil {
			c.SetSession(s)
		}
	}
	c.queueOut()
	c.Again()
}

// received takes b, which is valid until it returns.
func (c *Conn) received(b []byte) {
	switch c.state {
	case connOpen:
	case connLingering:
		if c.thrown += len(b); c.thrown > lingerBytes {
			c.fail(nil)
		}
		return
	default:
		return
	}
	if c.tls != nil {
		c.tls.incoming(b)
		b = nil
	}
	c.feed(b)
}

// feed offers what is unread, and b after it, to the session.
func (c *Conn) feed(b []byte) {
	if c.tls != nil {
		c.tls.pump(c)
		return
	}
	c.offer(b)
}

// offer gives the session what was left unread and then b. Left-over bytes are joined with as little of b as completes them,
// so that the bulk of b is never copied.
func (c *Conn) offer(b []byte) {
	if c.state != connOpen {
		return
	}
	if c.paused {
		c.keep(b)
		return
	}
	if c.Unread() > 0 {
		if b = c.offerJoined(b); b == nil {
			return
		}
	}
	if len(b) == 0 || c.state != connOpen {
		return
	}
	if c.paused {
		c.keep(b)
		return
	}
	if n, ok := c.callData(b); ok && n < len(b) {
		c.keep(b[n:])
	}
}

// offerJoined works off the left-over bytes. It returns what is then unread of b, or nil when all of b is kept or gone.
func (c *Conn) offerJoined(b []byte) []byte {
	const first = 512 // bytes: completes most left-overs, which are parts of a line or of a frame's header
	for take := min(first, len(b)); ; take = min(2*take, len(b)) {
		c.compactIn()
		left, from := c.in, c.taken
		c.in, c.taken = nil, 0
		old := len(left.B)
		left.B = append(left.B, b[:take]...)
		n, ok := c.callData(left.B[from:])
		if !ok {
			bytebufferpool.Put(left)
			return nil
		}
		if from+n >= old { // the left-over bytes are gone: go on in b itself
			bytebufferpool.Put(left)
			if take < len(b) {
				return b[from+n-old:]
			}
			c.keep(b[from+n-old:]) // the session has seen it
			return nil
		}
		left.B = left.B[:old]
		c.in, c.taken = left, from+n
		if take == len(b) || c.paused || n > 0 {
			c.keep(b)
			if n > 0 && take < len(b) {
				c.Again() // the session has not seen all of it
			}
			return nil
		}
	}
}

// compactIn moves the unread input to the front when that is worth the copy.
func (c *Conn) compactIn() {
	if c.taken > len(c.in.B)/2 {
		n := copy(c.in.B, c.in.B[c.taken:])
		c.in.B, c.taken = c.in.B[:n], 0
	}
}

// keep stores input that the session has not taken.
func (c *Conn) keep(b []byte) {
	if len(b) == 0 || c.state != connOpen {
		return
	}
	if c.in == nil {
		c.in = bytebufferpool.Get()
	}
	c.in.B = append(c.in.B, b...)
}

// ended follows gnet's last word about the connection. The descriptor is closed when it returns, unless it is duplicated here.
func (c *Conn) ended(err error) {
	eof := errors.Is(err, io.EOF)
	switch {
	case c.state == connDead, c.state == connLingering:
		err = c.err
	case eof && c.paused: // it is not read, so this was a hang-up
		if err = c.hangUp(); err == nil {
			return
		}
	case eof:
		if c.endedBySide() {
			return
		}
		err = c.err
	}
	c.gone()
	c.finish(err)
}

// endedBySide follows the end of the peer's side. True means that the connection goes on without gnet.
func (c *Conn) endedBySide() bool {
	keep := false
	if c.state == connOpen {
		if keep = c.endInput(); !keep && c.state == connOpen && c.Pending() > 0 {
			c.Close()
		}
	}
	c.inputEnded = true
	if c.state == connFlushing {
		keep = c.Pending() > 0
	}
	return keep && c.orphan()
}

// endInput tells the session, once, that the peer has ended its side, and reports whether it wants to go on.
func (c *Conn) endInput() bool {
	if !c.inputEnded {
		c.inputEnded = true
		c.keeps = c.callInputClosed()
	}
	return c.keeps && c.state < connDead
}

// gone forgets a descriptor that gnet is about to close.
func (c *Conn) gone() {
	c.loop.room.forget(c)
	c.gc, c.fd = nil, -1
}

// orphan keeps the connection for output after gnet has closed its own descriptor.
func (c *Conn) orphan() bool {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		c.err = err
		c.resetOnClose()
		return false
	}
	wasBlocked := c.isBlocked
	c.loop.room.forget(c)
	c.gc, c.fd = nil, fd
	if wasBlocked {
		c.loop.room.block(c)
	} else {
		c.loop.room.arm(c, 0)
	}
	c.queueOut()
	return true
}
