// Package client talks to the engine door of a Roundhouse server, or to any server that speaks the protocol of package oes.
//
// A Conn is one connection: Dial opens it, Login says who calls, in which application and mode, and Execute and Call run something on
// an engine. One call at a time is under way on a connection; others wait for their turn. Break and Debug reach the call that is under
// way. A Pool keeps several connections with the same login and gives each call one of its own.
//
// In char mode, and in JD3 mode by CallEvents, a call is a dialogue: output comes while it runs and the engine may ask for input.
// Events has the callbacks. Without it, what comes is collected and questions get an empty answer.
//
// Cancelling the context of a call sends a break and waits a bounded time for the end of the call, so that the connection can be used
// again. When the time is up, the connection is closed.
//
// Files: engine.go has the connection, engine_link.go what goes over it, engine_login.go its session, engine_call.go calls, engine_dialogue.go what happens during one,
// engine_control.go commands that need no login, engine_pool.go the pool.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/oes"
)

var (
	// ErrClosed means that Close or Logoff was called before.
	ErrClosed = errors.New("client: closed")
	// ErrBroken means that the connection was lost, or closed because the two ends no longer understand each other. A call that fails
	// with it may have run.
	ErrBroken = errors.New("client: connection broken")
	// ErrNotLoggedIn means that a call was made before a login, or after one that failed. Nothing was sent.
	ErrNotLoggedIn = errors.New("client: not logged in")
	// ErrParameter means that something to send holds a delimiter or is too long. Nothing was sent.
	ErrParameter = errors.New("client: cannot be sent")
	// ErrTooLarge means that the output of a call is larger than Options.MaxReply.
	ErrTooLarge = errors.New("client: output too large")
)

// ServerError is what the server answered in place of a result. The connection stays usable, unless the server closes it.
type ServerError struct {
	Text   string // for people
	Output []byte // what the call had written before it failed, nil when nothing
}

func (e *ServerError) Error() string { return e.Text }

// Options are the settings of a connection. The zero value is right for a server on the same network.
type Options struct {
	TLS       *tls.Config   // nil: plain TCP. Without a ServerName, the host that is dialled is expected
	MaxReply  int           // the largest reply and the most output of a call, in bytes; 0: 99,999,999, the most that a frame can have
	BreakWait time.Duration // how long a cancelled call may take to end; 0: 5 s; negative: the connection is closed at once

	// DialContext replaces that of a net.Dialer; nil: none.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Conn is a connection. It is safe for concurrent use.
type Conn struct {
	*link
	turn chan struct{} // has room for the one exchange that is under way

	// Any goroutine. Stored by who has the turn.
	state atomic.Pointer[state]

	// Guarded by mu, which is never held during I/O.
	mu   sync.Mutex
	call *call // the one that Break and Debug reach
}

// Dial connects to addr, a host and a port. It sends nothing: the next step is Login, or a control command such as Times.
func Dial(ctx context.Context, addr string, o Options) (*Conn, error) {
	dial := o.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if o.TLS != nil {
		if nc, err = handshake(ctx, nc, addr, o.TLS); err != nil {
			return nil, fmt.Errorf("client: TLS with %s: %w", addr, err)
		}
	}
	c := &Conn{link: newLink(nc, o), turn: make(chan struct{}, 1)}
	c.state.Store(&state{})
	go c.read() // ends when the link fails; Close waits for it
	return c, nil
}

func handshake(ctx context.Context, nc net.Conn, addr string, cfg *tls.Config) (net.Conn, error) {
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	secured := tls.Client(nc, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // the handshake's error says more
		return nil, err
	}
	return secured, nil
}

// Err returns why the connection cannot be used any more: an error that is ErrClosed or ErrBroken, or nil while it can be used.
func (c *Conn) Err() error { return c.why() }

// Close closes the connection at once. A call under way fails with ErrClosed, and the server breaks it. Logoff is the polite way.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	<-c.readDone
	return nil
}

// acquire waits for the turn to talk; release gives it up.
func (c *Conn) acquire(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}: // even when it is closed: the server may have said why
	default:
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.closed:
			return c.why()
		}
	}
	if err := c.checkIdle(); err != nil {
		c.release()
		return err
	}
	return nil
}

func (c *Conn) release() { <-c.turn }

// checkIdle looks for what came although nothing was asked: the server says why it closes the connection, or the two are out of step.
func (c *Conn) checkIdle() error {
	select {
	case payload := <-c.frames:
		r, err := parse(payload)
		if err == nil && r.Code == oes.Failed {
			err = failure(nil, r.Body)
		} else {
			err = errors.New("a reply that nobody has asked for")
		}
		return c.broken(err)
	default:
		return c.why()
	}
}

// idle tells whether the connection can take a call, as far as can be seen.
func (c *Conn) idle() bool {
	select {
	case <-c.closed:
		return false
	default:
		return c.state.Load().loggedIn && len(c.frames) == 0 && len(c.turn) == 0
	}
}
