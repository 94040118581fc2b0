package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/bench/harness"
)

const (
	clientsPerThread = 256
	openLimit        = 30 * time.Second // to connect and log in
	drainLimit       = 20 * time.Second // for the last replies
)

// load is a number of clients that each send one request after the other.
type load struct {
	wire    *wire
	threads []*thread
	group   sync.WaitGroup
	// Any goroutine.
	recording atomic.Bool // latencies count
	stopping  atomic.Bool // no request is sent any more
}

// thread serves some of the clients with an epoll of its own.
type thread struct {
	load    *load
	epoll   int
	clients []client
	// Owned by the thread until it ends.
	latencies harness.Histogram
	open      int // clients that wait for a reply
	buf       []byte
	// Any goroutine.
	served atomic.Int64
	failed atomic.Int64
	// Guarded by mu.
	mu       sync.Mutex
	firstErr error
}

// client is one connection. It is owned by its thread.
type client struct {
	fd      int // -1 when it is closed
	number  uint64
	waiting bool // for a reply
	sent    int  // bytes of the request written
	since   time.Time
	request
	reply
}

// startLoad connects the clients, logs them in where the protocol wants it, and begins.
func startLoad(ctx context.Context, p *harness.Pool, size, clients, threads int) (*load, error) {
	w, err := newWire(p.Protocol, size)
	if err != nil {
		return nil, err
	}
	if threads == 0 {
		threads = (clients + clientsPerThread - 1) / clientsPerThread
	}
	l := &load{wire: w}
	for i := range min(threads, clients) {
		t := &thread{load: l, clients: make([]client, 0, clients/threads+1), buf: make([]byte, 256<<10)}
		l.threads = append(l.threads, t)
		if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			l.close()
			return nil, fmt.Errorf("epoll_create1: %w", err)
		}
		for n := i; n < clients; n += threads {
			if err := t.connect(ctx, p, uint64(n)<<40); err != nil {
				l.close()
				return nil, err
			}
		}
	}
	for _, t := range l.threads {
		// Ends when the load stops and the replies are there, or drainLimit is over; stop waits for it.
		l.group.Go(t.run)
	}
	return l, nil
}

// dial connects to the pool and logs in.
func dial(ctx context.Context, p *harness.Pool) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: openLimit, KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp", harness.Address(p.Port))
	if err != nil {
		return nil, err
	}
	c := nc.(*net.TCPConn) // the network is tcp
	if p.Protocol != harness.ProtocolEngine {
		return c, nil
	}
	err = c.SetDeadline(time.Now().Add(openLimit))
	if err == nil {
		err = login(c)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close() // the first error counts
		return nil, err
	}
	return c, nil
}

// connect adds a client. Its descriptor leaves Go's poller: one wake-up for many clients is cheaper than a goroutine each.
func (t *thread) connect(ctx context.Context, p *harness.Pool, first uint64) error {
	c, err := dial(ctx, p)
	if err != nil {
		return err
	}
	defer c.Close() // only the copy below is left
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(own uintptr) {
		fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) // non-blocking as its original
	})
	if err = errors.Join(err, dupErr); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(len(t.clients))}
	t.clients = append(t.clients, client{fd: fd, number: first, request: t.load.wire.newRequest()})
	return unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

func (t *thread) run() {
	runtime.LockOSThread()
	// Unlocked, the thread lives on. Its end would end the servers that it started: see the use of Pdeathsig in harness.
	defer runtime.UnlockOSThread()
	t.open = len(t.clients)
	for i := range t.clients {
		t.begin(&t.clients[i])
	}
	const wake = 50 // ms; how long a stop may go unseen
	events := make([]unix.EpollEvent, clientsPerThread)
	var deadline time.Time
	for t.open > 0 {
		n, err := unix.EpollWait(t.epoll, events, wake)
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.fail(fmt.Errorf("epoll_wait: %w", err))
			return
		}
		for _, e := range events[:max(n, 0)] {
			t.handle(&t.clients[e.Fd])
		}
		if !t.load.stopping.Load() {
			continue
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(drainLimit)
		} else if time.Now().After(deadline) {
			t.fail(fmt.Errorf("%d replies did not come within %v", t.open, drainLimit))
			return
		}
	}
}

