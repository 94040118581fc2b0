package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/server/access"
	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/engine"
	"roundhouse/server/handover"
	"roundhouse/server/loop"
	"roundhouse/server/relay"
	"roundhouse/server/router"
)

// Server is one roundhouse: its loops, its doors and its admin listener. Build it with New, then call Run once.
type Server struct {
	// Fixed at start.
	cfg    *config.Config
	log    *slog.Logger
	group  *loop.Group
	relay  *relay.Relay
	engine *engine.Door // nil: the configuration has no such door
	guard  *access.Guard
	router *router.Door // nil: the configuration has no such door
	admin  *admin.Server
	demo   *demo // nil unless the configuration asks for the demonstration

	remote  atomic.Pointer[admin.Server] // admin, as the relay door's listeners serve it; nil: not yet
	control control                      // what an administrator may have the server do

	// Any goroutine.
	asked atomic.Bool   // Drain was called
	drain chan struct{} // closed by Drain
}

// New starts the loops and opens every listener of the configuration, which must be valid and is only read. When it returns
// without an error, connections are accepted; those of listeners that were inherited when Run is called, see package handover.
func New(cfg *config.Config, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, log: log, drain: make(chan struct{})}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// start builds everything, in the order in which stop ends it.
func (s *Server) start() (err error) {
	if s.cfg.Demo {
		if s.demo, err = newDemo(s.log); err != nil {
			return err
		}
		if s.cfg, err = s.demo.withEngines(s.cfg); err != nil {
			return err
		}
	}
	if s.group, err = loop.New(loop.Options{Loops: s.cfg.Loops, Logger: s.log}); err != nil {
		return err
	}
	if s.relay, err = relay.New(s.cfg, s.group, s.log, machineBytes()); err != nil {
		return err
	}
	s.relay.Surroundings = relay.Surroundings{Version: version(), Generation: s.Generation, Remote: s.administration()}
	if err = s.relay.Listen(); err != nil {
		return err
	}
	if s.cfg.Engine.Opens() {
		if s.engine, err = engine.New(s.cfg, s.group, s.log, version()); err != nil {
			return err
		}
		hookDoors(s)
		if err = s.engine.Start(context.Background()); err != nil {
			return err
		}
	}
	if err = s.startRouter(); err != nil {
		return err
	}
	s.admin, err = admin.New(s.cfg.Admin, s.log, s.sources())
	s.remote.Store(s.admin)
	return err
}

// startRouter opens the router door, if the configuration has one.
func (s *Server) startRouter() error {
	rules, problems := access.FromConfig(&s.cfg.Access)
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	var err error
	if s.guard, err = access.New(rules, s.log); err != nil {
		return err
	}
	s.control.rules = rules
	if !s.cfg.Router.Opens() {
		return nil
	}
	if s.router, err = router.New(s.cfg, s.group, s.guard, s.log); err != nil {
		return err
	}
	hookDoors(s)
	return s.router.Start()
}

// RelayAddrs are the addresses of the relay door.
func (s *Server) RelayAddrs() []net.Addr { return s.relay.Addrs() }

// EngineAddrs are the addresses of the engine door: those of clients, then those of engines that dial in.
func (s *Server) EngineAddrs() []net.Addr {
	if s.engine == nil {
		return nil
	}
	return s.engine.Addrs()
}

// RouterAddrs are the addresses of the router door for clients.
func (s *Server) RouterAddrs() []net.Addr {
	if s.router == nil {
		return nil
	}
	return s.router.Addrs()
}

// NATSAddrs are the addresses of the router door for NATS clients.
func (s *Server) NATSAddrs() []net.Addr {
	if s.router == nil {
		return nil
	}
	return s.router.NATSAddrs()
}

// AdminAddr is the address of the admin listener; nil when there is none.
func (s *Server) AdminAddr() net.Addr { return s.admin.Addr() }

