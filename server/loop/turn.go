package loop

import (
	"context"
	"time"
)

// turn is what callbacks leave to be done: when the outermost of them returns, or at the end of the turn. It is owned by its
// loop, and holds no more than a loop has connections.
type turn struct {
	loop  *Loop
	depth int       // callbacks on the stack; lists are worked off when it falls to 0
	calls uint      // callbacks since start, to look for room now and then
	asked bool      // the end of the turn is asked for
	now   time.Time // of the outermost callback; zero until somebody asks

	later  []func()   // to be called at the end of the turn
	dirty  []*Conn    // wrote in this callback
	batch  []*Conn    // wrote, with SetBatch, since the last end of a turn
	again  []*Conn    // resumed with input left
	dead   []*Conn    // to be closed
	moving []*arrival // go to another loop
}

// enter begins a callback.
func (t *turn) enter() {
	if t.depth == 0 {
		t.now = time.Time{}
	}
	t.depth++
}

// leave ends a callback. When it is the outermost one, all that the callback set in motion is worked off: input of resumed
// connections, output, closes.
func (t *turn) leave() {
	if t.depth--; t.depth > 0 {
		return
	}
	t.depth++ // what follows may run callbacks of its own
	if t.calls++; t.calls%8 == 0 && len(t.loop.room.conns) > 0 {
		t.loop.room.poll()
	}
	for len(t.again)+len(t.dirty)+len(t.dead)+len(t.moving) > 0 {
		for len(t.moving) > 0 {
			pop(&t.moving).depart()
		}
		for len(t.again) > 0 {
			if c := pop(&t.again); c != nil {
				c.in.queued = false
				c.in.resume()
				c.peer.maybeFinish()
			}
		}
		for len(t.dirty) > 0 {
			if c := pop(&t.dirty); c != nil {
				c.out.queued = false
				c.out.flush()
			}
		}
		for len(t.dead) > 0 {
			pop(&t.dead).bury()
		}
	}
	t.depth--
}

// addDirty has c flushed at the end of the callback.
func (t *turn) addDirty(c *Conn) {
	t.dirty = append(t.dirty, c)
	t.maybeAsk()
}

// addAgain has the unread input of c offered at the end of the callback.
func (t *turn) addAgain(c *Conn) { t.again = append(t.again, c) }

// addDead has c closed at the end of the callback.
func (t *turn) addDead(c *Conn) {
	t.dead = append(t.dead, c)
	t.maybeAsk()
}

// maybeAsk sees to it that the lists are worked off when no callback is on the stack: the end of the turn does it.
func (t *turn) maybeAsk() {
	if t.depth == 0 {
		t.ask()
	}
}

// addBatch has c flushed at the end of the turn.
func (t *turn) addBatch(c *Conn) {
	t.batch = append(t.batch, c)
	t.ask()
}

// ask asks for the end of the turn, once.
func (t *turn) ask() {
	if t.asked {
		return
	}
	if t.loop.el.Execute(context.Background(), t) != nil {
		return // the group is stopping, and flushes each connection as it closes it
	}
	t.asked = true
}

// Later has f called at the end of the turn, before what was written to connections with SetBatch goes out. Loop only.
func (l *Loop) Later(f func()) {
	t := &l.turn
	if t.ask(); t.asked {
		t.later = append(t.later, f)
		return
	}
	f() // the group is stopping: there is no end of this turn
}

// Run is the end of the turn. gnet runs it after the events of the round that follows the one that asked for it.
func (t *turn) Run(context.Context) error {
	t.asked = false
	t.enter()
	for i := 0; i < len(t.later); i++ {
		f := t.later[i]
		t.later[i] = nil
		t.loop.runPosted(f)
	}
	t.later = t.later[:0]
	t.flushBatch()
	t.leave()
	return nil
}

func (t *turn) flushBatch() {
	for i := 0; i < len(t.batch); i++ {
		if c := t.batch[i]; c != nil {
			t.batch[i] = nil
			c.out.queued = false
			c.out.flush()
		}
	}
	t.batch = t.batch[:0]
}

// forget takes a connection that leaves the loop off the lists.
func (t *turn) forget(c *Conn) {
	if c.out.queued {
		drop(t.dirty, c)
		drop(t.batch, c)
	}
	if c.in.queued {
		drop(t.again, c)
	}
	c.out.queued, c.in.queued = false, false
}

// pop takes the last one off the list, which is not empty.
func pop[T any](list *[]*T) *T {
	n := len(*list) - 1
	last := (*list)[n]
	(*list)[n] = nil
	*list = (*list)[:n]
	return last
}

// drop replaces c in list by nil.
func drop(list []*Conn, c *Conn) {
	for i := range list {
		if list[i] == c {
			list[i] = nil
		}
	}
}
