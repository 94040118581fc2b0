package loop

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// How often loops are rung at.
const (
	roomTick   = time.Millisecond      // while a connection waits for room in its send buffer
	orphanTick = 50 * time.Millisecond // while a peer that has ended its side might reset
)

// ticker is the one goroutine that rings at loops: for timers, and for connections that wait for room. It sleeps while no loop
// has anything to wait for.
type ticker struct {
	// Fixed at start.
	loops []*Loop
	bell  chan struct{} // capacity 1: something is due sooner than wakeAt
	quit  chan struct{}
	done  sync.WaitGroup
	// Any goroutine.
	wakeAt atomic.Int64 // when it will look next, as time since epoch
}

func startTicker(loops []*Loop) *ticker {
	t := &ticker{loops: loops, bell: make(chan struct{}, 1), quit: make(chan struct{})}
	t.done.Add(1)
	go t.run() // ends when stop closes quit, which waits for it
	return t
}

func (t *ticker) stop() {
	close(t.quit)
	t.done.Wait()
}

// wakeBy sees to it that the ticker looks at the given time since epoch, or sooner.
func (t *ticker) wakeBy(at time.Duration) {
	if t == nil || t.wakeAt.Load() <= int64(at) {
		return
	}
	select {
	case t.bell <- struct{}{}:
	default: // it has been told already
	}
}

func (t *ticker) run() {
	defer t.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(t.plan())
		select {
		case <-t.quit:
			return
		case <-t.bell:
		case <-timer.C:
			t.ring()
		}
	}
}

// plan finds out when to look next, and publishes it before it relies on it: whoever arms something meanwhile either is seen
// by the second look or sees wakeAt.
func (t *ticker) plan() time.Duration {
	for {
		now := time.Since(epoch)
		at := t.due(now)
		t.wakeAt.Store(int64(at))
		if t.due(now) >= at {
			return at - now
		}
	}
}

func (t *ticker) due(now time.Duration) time.Duration {
	at := now + time.Hour
	for _, l := range t.loops {
		if l.room.waiting.Load() > 0 {
			at = min(at, now+roomTick)
		}
		if l.room.watching.Load() > 0 {
			at = min(at, now+orphanTick)
		}
		if next := l.nextTick.Load(); next < never {
			at = min(at, max(time.Duration(next)*tick, now+tick/2))
		}
	}
	return at
}

// ring rings at the loops that have something due.
func (t *ticker) ring() {
	now := ticksNow()
	for _, l := range t.loops {
		if l.room.watching.Load() == 0 && l.nextTick.Load() > now {
			continue
		}
		if !l.ticked.Swap(true) {
			// An error means that the group is stopping.
			_ = l.el.Execute(context.Background(), (*tickBell)(l))
		}
	}
}

// tickBell is a Loop seen as the task that a tick brings.
type tickBell Loop

// Run fires timers and looks for room.
func (b *tickBell) Run(context.Context) error {
	l := (*Loop)(b)
	l.ticked.Store(false)
	l.turn.enter()
	if now := ticksNow(); l.nextTick.Load() <= now {
		l.advance(now)
	}
	if len(l.room.conns) > 0 {
		l.room.poll()
	}
	l.turn.leave()
	return nil
}
