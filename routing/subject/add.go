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

// put returns n with s below it. The path of n, which may be nil, is the first off bytes of s.label. s is a subscription; or any slot,
// when n is nil.
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
		m.few = resized(m.few, len(m.few), 0, 1)
		m.few[len(m.few)-1] = v
		m.size++
		c.done = true
	default:
		for _, old := range append(m.few[:maxFew:maxFew], v) {
			m.many = c.insertValue(m.many, old)
		}
		m.few, m.size = nil, maxFew+1
	}
	return n.withMore(m)
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
	return n.withMore(m)
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
		i = len(list)
		list = resized(list, i, 0, 1)
		list[i] = sh
	} else {
		list = slices.Clone(list)
	}
	list[i].count += by
	if list[i].count == 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

func orNew[V Value](n *node[V]) *node[V] {
	if n == nil {
		return new(node[V])
	}
	return n
}

// insert returns n, a branch of a hash trie reached with the first shift bits of hash, with s in it.
func (c *change[V]) insert(n *node[V], hash uint64, shift, off int, s slot[V]) *node[V] {
	if shift >= maxShift {
		return c.insertSame(n, off, s)
	}
	bit := uint32(1) << (hash >> shift & hashMask)
	switch i, j := rankOf(n.here, bit), rankOf(n.below, bit); {
	case n.below&bit != 0:
		return n.withKid(j, c.insert(n.kids[j], hash, shift+hashBits, off, s))
	case n.here&bit == 0:
		c.grow()
		return n.plusSlot(i, bit, s)
	case n.slots[i].sameHead(&s, off):
		return c.insertInto(n, i, off, s)
	default: // both go one branch down
		c.grow()
		return n.slotToKid(i, j, bit, pair(n.slots[i], s, n.slots[i].hashOf(c.seed, off), hash, shift+hashBits))
	}
}

// pair returns a branch for two slots whose hashes have the first shift bits in common.
func pair[V Value](a, b slot[V], aHash, bHash uint64, shift int) *node[V] {
	if shift >= maxShift {
		n := room[V](2, 0)
		n.slots[0], n.slots[1] = a, b
		return n
	}
	aBit, bBit := uint32(1)<<(aHash>>shift&hashMask), uint32(1)<<(bHash>>shift&hashMask)
	if aBit == bBit {
		n := room[V](0, 1)
		n.below, n.kids[0] = aBit, pair(a, b, aHash, bHash, shift+hashBits)
		return n
	}
	n := room[V](2, 0)
	n.here = aBit | bBit
	if aBit > bBit {
		a, b = b, a
	}
	n.slots[0], n.slots[1] = a, b
	return n
}

// insertSame returns n, a branch beyond the last bits of the hash, with s in it.
func (c *change[V]) insertSame(n *node[V], off int, s slot[V]) *node[V] {
	for i := range n.slots {
		if n.slots[i].sameHead(&s, off) {
			return c.insertInto(n, i, off, s)
		}
	}
	c.grow()
	return n.plusSlot(len(n.slots), 0, s)
}

// insertInto returns n with s in its slot i.
func (c *change[V]) insertInto(n *node[V], i, off int, s slot[V]) *node[V] {
	if off == byValue {
		return n // the same value
	}
	s = c.join(n.slots[i], off, s)
	c.slots = 0 // whatever came deeper
	return n.withSlot(i, s)
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
		return slot[V]{label: s.label[:cut], node: c.both(old, s, cut)}
	}
	return slot[V]{label: s.label[:cut], node: c.put(old.node, cut, s)}
}

// both returns a node with old and the subscription s. Its path is the first off bytes of both; behind these they differ.
func (c *change[V]) both(old, s slot[V], off int) *node[V] {
	if off < len(old.label) && off < len(s.label) {
		a, _ := component(old.label, off)
		b, _ := component(s.label, off)
		if a != b && !isWildComponent(a) && !isWildComponent(b) { // the usual case, in one step
			c.done = true
			return pair(old, s, maphash.String(c.seed, a), maphash.String(c.seed, b), 0)
		}
	}
	return c.put(c.put(nil, off, old), off, s)
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
