package load

import (
	"context"
	"fmt"
	"sync/atomic"

	"roundhouse/bench/harness"
)

// publisher sends as many messages as its window allows.
type publisher struct {
	run    *Run
	number int
	to     Publisher
	batch  int // messages
	window int64
	// expected returns how many deliveries the first n messages make to what received counts.
	expected func(n uint64) int64
	received func() int64
	// Any goroutine.
	sent    atomic.Int64 // messages, counted before they are written
	waiting atomic.Bool
	wake    chan struct{}
}

func newPublisher(r *Run, number int, to Publisher) *publisher {
	s := &r.scenario
	const overhead = 24 // bytes of a command around its payload, near enough
	p := &publisher{run: r, number: number, to: to, window: int64(s.Window), wake: make(chan struct{}, 1)}
	p.batch = max(1, min(batchBytes/(s.Size+overhead), s.Window/4))
	return p
}

// run publishes until the run stops.
func (p *publisher) loop() {
	next := uint64(0)
	for !p.run.stopping.Load() && p.run.err() == nil {
		if !p.room(next) {
			if !p.wait(next) {
				return
			}
			continue
		}
		p.sent.Store(int64(next) + int64(p.batch))
		if err := p.to.Send(clock(), Number(p.number, next), p.batch); err != nil {
			p.run.fail(fmt.Errorf("publisher %d: %w", p.number, err))
			return
		}
		next += uint64(p.batch)
	}
}

// room tells whether another batch fits in the window.
func (p *publisher) room(next uint64) bool {
	return p.expected(next+uint64(p.batch))-p.received() <= p.window
}

// half tells whether half the window is free: less is not worth a wake-up.
func (p *publisher) half(next uint64) bool {
	return p.expected(next)-p.received() <= p.window/2
}

// wait returns when half the window is free, or with false when the run stops.
func (p *publisher) wait(next uint64) bool {
	p.waiting.Store(true)
	defer p.waiting.Store(false)
	for !p.half(next) {
		select {
		case <-p.wake:
		case <-p.run.stop:
			return false
		}
	}
	return true
}

// arrived is called by subscribers after they have counted.
func (p *publisher) arrived() {
	if p.waiting.Load() && p.half(uint64(p.sent.Load())) {
		select {
		case p.wake <- struct{}{}:
		default: // it has been woken already
		}
	}
}

func (p *publisher) counts() (sent, delivered int64) { return p.sent.Load(), 0 }
func (p *publisher) missing() int64                  { return 0 }
func (p *publisher) latencies() *harness.Histogram   { return nil }

// subscriber takes the messages of one publisher, which have to come one after the other.
type subscriber struct {
	run  *Run
	from *publisher
	// Owned by the goroutine of its connection.
	next      uint64
	now       int64 // of this turn; 0: not read yet
	histogram harness.Histogram
	// Any goroutine.
	received atomic.Int64
}

// Message takes one message.
func (s *subscriber) Message(m *Message) {
	sent, publisher, count, err := stamp(m.Payload, s.run.payload)
	if err == nil && (publisher != s.from.number || count != s.next) {
		err = fmt.Errorf("load: message %d of publisher %d came, want %d of %d", count, publisher, s.next, s.from.number)
	}
	if err != nil {
		s.run.fail(err)
		return
	}
	s.next++
	if count%sampled == 0 {
		takeLatency(s.run, &s.histogram, &s.now, sent)
	}
}

// takeLatency records how long ago sent was, if latencies count. now is the time of this turn.
func takeLatency(r *Run, h *harness.Histogram, now *int64, sent int64) {
	if !r.recording.Load() {
		return
	}
	if *now == 0 {
		*now = clock()
	}
	h.Record(duration(*now - sent))
}

// Turn tells the publisher what has come.
func (s *subscriber) Turn() {
	s.now = 0
	s.received.Store(int64(s.next))
	s.from.arrived()
}

func (s *subscriber) counts() (sent, delivered int64) { return 0, s.received.Load() }
func (s *subscriber) missing() int64                  { return s.from.sent.Load() - s.received.Load() }
func (s *subscriber) latencies() *harness.Histogram   { return &s.histogram }

// startStream subscribes, then begins to publish.
func (r *Run) startStream(ctx context.Context, d Dialer, address string) error {
	var publishers []*publisher
	for i := range r.scenario.Publishers {
		subject := d.Name(fmt.Sprintf("bench.stream.%d", i))
		p := newPublisher(r, i, nil)
		var subscribers []*subscriber
		for range r.scenario.FanOut {
			s := &subscriber{run: r, from: p}
			subscribers = append(subscribers, s)
			r.parts = append(r.parts, s)
		}
		p.expected = func(n uint64) int64 { return int64(n) }
		p.received = func() int64 {
			least := subscribers[0].received.Load()
			for _, s := range subscribers[1:] {
				least = min(least, s.received.Load())
			}
			return least
		}
		for _, s := range subscribers {
			if err := r.subscribe(ctx, d, address, []string{subject}, s); err != nil {
				return err
			}
		}
		if err := r.prepare(ctx, d, address, p, []string{subject}); err != nil {
			return err
		}
		publishers = append(publishers, p)
	}
	r.publish(publishers)
	return nil
}

// prepare opens the connection of a publisher.
func (r *Run) prepare(ctx context.Context, d Dialer, address string, p *publisher, subjects []string) error {
	c, err := r.dial(ctx, d, address)
	if err != nil {
		return err
	}
	if err := c.Sync(ctx); err != nil {
		return err
	}
	p.to, err = c.Publisher(subjects, r.scenario.Size)
	r.parts = append(r.parts, p)
	return err
}

// publish sets the publishers going.
func (r *Run) publish(publishers []*publisher) {
	for _, p := range publishers {
		r.group.Go(p.loop) // ends when the run stops or fails; drain waits for it
	}
}
