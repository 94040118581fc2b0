package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

const (
	millionHeading = "## Router door: a million subscriptions"

	millionSubscribers = 10
	millionSize        = 128 // bytes
)

// millionSample is what one server did in one round.
type millionSample struct {
	subscribe     time.Duration // each, by the clock
	slowest       time.Duration // each, of the connection that took longest
	subscribeCPU  time.Duration // of the server, each
	before, after memory
	settled       bool
	delivered     float64       // a second
	server, load  time.Duration // CPU time a delivery
	p50, p99      time.Duration
	loadedRSS     int64 // bytes, while messages are published
}

// memory is what a server uses at one moment, in bytes.
type memory struct{ rss, heap int64 }

// timer is a Dialer that takes the time of subscribing, and the memory before and after. The connections subscribe one after another.
type timer struct {
	load.Dialer
	ctx      context.Context
	o        *options
	server   *server
	sample   *millionSample
	open     int           // connections that have subscribed
	took     time.Duration // all together
	cpuBegan time.Duration
}

// timedConn is a connection of it.
type timedConn struct {
	load.Conn
	t     *timer
	begin time.Time // of subscribing; zero: it has not
	count int
}

func (t *timer) Dial(ctx context.Context, address string, fail func(error)) (load.Conn, error) {
	c, err := t.Dialer.Dial(ctx, address, fail)
	if err != nil {
		return nil, err
	}
	return &timedConn{Conn: c, t: t}, nil
}

// Subscribe begins to take the time; what has to be known before is found out now.
func (c *timedConn) Subscribe(patterns []string, h load.Handler) error {
	t := c.t
	if t.open == 0 {
		err := t.read(&t.sample.before)
		if err == nil {
			t.cpuBegan, err = t.server.cpu()
		}
		if err != nil {
			return err
		}
	}
	c.begin, c.count = time.Now(), len(patterns)
	return c.Conn.Subscribe(patterns, h)
}

// Sync ends it: the server has answered a PING behind the last SUB.
func (c *timedConn) Sync(ctx context.Context) error {
	if err := c.Conn.Sync(ctx); err != nil || c.begin.IsZero() {
		return err
	}
	t, s := c.t, c.t.sample
	took := time.Since(c.begin)
	c.begin = time.Time{}
	t.open++
	t.took += took
	s.slowest = max(s.slowest, took/time.Duration(c.count))
	if t.open < millionSubscribers {
		return nil
	}
	used, err := t.server.cpu()
	if err != nil {
		return err
	}
	n := time.Duration(t.o.subscriptions)
	s.subscribe, s.subscribeCPU = t.took/n, (used-t.cpuBegan)/n
	return t.read(&s.after)
}

// read reads the memory when it stands still, then the heap.
func (t *timer) read(m *memory) (err error) {
	_, still, err := harness.StillPSS(t.ctx, []int{t.server.pid()}, t.o.settle)
	if err != nil {
		return err
	}
	t.sample.settled = t.sample.settled && still
	if m.rss, err = harness.ReadRSS(t.server.pid()); err != nil {
		return err
	}
	m.heap, err = t.server.heap(t.ctx)
	return err
}

// measureMillion returns the report of all rounds.
func measureMillion(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error) {
	var all []contender
	for _, name := range o.servers() {
		all = append(all, contender{name, natsProtocol{}})
	}
	rows := newRows[millionSample](all)
	for round := range o.rounds {
		for i := range rows {
			r := &rows[i]
			one, err := millionRound(ctx, lab, o, r.server)
			if ctx.Err() != nil {
				return "", 0, ctx.Err()
			}
			if r.add(err, one) {
				progress("million, round %d: %-11s SUB %v, RSS %.1f MiB, heap %.1f MiB, %.0f/s", round+1, r.server, one.subscribe,
					mebibytes(one.after.rss), mebibytes(one.after.heap), one.delivered)
			} else {
				failed++
				progress("million, round %d: %-11s FAILED: %v", round+1, r.server, err)
			}
		}
	}
	return millionReport(o, rows), failed, nil
}

func millionRound(ctx context.Context, lab *harness.Lab, o *options, name string) (one millionSample, err error) {
	s, err := o.start(ctx, lab, name, 0)
	if err != nil {
		return one, err
	}
	defer s.stop()
	one.settled = true
	t := &timer{Dialer: load.NATSWire{}, ctx: ctx, o: o, server: s, sample: &one}
	run, err := load.Start(ctx, t, s.address(natsProtocol{}), load.Scenario{
		Name: "million", Kind: load.Random, Size: millionSize, Publishers: 2, Subscribers: millionSubscribers, Subscriptions: o.subscriptions, Window: 16384,
	})
	if err != nil {
		return one, errors.Join(err, s.ended())
	}
	err = one.publish(ctx, o, s, run)
	outcome, stopErr := run.Stop()
	if err = errors.Join(err, stopErr, s.ended()); err != nil {
		return one, err
	}
	if outcome.Samples == 0 {
		return one, errors.New("nothing was delivered")
	}
	one.p50, one.p99 = outcome.P50, outcome.P99
	return one, nil
}

