package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Options says how a Group is built. The zero value works.
type Options struct {
	// Loops is the number of event loops; 0 means GOMAXPROCS.
	Loops int
	// ReadBuffer is what one read takes at most, in bytes for each loop; 0 means 256 KiB. gnet rounds it up to a power of two.
	ReadBuffer int
	// Logger gets what the loops and gnet have to say; nil means slog.Default().
	Logger *slog.Logger
}

// Group is all loops of a server. Its methods are safe for concurrent use.
type Group struct {
	client *gnet.Client
	loops  []*Loop
	log    *slog.Logger
	ticker *ticker
	stats  groupStats

	next     atomic.Uint32  // round robin over loops
	connIDs  atomic.Uint64  // last connection id given out
	stopping atomic.Bool    // set first by Stop
	stopped  chan struct{}  // closed when Stop has done all
	enrolls  sync.WaitGroup // goroutines that enrol, dial or shake hands

	dialing    context.Context // ends with Stop
	stopDials  context.CancelFunc
	handshakes chan struct{} // as many TLS handshakes compute at once as it has room for
	// Fixed at start.
	handshakeTime time.Duration // the time limit of a TLS handshake

	mu        sync.Mutex // guards the rest, and stopping against enrolls
	acceptors map[*Acceptor]struct{}
	last      []func() // run by Stop after the loops have ended
	over      bool     // the loops have ended
}

type groupStats struct {
	open, opened, refused, acceptErrors, badProxies, badHandshakes, panics atomic.Int64
}

// Stats is a snapshot of a Group's counters.
type Stats struct {
	Open         int64 // connections open now
	Opened       int64 // connections that ever came to their loop
	Refused      int64 // connections closed at accept because of a limit
	AcceptErrors int64 // errors of accept and enrolment, such as EMFILE
	BadProxies   int64 // connections closed because they did not begin with the PROXY header that is demanded of them
	BadTLS       int64 // accepted connections whose TLS handshake failed, but for those that said nothing
	Panics       int64 // panics in sessions, each of which closed its connection
	BytesIn      int64 // read from sockets
	BytesOut     int64 // taken by sockets
}

// New starts the loops and proves that reading can be paused. An error means that the loops cannot run on this system.
func New(o Options) (*Group, error) {
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	if o.ReadBuffer <= 0 {
		o.ReadBuffer = 256 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	g := &Group{log: o.Logger, acceptors: map[*Acceptor]struct{}{}, stopped: make(chan struct{}), handshakeTime: handshakeTime}
	g.handshakes = make(chan struct{}, 4*runtime.NumCPU())
	g.dialing, g.stopDials = context.WithCancel(context.Background())
	client, err := gnet.NewClient(&handler{}, gnet.WithNumEventLoop(o.Loops), gnet.WithReadBufferCap(o.ReadBuffer),
		gnet.WithLogger(gnetLogger{o.Logger}), gnet.WithMulticore(true))
	if err != nil {
		return nil, fmt.Errorf("loop: gnet: %w", err)
	}
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("loop: gnet: %w", err)
	}
	g.client = client
	if err := g.discover(o.Loops); err != nil {
		err = errors.Join(err, client.Stop())
		for _, l := range g.loops {
			l.room.close()
		}
		return nil, err
	}
	g.ticker = startTicker(g.loops)
	for _, l := range g.loops {
		if err := l.selfTest(); err != nil {
			return nil, errors.Join(err, g.Stop(context.Background()))
		}
	}
	g.stats.opened.Store(0) // the self-tests do not count
	return g, nil
}

// Loops returns all loops, in a fixed order. The slice is not to be changed.
func (g *Group) Loops() []*Loop { return g.loops }

// Next returns the loop that a new connection should go to: in turn.
func (g *Group) Next() *Loop { return g.loops[int(g.next.Add(1)-1)%len(g.loops)] }

// Stats sums the counters of all loops.
func (g *Group) Stats() Stats {
	s := Stats{
		Open: g.stats.open.Load(), Opened: g.stats.opened.Load(), Refused: g.stats.refused.Load(),
		AcceptErrors: g.stats.acceptErrors.Load(), BadProxies: g.stats.badProxies.Load(), BadTLS: g.stats.badHandshakes.Load(), Panics: g.stats.panics.Load(),
	}
	for _, l := range g.loops {
		s.BytesIn += l.bytesIn.Load()
		s.BytesOut += l.bytesOut.Load()
	}
	return s
}

// Each runs f on every loop and waits until all have run it, or until a loop stops. Never call it on a loop.
func (g *Group) Each(f func(*Loop)) {
	var wg sync.WaitGroup
	for _, l := range g.loops {
		wg.Add(1)
		if !l.Post(func() { defer wg.Done(); f(l) }) {
			wg.Done()
		}
	}
	wg.Wait()
}

// Stop closes the listeners, closes every connection after its output is flushed (until ctx ends, then at once, with a reset
// where output is unsent), and ends the loops. When it returns, no goroutine of the group is left. It may be called more than
// once: all calls wait for the first, or for their ctx, whose error they return then. Never call it on a loop.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	again := g.stopping.Swap(true)
	g.mu.Unlock()
	if again {
		select {
		case <-g.stopped:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(g.stopped)
	g.stopDials()
	g.closeAcceptors()
	g.enrolls.Wait()
	g.Each(func(l *Loop) {
		for _, c := range l.conns {
			c.Close()
		}
	})
	g.waitEmpty(ctx)
	g.Each((*Loop).cut)
	if g.ticker != nil {
		g.ticker.stop()
	}
	for _, l := range g.loops {
		l.mail.close()
	}
	err := g.client.Stop()
	g.endLoops()
	return err
}

// endLoops does, in the place of the loops that have ended, what is left to do.
func (g *Group) endLoops() {
	for _, l := range g.loops {
		l.readLast()
	}
	for {
		g.mu.Lock()
		last := g.last
		g.last, g.over = nil, len(last) == 0
		g.mu.Unlock()
		if len(last) == 0 {
			break
		}
		for _, f := range last {
			f()
		}
	}
	for _, l := range g.loops {
		l.room.close()
	}
}

// afterLoops runs f when the loops have ended: by Stop, or at once when that was so long ago.
func (g *Group) afterLoops(f func()) {
	g.mu.Lock()
	over := g.over
	if !over {
		g.last = append(g.last, f)
	}
	g.mu.Unlock()
	if over {
		f()
	}
}

// waitEmpty waits until no connection is open or ctx ends. Connections say goodbye at their own pace: nobody rings at the
// last one, so this looks again and again, a few times a second.
func (g *Group) waitEmpty(ctx context.Context) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for g.stats.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
