package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/codec/proxyheader"
)

// address is where a connection comes from.
type address struct {
	peer   netip.AddrPort
	client *netip.AddrPort // what a PROXY header has said; nil: nothing
}

// Remote is the client's address: the peer's, or that which its PROXY header has named. Invalid for a Unix socket.
func (a *address) Remote() netip.AddrPort {
	if a.client != nil {
		return *a.client
	}
	return a.peer
}

// Peer is the address that the connection itself comes from, whatever its PROXY header says. Invalid for a Unix socket.
func (a *address) Peer() netip.AddrPort { return a.peer }

// addr is Remote as the net package has it.
func (a *address) addr(nc net.Conn) net.Addr {
	if a.client != nil {
		return net.TCPAddrFromAddrPort(*a.client)
	}
	return nc.RemoteAddr()
}

// proxied reads the PROXY header that nc must begin with, and not a byte more. It runs in a goroutine, on the blocking connection.
func (a *arrival) proxied(ctx context.Context, nc net.Conn) (err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errors.New("loop: PROXY header: the connection has no descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return fmt.Errorf("loop: PROXY header: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.c.loop.group.handshakeTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Unix(1, 0)) }) // an error means that it is closed
	defer func() {
		if !stop() { // then the deadline is set, or about to be
			err = fmt.Errorf("loop: PROXY header: %w", ctx.Err())
		}
	}()
	var buf [proxyheader.MaxV2]byte
	for have := 0; ; { // have < len(buf): of as much as the buffer takes, the parser needs no more
		came, err := peek(raw, buf[have:])
		if err != nil {
			return fmt.Errorf("loop: PROXY header, after %d bytes: %w", have, err)
		}
		h, n, err := proxyheader.Parse(buf[:have+came])
		if err != nil {
			return fmt.Errorf("loop: %w", err)
		}
		upTo := have + came // of a header that is not whole all belongs to it
		if n > 0 {
			upTo = n
		}
		if _, err := io.ReadFull(nc, buf[have:upTo]); err != nil {
			return fmt.Errorf("loop: PROXY header: %w", err)
		}
		if have = upTo; n > 0 {
			if h.Source.IsValid() {
				a.c.client = &h.Source
			}
			return nil
		}
	}
}

// peek waits for input and copies it to b, without taking it.
func peek(raw syscall.RawConn, b []byte) (n int, err error) {
	errRead := raw.Read(func(fd uintptr) (done bool) {
		for {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_PEEK)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	switch {
	case errRead != nil:
		return 0, errRead
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return n, err
}
