package outbound

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// Socket affinity: a session of a client is bound to one connection to the back end. The relay's request names the connection
// (lane.FlagSocket), or none when the session is new; the answer names the one that was used.
//
// A connection that an answer has named is spared for its session: nobody else gets it. When the session comes back it is pinned, and
// stays so for pinTime without a request. A spared one whose session does not come back leaves like any idle connection, or sooner, when
// a loop has maxSpared of them and the next session needs one: then it gets another number, so that two sessions never share it.
//
// Numbers are given out by the loops in turn, so that a number says which loop made the connection. It is looked for there, unless the
// registry knows that it has moved: a session that comes over another loop's lane takes its connection along.
const (
	pinTime   = 10 * time.Minute // without a request, after which a pinned connection is closed
	maxSpared = 32               // idle connections of one loop that wait for their session to come back
	maxQueue  = 64               // requests that wait for one connection; what is more goes over another one
	maxWait   = 5 * time.Second  // for one connection; then the request goes over another one, and its session with it
)

// affinity is what a stream knows of its session.
type affinity struct {
	on     bool     // the relay asked for the connection's number
	number uint32   // of the connection that the session is bound to; 0: none
	asked  uint32   // number, as it came
	queue  *backend // for which it waits, on its own loop
	wanted bool     // it waits for the connection to come from another loop

	patience loop.Timer // for either
}

// sockets are the connections of one loop that sessions know of. They belong to the loop.
type sockets struct {
	sh       *shard
	given    uint32 // numbers so far
	byNumber map[uint32]*backend
	spared   []*backend // idle, and no session has come back to them; oldest first
	wanted   map[uint32]*want
	count    atomic.Int64 // len(byNumber) at the last sweep; any goroutine may read it
}

// want is what waits on a loop for a connection that is to come from another one.
type want struct {
	streams []*stream // at most maxQueue
	shards  []*shard  // that want it next; at most one entry each
}

func (t *sockets) init(sh *shard) {
	t.sh, t.byNumber, t.wanted = sh, map[uint32]*backend{}, map[uint32]*want{}
}

// nextNumber is a number that no connection has.
func (t *sockets) nextNumber() uint32 {
	loops, index := uint32(len(t.sh.e.shards)), uint32(t.sh.loop.Index())
	for {
		n := t.given*loops + index + 1
		if t.given++; n > index && t.byNumber[n] == nil { // it may have gone round
			return n
		}
	}
}

// tell gives b, which carries a request of a new session, a number of its own.
func (t *sockets) tell(b *backend) {
	t.forget(b)
	b.number, b.epoch = t.nextNumber(), t.sh.e.epoch.Load()
	t.byNumber[b.number] = b
}

// takeSpared returns the connection that has waited longest for its session, when enough others do; else nil.
func (t *sockets) takeSpared() *backend {
	for len(t.spared) >= maxSpared {
		b := t.spared[0]
		t.spared = slices.Delete(t.spared, 0, 1)
		if !b.conn.Closing() {
			return b
		}
	}
	return nil
}

// rest takes b after an exchange that ended cleanly: it serves whoever waits for it.
func (t *sockets) rest(b *backend) {
	if b.conn.Closing() || b.epoch != t.sh.e.epoch.Load() || t.sh.e.draining.Load() && len(b.queue) == 0 {
		t.forget(b)
		b.conn.Close()
		return
	}
	b.used = true
	if b.serveNext() {
		return
	}
	if !b.pinned && t.sh.e.slots.waiting.Load() > 0 {
		if t.forget(b); b.handOver() {
			return
		}
		t.sh.pool.put(b)
		return
	}
	b.idle = t.sh.loop.Now()
	if !b.pinned {
		t.spared = append(t.spared, b)
	}
	if t.sh.e.slots.waiting.Load() > 0 {
		t.sh.makeRoom()
	}
	t.sh.armSweep()
}

// serveNext gives b, which is idle, to the first that waits for it. False means that nobody does.
func (b *backend) serveNext() bool {
	if len(b.queue) == 0 {
		return false
	}
	w := b.queue[0]
	b.queue = slices.Delete(b.queue, 0, 1)
	if w.sh != nil {
		b.moveTo(w.sh)
		return true
	}
	w.s.aff.queue, b.pinned = nil, true
	w.s.sendHead(b)
	return true
}

// waiter is a stream that waits for a connection of its own loop, or a loop that wants it for its streams.
type waiter struct {
	s  *stream
	sh *shard
}

// resume sends the request of a session over the connection that the session is bound to.
func (s *stream) resume() {
	t, n := &s.k.s.sockets, s.aff.number
	if b := t.byNumber[n]; b != nil {
		s.join(b)
		return
	}
	w := t.wanted[n]
	if w == nil {
		home := t.sh.e.away.home(t.sh.e, n)
		if home == t.sh { // the back end has closed it
			s.startNew()
			return
		}
		w = &want{}
		t.wanted[n] = w
		home.loop.Post(func() { home.sockets.bring(n, t.sh) })
	}
	if len(w.streams) >= maxQueue {
		s.startNew()
		return
	}
	s.aff.wanted = true
	w.streams = append(w.streams, s)
	s.aff.patience.Arm(maxWait)
}

