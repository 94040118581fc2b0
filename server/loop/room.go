package loop

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// room finds the connections of a loop that have room in their send buffers again. It has an epoll descriptor of its own: the
// event masks in gnet's belong to Pause and Resume.
type room struct {
	// Owned by the loop.
	epfd  int
	conns map[uint64]*Conn // in epfd: blocked, or orphans; by id

	// Any goroutine; written by the loop, read by the ticker.
	waiting  atomic.Int32 // connections that are blocked
	watching atomic.Int32 // len(conns)
}

func (r *room) open() (err error) {
	r.conns = map[uint64]*Conn{}
	if r.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("loop: epoll_create1: %w", err)
	}
	return nil
}

func (r *room) close() {
	if r.epfd > 0 {
		unix.Close(r.epfd)
	}
}

// block makes c wait for room.
func (r *room) block(c *Conn) {
	if !c.out.blocked && c.state < connDead {
		c.out.blocked = true
		r.waiting.Add(1)
		r.arm(c, unix.EPOLLOUT)
	}
}

// arm asks for one report of events at c, and of errors and hang-ups, which are always reported.
func (r *room) arm(c *Conn, events uint32) {
	ev := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(uint32(c.id)), Pad: int32(c.id >> 32)}
	op := unix.EPOLL_CTL_ADD
	if c.out.watched {
		op = unix.EPOLL_CTL_MOD
	}
	if err := unix.EpollCtl(r.epfd, op, c.sock.fd, &ev); err != nil {
		c.fail(err)
		return
	}
	c.out.watched = true
	r.conns[c.id] = c
	r.watching.Store(int32(len(r.conns)))
	c.loop.group.ticker.wakeBy(time.Since(epoch) + roomTick)
}

// forget ends the watch of c's descriptor, before that is closed or changed.
func (r *room) forget(c *Conn) {
	r.unblock(c)
	if c.out.watched {
		// The descriptor may be broken; what counts is that it is not in the set.
		_ = unix.EpollCtl(r.epfd, unix.EPOLL_CTL_DEL, c.sock.fd, nil)
		c.out.watched = false
	}
}

// unblock ends the wait for room; the descriptor stays in the set, with nothing to report.
func (r *room) unblock(c *Conn) {
	if c.out.blocked {
		c.out.blocked = false
		r.waiting.Add(-1)
	}
	if c.out.watched {
		delete(r.conns, c.id)
		r.watching.Store(int32(len(r.conns)))
	}
}

// poll flushes the connections that have room again. The ticker calls for it every millisecond while there are any that wait,
// and a busy loop looks by itself.
func (r *room) poll() {
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(r.epfd, events[:], 0)
		if n <= 0 || err != nil { // EINTR: the next tick looks again
			return
		}
		for _, ev := range events[:n] {
			id := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
			if c := r.conns[id]; c != nil {
				c.out.writable(ev.Events)
			}
		}
		if n < len(events) {
			return
		}
	}
}
