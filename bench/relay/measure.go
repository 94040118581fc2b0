package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roundhouse/bench/harness"
)

// sample is what one contender did in one round of a cell, or the medians over the rounds.
type sample struct {
	perSecond   float64       // complete answers
	bytesPerSec float64       // also of answers that the end of the round cut off
	p50, p99    time.Duration // of complete answers
	cpu         time.Duration // of all processes of the contender together, a request; 0 for the origin
	rss, pss    int64         // bytes, after the load
	errors      int64         // of sockets, and statuses that are not 2xx or 3xx; summed over the rounds, not a median
}

// row is a contender in a cell.
type row struct {
	name   string
	rounds []sample
}

// load is what wrk does to a contender in one round.
type load struct {
	body     harness.Body
	conns    int
	duration time.Duration

	metricsEvery time.Duration
}

// cell is one load, and what each contender made of it.
type cell struct {
	load
	rows []row
}

func measureAll(ctx context.Context, o *options, contenders []*harness.Contender) ([]cell, error) {
	var cells []cell
	for _, body := range o.bodies {
		conns := o.conns
		if body.Size >= bigBody {
			conns = o.bigConns
		}
		for _, n := range conns {
			c, err := measureCell(ctx, contenders, load{body, n, o.duration, o.metricsEvery}, o.rounds)
			if err != nil {
				return nil, err
			}
			cells = append(cells, c)
		}
	}
	return cells, nil
}

func measureCell(ctx context.Context, contenders []*harness.Contender, l load, rounds int) (cell, error) {
	c := cell{load: l, rows: make([]row, len(contenders))}
	for round := range rounds {
		for i, contender := range contenders {
			s, err := measure(ctx, contender, l)
			if err != nil {
				return cell{}, fmt.Errorf("%s: %w", contender.Name, err)
			}
			progress("%s x %d, round %d: %-14s %9.0f/s, p99 %v, %v CPU, %d errors",
				l.body.Name, l.conns, round+1, contender.Name, s.perSecond, s.p99, s.cpu, s.errors)
			c.rows[i].name = contender.Name
			c.rows[i].rounds = append(c.rows[i].rounds, s)
		}
	}
	return c, nil
}

func measure(ctx context.Context, c *harness.Contender, l load) (s sample, err error) {
	if err := c.Settle(ctx); err != nil {
		return s, err
	}
	before, err := c.CPU()
	if err != nil {
		return s, err
	}
	fetching := startFetching(ctx, c.Metrics, l.metricsEvery)
	r, err := harness.RunWrk(ctx, c.URL+l.body.Name, l.conns, l.duration)
	if err := errors.Join(err, fetching.stop()); err != nil {
		return s, err
	}
	after, err := c.CPU()
	if err != nil {
		return s, err
	}
	if s.rss, s.pss, err = c.Memory(); err != nil {
		return s, err
	}
	s.perSecond, s.p50, s.p99 = r.PerSecond, r.P50, r.P99
	s.errors = r.SocketErrors + r.BadStatus
	if r.Requests > 0 && r.PerSecond > 0 {
		s.bytesPerSec = float64(r.Bytes) / (float64(r.Requests) / r.PerSecond)
	}
	s.cpu = perRequest(harness.CPUBetween(before, after), r, l.body)
	return s, nil
}

// perRequest divides CPU time by the requests. Big bodies are counted by bytes: of few requests, those that the end of the
// round cut off are a good part.
func perRequest(cpu time.Duration, r harness.WrkResult, body harness.Body) time.Duration {
	n := float64(r.Requests)
	if body.Size >= bigBody {
		n = float64(r.Bytes) / float64(body.Size)
	}
	if n == 0 {
		return 0
	}
	return time.Duration(float64(cpu) / n)
}

// medians returns the median over the rounds of each figure by itself, and the sum of the errors.
func (r row) medians() (m sample) {
	m.perSecond = harness.Median(r.rounds, func(s sample) float64 { return s.perSecond })
	m.bytesPerSec = harness.Median(r.rounds, func(s sample) float64 { return s.bytesPerSec })
	m.p50 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p50 })
	m.p99 = harness.Median(r.rounds, func(s sample) time.Duration { return s.p99 })
	m.cpu = harness.Median(r.rounds, func(s sample) time.Duration { return s.cpu })
	m.rss = harness.Median(r.rounds, func(s sample) int64 { return s.rss })
	m.pss = harness.Median(r.rounds, func(s sample) int64 { return s.pss })
	for _, s := range r.rounds {
		m.errors += s.errors
	}
	return m
}

// parts returns the requests per second of each round, as parts of those of a reference.
func (r row) parts(ref row) []float64 {
	parts := make([]float64, min(len(r.rounds), len(ref.rounds)))
	for i := range parts {
		parts[i] = r.rounds[i].perSecond / max(ref.rounds[i].perSecond, 1)
	}
	return parts
}
