package enginepool

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLoops runs each shard in a goroutine of its own, as the server does: the race detector sees what they share.
func TestLoops(t *testing.T) {
	const loops, clients, requests = 4, 40, 100
	r := &rush{t: t, start: time.Now(), done: make(chan struct{})}
	var hosts []Host
	for i := range loops {
		l := &rushLoop{r: r, index: i, mail: make(chan func(), 100000)}
		r.loops = append(r.loops, l)
		hosts = append(hosts, l)
	}
	r.pool = New(&Limits{
		MaxEngines: 5, SpawnRate: 3, IdleTimeout: 20 * time.Millisecond, StealAfter: 5 * time.Millisecond, MaxRequests: 50, MaxRequestsJitter: 10,
		StartTimeout: time.Minute, LoginTimeout: time.Minute, StopTimeout: time.Minute, KillTimeout: time.Minute,
		Starting: Backoff{First: time.Millisecond, Most: time.Millisecond, Failures: 1000},
	}, hosts)
	var running sync.WaitGroup
	for i, l := range r.loops {
		l.s = r.pool.Shards()[i]
		running.Go(l.run) // until done is closed
	}
	r.left.Store(loops * clients * requests)
	for _, l := range r.loops {
		for i := range clients {
			line := r.pool.Line(Login{Application: string(rune('A' + i%3)), Type: "default"})
			l.mail <- func() { l.next(&rushClient{left: requests, w: Waiter{Line: line}}) }
		}
	}
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Errorf("%d requests are left", r.left.Load())
		close(r.done)
	}
	running.Wait()
	if n := r.most.Load(); n > 5 {
		t.Errorf("%d slots were taken, of 5", n)
	}
	CheckInvariants(t, r.pool)
}

type rush struct {
	t     *testing.T
	pool  *Pool
	start time.Time
	loops []*rushLoop
	done  chan struct{}
	left  atomic.Int64 // requests
	most  atomic.Int64 // slots
}

// rushClient asks again when it has been served.
type rushClient struct {
	w    Waiter
	left int
}

type rushLoop struct {
	still
	r     *rush
	s     *Shard
	index int
	mail  chan func()
	wake  int64
}

func (l *rushLoop) now() int64 { return int64(time.Since(l.r.start)) + 1 }

func (l *rushLoop) run() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.r.done:
			return
		case f := <-l.mail:
			f()
		case <-tick.C:
			if now := l.now(); l.wake != 0 && now >= l.wake {
				l.wake = 0
				l.s.Tick(now)
			}
		}
		if n := l.r.pool.slots.Load(); n > l.r.most.Load() {
			l.r.most.Store(n)
		}
	}
}

func (l *rushLoop) next(c *rushClient) {
	c.w.Owner = c
	l.s.Acquire(&c.w, l.now())
}

// over ends a request: every hundredth by a crash of its engine.
func (l *rushLoop) over(e *Engine, w *Waiter) {
	c := w.Owner.(*rushClient)
	left := l.r.left.Add(-1)
	if left%100 == 0 {
		l.s.Broken(e, WhyEnded, "crash", l.now())
	} else {
		l.s.Release(e, true, l.now())
	}
	if c.left--; c.left > 0 {
		l.next(c)
	}
	if left == 0 {
		close(l.r.done)
	}
}

func (l *rushLoop) Run(e *Engine, w *Waiter) { l.mail <- func() { l.over(e, w) } }
func (l *rushLoop) Refuse(_ *Waiter, r Refusal) {
	l.r.t.Errorf("refused: %s", r.Reason)
	l.r.left.Add(-1)
}
func (l *rushLoop) Spawn(e *Engine)  { l.mail <- func() { l.s.Hello(e, 1, l.now()) } }
func (l *rushLoop) Login(e *Engine)  { l.mail <- func() { l.s.LoggedIn(e, l.now()) } }
func (l *rushLoop) Logoff(e *Engine) { l.mail <- func() { l.s.Exited(e, "left", l.now()) } }
func (l *rushLoop) Kill(e *Engine)   { l.mail <- func() { l.s.Exited(e, "killed", l.now()) } }
func (l *rushLoop) Move(e *Engine, to int) {
	other := l.r.loops[to]
	other.mail <- func() { other.s.Arrive(e, other.now()) }
}
func (l *rushLoop) Tell(to int, m Message) {
	other := l.r.loops[to]
	other.mail <- func() { other.s.Handle(m, other.now()) }
}
func (l *rushLoop) Wake(at int64) { l.wake = at }
