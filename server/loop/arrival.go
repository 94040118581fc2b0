package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// arrival is the way of a connection to its loop, after it was accepted, dialled or adopted, and for a move. It ends on the loop,
// with exactly one call of open.
type arrival struct {
	c    *Conn
	open func(*Conn, error) Session // gets the connection, or the error that kept it from its loop
	came bool                       // written by the loop before gnet reports the end of the enrolment, read after it

	// Of an accepted connection with TLS: AcceptOptions.Preface, or nil.
	preface func(remote net.Addr, id uint64) []byte
	// Of a move.
	to        *Loop
	wasPaused bool // and is to be when it comes
}

// newArrival makes a connection of l that is not there yet. nc may be nil when it is not known yet. Any goroutine.
func newArrival(l *Loop, nc net.Conn, open func(*Conn, error) Session) *arrival {
	c := newConn(l)
	c.address.peer = remoteOf(nc)
	c.arrival = &arrival{c: c, open: open}
	return c.arrival
}

func remoteOf(nc net.Conn) (remote netip.AddrPort) {
	if nc == nil {
		return remote
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return remote
}

// enrol gives nc to gnet, on the connection's loop. It blocks for a moment: never call it on a loop.
func (a *arrival) enrol(nc net.Conn) {
	if err := a.tryEnrol(nc); err != nil {
		a.c.loop.group.stats.acceptErrors.Add(1)
		a.lost(fmt.Errorf("loop: enrol: %w", err))
	}
}

// tryEnrol is enrol with an error; then nc is closed.
func (a *arrival) tryEnrol(nc net.Conn) error {
	if nc.RemoteAddr() == nil { // gnet would panic on it
		nc.Close()
		return unix.ECONNRESET
	}
	ch, err := a.c.loop.el.Enroll(gnet.NewContext(context.Background(), a), nc)
	if err != nil {
		nc.Close()
		return err
	}
	if r := <-ch; r.Err != nil {
		return r.Err
	}
	if !a.came { // gnet keeps it to itself when its epoll refuses the descriptor
		return errors.New("gnet refused the connection")
	}
	return nil
}

// lost ends a connection that never came to its loop. Any goroutine.
func (a *arrival) lost(err error) {
	c := a.c
	if !c.loop.Post(func() { c.fail(err) }) {
		c.loop.group.afterLoops(func() { farewell(c, err) })
	}
}

// opened ties the connection to gnet's, on its loop.
func (a *arrival) opened(gc gnet.Conn) {
	c := a.c
	a.came = true
	gc.SetContext(c)
	if c.state == connClosed { // before it came here
		_ = c.loop.el.Close(gc) // OnClose finds that c is not gc's
		return
	}
	c.sock = socket{gc, gc.Fd()}
	c.loop.conns[c.id] = c
	if c.in.paused {
		c.in.setMask()
	}
	if c.state != connOpening { // it is on the list of the dead
		return
	}
	if c.session.own == nil {
		c.loop.group.stats.opened.Add(1)
	}
	a.finish()
}

// finish makes the connection serve: it is on its loop.
func (a *arrival) finish() {
	c := a.c
	c.state, c.arrival = connOpen, nil
	s := c.session.open(c, a.open, nil)
	if s == nil && c.session.own == nil {
		c.fail(nil)
		return
	}
	if s != nil {
		c.SetSession(s)
	}
	c.out.queue()
	c.Again()
}

// fail tells that the connection will not come. It touches nothing of the loop's.
func (a *arrival) fail(err error) {
	c := a.c
	c.arrival = nil
	if err == nil {
		err = ErrAborted
	}
	c.session.open(c, a.open, err)
}
