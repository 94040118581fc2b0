package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/enginepool/proc"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
)

// Door is the engine door. Its methods are safe for concurrent use; none may be called on a loop.
type Door struct {
	// Fixed at start.
	log     *slog.Logger
	group   *loop.Group
	pool    *enginepool.Pool
	shards  []*shard
	version string
	epoch   time.Time // what the pool counts time from
	began   time.Time

	// Any goroutine.
	settings  atomic.Pointer[settings]
	acceptors []*loop.Acceptor // written by Listen only
	certs     doorCerts        // likewise
	live      sync.Map         // *engine -> *proc.Process, until it is reaped
	parkedOn  sync.Map         // name of a parked engine -> index of its shard
	printers  atomic.Pointer[[]byte]
	labels    labels
	admin     administrator
	records   *keeper // nil: records of other servers are not kept
	clients   atomic.Int64
	zombies   atomic.Int64
	first     atomic.Bool // a client has come
	draining  atomic.Bool
	closing   atomic.Bool    // idle clients are sent away
	starting  sync.WaitGroup // goroutines that touch disks and start processes
	processes sync.WaitGroup // processes that have not been reaped
}

// settings are what a reload replaces. They are never changed.
type settings struct {
	cfg         *config.Engine
	whole       *config.Config
	mode        oes.Mode // of a login that names none
	locations   locations
	breakSignal syscall.Signal
}

// New returns an engine door on the loops of g. The configuration must be valid; it is only read.
func New(cfg *config.Config, g *loop.Group, log *slog.Logger, version string) (*Door, error) {
	d := &Door{log: log.With("door", "engine"), group: g, version: version, began: time.Now()}
	d.epoch = d.began.Add(-time.Second) // the pool's time is more than 0
	set, err := newSettings(cfg)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	d.settings.Store(set)
	d.admin.init(d)
	d.printers.Store(&[]byte{})
	var hosts []enginepool.Host
	for _, l := range g.Loops() {
		s := newShard(d, l)
		d.shards = append(d.shards, s)
		hosts = append(hosts, host{s})
	}
	d.pool = enginepool.New(poolLimits(&cfg.Engine), hosts)
	for i, s := range d.shards {
		s.pool = d.pool.Shards()[i]
	}
	return d, nil
}

func newSettings(cfg *config.Config) (*settings, error) {
	e := &cfg.Engine
	set := &settings{cfg: e, whole: cfg, mode: oes.JD3}
	if e.Defaults.Mode != "" {
		set.mode, _, _ = oes.ParseMode([]byte(e.Defaults.Mode))
	}
	if e.Process.BreakSignal != "" {
		set.breakSignal = unix.SignalNum("SIG" + strings.TrimPrefix(e.Process.BreakSignal, "SIG"))
	}
	home := e.Process.Dir
	if home == "" {
		var err error
		if home, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	set.locations.allowed = []string{home}
	for _, l := range e.Locations {
		set.locations.any = set.locations.any || l == "*"
		set.locations.allowed = append(set.locations.allowed, l)
	}
	return set, nil
}

// Start runs what is to run before anybody connects, for no longer than an engine may take to come up, and opens the listeners. On an
// error none is left open.
func (d *Door) Start(ctx context.Context) error {
	if err := startKeeper(d); err != nil {
		return fmt.Errorf("engine: statistics.directory: %w", err)
	}
	d.starting.Go(d.findPrinters) // ends with the look
	d.prepare()
	ran := make(chan struct{})
	d.shards[0].loop.Post(func() { d.startRuns(func() { close(ran) }) })
	patience := d.settings.Load().cfg.Process.StartTimeout + d.settings.Load().cfg.Process.LoginTimeout
	select {
	case <-ran:
	case <-time.After(patience):
		d.log.Warn("a procedure that runs at the start has not ended: the door opens all the same", "after", patience)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := d.listen(); err != nil {
		return err
	}
	startGenerator(d)
	return nil
}

// prepare holds the lines that are configured, and has the shards tick.
func (d *Door) prepare() {
	d.keepLines(nil, d.settings.Load())
	for _, s := range d.shards {
		s.loop.Post(func() {
			s.pool.Tick(s.now())
			s.watch()
		})
	}
}

// listen opens the listeners.
func (d *Door) listen() error {
	cfg := d.settings.Load().cfg
	if err := d.certs.open(cfg, d.log); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	isUTF8 := cfg.Encoding == "UTF8"
	for _, l := range []struct {
		addrs []string
		tls   *tls.Config
		open  func(*loop.Conn) loop.Session
	}{
		{cfg.Listen, nil, d.openClient(isUTF8, false)},
		{cfg.ListenUTF8, nil, d.openClient(true, cfg.Client.UTFLength == "chars")},
		{cfg.ListenTLS, d.certs.clients.Config(), d.openClient(isUTF8, false)},
		{cfg.DialIn.Listen, d.certs.engines.Config(), d.openGuest},
		{d.settings.Load().recordsAddr(), nil, openRecords(d)},
	} {
		for _, addr := range l.addrs {
			if err := d.listenOn(addr, loop.AcceptOptions{Open: l.open, TLS: l.tls}); err != nil {
				d.closeListeners()
				return fmt.Errorf("engine: %w", err)
			}
		}
	}
	return nil
}

func (d *Door) listenOn(addr string, o loop.AcceptOptions) error {
	ln, err := handover.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if o.Max = d.settings.Load().whole.Limits.MaxConnections; o.Max == 0 {
		o.Max = loop.DescriptorLimit() - reservedDescriptors
	}
	a, err := d.group.Accept(ln, o)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	d.acceptors = append(d.acceptors, a)
	return nil
}

// reservedDescriptors are kept for what is not a client: engines, their pipes, files, connections being accepted.
const reservedDescriptors = 256

// openClient makes the sessions of clients; chars: lengths count characters.
func (d *Door) openClient(isUTF8, chars bool) func(*loop.Conn) loop.Session {
	return func(conn *loop.Conn) loop.Session {
		s := d.shards[conn.Loop().Index()]
		if d.first.CompareAndSwap(false, true) {
			d.firstClient()
		}
		c := s.newClient(conn, chars)
		c.utf8 = isUTF8
		if d.closing.Load() { // accepted just before the listener was closed
			d.clients.Add(1)
			c.leave()
			return c
		}
		if most := d.settings.Load().cfg.Client.MaxConnections; int(d.clients.Add(1)) > most && most > 0 {
			s.warn("a client was refused", "client", c.info.remote, "reason", "too many connections", "limit", most)
			c.refuse("Too many connections", "too many connections")
			c.leave()
		}
		return c
	}
}

// versionText is "<version> <servername>". Source: seed, engine command 4.
func (d *Door) versionText() string { return d.version + " " + d.settings.Load().cfg.ServerName }

// findPrinters asks the system for its printers, once.
func (d *Door) findPrinters() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "lpstat", "-e").Output()
	if err != nil {
		return // there is no such program, or no printer
	}
	list := []byte(strings.Join(strings.Fields(string(out)), string([]byte{valueMark})))
	d.printers.Store(&list)
}

