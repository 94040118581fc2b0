package loop

import (
	"math/bits"
	"time"
)

const (
	tick      = 10 * time.Millisecond // resolution of timers
	wheelSize = 512                   // slots, a power of two; a timer further ahead goes round again
)

// epoch is when ticks are counted from.
var epoch = time.Now()

func ticksNow() int64 { return int64(time.Since(epoch) / tick) }

// Timer calls a function on its loop, once each time it is armed. It is owned by the loop.
type Timer struct {
	loop       *Loop
	f          func()
	next, prev *Timer // in its slot's ring; nil when not armed
	due        int64  // in ticks
}

// NewTimer returns a timer that is not armed. f runs on the loop.
func (l *Loop) NewTimer(f func()) *Timer { return &Timer{loop: l, f: f} }

// Init makes t, which may be part of another value, a timer of l that is not armed.
func (t *Timer) Init(l *Loop, f func()) { t.loop, t.f = l, f }

// Arm sets the timer to d from now, whatever it was set to before; a negative d counts as 0. It fires up to 20 ms late, never early.
func (t *Timer) Arm(d time.Duration) {
	t.Stop()
	d = max(d, 0)
	t.due = ticksNow() + int64(d/tick) + 1 // the tick that runs now is not a whole one
	if d%tick > 0 {
		t.due++
	}
	l := t.loop
	l.wheel.add(t)
	if t.due < l.nextTick.Load() {
		l.nextTick.Store(t.due)
		l.group.ticker.wakeBy(time.Duration(t.due) * tick)
	}
}

// Armed tells whether the timer is set.
func (t *Timer) Armed() bool { return t.next != nil }

// Stop makes sure that the timer does not fire. It may be called at any time.
func (t *Timer) Stop() {
	if t.next != nil {
		t.loop.wheel.remove(t)
	}
}

// wheel is a hashed timing wheel: a ring of timers for each slot, owned by its loop.
type wheel struct {
	slots [wheelSize]Timer // heads of rings
	used  [wheelSize / 64]uint64
	due   Timer // head of the ring of what fires now
	now   int64 // the last tick that was worked off
}

func (w *wheel) add(t *Timer) {
	slot := int(t.due % wheelSize)
	head := &w.slots[slot]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	head.push(t)
	w.used[slot/64] |= 1 << (slot % 64)
}

func (w *wheel) remove(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	if slot := int(t.due % wheelSize); w.slots[slot].next == &w.slots[slot] {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
}

// advance fires what is due at or before now.
func (l *Loop) advance(now int64) {
	w := &l.wheel
	w.now = max(w.now, now-wheelSize) // one round sees every slot
	for w.now < now {
		w.now++
		slot := int(w.now % wheelSize)
		if w.used[slot/64]&(1<<(slot%64)) != 0 {
			l.fire(&w.slots[slot], now)
		}
	}
	l.nextTick.Store(w.nextDue(now))
}

// fire runs the due timers of a slot. A timer may arm or stop any other: those that are due wait in a ring of their own, which
// they leave like any other.
func (l *Loop) fire(head *Timer, now int64) {
	due := &l.wheel.due
	due.next, due.prev = due, due
	for t := head.next; t != head; {
		next := t.next
		if t.due <= now {
			t.prev.next, t.next.prev = t.next, t.prev
			due.push(t)
		}
		t = next
	}
	for due.next != due {
		t := due.next
		t.Stop()
		l.runPosted(t.f)
	}
}

// push puts t at the end of the ring of which head is the head.
func (head *Timer) push(t *Timer) {
	t.prev, t.next = head.prev, head
	t.prev.next, head.prev = t, t
}

// nextDue is the first tick after now whose slot holds a timer, which may be one of a later round.
func (w *wheel) nextDue(now int64) int64 {
	for i := int64(1); i <= wheelSize; {
		slot := int((now + i) % wheelSize)
		if word := w.used[slot/64] >> (slot % 64); word != 0 {
			return now + i + int64(bits.TrailingZeros64(word))
		}
		i += int64(64 - slot%64)
	}
	return never
}

const never = int64(1) << 40 // ticks: three hundred years
