package router

import "sync"

// orders run commands one after the other, away from the loops: they read files and wait for all loops. The zero value is ready to use, by
// any goroutine.
type orders struct {
	mu      sync.Mutex // guards all
	waiting []func()
	running bool
	closed  bool
	idle    sync.WaitGroup
}

// maxOrders is how many may wait; one more is refused.
const maxOrders = 1000

// add has f run; refuse gets the reason when it does not.
func (o *orders) add(f func(), refuse func(string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.waiting) >= maxOrders {
		go refuse("too many commands are waiting, or the server is stopping") // ends with the posting of an answer
		return
	}
	o.waiting = append(o.waiting, f)
	if !o.running {
		o.running = true
		o.idle.Add(1)
		go o.run() // ends when none is left; close waits for it
	}
}

func (o *orders) run() {
	defer o.idle.Done()
	for {
		o.mu.Lock()
		if len(o.waiting) == 0 {
			o.running = false
			o.mu.Unlock()
			return
		}
		f := o.waiting[0]
		o.waiting = o.waiting[1:]
		o.mu.Unlock()
		f()
	}
}

// close lets what waits run, and takes no more.
func (o *orders) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.idle.Wait()
}
