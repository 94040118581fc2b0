package loop

import (
	"context"
	"sync"
)

// mailbox holds the functions that were posted to a loop and have not run. It has no bound: who posts without end has to keep
// one of its own.
type mailbox struct {
	loop *Loop

	mu      sync.Mutex // guards letters and closed
	letters []func()
	closed  bool

	spare []func() // owned by the loop: the slice that letters is swapped with
}

// Post queues f to run on l, after everything posted before it. Any goroutine may call it.
// False means that l is stopping: f will not run and the caller keeps what it wanted to hand over.
//
// The queue is ours because gnet's Execute reorders under load; Execute is only the bell.
func (l *Loop) Post(f func()) bool {
	m := &l.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	if len(m.letters) == 0 && l.el.Execute(context.Background(), m) != nil {
		return false
	}
	m.letters = append(m.letters, f)
	return true
}

// close lets no more letters in.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
}

// Run empties the mailbox: gnet calls it when the bell was rung. Letters that arrive meanwhile ring again.
func (m *mailbox) Run(context.Context) error {
	m.mu.Lock()
	letters := m.letters
	m.letters, m.spare = m.spare[:0], nil
	m.mu.Unlock()
	l := m.loop
	l.turn.enter()
	for i, f := range letters {
		letters[i] = nil
		l.runPosted(f)
	}
	const keep = 4096 // letters: a burst's slice is not kept for ever
	if cap(letters) <= keep {
		m.spare = letters[:0]
	}
	l.turn.leave()
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
