package enginepool

import (
	"fmt"
	"testing"
	"time"
)

// still is a Host that does nothing.
type still struct{}

func (still) Spawn(*Engine)                {}
func (still) Login(*Engine)                {}
func (still) Proc(*Engine, string, string) {}
func (still) Run(*Engine, *Waiter)         {}
func (still) Refuse(*Waiter, Refusal)      {}
func (still) Ready(*Engine)                {}
func (still) Failed(*Engine, string)       {}
func (still) Overran(*Engine)              {}
func (still) Logoff(*Engine)               {}
func (still) Break(*Engine)                {}
func (still) Terminate(*Engine)            {}
func (still) Kill(*Engine)                 {}
func (still) Move(*Engine, int)            {}
func (still) Tell(int, Message)            {}
func (still) Wake(int64)                   {}
func (still) Note(Note, *Line, *Engine)    {}

// idlePool has two shards, and engines engines of one line idle on the first one.
func idlePool(engines int) (*Pool, *Line) {
	p := New(&Limits{
		MaxEngines: engines, SpawnRate: engines, IdleTimeout: time.Hour, MaxRunTime: time.Hour, StartTimeout: time.Hour, LoginTimeout: time.Hour,
	}, []Host{still{}, still{}})
	l := p.Line(Login{Application: "A", Type: "default"})
	s := p.Shards()[0]
	waiters := make([]Waiter, engines)
	for i := range waiters {
		waiters[i].Line = l
		s.Acquire(&waiters[i], 1)
	}
	for _, e := range p.Engines() {
		s.Hello(e, 1, 1)
		s.LoggedIn(e, 1)
		s.Release(e, true, 1)
	}
	return p, l
}

func BenchmarkAcquireRelease(b *testing.B) {
	for _, engines := range []int{1, 1000} {
		b.Run(fmt.Sprintf("engines=%d", engines), func(b *testing.B) {
			p, l := idlePool(engines)
			s, w, e := p.Shards()[0], &Waiter{Line: l}, l.bays[0].idle.newest
			b.ReportAllocs()
			for now := int64(2); b.Loop(); now++ {
				s.Acquire(w, now)
				s.Release(e, true, now)
			}
		})
	}
}

// One request waits while another one runs, and is fed by its end.
func BenchmarkAcquireQueued(b *testing.B) {
	for _, engines := range []int{1, 1000} {
		b.Run(fmt.Sprintf("engines=%d", engines), func(b *testing.B) {
			p, l := idlePool(engines)
			s, e := p.Shards()[0], l.bays[0].idle.newest
			waiters := make([]Waiter, engines+1)
			for i := range waiters {
				waiters[i].Line = l
				if i > 0 {
					s.Acquire(&waiters[i], 1)
				}
			}
			b.ReportAllocs()
			for now := int64(2); b.Loop(); now++ {
				s.Acquire(&waiters[0], now)
				s.Release(e, true, now)
			}
		})
	}
}

// Nobody is served: each line has one request waiting, and a message has the shard look again for all of them.
func BenchmarkLookAgain(b *testing.B) {
	const lines = 1000
	p, _ := idlePool(1)
	s := p.Shards()[0]
	s.Acquire(&Waiter{Line: p.Line(Login{Application: "A", Type: "default"})}, 1)
	for i := range lines {
		s.Acquire(&Waiter{Line: p.Line(Login{Application: fmt.Sprint(i), Type: "default"})}, 2)
	}
	b.ReportAllocs()
	for now := int64(3); b.Loop(); now++ {
		s.Handle(Message{kind: msgSeek}, now)
	}
}
