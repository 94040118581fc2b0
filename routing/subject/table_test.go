package subject

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// id is a value of the tests.
type id uint64

func (v id) Key() uint64 { return uint64(v) }

// entry is one subscription of a model table.
type entry struct {
	pattern string
	value   id
}

type model map[entry]bool

func (m model) match(name string) []id {
	var all []id
	for p := range m {
		if reference(p.pattern, name) {
			all = append(all, p.value)
		}
	}
	slices.Sort(all)
	return all
}

func ask(s *Snapshot[id], name string) []id {
	all := s.Append(nil, name)
	slices.Sort(all)
	return all
}

// CheckInvariants fails when the trie is not as its comments say.
func (s *Snapshot[V]) CheckInvariants(t *testing.T) {
	t.Helper()
	c := checker[V]{t: t, s: s}
	if s.root != nil {
		c.node(s.root, 0, "")
	}
	if c.count != s.Len() {
		t.Fatalf("%d subscriptions in the trie, Len is %d", c.count, s.Len())
	}
}

type checker[V Value] struct {
	t     *testing.T
	s     *Snapshot[V]
	count int
}

func (c *checker[V]) node(n *node[V], off int, path string) {
	c.t.Helper()
	c.branch(n, off, path, 0)
	if n.more == nil {
		return
	}
	m := n.more
	values := len(n.appendValues(nil))
	c.count += values
	if values != m.size || m.many != nil && (m.size <= maxFew/2 || m.few != nil) || len(m.few) > maxFew {
		c.t.Fatalf("%s: %d values, size %d", path, values, m.size)
	}
	if m.size == 0 && m.wild == nil {
		c.t.Fatalf("%s: more of nothing", path)
	}
	if m.wild == nil {
		return
	}
	w := m.wild
	c.slot(&w.star, off, path)
	c.slot(&w.dots, off, path)
	if w.globs == nil {
		if w.star.label == "" && w.dots.label == "" {
			c.t.Fatalf("%s: no wildcards", path)
		}
		return
	}
	shapes := 0
	for _, sh := range w.globs.shapes {
		shapes += sh.count
	}
	single := 0
	if w.globs.single != nil {
		single = c.branch(w.globs.single, off, path, 0)
	}
	if single != shapes {
		c.t.Fatalf("%s: %d globs, their shapes say %d", path, single, shapes)
	}
	if w.globs.multi != nil {
		c.branch(w.globs.multi, off, path, 0)
	}
}

func (c *checker[V]) branch(n *node[V], off int, path string, shift int) (slots int) {
	if n.here&n.below != 0 {
		c.t.Fatalf("%s: slot and kid for the same bits", path)
	}
	if shift > 0 && (n.more != nil || len(n.slots) < 2 && len(n.kids) == 0) {
		c.t.Fatalf("%s: a kid that should not be", path)
	}
	for i := range n.slots {
		if n.slots[i].label == "" {
			c.t.Fatalf("%s: empty slot", path)
		}
		c.slot(&n.slots[i], off, path)
	}
	slots = len(n.slots)
	for _, kid := range n.kids {
		slots += c.branch(kid, off, path, shift+hashBits)
	}
	return slots
}

func (c *checker[V]) slot(s *slot[V], off int, path string) {
	switch {
	case s.label == "":
	case s.label[:off] != path || len(s.label) == off:
		c.t.Fatalf("%s: slot of %s", path, s.label)
	case s.node == nil:
		c.count++
	case s.node.empty():
		c.t.Fatalf("%s: empty node", s.label)
	default:
		c.node(s.node, len(s.label), s.label)
	}
}

