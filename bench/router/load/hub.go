package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// NATSHub is NATSWire with one thread that reads all connections: cheaper where there are many of them with little traffic each. It ends
// with its connections, so it is good for one Run. NewNATSHub makes one.
type NATSHub struct {
	epoll int
	// Guarded by mu.
	mu    sync.Mutex
	conns map[int32]*hubConn // by descriptor
	ended bool               // the thread has closed epoll
}

// hubConn is a connection that the hub reads.
type hubConn struct {
	*natsConn
	fd int
}

// NewNATSHub makes a hub. Its thread begins with the first connection.
func NewNATSHub() (*NATSHub, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll_create1: %w", err)
	}
	return &NATSHub{epoll: epoll, conns: make(map[int32]*hubConn)}, nil
}

// Name returns what it is given.
func (h *NATSHub) Name(nats string) string { return nats }

// Dial connects, and returns when the server has answered the first PING.
func (h *NATSHub) Dial(ctx context.Context, address string, fail func(error)) (Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer nc.Close()                        // only the copy below is left: its original would wake Go's poller for nothing
	fd, err := duplicate(nc.(*net.TCPConn)) // the network is tcp
	if err != nil {
		return nil, err
	}
	c := &hubConn{natsConn: newNATSConn(&descriptor{fd: fd}, nc.LocalAddr().String(), fail), fd: fd}
	if err := h.add(c); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return c, c.greet(ctx)
}

// duplicate returns a descriptor of the same socket, non-blocking as its original.
func duplicate(nc *net.TCPConn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

// add has the thread read c.
func (h *NATSHub) add(c *hubConn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errors.New("load: the hub has ended")
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if err := unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return fmt.Errorf("load: epoll_ctl: %w", err)
	}
	if h.conns[event.Fd] = c; len(h.conns) == 1 {
		go h.run() // ends with the last connection; Close of each waits until it has been let go
	}
	return nil
}

// run reads until there is no connection any more.
func (h *NATSHub) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(h.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("BUG: load: epoll_wait: %v", err))
		}
		for _, e := range events[:max(n, 0)] {
			h.mu.Lock()
			c := h.conns[e.Fd]
			h.mu.Unlock()
			if !c.read() && h.drop(c) {
				return
			}
		}
	}
}

// read reads once. False: the connection has ended.
func (c *hubConn) read() bool {
	n, err := unix.Read(c.fd, c.buf[c.have:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return true
	case err == nil && n == 0:
		err = io.EOF
	}
	return c.input(max(n, 0), err)
}

// drop lets a connection go. True: it was the last one, and the hub has ended.
func (h *NATSHub) drop(c *hubConn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, int32(c.fd))
	c.nc.(*descriptor).release()
	if len(h.conns) > 0 {
		return false
	}
	h.ended = true
	_ = unix.Close(h.epoll) // it holds no data
	return true
}

// descriptor writes to a non-blocking socket. Its reader releases it; until then Close only shuts it down.
type descriptor struct {
	fd     int
	closed atomic.Bool
	// Guarded by mu.
	mu       sync.Mutex
	released bool
}

// Write writes all of b.
func (d *descriptor) Write(b []byte) (done int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for done < len(b) {
		if d.released || d.closed.Load() {
			return done, net.ErrClosed
		}
		n, err := unix.Write(d.fd, b[done:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			const wake = 100 // ms; how long a Close may go unseen
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}, wake); err != nil && !errors.Is(err, unix.EINTR) {
				return done, fmt.Errorf("load: poll: %w", err)
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, fmt.Errorf("load: write: %w", err)
		default:
			done += n
		}
	}
	return done, nil
}

// Close ends both directions, so that the reader sees an end.
func (d *descriptor) Close() error {
	d.closed.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.released {
		return nil
	}
	return unix.Shutdown(d.fd, unix.SHUT_RDWR)
}

// release closes the descriptor.
func (d *descriptor) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = true
	_ = unix.Close(d.fd) // nothing was left to be sent
}
