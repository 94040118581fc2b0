package outbound

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/config"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// Enabler is one outbound enabler. Its methods are safe for concurrent use; none may be called on a loop.
type Enabler struct {
	// Fixed at start.
	cfg     *config.Enabler
	log     *slog.Logger
	group   *loop.Group
	shards  []*shard
	self    self
	ways    []*way // of cfg.Relays
	trust   *trust // of the back end; nil for plain HTTP
	window  int
	body    int64        // length of a body towards a relay behind a proxy that wants one, in bytes
	answers http1.Limits // of the back end's responses
	monitor *monitor
	ready   func() // called when a lane is up

	records io.Writer // gets records; nil: there are none
	manner

	// Any goroutine.
	claims claims
	met    met
	connections
	backend  atomic.Pointer[loop.DialOptions] // how the back end is reached, with the certificates of now
	draining atomic.Bool
	streams  atomic.Int64 // requests in flight
	lanes    atomic.Int64 // lanes that are up
	requests atomic.Int64
}

// manner is how the back end wants its requests.
type manner struct {
	perClient bool   // each client has connections of its own
	ownHost   string // what Host says to the back end; empty: what the client said
}

// connections is what the loops share of their connections to the back end. Any goroutine.
type connections struct {
	limits limits
	slots  slots
	idle   atomic.Int64 // connections that carry no request and belong to no session, as far as the loops have told
	away   registry
	epoch  atomic.Uint32 // changes when the last lane is lost: what sessions knew of connections is void then
}

// drainTime is how long requests in flight may take after the context of Run has ended.
const drainTime = 30 * time.Second

// Run serves until ctx ends; then it takes no new requests, lets those in flight end, and returns nil. An error means that it
// could not start: later failures are logged and tried again for ever.
func Run(ctx context.Context, cfg *config.Enabler, log *slog.Logger) error {
	return RunHooked(ctx, cfg, log, Hooks{})
}

// Hooks are called once each; a nil one is not.
type Hooks struct {
	Started func(*Enabler) // before anything is opened
	Ready   func()         // when the first lane is up: on a loop, so it must not block

	// Records gets a record of each request when the verbosity is 1 or more, as RecordHeader tells; with the log format json as objects.
	// It is written to on loops, so it must not block.
	Records io.Writer

	// Dropped returns how many lines of the log were dropped; nil: nobody knows. It is not called here.
	Dropped func() int64
}

// RunHooked is Run with hooks.
func RunHooked(ctx context.Context, cfg *config.Enabler, log *slog.Logger, h Hooks) error {
	g, err := loop.New(loop.Options{Logger: log})
	if err != nil {
		return err
	}
	e, err := New(cfg, g, log)
	if err != nil {
		stopNow, cancel := context.WithCancel(context.Background())
		cancel()
		_ = g.Stop(stopNow) // nothing is open yet
		return err
	}
	if (cfg.Verbosity >= 1 || cfg.PassportVerbosity >= 1) && h.Records != nil {
		e.records = h.Records
	}
	if h.Ready != nil {
		e.ready = sync.OnceFunc(h.Ready)
	}
	if h.Started != nil {
		h.Started(e)
	}
	e.Serve(ctx)
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return g.Stop(stop)
}

// New returns an enabler on the loops of g. The configuration must be valid; it is only read.
func New(cfg *config.Enabler, g *loop.Group, log *slog.Logger) (*Enabler, error) {
	var run [16]byte
	if _, err := rand.Read(run[:]); err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	e := &Enabler{cfg: cfg, log: log, group: g, self: self{run: hex.EncodeToString(run[:])}, window: lane.DefaultWindow, body: laneio.BodyLength, answers: http1.DefaultLimits(),
		claims: claims{of: map[string]bool{}}, ready: func() {}, manner: manner{perClient: cfg.Backend.ProxyProtocol > 0, ownHost: ownHost(&cfg.Backend)}}
	e.epoch.Store(mathrand.Uint32())
	e.setLimits(0, 0)
	e.answers.Head = lane.MaxControl / 2
	if err := e.prepare(); err != nil {
		return nil, err
	}
	for _, l := range g.Loops() {
		e.shards = append(e.shards, newShard(e, l))
	}
	e.monitor = newMonitor(e)
	return e, nil
}