// publish reads the counters of a while in which messages are published; they are from the start of the run on.
func (one *millionSample) publish(ctx context.Context, o *options, s *server, run *load.Run) error {
	const warmup = 500 * time.Millisecond
	if err := pause(ctx, warmup); err != nil {
		return err
	}
	begin, err := run.Read()
	if err != nil {
		return err
	}
	cpuBegin, err := s.cpu()
	if err == nil {
		err = run.Record(true)
	}
	if err == nil {
		err = pause(ctx, max(o.duration/3, time.Second))
	}
	if err == nil {
		err = run.Record(false)
	}
	if err != nil {
		return err
	}
	cpuEnd, err := s.cpu()
	if err != nil {
		return err
	}
	end, err := run.Read()
	if err != nil {
		return err
	}
	n := end.Delivered - begin.Delivered
	if n == 0 {
		return errors.New("nothing was delivered")
	}
	one.delivered = float64(n) / (end.At - begin.At).Seconds()
	one.server, one.load = (cpuEnd-cpuBegin)/time.Duration(n), (end.CPU-begin.CPU)/time.Duration(n)
	one.loadedRSS, err = s.RSS()
	return err
}

// pause lets the load go on for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func millionReport(o *options, rows []row[millionSample]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- medians over %d rounds, servers in turns, a new process each time; %d subscriptions of %d connections, 10 %% with wildcards (`*`, `>`, both)\n",
		o.rounds, o.subscriptions, millionSubscribers)
	b.WriteString("- SUB us: from the first SUB of a connection written to the PONG behind its last, one connection after another; slowest: of the one that took longest\n")
	b.WriteString("- B each: bytes a subscription, by RSS as it stands still, and by heap: live bytes after a collection; x: the ratio to nats-server\n")
	fmt.Fprintf(&b, "- then 2 publishers with random subjects, 1 or 2 deliveries a message, %d B, every delivery checked; server us, load us: CPU a delivery\n\n", millionSize)
	b.WriteString("| server | SUB us | x | slowest | SUB CPU us | RSS before | RSS after | B each | x | heap before | heap after | B each | x | delivered/s | x | server us | x |" +
		" load us | p50 | p99 | RSS loaded | failed rounds |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	var ref millionFigures
	for i, r := range rows {
		if r.server == harness.NATSReference {
			ref = figuresOf(o, rows[i].rounds)
		}
	}
	for _, r := range rows {
		f := figuresOf(o, r.rounds)
		name := r.server
		for _, one := range r.rounds {
			if !one.settled && !strings.HasSuffix(name, ")") {
				name += " (not settled)"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.1f MiB | %.1f MiB | %d | %s | %.1f MiB | %.1f MiB | %d | %s | %.0f | %s | %s | %s | %s | %s | %s | %.1f MiB | %d |\n",
			name, microText(f.subscribe), ratio(f.subscribe, ref.subscribe), microText(f.slowest), microText(f.subscribeCPU),
			mebibytes(f.before.rss), mebibytes(f.after.rss), f.rssEach, ratio(f.rssEach, ref.rssEach),
			mebibytes(f.before.heap), mebibytes(f.after.heap), f.heapEach, ratio(f.heapEach, ref.heapEach),
			f.delivered, ratio(f.delivered, ref.delivered), microText(f.server), ratio(f.server, ref.server), microText(f.load),
			harness.TimeText(f.p50), harness.TimeText(f.p99), mebibytes(f.loadedRSS), r.failed)
	}
	return b.String()
}

// millionFigures are the medians, each by itself.
type millionFigures struct {
	millionSample
	rssEach, heapEach int64 // bytes a subscription
}

func figuresOf(o *options, rounds []millionSample) (f millionFigures) {
	f.subscribe = harness.Median(rounds, func(s millionSample) time.Duration { return s.subscribe })
	f.slowest = harness.Median(rounds, func(s millionSample) time.Duration { return s.slowest })
	f.subscribeCPU = harness.Median(rounds, func(s millionSample) time.Duration { return s.subscribeCPU })
	f.before.rss = harness.Median(rounds, func(s millionSample) int64 { return s.before.rss })
	f.before.heap = harness.Median(rounds, func(s millionSample) int64 { return s.before.heap })
	f.after.rss = harness.Median(rounds, func(s millionSample) int64 { return s.after.rss })
	f.after.heap = harness.Median(rounds, func(s millionSample) int64 { return s.after.heap })
	f.delivered = harness.Median(rounds, func(s millionSample) float64 { return s.delivered })
	f.server = harness.Median(rounds, func(s millionSample) time.Duration { return s.server })
	f.load = harness.Median(rounds, func(s millionSample) time.Duration { return s.load })
	f.p50 = harness.Median(rounds, func(s millionSample) time.Duration { return s.p50 })
	f.p99 = harness.Median(rounds, func(s millionSample) time.Duration { return s.p99 })
	f.loadedRSS = harness.Median(rounds, func(s millionSample) int64 { return s.loadedRSS })
	f.rssEach = (f.after.rss - f.before.rss) / int64(o.subscriptions)
	f.heapEach = (f.after.heap - f.before.heap) / int64(o.subscriptions)
	return f
}
