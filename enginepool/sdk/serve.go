package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/codec/revcap"
)

// Serve serves the server that started this process: over the descriptor of ENGINE_FD or, with ENGINE_STDIO=1, over standard
// input and output. Then whatever the program prints goes to standard error, where it belongs.
//
// It returns nil after a logoff and when the server has gone. When ctx ends, the server is told; the running request may finish,
// and Serve returns ctx's error.
func Serve(ctx context.Context, e Engine) error {
	ch, err := inherited(os.Getenv, e.Quick)
	if err != nil {
		return err
	}
	return serve(ctx, ch, e, "", nil)
}

// Dial connects to the server's engine listener, serves applications and returns as Serve does. tlsConfig nil: without TLS.
func Dial(ctx context.Context, addr, token string, applications []string, tlsConfig *tls.Config, e Engine) error {
	var dialer interface {
		DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	} = &net.Dialer{}
	if tlsConfig != nil {
		dialer = &tls.Dialer{Config: tlsConfig}
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	return serve(ctx, ofConn(conn), e, token, applications)
}

// ServeConn serves a connection that the caller has made, and closes it. Otherwise as Serve.
func ServeConn(ctx context.Context, conn net.Conn, e Engine) error {
	return serve(ctx, ofConn(conn), e, "", nil)
}

// channel is how the engine reaches the server.
type channel struct {
	r io.Reader
	w io.Writer
	// cut ends a read that another goroutine is in, and all later ones. What was written still arrives.
	cut   func()
	close func() error
}

func ofConn(conn net.Conn) channel {
	cut := func() { // fails when it is closed: cut already
		_ = conn.SetReadDeadline(past)
		_ = conn.SetWriteDeadline(time.Now().Add(lastWrite))
	}
	return channel{r: conn, w: conn, cut: cut, close: conn.Close}
}

// lastWrite is how long the rest may take to be written when a connection from outside ends.
const lastWrite = 10 * time.Second

// inherited is the channel that the server gave to this process.
func inherited(getenv func(string) string, quick bool) (channel, error) {
	if getenv("ENGINE_STDIO") == "1" {
		return stdio(quick)
	}
	value := getenv("ENGINE_FD")
	if value == "" {
		return channel{}, ErrNoServer
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 0 {
		return channel{}, fmt.Errorf("sdk: ENGINE_FD is %q, a number of a descriptor is needed", value)
	}
	return ofDescriptor(fd, fd, quick)
}

// stdio takes standard output away from the program, which would write into the protocol.
func stdio(quick bool) (channel, error) {
	out, err := syscall.Dup(1)
	if err != nil {
		return channel{}, fmt.Errorf("sdk: standard output: %w", err)
	}
	if err := syscall.Dup3(2, 1, 0); err != nil {
		return channel{}, fmt.Errorf("sdk: standard error: %w", err)
	}
	return ofDescriptor(0, out, quick)
}

// ofDescriptor makes a channel of two descriptors, or of one that is both. The socket of a quick engine blocks: its read sleeps in
// the kernel, which costs one system call where Go's poller needs three. Any other engine would be in the way of its own handler,
// which waits for the processor that a goroutine keeps for a while when it sleeps in the kernel.
func ofDescriptor(in, out int, quick bool) (channel, error) {
	kind, err := syscall.GetsockoptInt(in, syscall.SOL_SOCKET, syscall.SO_TYPE)
	socket := err == nil && kind == syscall.SOCK_STREAM
	if err := syscall.SetNonblock(in, !socket || !quick); err != nil { // a read of a pipe that blocks could not be ended
		return channel{}, fmt.Errorf("sdk: descriptor %d: %w", in, err)
	}
	syscall.CloseOnExec(in)
	syscall.CloseOnExec(out)
	r := os.NewFile(uintptr(in), "server")
	w := r
	if out != in {
		w = os.NewFile(uintptr(out), "server")
	}
	ch := channel{r: r, w: w, close: func() error { return errors.Join(w.Close(), closeOther(r, w)) }}
	ch.cut = func() { _ = r.SetReadDeadline(past) } // a plain file is never waited for
	if socket && quick {
		ch.r = &pollReader{fd: in, wait: []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}}}
	}
	if socket {
		ch.cut = func() { _ = syscall.Shutdown(in, syscall.SHUT_RD) } // the peer may have gone
	}
	return ch, nil
}

// pollReader reads a socket that blocks. It sleeps in poll: who sleeps in read is also woken, for nothing, whenever the peer has taken
// something that was written, which costs both sides more than the second system call.
type pollReader struct {
	fd   int
	wait []unix.PollFd
}

func (r *pollReader) Read(b []byte) (int, error) {
	for {
		if _, err := unix.Poll(r.wait, -1); err != nil && err != unix.EINTR {
			return 0, err
		}
		switch n, err := unix.Read(r.fd, b); {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func closeOther(r, w *os.File) error {
	if r == w {
		return nil
	}
	return r.Close()
}

// serve says hello and works until the connection, the server or ctx ends it.
func serve(ctx context.Context, ch channel, e Engine, token string, applications []string) error {
	if err := e.check(token, applications); err != nil {
		_ = ch.close() // the caller learns of its mistake
		return err
	}
	c := &conn{engine: e, gone: make(chan struct{}), in: reader{r: ch.r}, out: writer{w: ch.w}}
	c.changed.L = &c.mu
	c.out.hello(revcap.HelloFields{
		Version: revcap.Version, Name: e.Name, EngineVersion: e.Version, Ahead: max(e.Ahead, 1), Token: token, Applications: applications,
	})
	err := c.out.flush()
	var reading sync.WaitGroup
	told := make(chan struct{})
	release := context.AfterFunc(ctx, func() { // waited for below, if it runs
		defer close(told)
		c.end(context.Cause(ctx))
		ch.cut()
		c.out.event(revcap.Bye, 0, context.Cause(ctx).Error(), nil)
		_ = c.out.flush() // the next flush has the same error
	})
	if !e.Quick && err == nil {
		reading.Go(c.readAll) // ended by cut; waited for below
	}
	if err == nil {
		err = c.work()
	}
	if !release() {
		<-told
	}
	if flushErr := c.out.flush(); err == nil {
		err = flushErr
	}
	ch.cut()
	reading.Wait()
	if closeErr := ch.close(); err == nil && closeErr != nil {
		err = fmt.Errorf("sdk: %w", closeErr)
	}
	return cause(ctx, err)
}
