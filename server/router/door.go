package router

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/access"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// Door is the router door. Its methods are safe for concurrent use; none may be called on a loop.
type Door struct {
	// Fixed at start.
	log      *slog.Logger
	group    *loop.Group
	guard    *access.Guard
	shards   []*shard
	unique   string // unique subject of this server
	serverID string // of this run, as NATS clients are told
	epoch    uint64 // likewise, for clients
	began    time.Time

	// Any goroutine.
	settings    atomic.Pointer[settings]
	hooks       atomic.Pointer[Hooks]
	projects    projects
	listeners   listeners
	natsAddr    atomic.Pointer[netip.AddrPort] // of the first listener for NATS; nil: none
	logs        logs
	orders      orders
	subIDs      atomic.Uint64
	clientsOpen atomic.Int64
	natsOpen    atomic.Int64
	closing     atomic.Bool    // clients are sent away
	checking    sync.WaitGroup // goroutines that look at credentials
	change      sync.Mutex     // guards the replacing of settings
}

// Hooks are what the door asks of the server that it is part of.
type Hooks struct {
	Drain  func() // ends the server in good order
	Reload func() // reads the configuration again
}

// New returns a router door on the loops of g. The configuration must be valid; it is only read.
func New(cfg *config.Config, g *loop.Group, guard *access.Guard, log *slog.Logger) (*Door, error) {
	d := &Door{log: log.With("door", "router"), group: g, guard: guard, began: time.Now()}
	d.projects.all = map[string]*project{}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	d.serverID, d.epoch = hex.EncodeToString(id[:]), binary.BigEndian.Uint64(id[:])
	var err error
	if d.unique, err = uniqueSubject(&cfg.Router); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	d.settings.Store(&settings{cfg: &cfg.Router, whole: cfg}) // for what the projects of the real ones read
	for _, l := range g.Loops() {
		d.shards = append(d.shards, newShard(d, l))
	}
	for _, s := range d.shards {
		s.connect()
	}
	set, err := d.newSettings(cfg)
	if err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	d.settings.Store(set)
	return d, nil
}

// Start opens the listeners. On an error none is left open.
func (d *Door) Start() error {
	if err := d.switchLogs(&d.settings.Load().cfg.Log); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	for _, s := range d.shards {
		s.loop.Post(func() {
			s.sweeper.Init(s.loop, s.sweep)
			s.armSweeper(d.settings.Load().sweep)
		})
	}
	if err := d.listen(); err != nil {
		d.closeListeners()
		return fmt.Errorf("router: %w", err)
	}
	return nil
}

// SetHooks says what the door asks of the server. It is called before anybody connects.
func (d *Door) SetHooks(h Hooks) { d.hooks.Store(&h) }

// Addrs are the addresses that the door listens on for clients.
func (d *Door) Addrs() []net.Addr { return d.listeners.addrs(false) }

// NATSAddrs are the addresses that the door listens on for NATS clients.
func (d *Door) NATSAddrs() []net.Addr { return d.listeners.addrs(true) }

// Clients is the number of connections of both protocols.
func (d *Door) Clients() int64 { return d.clientsOpen.Load() + d.natsOpen.Load() }

// Drain takes no new connections and tells NATS clients, which then go elsewhere. Once most of the time has passed, or everybody has left,
// it closes the connections that are left, after what they are owed.
func (d *Door) Drain(ctx context.Context) error {
	d.closeListeners()
	d.group.Each(func(l *loop.Loop) { d.shards[l.Index()].lameDuck() })
	grace, cancel := context.WithTimeout(ctx, d.settings.Load().whole.DrainGrace)
	defer cancel()
	loop.WaitUntil(grace, func() bool { return d.Clients() == 0 })
	d.closing.Store(true)
	d.group.Each(func(l *loop.Loop) { d.shards[l.Index()].dismiss() })
	if !loop.WaitUntil(ctx, func() bool { return d.Clients() == 0 }) {
		d.log.Warn("connections are cut: the time to drain is over", "clients", d.Clients())
		return ctx.Err()
	}
	return nil
}

// Close ends what is left. It is called when the group has stopped.
func (d *Door) Close() error {
	d.closeListeners()
	d.orders.close()
	d.checking.Wait()
	d.logs.close()
	return nil
}

