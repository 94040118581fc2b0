package enginepool

import (
	"strings"
	"testing"
	"time"
)

// pausedWorld is a pool of two shards and two engines, each with a habit to answer only when it is told to.
func pausedWorld(t *testing.T) (w *world, line *Line) {
	w = newWorld(t, 2, &Limits{
		MaxEngines: 2, SpawnRate: 2, StartTimeout: time.Second, LoginTimeout: time.Second, StopTimeout: time.Second, BreakTimeout: time.Second,
		KillTimeout: time.Second, Starting: Backoff{First: time.Second, Most: time.Second, Failures: 3}, StealAfter: time.Second,
	})
	line = w.pool.Line(Login{Application: "A", Type: "default"})
	t.Cleanup(func() { line.Release(w.pool) })
	return w, line
}

func (w *world) request(name string, line *Line, shard int) *fakeWaiter {
	r := &fakeWaiter{name: name, shard: shard}
	r.Line = line
	w.acquire(r)
	return r
}

func (w *world) pass(d time.Duration) { w.run(w.now + int64(d)) }

func (w *world) pause(which func(*Login) bool) {
	w.pool.Pause(which)
	w.tickAll()
}

// TestPause: what runs is finished, who waits waits on beside idle engines, on every shard, and nothing is started; later all are served.
func TestPause(t *testing.T) {
	w, line := pausedWorld(t)
	running := w.request("running", line, 0)
	w.pass(50 * time.Millisecond)
	w.pause(func(l *Login) bool { return l.Application == "A" })
	here, there := w.request("here", line, 0), w.request("there", line, 1)
	w.answer(running.e, true)
	w.pass(5 * time.Second)
	if running.state != "over" || here.state != "waiting" || there.state != "waiting" {
		t.Fatalf("%s, %s, %s after\n%s", running.state, here.state, there.state, w.log.String())
	}
	if n := strings.Count(w.log.String(), "spawn"); n != 1 || line.Queued() != 2 || !line.Paused() {
		t.Errorf("%d engines were started, %d wait", n, line.Queued())
	}
	if oldest := line.Oldest(); oldest != here.Since() {
		t.Errorf("the oldest came at %d, not %d", oldest, here.Since())
	}
	if n := w.pool.Stats.Stalls.Load(); n != 0 {
		t.Errorf("%d stalls: nobody is to be served", n)
	}
	w.pause(nil)
	w.pass(50 * time.Millisecond)
	if here.state != "running" || there.state != "running" || line.Oldest() != 0 {
		t.Errorf("%s, %s after\n%s", here.state, there.state, w.log.String())
	}
}

// TestPauseOfOneLine: others are served, also with its slots, and a line that is made later is paused, too.
func TestPauseOfOneLine(t *testing.T) {
	w, a := pausedWorld(t)
	w.pause(func(l *Login) bool { return l.Application != "B" })
	b, later := w.pool.Line(Login{Application: "B", Type: "default"}), w.pool.Line(Login{Application: "C", Type: "default"})
	defer b.Release(w.pool)
	defer later.Release(w.pool)
	waits, waitsToo := w.request("a", a, 0), w.request("c", later, 0)
	first, second := w.request("b1", b, 0), w.request("b2", b, 1)
	w.pass(3 * time.Second) // longer than a line starves before the next slot is its own
	if first.state != "running" || second.state != "running" || waits.state != "waiting" || waitsToo.state != "waiting" {
		t.Errorf("%s, %s, %s, %s after\n%s", first.state, second.state, waits.state, waitsToo.state, w.log.String())
	}
	w.cancel(waits)
	w.cancel(waitsToo)
}

// TestPausedStop: a pool that stops refuses who waits for a paused line, like anybody for whom there is no engine.
func TestPausedStop(t *testing.T) {
	w, line := pausedWorld(t)
	w.pause(func(*Login) bool { return true })
	r := w.request("r", line, 0)
	w.pool.Stop()
	w.tick(0)
	w.pass(time.Second)
	if r.state != "refused" {
		t.Errorf("%s after\n%s", r.state, w.log.String())
	}
}

// TestPausedWaiters: who waits for a paused line wants no slot, so a kept line gets its engines.
func TestPausedWaiters(t *testing.T) {
	w, a := pausedWorld(t)
	limits := *w.pool.Limits()
	for i := range limits.Modes {
		limits.Modes[i].MinEngines = 1
	}
	w.pool.SetLimits(&limits, false)
	w.pause(func(l *Login) bool { return l.Application == "A" })
	waits := w.request("a", a, 1)
	b := w.pool.Line(Login{Application: "B", Type: "default"})
	defer b.Release(w.pool)
	b.Keep(true)
	w.tickAll()
	w.pass(50 * time.Millisecond)
	if waits.state != "waiting" || !b.Ready() {
		t.Errorf("%s, the kept line is ready: %v", waits.state, b.Ready())
	}
	w.cancel(waits)
}