// Run serves until ctx ends, then drains: requests in flight get their answers, for at most the drain timeout. The error says
// what could not be ended well.
func (s *Server) Run(ctx context.Context) error {
	for _, a := range s.relay.Addrs() {
		s.log.Info("listening", "door", "relay", "addr", a.String())
	}
	for _, a := range s.EngineAddrs() {
		s.log.Info("listening", "door", "engine", "addr", a.String())
	}
	for _, a := range s.RouterAddrs() {
		s.log.Info("listening", "door", "router", "addr", a.String())
	}
	for _, a := range s.NATSAddrs() {
		s.log.Info("listening", "door", "router", "protocol", "nats", "addr", a.String())
	}
	if a := s.admin.Addr(); a != nil {
		s.log.Info("listening", "door", "admin", "addr", a.String())
	}
	s.admin.Ready(true)
	handover.Ready(s.log)
	if s.demo != nil {
		s.demo.run(ctx, s)
	}
	select {
	case <-ctx.Done():
	case <-s.drain:
	}
	limit := s.relay.Config().DrainTimeout
	if handover.Passed() {
		limit = s.relay.Config().HandoverTimeout
	}
	s.log.Info("draining", "in_flight", s.relay.InFlight(), "at_most", limit)
	var err error
	if handover.Passed() { // the new process is asked now: this one must not say there that it is not ready
		err = s.admin.Close()
	} else {
		s.admin.Ready(false)
		s.delay()
	}
	handover.Stopping(s.log)
	drain, cancel := context.WithCancel(context.Background())
	if limit > 0 || !handover.Passed() {
		drain, cancel = context.WithTimeout(context.Background(), limit)
	}
	defer cancel()
	if cut := s.drainDoors(drain); cut != nil {
		err = errors.Join(err, fmt.Errorf("server: requests were cut after %v of draining: %w", limit, cut))
	}
	return errors.Join(err, s.stop())
}

// delay goes on serving until load balancers have seen that the server is not ready.
func (s *Server) delay() {
	if d := s.relay.Config().DrainDelay; d > 0 {
		s.log.Info("not ready; the listeners close later", "after", d)
		<-time.After(d)
	}
}

// Drain has Run drain and return, as the end of its context does. Any goroutine may call it, more than once.
func (s *Server) Drain() {
	if !s.asked.Swap(true) {
		close(s.drain)
	}
}

// drainDoors drains all doors at the same time.
func (s *Server) drainDoors(ctx context.Context) error {
	others := make(chan error, 2)
	go func() { // ends with ctx at the latest; its result is waited for
		if s.engine == nil {
			others <- nil
			return
		}
		others <- s.engine.Drain(ctx)
	}()
	go func() { // likewise
		if s.router == nil {
			others <- nil
			return
		}
		others <- s.router.Drain(ctx)
	}()
	return errors.Join(s.relay.Drain(ctx), <-others, <-others)
}

// reconfigure hands a new configuration to the doors: all take it, or none.
func (s *Server) reconfigure(cfg *config.Config) error {
	before := s.relay.Config()
	if err := s.relay.Reconfigure(cfg); err != nil {
		return err
	}
	if s.router != nil {
		if err := s.router.Reconfigure(cfg); err != nil {
			return errors.Join(err, s.relay.Reconfigure(before))
		}
	}
	if s.engine == nil {
		return nil
	}
	err := s.engine.Reconfigure(cfg)
	if err == nil {
		return nil
	}
	if s.router != nil {
		err = errors.Join(err, s.router.Reconfigure(before))
	}
	return errors.Join(err, s.relay.Reconfigure(before))
}

// stopTime is how long connections may take to flush what they have after the drain.
const stopTime = 5 * time.Second

// stop ends what New has started, as far as it came.
func (s *Server) stop() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if s.demo != nil {
		s.demo.stop()
	}
	if s.group != nil {
		err = s.group.Stop(ctx)
	}
	if s.relay != nil {
		err = errors.Join(err, s.relay.Close())
	}
	if s.engine != nil {
		err = errors.Join(err, s.engine.Close())
	}
	if s.router != nil {
		err = errors.Join(err, s.router.Close())
	}
	if s.guard != nil {
		s.guard.Close()
	}
	if s.admin != nil {
		err = errors.Join(err, s.admin.Close())
	}
	if err != nil {
		return fmt.Errorf("server: stop: %w", err)
	}
	return nil
}

// version is that of the module; devel outside a release.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "devel"
}

// machineBytes is the memory of the machine.
func machineBytes() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30 // nothing better is known
	}
	return int64(info.Totalram) * int64(info.Unit)
}
