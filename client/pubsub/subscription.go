package pubsub

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"roundhouse/codec/message"
)

// Bounds of a subscription's queue.
const (
	defaultQueueMsgs  = 65_536
	defaultQueueBytes = 64 << 20
	channelRoom       = 64 // messages; others wait in the queue
)

// Subscription gets what is published to the subjects that its name matches, until Unsubscribe or Drain, or the end of the connection.
// Its methods are safe for concurrent use.
type Subscription struct {
	// Fixed when it is made.
	conn     *Conn
	id       uint64
	pattern  string
	always   bool // takes no part in load balancing
	internal bool // of the package
	inline   func(*Msg)
	messages chan *Msg // nil: it has a callback
	maxMsgs  int64
	maxBytes int64

	queue   queue[*Msg]
	stopped chan struct{} // closed when the queue is to be thrown away

	// Any goroutine.
	waiting, waitingBytes atomic.Int64 // not handed over yet
	dropped, delivered    atomic.Uint64

	// Owned by the goroutine that reads.
	batch []*Msg // came, not in the queue yet
	slow  bool   // Callbacks.Error was told; it is not told again before the queue is half empty

	ended bool // guarded by Conn.mu
}

// SubscribeOption is a setting of one subscription.
type SubscribeOption func(*Subscription)

// NoBalancing makes the subscription get every message, also those that are for one of the subscribers only. For loggers and monitors.
// The server counts a client once: with several subscriptions to a subject, one of which has this option, all of them get every
// message.
func NoBalancing() SubscribeOption { return func(s *Subscription) { s.always = true } }

// Queue sets the bounds of what may wait for the callback or the channel: messages, default 65,536, and bytes, default 64 MiB; 0: the
// default. What comes when either is reached is dropped, counted by Dropped, and Callbacks.Error gets ErrSlow. A message too large for
// an empty queue is let in.
func Queue(msgs, bytes int) SubscribeOption {
	return func(s *Subscription) {
		if msgs > 0 {
			s.maxMsgs = int64(msgs)
		}
		if bytes > 0 {
			s.maxBytes = int64(bytes)
		}
	}
}

// Inline makes the callback run on the goroutine that reads the connection, without a queue: the quickest way. While it runs nothing
// else is read, so it must not block, and Flush, Request, Drain and Close must not be called in it. Channels have no such option.
func Inline() SubscribeOption {
	return func(s *Subscription) {
		if s.messages == nil {
			s.inline = s.queue.handle
		}
	}
}

// Key makes a subscription a value of a subject table.
func (s *Subscription) Key() uint64 { return s.id }

// Subject returns what was subscribed to, in its full form.
func (s *Subscription) Subject() string { return s.pattern }

// Messages returns the channel of a subscription that SubscribeChan made, otherwise nil. It is closed when the subscription has ended.
func (s *Subscription) Messages() <-chan *Msg { return s.messages }

