package enginepool

import "testing"

// CheckInvariants fails the test when the pool's tables do not agree with each other. All shards are at rest.
func CheckInvariants(t testing.TB, p *Pool) {
	t.Helper()
	var slots, starting, leaving, evicting, unused int64
	ready, engines := map[*Line]int{}, map[*Line]int{}
	for _, e := range p.Engines() {
		if e.phase == Gone {
			t.Errorf("%s is gone and registered", e.Name)
		}
		if e.Class == Pooled {
			slots++
			engines[e.line]++
			if e.tally == tallyLeaving {
				leaving++
				if e.why == WhyEvicted {
					evicting++
				}
			}
		}
		switch e.tally {
		case tallyStarting:
			starting++
			if e.phase > Startup {
				t.Errorf("%s is %s and counts as starting", e.Name, e.phase)
			}
		case tallyReady:
			ready[e.line]++
			if e.phase < Idle || e.phase > Ready {
				t.Errorf("%s is %s and counts as ready", e.Name, e.phase)
			}
		}
		if e.phase >= Shutdown && e.phase < Killed && e.clock.due == 0 {
			t.Errorf("%s is %s without a deadline", e.Name, e.phase)
		}
		if e.running < 0 || e.Pools() && e.phase == Active && !e.moving() && e.running == 0 {
			t.Errorf("%s is %s with %d requests", e.Name, e.phase, e.running)
		}
	}
	for _, s := range p.shards {
		unused += int64(len(s.unused.engines))
		checkShard(t, s)
	}
	for name, n := range map[string][2]int64{
		"slots": {p.slots.Load(), slots}, "starting": {p.starting.Load(), starting}, "leaving": {p.leaving.Load(), leaving},
		"evicting": {p.evicting.Load(), evicting}, "unused": {p.unused.Load(), unused},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d counted, %d there", name, n[0], n[1])
		}
	}
	for _, l := range p.Lines() {
		if int(l.ready.Load()) != ready[l] || int(l.engines.Load()) != engines[l] {
			t.Errorf("line %s: ready %d of %d, engines %d of %d", l.Login.Application, l.ready.Load(), ready[l], l.engines.Load(), engines[l])
		}
		checkLine(t, p, l)
	}
}

func checkShard(t testing.TB, s *Shard) {
	t.Helper()
	idling, waiting := 0, 0
	listed := map[*bay]bool{}
	for _, b := range s.bays.all {
		if listed[b] || !b.listed {
			t.Errorf("a bay is listed twice, or does not know")
		}
		listed[b] = true
		idling += b.idle.len
		waiting += b.waiting.len
	}
	if idling != s.idling || waiting != s.waiting || s.idles.Load() != (idling > 0) || s.waits.Load() != (waiting > 0) {
		t.Errorf("shard %d: %d idle, counted %d %v; %d wait, counted %d %v", s.index, idling, s.idling, s.idles.Load(), waiting, s.waiting, s.waits.Load())
	}
	for _, e := range s.engines.all {
		if e.moving() || e.Home() != s.index || e.line != nil && !listed[e.line.on(s)] {
			t.Errorf("%s is on shard %d and does not know", e.Name, s.index)
		}
		if e.clock.due != 0 && (s.alarm.at == 0 || s.alarm.at > e.clock.due) {
			t.Errorf("%s has a deadline at %d, its shard wakes at %d", e.Name, e.clock.due, s.alarm.at)
		}
	}
	if waiting > 0 && s.alarm.at == 0 {
		t.Errorf("somebody waits on shard %d, which does not wake", s.index)
	}
}

