package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

// sample is what one contender did in one round of a cell, or the medians over the rounds.
type sample struct {
	perSecond float64 // replies
	p50, p99  time.Duration
	// CPU time a request.
	server, engines time.Duration
	load            time.Duration // of this program
	pss             int64         // of server and engines, in bytes, under load
	failed          int64         // clients that went wrong; summed over the rounds, not a median
}

// row is a contender in a cell.
type row struct {
	name, reference string
	rounds          []sample
}

// cell is one size of payload with one number of clients, and what each contender made of it.
type cell struct {
	size, clients int
	rows          []row
}

func measureAll(ctx context.Context, o *options, contenders []contender) ([]cell, error) {
	var cells []cell
	for _, size := range o.sizes {
		for _, n := range o.clients {
			c := cell{size: size, clients: n}
			if err := c.measure(ctx, o, contenders); err != nil {
				return nil, err
			}
			cells = append(cells, c)
		}
	}
	return cells, nil
}

func (c *cell) measure(ctx context.Context, o *options, contenders []contender) error {
	c.rows = make([]row, len(contenders))
	for round := range o.rounds {
		for i, contender := range contenders {
			s, first, err := measure(ctx, o, contender.Pool, c.size, c.clients)
			if err != nil {
				return fmt.Errorf("%s: %w", contender.Name, err)
			}
			progress("%s x %d, round %d: %-20s %8.0f/s, p99 %v, CPU %v + %v, load %v",
				sizeText(c.size), c.clients, round+1, contender.Name, s.perSecond, s.p99, s.server, s.engines, s.load)
			if s.failed > 0 {
				progress("  %d clients went wrong: %v", s.failed, first)
			}
			c.rows[i].name, c.rows[i].reference = contender.Name, contender.reference
			c.rows[i].rounds = append(c.rows[i].rounds, s)
		}
	}
	return nil
}

// measure loads a pool for one round. first is what went wrong first with a client, and failed counts how many did.
func measure(ctx context.Context, o *options, p *harness.Pool, size, clients int) (s sample, first, err error) {
	if err := p.Settle(ctx); err != nil {
		return s, nil, err
	}
	l, err := startLoad(ctx, p, size, clients, o.threads)
	if err != nil {
		return s, nil, errors.Join(err, p.Ended())
	}
	begin, end, err := window(ctx, p, l, o.warmup, o.duration)
	if err == nil {
		var memoryErr error
		_, s.pss, memoryErr = p.Memory()
		err = memoryErr
	}
	latencies, failed, first := l.stop()
	if err = errors.Join(err, p.Ended()); err != nil {
		return s, nil, err
	}
	served := end.served - begin.served
	s.perSecond = float64(served) / end.at.Sub(begin.at).Seconds()
	s.p50, s.p99, s.failed = latencies.Quantile(0.5), latencies.Quantile(0.99), failed
	server, engines := end.cpu.Since(begin.cpu)
	if served > 0 {
		s.server, s.engines, s.load = server/time.Duration(served), engines/time.Duration(served), (end.own-begin.own)/time.Duration(served)
	}
	return s, first, nil
}

// reading is what the counters said at one moment.
type reading struct {
	at     time.Time
	served int64
	cpu    harness.CPUReading
	own    time.Duration // CPU time of this program
}

// window reads the counters after the warm-up, and again after the duration, while the load goes on.
func window(ctx context.Context, p *harness.Pool, l *load, warmup, duration time.Duration) (begin, end reading, err error) {
	if err := harness.Pause(ctx, warmup); err != nil {
		return begin, end, err
	}
	if begin, err = read(p, l); err != nil {
		return begin, end, err
	}
	l.recording.Store(true)
	if err := harness.Pause(ctx, duration); err != nil {
		return begin, end, err
	}
	l.recording.Store(false)
	end, err = read(p, l)
	return begin, end, err
}

func read(p *harness.Pool, l *load) (r reading, err error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return r, fmt.Errorf("getrusage: %w", err)
	}
	r.own = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	r.cpu, err = p.ReadCPU()
	r.at, r.served = time.Now(), l.served()
	return r, err
}

// verify sends payloads of that size through the pool for a moment, which also starts all its engines.
func verify(ctx context.Context, p *harness.Pool, size int) error {
	const clients, moment = 16, 300 * time.Millisecond
	l, err := startLoad(ctx, p, size, clients, 1)
	if err != nil {
		return err
	}
	err = harness.Pause(ctx, moment)
	served := l.served()
	_, failed, first := l.stop()
	if failed > 0 {
		return errors.Join(err, fmt.Errorf("%d bytes, %d of %d clients: %w", size, failed, clients, first))
	}
	if served+l.served() == 0 {
		return errors.Join(err, fmt.Errorf("%d bytes: no reply", size))
	}
	return err
}

// medians returns the median over the rounds of each figure by itself, and the sum of the failures.
func (r row) medians() (m sample) {
	m.perSecond = harness.Median(r.rounds, func(s sample) float64 { return s.perSecond })
	m.p50 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p50 })
	m.p99 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p99 })
	m.server = harness.Median(r.rounds, func(s sample) time.Duration { return s.server })
	m.engines = harness.Median(r.rounds, func(s sample) time.Duration { return s.engines })
	m.load = harness.Median(r.rounds, func(s sample) time.Duration { return s.load })
	m.pss = harness.Median(r.rounds, func(s sample) int64 { return s.pss })
	for _, s := range r.rounds {
		m.failed += s.failed
	}
	return m
}