// TestTableAsReference changes tables at random and compares them, and some of their snapshots later on, with a list.
func TestTableAsReference(t *testing.T) {
	for seed := range uint64(24) {
		random := rand.New(rand.NewPCG(seed, 1))
		var table Table[id]
		now := model{}
		type past struct {
			snapshot *Snapshot[id]
			name     string
			want     []id
		}
		var pasts []past
		for step := range 600 {
			p := entry{randomName(random, 1+int(seed%6), random.IntN(3) == 0), id(random.IntN(40))}
			if random.IntN(20) == 0 { // a subject with many values
				p.pattern = "/a/b"
			}
			version := table.Snapshot().Version()
			if random.IntN(5) < 2+step/400 {
				if got := table.Remove(p.pattern, p.value); got != now[p] {
					t.Fatalf("seed %d: Remove(%v) is %v", seed, p, got)
				}
				delete(now, p)
			} else {
				table.Add(p.pattern, p.value)
				now[p] = true
			}
			s := table.Snapshot()
			if s.Version()-version > 1 || s.Len() != len(now) {
				t.Fatalf("seed %d: version %d after %d, %d subscriptions, want %d", seed, s.Version(), version, s.Len(), len(now))
			}
			name := randomName(random, 6, random.IntN(3) == 0)
			want := now.match(name)
			if got := ask(s, name); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %s: %v, want %v", seed, step, name, got, want)
			}
			if step%10 == 0 {
				s.CheckInvariants(t)
				pasts = append(pasts, past{s, name, want})
			}
		}
		for p := range now {
			if !table.Remove(p.pattern, p.value) {
				t.Fatalf("seed %d: %v is lost", seed, p)
			}
			table.Snapshot().CheckInvariants(t)
		}
		if s := table.Snapshot(); s.Len() != 0 || !s.root.empty() {
			t.Fatalf("seed %d: something stays: %+v", seed, s.root)
		}
		for _, p := range pasts {
			if got := ask(p.snapshot, p.name); !slices.Equal(got, p.want) {
				t.Fatalf("seed %d: an old snapshot changed: %s: %v, want %v", seed, p.name, got, p.want)
			}
		}
	}
}

func TestZeroTable(t *testing.T) {
	var table Table[id]
	s := table.Snapshot()
	if got := s.Append([]id{7}, "/a"); len(got) != 1 || s.Len() != 0 || s.Version() != 0 || table.Remove("/a", 1) {
		t.Errorf("the zero table has %v", got)
	}
	table.Add("/a", 1)
	table.Add("/a", 1)
	if s := table.Snapshot(); s.Len() != 1 || s.Version() != 1 {
		t.Errorf("a subscription added twice: Len %d, Version %d", s.Len(), s.Version())
	}
}

func TestManyValuesOfOneSubject(t *testing.T) {
	var table Table[id]
	const count = 3000
	for i := range id(count) {
		table.Add("/one", i*1<<40)
	}
	table.Add("/one", 0)
	full := table.Snapshot()
	full.CheckInvariants(t)
	for i := range id(count) {
		if !table.Remove("/one", i*1<<40) {
			t.Fatalf("%d is lost", i)
		}
		if got := len(table.Snapshot().Append(nil, "/one")); got != count-1-int(i) {
			t.Fatalf("%d values after %d removals", got, i+1)
		}
	}
	if got := len(full.Append(nil, "/*")); got != count {
		t.Errorf("the old snapshot has %d values", got)
	}
}

// sameKey breaks the promise of Value: the table must still hold all.
type sameKey int

func (sameKey) Key() uint64 { return 42 }

func TestValuesWithOneKey(t *testing.T) {
	var table Table[sameKey]
	for i := range sameKey(40) {
		table.Add("/one", i)
		table.Add("/one", i)
	}
	for i := range sameKey(40) {
		if !table.Remove("/one", i) || table.Remove("/one", i) {
			t.Fatalf("%d is lost", i)
		}
		table.Snapshot().CheckInvariants(t)
	}
}

