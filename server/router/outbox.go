package router

import (
	"sync/atomic"
)

const (
	batchBytes = 128 << 10 // a batch this large is posted at once
	batchItems = 2048

	// What may be on its way from one loop to another: above the first, publishers are held until it is below the second.
	inFlightHigh = 8 << 20 // bytes
	inFlightLow  = 2 << 20

	opened    = 1  // what a batch counts that is being filled
	itemBytes = 64 // what an item counts beside its message, so that many small ones have a bound, too
)

// outbox leads from one shard to another. Messages gather in a batch, which is posted at the end of the turn that they came in.
type outbox struct {
	// Fixed.
	from, to *shard

	// Owned by from.
	batch *batch // being filled; nil: none

	// Any goroutine.
	inFlight atomic.Int64          // bytes posted and not yet delivered
	waiting  atomic.Bool           // from holds publishers until inFlight is low
	spare    atomic.Pointer[batch] // batches that to has done with: a stack that from takes whole
}

// forward puts the parcel into the batch for another loop.
func (s *shard) forward(to *shard, p *parcel, subs []*subscription, pick *subscription) {
	box := s.out[to.index]
	b := box.batch
	if b == nil {
		b = box.fresh()
		box.batch = b
		box.inFlight.Add(opened)
	}
	b.add(p, subs, pick)
	switch {
	case len(b.buf) >= batchBytes || len(b.items) >= batchItems:
		box.post()
	case !s.posting:
		s.posting = true
		s.loop.Later(s.postEnd)
	}
}

// postAll posts what has gathered.
func (s *shard) postAll() {
	s.posting = false
	for _, box := range s.out {
		if box != nil && box.batch != nil {
			box.post()
		}
	}
}

func (o *outbox) post() {
	b := o.batch
	o.batch = nil
	if o.inFlight.Add(b.size()) > inFlightHigh {
		o.from.full = true
	}
	if !o.to.loop.Post(b.run) { // the loop is stopping, and with it its subscribers
		o.from.tally.lost(lostStopping, len(b.items))
		o.inFlight.Add(-b.size() - opened)
	}
}

// fresh returns an empty batch.
func (o *outbox) fresh() *batch {
	b := o.spare.Swap(nil)
	if b == nil {
		b = &batch{box: o}
		b.run = b.deliver
		return b
	}
	if b.next != nil { // give the rest back: nobody else takes any
		rest := b.next
		b.next = nil
		if !o.spare.CompareAndSwap(nil, rest) {
			last := rest
			for last.next != nil {
				last = last.next
			}
			o.push(rest, last)
		}
	}
	return b
}

// push puts a list of batches back.
func (o *outbox) push(first, last *batch) {
	for {
		top := o.spare.Load()
		last.next = top
		if o.spare.CompareAndSwap(top, first) {
			return
		}
	}
}

// arrived takes a delivered batch off what is in flight, and lets publishers go on that waited for it.
func (o *outbox) arrived(size int64) {
	if left := o.inFlight.Add(-size - opened); left <= inFlightLow && o.waiting.Load() {
		o.from.loop.Post(o.from.release)
	}
}

// settle calls done, on the shard's loop, when everything has come that is on its way to it now.
func (s *shard) settle(done func()) {
	left := len(s.door.shards) - 1
	for _, other := range s.door.shards {
		if other == s {
			continue
		}
		other.loop.Post(func() {
			other.postAll()
			s.loop.Post(func() {
				if left--; left == 0 {
					done()
				}
			})
		})
	}
}

// hold stops a publisher while another loop is behind. False: none is, any more.
func (s *shard) hold(p *peer) bool {
	waits := false
	for _, box := range s.out {
		if box == nil || box.inFlight.Load() <= inFlightHigh {
			continue
		}
		box.waiting.Store(true)
		// What was delivered before waiting was set rings for nobody: look again.
		if box.inFlight.Load() > inFlightLow {
			waits = true
		}
	}
	s.full = waits
	if waits && !p.held {
		s.stats.held.Add(1)
		p.held = true
		p.conn.Pause()
		s.holding = append(s.holding, p)
	}
	return waits
}

// release lets the publishers go on when no loop is behind.
func (s *shard) release() {
	for _, box := range s.out {
		if box == nil || !box.waiting.Load() {
			continue
		}
		if box.inFlight.Load() > inFlightLow {
			return // it rings again
		}
		box.waiting.Store(false)
	}
	s.full = false
	for i, p := range s.holding {
		s.holding[i] = nil
		if p.held = false; !p.gone {
			p.conn.Resume()
		}
	}
	s.holding = s.holding[:0]
}
