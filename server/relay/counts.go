package relay

import (
	"sync"
	"sync/atomic"
	"time"
)

// farmCounts are the counters of one farm, or of requests that named none, on one loop: written by the loop, read by anybody.
type farmCounts struct {
	codes    [len(methodNames)][5]atomic.Pointer[codePage] // answers by method and by the first digit of the status, which is 1 to 5
	failures []atomic.Int64                                // by failure.index
	affinity [len(affinityNames)]atomic.Int64
	phases   [len(phaseNames)]histogram
	bodyIn   atomic.Int64 // bytes of bodies from clients
	bodyOut  atomic.Int64 // and to them
	upgraded atomic.Int64 // connections that are upgraded now
}

// codePage counts answers by the last two digits of their status.
type codePage [100]atomic.Int64

func newFarmCounts() *farmCounts { return &farmCounts{failures: make([]atomic.Int64, len(failures))} }

// histogram counts durations, by latencyBounds.
type histogram struct {
	counts [len(latencyBounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// The phases of a request whose time is counted.
const (
	phaseAssign = iota // from its head until that was sent to a back-end server
	phaseRTP           // from the last packet to the enabler to the first one back
	phaseTotal         // from its head to the end of its answer
)

var phaseNames = [...]string{"assign", "rtp", "total"}

// affinity says what became of the binding of a request to a back-end server.
type affinity uint8

const (
	affinityNone    affinity = iota // the request brought none and got none
	affinityNew                     // it got one
	affinityKept                    // it went where it was bound to
	affinityRenewed                 // that was gone, and it was bound anew
	affinityLost                    // that was gone, and it failed
)

var affinityNames = [...]string{"none", "new", "kept", "renewed", "lost"}

// methodNames are the methods that are counted by themselves, and what the others count as.
var methodNames = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}

// methodIndex is the index of a method in methodNames.
func methodIndex(method []byte) uint8 {
	switch string(method) {
	case "GET":
		return 0
	case "HEAD":
		return 1
	case "POST":
		return 2
	case "PUT":
		return 3
	case "PATCH":
		return 4
	case "DELETE":
		return 5
	case "OPTIONS":
		return 6
	}
	return uint8(len(methodNames) - 1)
}

// answered counts an answer. Only the first one of a class of statuses, for each method, allocates.
func (n *farmCounts) answered(method uint8, status int) {
	if status < 100 || status > 599 { // the parser lets none through
		return
	}
	page := &n.codes[method][status/100-1]
	p := page.Load()
	if p == nil { // there is one writer
		p = new(codePage)
		page.Store(p)
	}
	p[status%100].Add(1)
}

// countBook has the counters of one farm on every loop that has had a request for it. It outlives reloads. Safe for concurrent use.
type countBook struct {
	mu  sync.Mutex // guards all; taken once by each loop, and by who reads
	all []*farmCounts
}

// open returns new counters, which are part of the book from then on.
func (b *countBook) open() *farmCounts {
	n := newFarmCounts()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, n)
	return n
}

func (b *countBook) read() []*farmCounts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[:len(b.all):len(b.all)]
}

// counts returns the loop's counters of a farm of its view; nil is no farm.
func (s *shard) counts(f *farmView) *farmCounts {
	if f == nil {
		return s.stats.farmless
	}
	local := s.local[f.farm.Index]
	if local.counts == nil {
		local.counts = f.state.counts.open()
	}
	return local.counts
}

// CodeCount is how many requests with a method got a status.
type CodeCount struct {
	Method string
	Code   int
	N      int64
}

// Times is a distribution of durations.
type Times struct {
	Counts []int64 // not longer than each of LatencyBounds, then longer
	Sum    time.Duration
}

// Count is how many durations there are.
func (t *Times) Count() (n int64) {
	for _, c := range t.Counts {
		n += c
	}
	return n
}

// FarmTotals are the counters of one farm, summed over the loops. Those of a farm that has left the configuration are gone.
type FarmTotals struct {
	Farm            string           // empty: requests that named no farm, or one that there is not
	Upgraded        int64            // connections that are upgraded now
	Answers         []CodeCount      // of all requests that have ended; those that are 0 are left out
	Failures        map[string]int64 // answers of the relay itself, by name; of a farm only those that are not 0
	BodyIn, BodyOut int64            // bytes
	Affinity        map[string]int64 // by what became of it
	Limited         map[string]int64 // by the limit that was met; nil where there is no farm
	Phases          map[string]Times // of requests that were relayed
}

// FarmTotals returns the counters of all farms, in the order of the configuration, after those of no farm. It may be called anywhere.
func (r *Relay) FarmTotals() []FarmTotals {
	var farmless []*farmCounts
	for _, s := range r.shards {
		farmless = append(farmless, s.stats.farmless)
	}
	all := []FarmTotals{sumCounts("", farmless)}
	for _, f := range r.view.Load().farms {
		t := sumCounts(f.conf.ID, f.state.counts.read())
		t.Limited = map[string]int64{}
		for i, name := range limitNames {
			t.Limited[name] = f.state.use.limited[i].Load()
		}
		all = append(all, t)
	}
	return all
}

// sumCounts adds the counters of the loops.
func sumCounts(farm string, parts []*farmCounts) FarmTotals {
	t := FarmTotals{Farm: farm, Failures: map[string]int64{}, Affinity: map[string]int64{}, Phases: map[string]Times{}}
	var answers [len(methodNames)][5][100]int64
	for _, name := range phaseNames {
		t.Phases[name] = Times{Counts: make([]int64, len(latencyBounds)+1)}
	}
	for _, n := range parts {
		t.Upgraded += n.upgraded.Load()
		t.BodyIn += n.bodyIn.Load()
		t.BodyOut += n.bodyOut.Load()
		for i := range n.affinity {
			t.Affinity[affinityNames[i]] += n.affinity[i].Load()
		}
		for i := range n.failures {
			if k := n.failures[i].Load(); k > 0 || farm == "" {
				t.Failures[failures[i].name] += k
			}
		}
		for i := range n.phases {
			n.phases[i].addTo(t.Phases, phaseNames[i])
		}
		for m := range n.codes {
			for class := range n.codes[m] {
				if page := n.codes[m][class].Load(); page != nil {
					for i := range page {
						answers[m][class][i] += page[i].Load()
					}
				}
			}
		}
	}
	for m := range answers {
		for class := range answers[m] {
			for i, n := range answers[m][class] {
				if n > 0 {
					t.Answers = append(t.Answers, CodeCount{methodNames[m], (class+1)*100 + i, n})
				}
			}
		}
	}
	return t
}

// addTo adds the histogram to those of the name.
func (h *histogram) addTo(all map[string]Times, name string) {
	t := all[name]
	for i := range h.counts {
		t.Counts[i] += h.counts[i].Load()
	}
	t.Sum += time.Duration(h.sum.Load())
	all[name] = t
}
