package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
	"roundhouse/client/pubsub"
	"roundhouse/routing/subject"
)

// ownClient dials the router door with the Go client of this module.
type ownClient struct{}

// ownConn is a connection of that client, with callbacks on the goroutine that reads, and no option but what keeps it from hiding that it was
// lost.
type ownConn struct {
	ctx     context.Context // of what has no other: it never ends
	c       *pubsub.Conn
	fail    func(error)
	closing atomic.Bool
}

func startClient(ctx context.Context, _ *options, s *harness.NATSServer, scenario load.Scenario) (load.Player, error) {
	r, err := load.Start(ctx, ownClient{}, s.Router, scenario)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Name is the subject as the router names it.
func (ownClient) Name(nats string) string {
	name, err := subject.FromNATS(nil, []byte(nats), true)
	if err != nil {
		panic(fmt.Sprintf("BUG: router: subject %q: %v", nats, err))
	}
	return string(name)
}

// Dial connects.
func (ownClient) Dial(ctx context.Context, address string, fail func(error)) (load.Conn, error) {
	o := &ownConn{ctx: context.WithoutCancel(ctx), fail: fail}
	c, err := pubsub.Connect(ctx, pubsub.Options{
		Servers: []string{address}, NoReconnect: true, NoStandardSubjects: true, ReadTimeout: -1,
		Callbacks: pubsub.Callbacks{Closed: o.failed, Disconnect: o.failed, Error: o.failed},
	})
	if err != nil {
		return nil, err
	}
	o.c = c
	return o, nil
}

func (o *ownConn) failed(err error) {
	if !o.closing.Load() {
		o.fail(fmt.Errorf("pubsub: %w", err))
	}
}

// Subscribe subscribes to all patterns. Each message is a turn of its own: the client does not tell when it has no more.
func (o *ownConn) Subscribe(patterns []string, h load.Handler) error {
	var out load.Message
	var name, reply []byte
	take := func(m *pubsub.Msg) {
		name, reply = append(name[:0], m.Subject...), append(reply[:0], m.Reply...)
		out.Subject, out.Reply, out.Payload = name, reply, m.Data
		h.Message(&out)
		h.Turn()
	}
	for _, pattern := range patterns {
		if _, err := o.c.Subscribe(o.ctx, pattern, take, pubsub.Inline()); err != nil {
			return err
		}
	}
	return nil
}

// Publish publishes; the client writes soon.
func (o *ownConn) Publish(name, reply, payload []byte) {
	var err error
	if len(reply) > 0 {
		err = o.c.PublishMsg(o.ctx, &pubsub.Msg{Subject: string(name), Reply: string(reply), Data: payload})
	} else {
		err = o.c.Publish(o.ctx, string(name), payload)
	}
	if err != nil {
		o.failed(err)
	}
}

// Flush does nothing: the client flushes by itself.
func (o *ownConn) Flush() {}

// Sync asks the server whether it has everything.
func (o *ownConn) Sync(ctx context.Context) error { return o.c.Flush(ctx) }

// Close closes the connection.
func (o *ownConn) Close() {
	o.closing.Store(true)
	_ = o.c.Close() // nothing was left to be sent
}

// Publisher publishes one message after the other.
func (o *ownConn) Publisher(subjects []string, size int) (load.Publisher, error) {
	return &ownPublisher{conn: o, subjects: subjects, payload: load.NewPayload(size)}, nil
}

type ownPublisher struct {
	conn     *ownConn
	subjects []string
	payload  []byte
}

// Send publishes n messages; the client buffers and writes them.
func (p *ownPublisher) Send(now int64, first uint64, n int) error {
	for i := range uint64(n) {
		load.PutStamp(p.payload, now, first+i)
		if err := p.conn.c.Publish(p.conn.ctx, p.subjects[load.Count(first+i)%uint64(len(p.subjects))], p.payload); err != nil {
			return err
		}
	}
	return nil
}
