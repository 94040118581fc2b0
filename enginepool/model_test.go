package enginepool

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var seeds = flag.Uint64("seeds", 400, "random pools that TestModel plays, of about 700 events each")

// TestModel plays random events on random pools: whatever engines do and in whatever order messages arrive, the tables agree, nobody waits
// for what is there, and in the end everybody has an answer.
func TestModel(t *testing.T) {
	seeds, events := *seeds, 200
	if testing.Short() {
		seeds = 60
	}
	total := 0
	for seed := range seeds {
		total += playModel(t, seed, events)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d events", total)
}

type model struct {
	*world
	r      *rand.Rand
	lines  []*Line
	asking []*fakeWaiter
	wild   bool // engines misbehave
}

func playModel(t *testing.T, seed uint64, events int) int {
	m := newModel(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range events {
		m.play()
		m.check()
		if m.r.IntN(40) == 0 {
			m.settleDown()
		}
	}
	m.calm()
	return m.steps
}

func newModel(t *testing.T, seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &model{world: newWorld(t, 1+r.IntN(4), randomLimits(r)), r: r, wild: true}
	m.quiet = true
	m.world.habits = m.habits
	m.again = func(*fakeWaiter) bool { return r.IntN(2) == 0 }
	m.refused = func(w *fakeWaiter) {
		if m.wild && r.IntN(3) == 0 {
			next := &fakeWaiter{name: w.name + "'", shard: w.shard, state: "waiting"}
			next.Line, next.Mode, next.Class, next.Reject = w.Line, w.Mode, w.Class, w.Reject
			m.asking = append(m.asking, next)
			m.waiters[&next.Waiter] = next
			m.pool.shards[w.shard].Acquire(&next.Waiter, m.now)
		}
	}
	for i := range 1 + r.IntN(4) {
		kind := "default"
		if r.IntN(8) == 0 {
			kind = "" // for those who dial in alone
		}
		l := m.pool.Line(Login{Application: string(rune('A' + i)), Type: kind, Mode: r.IntN(4) - 1})
		l.Keep(r.IntN(3) == 0)
		m.lines = append(m.lines, l)
	}
	return m
}

func randomLimits(r *rand.Rand) *Limits {
	some := func(d time.Duration) time.Duration { // or none
		if r.IntN(3) > 0 {
			return 0
		}
		return d/2 + time.Duration(r.Int64N(int64(d)))
	}
	procs := [...]string{"", "", "PROC"}
	l := &Limits{
		MaxEngines: r.IntN(6), MaxExternal: r.IntN(3), MaxSync: 2, SpareEngines: max(0, r.IntN(5)-3), SpawnRate: 1 + r.IntN(4), Policy: Policy(r.IntN(3)),
		StealAfter: some(200 * time.Millisecond), IdleTimeout: some(time.Second), MaxUpTime: some(time.Second), MaxRunTime: some(time.Second),
		IdleCheck: some(time.Second), MaxRequests: max(0, r.IntN(12)-6), MaxRequestsJitter: 10, MaxMemory: int64(max(0, r.IntN(3)-1)) * 100,
		MaxMemoryHard: int64(max(0, r.IntN(3)-1)) * 200, StartTimeout: 100 * time.Millisecond, LoginTimeout: 100 * time.Millisecond,
		StopTimeout: 50 * time.Millisecond, BreakTimeout: 50 * time.Millisecond, KillTimeout: 50 * time.Millisecond,
		Starting: Backoff{First: 10 * time.Millisecond, Most: 300 * time.Millisecond, Failures: 1 + r.IntN(6)},
	}
	for i := range l.Modes {
		l.Modes[i] = ModeLimits{
			StartupProc: procs[r.IntN(3)], ShutdownProc: procs[r.IntN(3)], TimerProc: procs[r.IntN(3)], MinEngines: r.IntN(3),
			QueueMax: max(0, r.IntN(8)-4), QueueTimeout: some(time.Second), TaskTimeout: some(time.Second),
		}
	}
	return l
}

// habits of an engine: mostly good.
func (m *model) habits(*Engine) habits {
	r := m.r
	ms := func(n int) time.Duration { return time.Duration(r.IntN(n*1000)) * time.Microsecond }
	h := habits{start: ms(20), login: ms(5), proc: ms(5), run: ms(10), leave: ms(5), die: ms(5), ahead: 1}
	if r.IntN(4) == 0 {
		h.ahead = 8
	}
	if !m.wild {
		return h
	}
	for _, d := range []*time.Duration{&h.start, &h.login, &h.proc, &h.run, &h.leave, &h.die} {
		switch r.IntN(25) {
		case 0:
			*d = -1
		case 1:
			*d *= 20
		}
	}
	h.badLogin, h.badProc, h.deaf = r.IntN(20) == 0, r.IntN(20) == 0, r.IntN(4) == 0
	return h
}

// play has something happen.
func (m *model) play() {
	r := m.r
	switch n := r.IntN(100); {
	case n < 35:
		m.ask()
	case n < 40 && len(m.asking) > 0:
		m.cancel(m.asking[r.IntN(len(m.asking))])
	case n < 65:
		m.shuffle(r)
	case n < 85:
		m.pass(time.Duration(r.IntN(5000)) * time.Microsecond)
	case n < 87:
		m.pass(time.Duration(r.IntN(300)) * time.Millisecond)
	case n < 97:
		m.disturb()
	default:
		m.rule()
	}
}

func (m *model) ask() {
	r := m.r
	w := &fakeWaiter{name: fmt.Sprint("w", len(m.asking)), shard: r.IntN(len(m.pool.shards))}
	w.Line = m.lines[r.IntN(len(m.lines))]
	w.Mode, w.Class, w.Reject = r.IntN(4)-1, r.IntN(3), r.IntN(8) == 0
	m.asking = append(m.asking, w)
	m.acquire(w)
}

// pass lets the time pass; letters arrive in any order, and late.
func (m *model) pass(d time.Duration) {
	for until := m.now + int64(d); m.now < until; {
		for len(m.letters) > 0 && m.r.IntN(3) > 0 {
			m.shuffle(m.r)
		}
		next := until
		if len(m.events) > 0 {
			next = min(next, m.events[0].at)
		}
		for _, wake := range m.wakes {
			if wake != 0 {
				next = min(next, wake)
			}
		}
		m.now = max(m.now+1, next)
		for i, wake := range m.wakes {
			if wake != 0 && wake <= m.now {
				m.tick(i)
			}
		}
		for len(m.events) > 0 && m.events[0].at <= m.now {
			ev := m.events[0]
			m.events = m.events[1:]
			ev.do()
		}
	}
}

// disturb does something to an engine.
func (m *model) disturb() {
	r, all := m.r, m.pool.Engines()
	if len(all) == 0 {
		return
	}
	e := all[r.IntN(len(all))]
	f := m.engines[e]
	switch n := r.IntN(9); {
	case n < 3:
		m.exit(f, "crashed")
	case e.moving() || f.ended || f.broken:
	case n == 3:
		m.shard(f).Stop(e, WhyAdmin, m.now)
	case n == 4:
		m.shard(f).Force(e, WhyForced, m.now)
	case n == 5:
		m.shard(f).Suspend(e, m.now)
		m.in(20*time.Millisecond, func() { m.on(f, func(s *Shard) { s.Resume(e, m.now) }) })
	case n == 6:
		m.shard(f).Memory(e, r.Int64N(200), m.now)
	case n == 7 && len(f.on) > 0:
		m.shard(f).Abandon(e, m.now)
	case n == 8:
		m.breakOff(f, m.shard(f), WhyProtocol)
	}
}

// rule does something to the pool.
func (m *model) rule() {
	r := m.r
	s := m.pool.shards[r.IntN(len(m.pool.shards))]
	switch r.IntN(6) {
	case 0:
		m.pool.Recycle()
	case 1:
		m.lowered = true
		m.pool.SetLimits(randomLimits(r), r.IntN(2) == 0)
	case 2:
		var apps []string
		if r.IntN(2) == 0 {
			apps = []string{string(rune('A' + r.IntN(4)))}
		}
		m.dial(s, "X", 1+r.IntN(2), apps)
	case 3:
		l := m.pool.PrivateLine(Login{Application: "A", Type: "default", Mode: 1})
		s.Start(Bound+Class(r.IntN(2)), l, nil, m.now)
		l.Release(m.pool)
	case 4:
		paused := string(rune('A' + r.IntN(4)))
		m.pool.Pause(func(l *Login) bool { return l.Application >= paused })
	case 5:
		m.pool.Pause(nil)
	}
	m.tickAll() // as the user has been told to
}

// calm lets everything come to its end: engines behave from now on, and those that hang are shot.
func (m *model) calm() {
	m.wild = false
	m.again = nil
	for e, f := range m.engines {
		if e.phase != Gone {
			m.exit(f, "shot")
		}
	}
	limits := *m.pool.Limits()
	limits.MaxMemory, limits.MaxMemoryHard, limits.MaxRunTime = 0, 0, 0
	limits.StealAfter = 50 * time.Millisecond
	m.pool.SetLimits(&limits, false)
	m.pool.Pause(nil)
	m.tickAll()
	m.dial(m.pool.shards[0], "last", 1, nil)
	m.run(m.now + int64(10*time.Second))
	m.settleDown()

	for _, w := range m.asking {
		if external := w.Line.Login.Type == "" && m.pool.external.Load() == 0; (w.state == "waiting" || w.state == "running") && !external {
			m.t.Errorf("%s is %s on shard %d for %s in the end; queued %v", w.name, w.state, w.shard, w.Line.Login.Application, w.queued)
		}
	}

	m.end()
}

// end has all engines leave: nothing may be left.
func (m *model) end() {
	m.pool.Stop()
	for _, l := range m.lines {
		l.Keep(false)
		l.Release(m.pool)
	}
	for _, w := range m.asking {
		m.cancel(w)
	}
	for e, f := range m.engines {
		if e.phase != Gone {
			m.exit(f, "shot")
		}
	}
	m.pass(2 * time.Second)
	for i := range m.wakes {
		m.tick(i)
	}
	p := m.pool
	if len(p.Lines()) != 0 || len(p.Engines()) != 0 || p.Slots() != 0 || p.sync.Load() != 0 || p.phantoms.Load() != 0 || p.external.Load() != 0 {
		m.t.Errorf("left: %d lines, %d engines, %d slots", len(p.Lines()), len(p.Engines()), p.Slots())
	}
}

func (w *world) dial(s *Shard, name string, ahead int, apps []string) *Engine {
	e := s.DialIn(name, ahead, apps, nil, w.now) // and may have logged in
	if e != nil {
		w.fake(e)
		w.check()
	}
	return e
}
