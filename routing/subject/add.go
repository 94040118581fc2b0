package subject

import (
	"hash/maphash"
	"slices"
)

// change adds a subscription to a trie or takes one out. It copies what it touches.
type change[V Value] struct {
	seed  maphash.Seed
	s     slot[V] // the subscription to take out
	done  bool    // something has changed
	slots int     // how many slots the hash trie treated last has gained: -1, 0, 1
}

// put returns n with s below it; n may be nil, its path is the first off bytes of s.label. s is a subscription; or, when n is nil, any slot.
func (c *change[V]) put(n *node[V], off int, s slot[V]) *node[V] {
	if n == nil {
		n = new(node[V])
	}
	if off == len(s.label) {
		return c.putValue(n, s.value)
	}
	switch first, _ := component(s.label, off); {
	case !isWildComponent(first):
		return c.insert(n, s.hashOf(c.seed, off), 0, off, s)
	default:
		return c.putWild(n, off, first, s)
	}
}

// putValue returns n with a value for its own path.
func (c *change[V]) putValue(n *node[V], v V) *node[V] {
	m := new(more[V])
	if n.more != nil {
		*m = *n.more
	}
	switch {
	case m.many != nil:
		c.slots = 0
		m.many = c.insertValue(m.many, v)
		m.size += c.slots
	case slices.Contains(m.few, v):
		return n
	case len(m.few) < maxFew:
		m.few = inserted(m.few, len(m.few), v)
		m.size++
		c.done = true
	default:
		for _, old := range append(m.few[:maxFew:maxFew], v) {
			m.many = c.insertValue(m.many, old)
		}
		m.few, m.size = nil, maxFew+1
	}
	out := *n
	out.more = m
	return &out
}

func (c *change[V]) insertValue(n *node[V], v V) *node[V] {
	if n == nil {
		n = new(node[V])
	}
	return c.insert(n, mix(v.Key()), 0, byValue, slot[V]{value: v})
}

// putWild returns n with s below it, whose next component is first and has wildcards.
func (c *change[V]) putWild(n *node[V], off int, first string, s slot[V]) *node[V] {
	m, w := new(more[V]), new(wilds[V])
	if n.more != nil {
		*m = *n.more
	}
	if m.wild != nil {
		*w = *m.wild
	}
	switch first {
	case "*":
		w.star = c.joinOrSet(w.star, off, s)
	case dots:
		w.dots = c.joinOrSet(w.dots, off, s)
	default:
		w.globs = c.putGlob(w.globs, off, first, s)
	}
	m.wild = w
	out := *n
	out.more = m
	return &out
}

func (c *change[V]) joinOrSet(old slot[V], off int, s slot[V]) slot[V] {
	if old.label == "" {
		c.done = true
		return s
	}
	return c.join(old, off, s)
}

func (c *change[V]) putGlob(old *globs[V], off int, first string, s slot[V]) *globs[V] {
	g := new(globs[V])
	if old != nil {
		*g = *old
	}
	hash := s.hashOf(c.seed, off)
	c.slots = 0
	sh, single := shapeOf(first)
	if !single {
		g.multi = c.insert(orNew(g.multi), hash, 0, off, s)
		return g
	}
	g.single = c.insert(orNew(g.single), hash, 0, off, s)
	if c.slots != 0 {
		g.shapes = countShape(g.shapes, sh, 1)
	}
	return g
}

// countShape returns a copy of list with the count of one shape changed.
func countShape(list []shape, sh shape, by int) []shape {
	i := slices.IndexFunc(list, func(s shape) bool { return s.head == sh.head && s.tail == sh.tail })
	if i < 0 {
		sh.count = by
		return inserted(list, len(list), sh)
	}
	sh.count = list[i].count + by
	if sh.count == 0 {
		return without(list, i)
	}
	return replaced(list, i, sh)
}

func orNew[V Value](n *node[V]) *node[V] {
	if n == nil {
		return new(node[V])
	}
	return n
}

// insert returns n, a branch of a hash trie reached with the first shift bits of hash, with s in it.
func (c *change[V]) insert(n *node[V], hash uint64, shift, off int, s slot[V]) *node[V] {
	out := *n
	if shift >= maxShift {
		return c.insertSame(&out, off, s)
	}
	bit := uint32(1) << (hash >> shift & hashMask)
	switch i, j := rankOf(n.here, bit), rankOf(n.below, bit); {
	case n.below&bit != 0:
		out.kids = replaced(n.kids, j, c.insert(n.kids[j], hash, shift+hashBits, off, s))
	case n.here&bit == 0:
		out.here |= bit
		out.slots = inserted(n.slots, i, s)
		c.grow()
	case n.slots[i].sameHead(&s, off):
		if off == byValue {
			return n
		}
		out.slots = replaced(n.slots, i, c.join(n.slots[i], off, s))
		c.slots = 0 // whatever happened deeper
	default: // both go one branch down
		old := n.slots[i]
		kid := c.insert(new(node[V]), old.hashOf(c.seed, off), shift+hashBits, off, old)
		out.here &^= bit
		out.below |= bit
		out.slots = without(n.slots, i)
		out.kids = inserted(n.kids, j, c.insert(kid, hash, shift+hashBits, off, s))
	}
	return &out
}

// insertSame puts s into a branch beyond the last bits of the hash. out is a fresh copy.
func (c *change[V]) insertSame(out *node[V], off int, s slot[V]) *node[V] {
	for i := range out.slots {
		if !out.slots[i].sameHead(&s, off) {
			continue
		}
		if off != byValue {
			out.slots = replaced(out.slots, i, c.join(out.slots[i], off, s))
			c.slots = 0
		}
		return out
	}
	out.slots = inserted(out.slots, len(out.slots), s)
	c.grow()
	return out
}

func (c *change[V]) grow() {
	c.done = true
	c.slots = 1
}

// sameHead tells whether s and t belong into the same slot.
func (s *slot[V]) sameHead(t *slot[V], off int) bool {
	if off == byValue {
		return s.value == t.value
	}
	first, _ := component(t.label, off)
	return key{head: first}.opens(s.label, off)
}

// join returns the slot of both: old, and the subscription s, whose first component behind off is the same.
func (c *change[V]) join(old slot[V], off int, s slot[V]) slot[V] {
	cut := fork(old.label, s.label, off)
	switch {
	case old.node == nil && old.label == s.label && old.value == s.value:
		return old
	case old.node == nil || cut < len(old.label):
		return slot[V]{label: s.label[:cut], node: c.put(c.put(nil, cut, old), cut, s)}
	}
	n := c.put(old.node, cut, s)
	return slot[V]{label: s.label[:cut], node: n}
}

// fork returns the length of the path that a and b share: the component behind off, and when it is literal as many literal ones
// as they have in common.
func fork(a, b string, off int) int {
	c, end := component(a, off)
	if isWildComponent(c) {
		return end
	}
	for end < len(a) && end < len(b) {
		c, next := component(a, end)
		if d, _ := component(b, end); c != d || isWildComponent(c) {
			break
		}
		end = next
	}
	return end
}
