package subject

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// patternOf returns the i-th pattern of a benchmark and a name that it matches. One in ten has wildcards, in five ways; globs stand beside
// each other at the same places. count is that of all patterns: the trie has about the same shape whatever the count.
func patternOf(i, count int) (pattern, name string) {
	width := 10 // of the upper levels
	for width*width*width < count {
		width *= 2
	}
	a, b, c := i%width, i/width%width, i/width/width
	name = fmt.Sprintf("/plant%d/line%d/boiler%d/temp", a, b, c)
	switch i % 50 {
	case 3:
		return fmt.Sprintf("/plant%d/*/boiler%d/temp", a, c), name
	case 13:
		return fmt.Sprintf("/plant%d/line%d/boiler%d/...", a, b, c), name
	case 23:
		return fmt.Sprintf("/plant%d/line%d/boiler%d*/temp", a, b, c), name
	case 33:
		return fmt.Sprintf("/*/line%d/boiler%d/temp", b, c), name
	case 43:
		return fmt.Sprintf("/plant%d/line%d/*%d/...", a, b, c), name
	}
	return name, name
}

// filled returns a table of count subscriptions with values of their own, and a name for each, in random order.
func filled(count int) (*Table[id], []string) {
	table, names := new(Table[id]), make([]string, count)
	for i := range names {
		var pattern string
		pattern, names[i] = patternOf(i, count)
		table.Add(pattern, id(i))
	}
	rand.Shuffle(count, func(i, j int) { names[i], names[j] = names[j], names[i] })
	return table, names
}

var sizes = []int{1_000, 100_000, 1_000_000}

func BenchmarkMatchCold(b *testing.B) {
	for _, count := range sizes {
		b.Run(fmt.Sprintf("subscriptions=%d", count), func(b *testing.B) {
			table, names := filled(count)
			s, dst, found := table.Snapshot(), make([]id, 0, 1000), 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				dst = s.Append(dst[:0], names[i%count])
				found += len(dst)
			}
			b.ReportMetric(float64(found)/float64(b.N), "values/op")
		})
	}
}

// BenchmarkMatchGlobs has many globs at one node.
func BenchmarkMatchGlobs(b *testing.B) {
	for _, shape := range []string{"/foo/b%d*/baz", "/foo/*b%d/baz"} {
		b.Run(fmt.Sprintf(shape, 10_000), func(b *testing.B) {
			var table Table[id]
			names := make([]string, 10_000)
			for i := range names {
				table.Add(fmt.Sprintf(shape, i), id(i))
				names[i] = fmt.Sprintf("/foo/b%d/baz", i)
			}
			s, dst := table.Snapshot(), make([]id, 0, 1000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				dst = s.Append(dst[:0], names[i%len(names)])
			}
		})
	}
}

func BenchmarkMatchCached(b *testing.B) {
	for _, count := range sizes {
		b.Run(fmt.Sprintf("subscriptions=%d", count), func(b *testing.B) {
			table, names := filled(count)
			s := table.Snapshot()
			cache := NewCache[id, int](65536, nil)
			keys := make([][]byte, min(count, 10_000))
			for i := range keys {
				keys[i] = []byte(names[i])
				cache.Put(s, keys[i], names[i], i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := cache.Get(s, keys[i%len(keys)]); !ok {
					b.Fatal("not there")
				}
			}
		})
	}
}

// benchmarkChange times f, which gets the number of a pattern that it alone has.
func benchmarkChange(b *testing.B, prepare, f func(table *Table[id], pattern string, i int)) {
	for _, count := range sizes {
		b.Run(fmt.Sprintf("subscriptions=%d", count), func(b *testing.B) {
			table, _ := filled(count)
			patterns := make([]string, 10_000)
			turn := func(f func(*Table[id], string, int)) {
				for i, p := range patterns {
					f(table, p, i)
				}
			}
			for i := range patterns {
				p, _ := patternOf(rand.IntN(count), count)
				patterns[i] = fmt.Sprintf("%s%d", p, i)
				if p[len(p)-1] == '.' { // the `...` must stay a component
					patterns[i] = fmt.Sprintf("/%d%s", i, p)
				}
			}
			turn(prepare)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i > 0 && i%len(patterns) == 0 {
					b.StopTimer()
					turn(prepare)
					b.StartTimer()
				}
				f(table, patterns[i%len(patterns)], i%len(patterns))
			}
		})
	}
}

func add(table *Table[id], pattern string, i int)    { table.Add(pattern, id(i)) }
func remove(table *Table[id], pattern string, i int) { table.Remove(pattern, id(i)) }

func BenchmarkSubscribe(b *testing.B)   { benchmarkChange(b, remove, add) }
func BenchmarkUnsubscribe(b *testing.B) { benchmarkChange(b, add, remove) }

// BenchmarkSameSubject adds to and removes from 100,000 subscriptions of one subject.
func BenchmarkSameSubject(b *testing.B) {
	var table Table[id]
	for i := range id(100_000) {
		table.Add("/one/subject", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v := id(i/2*7919%100_000) + 100_000
		if i%2 == 0 {
			table.Add("/one/subject", v)
		} else {
			table.Remove("/one/subject", v)
		}
	}
}

// BenchmarkFill makes whole tables, and reports what a subscription costs of the heap without its pattern.
func BenchmarkFill(b *testing.B) {
	for _, count := range sizes {
		b.Run(fmt.Sprintf("subscriptions=%d", count), func(b *testing.B) {
			patterns := make([]string, count)
			for i := range patterns {
				patterns[i], _ = patternOf(i, count)
			}
			var sum uint64
			b.ReportAllocs()
			for b.Loop() {
				before := liveHeap()
				table := new(Table[id])
				for i, p := range patterns {
					table.Add(p, id(i))
				}
				sum += liveHeap() - before
				runtime.KeepAlive(table)
			}
			b.ReportMetric(float64(sum)/float64(b.N)/float64(count), "heapB/subscription")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/subscription")
			runtime.KeepAlive(patterns)
		})
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
