package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// socket is a TCP connection as the kernel has it, without the network poller of Go: a poller reads a thousand of them in few turns.
type socket int

// exchangeLimit is how long one answer may take, and a write.
const exchangeLimit = 30 * time.Second

// What the subscriber has that will be slow: buffers as for a client that is far away, so that little of what it does not read is hidden
// in the kernel.
const (
	slowReceiveBuffer = 16 << 10 // bytes
	slowSegment       = 1400     // bytes; that of loopback is 64 KiB
)

// openSocket connects. It blocks until it is told not to.
func openSocket(address string, slow bool) (socket, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	s := socket(fd)
	if err = s.configure(slow); err == nil {
		err = s.connect(&syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err != nil {
		s.close()
		return -1, err
	}
	return s, nil
}

func (s socket) configure(slow bool) error {
	limit := syscall.NsecToTimeval(int64(exchangeLimit))
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(int(s), syscall.SOL_SOCKET, option, &limit); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if !slow {
		return nil
	}
	if err := syscall.SetsockoptInt(int(s), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, slowSegment); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(s), syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowReceiveBuffer))
}

func (s socket) blocking(yes bool) error {
	return os.NewSyscallError("fcntl", syscall.SetNonblock(int(s), !yes))
}

// Read reads; the error is io.EOF at the end, and syscall.EAGAIN when there is nothing.
func (s socket) Read(b []byte) (int, error) {
	for {
		switch n, err := syscall.Read(int(s), b); {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("read: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes all of b, as far as the connection takes it.
func (s socket) Write(b []byte) (done int, err error) {
	for done < len(b) {
		n, err := syscall.Write(int(s), b[done:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, fmt.Errorf("write: %w", err)
		}
		done += n
	}
	return done, nil
}

func (s socket) close() { _ = syscall.Close(int(s)) } // nothing was left to be sent

// connect waits for the connection, through signals too: after one the kernel goes on connecting by itself.
func (s socket) connect(to syscall.Sockaddr) error {
	err := syscall.Connect(int(s), to)
	for err == syscall.EINTR || err == syscall.EALREADY {
		err = syscall.Connect(int(s), to)
	}
	if err == syscall.EISCONN {
		err = nil
	}
	return os.NewSyscallError("connect", err)
}
