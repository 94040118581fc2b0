package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"roundhouse/bench/router/load"
)

const (
	// pending is how many messages a subscription may hold back: more than any window, so that the library drops none.
	pending = 1 << 18
	// turn is how many messages make a turn at most.
	turn = 512
)

// library dials with nats.go.
type library struct{}

// conn is a connection of nats.go, which has no option but those that keep it from hiding that it was lost.
type conn struct {
	nc      *nats.Conn
	fail    func(error)
	closing atomic.Bool
	stop    chan struct{} // closed by Close
}

// Name returns what it is given.
func (library) Name(nats string) string { return nats }

// Dial connects.
func (library) Dial(_ context.Context, address string, fail func(error)) (load.Conn, error) {
	c := &conn{fail: fail, stop: make(chan struct{})}
	nc, err := nats.Connect("nats://"+address, nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.failed(err) }),
		nats.ClosedHandler(func(nc *nats.Conn) { c.failed(errors.Join(errors.New("connection lost"), nc.LastError())) }))
	c.nc = nc
	return c, err
}

func (c *conn) failed(err error) {
	if !c.closing.Load() {
		c.fail(fmt.Errorf("nats.go: %w", err))
	}
}

// Subscribe subscribes to all patterns with one channel.
func (c *conn) Subscribe(patterns []string, h load.Handler) error {
	messages := make(chan *nats.Msg, pending)
	for _, pattern := range patterns {
		if _, err := c.nc.ChanSubscribe(pattern, messages); err != nil {
			return err
		}
	}
	go c.hand(messages, h) // ends when the connection is closed
	return nil
}

// hand gives what comes to h.
func (c *conn) hand(messages <-chan *nats.Msg, h load.Handler) {
	var out load.Message
	var reply []byte
	var subject []byte
	for {
		var m *nats.Msg
		select {
		case m = <-messages:
		case <-c.stop:
			return
		}
		for n := 1; ; n++ {
			subject, reply = append(subject[:0], m.Subject...), append(reply[:0], m.Reply...)
			out.Subject, out.Reply, out.Payload = subject, reply, m.Data
			h.Message(&out)
			if n == turn || len(messages) == 0 {
				break
			}
			m = <-messages
		}
		h.Turn()
	}
}

// Publish publishes; the library writes soon.
func (c *conn) Publish(subject, reply, payload []byte) {
	var err error
	if len(reply) > 0 {
		err = c.nc.PublishRequest(string(subject), string(reply), payload)
	} else {
		err = c.nc.Publish(string(subject), payload)
	}
	if err != nil {
		c.failed(err)
	}
}

// Flush does nothing: the library flushes by itself.
func (c *conn) Flush() {}

// Sync is a PING and its PONG.
func (c *conn) Sync(ctx context.Context) error { return c.nc.FlushWithContext(ctx) }

// Publisher publishes one message after the other.
func (c *conn) Publisher(subjects []string, size int) (load.Publisher, error) {
	return &publisher{nc: c.nc, subjects: subjects, payload: load.NewPayload(size)}, nil
}

// Close closes the connection.
func (c *conn) Close() {
	c.closing.Store(true)
	c.nc.Close()
	close(c.stop)
}

type publisher struct {
	nc       *nats.Conn
	subjects []string
	payload  []byte
}

// Send publishes n messages; the library buffers and writes them.
func (p *publisher) Send(now int64, first uint64, n int) error {
	for i := range uint64(n) {
		load.PutStamp(p.payload, now, first+i)
		subject := p.subjects[load.Count(first+i)%uint64(len(p.subjects))]
		if err := p.nc.Publish(subject, p.payload); err != nil {
			return err
		}
	}
	return nil
}
