package loop

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// bareLoop is a loop without gnet, for what needs no sockets.
func bareLoop() *Loop {
	return newLoop(&Group{}, 0, nil)
}

// bareConn is an open connection of l without a socket.
func bareConn(l *Loop, s Session) *Conn {
	c := newConn(l)
	c.state = connOpen
	c.session.set(s)
	return c
}

func TestManyTimers(t *testing.T) {
	const n = 20_000
	g := newGroup(t, 2)
	var wg sync.WaitGroup
	for _, l := range g.Loops() {
		wg.Add(n / 2)
		l.Post(func() {
			for range n / 2 {
				d := rand.N(400 * time.Millisecond)
				armed, fired := time.Now(), false
				timer := l.NewTimer(func() {
					if early := d - time.Since(armed); early > 0 || fired {
						t.Errorf("a timer of %v fired %v early; fired before: %v", d, early, fired)
					}
					fired = true
					wg.Done()
				})
				timer.Arm(d)
			}
		})
	}
	wg.Wait()
}

// Timers against a plain list, in simulated time: each fires in the first step at or after its time, once, and no other does.
func TestTimersAgainstModel(t *testing.T) {
	const n = 20_000
	l := bareLoop()
	due, fired := map[int]int64{}, map[int]int{}
	timers := make([]*Timer, n)
	arm := func(i int) {
		timers[i].Arm(rand.N(3 * wheelSize * tick))
		due[i] = timers[i].due
	}
	for i := range timers {
		timers[i] = l.NewTimer(func() { fired[i]++ })
		arm(i)
	}
	for range n / 4 {
		arm(rand.IntN(n))
		if i := rand.IntN(n); timers[i].Armed() {
			timers[i].Stop()
			delete(due, i)
		}
	}
	for now := ticksNow(); len(due) > 0; now += 1 + rand.Int64N(40) {
		if next := l.nextTick.Load(); next > now {
			for i, at := range due {
				if at <= now {
					t.Fatalf("timer %d is due at %d, now %d, but the loop sleeps until %d", i, at, now, next)
				}
			}
		}
		l.advance(now)
		for i, times := range fired {
			if at, ok := due[i]; !ok || at > now || times != 1 {
				t.Fatalf("timer %d fired %d times at %d, due %d", i, times, now, at)
			}
			delete(due, i)
		}
		clear(fired)
		for i, at := range due {
			if at <= now {
				t.Fatalf("timer %d, due at %d, did not fire at %d", i, at, now)
			}
		}
	}
	if next := l.nextTick.Load(); next != never {
		t.Errorf("the wheel is empty, and the next tick %d", next)
	}
}

// A timer of a young process was looked for in slots that do not exist.
func TestTimerSoonAfterStart(t *testing.T) {
	l := bareLoop()
	fired := false
	timer := l.NewTimer(func() { fired = true })
	timer.Arm(0)
	for now := range timer.due + 1 {
		l.advance(now)
	}
	if !fired {
		t.Error("did not fire")
	}
}

func TestTimerAtTheLimits(t *testing.T) {
	for _, d := range []time.Duration{math.MinInt64, -time.Hour, -1, 0, 1} {
		l := bareLoop()
		l.advance(ticksNow())
		fired := 0
		timer := l.NewTimer(func() { fired++ })
		timer.Arm(d)
		l.advance(ticksNow() + 2)
		if fired != 1 || timer.Armed() {
			t.Errorf("%d: fired %d times", d, fired)
		}
	}
	l, fired := bareLoop(), 0
	timer := l.NewTimer(func() { fired++ })
	timer.Arm(math.MaxInt64)
	l.advance(ticksNow() + 10*wheelSize)
	if fired != 0 || !timer.Armed() {
		t.Error("a timer of three hundred years fired")
	}
}

// Timers of one tick stop and arm each other while they fire.
func TestTimersMeddle(t *testing.T) {
	l := bareLoop()
	var log []string
	var a, b, c, d *Timer
	a = l.NewTimer(func() { log = append(log, "a"); b.Stop(); c.Stop(); c.Arm(0); a.Arm(0) })
	b = l.NewTimer(func() { log = append(log, "b") })
	c = l.NewTimer(func() { log = append(log, "c") })
	d = l.NewTimer(func() { log = append(log, "d"); a.Stop(); panic("contained") })
	l.group.log = discardLog()
	now := ticksNow() + 50
	for _, timer := range []*Timer{a, b, c, d} {
		timer.Arm(0)
		timer.Stop()
		timer.due = now
		l.wheel.add(timer)
	}
	l.advance(now)
	if got := len(log); got != 2 || log[0] != "a" || log[1] != "d" {
		t.Fatalf("fired %v, want a and d", log)
	}
	if a.Armed() || b.Armed() || !c.Armed() || d.Armed() {
		t.Error("armed:", a.Armed(), b.Armed(), c.Armed(), d.Armed())
	}
	if n := l.group.stats.panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestRearmInCallback(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	done := make(chan int)
	l.Post(func() {
		n := 0
		var timer Timer
		timer.Init(l, func() {
			if n++; n == 5 {
				close(done)
				return
			}
			timer.Arm(time.Millisecond)
		})
		timer.Arm(time.Millisecond)
	})
	receive(t, "five rounds", done)
}

func TestTickerSleepsWithoutTimers(t *testing.T) {
	g := newGroup(t, 2)
	asleep := func() bool { return g.ticker.due(time.Since(epoch))-time.Since(epoch) > time.Second }
	waitFor(t, "the ticker to sleep at start", asleep)
	l, fired := g.Loops()[1], make(chan int)
	onLoop(l, func() {
		l.NewTimer(func() { close(fired) }).Arm(10 * time.Millisecond)
		if asleep() { // it cannot fire here
			t.Error("the ticker sleeps while a timer is armed")
		}
	})
	receive(t, "the timer", fired)
	waitFor(t, "the ticker to sleep again", asleep)
}
