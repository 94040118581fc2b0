package subject

import (
	"hash/maphash"
	"math/bits"
	"strings"
)

// node is a place in the trie of all patterns: what is below one path. Its path is where all patterns below it begin, up to the end
// of a component. The components that follow are looked up by hash in a trie of their own, of which node is the first branch and its
// kids are the others: a component's hash takes it five bits at a time to a slot or to a kid.
//
// Nodes never change once published. So a change copies the nodes on its way from the root, and shares all others.
type node[V Value] struct {
	here  uint32     // bit h: the slot for hash bits h is in slots, in the order of bits
	below uint32     // bit h: several slots for hash bits h are in a kid, in the order of bits; here&below == 0
	slots []slot[V]  // below the last hash bits: all that have the same hash, in no order
	kids  []*node[V] // more of these is nil
	more  *more[V]   // nil when there are no values and no wildcards here
}

// slot is one subscription, or all those that share a path: literal components that have no fork, or a single wildcard component.
type slot[V Value] struct {
	label string   // the pattern of the one, or the path of the node; "" when there is nothing
	node  *node[V] // nil for one subscription
	value V        // of one subscription
}

// more is what few nodes have.
type more[V Value] struct {
	few  []V       // the values of the pattern that ends here
	many *node[V]  // a trie of slots by Value.Key instead of few, when there are more than maxFew
	size int       // number of values
	wild *wilds[V] // nil when no wildcard follows
}

// wilds are the subscriptions below a node whose next component has wildcards. At least one is not empty.
type wilds[V Value] struct {
	star  slot[V] // of `*`
	dots  slot[V] // of `...`
	globs *globs[V]
}

// globs are the subscriptions below a node whose next component is one of several with a `*` among other bytes.
type globs[V Value] struct {
	single *node[V] // by hash: the components with one `*`
	shapes []shape  // of those: the only places where a `*` need be tried
	multi  *node[V] // by hash: the others, which are tried one by one
}

// shape counts the components with as many bytes before and behind their only `*`.
type shape struct {
	head, tail uint8
	count      int
}

const (
	maxFew   = 16 // values in a plain list
	hashBits = 5  // for each branch
	hashMask = 1<<hashBits - 1
	maxShift = 64 // hashes have no bits left
)

// byValue is the offset that tells that slots are kept by their value and not by a component.
const byValue = -1

// key is a component to look for: head alone, or head*tail.
type key struct {
	head, tail string
	star       bool
}

// opens tells whether the component of label whose slash is at off is k.
func (k key) opens(label string, off int) bool {
	rest := label[off+1:]
	if !strings.HasPrefix(rest, k.head) {
		return false
	}
	rest = rest[len(k.head):]
	if k.star {
		if rest == "" || rest[0] != '*' || !strings.HasPrefix(rest[1:], k.tail) {
			return false
		}
		rest = rest[1+len(k.tail):]
	}
	return rest == "" || rest[0] == '/'
}

// find returns the slot of a component, nil if there is none. off is the length of n's path.
func (n *node[V]) find(hash uint64, k key, off int) *slot[V] {
	for shift := 0; shift < maxShift; shift += hashBits {
		bit := uint32(1) << (hash >> shift & hashMask)
		if n.here&bit != 0 {
			if s := &n.slots[rankOf(n.here, bit)]; k.opens(s.label, off) {
				return s
			}
			return nil
		}
		if n.below&bit == 0 {
			return nil
		}
		n = n.kids[rankOf(n.below, bit)]
	}
	for i := range n.slots {
		if k.opens(n.slots[i].label, off) {
			return &n.slots[i]
		}
	}
	return nil
}

// rankOf returns how many bits are set below bit.
func rankOf(set, bit uint32) int { return bits.OnesCount32(set & (bit - 1)) }

// empty tells whether there is nothing in n.
func (n *node[V]) empty() bool {
	return n == nil || len(n.slots) == 0 && len(n.kids) == 0 && n.more == nil
}

// appendValues appends the values of the pattern that ends at n.
func (n *node[V]) appendValues(dst []V) []V {
	switch {
	case n.more == nil:
		return dst
	case n.more.many != nil:
		return n.more.many.appendAll(dst)
	}
	return append(dst, n.more.few...)
}

// appendAll appends all values of a trie by value.
func (n *node[V]) appendAll(dst []V) []V {
	for i := range n.slots {
		dst = append(dst, n.slots[i].value)
	}
	for _, kid := range n.kids {
		dst = kid.appendAll(dst)
	}
	return dst
}

// isWildComponent tells whether a component has wildcards.
func isWildComponent(c string) bool { return c == dots || strings.IndexByte(c, '*') >= 0 }

// shapeOf returns the shape of a component with a `*`; false when it has several, or is longer than any of a canonical name.
func shapeOf(c string) (shape, bool) {
	i := strings.IndexByte(c, '*')
	if len(c) > MaxComponent || strings.IndexByte(c[i+1:], '*') >= 0 {
		return shape{}, false
	}
	return shape{head: uint8(i), tail: uint8(len(c) - i - 1)}, true
}

// hashOf returns the hash by which s is kept. off is the length of the path of the node, or byValue.
func (s *slot[V]) hashOf(seed maphash.Seed, off int) uint64 {
	if off == byValue {
		return mix(s.value.Key())
	}
	c, _ := component(s.label, off)
	return maphash.String(seed, c)
}

// mix spreads the bits of a key; different keys stay different.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}
