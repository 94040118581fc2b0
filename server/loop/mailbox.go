package loop

import (
	"context"
)

// Post queues f to run on l, after everything posted before it. Any goroutine may call it.
// False means that l is stopping: f will not run and the caller keeps what it wanted to hand over.
//
// The queue is ours because gnet's Execute reorders under load; Execute is only the bell.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if len(l.mail) == 0 && l.el.Execute(context.Background(), (*mailBell)(l)) != nil {
		return false
	}
	l.mail = append(l.mail, f)
	return true
}

// closeMailbox lets no more letters in.
func (l *Loop) closeMailbox() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
}

// readLast reads, in the place of the loop that has ended, the letters that came before closeMailbox and were not read, and ends
// the connections that they left.
func (l *Loop) readLast() {
	_ = (*mailBell)(l).Run(context.Background()) // never fails
	l.depth++
	for _, c := range l.conns {
		c.cut()
	}
	l.leave()
}

// mailBell is a Loop seen as the task that empties its mailbox.
type mailBell Loop

// Run empties the mailbox. Letters that arrive meanwhile ring again.
func (b *mailBell) Run(context.Context) error {
	l := (*Loop)(b)
	l.mu.Lock()
	mail := l.mail
	l.mail, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	l.depth++
	for i, f := range mail {
		mail[i] = nil
		l.runPosted(f)
	}
	const keep = 4096 // letters: a burst's slice is not kept for ever
	if cap(mail) <= keep {
		l.spare = mail[:0]
	}
	l.leave()
	return nil
}

func (l *Loop) runPosted(f func()) {
	defer func() {
		if r := recover(); r != nil {
			l.group.panicked("panic in a posted function or a timer", r)
		}
	}()
	f()
}

// turnBell is a Loop seen as the task that ends a turn.
type turnBell Loop

// Run flushes what was batched. gnet runs it after the events of the round that follows the one that asked for it.
func (b *turnBell) Run(context.Context) error {
	l := (*Loop)(b)
	l.turning = false
	l.depth++
	l.flushBatch()
	l.leave()
	return nil
}

// askTurn asks for the end of the turn, once.
func (l *Loop) askTurn() {
	if l.turning {
		return
	}
	if l.el.Execute(context.Background(), (*turnBell)(l)) != nil {
		return // the group is stopping, and flushes each connection as it closes it
	}
	l.turning = true
}

// leave ends a callback. When it is the outermost one, all that the callback set in motion is worked off: input of resumed
// connections, output, closes.
func (l *Loop) leave() {
	if l.depth--; l.depth > 0 {
		return
	}
	l.depth++ // what follows may run callbacks of its own
	if l.calls++; len(l.blocked) > 0 && l.calls%8 == 0 {
		l.pollBlocked()
	}
	for len(l.again)+len(l.dirty)+len(l.dead)+len(l.moving) > 0 {
		for len(l.moving) > 0 {
			pop(&l.moving).leaveLoop()
		}
		for len(l.again) > 0 {
			if c := pop(&l.again); c != nil {
				c.queuedAgain = false
				c.feed(nil)
				c.maybeEndHungUp()
			}
		}
		for len(l.dirty) > 0 {
			if c := pop(&l.dirty); c != nil {
				c.queuedOut = false
				c.flush()
			}
		}
		for len(l.dead) > 0 {
			pop(&l.dead).bury()
		}
	}
	l.depth--
}

func pop(list *[]*Conn) *Conn {
	n := len(*list) - 1
	c := (*list)[n]
	(*list)[n] = nil
	*list = (*list)[:n]
	return c
}
