package enginepool

import (
	"sync"
	"testing"
	"time"
)

// crowd has engines of one kept line idle on each of some shards, whose loops have yet to tick.
func crowd(limits *Limits, shards, each int) *Pool {
	hosts := make([]Host, shards)
	for i := range hosts {
		hosts[i] = still{}
	}
	p := New(limits, hosts)
	l := p.Line(Login{Application: "A", Type: "default"})
	l.Keep(true)
	for _, s := range p.Shards() { // all wait before the first engine is there: none is asked from another shard
		waiters := make([]Waiter, each)
		for i := range waiters {
			waiters[i].Line = l
			s.Acquire(&waiters[i], 1)
		}
	}
	for _, s := range p.Shards() {
		for _, e := range s.Engines() {
			s.Hello(e, 1, 1)
			s.LoggedIn(e, 1)
		}
	}
	for _, s := range p.Shards() {
		for _, e := range s.Engines() {
			s.Release(e, true, 1)
		}
	}
	return p
}

// leaveTogether has all shards tick at the same time, and returns how many engines stay.
func leaveTogether(p *Pool, now int64) (stay int) {
	var loops sync.WaitGroup
	begin := make(chan struct{})
	for _, s := range p.Shards() {
		loops.Go(func() { <-begin; s.Tick(now) })
	}
	close(begin)
	loops.Wait()
	for _, e := range p.Engines() {
		if e.why == WhyNone {
			stay++
		}
	}
	return stay
}

// TestSurplusOnTwoShards: as many engines go as are too many, though shards decide at the same moment.
func TestSurplusOnTwoShards(t *testing.T) {
	for range 300 {
		limits := Limits{MaxEngines: 8, SpawnRate: 8, StartTimeout: time.Hour, LoginTimeout: time.Hour}
		p := crowd(&limits, 4, 2)
		lower := limits
		lower.MaxEngines = 5
		p.SetLimits(&lower, false)
		if stay := leaveTogether(p, 2); stay != 5 {
			t.Fatalf("%d engines stay of 8, not 5", stay)
		}
		CheckInvariants(t, p)
	}
}

// TestMinEnginesOnTwoShards: MinEngines stay, though all have idled long enough at the same moment.
func TestMinEnginesOnTwoShards(t *testing.T) {
	for range 300 {
		limits := Limits{SpawnRate: 8, IdleTimeout: time.Second, StartTimeout: time.Hour, LoginTimeout: time.Hour}
		limits.Modes[1].MinEngines = 3
		p := crowd(&limits, 4, 2)
		if stay := leaveTogether(p, int64(2*time.Second)); stay != 3 {
			t.Fatalf("%d engines stay of 8, not 3", stay)
		}
		CheckInvariants(t, p)
	}
}
