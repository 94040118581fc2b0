package pubsub

import (
	"context"
	"errors"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

const maxFrame = frame.MaxSize

// Flush returns when the server has handled everything that was published, subscribed and unsubscribed before. Without a connection it
// waits for one. Errors: ErrClosed; ErrDisconnected, after which nobody knows what the server has handled; that of ctx.
func (c *Conn) Flush(ctx context.Context) error {
	for {
		waits, err := c.ask(ctx)
		if err != nil {
			return err
		}
		if waits == nil {
			continue // the connection was lost meanwhile
		}
		select {
		case err := <-waits:
			if err != nil && errors.Is(context.Cause(c.life), ErrClosed) {
				return ErrClosed
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask waits for a connection and asks the server for a sign of life; nil: the connection is gone again.
func (c *Conn) ask(ctx context.Context) (chan error, error) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
	case <-c.life.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := c.lockFor(ctx, 0); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if c.out.link == nil {
		return nil, nil
	}
	waits := make(chan error, 1)
	c.out.ask(waits)
	return waits, nil
}

// settle waits until the server has sent what it had for subscriptions that have ended. It asks twice: while the first answer is on
// its way, messages may still be passed from one part of the server to another.
func (c *Conn) settle(ctx context.Context) error {
	if err := c.Flush(ctx); err != nil {
		return err
	}
	return c.Flush(ctx)
}

// Drain ends the connection and loses nothing: it ends all subscriptions, lets everything be handled that the server has sent by then,
// sends what was published meanwhile, by callbacks too, and closes. When it fails, the connection is closed at once. A callback must
// not call it. Errors: ErrClosed, ErrDisconnected, that of ctx.
func (c *Conn) Drain(ctx context.Context) error {
	c.mu.Lock()
	if c.closing || c.draining {
		c.mu.Unlock()
		return ErrClosed
	}
	c.draining = true
	var all []*Subscription
	for pattern, g := range c.groups {
		if pattern == string(c.inbox.prefix)+"*" {
			continue // callbacks may make requests
		}
		all = append(all, g.members...)
		if !g.implied && c.out.link != nil {
			c.out.append(func(dst []byte) []byte {
				return message.AppendSetSubscribe(dst, &message.SetSubscribe{Subject: []byte(pattern)})
			})
		}
	}
	c.mu.Unlock()
	err := c.settle(ctx)
	for _, s := range all {
		if err == nil {
			s.unlist()
			s.queue.end(false)
			err = s.queue.drain(ctx)
		}
	}
	if err == nil {
		err = c.Flush(ctx)
	}
	return errors.Join(err, c.Close())
}

// members returns all subscriptions.
func members(groups map[string]*group) []*Subscription {
	var all []*Subscription
	for _, g := range groups {
		all = append(all, g.members...)
	}
	return all
}

// Close ends the connection. What was published is sent, if the server takes it within two seconds; what waits in queues is thrown
// away, and no callback is called after those that run, but Callbacks.Closed. An Inline callback must not call it. The error is always
// nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	l := c.out.link
	if first && l != nil {
		c.out.append(func(dst []byte) []byte { return message.AppendDisconnect(dst, disconnectMode) })
		l.leaving = true
	}
	all := members(c.groups)
	c.out.freed()
	c.cancel(ErrClosed) // before the farewell can go: that the server then closes must not be taken for a loss
	c.mu.Unlock()
	for _, s := range all {
		s.stop(true)
	}
	if l != nil {
		late := time.AfterFunc(closeTimeout, func() { l.fail(ErrClosed) })
		defer late.Stop()
	}
	<-c.over
	return nil
}
