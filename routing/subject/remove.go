package subject

import "slices"

// take returns n without the subscription c.s, whose pattern begins with the path of n: its first off bytes. n is not nil; the
// result may be empty. c.done tells whether the subscription was there.
func (c *change[V]) take(n *node[V], off int) *node[V] {
	if off == len(c.s.label) {
		return c.takeValue(n)
	}
	first, _ := component(c.s.label, off)
	if isWildComponent(first) {
		return c.takeWild(n, off, first)
	}
	return c.cut(n, c.s.hashOf(c.seed, off), 0, off)
}

func (c *change[V]) takeValue(n *node[V]) *node[V] {
	if n.more == nil || n.more.size == 0 {
		return n
	}
	m := *n.more
	if m.many != nil {
		c.slots = 0
		m.many = c.cut(m.many, mix(c.s.value.Key()), 0, byValue)
		m.size += c.slots
		if m.size <= maxFew/2 { // far enough from maxFew not to go back and forth
			m.few, m.many = m.many.appendAll(make([]V, 0, m.size)), nil
		}
	} else {
		i := slices.Index(m.few, c.s.value)
		if i < 0 {
			return n
		}
		m.few = resized(m.few, i, 1, 0)
		m.size--
		c.done = true
	}
	return n.withMore(&m)
}

func (c *change[V]) takeWild(n *node[V], off int, first string) *node[V] {
	if n.more == nil || n.more.wild == nil {
		return n
	}
	m, w := *n.more, *n.more.wild
	switch {
	case first == "*" && w.star.label != "":
		w.star = c.leave(w.star, off)
	case first == dots && w.dots.label != "":
		w.dots = c.leave(w.dots, off)
	case first != "*" && first != dots && w.globs != nil:
		w.globs = c.takeGlob(w.globs, off, first)
	}
	m.wild = &w
	if w.star.label == "" && w.dots.label == "" && w.globs == nil {
		m.wild = nil
	}
	return n.withMore(&m)
}

// takeGlob returns nil when nothing is left.
func (c *change[V]) takeGlob(old *globs[V], off int, first string) *globs[V] {
	g := *old
	hash := c.s.hashOf(c.seed, off)
	c.slots = 0
	if sh, single := shapeOf(first); !single {
		g.multi = c.cutOrNil(g.multi, hash, off)
	} else if g.single = c.cutOrNil(g.single, hash, off); c.slots != 0 {
		g.shapes = countShape(g.shapes, sh, c.slots)
	}
	if g.single == nil && g.multi == nil {
		return nil
	}
	return &g
}

func (c *change[V]) cutOrNil(n *node[V], hash uint64, off int) *node[V] {
	if n != nil {
		n = c.cut(n, hash, 0, off)
	}
	if n.empty() {
		return nil
	}
	return n
}

// cut returns n, a branch of a hash trie reached with the first shift bits of hash, without the subscription.
func (c *change[V]) cut(n *node[V], hash uint64, shift, off int) *node[V] {
	if shift >= maxShift {
		for i := range n.slots {
			if n.slots[i].sameHead(&c.s, off) {
				return c.cutSlot(n, i, 0, off)
			}
		}
		return n
	}
	bit := uint32(1) << (hash >> shift & hashMask)
	switch i, j := rankOf(n.here, bit), rankOf(n.below, bit); {
	case n.below&bit != 0:
		return c.cutKid(n, bit, j, c.cut(n.kids[j], hash, shift+hashBits, off))
	case n.here&bit != 0 && n.slots[i].sameHead(&c.s, off):
		return c.cutSlot(n, i, bit, off)
	}
	return n
}

// cutKid returns n with another kid. A kid with nothing but one slot is taken back into n.
func (c *change[V]) cutKid(n *node[V], bit uint32, j int, kid *node[V]) *node[V] {
	switch {
	case !c.done:
		return n
	case len(kid.slots) == 1 && len(kid.kids) == 0:
		return n.kidToSlot(rankOf(n.here, bit), j, bit, kid.slots[0])
	}
	return n.withKid(j, kid) // it is not empty, as it had two slots or more
}

// cutSlot returns n with the subscription taken out of its slot i, which has that bit.
func (c *change[V]) cutSlot(n *node[V], i int, bit uint32, off int) *node[V] {
	var rest slot[V]
	if off == byValue {
		c.done = true
	} else {
		rest = c.leave(n.slots[i], off)
	}
	c.slots = 0
	switch {
	case !c.done:
		return n
	case rest.label != "":
		return n.withSlot(i, rest)
	}
	c.slots = -1
	return n.minusSlot(i, bit)
}

// leave returns what is left of old, the slot of the component of the subscription behind off: nothing when its label is empty.
func (c *change[V]) leave(old slot[V], off int) slot[V] {
	pattern := c.s.label
	if old.node == nil {
		if old.label != pattern || old.value != c.s.value {
			return old
		}
		c.done = true
		return slot[V]{}
	}
	end := len(old.label)
	if len(pattern) < end || pattern[:end] != old.label || len(pattern) > end && pattern[end] != '/' {
		return old
	}
	n := c.take(old.node, end)
	if !c.done {
		return old
	}
	if lone, ok := n.lone(old.label, off); ok {
		return lone
	}
	return slot[V]{label: old.label, node: n}
}

// lone returns the slot that can stand for the path label and all of n at its end, when there is little left. The path has forked from
// another one at off.
func (n *node[V]) lone(label string, off int) (slot[V], bool) {
	switch {
	case len(n.kids) != 0 || len(n.slots) > 1:
	case n.more == nil && len(n.slots) == 1:
		first, _ := component(label, off)
		if s := n.slots[0]; s.node == nil || !isWildComponent(first) {
			return s, true
		}
	case n.more == nil:
		return slot[V]{}, true
	case len(n.slots) != 0:
	case n.more.size == 1 && n.more.wild == nil:
		return slot[V]{label: label, value: n.more.few[0]}, true
	case n.more.size == 0:
		return n.more.wild.lone()
	}
	return slot[V]{}, false
}

// lone returns the only subscription in w, if there is no more. One among globs does not count.
func (w *wilds[V]) lone() (slot[V], bool) {
	switch {
	case w.globs != nil:
	case w.star.label == "":
		return w.dots, w.dots.node == nil
	case w.dots.label == "":
		return w.star, w.star.node == nil
	}
	return slot[V]{}, false
}
