package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"roundhouse/codec/natswire"
)

// readBytes is the size of the read buffer of a connection that subscribes; it is as large as the largest MSG at least.
const readBytes = 256 << 10

// connectJSON is what every client says of itself; it is what nats.go says, but for names.
const connectJSON = `{"verbose":false,"pedantic":false,"tls_required":false,"name":"","lang":"go","version":"1.0.0","protocol":1,"echo":true,"headers":true,"no_responders":true}`

// NATSWire dials NATS servers, and writes and reads their protocol itself, so that no client library is measured.
type NATSWire struct{}

// natsConn is a connection to a NATS server.
type natsConn struct {
	nc      io.WriteCloser // Close makes its reader end
	name    string         // its local address
	fail    func(error)
	handler atomic.Pointer[Handler]
	pongs   chan struct{}
	ended   chan struct{} // closed when its reader has ended
	err     error         // why; to be read once ended is closed
	closing atomic.Bool
	// Owned by its reader.
	buf  []byte
	have int
	// Guarded by mu.
	mu  sync.Mutex
	out []byte
}

func newNATSConn(nc io.WriteCloser, name string, fail func(error)) *natsConn {
	const first = 16 << 10 // it grows where much comes
	return &natsConn{nc: nc, name: name, fail: fail, pongs: make(chan struct{}, 1), ended: make(chan struct{}), buf: make([]byte, first)}
}

// Name returns what it is given.
func (NATSWire) Name(nats string) string { return nats }

// Dial connects, and returns when the server has answered the first PING.
func (NATSWire) Dial(ctx context.Context, address string, fail func(error)) (Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := newNATSConn(nc, nc.LocalAddr().String(), fail)
	go func() { // ends with the connection; Close waits for it
		for {
			n, err := nc.Read(c.buf[c.have:])
			if !c.input(n, err) {
				return
			}
		}
	}()
	return c, c.greet(ctx)
}

// greet returns when the server has answered the first PING. When it fails the connection is closed.
func (c *natsConn) greet(ctx context.Context) error {
	_, err := c.nc.Write(natswire.AppendConnect(nil, []byte(connectJSON)))
	if err == nil {
		err = c.Sync(ctx)
	}
	if err != nil {
		c.Close()
	}
	return err
}

// input handles what was read behind the first c.have bytes of c.buf. False: the connection has ended.
func (c *natsConn) input(n int, err error) bool {
	if err != nil {
		err = fmt.Errorf("load: connection %s lost: %w", c.name, err)
	} else {
		err = c.consume(n)
	}
	if err == nil {
		return true
	}
	if !c.closing.Load() {
		c.fail(err)
	}
	c.err = err
	close(c.ended)
	return false
}

// consume handles n more bytes.
func (c *natsConn) consume(n int) error {
	c.have += n
	full := c.have == len(c.buf)
	at, err := c.take(c.buf[:c.have])
	if err != nil {
		return err
	}
	c.Flush()
	c.have = copy(c.buf, c.buf[at:c.have])
	switch {
	case full && len(c.buf) < readBytes, c.have == len(c.buf) && c.have < natswire.DefaultPayload+natswire.DefaultLine:
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	case c.have == len(c.buf):
		return fmt.Errorf("load: a command of more than %d bytes", c.have)
	}
	return nil
}

// take handles the commands of b and returns where the first one begins that is not complete.
func (c *natsConn) take(b []byte) (at int, err error) {
	lim := natswire.Limits{Line: natswire.DefaultLine, Payload: natswire.DefaultPayload}
	var cmd natswire.Command
	var m Message
	var h Handler
	if p := c.handler.Load(); p != nil {
		h = *p
	}
	messages := false
	for {
		n, err := natswire.ParseServer(b[at:], &cmd, &lim)
		if err != nil {
			return at, fmt.Errorf("load: %q: %w", b[at:min(len(b), at+80)], err)
		}
		if n == 0 {
			break
		}
		at += n
		if cmd.Op == natswire.OpMsg && h != nil {
			m.Subject, m.Reply, m.Payload = cmd.Subject, cmd.Reply, cmd.Payload
			h.Message(&m)
			messages = true
		} else if err := c.other(&cmd); err != nil {
			return at, err
		}
	}
	if messages {
		h.Turn()
	}
	return at, nil
}

