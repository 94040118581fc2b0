package pubsub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"roundhouse/codec/message"
)

// run reads, and looks for another server when one is lost, until the Conn ends.
func (c *Conn) run(l *link) {
	var err error
	for {
		err = l.lost(l.serve())
		c.detach(l, err)
		if c.life.Err() != nil {
			err = context.Cause(c.life)
			break
		}
		if f := c.options.Callbacks.Disconnect; f != nil {
			lost := err
			c.events.tell(func() { f(lost) })
		}
		if c.options.NoReconnect {
			break
		}
		if l, err = c.reconnect(); err != nil {
			break
		}
		if err = c.attach(l); err != nil {
			break
		}
		c.stats.reconnects.Add(1)
		if f := c.options.Callbacks.Reconnect; f != nil {
			server := l.server
			c.events.tell(func() { f(server) })
		}
	}
	c.bury(err)
}

// bury ends everything that is left when there will be no connection any more.
func (c *Conn) bury(err error) {
	c.mu.Lock()
	c.closing = true
	c.cancel(err)
	c.out.freed()
	c.out.pending, c.out.spare = nil, nil
	all := members(c.groups)
	c.mu.Unlock()
	for _, s := range all {
		s.stop(false)
	}
	if f := c.options.Callbacks.Closed; f != nil {
		if errors.Is(err, ErrClosed) {
			err = nil
		}
		c.events.push(func() { f(err) })
	}
	c.events.end(false)
	close(c.over)
}

// serve reads what one server sends until the link ends, and returns why.
func (l *link) serve() error {
	c := l.conn
	c.in.last = nil
	quiet := silence{ask: c.options.ReadTimeout, giveUp: c.options.KeepAliveTimeout}
	for {
		for {
			payload, ok, err := l.in.next()
			if err == nil && ok {
				err = l.handle(payload)
			}
			if err != nil {
				c.in.flush()
				return err
			}
			if !ok {
				break
			}
		}
		c.in.flush()
		quiet.arm(l.nc)
		err := l.in.fill(l.nc)
		switch {
		case err == nil:
			quiet.heard()
		case errors.Is(err, os.ErrDeadlineExceeded) && !quiet.asked:
			quiet.asked = true
			c.mu.Lock()
			c.out.ask(nil)
			c.mu.Unlock()
		default:
			return err
		}
	}
}

// lost is why a link has ended: what somebody knew before counts more than what reading says.
func (l *link) lost(err error) error {
	if known := l.why(); known != nil {
		err = known
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: server %s: no sign of life", ErrDisconnected, l.server)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: server %s has closed it", ErrDisconnected, l.server)
	}
	return fmt.Errorf("%w: server %s: %w", ErrDisconnected, l.server, err)
}

// silence watches over the time in which nothing comes.
type silence struct {
	ask, giveUp time.Duration // negative: never
	asked       bool
	armed       time.Time // when the deadline was set; zero: it is to be set
	waits       bool      // for the answer
}

// arm sets the deadline for reading. It does so not more often than is needed: it may be early by an eighth.
func (s *silence) arm(nc net.Conn) {
	if s.ask <= 0 || s.asked && s.waits {
		return
	}
	now := time.Now()
	wait := s.ask
	switch {
	case s.asked:
		s.waits, wait = true, s.giveUp
	case !s.armed.IsZero() && now.Sub(s.armed) < s.ask/8:
		return
	}
	s.armed = now
	until := now.Add(wait)
	if wait <= 0 {
		until = time.Time{} // for ever
	}
	_ = nc.SetReadDeadline(until) // fails on a closed connection only
}

// heard notes a sign of life.
func (s *silence) heard() {
	if s.asked {
		s.asked, s.waits, s.armed = false, false, time.Time{}
	}
}

// attach makes l the connection, unless the Conn was closed meanwhile: everything is subscribed, then what has waited is sent.
func (c *Conn) attach(l *link) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		l.fail(ErrClosed)
		return ErrClosed
	}
	waited := c.out.pending
	c.out.pending, c.out.spare = nil, nil
	l.conn, c.out.link = c, l
	if c.out.maxMessage = l.welcome.MaxMessageSize; c.out.maxMessage <= 0 {
		c.out.maxMessage = maxFrame
	}
	c.out.maxMessage = min(c.out.maxMessage, maxFrame)
	c.dialer.hello.LastServer = l.welcome.Server
	c.out.asleep = false
	c.out.tellAll(c.groups)
	c.out.pending = append(c.out.pending, waited...)
	close(c.up)
	go l.send() // ends with the link; detach waits for it
	return nil
}

// detach takes a link away that has ended for the reason err. What was published and not sent is kept.
func (c *Conn) detach(l *link, err error) {
	l.fail(err)
	<-l.written
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := appendPublished(nil, l.unsent)
	c.out.pending = appendPublished(kept, c.out.pending)
	c.out.spare = nil
	c.out.link = nil
	c.up = make(chan struct{})
	for _, waits := range l.asked {
		if waits != nil {
			waits <- err
		}
	}
	l.asked = nil
	if c.stopResult != nil {
		c.stopResult <- err
		c.stopResult = nil
	}
	c.out.freed()
}

// firstDelay is the longest wait before the second round; it doubles with each, up to Options.MaxReconnectDelay.
const firstDelay = 500 * time.Millisecond

// reconnect looks for a server until there is one or the Conn ends. The first round is made at once; the waits before the others are
// random, so that not all clients of a server that comes back arrive together.
func (c *Conn) reconnect() (*link, error) {
	for longest := firstDelay; ; longest *= 2 {
		l, err := c.dialer.round(c.life)
		if err == nil {
			return l, nil
		}
		if c.life.Err() != nil {
			return nil, context.Cause(c.life)
		}
		c.events.report(fmt.Errorf("pubsub: no server could be reached: %w", err))
		longest = min(longest, max(c.options.MaxReconnectDelay, 0))
		wait := time.NewTimer(rand.N(longest + 1))
		select {
		case <-wait.C:
		case <-c.life.Done():
			wait.Stop()
			return nil, context.Cause(c.life)
		}
	}
}

// answered handles a sign of life. The server gives them in the order in which it was asked.
func (l *link) answered() {
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(l.asked) == 0 {
		return // nobody has asked: a sign of life all the same
	}
	waits := l.asked[0]
	l.asked[0] = nil
	if l.asked = l.asked[1:]; waits != nil {
		waits <- nil
	}
}

// refused tells the caller of subscriptions that the server does not make.
func (l *link) refused(m *message.Message) error {
	results, err := message.ParseBatchResult(nil, m)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Code != message.CodeOK && !l.conn.isStandard(string(r.Subject)) {
			l.conn.events.report(fmt.Errorf("pubsub: no subscription to %s: %w", r.Subject, &ServerError{Code: r.Code}))
		}
	}
	return nil
}

// isStandard tells the names to which nobody has subscribed but the package itself: who may not have them does without.
func (c *Conn) isStandard(name string) bool {
	return name == "/_all" || name == "/_"+c.dialer.hello.Node
}
