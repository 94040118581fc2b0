package router

// Totals are the counters of the door.
type Totals struct {
	Clients, NATSClients, Subscriptions int64            // now
	MessagesIn, BytesIn                 int64            // published
	MessagesOut, BytesOut               int64            // given to subscribers
	Lost                                map[string]int64 // messages that did not reach a subscriber, by reason
	Cut                                 map[string]int64 // connections that the door ended, by reason
	Held                                int64            // times that a publisher was made to wait for another loop
	Projects                            int
}

// Totals sums the counters of all loops. Any goroutine may call it.
func (d *Door) Totals() Totals {
	t := Totals{Lost: map[string]int64{}, Cut: map[string]int64{}, Projects: len(d.list())}
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
	}
	return t
}