// join sends the request over b, at once or when its turn has come.
func (s *stream) join(b *backend) {
	switch {
	case b.conn.Closing(), b.client != s.client, len(b.queue) >= maxQueue:
		s.startNew()
	case b.s != nil:
		s.aff.queue = b
		b.queue = append(b.queue, waiter{s: s})
		s.aff.patience.Arm(maxWait)
	default:
		b.sh.sockets.unspare(b)
		b.pinned = true
		s.sendHead(b)
	}
}

// startNew sends the request of a session over a connection that no session has, or is likely to come back to.
func (s *stream) startNew() {
	sh := s.k.s
	s.aff.number = 0
	b := sh.pool.take(s.client)
	if b == nil && !sh.e.perClient {
		b = sh.sockets.takeSpared()
	}
	if b != nil {
		b.serve(s)
		return
	}
	s.start(nil)
}

// waitedLong ends a wait for the connection of the session, which may carry something that goes on for ever.
func (s *stream) waitedLong() {
	if s.k != nil && (s.aff.queue != nil || s.aff.wanted) { // else its turn has come
		s.leaveQueues()
		s.startNew()
	}
}

// leaveQueues takes a stream that ends off the lists on which it waits for a connection.
func (s *stream) leaveQueues() {
	if b := s.aff.queue; b != nil {
		b.queue = slices.DeleteFunc(b.queue, func(w waiter) bool { return w.s == s })
		s.aff.queue = nil
	}
	if s.aff.wanted {
		if w := s.k.s.sockets.wanted[s.aff.number]; w != nil {
			w.streams = slices.DeleteFunc(w.streams, func(other *stream) bool { return other == s })
		}
		s.aff.wanted = false
	}
}

// takeOldest returns the connection that is missed least: one that no session has come back to, else that which has been idle
// longest; nil when all carry requests.
func (t *sockets) takeOldest() (b *backend) {
	if len(t.spared) > 0 {
		return t.spared[0]
	}
	for _, other := range t.byNumber {
		if other.s == nil && (b == nil || other.idle.Before(b.idle)) {
			b = other
		}
	}
	return b
}

func (t *sockets) unspare(b *backend) {
	if i := slices.Index(t.spared, b); i >= 0 {
		t.spared = slices.Delete(t.spared, i, i+1)
	}
}

// forget ends the bond of a connection with its session: it is another's from now on, or ends. Who waits for it goes elsewhere.
func (t *sockets) forget(b *backend) {
	if b.number == 0 {
		return
	}
	n, queue := b.number, b.queue
	b.number, b.pinned, b.queue = 0, false, nil
	t.unspare(b)
	delete(t.byNumber, n)
	if t.sh.e.maker(n) != t.sh {
		t.sh.e.away.forget(n)
	}
	t.sendAway(n, queue)
}

// sendAway has those that waited for connection n go elsewhere.
func (t *sockets) sendAway(n uint32, queue []waiter) {
	for _, w := range queue {
		switch {
		case w.sh != nil:
			w.sh.loop.Post(func() { w.sh.sockets.gone(n) })
		default:
			w.s.aff.queue = nil
			w.s.goElsewhere()
		}
	}
}

// goElsewhere is startNew for a stream that has waited.
func (s *stream) goElsewhere() {
	if !s.k.isGone { // else it ends as well
		s.startNew()
	}
}

// gone tells that connection n, which this loop wants, is no more.
func (t *sockets) gone(n uint32) {
	w := t.wanted[n]
	if w == nil {
		return
	}
	delete(t.wanted, n)
	for _, s := range w.streams {
		s.aff.wanted = false
	}
	for _, s := range w.streams {
		s.goElsewhere()
	}
	for _, sh := range w.shards {
		sh.loop.Post(func() { sh.sockets.gone(n) })
	}
}

// bring sends connection n to another loop, now or when it is idle.
func (t *sockets) bring(n uint32, to *shard) {
	if b := t.byNumber[n]; b != nil {
		b.queue = append(b.queue, waiter{sh: to})
		if b.s == nil && !b.conn.Closing() {
			t.unspare(b)
			b.serveNext()
		}
		return
	}
	home, w := t.sh.e.away.home(t.sh.e, n), t.wanted[n]
	switch {
	case home == t.sh && w != nil: // it is on its way here
		w.shards = append(w.shards, to)
	case home == t.sh, home == to: // nobody has it any more
		to.loop.Post(func() { to.sockets.gone(n) })
	default: // it has moved on; what this loop wants itself it will be told: two that wait for each other would wait for ever
		home.loop.Post(func() { home.sockets.bring(n, to) })
	}
}

