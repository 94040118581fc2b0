package loop

import (
	"errors"
	"runtime/debug"
)

// guarded is a session whose panics close its connection and end nothing else. All calls into a session but
// Data (in input.data) are made here.
type guarded struct {
	own     Session // nil before there is one and after its Closed
	flusher Flusher // own, when it is one
}

// set replaces the session.
func (g *guarded) set(s Session) {
	g.own = s
	g.flusher, _ = s.(Flusher)
}

// open calls the function that an arrival brings.
func (*guarded) open(c *Conn, f func(*Conn, error) Session, err error) Session {
	defer contain(c)
	return f(c, err)
}

func (g *guarded) beforeFlush(c *Conn) {
	defer contain(c)
	g.flusher.BeforeFlush(c)
}

func (g *guarded) drained(c *Conn) {
	defer contain(c)
	g.own.Drained(c)
}

func (g *guarded) inputClosed(c *Conn) bool {
	ic, ok := g.own.(InputCloser)
	if !ok {
		return false
	}
	defer contain(c)
	return ic.InputClosed(c)
}

func (g *guarded) closed(c *Conn, err error) {
	defer contain(c)
	g.own.Closed(c, err)
}

// contain is deferred around every call of foreign code for c.
func contain(c *Conn) {
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
