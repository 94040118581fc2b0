package subject

import "sync/atomic"

// Value is what a subscription leads to.
type Value interface {
	comparable
	// Key is another number for each value of a table.
	Key() uint64
}

// Table holds subscriptions: pairs of a canonical pattern and a value. The zero Table is empty and ready.
// One goroutine at a time may change it; any may take a Snapshot meanwhile.
type Table[V Value] struct {
	now atomic.Pointer[Snapshot[V]]
}

// Snapshot is what a table was at one moment. It never changes; any goroutine may use it.
type Snapshot[V Value] struct {
	pairs    []pair[V]
	size     int
	literals changes // patterns without wildcards
	wilds    changes // the others
}

type pair[V Value] struct {
	pattern string
	value   V
}

// Snapshot returns the table as it is now: one atomic load.
func (t *Table[V]) Snapshot() *Snapshot[V] {
	if s := t.now.Load(); s != nil {
		return s
	}
	return new(Snapshot[V])
}

// Add puts in a subscription; nothing happens when it is there already. The pattern is canonical and is kept.
func (t *Table[V]) Add(pattern string, v V) {
	s := t.Snapshot()
	for _, p := range s.pairs {
		if p == (pair[V]{pattern, v}) {
			return
		}
	}
	t.publish(s, append(s.pairs[:len(s.pairs):len(s.pairs)], pair[V]{pattern, v}), pattern)
}

// Remove takes a subscription out. False means that it was not there.
func (t *Table[V]) Remove(pattern string, v V) bool {
	s := t.Snapshot()
	for i, p := range s.pairs {
		if p == (pair[V]{pattern, v}) {
			t.publish(s, append(s.pairs[:i:i], s.pairs[i+1:]...), pattern)
			return true
		}
	}
	return false
}

func (t *Table[V]) publish(s *Snapshot[V], pairs []pair[V], pattern string) {
	next := &Snapshot[V]{pairs, len(pairs), s.literals, s.wilds}
	if IsWild(pattern) {
		next.wilds = next.wilds.add(pattern)
	} else {
		next.literals = next.literals.add(pattern)
	}
	t.now.Store(next)
}

// Append appends the values of all patterns that match name, which is canonical; when it has wildcards, of all patterns that some
// name has in common with it. A value comes once for each of its patterns that match, in no order. Only dst grows.
func (s *Snapshot[V]) Append(dst []V, name string) []V {
	for _, p := range s.pairs {
		if Matches(p.pattern, name) {
			dst = append(dst, p.value)
		}
	}
	return dst
}

// Len returns the number of subscriptions.
func (s *Snapshot[V]) Len() int { return s.size }

// Version grows by one with each change of the table.
func (s *Snapshot[V]) Version() uint64 { return s.literals.total + s.wilds.total }
