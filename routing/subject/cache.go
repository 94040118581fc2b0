package subject

// maxChecks is how many changed wildcard patterns a cached result is compared with before it is cheaper to make it anew.
const maxChecks = 64

// Cache keeps for names what its owner made of a snapshot's answer, a value of type P each. It is owned by one loop.
//
// A result goes when a change of the table may have touched it: a changed literal pattern takes the result of that one name, and those
// of all names with wildcards, with it; the changed wildcard patterns are looked at when a result is asked for.
//
// There are two generations. What is found is in the young one afterwards; when that holds half the limit, the old one is dropped
// and the young one becomes the old one. Names with wildcards have half the limit for themselves, and all go when that is used up.
type Cache[V Value, P any] struct {
	// Fixed.
	half int // entries of a generation, and of the wildcard names
	key  func(dst []byte, name string) []byte

	young, old map[string]*result[P]
	wild       map[string]*result[P] // those of wildcard names; all made when the table had wildSeen changes
	wildSeen   uint64
	literals   uint64 // changes of literal patterns that are worked in
	buffer     []byte
	counts     CacheCounts
}

// CacheCounts counts what a cache did since its beginning.
type CacheCounts struct {
	Hits, Misses uint64
	Evicted      uint64 // dropped because of the limit
}

// result is one cached answer.
type result[P any] struct {
	key, name string
	value     P
	seen      uint64 // changes of wildcard patterns that it takes into account
}

// NewCache returns a cache of at most limit literal names, and half as many with wildcards; a limit below 2 is taken for 2.
// key appends the key of a canonical name, by which Get and Put know it, as ToNATS does for NATS; nil: the name is its own key.
func NewCache[V Value, P any](limit int, key func(dst []byte, name string) []byte) *Cache[V, P] {
	return &Cache[V, P]{
		half:  max(limit/2, 1),
		key:   key,
		young: map[string]*result[P]{},
		old:   map[string]*result[P]{},
		wild:  map[string]*result[P]{},
	}
}

// Get returns what was Put for key, unless the table has changed since then so that s may answer differently.
// Snapshots come in the order of their versions. key is not kept.
func (c *Cache[V, P]) Get(s *Snapshot[V], key []byte) (p P, ok bool) {
	if c.literals != s.literals.total {
		c.dropLiterals(s)
	}
	r := c.young[string(key)]
	if r == nil {
		r = c.find(s, key)
	}
	if r == nil || r.seen != s.wilds.total && !c.confirm(s, r) {
		c.counts.Misses++
		return p, false
	}
	c.counts.Hits++
	return r.value, true
}

// find looks for key outside the young generation; what the old one has becomes young.
func (c *Cache[V, P]) find(s *Snapshot[V], key []byte) *result[P] {
	if r := c.old[string(key)]; r != nil {
		delete(c.old, r.key)
		c.insert(r)
		return r
	}
	if len(c.wild) == 0 {
		return nil
	}
	if c.wildSeen != s.Version() {
		clear(c.wild)
		return nil
	}
	return c.wild[string(key)]
}

// confirm brings r up to s, or drops it if a wildcard pattern that matches its name has changed.
func (c *Cache[V, P]) confirm(s *Snapshot[V], r *result[P]) bool {
	list, ok := s.wilds.since(r.seen)
	ok = ok && len(list) <= maxChecks
	for i := 0; ok && i < len(list); i++ {
		ok = !Matches(list[i], r.name)
	}
	if !ok {
		delete(c.young, r.key)
		delete(c.wild, r.key)
		return false
	}
	r.seen = s.wilds.total
	return true
}

// dropLiterals drops the results of the literal names that were changed up to s.
func (c *Cache[V, P]) dropLiterals(s *Snapshot[V]) {
	list, ok := s.literals.since(c.literals)
	if !ok {
		clear(c.young)
		clear(c.old)
	}
	for _, pattern := range list {
		if len(c.young) == 0 && len(c.old) == 0 {
			break
		}
		key := pattern
		if c.key != nil {
			c.buffer = c.key(c.buffer[:0], pattern)
			delete(c.young, string(c.buffer))
			delete(c.old, string(c.buffer))
			continue
		}
		delete(c.young, key)
		delete(c.old, key)
	}
	c.literals = s.literals.total
}

// Put keeps p, made of s for the canonical name with that key, until a change of the table may touch it or the room is needed.
// The name is kept, key is not. What was made of a snapshot older than one that the cache has seen is not kept at all.
func (c *Cache[V, P]) Put(s *Snapshot[V], key []byte, name string, p P) {
	if s.literals.total < c.literals {
		return
	}
	if c.literals != s.literals.total {
		c.dropLiterals(s)
	}
	r := &result[P]{key: name, name: name, value: p, seen: s.wilds.total}
	if string(key) != name {
		r.key = string(key)
	}
	if !IsWild(name) {
		delete(c.old, r.key)
		c.insert(r)
		return
	}
	if c.wildSeen != s.Version() || len(c.wild) >= c.half {
		clear(c.wild)
		c.wildSeen = s.Version()
	}
	c.wild[r.key] = r
}

// insert makes r young, and ages the others first when there is no room.
func (c *Cache[V, P]) insert(r *result[P]) {
	if len(c.young) >= c.half {
		c.counts.Evicted += uint64(len(c.old))
		clear(c.old)
		c.young, c.old = c.old, c.young
	}
	c.young[r.key] = r
}

// Len returns the number of results that are kept; some of them may no longer be valid.
func (c *Cache[V, P]) Len() int { return len(c.young) + len(c.old) + len(c.wild) }

// Counts returns what the cache counted so far.
func (c *Cache[V, P]) Counts() CacheCounts { return c.counts }
