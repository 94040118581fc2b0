package outbound

import (
	"net/netip"
	"slices"
	"time"

	"roundhouse/server/loop"
)

const (
	sweepTime = time.Second
	maxIdle   = 512 // connections of one loop
)

// pool holds the idle connections to the back end of one loop, which owns it. The one used last is used next, so that those
// that are not needed grow old and leave.
type pool struct {
	sh      *shard
	idle    []*backend // oldest first
	told    int        // what this loop has in Enabler.idle
	warming int        // connections that are being opened to be kept
}

// take returns the freshest idle connection, or nil. client is whose it has to be; invalid: all share them.
func (p *pool) take(client netip.Addr) *backend {
	if client.IsValid() {
		return p.takeOf(client)
	}
	for n := len(p.idle); n > 0; n = len(p.idle) {
		b := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		if !b.conn.Closing() {
			return b
		}
	}
	return nil
}

func (p *pool) takeOf(client netip.Addr) *backend {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if b := p.idle[i]; b.client == client && !b.conn.Closing() {
			p.idle = slices.Delete(p.idle, i, i+1)
			return b
		}
	}
	return nil
}

// takeOldest returns the connection that has been idle longest, or nil.
func (p *pool) takeOldest() *backend {
	if len(p.idle) == 0 {
		return nil
	}
	b := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	return b
}

// put takes a connection whose last exchange ended cleanly, or that came when nobody needed it any more.
func (p *pool) put(b *backend) {
	e := b.sh.e
	if b.used = true; !b.conn.Closing() && e.slots.waiting.Load() > 0 && b.handOver() {
		return
	}
	if len(p.idle) >= maxIdle || b.conn.Closing() || e.draining.Load() {
		b.conn.Close()
		return
	}
	b.idle = b.sh.loop.Now()
	p.idle = append(p.idle, b)
	b.sh.armSweep()
}

// remove forgets a connection that has ended.
func (p *pool) remove(b *backend) {
	for i, other := range p.idle {
		if other == b {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return
		}
	}
}

// sweep closes what has been idle for too long, as long as there are more than the least that the enabler keeps, and what is more than
// the most and has not been used since the last sweep. Both count the idle connections of all loops.
func (p *pool) sweep(now time.Time) {
	if len(p.idle)+p.told+p.warming == 0 {
		return
	}
	e := p.sh.e
	p.tell()
	low, high, idleTime := int64(e.cfg.SpareLow), int64(e.cfg.SpareHigh), e.idleTime()
	keep := p.idle[:0]
	for _, b := range p.idle {
		age := now.Sub(b.idle)
		if age > idleTime && e.leaveIdle(low) || age > sweepTime && e.leaveIdle(high) {
			p.told--
			b.conn.Close()
		} else {
			keep = append(keep, b)
		}
	}
	clear(p.idle[len(keep):])
	p.idle = keep
}

// tell adds what has changed to the count of idle connections of all loops.
func (p *pool) tell() {
	n := len(p.idle) + p.warming
	p.sh.e.idle.Add(int64(n - p.told))
	p.told = n
}

// leaveIdle takes one off the count of idle connections, if there are more than least.
func (e *Enabler) leaveIdle(least int64) bool {
	for {
		n := e.idle.Load()
		if n <= least {
			return false
		}
		if e.idle.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// warm opens connections until all loops together have the least number of idle ones that -jsl asks for, a few at a time. It does so while
// there is a lane, and the back end is up.
func (p *pool) warm() {
	e := p.sh.e
	up, _ := e.monitor.state()
	p.tell()
	const most = 8 // at a time, of one loop
	for p.warming < most && up && !e.draining.Load() && len(p.sh.links) > 0 && e.idle.Load() < int64(e.cfg.SpareLow) {
		if !e.slots.take() {
			return
		}
		p.warming++
		p.tell()
		p.sh.loop.Dial(*e.backend.Load(), func(c *loop.Conn, err error) loop.Session {
			if p.warming--; err != nil {
				e.slots.give()
				e.monitor.suspect()
				return nil
			}
			b := newBackend(p.sh, c)
			c.SetSession(b)
			p.put(b)
			return b
		})
	}
}

// warms tells whether connections are kept warm: -jsl asks for some, and they can be anybody's.
func warms(e *Enabler) bool { return e.cfg.SpareLow > 0 && !e.perClient }

// close closes all of them.
func (p *pool) close() {
	for _, b := range p.idle {
		b.conn.Close()
	}
	p.idle = nil
}
