package router

import (
	"sync/atomic"

	"roundhouse/routing/subject"
)

// Observer looks at the door from outside. Its methods are safe for concurrent use; none may be called on a loop.
type Observer struct{ door *Door }

// Observe returns an observer of the door.
func (d *Door) Observe() Observer { return Observer{d} }

// Totals are the counters of the door.
type Totals struct {
	Clients, NATSClients, Subscriptions int64            // now
	Projects                            int64            // now
	InFlight                            int64            // bytes on their way from one loop to another, now
	MessagesIn, BytesIn                 int64            // published
	MessagesOut, BytesOut               int64            // given to subscribers
	Lost                                map[string]int64 // messages that did not reach a subscriber, by reason
	Cut                                 map[string]int64 // connections that the door ended, by reason
	Held                                int64            // times that a publisher was made to wait for another loop
	LogDropped                          int64            // messages that did not get into a message file that is open
	Hits, Misses, Evicted               int64            // of the caches of plans; up to a sweep old
	Plans                               int64            // in these caches, likewise
}

// Totals sums the counters of all loops, and waits for none.
func (o Observer) Totals() Totals {
	d := o.door
	t := Totals{Lost: map[string]int64{}, Cut: map[string]int64{}, Projects: int64(len(d.list())), LogDropped: d.LogDropped()}
	for _, s := range d.shards {
		st := &s.stats
		t.Clients += st.clients.Load()
		t.NATSClients += st.natsClients.Load()
		t.Subscriptions += st.subscriptions.Load()
		t.MessagesIn += st.msgsIn.Load()
		t.BytesIn += st.bytesIn.Load()
		t.MessagesOut += st.msgsOut.Load()
		t.BytesOut += st.bytesOut.Load()
		t.Held += st.held.Load()
		for i := range st.losses {
			t.Lost[lossNames[i]] += st.losses[i].Load()
		}
		for i := range st.cuts {
			t.Cut[cutNames[i]] += st.cuts[i].Load()
		}
		t.Hits += st.caches.hits.Load()
		t.Misses += st.caches.misses.Load()
		t.Evicted += st.caches.evicted.Load()
		t.Plans += st.caches.plans.Load()
		for _, box := range s.out {
			if box != nil {
				t.InFlight += box.inFlight.Load()
			}
		}
	}
	return t
}

// cacheStats is what the caches of a shard counted, as its last sweep found it.
type cacheStats struct{ hits, misses, evicted, plans atomic.Int64 }

// note is part of a sweep of the shard: publishing itself touches no atomic for the caches.
func (c *cacheStats) note(s *shard) {
	var sum subject.CacheCounts
	plans := 0
	for _, p := range s.door.list() {
		v := p.views[s.index]
		for _, cache := range []*subject.Cache[*subscription, *plan]{v.clients, v.nats} {
			counts := cache.Counts()
			sum.Hits += counts.Hits
			sum.Misses += counts.Misses
			sum.Evicted += counts.Evicted
			plans += cache.Len()
		}
	}
	c.hits.Store(int64(sum.Hits))
	c.misses.Store(int64(sum.Misses))
	c.evicted.Store(int64(sum.Evicted))
	c.plans.Store(int64(plans))
}
