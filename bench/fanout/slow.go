package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

const (
	slowSubject = "bench.fanout"
	// pollers is how many goroutines read.
	pollers = 2
	// drainLimit is how long what is on its way may take to arrive at the end.
	drainLimit = 20 * time.Second
)

// crowd is a publisher and the subscribers of its subject, one of which becomes slow.
type crowd struct {
	o        *options
	server   *server
	protocol protocol
	began    time.Time
	payload  []byte
	pollers  []*poller
	slow     *subscriber
	pub      socket
	group    sync.WaitGroup // of the publisher
	// Any goroutine.
	phase    atomic.Uint32
	sent     atomic.Int64
	received atomic.Int64 // by all but the slow one
	quit     chan struct{}
	mu       sync.Mutex
	first    error // what went wrong first; guarded by mu
}

// openCrowd connects everybody and begins to publish.
func openCrowd(o *options, s *server, p protocol) (*crowd, error) {
	c := &crowd{o: o, server: s, protocol: p, began: time.Now(), payload: load.NewPayload(o.size), quit: make(chan struct{}), pub: -1}
	if err := c.open(); err != nil {
		c.end(false)
		return nil, errors.Join(err, s.ended())
	}
	for _, p := range c.pollers {
		go p.run() // ends when it is closed; that waits for it
	}
	c.group.Go(c.publish) // ends with quit or an error; waited for in stop
	return c, nil
}

func (c *crowd) open() error {
	for range pollers {
		p, err := newPoller(c.protocol, c.began, c.payload, &c.received, c.fail)
		if err != nil {
			return err
		}
		c.pollers = append(c.pollers, p)
	}
	address := c.server.address(c.protocol)
	for i := range c.o.subscribers {
		socket, rest, err := enterSocket(address, c.protocol, i, slowSubject)
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
		s := &subscriber{socket: socket, number: i, carry: rest}
		p := c.pollers[i%pollers]
		if i == 0 {
			c.slow, p.slow = s, 0
		}
		if err := p.add(s); err != nil {
			return err
		}
	}
	var err error
	c.pub, _, err = enterSocket(address, c.protocol, c.o.subscribers)
	return err
}

// enterSocket connects client number i, the first of which will be slow. rest is what came behind the answer.
func enterSocket(address string, p protocol, i int, subjects ...string) (s socket, rest []byte, err error) {
	if s, err = openSocket(address, i == 0); err != nil {
		return -1, nil, err
	}
	in := newStream(p, s)
	if err := in.enter(i, subjects...); err != nil {
		s.close()
		return -1, nil, err
	}
	return s, append([]byte(nil), in.rest()...), nil
}

// fail notes what went wrong. Any goroutine may call it.
func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

func (c *crowd) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// publish sends at the rate. A message has the time in its stamp at which it was due: when the server makes the publisher wait, that
// counts, too.
func (c *crowd) publish() {
	payload := append([]byte(nil), c.payload...)
	gap := time.Second / time.Duration(c.o.rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out []byte
	for due := time.Since(c.began); c.err() == nil; due += gap {
		timer.Reset(due - time.Since(c.began))
		select {
		case <-c.quit:
			return
		case <-timer.C:
		}
		n := c.sent.Load()
		load.PutStamp(payload, int64(due), uint64(n))
		payload[phaseAt] = byte(c.phase.Load())
		out = c.protocol.publish(out[:0], slowSubject, payload)
		c.sent.Add(1)
		if _, err := c.pub.Write(out); err != nil {
			c.fail(fmt.Errorf("publisher: %w", err))
			return
		}
	}
}

// pause lets everything go on for d.
func (c *crowd) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return errors.Join(c.err(), c.server.ended())
	}
}

// block makes the slow one stop reading.
func (c *crowd) block(ctx context.Context) error {
	c.phase.Store(uint32(phaseBlocked))
	p := c.pollers[0]
	p.hold.Store(true)
	select {
	case <-p.held:
		return nil
	case <-p.ended:
		return c.err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lastWords is what the slow one still reads once it reads again.
type lastWords struct {
	messages int
	bytes    int
	reason   string // what the server says
	end      string // how the connection ended
}

// listen reads what is left for the slow one. Its messages have to be those that come next.
func (c *crowd) listen() (w lastWords, err error) {
	s := c.slow
	if err := s.socket.blocking(true); err != nil {
		return w, err
	}
	counted := &countingConn{ReadWriter: s.socket}
	in := newStream(c.protocol, counted)
	in.buf = append(in.buf[:0], s.carry...)
	in.end = len(in.buf)
	in.buf = append(in.buf, make([]byte, 64<<10)...)
	var e event
	for {
		if err := in.next(&e); err != nil {
			w.bytes, w.end = counted.n, err.Error()
			return w, nil
		}
		switch e.kind {
		case eventMessage:
			if _, _, err := s.check(e.payload, c.payload[phaseAt+1:]); err != nil {
				return w, fmt.Errorf("slow subscriber: %w", err)
			}
			w.messages++
		case eventEnd:
			w.reason = e.text
		}
	}
}

// countingConn counts what is read.
type countingConn struct {
	io.ReadWriter
	n int
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.ReadWriter.Read(b)
	c.n += n
	return n, err
}

// stop publishes no more, waits for what is on its way, and tells what the others have lost.
func (c *crowd) stop(ctx context.Context) error {
	close(c.quit)
	c.group.Wait()
	want := c.sent.Load() * int64(c.o.subscribers-1)
	err := harness.WaitFor(ctx, drainLimit, "arrival of all messages", func() error {
		if c.err() != nil {
			return nil // nothing more is to be waited for
		}
		if err := c.server.ended(); err != nil {
			return err
		}
		if got := c.received.Load(); got != want {
			return fmt.Errorf("%d of %d: %d were LOST", got, want, want-got)
		}
		return nil
	})
	return errors.Join(err, c.err())
}

// end closes all connections. running says whether the pollers run.
func (c *crowd) end(running bool) {
	for _, p := range c.pollers {
		p.close(running)
	}
	if c.pub >= 0 {
		c.pub.close()
	}
}

// latencies returns those of messages that were published in a phase.
func (c *crowd) latencies(in phase) *harness.Histogram {
	all := &harness.Histogram{}
	for _, p := range c.pollers {
		all.Merge(&p.histograms[in])
	}
	return all
}
