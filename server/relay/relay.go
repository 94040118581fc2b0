package relay

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/certs"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
)

// Via is how the relay names itself in Via fields (RFC 9110, 7.6.3).
const Via = "1.1 roundhouse"

// Relay is the relay door. Its methods are safe for concurrent use; none may be called on a loop.
type Relay struct {
	// Fixed at start.
	log     *slog.Logger
	group   *loop.Group
	shards  []*shard
	access  *accessLog
	answers http1.Limits // of responses
	machine int64        // bytes of memory
	began   time.Time
	Surroundings
	// holdUntil is until when requests wait for the lanes of the process before this one; zero when there was none.
	holdUntil time.Time

	// Any goroutine.
	making    atomic.Int32                        // status pages that are being made; at most maxMaking
	makers    sync.WaitGroup                      // the goroutines that make them
	view      atomic.Pointer[view]                // in force; a loop looks at its shard's
	acceptors []*loop.Acceptor                    // written by Listen only
	secured   []*loop.Acceptor                    // those of acceptors that speak TLS; likewise
	certs     *certs.Source                       // of secured; nil when there are none; likewise
	changing  sync.Mutex                          // held while a view is replaced
	dynamics  dynamics                            // what auto_config has added
	drained   atomic.Pointer[map[serverName]bool] // servers that get no new requests; never changed in place
	gate      gate                                // who may be an enabler
	work      sync.WaitGroup                      // goroutines that find out for a loop what it must not wait for
	draining  atomic.Bool
	watch     watch        // tells who comes and goes
	held      atomic.Int64 // bytes of bodies held back for slow clients
}

// Surroundings are what the door shows of the program around it, and lets it answer. They are set before Listen.
type Surroundings struct {
	Version    string       // of the program
	Generation func() int64 // of its configuration
	Remote     Remote
}

// maxAnswerHead is the longest head of an answer that enablers are told to let through, in bytes.
const maxAnswerHead = lane.MaxControl / 2

// New returns a relay door on the loops of g. The configuration must be valid; it is only read. machineBytes is the memory of
// the machine.
func New(cfg *config.Config, g *loop.Group, log *slog.Logger, machineBytes int64) (*Relay, error) {
	r := &Relay{
		log: log, group: g, began: time.Now(), machine: machineBytes, gate: gate{instance: newInstance()}, dynamics: dynamics{bounds: usualDynamics},
		Surroundings: Surroundings{Generation: func() int64 { return 1 }},
		// The enabler has judged an answer, and written it anew: it may have grown by a few bytes and fields. A refusal here
		// would cost the lane.
		answers: http1.Limits{RequestLine: lane.MaxControl, Head: lane.MaxControl, Fields: 1000, Trailer: lane.MaxControl},
	}
	v, err := newView(cfg, nil, machineBytes, &r.dynamics)
	if err != nil {
		return nil, err
	}
	r.view.Store(v)
	if handover.Succeeds() {
		r.holdUntil = r.began.Add(cfg.Relay.Lane.HandoverWait)
	}
	if r.access, err = openAccessLog(cfg, log); err != nil {
		return nil, fmt.Errorf("relay: access log: %w", err)
	}
	for _, l := range g.Loops() {
		r.shards = append(r.shards, newShard(r, l, v))
	}
	r.watch.begin(r)
	return r, nil
}

// Drain takes no new connections, and closes each one that there is with its next answer, or after the drain grace when it
// brings no request. Then it tells the enablers that this relay goes away, waits until every request in flight has its answer
// or ctx ends, and closes the lanes.
func (r *Relay) Drain(ctx context.Context) error {
	r.draining.Store(true)
	r.closeListeners()
	// At once: the enablers should have lanes elsewhere, or to the process that takes the place of this one, by the time they are needed.
	r.group.Each(func(l *loop.Loop) { r.shards[l.Index()].goAway() })
	r.group.Each(func(l *loop.Loop) { r.shards[l.Index()].lastRequests() })
	grace := time.Now().Add(r.view.Load().cfg.DrainGrace)
	loop.WaitUntil(ctx, func() bool { return countClients(r) == 0 || time.Now().After(grace) && !handover.Passed() })
	if !loop.WaitUntil(ctx, func() bool { return r.InFlight() == 0 }) {
		r.log.Warn("requests are cut: the time to drain is over", "door", "relay", "in_flight", r.InFlight())
		return ctx.Err()
	}
	r.group.Each(func(l *loop.Loop) { r.shards[l.Index()].closeLanes() })
	return nil
}

// Close gives back what the door holds besides connections, which are the group's. It is called when the group has stopped.
func (r *Relay) Close() error {
	r.closeListeners()
	r.watch.end()
	r.makers.Wait()
	r.work.Wait()
	for _, s := range r.shards {
		s.flushAccesses() // of requests that ended with the group
	}
	return r.access.close()
}

// countClients returns the number of clients' connections.
func countClients(r *Relay) int64 {
	n := int64(0)
	for _, s := range r.shards {
		n += s.stats.clients.Load()
	}
	return n
}

// InFlight is the number of requests that have begun and not ended.
func (r *Relay) InFlight() int64 {
	n := int64(0)
	for _, s := range r.shards {
		n += s.stats.inFlight.Load()
	}
	return n
}
