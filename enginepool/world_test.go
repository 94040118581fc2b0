package enginepool

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a pool with fake engines, run by one goroutine: what is to come stands in a list, and messages between shards wait until they
// are delivered.
type world struct {
	t       testing.TB
	pool    *Pool
	now     int64
	events  []event // in the order of their time
	letters []letter
	wakes   []int64 // of the shards; 0: none
	serial  int
	lowered bool // MaxEngines was: there may be more
	habits  func(e *Engine) habits
	engines map[*Engine]*fakeEngine
	waiters map[*Waiter]*fakeWaiter
	log     strings.Builder
	quiet   bool
	steps   int
	refused func(*fakeWaiter)      // and what the client does then, at once
	again   func(*fakeWaiter) bool // put a request back whose engine has ended?
}

type event struct {
	at     int64
	serial int
	do     func()
}

// letter is a message to a shard, or an engine on its way.
type letter struct {
	to int
	m  Message
	e  *Engine
}

// habits say how an engine behaves. A time below 0: never.
type habits struct {
	start, login, proc, run, leave, die time.Duration
	ahead                               int
	badLogin, badProc, deaf             bool // deaf: ignores a break
	lazy                                bool // waits for "done" to answer
}

type fakeEngine struct {
	habits
	e      *Engine
	ended  bool // its process
	exited bool // and the pool knows
	on     []*fakeWaiter
	begun  int // for how many of on an answer is due
	broken bool
	text   string
}

type fakeWaiter struct {
	Waiter
	name    string
	shard   int
	state   string // "", waiting, running, refused, over, lost
	retried bool
	e       *fakeEngine
}

// fakeHost is the Host of one shard.
type fakeHost struct {
	w     *world
	index int
}

func newWorld(t testing.TB, shards int, limits *Limits) *world {
	w := &world{t: t, now: int64(time.Second), wakes: make([]int64, shards), engines: map[*Engine]*fakeEngine{}, waiters: map[*Waiter]*fakeWaiter{}}
	hosts := make([]Host, shards)
	for i := range hosts {
		hosts[i] = &fakeHost{w, i}
	}
	w.pool = New(limits, hosts)
	w.habits = func(*Engine) habits {
		return habits{start: 10 * time.Millisecond, login: time.Millisecond, proc: time.Millisecond, lazy: true, leave: time.Millisecond, die: time.Millisecond}
	}
	return w
}

func (w *world) say(format string, args ...any) {
	if !w.quiet {
		fmt.Fprintf(&w.log, "%v "+format+"\n", append([]any{time.Duration(w.now) - time.Second}, args...)...)
	}
}

// in has do happen after d; below 0: never.
func (w *world) in(d time.Duration, do func()) {
	if d < 0 {
		return
	}
	w.serial++
	ev := event{w.now + int64(d), w.serial, do}
	i, _ := slices.BinarySearchFunc(w.events, ev, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.serial, b.serial))
	})
	w.events = slices.Insert(w.events, i, ev)
}

// fake is what stands for e outside of the pool.
func (w *world) fake(e *Engine) *fakeEngine {
	f := w.engines[e]
	if f == nil {
		f = &fakeEngine{habits: w.habits(e), e: e}
		w.engines[e] = f
	}
	return f
}

// on calls f with the shard that the engine is on, at once or after its move, unless its process has ended.
func (w *world) on(f *fakeEngine, do func(s *Shard)) {
	switch {
	case f.ended || f.broken:
	case f.e.moving():
		w.in(time.Millisecond, func() { w.on(f, do) })
	default:
		do(w.pool.shards[f.e.Home()])
		w.check()
	}
}

