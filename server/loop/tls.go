package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/valyala/bytebufferpool"
)

const handshakeTime = 10 * time.Second // how long a TLS handshake may take

// tlsState is the TLS side of a connection: a stock crypto/tls connection over memory that the loop feeds. It is owned by the
// loop once the handshake is done.
type tlsState struct {
	conn  *tls.Conn
	mem   *memConn
	plain *bytebufferpool.ByteBuffer // output not yet sealed; nil when none
	bye   bool                       // close_notify is sent
	eof   bool                       // close_notify has come
}

// handshake runs in a goroutine, on the blocking connection nc.
func (a *arrival) handshake(ctx context.Context, nc net.Conn, cfg *tls.Config, client bool) (err error) {
	c := a.c
	g := c.loop.group
	ctx, cancel := context.WithTimeout(ctx, g.handshakeTime)
	defer cancel()
	defer func() {
		if r := recover(); r != nil { // in a callback of the configuration
			err = errPanic
			g.panicked("panic in a TLS handshake", r)
		}
	}()
	if a.preface != nil {
		if err := send(ctx, nc, a.preface(c.address.addr(nc), c.id)); err != nil {
			return fmt.Errorf("loop: before the TLS handshake: %w", err)
		}
	}
	g.handshakes <- struct{}{} // for the computing only: memConn gives it back while it waits for the peer
	defer func() { <-g.handshakes }()
	mem := &memConn{Conn: nc, c: c}
	t := &tlsState{mem: mem}
	if client {
		t.conn = tls.Client(mem, cfg)
	} else {
		t.conn = tls.Server(mem, cfg)
	}
	if err := t.conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("loop: TLS handshake: %w", err)
	}
	mem.live = true
	c.tls = t
	return nil
}

// send writes b to a blocking connection, until ctx ends.
func send(ctx context.Context, nc net.Conn, b []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetWriteDeadline(time.Unix(1, 0)) }) // an error means that it is closed
	_, err := nc.Write(b)
	if !stop() { // then the deadline is set, or about to be
		err = ctx.Err()
	}
	return err
}

// TLS returns the state of the TLS connection; ok is false on a plain one.
func (c *Conn) TLS() (s tls.ConnectionState, ok bool) {
	if c.tls == nil {
		return s, false
	}
	return c.tls.conn.ConnectionState(), true
}

// memConn is what crypto/tls reads from and writes to: the socket during the handshake, afterwards the loop's memory.
type memConn struct {
	net.Conn
	live bool
	c    *Conn
	in   []byte // sealed input not yet opened: valid during a callback
	kept []byte // sealed input that a paused connection left: ours
}

// errNoInput is a temporary network error: crypto/tls keeps its state on those.
var errNoInput net.Error = noInput{}

type noInput struct{}

func (noInput) Error() string   { return "loop: no input yet" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

func (m *memConn) Read(p []byte) (int, error) {
	if !m.live {
		slots := m.c.loop.group.handshakes
		<-slots
		defer func() { slots <- struct{}{} }()
		return m.Conn.Read(p)
	}
	src := &m.kept
	if len(m.kept) == 0 {
		src = &m.in
	}
	if len(*src) == 0 {
		return 0, errNoInput
	}
	n := copy(p, *src)
	*src = (*src)[n:]
	return n, nil
}

func (m *memConn) Write(p []byte) (int, error) {
	if !m.live {
		return m.Conn.Write(p)
	}
	buf := m.c.out.buffer()
	buf.B = append(buf.B, p...)
	return len(p), nil
}

func (m *memConn) Close() error {
	if !m.live {
		return m.Conn.Close()
	}
	return nil
}

func (m *memConn) SetDeadline(t time.Time) error {
	if !m.live {
		return m.Conn.SetDeadline(t)
	}
	return nil
}

func (m *memConn) SetReadDeadline(t time.Time) error {
	if !m.live {
		return m.Conn.SetReadDeadline(t)
	}
	return nil
}

func (m *memConn) SetWriteDeadline(t time.Time) error {
	if !m.live {
		return m.Conn.SetWriteDeadline(t)
	}
	return nil
}

func (t *tlsState) buffer() *bytebufferpool.ByteBuffer {
	if t.plain == nil {
		t.plain = t.mem.c.loop.spares.get()
	}
	return t.plain
}

func (t *tlsState) write(b []byte) { t.buffer().B = append(t.plain.B, b...) }

func (t *tlsState) plainLen() int {
	if t.plain == nil {
		return 0
	}
	return len(t.plain.B)
}

// seal encrypts the output into the connection's buffer, and takes leave when the connection is closing.
func (t *tlsState) seal(closing bool) {
	if t.plainLen() > 0 {
		// Writes to memory only; an error means that the connection has failed, which pump finds out.
		_, _ = t.conn.Write(t.plain.B)
	}
	if t.plain != nil {
		t.mem.c.loop.spares.put(t.plain)
		t.plain = nil
	}
	if closing && !t.bye {
		t.bye = true
		_ = t.conn.CloseWrite() // as above
	}
}

// incoming takes sealed input; pump opens it.
func (t *tlsState) incoming(b []byte) { t.mem.in = b }

// pump opens sealed input and offers it to the session until there is no more, or the session pauses.
func (t *tlsState) pump(c *Conn) {
	defer contain(c) // crypto/tls calls functions of its configuration
	l := c.loop
	if l.plain == nil {
		l.plain = make([]byte, 32<<10)
	}
	c.in.offer(nil)
	for c.state == connOpen && !c.in.paused && !t.eof {
		n, err := t.conn.Read(l.plain)
		if n > 0 {
			c.in.offer(l.plain[:n])
		}
		if err != nil {
			if n == 0 || c.state == connOpen && !c.in.paused { // else the next Read says it again
				t.ended(c, err)
			}
			break
		}
	}
	if len(t.mem.in) > 0 {
		t.mem.kept = append(t.mem.kept, t.mem.in...)
	} else if len(t.mem.kept) == 0 {
		t.mem.kept = nil
	}
	t.mem.in = nil
	if c.state == connOpen && c.out.buf != nil {
		c.out.queue() // crypto/tls answers some records by itself
	}
}

func (t *tlsState) ended(c *Conn, err error) {
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, io.EOF):
		t.eof = true
		if !c.peer.tell() {
			c.Close()
		}
	default:
		c.err = err
		c.Close()
	}
}
