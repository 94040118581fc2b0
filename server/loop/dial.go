package loop

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// DialOptions says where to connect to.
type DialOptions struct {
	Network string        // "tcp" or "unix"
	Addr    string        // as net.Dial takes it
	Timeout time.Duration // for name resolution, connecting and the TLS handshake together; 0 means 10 s
	TLS     *tls.Config   // speaks TLS when not nil
	Unsent  int           // as in AcceptOptions
	// Dial connects in the place of net.Dialer when it is not nil, as through a proxy; Network and Addr are for the name in the
	// certificate only then. It runs in a goroutine, ends when its context does, and returns a *net.TCPConn or *net.UnixConn.
	Dial func(context.Context) (net.Conn, error)
}

func (o *DialOptions) connect(ctx context.Context) (nc net.Conn, err error) {
	if o.Dial != nil {
		nc, err = o.Dial(ctx)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, o.Network, o.Addr)
	}
	if err == nil && o.Unsent > 0 {
		limitUnsent(nc, o.Unsent)
	}
	return nc, err
}

// Dial connects in a goroutine and brings the connection to l, where open gets it, or the error. Any goroutine may call it.
func (l *Loop) Dial(o DialOptions, open func(*Conn, error) Session) {
	a := newArrival(l, nil, open)
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	// Ends with the dialler's time limit; Stop waits for it.
	l.group.background(func() {
		ctx, cancel := context.WithTimeout(l.group.dialing, o.Timeout)
		defer cancel()
		nc, err := o.connect(ctx)
		if err != nil {
			a.lost(fmt.Errorf("loop: %w", err))
			return
		}
		a.c.address.peer = remoteOf(nc)
		if o.TLS != nil {
			if err := a.handshake(ctx, nc, clientConfig(o), true); err != nil {
				nc.Close()
				a.lost(err)
				return
			}
		}
		a.enrol(nc)
	}, func() { a.lost(errStopping) })
}

// clientConfig is the TLS configuration with the name of the server, which is the host's unless it says otherwise.
func clientConfig(o DialOptions) *tls.Config {
	if o.TLS.ServerName != "" || o.TLS.InsecureSkipVerify {
		return o.TLS
	}
	cfg := o.TLS.Clone()
	cfg.ServerName = o.Addr
	if host, _, err := net.SplitHostPort(o.Addr); err == nil {
		cfg.ServerName = host
	}
	return cfg
}

// Adopt brings an existing connection to l, which takes it over: a *net.TCPConn or *net.UnixConn. open gets it on the loop.
func (l *Loop) Adopt(nc net.Conn, open func(*Conn, error) Session) {
	a := newArrival(l, nc, open)
	l.group.background(func() { a.enrol(nc) }, func() { nc.Close(); a.lost(errStopping) })
}

// AdoptFD is Adopt for a descriptor of a connected stream socket, such as one that was inherited. It takes fd over.
func (l *Loop) AdoptFD(fd int, open func(*Conn, error) Session) error {
	nc, err := fileConn(fd)
	if err != nil {
		return fmt.Errorf("loop: descriptor %d: %w", fd, err)
	}
	l.Adopt(nc, open)
	return nil
}
