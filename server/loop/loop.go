package loop

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Loop is one event loop: one goroutine that runs the callbacks of the connections it owns.
type Loop struct {
	// Fixed at start.
	group *Group
	index int
	el    gnet.EventLoop
	epfd  int // gnet's epoll descriptor: Pause and Resume set event masks in it

	// Owned by the loop.
	conns  map[uint64]*Conn
	turn   turn
	rota   rota
	wheel  wheel
	iov    [8][]byte // scratch of Writev
	spares spares
	plain  []byte // scratch of opened TLS records; nil until there is a TLS connection

	// Each says who may touch what.
	mail mailbox
	room room

	// Any goroutine.
	bytesIn, bytesOut atomic.Int64
	nextTick          atomic.Int64 // the first tick that may have a timer to fire; written by the loop
	ticked            atomic.Bool  // a tickBell is on its way
}

func newLoop(g *Group, index int, el gnet.EventLoop) *Loop {
	l := &Loop{group: g, index: index, el: el, conns: map[uint64]*Conn{}}
	l.turn.loop, l.rota.loop, l.mail.loop = l, l, l
	l.nextTick.Store(never)
	return l
}

// Index is the loop's place in Group.Loops.
func (l *Loop) Index() int { return l.index }

// Now is the time, read once in a callback: looking at the clock for every packet of a batch would cost more than it tells.
// Loop only, in a callback.
func (l *Loop) Now() time.Time {
	if l.turn.now.IsZero() {
		l.turn.now = time.Now()
	}
	return l.turn.now
}

// Group returns the group that the loop belongs to.
func (l *Loop) Group() *Group { return l.group }

// Conns calls f for each connection of the loop. Loop only.
func (l *Loop) Conns(f func(*Conn)) {
	for _, c := range l.conns {
		f(c)
	}
}

// cut ends all connections at once: at the end of Stop's time.
func (l *Loop) cut() {
	for _, c := range l.conns {
		if c.Pending() > 0 {
			c.Abort(errStopping)
		} else {
			c.fail(nil)
		}
	}
}

// readLast reads, in the place of the loop that has ended, the letters that came before the mailbox was closed and were not
// read, and ends the connections that they left.
func (l *Loop) readLast() {
	_ = l.mail.Run(context.Background()) // never fails
	l.turn.enter()
	l.cut()
	l.turn.leave()
}

// fileConn makes a net.Conn of a socket descriptor, which it takes over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	if f == nil {
		return nil, unix.EBADF
	}
	defer f.Close() // net.FileConn works on a duplicate
	return net.FileConn(f)
}
