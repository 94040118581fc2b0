package router

import (
	"fmt"
	"sync"
)

// orders run commands one after the other, away from the loops: they read files and wait for all loops. The zero value is ready to use, by
// any goroutine.
type orders struct {
	mu      sync.Mutex // guards all
	waiting []func()
	running bool
	closed  bool
	idle    sync.WaitGroup
}

// maxOrders is how many may wait, each with at most maxControlText bytes; one more is refused.
const maxOrders = 1000

// add has f run; refuse gets the reason when it does not, in a goroutine as well. After close neither is called: nobody is left.
func (o *orders) add(f func(), refuse func(string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return
	case len(o.waiting) >= maxOrders:
		o.idle.Go(func() { refuse(fmt.Sprintf("%d commands are waiting already", maxOrders)) }) // ends with it; close waits
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
