package subject

// This file has all ways to make a node out of an older one.

// room returns a node with so many empty slots and kids. A few slots lie behind the node in the same piece of memory: most nodes have
// no more, so a change makes fewer pieces, and a reader finds the slots in the cache.
func room[V Value](slots, kids int) *node[V] {
	n := roomForSlots[V](slots)
	if kids != 0 {
		n.kids = make([]*node[V], kids)
	}
	return n
}

func roomForSlots[V Value](slots int) *node[V] {
	switch {
	case slots == 0:
		return new(node[V])
	case slots == 1:
		x := new(struct {
			node[V]
			room [1]slot[V]
		})
		x.slots = x.room[:]
		return &x.node
	case slots == 2:
		x := new(struct {
			node[V]
			room [2]slot[V]
		})
		x.slots = x.room[:]
		return &x.node
	case slots <= 4:
		x := new(struct {
			node[V]
			room [4]slot[V]
		})
		x.slots = x.room[:slots:slots]
		return &x.node
	case slots <= 8:
		x := new(struct {
			node[V]
			room [8]slot[V]
		})
		x.slots = x.room[:slots:slots]
		return &x.node
	}
	return &node[V]{slots: make([]slot[V], slots)}
}

// like returns a node with the bits and the rest of n, and room for more or fewer slots and kids, which are yet to be filled.
func (n *node[V]) like(slots, kids int) *node[V] {
	out := room[V](len(n.slots)+slots, len(n.kids)+kids)
	out.here, out.below, out.more = n.here, n.below, n.more
	return out
}

func (n *node[V]) withMore(m *more[V]) *node[V] {
	out := n.like(0, 0)
	copy(out.slots, n.slots)
	copy(out.kids, n.kids)
	out.more = m
	if m.size == 0 && m.wild == nil {
		out.more = nil
	}
	return out
}

func (n *node[V]) withSlot(i int, s slot[V]) *node[V] {
	out := n.like(0, 0)
	copy(out.slots, n.slots)
	copy(out.kids, n.kids)
	out.slots[i] = s
	return out
}

func (n *node[V]) withKid(j int, kid *node[V]) *node[V] {
	out := n.like(0, 0)
	copy(out.slots, n.slots)
	copy(out.kids, n.kids)
	out.kids[j] = kid
	return out
}

// plusSlot returns n with one more slot at i. bit is 0 in a branch beyond the last bits of the hash.
func (n *node[V]) plusSlot(i int, bit uint32, s slot[V]) *node[V] {
	out := n.like(1, 0)
	out.here |= bit
	splice(out.slots, n.slots, i, 0, 1)
	copy(out.kids, n.kids)
	out.slots[i] = s
	return out
}

func (n *node[V]) minusSlot(i int, bit uint32) *node[V] {
	out := n.like(-1, 0)
	out.here &^= bit
	splice(out.slots, n.slots, i, 1, 0)
	copy(out.kids, n.kids)
	return out
}

// slotToKid returns n with kid number j instead of slot i.
func (n *node[V]) slotToKid(i, j int, bit uint32, kid *node[V]) *node[V] {
	out := n.like(-1, 1)
	out.here &^= bit
	out.below |= bit
	splice(out.slots, n.slots, i, 1, 0)
	splice(out.kids, n.kids, j, 0, 1)
	out.kids[j] = kid
	return out
}

// kidToSlot returns n with slot i instead of kid number j.
func (n *node[V]) kidToSlot(i, j int, bit uint32, s slot[V]) *node[V] {
	out := n.like(1, -1)
	out.here |= bit
	out.below &^= bit
	splice(out.slots, n.slots, i, 0, 1)
	splice(out.kids, n.kids, j, 1, 0)
	out.slots[i] = s
	return out
}

// splice copies from into to, but for gone elements at i, for which added ones are left empty.
func splice[E any](to, from []E, i, gone, added int) {
	copy(to, from[:i])
	copy(to[i+added:], from[i+gone:])
}

// resized returns a copy of list in which added empty elements stand at i for gone ones, without room to spare.
func resized[E any](list []E, i, gone, added int) []E {
	if len(list)+added == gone {
		return nil
	}
	out := make([]E, len(list)-gone+added)
	splice(out, list, i, gone, added)
	return out
}
