package outbound

import "roundhouse/codec/lane"

// junctionsOf are the connections to the back end. Any goroutine.
func junctionsOf(e *Enabler) lane.Junctions {
	open := e.slots.open.Load()
	active := max(0, min(e.streams.Load()-e.slots.waiting.Load(), open)) // each has one, or will
	return lane.Junctions{Active: uint32(active), Idle: uint32(max(0, open-active))}
}

// tellJunctions tells every relay server that wants to know, where that has changed. False: there is none on this loop.
func (s *shard) tellJunctions() (any bool) {
	for k := range s.links {
		any = k.maybeTellJunctions() || any
	}
	return any
}

// maybeTellJunctions tells the relay over the first of its lanes. False: it does not want to know.
func (k *link) maybeTellJunctions() bool {
	if k.spec.number != 0 || k.up.Load() == 0 || k.isGone || !k.spec.t.counts() {
		return false
	}
	if now := junctionsOf(k.s.e); (k.told == nil || now != *k.told) && k.end.Live() {
		k.told = &now
		k.end.SetBuffer(lane.AppendJunctions(k.end.Buffer(), now))
	}
	return true
}