// moveTo takes b, which is idle, to another loop with all that waits for it. Until it has come there nobody touches it.
func (b *backend) moveTo(to *shard) {
	t, n := &b.sh.sockets, b.number
	delete(t.byNumber, n)
	left := &want{}
	for _, w := range b.queue {
		switch {
		case w.s != nil:
			w.s.aff.queue, w.s.aff.wanted = nil, true
			left.streams = append(left.streams, w.s)
		case w.sh != to:
			left.shards = append(left.shards, w.sh)
		}
	}
	b.queue = nil
	switch {
	case len(left.streams) > 0: // it has to come back before it goes on
		t.wanted[n] = left
		b.queue = []waiter{{sh: t.sh}}
	default:
		for _, sh := range left.shards {
			b.queue = append(b.queue, waiter{sh: sh})
		}
	}
	t.sh.e.away.set(t.sh.e, n, to)
	b.moving, b.sh = true, to
	b.conn.Move(to.loop, b.arrived)
}

// arrived follows moveTo, on the loop that b has come to.
func (b *backend) arrived(*loop.Conn) {
	b.moving = false
	t := &b.sh.sockets
	t.byNumber[b.number] = b
	if w := t.wanted[b.number]; w != nil {
		delete(t.wanted, b.number)
		var queue []waiter
		for _, s := range w.streams {
			s.aff.queue, s.aff.wanted = b, false
			queue = append(queue, waiter{s: s})
		}
		b.queue = append(queue, b.queue...)
		for _, sh := range w.shards {
			b.queue = append(b.queue, waiter{sh: sh})
		}
	}
	if len(b.queue) == 0 || b.queue[0].s != nil {
		t.rest(b)
		return
	}
	n := b.number
	t.sh.loop.Post(func() { // it cannot leave while it arrives
		if t.byNumber[n] == b && b.s == nil {
			t.rest(b)
		}
	})
}

// lostOnTheWay follows the end of a connection between two loops, on either.
func (b *backend) lostOnTheWay() {
	n, to := b.number, b.sh
	if b.carries.s != nil {
		b.carries.dropped()
		return
	}
	to.e.away.forget(n)
	for _, w := range append(b.queue, waiter{sh: to}) {
		w.sh.loop.Post(func() { w.sh.sockets.gone(n) })
	}
}

// newEpoch begins another life of the connections: the last lane is lost, and nobody can come back to what is pinned.
func (e *Enabler) newEpoch() {
	e.epoch.Add(1 + rand.Uint32N(1<<16))
	for _, sh := range e.shards {
		sh.loop.Post(sh.sockets.closeOld)
	}
}

// closeOld closes the connections of other epochs. Those that carry a request end with it.
func (t *sockets) closeOld() {
	now := t.sh.e.epoch.Load()
	for _, b := range t.byNumber {
		if b.epoch != now && b.s == nil {
			t.forget(b)
			b.conn.Close()
		}
	}
}

// sweep closes the idle ones whose session stays away. idleTime is the limit of those that are not pinned.
func (t *sockets) sweep(now time.Time, idleTime time.Duration) {
	for len(t.spared) > 0 && now.Sub(t.spared[0].idle) > idleTime {
		b := t.spared[0]
		t.forget(b)
		b.conn.Close()
	}
	if now.Sub(t.sh.pinSweep) < sweepPinned {
		return
	}
	t.sh.pinSweep = now
	for _, b := range t.byNumber {
		if b.s == nil && b.pinned && now.Sub(b.idle) > pinTime {
			t.forget(b)
			b.conn.Close()
		}
	}
}

// sweepPinned is how often pinned connections are looked at.
const sweepPinned = 10 * time.Second

// close closes all of them.
func (t *sockets) close() {
	for _, b := range t.byNumber {
		t.forget(b)
		b.conn.Close()
	}
}

// registry says where the connections are that have left the loop that made them. It is touched only when a session comes over
// another loop's lane, and when such a connection ends. Safe for concurrent use.
type registry struct {
	mu   sync.Mutex
	away map[uint32]*shard // guarded by mu; no more than there are connections
}

// home is the loop that has connection n, if it is there at all.
func (r *registry) home(e *Enabler, n uint32) *shard {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sh := r.away[n]; sh != nil {
		return sh
	}
	return e.maker(n)
}

// maker is the loop that gave out n.
func (e *Enabler) maker(n uint32) *shard { return e.shards[(n-1)%uint32(len(e.shards))] }

func (r *registry) set(e *Enabler, n uint32, to *shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to == e.maker(n) {
		delete(r.away, n)
		return
	}
	if r.away == nil {
		r.away = map[uint32]*shard{}
	}
	r.away[n] = to
}

func (r *registry) forget(n uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.away, n)
}

// socketOf is how an answer names the connection.
func (b *backend) socketOf() lane.Socket { return lane.Socket{Epoch: b.epoch, Number: b.number} }
