package subject

import (
	"hash/maphash"
	"strings"
)

// walk finds the values for one literal name. Each node is looked at with each place in the name where its path can end.
//
// Below a `...` there can be several such places, and below the next one they would multiply. But where the latter is reached first, the
// places behind are reached, too; so it is done only once. Places come in ascending order, so the first time is the one that counts.
type walk[V Value] struct {
	name string
	seed maphash.Seed
	dst  []V
	// The `...` below another one that are done: in first, then in rest.
	first  [16]*slot[V]
	firsts int
	rest   map[*slot[V]]struct{}
}

// node appends the values below n that match the name from at on. off is the length of the path of n, deep tells that this has a `...`.
func (w *walk[V]) node(n *node[V], off, at int, deep bool) {
	if at == len(w.name) {
		w.dst = n.appendValues(w.dst)
		if n.more != nil && n.more.wild != nil {
			w.dots(&n.more.wild.dots, off, at, deep)
		}
		return
	}
	c, next := component(w.name, at)
	if s := n.find(maphash.String(w.seed, c), key{head: c}, off); s != nil {
		w.slot(s, off+1+len(c), next, deep)
	}
	if n.more == nil || n.more.wild == nil {
		return
	}
	wild := n.more.wild
	if wild.star.label != "" {
		w.slot(&wild.star, off+len("/*"), next, deep)
	}
	if wild.globs != nil {
		w.globs(wild.globs, c, off, next, deep)
	}
	w.dots(&wild.dots, off, at, deep)
}

// slot goes on with s: the first off bytes of its label match the name up to at.
func (w *walk[V]) slot(s *slot[V], off, at int, deep bool) {
	rest, left := s.label[off:], w.name[at:]
	switch {
	case s.node == nil && rest == left:
		w.dst = append(w.dst, s.value)
	case s.node == nil:
		w.tail(s, off, at, deep)
	case strings.HasPrefix(left, rest) && (len(left) == len(rest) || left[len(rest)] == '/'):
		w.node(s.node, len(s.label), at+len(rest), deep)
	}
}

// tail matches the rest of the pattern of a subscription with the rest of the name.
func (w *walk[V]) tail(s *slot[V], off, at int, deep bool) {
	for off < len(s.label) {
		p, end := component(s.label, off)
		if p == dots {
			if w.enter(s, deep) && matchFixed(s.label[off:], w.name[at:]) {
				w.dst = append(w.dst, s.value)
			}
			return
		}
		if at == len(w.name) {
			return
		}
		c, next := component(w.name, at)
		if !componentsMeet(p, c) {
			return
		}
		off, at = end, next
	}
	if at == len(w.name) {
		w.dst = append(w.dst, s.value)
	}
}

// dots goes on with s, the slot of a `...` at off.
func (w *walk[V]) dots(s *slot[V], off, at int, deep bool) {
	switch {
	case s.label == "":
	case s.node == nil:
		w.tail(s, off, at, deep)
	case w.enter(s, deep):
		w.node(s.node, len(s.label), at, true)
		for at < len(w.name) {
			_, at = component(w.name, at)
			w.node(s.node, len(s.label), at, true)
		}
	}
}

// enter tells whether s, in which a `...` comes next, is to be looked at: not if it was already.
func (w *walk[V]) enter(s *slot[V], deep bool) bool {
	if !deep { // there is but one way here
		return true
	}
	for _, done := range w.first[:w.firsts] {
		if done == s {
			return false
		}
	}
	if w.firsts < len(w.first) {
		w.first[w.firsts] = s
		w.firsts++
		return true
	}
	if _, done := w.rest[s]; done {
		return false
	}
	if w.rest == nil {
		w.rest = make(map[*slot[V]]struct{})
	}
	w.rest[s] = struct{}{}
	return true
}

// globs goes on with those of g that match c, the component of the name that ends at next.
func (w *walk[V]) globs(g *globs[V], c string, off, next int, deep bool) {
	for _, sh := range g.shapes {
		if int(sh.head)+int(sh.tail) > len(c) {
			continue
		}
		k := key{c[:sh.head], c[len(c)-int(sh.tail):], true}
		if s := g.single.find(k.hash(w.seed), k, off); s != nil {
			w.slot(s, off+1+len(k.head)+1+len(k.tail), next, deep)
		}
	}
	if g.multi != nil {
		w.multi(g.multi, c, off, next, deep)
	}
}

// multi tries all of a hash trie of components with several `*`.
func (w *walk[V]) multi(n *node[V], c string, off, next int, deep bool) {
	for i := range n.slots {
		if p, end := component(n.slots[i].label, off); glob(p, c) {
			w.slot(&n.slots[i], end, next, deep)
		}
	}
	for _, kid := range n.kids {
		w.multi(kid, c, off, next, deep)
	}
}

// hash returns the hash of the component head*tail.
func (k key) hash(seed maphash.Seed) uint64 {
	var buffer [MaxComponent]byte
	b := append(buffer[:0], k.head...)
	b = append(b, '*')
	return maphash.Bytes(seed, append(b, k.tail...))
}
