package outbound

import (
	"net/netip"
	"slices"
	"time"
)

const (
	idleTime  = 30 * time.Second // how long a connection waits for its next request
	sweepTime = time.Second
	maxIdle   = 512 // connections of one loop
)

// pool holds the idle connections to the back end of one loop, which owns it. The one used last is used next, so that those
// that are not needed grow old and leave.
type pool struct {
	idle []*backend // oldest first
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

// put takes a connection whose last exchange ended cleanly, or that came when nobody needed it any more.
func (p *pool) put(b *backend) {
	if len(p.idle) >= maxIdle || b.conn.Closing() || b.sh.e.draining.Load() {
		b.conn.Close()
		return
	}
	b.idle, b.used = b.sh.loop.Now(), true
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

// sweep closes what has been idle for too long.
func (p *pool) sweep(now time.Time, idleTime time.Duration) {
	keep := p.idle[:0]
	for _, b := range p.idle {
		if now.Sub(b.idle) > idleTime {
			b.conn.Close()
		} else {
			keep = append(keep, b)
		}
	}
	clear(p.idle[len(keep):])
	p.idle = keep
}

// close closes all of them.
func (p *pool) close() {
	for _, b := range p.idle {
		b.conn.Close()
	}
	p.idle = nil
}