// other handles what is no plain message.
func (c *natsConn) other(cmd *natswire.Command) error {
	switch cmd.Op {
	case natswire.OpPing:
		c.mu.Lock()
		c.out = append(c.out, natswire.Pong...)
		c.mu.Unlock()
	case natswire.OpPong:
		select {
		case c.pongs <- struct{}{}:
		default: // nobody asked
		}
	case natswire.OpInfo, natswire.OpOK:
	case natswire.OpErr:
		return fmt.Errorf("load: the server says %s", cmd.Arg)
	default:
		return fmt.Errorf("load: a %s of %q with header %q", cmd.Op, cmd.Subject, cmd.Header)
	}
	return nil
}

// Subscribe subscribes to all patterns, the first being number 1.
func (c *natsConn) Subscribe(patterns []string, h Handler) error {
	c.handler.Store(&h)
	const chunk = 64 << 10
	var out []byte
	for i, pattern := range patterns {
		out = natswire.AppendSub(out, []byte(pattern), nil, strconv.AppendInt(nil, int64(i+1), 10))
		if len(out) < chunk && i < len(patterns)-1 {
			continue
		}
		if _, err := c.nc.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
	return nil
}

// Publish keeps a message until the end of the turn.
func (c *natsConn) Publish(subject, reply, payload []byte) {
	c.mu.Lock()
	c.out = natswire.AppendPub(c.out, subject, reply, payload)
	c.mu.Unlock()
}

// Flush writes what Publish kept.
func (c *natsConn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		return
	}
	if _, err := c.nc.Write(c.out); err != nil && !c.closing.Load() {
		c.fail(fmt.Errorf("load: %w", err))
	}
	c.out = c.out[:0]
}

// Sync sends a PING and waits for its PONG.
func (c *natsConn) Sync(ctx context.Context) error {
	c.Flush()
	if _, err := io.WriteString(c.nc, natswire.Ping); err != nil {
		return err
	}
	select {
	case <-c.pongs:
		return nil
	case <-c.ended:
		return errors.Join(errors.New("load: no answer to a PING"), c.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connection and waits for its reader.
func (c *natsConn) Close() {
	c.closing.Store(true)
	_ = c.nc.Close() // nothing was left to be sent
	<-c.ended
}

// natsPublisher has its messages written beforehand; only stamps change.
type natsPublisher struct {
	nc     io.Writer
	out    []byte // all messages, one after the other
	stamps []int  // where in out each of them has its stamp
	ends   []int  // where each ends
}

// Publisher writes all messages, more than one batch of them.
func (c *natsConn) Publisher(subjects []string, size int) (Publisher, error) {
	p := &natsPublisher{nc: c.nc}
	payload := NewPayload(size)
	count := len(subjects)
	for count*size < 4*batchBytes {
		count += len(subjects)
	}
	for i := range count {
		p.out = natswire.AppendPub(p.out, []byte(subjects[i%len(subjects)]), nil, payload)
		p.stamps = append(p.stamps, len(p.out)-size-len("\r\n"))
		p.ends = append(p.ends, len(p.out))
	}
	return p, nil
}

// Send stamps n messages and writes them with one call, or two at the end of the ring.
func (p *natsPublisher) Send(now int64, first uint64, n int) error {
	for n > 0 {
		i := int(Count(first) % uint64(len(p.ends)))
		end := min(i+n, len(p.ends))
		begin := 0
		if i > 0 {
			begin = p.ends[i-1]
		}
		for j, at := range p.stamps[i:end] {
			PutStamp(p.out[at:], now, first+uint64(j))
		}
		if _, err := p.nc.Write(p.out[begin:p.ends[end-1]]); err != nil {
			return err
		}
		first, n = first+uint64(end-i), n-(end-i)
	}
	return nil
}
