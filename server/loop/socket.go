package loop

import (
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// socket is a connection's descriptor: gnet's as long as gnet reads it, ours otherwise.
type socket struct {
	gc gnet.Conn // nil when gnet does not read it: moving, or the peer has ended its side
	fd int       // what we write to; -1 when there is none
}

// forget is for a descriptor that gnet closes, or that is closed.
func (s *socket) forget() { s.gc, s.fd = nil, -1 }

// setMask sets what gnet's epoll, epfd, reports of the connection. gnet never changes it: it does so only when it writes, and it
// does not write.
func (s *socket) setMask(epfd int, paused bool) error {
	if s.gc == nil {
		return nil
	}
	ev := unix.EpollEvent{Fd: int32(s.fd), Events: unix.EPOLLIN | unix.EPOLLPRI}
	if paused {
		ev.Events = 0 // errors and hang-ups are reported all the same
	}
	return unix.EpollCtl(epfd, unix.EPOLL_CTL_MOD, s.fd, &ev)
}

// resetOnClose makes the peer see a reset: what it has got is not the whole.
func (s *socket) resetOnClose() {
	if s.fd >= 0 {
		// A Unix socket knows no linger; it is closed all the same.
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	}
}

// limitUnsent bounds what the kernel takes of the output of a connection, or of those that a listener accepts, before it is on its way. What
// is no TCP socket has no such bound.
func limitUnsent(s any, bytes int) {
	sc, ok := s.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // it fails on a closed one, as all that follows will
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
		})
	}
}

// endOurSide tells the peer that no more output follows. An error means that the peer is gone.
func (s *socket) endOurSide() error { return unix.Shutdown(s.fd, unix.SHUT_WR) }

// duplicate returns another descriptor of the same socket, which outlives gnet's.
func (s *socket) duplicate() (int, error) {
	return unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
}

// broken returns the error that the socket holds, such as a reset; nil when there is none.
func (s *socket) broken() error {
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// Arrived is how much the kernel holds that has not been read from a connection, in bytes; 0 when it cannot tell. It costs a system call. Only the
// connection's loop may ask.
func Arrived(c *Conn) int {
	if c.sock.fd < 0 {
		return 0
	}
	n, err := unix.IoctlGetInt(c.sock.fd, unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// unacked is how many bytes the kernel holds that the peer has not acknowledged; 0 when it cannot tell.
func (s *socket) unacked() int {
	n, err := unix.IoctlGetInt(s.fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
