package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AcceptOptions says what becomes of the connections of a listener.
type AcceptOptions struct {
	// Open makes the session of a new connection. It runs on the connection's loop.
	Open func(*Conn) Session
	// Max is the number of connections of this listener that may be open; more are closed at once and counted. 0: no limit.
	Max int
	// Unsent is how many bytes of a connection's output the kernel takes that are not even on their way to the peer; 0: as many as it
	// likes, which is up to some MiB for a peer that reads nothing. It does not hold for Unix sockets, nor for a listener of
	// Multipath TCP, such as net.Listen makes.
	Unsent int
	// Proxy, when not nil, tells whose connections must begin with a PROXY header, version 1 or 2, before anything else: Remote is then
	// the client's address, and Peer that of the proxy. A connection without one is closed and counted; the time limit of the handshake
	// holds. Any goroutine may call it. It is not asked about Unix sockets.
	Proxy func(peer netip.Addr) bool
	// TLS, when not nil, makes the listener speak TLS. The handshake runs in a goroutine, with a time limit of 10 s.
	TLS *tls.Config
	// Preface, when not nil, returns what is sent in clear before the handshake begins, for a protocol that says something first.
	// The id is that which the connection will have (Conn.ID). It is called in a goroutine, and the time limit of the handshake
	// holds for both. Without TLS it is not called: the session speaks first.
	Preface func(remote net.Addr, id uint64) []byte
}

// Acceptor accepts the connections of one listener and deals them out to the loops in turn.
type Acceptor struct {
	group *Group
	ln    net.Listener
	opts  AcceptOptions
	open  atomic.Int64
	done  chan struct{} // closed when the accept goroutine has ended
	quit  chan struct{} // closed by Close, to end a pause after an error
}

// Accept starts to accept connections from ln, which it takes over: any listener of TCP or Unix stream sockets, so one that was
// inherited, too. After an error it is still the caller's.
//
// It is not gnet that accepts: there an error such as EMFILE ends the whole engine. Here it is waited out.
func (g *Group) Accept(ln net.Listener, o AcceptOptions) (*Acceptor, error) {
	a := &Acceptor{group: g, ln: ln, opts: o, done: make(chan struct{}), quit: make(chan struct{})}
	if o.Unsent > 0 {
		limitUnsent(ln, o.Unsent) // connections inherit it
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping.Load() {
		return nil, errStopping
	}
	g.acceptors[a] = struct{}{}
	go a.run() // ends when Close closes the listener, which waits for it
	return a, nil
}

// Addr is the listener's address.
func (a *Acceptor) Addr() net.Addr { return a.ln.Addr() }

// Open is the number of connections of the listener that are open. Any goroutine may call it.
func (a *Acceptor) Open() int64 { return a.open.Load() }

// Close closes the listener. Connections stay. When it returns, no more will be accepted.
func (a *Acceptor) Close() {
	g := a.group
	g.mu.Lock()
	_, mine := g.acceptors[a]
	delete(g.acceptors, a)
	g.mu.Unlock()
	if mine {
		close(a.quit)
		a.emptyQueue()
		a.ln.Close()
	}
	<-a.done
}

// emptyQueue waits, for a moment at most, until nothing is in the listener's queue: what is there when it closes is reset, and may have
// been sent a request already.
func (a *Acceptor) emptyQueue() {
	const most, step = 50 * time.Millisecond, 100 * time.Microsecond
	sc, ok := a.ln.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	for until := time.Now().Add(most); time.Now().Before(until); {
		waiting := uint32(0)
		err := raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil { // no TCP: it cannot tell
				waiting = info.Unacked // of a listener: the length of its queue
			}
		})
		if err != nil || waiting == 0 {
			return
		}
		time.Sleep(step)
	}
}

func (g *Group) closeAcceptors() {
	g.mu.Lock()
	var all []*Acceptor
	for a := range g.acceptors {
		all = append(all, a)
	}
	g.mu.Unlock()
	for _, a := range all {
		a.Close()
	}
}

func (a *Acceptor) run() {
	defer close(a.done)
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		nc, err := a.ln.Accept()
		switch {
		case err == nil:
			pause = shortest
			a.take(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default: // EMFILE and its kin: the connection waits in the listener's queue
			a.group.stats.acceptErrors.Add(1)
			a.group.log.Warn("accept failed; trying again", "listener", a.ln.Addr().String(), "error", err, "after", pause)
			select {
			case <-a.quit:
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
		}
	}
}

// take brings one accepted connection to a loop.
func (a *Acceptor) take(nc net.Conn) {
	g := a.group
	if n := a.open.Add(1); a.opts.Max > 0 && n > int64(a.opts.Max) {
		a.open.Add(-1)
		g.stats.refused.Add(1)
		nc.Close()
		return
	}
	on := newArrival(g.Next(), nc, func(c *Conn, err error) Session {
		if err != nil {
			return nil
		}
		return a.opts.Open(c)
	})
	on.c.acceptor, on.preface = a, a.opts.Preface
	// Ends when gnet has the connection, at the latest after the time limit of the handshake; Stop waits for it.
	g.background(func() {
		if a.opts.Proxy != nil && on.c.address.peer.IsValid() && a.opts.Proxy(on.c.address.peer.Addr()) {
			if err := on.proxied(g.dialing, nc); err != nil {
				g.stats.badProxies.Add(1)
				if !errors.Is(err, io.EOF) { // a load balancer's check connects and goes
					g.log.Warn("connection without a right PROXY header closed", "peer", on.c.address.peer, "error", err)
				}
				nc.Close()
				on.lost(err)
				return
			}
		}
		if a.opts.TLS != nil {
			if err := on.handshake(g.dialing, nc, a.opts.TLS, false); err != nil {
				if !errors.Is(err, io.EOF) { // a check, as above
					g.stats.badHandshakes.Add(1)
					g.log.Info("TLS handshake failed", "peer", on.c.address.Remote(), "error", err)
				}
				nc.Close()
				on.lost(err)
				return
			}
		}
		on.enrol(nc)
	}, func() { nc.Close(); on.lost(errStopping) })
}

var errStopping = errors.New("loop: the group is stopping")

// background runs f in a goroutine that Stop waits for, or instead when the group is stopping.
func (g *Group) background(f, instead func()) {
	g.mu.Lock()
	stopping := g.stopping.Load()
	if !stopping {
		g.enrolls.Add(1)
	}
	g.mu.Unlock()
	if stopping {
		instead()
		return
	}
	go func() {
		defer g.enrolls.Done()
		f()
	}()
}
