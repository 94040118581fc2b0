package pubsub

import (
	"bytes"
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
)

// inbox is the subject below which the answers to requests come: each request has a component of its own there.
type inbox struct {
	// Fixed at Connect.
	conn   *Conn
	prefix []byte // with a slash at the end

	// Guarded by mu, which is never held together with Conn.mu.
	mu     sync.Mutex
	asking map[uint64]chan *Msg // each has room for one; nil: no request was made, and there is no subscription
	last   uint64
	free   []chan *Msg // at most maxFree
}

const maxFree = 64

// numberBase makes the components short.
const numberBase = 36

func newInbox(c *Conn) inbox {
	return inbox{conn: c, prefix: []byte("/_INBOX/" + strings.ToLower(rand.Text()[:22]) + "/")}
}

// Request publishes data with a subject for the answer and returns the first one. It ends with ctx at the latest: the context should
// have a deadline. When the connection is lost meanwhile, it waits on: the answer may come over the next one, and may never come.
//
// Errors: those of Publish, ErrNoResponders, ErrClosed, that of ctx.
func (c *Conn) Request(ctx context.Context, name string, data []byte) (*Msg, error) {
	return c.RequestMsg(ctx, &Msg{Subject: name, Data: data})
}

// RequestMsg is Request for a message with more to it. Its Reply is replaced; m is not changed.
func (c *Conn) RequestMsg(ctx context.Context, m *Msg) (*Msg, error) {
	if err := c.inbox.open(ctx); err != nil {
		return nil, err
	}
	question := *m
	id, answer := c.inbox.ask()
	defer c.inbox.forget(id, answer)
	reply := make([]byte, 0, len(c.inbox.prefix)+13)
	question.Reply = string(strconv.AppendUint(append(reply, c.inbox.prefix...), id, numberBase))
	if err := c.PublishMsg(ctx, &question); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		if bytes.HasPrefix(a.Header, []byte("NATS/1.0 503")) && len(a.Data) == 0 {
			return nil, ErrNoResponders
		}
		return a, nil
	case <-c.over:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// open subscribes to the answers, before the first question.
func (b *inbox) open(ctx context.Context) error {
	b.mu.Lock()
	open := b.asking != nil
	b.mu.Unlock()
	if open {
		return nil
	}
	s := newInternal(b.conn, b.deliver)
	if err := b.conn.start(ctx, string(b.prefix)+"*", s); err != nil {
		return err
	}
	b.mu.Lock()
	first := b.asking == nil
	if first {
		b.asking = map[uint64]chan *Msg{}
	}
	b.mu.Unlock()
	if !first { // another request was quicker
		_ = s.Unsubscribe() // fails on a closed connection only
	}
	return nil
}

// deliver gives an answer to who waits for it. It runs on the goroutine that reads.
func (b *inbox) deliver(m *Msg) {
	id, err := strconv.ParseUint(m.Subject[min(len(b.prefix), len(m.Subject)):], numberBase, 64)
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := b.asking[id]
	if err != nil || answer == nil {
		b.conn.stats.unmatched.Add(1)
		return
	}
	delete(b.asking, id) // the first one counts
	answer <- m
}

// ask makes a number for a request, and a channel for its answer.
func (b *inbox) ask() (uint64, chan *Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	var answer chan *Msg
	if n := len(b.free); n > 0 {
		answer, b.free = b.free[n-1], b.free[:n-1]
	} else {
		answer = make(chan *Msg, 1)
	}
	b.asking[b.last] = answer
	return b.last, answer
}

// forget ends a request: an answer that comes later is dropped.
func (b *inbox) forget(id uint64, answer chan *Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.asking, id)
	select {
	case <-answer: // came too late
	default:
	}
	if len(b.free) < maxFree {
		b.free = append(b.free, answer)
	}
}