// Addrs are the addresses that the door listens on: those of clients, then those of engines that dial in.
func (d *Door) Addrs() []net.Addr {
	var all []net.Addr
	for _, a := range d.acceptors {
		all = append(all, a.Addr())
	}
	return all
}

func (d *Door) closeListeners() {
	for _, a := range d.acceptors {
		a.Close()
	}
}

// InFlight is the number of requests that have begun and not ended.
func (d *Door) InFlight() int64 {
	n := int64(0)
	for _, s := range d.shards {
		n += s.stats.inFlight.Load()
	}
	return n
}

// at turns a time of the pool back.
func (d *Door) at(t int64) time.Time { return d.epoch.Add(time.Duration(t)) }

// Drain takes no new connections, closes each one that there is when it has no call running, waits until ctx ends for those that
// have, and then asks all engines to leave.
func (d *Door) Drain(ctx context.Context) error {
	d.closeListeners()
	d.draining.Store(true)
	d.admin.resumeAll()
	grace := time.Now().Add(d.settings.Load().whole.DrainGrace)
	over := loop.WaitUntil(ctx, func() bool { return d.clients.Load() == 0 || d.InFlight() == 0 && time.Now().After(grace) })
	d.closing.Store(true)
	over = over && loop.WaitUntil(ctx, func() bool { return d.dismissIdle() == 0 })
	if !over {
		d.log.Warn("requests are cut: the time to drain is over", "in_flight", d.InFlight())
	}
	d.pool.Stop()
	d.group.Each(func(l *loop.Loop) { d.shards[l.Index()].dismiss() })
	if !loop.WaitUntil(ctx, func() bool { return len(d.pool.Engines()) == 0 }) {
		d.log.Warn("engines are killed: the time to drain is over", "engines", len(d.pool.Engines()))
	}
	if !over {
		return ctx.Err()
	}
	return nil
}

// dismissIdle closes the connections of clients that have nothing going on, and returns how many have: their command may have come just
// now, and they leave with its reply.
func (d *Door) dismissIdle() int64 {
	var busy atomic.Int64
	d.group.Each(func(l *loop.Loop) {
		l.Conns(func(conn *loop.Conn) {
			c, ok := conn.Session().(*client)
			switch {
			case !ok || c.state == stateLeaving:
			case c.state == stateOpen || c.state == stateReady:
				c.leave()
			default:
				busy.Add(1)
			}
		})
	})
	return busy.Load()
}

// dismiss closes what is left of clients and stops all engines.
func (s *shard) dismiss() {
	s.loop.Conns(func(conn *loop.Conn) {
		if c, ok := conn.Session().(*client); ok && c.state != stateLeaving {
			c.leave()
		}
	})
	for _, p := range s.parked { // nobody can come back to them
		p.end(enginepool.WhyShutdown)
	}
	for _, e := range append([]*enginepool.Engine(nil), s.pool.Engines()...) {
		s.pool.Stop(e, enginepool.WhyShutdown, s.now())
	}
}

// Close kills what is left of engines and waits until all are reaped. It is called when the group has stopped.
func (d *Door) Close() error {
	d.closeListeners()
	d.admin.end()
	d.pool.Stop()
	d.starting.Wait()
	d.live.Range(func(_, p any) bool {
		p.(*proc.Process).Signal(syscall.SIGKILL)
		return true
	})
	d.processes.Wait()
	d.records.close()
	return nil
}
