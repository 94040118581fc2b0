package main

import (
	"context"
	"errors"
	"os"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

// generator is what clients are made of.
type generator struct {
	name string
	// reference is the generator whose figures with nats-server the figures with this one are compared with.
	reference string
	own       bool // it speaks Roundhouse's own protocol
	start     func(ctx context.Context, o *options, s *harness.NATSServer, scenario load.Scenario) (load.Player, error)
}

const (
	wireName = "wire"
	libName  = "nats.go"
)

// generators returns those that were asked for.
func (o *options) generators() []generator {
	all := []generator{{wireName, wireName, false, startWire}}
	if o.lib {
		all = append(all, generator{libName, libName, false, startLib})
	}
	if o.client {
		all = append(all, generator{"client", libName, true, startClient})
	}
	return all
}

func startWire(ctx context.Context, _ *options, s *harness.NATSServer, scenario load.Scenario) (load.Player, error) {
	var d load.Dialer = load.NATSWire{}
	if scenario.Kind == load.Request { // as many connections as requesters, and a message each at a time
		hub, err := load.NewNATSHub()
		if err != nil {
			return nil, err
		}
		d = hub
	}
	r, err := load.Start(ctx, d, s.Address, scenario)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func startLib(_ context.Context, o *options, s *harness.NATSServer, scenario load.Scenario) (load.Player, error) {
	r, err := load.StartRemote(o.programs.Generator, nil, os.Stderr, s.Address, scenario)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// sample is what one server did in one round of a scenario, or the medians over the rounds.
type sample struct {
	sent, delivered float64 // a second
	p50, p99        time.Duration
	// CPU time a delivery.
	server, load time.Duration
	rss          int64 // of the server, in bytes, under load
}

// row is a server with a generator, in a scenario.
type row struct {
	server, generator, reference string
	rounds                       []sample
	failed                       int // rounds
}

// cell is a scenario, and what each server made of it.
type cell struct {
	scenario load.Scenario
	rows     []row
}

// measureScenarios measures everything and returns the report, and how many rounds failed.
func measureScenarios(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error) {
	if o.lib {
		if err := o.programs.BuildGenerator(ctx, lab); err != nil {
			return "", 0, err
		}
	}
	var cells []cell
	for _, s := range o.scenarios {
		c := cell{scenario: s}
		if err := c.measure(ctx, lab, o); err != nil {
			return "", 0, err
		}
		for _, r := range c.rows {
			failed += r.failed
		}
		cells = append(cells, c)
	}
	return report(o, cells), failed, nil
}

// measure plays the scenario once a round with each server and generator.
func (c *cell) measure(ctx context.Context, lab *harness.Lab, o *options) error {
	pairs := o.pairs()
	c.rows = make([]row, len(pairs))
	for round := range o.rounds {
		for i, p := range pairs {
			r := &c.rows[i]
			r.server, r.generator, r.reference = p.server.Name, p.generator.name, p.generator.reference
			one, err := measure(ctx, lab, o, p.server, p.generator, c.scenario)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.failed++
				progress("%s, round %d: %s, %s: FAILED: %v", c.scenario.Name, round+1, r.server, r.generator, err)
				continue
			}
			r.rounds = append(r.rounds, one)
			progress("%s, round %d: %-12s %-7s %9.0f/s, p99 %v, CPU %v, load %v, RSS %.1f MiB", c.scenario.Name, round+1, r.server, r.generator,
				one.delivered, one.p99, one.server, one.load, mebibytes(one.rss))
		}
	}
	return nil
}

// pair is a server and what loads it.
type pair struct {
	server    harness.NATSStarter
	generator generator
}

// pairs returns all servers with all generators that they understand.
func (o *options) pairs() (all []pair) {
	for _, g := range o.generators() {
		for _, s := range o.starters() {
			if s.Own || !g.own {
				all = append(all, pair{s, g})
			}
		}
	}
	return all
}

// measure starts a server, loads it for one round and ends it.
func measure(ctx context.Context, lab *harness.Lab, o *options, starter harness.NATSStarter, g generator, scenario load.Scenario) (sm sample, err error) {
	s, err := starter.Start(ctx, lab)
	if err != nil {
		return sm, err
	}
	defer s.Stop()
	player, err := g.start(ctx, o, s, scenario)
	if err != nil {
		return sm, errors.Join(err, s.Ended())
	}
	begin, end, err := window(ctx, o, s, player)
	if err == nil {
		sm.rss, err = s.RSS()
	}
	outcome, stopErr := player.Stop()
	if err = errors.Join(err, stopErr, s.Ended()); err != nil {
		return sm, err
	}
	seconds, delivered := (end.At - begin.At).Seconds(), end.Delivered-begin.Delivered
	if delivered == 0 || outcome.Samples == 0 {
		return sm, errors.New("nothing was delivered")
	}
	sm.sent, sm.delivered = float64(end.Sent-begin.Sent)/seconds, float64(delivered)/seconds
	sm.p50, sm.p99 = outcome.P50, outcome.P99
	sm.server = harness.CPUBetween(begin.server, end.server) / time.Duration(delivered)
	sm.load = (end.CPU - begin.CPU) / time.Duration(delivered)
	return sm, nil
}

// reading is what the counters said at one moment.
type reading struct {
	load.Reading
	server map[int]time.Duration // CPU time by process
}

// window reads the counters after the warm-up, and again after the duration, while the load goes on.
func window(ctx context.Context, o *options, s *harness.NATSServer, p load.Player) (begin, end reading, err error) {
	if err := harness.Pause(ctx, o.warmup); err != nil {
		return begin, end, err
	}
	if begin, err = read(s, p); err == nil {
		err = p.Record(true)
	}
	if err == nil {
		err = harness.Pause(ctx, o.duration)
	}
	if err == nil {
		err = p.Record(false)
	}
	if err == nil {
		end, err = read(s, p)
	}
	return begin, end, err
}

func read(s *harness.NATSServer, p load.Player) (r reading, err error) {
	if r.server, err = s.CPU(); err != nil {
		return r, err
	}
	r.Reading, err = p.Read()
	return r, err
}

// medians returns the median over the rounds of each figure by itself.
func (r row) medians() (m sample) {
	m.sent = harness.Median(r.rounds, func(s sample) float64 { return s.sent })
	m.delivered = harness.Median(r.rounds, func(s sample) float64 { return s.delivered })
	m.p50 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p50 })
	m.p99 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p99 })
	m.server = harness.Median(r.rounds, func(s sample) time.Duration { return s.server })
	m.load = harness.Median(r.rounds, func(s sample) time.Duration { return s.load })
	m.rss = harness.Median(r.rounds, func(s sample) int64 { return s.rss })
	return m
}