// TestHostilePatterns ends only when no work multiplies.
func TestHostilePatterns(t *testing.T) {
	var table Table[id]
	model := model{}
	add := func(pattern string) {
		p := entry{pattern, id(len(model))}
		model[p] = true
		table.Add(p.pattern, p.value)
	}
	for _, c := range []string{"", "/a", "/*", "/*a*a*", "/a*"} {
		add(strings.Repeat("/..."+c, 30))
		add(strings.Repeat("/..."+c, 30) + "/b")
		add(strings.Repeat("/..."+c, 29) + "/.../" + strings.Repeat("*a", 80))
		for i := range 15 {
			add(strings.Repeat("/..."+c, i) + "/.../a/.../c")
			add(strings.Repeat("/..."+c, i) + "/...")
		}
	}
	for i := range 40 {
		add(fmt.Sprintf("/.../a/.../*%d*", i))
		add(fmt.Sprintf("/.../a/*%s/.../a", strings.Repeat("a*", i)))
	}
	table.Snapshot().CheckInvariants(t)
	names := []string{
		strings.Repeat("/a", 64),
		strings.Repeat("/a", 63) + "/b",
		strings.Repeat("/aaaaaaaaaaaaaa", 63) + "/b",
		strings.Repeat("/...", 64),
		strings.Repeat("/.../a", 30),
		strings.Repeat("/.../*", 30),
		strings.Repeat("/*a*a*", 60),
		strings.Repeat("/...", 30) + "/b",
		"/" + strings.Repeat("a", 255),
	}
	for _, name := range names {
		var want []id
		for p := range model {
			if Matches(p.pattern, name) {
				want = append(want, p.value)
			}
		}
		slices.Sort(want)
		if got := ask(table.Snapshot(), name); !slices.Equal(got, want) {
			t.Errorf("%.40s: %v, want %v", name, got, want)
		}
	}
}

// TestDeepNames has what only NATS can send: more components than any canonical name.
func TestDeepNames(t *testing.T) {
	var table Table[id]
	const depth = 2000
	deep := strings.Repeat("/a", depth)
	table.Add(deep, 1)
	table.Add("/.../a", 2)
	table.Add("/a/*/...", 3)
	for i := 2; i < depth; i += 7 { // a fork at each
		table.Add(deep[:2*i]+"/b", 4)
	}
	table.Snapshot().CheckInvariants(t)
	if got := ask(table.Snapshot(), deep); !slices.Equal(got, []id{1, 2, 3}) {
		t.Errorf("%v", got)
	}
	if got := ask(table.Snapshot(), strings.Repeat("/*", maxWild+1)); got != nil {
		t.Errorf("%v for a name with too many wildcards", got)
	}
	if got := ask(table.Snapshot(), "/a/"+dots); len(got) != table.Snapshot().Len() {
		t.Errorf("%v", got)
	}
}

// TestReadersBesideAWriter is for the race detector. A reader always finds a value, and versions only grow.
func TestReadersBesideAWriter(t *testing.T) {
	var table Table[id]
	table.Add("/a/b", 1)
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			cache := NewCache[id, int](10, nil)
			for last := uint64(0); !done.Load(); {
				s := table.Snapshot()
				if s.Version() < last {
					t.Errorf("version %d after %d", s.Version(), last)
				}
				last = s.Version()
				got := len(s.Append(nil, "/a/b"))
				if got == 0 {
					t.Error("nothing there")
				}
				if kept, ok := cache.Get(s, []byte("/a/b")); ok && kept != got {
					t.Errorf("%d values in the cache, %d in the table", kept, got)
				} else if !ok {
					cache.Put(s, []byte("/a/b"), "/a/b", got)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(3, 3))
	for i := range id(3000) {
		table.Add("/a/b", 2+i%2)
		table.Remove("/a/b", 1+i%3)
		table.Add(randomName(random, 3, true), i)
		table.Add("/a/b", 1)
	}
	done.Store(true)
	readers.Wait()
}

func TestAppendAllocatesNothing(t *testing.T) {
	table, names := filled(1000)
	s, dst := table.Snapshot(), make([]id, 0, 1000)
	for _, name := range []string{names[0], names[999], "/nobody", "/a/...", "/.../*", "/*"} {
		if n := testing.AllocsPerRun(10, func() { dst = s.Append(dst[:0], name) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