func (w *world) check() {
	w.steps++
	CheckInvariants(w.t, w.pool)
	if most := w.pool.Limits().MaxEngines; most > 0 && w.pool.Slots() > most && !w.lowered {
		w.t.Errorf("%d slots are taken, of %d", w.pool.Slots(), most)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func (w *world) shard(f *fakeEngine) *Shard { return w.pool.shards[f.e.Home()] }

// exit ends an engine's process. The pool learns of the connection first, and of the process later.
func (w *world) exit(f *fakeEngine, text string) {
	if f.ended {
		return
	}
	f.ended, f.text = true, text
	s := w.shard(f)
	if f.e.moving() {
		i := slices.IndexFunc(w.letters, func(l letter) bool { return l.e == f.e })
		if w.serial%2 == 0 { // it is seen by the new loop or by the old one
			s = w.pool.shards[w.letters[i].to]
		}
		w.letters = slices.Delete(w.letters, i, i+1)
	}
	w.breakOff(f, s, WhyEnded)
	w.in(time.Duration(w.serial%3)*time.Millisecond, func() {
		f.exited = true
		w.say("gone %s %s", f.e.Name, f.e.Why())
		w.shard(f).Exited(f.e, f.text, w.now)
		w.check()
	})
}

// breakOff ends the connection of an engine and what was on it.
func (w *world) breakOff(f *fakeEngine, s *Shard, why Why) {
	if f.broken {
		return
	}
	f.broken = true
	lost := f.on
	f.on = nil
	s.Broken(f.e, why, f.text, w.now)
	w.check()
	for _, r := range lost {
		w.lose(r, s)
	}
}

func (w *world) lose(r *fakeWaiter, s *Shard) {
	r.e = nil
	if w.again != nil && !r.retried && w.again(r) {
		r.retried, r.state, r.shard = true, "waiting", s.index
		s.Requeue(&r.Waiter, w.now)
		w.check()
		return
	}
	r.state = "lost"
	w.say("lost %s", r.name)
}

func (w *world) acquire(r *fakeWaiter) {
	w.waiters[&r.Waiter] = r
	r.state = "waiting"
	w.pool.shards[r.shard].Acquire(&r.Waiter, w.now)
	w.check()
}

func (w *world) cancel(r *fakeWaiter) {
	if r.state == "waiting" {
		r.state = "over"
		w.pool.shards[r.shard].Cancel(&r.Waiter)
		w.check()
	}
}

// answer ends the first request on an engine.
func (w *world) answer(f *fakeEngine, ok bool) {
	if len(f.on) == 0 || f.ended || f.broken {
		return
	}
	r := f.on[0]
	f.on = f.on[1:]
	r.state, r.e = "over", nil
	w.shard(f).Release(f.e, ok, w.now)
	w.work(f)
	w.check()
}

// work has the first request on the engine answered.
func (w *world) work(f *fakeEngine) {
	if !f.lazy && len(f.on) > 0 && f.begun == 0 {
		f.begun++
		w.in(f.run, func() { f.begun--; w.answer(f, true) })
	}
}

// run lets the time pass, and what is due happen.
func (w *world) run(until int64) {
	for {
		w.deliverAll()
		at, shard := until+1, -1
		for i, wake := range w.wakes {
			if wake != 0 && wake < at {
				at, shard = wake, i
			}
		}
		if len(w.events) > 0 && w.events[0].at <= min(at, until) {
			ev := w.events[0]
			w.events = w.events[1:]
			w.now = max(w.now, ev.at)
			ev.do()
			continue
		}
		if shard < 0 {
			w.now = until
			return
		}
		w.now = max(w.now, at)
		w.tick(shard)
	}
}

func (w *world) tick(shard int) {
	w.wakes[shard] = 0
	w.pool.shards[shard].Tick(w.now)
	w.check()
}

// tickAll has all shards tick. Until the last one has, somebody may wait for what Pool.Pause, SetLimits and others have brought.
func (w *world) tickAll() {
	for i, s := range w.pool.shards {
		w.wakes[i] = 0
		s.Tick(w.now)
	}
	w.check()
}

func (w *world) deliverAll() {
	for n := 0; len(w.letters) > 0; n++ {
		if n > 100000 {
			w.t.Fatal("shards do not stop talking to each other")
		}
		w.deliver(0)
	}
}

// deliver hands over a letter.
func (w *world) deliver(i int) {
	l := w.letters[i]
	w.letters = slices.Delete(w.letters, i, i+1)
	if l.e != nil {
		w.pool.shards[l.to].Arrive(l.e, w.now)
	} else {
		w.pool.shards[l.to].Handle(l.m, w.now)
	}
	w.check()
}

// settleDown delivers everything and has all shards tick, and then nobody may wait for what is there.
func (w *world) settleDown() {
	for range 3 {
		w.deliverAll()
		for i := range w.wakes {
			w.tick(i)
		}
	}
	w.deliverAll()
	CheckQuiescent(w.t, w.pool, w.now)
}

func (h *fakeHost) Spawn(e *Engine) {
	w := h.w
	f := w.fake(e)
	if e.Line().Paused() {
		w.t.Errorf("%s is started for a line that is paused", e.Name)
	}
	w.say("spawn %s %s", e.Name, e.Line().Login.Application)
	w.in(f.start, func() { w.on(f, func(s *Shard) { s.Hello(e, f.ahead, w.now) }) })
}

func (h *fakeHost) Login(e *Engine) {
	w, f := h.w, h.w.fake(e)
	if e.Class == External {
		w.say("login %s %s", e.Name, e.Line().Login.Application)
	}
	w.in(f.login, func() {
		w.on(f, func(s *Shard) {
			if f.badLogin {
				s.LoginFailed(e, "wrong password", w.now)
			} else {
				s.LoggedIn(e, w.now)
			}
		})
	})
}

func (h *fakeHost) Proc(e *Engine, kind, procedure string) {
	w, f := h.w, h.w.fake(e)
	w.say("proc %s %s %s", e.Name, kind, procedure)
	w.in(f.proc, func() { w.on(f, func(s *Shard) { s.ProcDone(e, !f.badProc, w.now) }) })
}

func (h *fakeHost) Run(e *Engine, x *Waiter) {
	w, f := h.w, h.w.fake(e)
	r := w.waiters[x]
	if r.state != "waiting" || x.queued || x.Line != e.line || e.moving() || e.Home() != h.index || r.shard != h.index {
		w.t.Errorf("run of %s, which is %s, queued %v", r.name, r.state, x.queued)
	}
	if x.Line.Paused() {
		w.t.Errorf("run of %s, whose line is paused", r.name)
	}
	w.say("run %s %s", e.Name, r.name)
	r.state, r.e = "running", f
	f.on = append(f.on, r)
	w.in(0, func() { w.work(f) })
}

func (h *fakeHost) Refuse(x *Waiter, r Refusal) {
	q := h.w.waiters[x]
	if q.state != "waiting" || x.queued || q.shard != h.index {
		h.w.t.Errorf("refusal of %s, which is %s", q.name, q.state)
	}
	q.state = "refused"
	h.w.say("refuse %s: %s", q.name, strings.TrimSpace(r.Reason.String()+" "+r.Text))
	if h.w.refused != nil {
		h.w.refused(q)
	}
}

func (h *fakeHost) Ready(e *Engine)               { h.w.say("ready %s", e.Name) }
func (h *fakeHost) Failed(e *Engine, text string) { h.w.say("failed %s: %s", e.Name, text) }
func (h *fakeHost) Overran(e *Engine)             { h.w.say("overran %s", e.Name) }

func (h *fakeHost) Logoff(e *Engine) {
	f := h.w.fake(e)
	h.w.say("logoff %s %s", e.Name, e.Why())
	h.w.in(f.leave, func() { h.w.exit(f, "left") })
}

func (h *fakeHost) Break(e *Engine) {
	w, f := h.w, h.w.fake(e)
	w.say("break %s", e.Name)
	if !f.deaf {
		w.in(time.Millisecond, func() {
			if len(f.on) == 0 {
				w.on(f, func(s *Shard) { s.ProcDone(e, false, w.now) })
			}
			for range f.on {
				w.answer(f, true)
			}
		})
	}
}

func (h *fakeHost) Terminate(e *Engine) {
	f := h.w.fake(e)
	h.w.say("terminate %s %s", e.Name, e.Why())
	h.w.in(f.die, func() { h.w.exit(f, "terminated") })
}

func (h *fakeHost) Kill(e *Engine) {
	w, f := h.w, h.w.fake(e)
	if !f.ended {
		w.say("kill %s %s", e.Name, e.Why())
	}
	w.in(0, func() { w.exit(f, "killed") })
}

func (h *fakeHost) Move(e *Engine, to int) {
	h.w.say("move %s to %d", e.Name, to)
	h.w.letters = append(h.w.letters, letter{to: to, e: e})
}

func (h *fakeHost) Tell(to int, m Message) {
	if to == h.index {
		h.w.t.Errorf("shard %d tells itself", to)
	}
	h.w.letters = append(h.w.letters, letter{to: to, m: m})
}

func (h *fakeHost) Wake(at int64) { h.w.wakes[h.index] = at }

func (h *fakeHost) Note(n Note, l *Line, _ *Engine) {
	switch n {
	case NoteStalled:
		h.w.t.Errorf("requests of %s waited beside an idle engine", l.Login.Application)
	case NoteBackoff:
		h.w.say("back-off %s", l.Login.Application)
	}
}

// shuffle is the order of letters in the model: any.
func (w *world) shuffle(r *rand.Rand) {
	if len(w.letters) > 0 {
		w.deliver(r.IntN(len(w.letters)))
	}
}
