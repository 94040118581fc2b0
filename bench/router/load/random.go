package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"roundhouse/bench/harness"
)

// ringLen is how many random subjects a publisher goes through before it begins anew.
const ringLen = 1 << 17

// duration is for readability.
func duration(ns int64) time.Duration { return time.Duration(ns) }

// randomSubject returns subject number i: s.A.B.C, with ten subjects for each A.B.
func randomSubject(i int) string {
	return fmt.Sprintf("s.%d.%d.%d", i/1000, i/10%100, i%10)
}

// randomPattern returns subscription number i. Nine in ten are subject number i. The tenth has wildcards, of four sorts in turn, and
// matches ten subjects: those that begin as it does, and its own would be the first of them.
func randomPattern(i int) string {
	if i%10 != 0 {
		return randomSubject(i)
	}
	a, b := i/1000, i/10%100
	switch i / 10 % 4 {
	case 0:
		return fmt.Sprintf("s.%d.%d.*", a, b)
	case 1:
		return fmt.Sprintf("s.%d.%d.>", a, b)
	case 2:
		return fmt.Sprintf("*.%d.%d.*", a, b)
	default:
		return fmt.Sprintf("*.%d.%d.>", a, b)
	}
}

// randomDeliveries returns how many of the subscriptions match subject number i.
func randomDeliveries(i int) int64 {
	if i%10 == 0 {
		return 1
	}
	return 2
}

// ring is the subjects of one publisher, and how many deliveries its first n messages make.
type ring struct {
	subjects []string
	sums     []int64 // sums[i]: deliveries of the first i
}

func newRing(publisher, subscriptions int, name func(string) string) *ring {
	random := rand.New(rand.NewPCG(1, uint64(publisher))) // the same in every run, for every server
	g := &ring{sums: make([]int64, 1, ringLen+1)}
	for range ringLen {
		i := random.IntN(subscriptions)
		g.subjects = append(g.subjects, name(randomSubject(i)))
		g.sums = append(g.sums, g.sums[len(g.sums)-1]+randomDeliveries(i))
	}
	return g
}

func (g *ring) deliveries(n uint64) int64 {
	return int64(n/ringLen)*g.sums[ringLen] + g.sums[n%ringLen]
}

// collector is a connection with many subscriptions. Messages of one publisher come in order; one may come several times.
type collector struct {
	run  *Run
	from []*publisher
	// Owned by the goroutine of its connection; by publisher.
	last      []uint64
	got       []int64
	now       int64
	histogram harness.Histogram
	// Any goroutine.
	received []atomic.Int64
}

// Message takes one message.
func (c *collector) Message(m *Message) {
	sent, publisher, count, err := stamp(m.Payload, c.run.payload)
	if err == nil && publisher >= len(c.last) {
		err = fmt.Errorf("load: a message of publisher %d came", publisher)
	}
	if err == nil && count < c.last[publisher] {
		err = fmt.Errorf("load: message %d of publisher %d came after %d", count, publisher, c.last[publisher])
	}
	if err != nil {
		c.run.fail(err)
		return
	}
	c.last[publisher] = count
	c.got[publisher]++
	if count%sampled == 0 {
		takeLatency(c.run, &c.histogram, &c.now, sent)
	}
}

// Turn tells the publishers what has come.
func (c *collector) Turn() {
	c.now = 0
	for i, p := range c.from {
		c.received[i].Store(c.got[i])
		p.arrived()
	}
}

func (c *collector) counts() (sent, delivered int64) {
	for i := range c.received {
		delivered += c.received[i].Load()
	}
	return 0, delivered
}

func (c *collector) missing() int64                { return 0 }
func (c *collector) latencies() *harness.Histogram { return &c.histogram }

// randomPublisher is a publisher that knows what is missing: its messages go to all collectors.
type randomPublisher struct{ *publisher }

func (p randomPublisher) missing() int64 { return p.expected(uint64(p.sent.Load())) - p.received() }

// startRandom subscribes, then begins to publish.
func (r *Run) startRandom(ctx context.Context, d Dialer, address string) error {
	s := &r.scenario
	publishers := make([]*publisher, s.Publishers)
	for i := range publishers {
		publishers[i] = newPublisher(r, i, nil)
	}
	collectors := make([]*collector, s.Subscribers)
	for i := range collectors {
		c := &collector{run: r, from: publishers, last: make([]uint64, s.Publishers), got: make([]int64, s.Publishers)}
		c.received = make([]atomic.Int64, s.Publishers)
		collectors[i] = c
		r.parts = append(r.parts, c)
	}
	patterns := make([][]string, s.Subscribers)
	for i := range s.Subscriptions {
		to := (i + i/10) % s.Subscribers // neighbours, and those with wildcards, are spread
		patterns[to] = append(patterns[to], d.Name(randomPattern(i)))
	}
	for i, p := range publishers {
		g := newRing(i, s.Subscriptions, d.Name)
		p.expected = g.deliveries
		p.received = func() (n int64) {
			for _, c := range collectors {
				n += c.received[i].Load()
			}
			return n
		}
		if err := r.prepare(ctx, d, address, p, g.subjects); err != nil {
			return err
		}
		r.parts[len(r.parts)-1] = randomPublisher{p}
	}
	for i, c := range collectors {
		if err := r.subscribe(ctx, d, address, patterns[i], c); err != nil {
			return err
		}
	}
	r.publish(publishers)
	return nil
}
