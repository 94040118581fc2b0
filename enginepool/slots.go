package enginepool

import (
	"slices"
	"sync/atomic"
)

// The rules about slots, of which each pooled engine holds one.

// Slots is the number of slots that are taken.
func (p *Pool) Slots() int { return int(p.slots.Load()) }

// reserve takes one of n things of which there may be at most most; 0: any number.
func reserve(n *atomic.Int64, most int) bool {
	for {
		old := n.Load()
		if most > 0 && old >= int64(most) {
			return false
		}
		if n.CompareAndSwap(old, old+1) {
			return true
		}
	}
}

// lacksSlot tells whether a line could have another engine if one of another line went.
func (p *Pool) lacksSlot(l *Line, now int64) bool {
	switch most := p.Limits().MaxEngines; {
	case p.stopping.Load():
		return false
	case l.Login.Type == "": // nothing is started for it
		return p.external.Load() > 0
	default:
		return most > 0 && p.slots.Load() >= int64(most) && now >= l.notBefore.Load()
	}
}

// starving returns the line for which the next slot is kept, or nil.
func (p *Pool) starving(now int64) *Line {
	l := p.starved.Load()
	if l != nil && (!l.starves() || l.paused.Load() || now < l.notBefore.Load()) {
		p.starved.CompareAndSwap(l, nil)
		return nil
	}
	return l
}

// wanted tells whether somebody waits who may want a slot.
func (p *Pool) wanted() bool {
	if p.Limits().MaxEngines == 0 || !slices.ContainsFunc(p.shards, func(s *Shard) bool { return s.waits.Load() }) {
		return false
	}
	return !p.pausing() || slices.ContainsFunc(p.Lines(), func(l *Line) bool { return l.waiting.Load() > 0 && !l.paused.Load() })
}

// claimSurplus counts one more engine as leaving if there are more than MaxEngines, which was lowered, and than are being stopped: two
// shards never do for the same one.
func (p *Pool) claimSurplus() bool {
	for most := int64(p.Limits().MaxEngines); most > 0; {
		leaving := p.leaving.Load() // before slots: one that goes meanwhile is missed rather than taken for one that stays
		if p.slots.Load()-leaving <= most {
			break
		}
		if p.leaving.CompareAndSwap(leaving, leaving+1) {
			return true
		}
	}
	return false
}