func checkLine(t testing.TB, p *Pool, l *Line) {
	t.Helper()
	waiting, starting := 0, 0
	for i := range l.bays {
		b := &l.bays[i]
		waiting += b.waiting.len
		starting += b.starting
		checkBay(t, b)
		if b.waiting.len > 0 && b.idle.len > 0 && !l.Paused() {
			t.Errorf("somebody waits for %s on shard %d beside an idle engine", l.Login.Application, i)
		}
		if (b.waiting.len > 0 || len(b.engines) > 0) && !b.listed {
			t.Errorf("line %s is not listed on shard %d", l.Login.Application, i)
		}
		claims := 0
		for _, e := range p.Engines() {
			if e.line == l && e.promised == i {
				claims++
			}
		}
		if b.claimed.Load() && claims == 0 {
			t.Errorf("line %s on shard %d is claimed, by nobody", l.Login.Application, i)
		}
	}
	if int(l.waiting.Load()) != waiting || int(l.starting.Load()) != starting {
		t.Errorf("line %s: waiting %d of %d, starting %d of %d", l.Login.Application, l.waiting.Load(), waiting, l.starting.Load(), starting)
	}
}

func checkBay(t testing.TB, b *bay) {
	t.Helper()
	n, ring := 0, map[*Engine]bool{}
	for e := b.idle.oldest; e != nil; e = e.newer {
		n++
		ring[e] = true
		if e.phase != Idle || e.newer == nil && b.idle.newest != e || e.newer != nil && e.newer.idleSince < e.idleSince {
			t.Errorf("%s is %s in the ring, or not in its place", e.Name, e.phase)
		}
	}
	idle, starting := 0, 0
	for _, e := range b.engines {
		if e.phase == Idle {
			idle++
		}
		if e.tally == tallyStarting {
			starting++
		}
		if e.phase == Idle && !ring[e] || e.line != b.line {
			t.Errorf("%s is %s and in no ring, or of another line", e.Name, e.phase)
		}
	}
	if n != b.idle.len || n != idle || b.idles.Load() != (n > 0) || starting != b.starting {
		t.Errorf("ring of %d, %d idle, %d counted, flag %v; starting %d of %d", n, idle, b.idle.len, b.idles.Load(), b.starting, starting)
	}
	waiting, rank := 0, int64(0)
	for w := b.waiting.front; w != nil; w = w.next {
		waiting++
		if !w.queued || w.rank < rank || w.Line != b.line {
			t.Errorf("a waiter is not in its place")
		}
		rank = w.rank
	}
	head := int64(0)
	if b.waiting.front != nil {
		head = b.waiting.front.rank
	}
	if waiting != b.waiting.len || head != b.head.Load() {
		t.Errorf("%d wait, counted %d; head %d, published %d", waiting, b.waiting.len, head, b.head.Load())
	}
}

// CheckQuiescent fails the test when somebody waits for what is there: all messages are delivered, and all shards have ticked.
func CheckQuiescent(t testing.TB, p *Pool, now int64) {
	t.Helper()
	limits := p.Limits()
	for _, l := range p.Lines() {
		for i := range l.bays {
			b := &l.bays[i]
			if b.trade.asked {
				t.Errorf("shard %d waits for an answer about %s", i, l.Login.Application)
			}
			if b.waiting.len == 0 || l.Paused() {
				continue
			}
			for j := range l.bays {
				if l.bays[j].idle.len > 0 {
					t.Errorf("somebody waits on shard %d, and an engine idles on shard %d", i, j)
				}
			}
			for _, e := range p.Engines() {
				if e.Class == External && e.line == nil && e.phase == Ready && e.serves(l.Login.Application) && b.waiting.len > b.starting {
					t.Errorf("somebody waits on shard %d, and %s is not used", i, e.Name)
				}
			}
			free := limits.MaxEngines == 0 || p.Slots() < limits.MaxEngines
			may := l.Login.Type != "" && !p.stopping.Load() && now >= l.notBefore.Load() && p.starting.Load() < int64(max(1, limits.SpawnRate))
			if free && may && b.waiting.len > b.starting {
				t.Errorf("%d wait on shard %d, %d start, and a slot is free", b.waiting.len, i, b.starting)
			}
		}
	}
}
