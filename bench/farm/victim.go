package main

import (
	"context"
	"fmt"
	"time"

	"roundhouse/bench/harness"
)

// victim is what is killed, and how it comes back.
type victim struct {
	name    string
	procs   []string                           // killed in this order, one directly after the other
	server  int                                // the back end that cannot be reached while they are dead; -1: none
	start   func(context.Context, *cast) error // starts them again
	serving func(context.Context, *cast) error // waits until they serve again
}

// victims returns all of them in the order of their deaths.
func victims() (all []victim) {
	for i := range relays {
		all = append(all, victim{name: relayName(i), procs: []string{relayName(i)}, server: -1,
			start:   func(ctx context.Context, c *cast) error { return c.startRelay(ctx, i) },
			serving: func(ctx context.Context, c *cast) error { return c.waitRelay(ctx, i) }})
	}
	for i := range backends {
		all = append(all, victim{name: backendName(i) + " with its enabler", procs: []string{backendName(i), enablerName(i)}, server: i,
			start: func(ctx context.Context, c *cast) error {
				if err := c.startBackend(ctx, i); err != nil {
					return err
				}
				return c.startEnabler(i)
			},
			serving: func(ctx context.Context, c *cast) error { return c.waitBackend(ctx, i) }})
	}
	return append(all,
		victim{name: backendName(0) + " alone", procs: []string{backendName(0)}, server: 0,
			start:   func(ctx context.Context, c *cast) error { return c.startBackend(ctx, 0) },
			serving: func(ctx context.Context, c *cast) error { return c.waitBackend(ctx, 0) }},
		victim{name: enablerName(1) + " alone", procs: []string{enablerName(1)}, server: 1,
			start:   func(_ context.Context, c *cast) error { return c.startEnabler(1) },
			serving: func(ctx context.Context, c *cast) error { return c.waitBackend(ctx, 1) }})
}

// waitRelay waits until each back end answers through a relay.
func (c *cast) waitRelay(ctx context.Context, relay int) error {
	for b := range backends {
		if err := c.waitServes(ctx, relay, b); err != nil {
			return err
		}
	}
	return nil
}

// waitBackend waits until a back end answers through each relay.
func (c *cast) waitBackend(ctx context.Context, backend int) error {
	for r := range relays {
		if err := c.waitServes(ctx, r, backend); err != nil {
			return err
		}
	}
	return nil
}

// phase is one death and what the clients saw of it. Times are since the load's begin.
type phase struct {
	victim     victim
	begin, end time.Duration
	killing    time.Duration // when the first was to be killed
	killed     time.Duration // when all were dead
	started    time.Duration // when they were to start again
	serving    time.Duration // when they served again
}

// run kills a victim under load and starts it again.
func (c *cast) run(ctx context.Context, v victim) (p phase, err error) {
	p.victim, p.begin = v, c.since()
	if err := pause(ctx, c.o.before); err != nil {
		return p, err
	}
	p.killing = c.since()
	for _, name := range v.procs {
		if err := c.kill(name); err != nil {
			return p, err
		}
	}
	p.killed = c.since()
	if err := pause(ctx, c.o.dead); err != nil {
		return p, err
	}
	p.started = c.since()
	if err := v.start(ctx, c); err != nil {
		return p, err
	}
	if err := v.serving(ctx, c); err != nil {
		return p, err
	}
	p.serving = c.since()
	if err := pause(ctx, c.o.after); err != nil {
		return p, err
	}
	p.end = c.since()
	return p, nil
}

func (c *cast) kill(name string) error {
	p := c.procs[name]
	if p == nil {
		return fmt.Errorf("farm: %s does not run", name)
	}
	if err := p.Ended(); err != nil {
		return err
	}
	p.Kill()
	delete(c.procs, name)
	return nil
}

// pause lets the load go on.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func address(port int) string { return harness.Address(port) }
