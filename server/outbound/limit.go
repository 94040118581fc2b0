package outbound

import (
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// limits bound what the enabler takes at a time. Safe for concurrent use.
type limits struct {
	streams  atomic.Int64 // most requests; 0: no limit
	idleTime atomic.Int64 // how long a connection waits for its next request, in nanoseconds
	held     atomic.Int64 // bytes of request bodies that are held because the back end does not take them, as far as the loops have told
}

const defaultIdle = 30 * time.Second // when neither the back end's string nor a relay says

// setLimits takes what the configuration says, and above it what a relay server says of this enabler: most requests at a time, and
// how long a connection may be idle; 0: nothing. A limit of a relay server goes above -jl, the keepalive of -cs above the relay's.
func (e *Enabler) setLimits(junctions int, idle time.Duration) {
	if junctions <= 0 {
		junctions = e.cfg.MaxJunction
	}
	if e.cfg.Backend.KeepAlive > 0 {
		idle = e.cfg.Backend.KeepAlive
	}
	if idle <= 0 {
		idle = defaultIdle
	}
	e.limits.streams.Store(int64(junctions))
	e.limits.idleTime.Store(int64(idle))
	most := int64(junctions) // connections: active and idle ones together
	if n := int64(e.cfg.Backend.MaxConns); n > 0 && (most == 0 || n < most) {
		most = n
	}
	e.slots.most.Store(most)
}

// idleTime is how long a connection waits for its next request.
func (e *Enabler) idleTime() time.Duration { return time.Duration(e.limits.idleTime.Load()) }

// tooMany tells whether a request, which has been counted, is one too many.
func (e *Enabler) tooMany(streams int64) bool {
	most := e.limits.streams.Load()
	return most > 0 && streams > most
}

// slots count the connections to the back end, and keep who waits for one at the limit. Safe for concurrent use.
type slots struct {
	most    atomic.Int64 // connections; 0: no limit
	open    atomic.Int64 // connections that are open or being opened
	waiting atomic.Int64 // len(queue)

	mu    sync.Mutex
	queue []slotWaiter // guarded by mu; at most maxSlotQueue
}

// maxSlotQueue is how many requests may wait for a connection.
const maxSlotQueue = 10_000

// slotWaiter is a stream that waits for a connection, unless it has ended since.
type slotWaiter struct {
	s    *stream
	turn uint32
	sh   *shard
}

// waits tells whether the stream still does. On its loop only.
func (w slotWaiter) waits() bool { return w.s.turn == w.turn && w.s.k != nil && w.s.b == nil }

// take takes a slot; false means that all are taken.
func (t *slots) take() bool {
	n, most := t.open.Add(1), t.most.Load()
	if most > 0 && n > most {
		t.open.Add(-1)
		return false
	}
	return true
}

// give gives a slot back. Whoever waits for one gets it.
func (t *slots) give() {
	t.open.Add(-1)
	t.serve()
}

// serve gives slots that are free to those that wait.
func (t *slots) serve() {
	for t.waiting.Load() > 0 && t.take() {
		w, ok := t.pop()
		if !ok {
			t.open.Add(-1)
			return
		}
		w.sh.loop.Post(func() {
			if !w.waits() {
				t.give()
				return
			}
			w.s.dial()
		})
	}
}

func (t *slots) pop() (w slotWaiter, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return w, false
	}
	w = t.queue[0]
	t.queue[0] = slotWaiter{}
	if t.queue = t.queue[1:]; len(t.queue) == 0 {
		t.queue = nil
	}
	t.waiting.Add(-1)
	return w, true
}

func (t *slots) push(w slotWaiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) >= maxSlotQueue {
		return false
	}
	t.queue = append(t.queue, w)
	t.waiting.Add(1)
	return true
}

// waitForSlot has the stream wait until there may be another connection. One that is idle makes room, wherever it is.
func (s *stream) waitForSlot() {
	e := s.k.s.e
	if !e.slots.push(slotWaiter{s, s.turn, s.k.s}) {
		s.fail(lane.CodeOverload, "The outbound enabler has as many connections to the back-end server as it may have.", lane.FlagUnseen)
		return
	}
	e.slots.serve() // one may have become free in between
	if !s.k.s.makeRoom() {
		e.askForRoom(s.k.s.loop.Index()+1, len(e.shards)-1)
	}
}

// askForRoom has the loops from i on close an idle connection: the first that has one, of at most n.
func (e *Enabler) askForRoom(i, n int) {
	if n <= 0 {
		return
	}
	sh := e.shards[i%len(e.shards)]
	sh.loop.Post(func() {
		if e.slots.waiting.Load() > 0 && !sh.makeRoom() {
			e.askForRoom(i+1, n-1)
		}
	})
}

// makeRoom closes the idle connection that is missed least, if there is one: the limit goes above what sessions would like.
func (s *shard) makeRoom() bool {
	b := s.pool.takeOldest()
	if b == nil {
		b = s.sockets.takeOldest()
	}
	if b == nil {
		return false
	}
	s.sockets.forget(b)
	b.conn.Close()
	return true
}

// handOver gives b, which is idle and which no session claims, to who waits for a connection. False means that nobody does.
func (b *backend) handOver() bool {
	e := b.sh.e
	for e.slots.waiting.Load() > 0 {
		w, ok := e.slots.pop()
		switch {
		case !ok:
			return false
		case e.perClient: // it may be another client's
			e.slots.requeue(w)
			b.conn.Close()
			return true
		case w.sh != b.sh:
			b.carry(w)
			return true
		case w.waits():
			b.serve(w.s)
			return true
		}
	}
	return false
}

// requeue puts a waiter back to the front.
func (t *slots) requeue(w slotWaiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append([]slotWaiter{w}, t.queue...)
	t.waiting.Add(1)
}

// serve sends the request of s over b, which is idle.
func (b *backend) serve(s *stream) {
	if s.aff.on {
		b.sh.sockets.tell(b)
	}
	s.sendHead(b)
}

// carry takes b, which is idle and has no number, to the loop of a stream that waits for a connection.
func (b *backend) carry(w slotWaiter) {
	b.moving, b.sh, b.carries = true, w.sh, w
	b.conn.Move(w.sh.loop, func(*loop.Conn) {
		b.moving, b.carries = false, slotWaiter{}
		if w.waits() {
			b.serve(w.s)
			return
		}
		b.sh.pool.put(b)
	})
}

// dropped follows the end of a connection on its way to a stream.
func (w slotWaiter) dropped() {
	w.sh.loop.Post(func() {
		if w.waits() {
			w.s.start(nil)
		}
	})
}

// overMemory tells whether n more bytes are too many to be held.
func (e *Enabler) overMemory(n int) bool {
	most := e.cfg.MemoryBytes
	return most > 0 && e.limits.held.Load()+int64(n) > most
}

// charge counts the bytes of the request's body that are held because the back end does not take them.
func (s *stream) charge(n int) {
	if n != s.charged {
		s.k.s.e.limits.held.Add(int64(n - s.charged))
		s.charged = n
	}
}
