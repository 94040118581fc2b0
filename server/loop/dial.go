package loop

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// DialOptions says where to connect to.
type DialOptions struct {
	Network string        // "tcp" or "unix"
	Addr    string        // as net.Dial takes it
	Timeout time.Duration // for name resolution, connecting and the TLS handshake together; 0 means 10 s
	TLS     *tls.Config   // speaks TLS when not nil
}

// Dial connects in a goroutine and brings the connection to l, where open gets it, or the error. Any goroutine may call it.
func (l *Loop) Dial(o DialOptions, open func(*Conn, error) Session) {
	c := l.newConn(nil)
	c.open = open
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	// Ends with the dialler's time limit; Stop waits for it.
	l.group.background(func() {
		ctx, cancel := context.WithTimeout(l.group.dialing, o.Timeout)
		defer cancel()
		nc, err := (&net.Dialer{}).DialContext(ctx, o.Network, o.Addr)
		if err != nil {
			c.lost(fmt.Errorf("loop: %w", err))
			return
		}
		c.setRemote(nc)
		if o.TLS != nil {
			if err := c.handshake(ctx, nc, clientConfig(o), true); err != nil {
				nc.Close()
				c.lost(err)
				return
			}
		}
		c.enrol(nc)
	}, func() { c.lost(errStopping) })
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
	c := l.newConn(nc)
	c.open = open
	l.group.background(func() { c.enrol(nc) }, func() { nc.Close(); c.lost(errStopping) })
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

// newConn makes the Conn of nc, which is not on the loop yet; nc may be nil. Any goroutine.
func (l *Loop) newConn(nc net.Conn) *Conn {
	g := l.group
	c := &Conn{id: g.connIDs.Add(1), loop: l, fd: -1, high: DefaultHigh, low: DefaultLow}
	g.stats.open.Add(1)
	c.setRemote(nc)
	return c
}

func (c *Conn) setRemote(nc net.Conn) {
	if nc == nil {
		return
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
}

// enrol gives nc to gnet, on the connection's loop. It blocks for a moment: never call it on a loop.
func (c *Conn) enrol(nc net.Conn) {
	if err := c.loop.enrol(nc, c); err != nil {
		c.loop.group.stats.acceptErrors.Add(1)
		c.lost(err)
	}
}

// lost ends a connection that never came to its loop.
func (c *Conn) lost(err error) {
	if !c.loop.Post(func() { c.fail(err) }) {
		c.loop.group.afterLoops(func() { c.sayFarewell(err) })
	}
}