// Next returns the next message of a subscription that SubscribeChan made. Errors: ErrClosed when it has ended, that of ctx.
func (s *Subscription) Next(ctx context.Context) (*Msg, error) {
	select {
	case m, ok := <-s.messages:
		if !ok {
			return nil, ErrClosed
		}
		return m, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Pending returns how many messages wait in the queue. Those in the channel of SubscribeChan are not counted.
func (s *Subscription) Pending() int {
	if s.queue.dropped.Load() {
		return 0
	}
	return int(s.waiting.Load())
}

// Dropped returns how many messages were dropped because the queue was full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Delivered returns how many messages were handed to the callback, or to the channel.
func (s *Subscription) Delivered() uint64 { return s.delivered.Load() }

// Subscribe calls f for each message that is published to a subject, one after another. name may have wildcards. f may block: messages
// wait meanwhile.
//
// That the server has the subscription can be known by Flush. Without a connection, it is made with the next one. A server that
// refuses it tells Callbacks.Error. ctx bounds the time that it may wait for room in the output. Errors: ErrClosed, that of ctx,
// subject.ErrName.
func (c *Conn) Subscribe(ctx context.Context, name string, f func(*Msg), options ...SubscribeOption) (*Subscription, error) {
	s := newSubscription(c, options, func(s *Subscription) { s.queue.handle = f })
	return s, c.start(ctx, name, s)
}

// SubscribeChan is Subscribe for a channel in place of a callback: see Subscription.Messages and Next.
func (c *Conn) SubscribeChan(ctx context.Context, name string, options ...SubscribeOption) (*Subscription, error) {
	s := newSubscription(c, options, func(s *Subscription) {
		s.messages = make(chan *Msg, channelRoom)
		s.queue.handle = func(m *Msg) {
			select {
			case s.messages <- m:
			case <-s.stopped:
			}
		}
		s.queue.finish = func() { close(s.messages) }
	})
	return s, c.start(ctx, name, s)
}

// newSubscription makes one that is not known to anybody. give says who gets its messages.
func newSubscription(c *Conn, options []SubscribeOption, give func(*Subscription)) *Subscription {
	s := &Subscription{
		conn: c, id: c.ids.Add(1), stopped: make(chan struct{}),
		maxMsgs: defaultQueueMsgs, maxBytes: defaultQueueBytes,
	}
	give(s)
	for _, option := range options {
		option(s)
	}
	if s.inline == nil {
		deliver := s.queue.handle
		s.queue.handle = func(m *Msg) {
			size := m.size()
			if m.Compressed {
				m.unpack(c.options.MaxMessage)
			}
			deliver(m)
			s.delivered.Add(1)
			s.waitingBytes.Add(-size)
			s.waiting.Add(-1)
		}
	}
	return s
}

// size is what a message counts in a queue, in bytes.
func (m *Msg) size() int64 { return int64(len(m.Fields) + len(m.Props) + len(m.Subject)) }

// offer takes a message that came. It runs on the goroutine that reads. first tells that the message is the first of a batch, so that
// flush has to be called.
func (s *Subscription) offer(m *Msg) (first bool) {
	if s.inline != nil {
		if s.queue.dropped.Load() {
			return false
		}
		s.delivered.Add(1)
		if m.Compressed {
			m.unpack(s.conn.options.MaxMessage)
		}
		s.inline(m)
		return false
	}
	size := m.size()
	msgs, bytes := s.waiting.Load(), s.waitingBytes.Load()
	if msgs >= s.maxMsgs || msgs > 0 && bytes+size > s.maxBytes {
		s.overflow(msgs, bytes)
		return false
	}
	if s.slow && msgs <= s.maxMsgs/2 && bytes <= s.maxBytes/2 {
		s.slow = false
	}
	s.waiting.Add(1)
	s.waitingBytes.Add(size)
	s.batch = append(s.batch, m)
	return len(s.batch) == 1
}

func (s *Subscription) overflow(msgs, bytes int64) {
	s.dropped.Add(1)
	s.conn.stats.dropped.Add(1)
	if s.slow {
		return
	}
	s.slow = true
	s.conn.events.report(fmt.Errorf("%w: %s: %d messages of %d bytes wait, at most %d of %d may", ErrSlow, s.pattern, msgs, bytes, s.maxMsgs, s.maxBytes))
}

// flush puts the batch into the queue.
func (s *Subscription) flush() {
	s.queue.push(s.batch...)
	clear(s.batch)
	s.batch = s.batch[:0]
}

// stop ends what the subscription does on this side. drop throws away what waits.
func (s *Subscription) stop(drop bool) {
	if drop && !s.queue.dropped.Swap(true) {
		close(s.stopped)
	}
	s.queue.end(drop)
}

// group is what the server knows as one subscription: all of a connection that have the same name.
type group struct {
	members []*Subscription
	implied bool // the server makes it without being told
	told    bool // the server knows of it
	always  bool // what the server was told
}

func (g *group) wantsAll() bool {
	return slices.ContainsFunc(g.members, func(s *Subscription) bool { return s.always })
}

// start makes a subscription known.
func (c *Conn) start(ctx context.Context, name string, s *Subscription) error {
	if err := c.lockFor(ctx, 0); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if c.draining && !s.internal {
		return ErrClosed
	}
	pattern, err := c.out.canonical(name)
	if err != nil {
		return err
	}
	g := c.groups[string(pattern)]
	if g == nil {
		s.pattern = string(pattern)
		g = &group{}
		c.groups[s.pattern] = g
	} else if len(g.members) > 0 {
		s.pattern = g.members[0].pattern
	} else {
		s.pattern = string(pattern)
	}
	g.members = append(g.members, s)
	c.table.Add(s.pattern, s)
	c.out.tell(s.pattern, g)
	return nil
}

// Unsubscribe ends the subscription. Messages that wait are thrown away; a callback that runs goes on to its end. Errors: ErrClosed
// when it has ended before.
func (s *Subscription) Unsubscribe() error {
	err := s.leave()
	s.unlist()
	s.stop(true)
	return err
}

// Drain ends the subscription, lets everything be handled that the server has sent by then, and returns when that is done. Errors:
// ErrClosed, that of ctx, ErrDisconnected; then what waits is thrown away. A callback must not call it for its own subscription.
func (s *Subscription) Drain(ctx context.Context) error {
	err := s.leave()
	if err == nil {
		err = s.conn.settle(ctx)
	}
	s.unlist()
	if err == nil {
		s.stop(false)
		err = s.queue.drain(ctx)
	}
	s.stop(true)
	return err
}

// leave tells the server that the subscription ends. What comes meanwhile is still for it.
func (s *Subscription) leave() error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	s.ended = true
	g := c.groups[s.pattern]
	g.members = slices.DeleteFunc(g.members, func(member *Subscription) bool { return member == s })
	c.out.tell(s.pattern, g)
	if len(g.members) == 0 && !g.implied {
		delete(c.groups, s.pattern)
	}
	return nil
}

// unlist takes the subscription out of the table: what comes is not for it any more.
func (s *Subscription) unlist() {
	s.conn.mu.Lock()
	s.conn.table.Remove(s.pattern, s)
	s.conn.mu.Unlock()
}

// tell tells the server what has changed about a group, if there is a server; otherwise the next one is told everything.
func (o *output) tell(pattern string, g *group) {
	start, always := len(g.members) > 0, g.wantsAll()
	if o.link == nil || g.implied && !always || start == g.told && (always == g.always || !start) {
		return
	}
	set := message.SetSubscribe{Subject: []byte(pattern), Start: start, Balance: !always}
	if start { // a batch of one: other than a single one, it is answered, so that a refusal is known
		o.append(func(dst []byte) []byte { return message.AppendBatchSubscribe(dst, []message.SetSubscribe{set}) })
	} else {
		o.append(func(dst []byte) []byte { return message.AppendSetSubscribe(dst, &set) })
	}
	g.told, g.always = start, always
}

// batchSize is how many subscriptions are made by one message.
const batchSize = 500

// tellAll tells a new server of every group.
func (o *output) tellAll(groups map[string]*group) {
	batch := make([]message.SetSubscribe, 0, min(batchSize, len(groups)))
	send := func() {
		if len(batch) > 0 {
			o.append(func(dst []byte) []byte { return message.AppendBatchSubscribe(dst, batch) })
			batch = batch[:0]
		}
	}
	for pattern, g := range groups {
		g.told, g.always = len(g.members) > 0, g.wantsAll()
		if !g.told || g.implied && !g.always {
			continue
		}
		if batch = append(batch, message.SetSubscribe{Subject: []byte(pattern), Start: true, Balance: !g.always}); len(batch) == batchSize {
			send()
		}
	}
	send()
}
