package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// block waits for room in the send buffer.
func (c *Conn) block() {
	if !c.isBlocked && c.state < connDead {
		c.isBlocked = true
		c.loop.waiting.Add(1)
		c.arm(unix.EPOLLOUT)
	}
}

// arm asks for one report of events, and of errors and hang-ups, which are always reported.
func (c *Conn) arm(events uint32) {
	ev := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(uint32(c.id)), Pad: int32(c.id >> 32)}
	op := unix.EPOLL_CTL_ADD
	if c.watched {
		op = unix.EPOLL_CTL_MOD
	}
	if err := unix.EpollCtl(c.loop.watch, op, c.fd, &ev); err != nil {
		c.fail(err)
		return
	}
	c.watched = true
	c.loop.blocked[c.id] = c
	c.loop.watching.Store(int32(len(c.loop.blocked)))
	c.loop.group.ticker.wakeBy(time.Since(epoch) + roomTick)
}

// unwatch forgets the connection's descriptor, before that is closed or changed.
func (c *Conn) unwatch() {
	c.unblock()
	if c.watched {
		// The descriptor may be broken; what counts is that it is not in the set.
		_ = unix.EpollCtl(c.loop.watch, unix.EPOLL_CTL_DEL, c.fd, nil)
		c.watched = false
	}
}

func (c *Conn) unblock() {
	if c.isBlocked {
		c.isBlocked = false
		c.loop.waiting.Add(-1)
	}
	if c.watched {
		delete(c.loop.blocked, c.id)
		c.loop.watching.Store(int32(len(c.loop.blocked)))
	}
}

// pollBlocked flushes the blocked connections that have room again. The ticker calls for it every millisecond while there are
// any, and a busy loop looks by itself.
func (l *Loop) pollBlocked() {
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(l.watch, events[:], 0)
		if n <= 0 || err != nil { // EINTR: the next tick looks again
			return
		}
		for _, ev := range events[:n] {
			id := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
			if c := l.blocked[id]; c != nil {
				c.writable(ev.Events)
			}
		}
		if n < len(events) {
			return
		}
	}
}

func (c *Conn) writable(events uint32) {
	orphan := c.gc == nil
	if orphan && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		c.orphanHangUp(events&unix.EPOLLERR != 0)
		return
	}
	c.unblock()
	c.flush()
	if orphan && !c.isBlocked && c.state < connDead {
		c.arm(0) // its one shot is spent: watch for errors again
	}
}
