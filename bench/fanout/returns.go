package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

const (
	leastJitter = 100 * time.Millisecond
	perSource   = 10_000 // connections from one address: the kernel has near 28,000 ports for each
	// backLimit is how long it may take until all are there.
	backLimit = 2 * time.Minute
)

// flock is many clients of a server that is killed and started again.
type flock struct {
	o        *options
	address  string
	protocol protocol
	began    time.Time
	ctx      context.Context // ends when the clients are to end
	group    sync.WaitGroup
	back     []time.Duration // by client: when it was back; read when all are
	// Any goroutine.
	open, returned           atomic.Int64 // clients that were connected once, and twice
	attempts, refused, other atomic.Int64 // of the way back: all, and errors
	got                      atomic.Int64 // messages
	dead                     atomic.Bool  // the server was killed: who loses it now may
	mu                       sync.Mutex
	first                    error // what went wrong first; guarded by mu
	otherError               error // the first of those counted in other; guarded by mu
}

// startFlock has all clients connect, each at a moment of its own.
func startFlock(ctx context.Context, o *options, address string, p protocol) *flock {
	f := &flock{o: o, address: address, protocol: p, began: time.Now(), ctx: ctx, back: make([]time.Duration, o.clients)}
	for i := range o.clients {
		f.group.Go(func() { f.live(i) }) // ends with the context or an error; waited for by who started the flock
	}
	return f
}

func (f *flock) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		f.first = err
	}
}

func (f *flock) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}

func subjectOf(client int) string { return fmt.Sprintf("returns.%d", client) }

// live is the life of client i: it connects, loses the server once, and comes back.
func (f *flock) live(i int) {
	for life := range 2 {
		c, s := f.connect(i, life)
		if c == nil {
			return
		}
		if life == 0 {
			f.open.Add(1)
		} else {
			f.back[i] = time.Since(f.began)
			f.returned.Add(1)
		}
		err := f.listen(s, life)
		_ = c.Close() // it has ended, or nobody needs it
		if f.ctx.Err() != nil {
			return
		}
		if life == 1 || !f.dead.Load() {
			f.fail(fmt.Errorf("client %d LOST its connection: %w", i, err))
			return
		}
	}
}

// connect tries until it succeeds, or the context ends: then it returns nil.
func (f *flock) connect(i, life int) (net.Conn, *stream) {
	for f.err() == nil {
		if pause(f.ctx, leastJitter+rand.N(f.o.jitter-leastJitter)) != nil {
			break
		}
		c, s, err := f.try(i, life)
		if life > 0 {
			f.attempts.Add(1)
		}
		if err == nil {
			return c, s
		}
		if f.ctx.Err() == nil {
			f.note(i, life, err)
		}
	}
	return nil, nil
}

// note counts an attempt that did not succeed. The first time, when the server is there, each has to.
func (f *flock) note(i, life int, err error) {
	switch {
	case life == 0:
		f.fail(fmt.Errorf("client %d does not get in: %w", i, err))
	case errors.Is(err, syscall.ECONNREFUSED):
		f.refused.Add(1)
	default:
		f.other.Add(1)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.otherError == nil {
			f.otherError = err
		}
	}
}

// try connects and subscribes. Who comes back has another address: the ports that it had linger at the end of the server that was killed, so
// that a new connection with the same addresses and ports waits a second, which clients on thousands of machines do not.
func (f *flock) try(i, life int) (net.Conn, *stream, error) {
	d := net.Dialer{Timeout: exchangeLimit, KeepAlive: -1, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(life), byte(2+i/perSource))}, Control: portLater}
	c, err := d.DialContext(f.ctx, "tcp", f.address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(f.ctx, func() { // whoever reads then ends
		_ = c.(*net.TCPConn).SetLinger(0) // by a reset: thousands of ports that linger would be in the way of the next round
		_ = c.Close()
	})
	s := newStream(f.protocol, c)
	err = c.SetDeadline(time.Now().Add(exchangeLimit))
	if err == nil {
		err = s.enter(i, subjectOf(i))
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		stop()
		_ = c.Close() // the first error counts
		return nil, nil, err
	}
	return c, s, nil
}

// portLater has the kernel choose the port when it connects: to choose one that is free for every address takes it long among thousands.
func portLater(_, _ string, raw syscall.RawConn) error {
	const ipBindAddressNoPort = 24 // package syscall does not name it; source: ip(7)
	var errSet error
	err := raw.Control(func(fd uintptr) { errSet = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1) })
	return errors.Join(err, os.NewSyscallError("setsockopt", errSet))
}

// listen reads until the connection ends. After the restart a client gets one message.
func (f *flock) listen(s *stream, life int) error {
	var e event
	for mine := 0; ; {
		if err := s.next(&e); err != nil {
			return err
		}
		switch e.kind {
		case eventMessage:
			if mine++; life == 0 || mine > 1 {
				f.fail(fmt.Errorf("a client got a message %d times, in its life %d", mine, life+1))
			}
			f.got.Add(1)
		case eventEnd:
			return errors.New("the server says " + e.text)
		}
	}
}

// wait waits until as many are counted as there are clients. ended tells that the server is gone.
func (f *flock) wait(ctx context.Context, ended func() error, what string, count *atomic.Int64) error {
	err := harness.WaitFor(ctx, backLimit, what, func() error {
		if f.err() != nil {
			return nil // nothing more is to be waited for
		}
		if err := ended(); err != nil {
			return err
		}
		if n := count.Load(); n != int64(f.o.clients) {
			return fmt.Errorf("%d of %d; %d refused, %d other errors", n, f.o.clients, f.refused.Load(), f.other.Load())
		}
		return nil
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		return errors.Join(f.first, err, f.otherError)
	}
	return f.first
}

// probe publishes a message to each client.
func (f *flock) probe(ctx context.Context, ended func() error) error {
	pub, _, err := enterSocket(f.address, f.protocol, f.o.clients)
	if err != nil {
		return err
	}
	defer pub.close()
	var out []byte
	for i := range f.o.clients {
		out = f.protocol.publish(out, subjectOf(i), []byte("welcome back"))
	}
	if _, err := pub.Write(out); err != nil {
		return err
	}
	return f.wait(ctx, ended, "a message to each client", &f.got)
}