// lameDuck tells NATS clients that the server is about to stop.
func (s *shard) lameDuck() {
	for _, p := range s.peers {
		if p.nats != nil {
			p.nats.lameDuck()
		}
	}
}

// dismiss sends all peers away, after what they are owed.
func (s *shard) dismiss() {
	for len(s.peers) > 0 {
		p := s.peers[len(s.peers)-1]
		p.setRates(rates{})
		if p.rt != nil {
			p.rt.farewell(cutStopping, "the server is stopping")
		}
		s.stats.cuts[cutStopping].Add(1)
		p.leave()
		p.closeSoon()
	}
}

// connect makes the shard's outboxes.
func (s *shard) connect() {
	for _, other := range s.door.shards {
		var box *outbox
		if other != s {
			box = &outbox{from: s, to: other}
		}
		s.out = append(s.out, box)
	}
}

// Reconfigure puts a new configuration in force as far as that is possible.
func (d *Door) Reconfigure(whole *config.Config) error {
	d.change.Lock()
	defer d.change.Unlock()
	return d.replace(whole)
}

// replace puts settings in force; on an error the old ones stay. The mutex change is held.
func (d *Door) replace(whole *config.Config) error {
	old := d.settings.Load()
	next := *whole
	keepAddresses(&next.Router, old.cfg)
	set, err := d.newSettings(&next)
	if err != nil {
		return err
	}
	if err := d.listeners.updateCerts(set.cfg, old.cfg); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if err := d.switchLogs(&set.cfg.Log); err != nil {
		return errors.Join(err, d.listeners.updateCerts(old.cfg, old.cfg))
	}
	d.settings.Store(set)
	if level := next.Log.MinLevel(); level != old.whole.Log.MinLevel() {
		config.SetLevel(d.log, level)
	}
	var over excess
	over.clients.Store(tooMany(&d.clientsOpen, set.cfg.Client.MaxConns))
	over.nats.Store(tooMany(&d.natsOpen, set.cfg.NATS.MaxConnections))
	d.group.Each(func(l *loop.Loop) { d.shards[l.Index()].adjust(set, &over) })
	return nil
}

// keepAddresses puts back what cannot be changed while the server runs.
func keepAddresses(next, old *config.Router) {
	next.UniqueSubject, next.SubjectCacheSize = old.UniqueSubject, old.SubjectCacheSize
	next.Listen, next.DefaultProtocols = old.Listen, old.DefaultProtocols
	next.NATS.Listen, next.NATS.Project, next.NATS.TLSFirst = old.NATS.Listen, old.NATS.Project, old.NATS.TLSFirst
	// Whether a listener speaks TLS is settled when it opens.
	if (next.TLSCert == "") != (old.TLSCert == "") {
		next.TLSCert, next.TLSKey, next.TLSClientCA = old.TLSCert, old.TLSKey, old.TLSClientCA
	}
	if n, o := &next.NATS, &old.NATS; (n.TLSCert == "") != (o.TLSCert == "") {
		n.TLSCert, n.TLSKey, n.TLSClientCA = o.TLSCert, o.TLSKey, o.TLSClientCA
	}
}

// excess is how many connections of each kind have to go, because fewer are allowed now. Any goroutine.
type excess struct{ clients, nats atomic.Int64 }

func tooMany(open *atomic.Int64, most int) int64 {
	if most == 0 {
		return 0
	}
	return max(0, open.Load()-int64(most))
}

// adjust has the connections that there are follow new settings.
func (s *shard) adjust(set *settings, over *excess) {
	for i := len(s.peers) - 1; i >= 0; i-- { // who is cut is replaced by one that has been adjusted
		p := s.peers[i]
		left := &over.nats
		p.maxBuffer = int(set.cfg.NATS.MaxPending)
		if p.rt != nil {
			left = &over.clients
			p.maxBuffer = int(set.cfg.Client.MaxBuffer)
		}
		if left.Load() > 0 && left.Add(-1) >= 0 {
			p.cut(cutLimit, "fewer connections are allowed now")
			continue
		}
		if p.view != nil && !p.ownRates {
			p.setRates(set.rates)
		}
	}
}
