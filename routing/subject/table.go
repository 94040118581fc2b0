package subject

import (
	"hash/maphash"
	"sync/atomic"
)

// Value is what a subscription leads to.
type Value interface {
	comparable
	// Key is another number for each value of a table.
	Key() uint64
}

// Table holds subscriptions: pairs of a canonical pattern and a value. The zero Table is empty and ready.
// One goroutine at a time may change it; any may take a Snapshot meanwhile.
type Table[V Value] struct {
	now   atomic.Pointer[Snapshot[V]] // nil before the first change
	empty Snapshot[V]                 // never changes
}

// Snapshot is what a table was at one moment. It never changes; any goroutine may use it.
type Snapshot[V Value] struct {
	seed     maphash.Seed
	root     *node[V] // nil before the first change
	size     int
	literals changes // patterns without wildcards
	wilds    changes // the others
}

// Snapshot returns the table as it is now: one atomic load.
func (t *Table[V]) Snapshot() *Snapshot[V] {
	if s := t.now.Load(); s != nil {
		return s
	}
	return &t.empty
}

// Add puts in a subscription; nothing happens when it is there already. The pattern is canonical, or was made by FromNATS, and is kept.
func (t *Table[V]) Add(pattern string, v V) {
	s := t.Snapshot()
	seed := s.seed
	if s.root == nil {
		seed = maphash.MakeSeed()
	}
	c := change[V]{seed: seed}
	if root := c.put(s.root, 0, slot[V]{label: pattern, value: v}); c.done {
		t.publish(s, seed, root, pattern, 1)
	}
}

// Remove takes a subscription out. False means that it was not there.
func (t *Table[V]) Remove(pattern string, v V) bool {
	s := t.Snapshot()
	if s.root == nil {
		return false
	}
	c := change[V]{seed: s.seed, s: slot[V]{label: pattern, value: v}}
	root := c.take(s.root, 0)
	if c.done {
		t.publish(s, s.seed, root, pattern, -1)
	}
	return c.done
}

func (t *Table[V]) publish(s *Snapshot[V], seed maphash.Seed, root *node[V], pattern string, by int) {
	next := &Snapshot[V]{seed, root, s.size + by, s.literals, s.wilds}
	if IsWild(pattern) {
		next.wilds = next.wilds.add(pattern)
	} else {
		next.literals = next.literals.add(pattern)
	}
	t.now.Store(next)
}

// Append appends the values of all patterns that match name, which is canonical or was made by FromNATS; when it has wildcards, of
// all patterns that some name has in common with it. A value comes once for each of its patterns that match, in no order.
//
// The time is at most in proportion to the nodes that can be reached times the components of the name. The walk goes as deep as
// the pattern of the table with most components. Only dst grows, unless more than 16 patterns with several `...` match up to
// the second. A name with wildcards and more than 127 components, which is not canonical, matches nothing.
func (s *Snapshot[V]) Append(dst []V, name string) []V {
	if s.root == nil {
		return dst
	}
	if IsWild(name) {
		m := meeting[V]{seed: s.seed, dst: dst}
		if !m.open(name) {
			return dst
		}
		var start places
		start.add(0)
		m.node(s.root, 0, m.settle(start))
		return m.dst
	}
	w := walk[V]{name: name, seed: s.seed, dst: dst}
	w.node(s.root, 0, 0, false)
	return w.dst
}

// Len returns the number of subscriptions.
func (s *Snapshot[V]) Len() int { return s.size }

// Version grows by one with each change of the table.
func (s *Snapshot[V]) Version() uint64 { return s.literals.total + s.wilds.total }
