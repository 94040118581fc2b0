package enginepool

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
)

// Pool is what the shards have in common. Its methods are safe for concurrent use.
type Pool struct {
	// Fixed when made.
	shards []*Shard
	key    []byte // of the passwords in signatures

	// Any goroutine.
	limits     atomic.Pointer[Limits]
	lines      atomic.Pointer[map[Signature]*Line]
	engines    atomic.Pointer[[]*Engine]
	numbers    atomic.Int64 // of engines, for their names
	slots      atomic.Int64 // reserved: 0 <= slots, and <= MaxEngines unless that was lowered
	starting   atomic.Int64 // engines that have not logged in
	leaving    atomic.Int64 // engines that hold a slot and are being stopped
	evicting   atomic.Int64 // of them, those whose slot is wanted for another line
	sync       atomic.Int64
	phantoms   atomic.Int64
	external   atomic.Int64
	unused     atomic.Int64 // external engines that have not logged in
	starved    atomic.Pointer[Line]
	replacing  atomic.Pointer[Engine] // stale engines go one at a time
	generation atomic.Int64
	pauses     atomic.Pointer[func(*Login) bool]
	aheads     atomic.Bool // some engine takes requests ahead
	stopping   atomic.Bool
	Stats      Stats
}

// Stats counts since the start. Any goroutine may read.
type Stats struct {
	Starts, StartFailures, Stalls atomic.Int64
}

// New returns a pool with a shard for each host.
func New(l *Limits, hosts []Host) *Pool {
	p := &Pool{key: make([]byte, 32)}
	rand.Read(p.key) // never fails
	p.limits.Store(l)
	p.lines.Store(&map[Signature]*Line{})
	p.engines.Store(&[]*Engine{})
	for i, h := range hosts {
		p.shards = append(p.shards, newShard(p, i, h))
	}
	return p
}

// Shards returns the shards, in the order of their hosts. The slice is not to be changed.
func (p *Pool) Shards() []*Shard { return p.shards }

// Limits returns the settings in force. They are not to be changed.
func (p *Pool) Limits() *Limits { return p.limits.Load() }

// SetLimits puts new settings in force. With stale set, all pooled engines that live are replaced, one by one. All shards must tick
// afterwards: until then deadlines that have been set stay, and idle engines that are too many or stale live on.
func (p *Pool) SetLimits(l *Limits, stale bool) {
	p.limits.Store(l)
	if stale {
		p.generation.Add(1)
	}
}

// Recycle has all pooled engines that live replaced, one by one. All shards must tick afterwards: until then idle ones live on.
func (p *Pool) Recycle() { p.generation.Add(1) }

// Stop has the pool start no engine any more. Who waits gets one of those that live; when there is none, the wait ends. All shards must
// tick afterwards, to end it.
func (p *Pool) Stop() { p.stopping.Store(true) }

// Line returns the line of a login, new or not, and holds it until Line.Release.
func (p *Pool) Line(login Login) *Line {
	sig := login.signature(p.key)
	for {
		lines := p.lines.Load()
		if l := (*lines)[sig]; l != nil {
			if l.retain() {
				return l
			}
			l.refs.Store(dead) // keep it below zero: it is being dropped
		}
		l := p.newLine(login, sig, false)
		next := maps.Clone(*lines)
		next[sig] = l
		if p.lines.CompareAndSwap(lines, &next) {
			p.pauseLine(l)
			return l
		}
	}
}

// PrivateLine returns a line for one bound engine or phantom.
func (p *Pool) PrivateLine(login Login) *Line {
	return p.newLine(login, login.signature(p.key), true)
}

// SameSignature tells whether l is the line of a login.
func (p *Pool) SameSignature(l *Line, login Login) bool { return l.sig == login.signature(p.key) }

func (p *Pool) newLine(login Login, sig Signature, private bool) *Line {
	l := &Line{Login: login, sig: sig, private: private, bays: make([]bay, len(p.shards))}
	for i := range l.bays {
		l.bays[i].found(p.shards[i], l)
	}
	l.refs.Store(1)
	return l
}

func (p *Pool) dropLine(l *Line) {
	for {
		lines := p.lines.Load()
		if (*lines)[l.sig] != l {
			return // replaced
		}
		next := maps.Clone(*lines)
		delete(next, l.sig)
		if p.lines.CompareAndSwap(lines, &next) {
			return
		}
	}
}

// Lines returns the lines that are in use.
func (p *Pool) Lines() []*Line { return slices.Collect(maps.Values(*p.lines.Load())) }

// Engines returns all engines that are not gone.
func (p *Pool) Engines() []*Engine { return *p.engines.Load() }

func (p *Pool) register(e *Engine) {
	for {
		old := p.engines.Load()
		next := append(slices.Clone(*old), e)
		if p.engines.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (p *Pool) unregister(e *Engine) {
	for {
		old := p.engines.Load()
		next := slices.DeleteFunc(slices.Clone(*old), func(x *Engine) bool { return x == e })
		if p.engines.CompareAndSwap(old, &next) {
			return
		}
	}
}

// newEngine makes an engine that is starting; its slot, if it needs one, is reserved. It is registered when it has its owner: from then on
// any goroutine may see it.
func (p *Pool) newEngine(class Class, name string, now int64) *Engine {
	n := p.numbers.Add(1)
	if name == "" {
		name = fmt.Sprintf("E%04d", n)
	}
	e := &Engine{Name: name, Class: class, promised: -1, ahead: 1}
	e.term = term{engine: e, started: now, generation: p.generation.Load()}
	limits := p.Limits()
	if class == Pooled {
		e.term.maxServed = limits.MaxRequests
	}
	if most := e.term.maxServed; most > 0 && limits.MaxRequestsJitter > 0 {
		spread := max(1, most*limits.MaxRequestsJitter/100)
		e.term.maxServed += int(n*7919) % (spread + 1)
	}
	e.view.started.Store(now)
	e.setPhase(Starting, now)
	return e
}
