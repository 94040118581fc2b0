package pubsub

import (
	"context"
	"sync"
	"sync/atomic"
)

// queue runs a function for each item, in order, on a goroutine that lives only while there are items: a subscription that gets
// nothing costs none. It has no bound of its own: whoever pushes sees to that.
type queue[T any] struct {
	// Fixed before the first push.
	handle func(T)
	finish func() // called once when the queue has ended and no handle runs; nil: nothing

	dropped atomic.Bool // what waits is thrown away; any goroutine

	// Guarded by mu, which is not held while handle or finish runs.
	mu       sync.Mutex
	items    []T
	spare    []T // memory for the next items
	working  bool
	ended    bool // takes no more
	finished bool
	idle     chan struct{} // closed when there is nothing to do; nil: nobody waits
}

const maxSpare = 4096 // items; a longer list is given back to the collector

// push adds items. False: the queue has ended.
func (q *queue[T]) push(items ...T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.items = append(q.items, items...)
	q.workLocked()
	return true
}

func (q *queue[T]) workLocked() {
	if !q.working {
		q.working = true
		go q.work() // ends when the items do; drain waits for it
	}
}

// end makes the queue take no more. drop throws away what waits, too; otherwise it is still handled.
func (q *queue[T]) end(drop bool) {
	if drop {
		q.dropped.Store(true)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	if !q.finished {
		q.workLocked() // to call finish
	}
}

// drain waits until everything that was pushed is handled.
func (q *queue[T]) drain(ctx context.Context) error {
	q.mu.Lock()
	if !q.working {
		q.mu.Unlock()
		return nil
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *queue[T]) work() {
	for batch := []T(nil); ; {
		if batch = q.take(batch); batch == nil {
			return
		}
		var none T
		for i, item := range batch {
			if q.dropped.Load() {
				break
			}
			batch[i] = none // a message that was handled can be collected
			q.handle(item)
		}
	}
}

// take returns the items that wait; nil: there are none, and the goroutine that works ends. done is what take returned before.
func (q *queue[T]) take(done []T) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(done) <= maxSpare {
		clear(done)
		q.spare = done[:0]
	}
	for {
		if len(q.items) > 0 {
			items := q.items
			q.items, q.spare = q.spare[:0], nil
			return items
		}
		if q.ended && !q.finished {
			q.finished = true
			if q.finish != nil {
				q.mu.Unlock()
				q.finish()
				q.mu.Lock()
			}
			continue
		}
		q.working = false
		if q.idle != nil {
			close(q.idle)
			q.idle = nil
		}
		return nil
	}
}

// length is how many items wait.
func (q *queue[T]) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}