// begin sends the next request.
func (t *thread) begin(c *client) {
	c.number++
	c.setStamp(c.number)
	c.reply.reset()
	c.waiting, c.sent, c.since = true, 0, time.Now()
	if err := c.write(); err != nil {
		t.drop(c, err)
	}
}

// write writes what is left of the request, as much as the socket takes.
func (c *client) write() error {
	for c.sent < len(c.first)+len(c.rest) {
		n, err := c.writeOnce()
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil // an event tells when there is room
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("write: %w", err)
		default:
			c.sent += n
		}
	}
	return nil
}

func (c *client) writeOnce() (int, error) {
	switch {
	case len(c.rest) == 0:
		return unix.Write(c.fd, c.first[c.sent:])
	case c.sent < len(c.first):
		return unix.Writev(c.fd, [][]byte{c.first[c.sent:], c.rest})
	default:
		return unix.Write(c.fd, c.rest[c.sent-len(c.first):])
	}
}

// handle writes and reads what a client can.
func (t *thread) handle(c *client) {
	if !c.waiting {
		return
	}
	if err := c.write(); err != nil {
		t.drop(c, err)
		return
	}
	for {
		n, err := unix.Read(c.fd, t.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n == 0:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			t.drop(c, fmt.Errorf("read: %w", err))
			return
		}
		if !t.take(c, t.buf[:n]) || n < len(t.buf) { // a short read: there is no more (epoll(7))
			return
		}
	}
}

// take checks bytes of a reply; if they complete it, the next request begins. False: the client sends no more.
func (t *thread) take(c *client, b []byte) bool {
	done, err := c.reply.take(t.load.wire, c.stamp, b)
	if err == nil && done && c.sent < len(c.first)+len(c.rest) {
		err = errors.New("the reply came before the request was written")
	}
	if err != nil {
		t.drop(c, err)
		return false
	}
	if !done {
		return true
	}
	if t.load.recording.Load() {
		t.latencies.Record(time.Since(c.since))
	}
	t.served.Add(1)
	c.waiting = false
	if t.load.stopping.Load() {
		t.open--
		return false
	}
	t.begin(c)
	return c.waiting
}

// drop closes a client that went wrong. It is not replaced.
func (t *thread) drop(c *client, err error) {
	_ = unix.Close(c.fd) // nothing can be done about it
	c.fd, c.waiting = -1, false
	t.open--
	t.fail(err)
}

func (t *thread) fail(err error) {
	t.failed.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.firstErr == nil {
		t.firstErr = err
	}
}

// served returns how many replies have come so far.
func (l *load) served() (n int64) {
	for _, t := range l.threads {
		n += t.served.Load()
	}
	return n
}

// stop sends no more requests, waits for the replies and closes the connections. It returns the latencies that were recorded, the
// number of clients that went wrong, and what went wrong first.
func (l *load) stop() (latencies *harness.Histogram, failed int64, first error) {
	l.stopping.Store(true)
	l.group.Wait()
	latencies = &harness.Histogram{}
	for _, t := range l.threads {
		latencies.Merge(&t.latencies)
		failed += t.failed.Load()
		if first == nil {
			first = t.firstErr // its thread has ended
		}
	}
	l.close()
	return latencies, failed, first
}

// close closes what is open. The threads have ended, or were not started.
func (l *load) close() {
	for _, t := range l.threads {
		for i := range t.clients {
			if c := &t.clients[i]; c.fd >= 0 {
				_ = unix.Close(c.fd) // nothing was left to be sent
				c.fd = -1
			}
		}
		if t.epoll > 0 {
			_ = unix.Close(t.epoll) // it holds no data
		}
	}
}
