package subject

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// answer asks the cache and, when it does not know, the snapshot.
func answer(c *Cache[id, []id], s *Snapshot[id], key []byte, name string) []id {
	got, ok := c.Get(s, key)
	if !ok {
		got = ask(s, name)
		c.Put(s, key, name, got)
	}
	return got
}

// TestCacheAsTable changes a table at random, and asks caches that fall behind by different numbers of changes.
func TestCacheAsTable(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 2))
		var table Table[id]
		type cached struct {
			*Cache[id, []id]
			behind int // asked once in so many changes
			nats   bool
		}
		natsKey := func(dst []byte, name string) []byte { return ToNATS(dst, []byte(name)) }
		caches := []cached{
			{NewCache[id, []id](1000, nil), 1, false},
			{NewCache[id, []id](8, nil), 2, false},
			{NewCache[id, []id](1000, nil), 100, false},
			{NewCache[id, []id](1000, nil), 3000, false},
			{NewCache[id, []id](1000, natsKey), 1, true},
			{NewCache[id, []id](0, natsKey), 10, true},
		}
		for range 8000 {
			pattern, v := randomName(random, 3, random.IntN(3) == 0), id(random.IntN(5))
			if random.IntN(2) == 0 {
				table.Add(pattern, v)
			} else {
				table.Remove(pattern, v)
			}
			s := table.Snapshot()
			for _, c := range caches {
				if random.IntN(c.behind) != 0 {
					continue
				}
				name := randomName(random, 3, random.IntN(5) == 0 && !c.nats)
				key := []byte(name)
				if c.nats {
					key = ToNATS(nil, key)
				}
				if got, want := answer(c.Cache, s, key, name), ask(s, name); !slices.Equal(got, want) {
					t.Fatalf("seed %d: cache of %d, one change in %d: %s: %v, want %v", seed, 2*c.half, c.behind, name, got, want)
				}
				if c.Len() > 3*c.half {
					t.Fatalf("%d results, the limit is %d", c.Len(), 2*c.half)
				}
			}
		}
		for _, c := range caches[:2] {
			if counts := c.Counts(); counts.Hits == 0 || counts.Misses == 0 {
				t.Errorf("one change in %d: %+v", c.behind, counts)
			}
		}
	}
}

// TestCacheKeepsWhatIsNotTouched has one row for each kind of change.
func TestCacheKeepsWhatIsNotTouched(t *testing.T) {
	for _, r := range []struct {
		change string
		hits   []string // of those below
	}{
		{"/x", []string{"/a/b", "/a/c", "/d"}},
		{"/a/b", []string{"/a/c", "/d"}},
		{"/a/*", []string{"/d"}},
		{"/.../c", []string{"/a/b", "/d"}},
		{"/...", nil},
		{"/_INBOX/17/*", []string{"/a/b", "/a/c", "/d"}},
	} {
		var table Table[id]
		table.Add("/d", 1)
		c, s := NewCache[id, string](100, nil), table.Snapshot()
		all := []string{"/a/b", "/a/c", "/d", "/a/...", "/*"}
		for _, name := range all {
			c.Put(s, []byte(name), name, name)
			if got, ok := c.Get(s, []byte(name)); !ok || got != name {
				t.Fatalf("%s: %s, %v", name, got, ok)
			}
		}
		table.Add(r.change, 2)
		var hits []string
		for _, name := range all {
			if _, ok := c.Get(table.Snapshot(), []byte(name)); ok {
				hits = append(hits, name)
			}
		}
		if !slices.Equal(hits, r.hits) {
			t.Errorf("after %s there are %v, want %v", r.change, hits, r.hits)
		}
		if got := c.Counts(); got.Hits != uint64(len(all)+len(hits)) || got.Misses != uint64(len(all)-len(hits)) {
			t.Errorf("%+v", got)
		}
	}
}

func TestCacheGenerations(t *testing.T) {
	var table Table[id]
	c, s := NewCache[id, int](20, nil), table.Snapshot()
	for i := range 1000 {
		name := fmt.Sprintf("/%d", i)
		c.Put(s, []byte(name), name, i)
		if _, ok := c.Get(s, []byte("/0")); !ok { // in use all the time
			t.Fatalf("/0 is gone after %d others", i)
		}
		if c.Len() > 20 {
			t.Fatalf("%d results", c.Len())
		}
	}
	if _, ok := c.Get(s, []byte("/500")); ok {
		t.Error("/500 is still there")
	}
	if got := c.Counts().Evicted; got < 950 {
		t.Errorf("%d evicted", got)
	}
}

func TestCachePutOfThePast(t *testing.T) {
	var table Table[id]
	c, old := NewCache[id, int](20, nil), table.Snapshot()
	table.Add("/a", 1)
	table.Add("/b/*", 1)
	s := table.Snapshot()
	_, _ = c.Get(s, []byte("/x"))
	for _, name := range []string{"/a", "/b/c", "/*", "/..."} {
		c.Put(old, []byte(name), name, 1)
		if _, ok := c.Get(s, []byte(name)); ok {
			t.Errorf("%s: an answer of the past", name)
		}
	}
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	var table Table[id]
	c := NewCache[id, int](100, nil)
	name := "/a/b/c"
	key := []byte(name)
	c.Put(table.Snapshot(), key, name, 1)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := c.Get(table.Snapshot(), key); !ok {
			t.Error("not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	table.Add("/x/*", 1)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Get(table.Snapshot(), key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestChangesShare(t *testing.T) {
	var now changes
	var all []changes
	for i := range 3 * maxChanges {
		all = append(all, now)
		now = now.add(fmt.Sprint(i))
	}
	for i, old := range all {
		list, ok := now.since(old.total)
		if ok && (len(list) != 3*maxChanges-i || list[0] != fmt.Sprint(i)) {
			t.Fatalf("%d changes since %d, the first is %s", len(list), i, list[0])
		}
		if !ok && i > 3*maxChanges-maxChanges/2 {
			t.Fatalf("the changes since %d are forgotten", i)
		}
		if n := len(old.list); n > 0 && old.list[n-1] != fmt.Sprint(i-1) {
			t.Fatalf("change %d of an old list is %s", i, old.list[n-1])
		}
	}
	if _, ok := all[5].since(6); ok {
		t.Error("a past that knows the future")
	}
	if strings.Join(now.list[len(now.list)-1:], "") != fmt.Sprint(3*maxChanges-1) {
		t.Error("the last change is missing")
	}
}
