package subject

import (
	"hash/maphash"
	"math/bits"
)

// maxWild bounds the components of a name with wildcards; a canonical one has at most MaxComponents.
const maxWild = 127

// meeting finds the values for one name with wildcards. Each node is looked at once, with the set of all places in the name where its
// path can end. So the time is in proportion to the nodes that are reached, whatever the wildcards.
type meeting[V Value] struct {
	seed  maphash.Seed
	dst   []V
	count int // components of the name
	name  [maxWild]string
	plain places // the literal components, and the end
	many  places // the `...`
}

// places is a set of positions in a name: i means that i components are done.
type places [2]uint64

func (p *places) add(i int)                { p[i>>6] |= 1 << (i & 63) }
func (p *places) has(i int) bool           { return p[i>>6]>>(i&63)&1 != 0 }
func (p *places) empty() bool              { return p[0]|p[1] == 0 }
func (p *places) within(other places) bool { return p[0]&^other[0]|p[1]&^other[1] == 0 }

// first returns the smallest place, next the smallest one from i on; both more than 127 if there is none.
func (p *places) first() int { return p.next(0) }

func (p *places) next(i int) int {
	if i < 64 {
		if rest := p[0] >> i << i; rest != 0 {
			return bits.TrailingZeros64(rest)
		}
		i = 64
	}
	if i < 128 {
		if rest := p[1] >> (i - 64) << (i - 64); rest != 0 {
			return 64 + bits.TrailingZeros64(rest)
		}
	}
	return 128
}

// open splits the name; false means that it has too many components.
func (m *meeting[V]) open(name string) bool {
	for at := 0; at < len(name); m.count++ {
		if m.count == maxWild {
			return false
		}
		c, next := component(name, at)
		m.name[m.count] = c
		switch {
		case c == dots:
			m.many.add(m.count)
		case !isWildComponent(c):
			m.plain.add(m.count)
		}
		at = next
	}
	m.plain.add(m.count)
	return true
}

// settle adds the places that are reached from those in set because a `...` of the name may stand for nothing.
func (m *meeting[V]) settle(set places) places {
	for i := m.many.first(); i < m.count; i = m.many.next(i + 1) {
		if set.has(i) {
			set.add(i + 1)
		}
	}
	return set
}

// from returns all places from the first one of set on: where one may be behind a `...` of a pattern.
func (m *meeting[V]) from(set places) (out places) {
	for i := set.first(); i <= m.count; i++ {
		out.add(i)
	}
	return out
}

// step returns the places reached from set with the component p of a pattern.
func (m *meeting[V]) step(set places, p string) (out places) {
	if p == dots {
		return m.from(set)
	}
	for i := set.first(); i < m.count; i = set.next(i + 1) {
		switch {
		case m.many.has(i):
			out.add(i) // the `...` of the name stands for p and maybe more
		case componentsMeet(p, m.name[i]):
			out.add(i + 1)
		}
	}
	return m.settle(out)
}

// node appends the values below n. off is the length of its path, which can end at the places of set.
func (m *meeting[V]) node(n *node[V], off int, set places) {
	if set.has(m.count) {
		m.dst = n.appendValues(m.dst)
	}
	if set.within(m.plain) {
		m.literals(n, off, set)
	} else {
		m.all(n, off, set)
	}
	if n.more == nil || n.more.wild == nil {
		return
	}
	wild := n.more.wild
	m.slot(&wild.star, off, set)
	m.slot(&wild.dots, off, set)
	if g := wild.globs; g != nil {
		m.all(g.single, off, set)
		m.all(g.multi, off, set)
	}
}

// literals looks up the literal components at the places of set.
func (m *meeting[V]) literals(n *node[V], off int, set places) {
	for i := set.first(); i < m.count; i = set.next(i + 1) {
		c := m.name[i]
		if m.before(set, i) {
			continue
		}
		if s := n.find(maphash.String(m.seed, c), key{head: c}, off); s != nil {
			m.slot(s, off, set)
		}
	}
}

// before tells whether the component at i is also at an earlier place of set.
func (m *meeting[V]) before(set places, i int) bool {
	for j := set.first(); j < i; j = set.next(j + 1) {
		if m.name[j] == m.name[i] {
			return true
		}
	}
	return false
}

// all goes on with all slots of a hash trie, which may be nil.
func (m *meeting[V]) all(n *node[V], off int, set places) {
	if n == nil {
		return
	}
	for i := range n.slots {
		m.slot(&n.slots[i], off, set)
	}
	for _, kid := range n.kids {
		m.all(kid, off, set)
	}
}

// slot goes on with s, whose label is yet to be matched from off on. It may be empty.
func (m *meeting[V]) slot(s *slot[V], off int, set places) {
	if s.label == "" {
		return
	}
	for off < len(s.label) && !set.empty() {
		var p string
		p, off = component(s.label, off)
		set = m.step(set, p)
	}
	switch {
	case set.empty():
	case s.node != nil:
		m.node(s.node, off, set)
	case set.has(m.count):
		m.dst = append(m.dst, s.value)
	}
}
