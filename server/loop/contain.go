package loop

import (
	"errors"
	"runtime/debug"
)

// The calls into a session. A panic in one closes its connection and ends nothing else.

func (c *Conn) callData(b []byte) (n int, ok bool) {
	defer c.contain()
	c.inData, c.wantsAgain, c.mayAgain = true, false, false
	n, err := c.session.Data(c, b)
	c.inData = false
	if uint(n) > uint(len(b)) {
		panic("BUG: Data took more than there was")
	}
	if err != nil {
		c.err = err
		c.Close()
		return 0, false
	}
	if n < len(b) && (c.wantsAgain || c.mayAgain && n > 0) {
		c.queueAgain()
	}
	return n, c.state == connOpen
}

func (c *Conn) callBeforeFlush() {
	defer c.contain()
	c.flusher.BeforeFlush(c)
}

func (c *Conn) callDrained() {
	defer c.contain()
	c.session.Drained(c)
}

func (c *Conn) callInputClosed() bool {
	ic, ok := c.session.(InputCloser)
	if !ok {
		return false
	}
	defer c.contain()
	return ic.InputClosed(c)
}

func (c *Conn) callOpenSession(open func(*Conn, error) Session) Session {
	defer c.contain()
	return open(c, nil)
}

func (c *Conn) callOpen(err error) {
	defer c.contain()
	open := c.open
	c.open = nil
	open(c, err)
}

func (c *Conn) callClosed(err error) {
	defer c.contain()
	c.session.Closed(c, err)
}

// contain is deferred around every call into a session.
func (c *Conn) contain() {
	r := recover()
	if r == nil {
		return
	}
	c.loop.group.panicked("panic in a session; its connection is closed", r, "conn", c.id)
	c.Abort(errPanic)
}

// panicked counts and logs a panic. Any goroutine.
func (g *Group) panicked(what string, r any, more ...any) {
	g.stats.panics.Add(1)
	g.log.Error(what, append([]any{"panic", r, "stack", string(debug.Stack())}, more...)...)
}

var errPanic = errors.New("loop: the session panicked")
