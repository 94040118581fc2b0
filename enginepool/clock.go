package enginepool

import "time"

// clock is the deadline of what an engine does. While an engine waits for its client, it is suspended.
type clock struct {
	alarm *alarm // of the engine's shard
	due   int64  // 0: never
	rest  int64  // until then, while it is suspended; 0: it is not

	abandoned bool // it is that of a request for which nobody waits any more
}

// set sets the deadline, in place of any other one; 0: none.
func (c *clock) set(due int64) {
	c.due, c.rest = due, 0
	if due != 0 {
		c.alarm.by(due)
	}
}

// limit sets a deadline after d, which is soon if it is 0.
func (c *clock) limit(d time.Duration, now int64) { c.set(now + max(1, int64(d))) }

// limitRun sets the deadline of a request that begins, after d; 0: none.
func (c *clock) limitRun(d time.Duration, now int64) {
	c.abandoned = false
	if d > 0 {
		c.limit(d, now)
	} else {
		c.stop()
	}
}

// stop takes the deadline off.
func (c *clock) stop() { c.set(0) }

// over tells whether the deadline has passed.
func (c *clock) over(now int64) bool { return c.due != 0 && now >= c.due }

func (c *clock) suspend(now int64) {
	if c.due != 0 {
		c.rest, c.due = max(1, c.due-now), 0
	}
}

func (c *clock) resume(now int64) {
	if c.rest != 0 {
		c.set(now + c.rest)
	}
}

// alarm has a shard's Tick called in time.
type alarm struct {
	host  Host
	at    int64 // when Tick is due; 0: not at all
	quiet bool  // Tick runs, and asks for the next one at its end
}

// by sees to it that Tick runs at the time at.
func (a *alarm) by(at int64) {
	if a.at == 0 || at < a.at {
		a.at = at
		if !a.quiet {
			a.host.Wake(at)
		}
	}
}

// begin notes that Tick begins.
func (a *alarm) begin() { a.at, a.quiet = 0, true }

// end notes that Tick ends, and asks for the next one.
func (a *alarm) end() {
	a.quiet = false
	if a.at != 0 {
		a.host.Wake(a.at)
	}
}
