package client

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const defaultPoolSize = 8

// PoolOptions are the settings of a pool.
type PoolOptions struct {
	Options
	Credentials Credentials   // every connection logs in with them
	Max         int           // the most connections; 0: 8. Whoever wants one more waits
	MaxIdle     int           // the most connections kept for later; 0: Max, negative: none
	IdleTime    time.Duration // a connection unused for longer is closed when the pool is next used; 0: never
}

// Pool keeps connections to one server with one login. It is safe for concurrent use.
type Pool struct {
	// Fixed at the start.
	addr    string
	options PoolOptions
	slots   chan struct{} // one for each connection that is lent; its capacity is Max
	closed  chan struct{} // closed by Close

	// Guarded by mu, which is never held during I/O.
	mu    sync.Mutex
	ended bool
	idle  []idleConn // the one used last is at the end; at most MaxIdle
	lent  map[*Conn]struct{}
}

type idleConn struct {
	conn  *Conn
	since time.Time
}

// NewPool returns a pool without connections: the first call dials the first one.
func NewPool(addr string, o PoolOptions) *Pool {
	if o.Max <= 0 {
		o.Max = defaultPoolSize
	}
	if o.MaxIdle == 0 || o.MaxIdle > o.Max {
		o.MaxIdle = o.Max
	}
	return &Pool{addr: addr, options: o, slots: make(chan struct{}, o.Max), closed: make(chan struct{}), lent: map[*Conn]struct{}{}}
}

// Execute is Conn.Execute on a connection of the pool. A call whose connection breaks is not tried again: it may have run.
func (p *Pool) Execute(ctx context.Context, params ...string) ([]byte, error) {
	c, err := p.Get(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Put(c)
	return c.Execute(ctx, params...)
}

// Call is Conn.Call on a connection of the pool.
func (p *Pool) Call(ctx context.Context, params ...string) ([]byte, error) {
	c, err := p.Get(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Put(c)
	return c.Call(ctx, params...)
}

// CallEvents is Conn.CallEvents on a connection of the pool.
func (p *Pool) CallEvents(ctx context.Context, e Events, params ...string) ([]byte, error) {
	c, err := p.Get(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Put(c)
	return c.CallEvents(ctx, e, params...)
}

// Get lends a connection that is logged in: the one used last, or a new one. When Max are lent, it waits for one to come back. The
// caller gives it to Put. Errors: those of Dial and Login, the error of ctx, ErrClosed.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.closed:
		return nil, ErrClosed
	}
	c, err := p.take()
	if c == nil && err == nil {
		if c, err = p.dial(ctx); err == nil {
			err = p.lend(c)
		}
	}
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

// take lends an idle connection that can be used; nil when there is none. The others are closed.
func (p *Pool) take() (*Conn, error) {
	var found *Conn
	var drop []*Conn
	defer func() {
		for _, c := range drop {
			_ = c.Close() // always nil
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock() // before drop is closed
	if p.ended {
		return nil, ErrClosed
	}
	now := time.Now()
	keep := p.idle[:0]
	for _, i := range p.idle {
		if i.conn.idle() && (p.options.IdleTime <= 0 || now.Sub(i.since) < p.options.IdleTime) {
			keep = append(keep, i)
		} else {
			drop = append(drop, i.conn)
		}
	}
	clear(p.idle[len(keep):])
	p.idle = keep
	if n := len(keep) - 1; n >= 0 {
		found = keep[n].conn
		keep[n] = idleConn{}
		p.idle = keep[:n]
		p.lent[found] = struct{}{}
	}
	return found, nil
}

func (p *Pool) dial(ctx context.Context) (*Conn, error) {
	c, err := Dial(ctx, p.addr, p.options.Options)
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, p.options.Credentials); err != nil {
		_ = c.Close() // always nil
		return nil, fmt.Errorf("client: login: %w", err)
	}
	return c, nil
}

func (p *Pool) lend(c *Conn) error {
	p.mu.Lock()
	ended := p.ended
	if !ended {
		p.lent[c] = struct{}{}
	}
	p.mu.Unlock()
	if ended {
		_ = c.Close() // always nil
		return ErrClosed
	}
	return nil
}

// Put takes a connection back that Get lent. One that is broken, or busy with a call, is closed. A connection that is not lent is left
// alone.
func (p *Pool) Put(c *Conn) {
	p.mu.Lock()
	_, ours := p.lent[c]
	delete(p.lent, c)
	keep := ours && !p.ended && len(p.idle) < p.options.MaxIdle && c.idle()
	if keep {
		p.idle = append(p.idle, idleConn{c, time.Now()})
	}
	p.mu.Unlock()
	if !ours {
		return
	}
	if !keep {
		_ = c.Close() // always nil
	}
	<-p.slots
}

// Close closes the idle connections. Those that are lent are closed when they come back, and whoever waits for one gets ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	first, idle := !p.ended, p.idle
	p.ended, p.idle = true, nil
	p.mu.Unlock()
	if first {
		close(p.closed)
	}
	for _, i := range idle {
		_ = i.conn.Close() // always nil
	}
	return nil
}