// prepare finds out how to reach everybody, and who we are.
func (e *Enabler) prepare() (err error) {
	if e.trust, err = newTrust("-cs", e.cfg.Backend.TLS, e.log); err != nil {
		return err
	}
	e.setBackend()
	for i := range e.cfg.Relays {
		t, err := newTrust("-cr", e.cfg.Relays[i].TLS, e.log)
		if err != nil {
			return err
		}
		e.ways = append(e.ways, newWay(&e.cfg.Relays[i], t, e.cfg.EnvProxies))
	}
	if e.self.macs = e.cfg.MACs; len(e.self.macs) == 0 {
		if e.self.macs, err = adapterAddresses(); err != nil {
			e.log.Warn("the addresses of the adapters are unknown", "error", err)
		}
	}
	e.log.Info("outbound enabler", "version", version(), "farm", e.cfg.Farm, "server", e.cfg.ID, "mac", strings.Join(e.self.macs, "!"))
	return nil
}

// setBackend makes connections to the back end use the certificates of now. It may read files: never call it on a loop.
func (e *Enabler) setBackend() {
	b := &e.cfg.Backend
	o := &loop.DialOptions{Network: "tcp", Addr: net.JoinHostPort(b.Host, strconv.Itoa(b.Port)), Timeout: dialTime, Unsent: unsentToBackend}
	if b.Unix != "" {
		o.Network, o.Addr = "unix", b.Unix
	}
	if b.ConnectTimeout > 0 {
		o.Timeout = b.ConnectTimeout
	}
	if e.trust != nil {
		o.TLS = e.trust.config(b.Host)
	}
	e.backend.Store(o)
}

// dialTime is how long connecting to a back end or a relay may take.
const dialTime = 10 * time.Second

// What the kernel holds for who takes it slowly, beside what is on its way, in bytes. What waits in a lane's socket delays all that comes
// after it, but with less than a MiB the lane has to wait for the socket too often.
const (
	unsentToBackend = 256 << 10
	unsentToRelay   = 1 << 20
)

// Serve runs the enabler until ctx ends and it has drained.
func (e *Enabler) Serve(ctx context.Context) {
	var wg sync.WaitGroup
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { e.monitor.run(work) })
	for i := range e.cfg.Relays {
		wg.Go(func() { e.keepRelay(work, i) })
	}
	<-ctx.Done()
	e.draining.Store(true)
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }() // ends when all lanes have: at the latest after closeLanes
	select {
	case <-ended:
	case <-time.After(drainTime):
		e.log.Warn("requests are cut: the time to drain is over", "in_flight", e.streams.Load())
		e.closeLanes()
		<-ended
	}
	e.group.Each(func(l *loop.Loop) { e.shards[l.Index()].closeIdle() })
}

// Beat returns when every loop has done something, so that whoever waits for it knows that they work. Not to be called on a loop.
func (e *Enabler) Beat() { e.group.Each(func(*loop.Loop) {}) }

// met numbers the relay servers to which lanes were opened, for records. Safe for concurrent use.
type met struct {
	mu    sync.Mutex
	addrs []string // guarded by mu; at most maxMet
}

const maxMet = 1024

// index is the number of a relay server, from 0 on; -1 when there are too many.
func (m *met) index(addr string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(m.addrs, addr)
	if i < 0 && len(m.addrs) < maxMet {
		i = len(m.addrs)
		m.addrs = append(m.addrs, addr)
	}
	return i
}

// closeLanes ends all lanes, whatever they carry.
func (e *Enabler) closeLanes() {
	e.group.Each(func(l *loop.Loop) {
		for k := range e.shards[l.Index()].links {
			k.end.Fail(errCut)
		}
	})
}

var errCut = errors.New("outbound: the time to drain is over")

// SetBodyLengthForTest sets the length of bodies towards a relay behind a proxy that wants one, in bytes. Before Serve.
func (e *Enabler) SetBodyLengthForTest(size int64) { e.body = size }
