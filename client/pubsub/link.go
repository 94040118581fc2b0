package pubsub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

const (
	readBuffer     = 64 << 10 // bytes
	keepReadBuffer = 1 << 20  // bytes; a larger one is given back when it is empty
	firstAnswer    = 64 << 10 // bytes; the largest answer of a server that is not known yet
)

// link is one connection to one server.
type link struct {
	conn *Conn // set by attach

	// Fixed once the server has said welcome.
	nc      net.Conn
	server  string // logical connection name
	welcome message.Welcome

	in input // owned by the goroutine that reads

	bell    chan struct{} // wakes the writer; has room for one
	closed  chan struct{} // closed by fail
	written chan struct{} // closed by the writer when it ends
	unsent  []byte        // whole frames that it could not send; set before written is closed

	// Guarded by Conn.mu.
	leaving bool         // the output ends with the farewell
	asked   []chan error // who waits for a sign of life, in order; each has room for one; nil: nobody

	// Guarded by mu.
	mu  sync.Mutex
	err error // why the link has ended
}

// why returns the reason for which the link has ended, or nil.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// fail ends the link for the reason err, unless it has ended already.
func (l *link) fail(err error) {
	l.mu.Lock()
	first := l.err == nil
	if first {
		l.err = err
	}
	l.mu.Unlock()
	if !first {
		return
	}
	close(l.closed)
	raw := l.nc
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn() // the farewell of TLS would wait for a server that takes nothing
	}
	_ = raw.Close() // nothing is left to be done about it
}

// write sends b. A server that takes nothing for as long as timeout fails it.
func (l *link) write(b []byte, timeout time.Duration) (sent int, err error) {
	const piece = 1 << 20 // bytes, each with the whole time
	for sent < len(b) {
		if timeout > 0 {
			_ = l.nc.SetWriteDeadline(time.Now().Add(timeout)) // fails on a closed connection only
		}
		n, err := l.nc.Write(b[sent:min(len(b), sent+piece)])
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// closeWrite tells the server that nothing more comes, so that it ends the connection.
func (l *link) closeWrite() {
	if nc, ok := l.nc.(interface{ CloseWrite() error }); ok {
		_ = nc.CloseWrite() // a link that has ended needs none
	}
}

// dialer connects to servers. It is owned by the goroutine that reads, once there is one.
type dialer struct {
	options *Options
	servers []address
	hello   message.Hello // LastServer changes
}

// round tries each server once.
func (d *dialer) round(ctx context.Context) (*link, error) {
	order := make([]int, len(d.servers))
	for i := range order {
		order[i] = i
	}
	if !d.options.InOrder {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	var all []error
	for _, i := range order {
		l, err := d.open(ctx, d.servers[i])
		if err == nil {
			return l, nil
		}
		if all = append(all, err); ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(all...)
}

// open connects to a server and introduces the client.
func (d *dialer) open(ctx context.Context, a address) (*link, error) {
	if d.options.ConnectTimeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, d.options.ConnectTimeout, fmt.Errorf("no connection within %v", d.options.ConnectTimeout))
		defer stop()
	}
	l, err := d.greet(ctx, a)
	if err != nil {
		var refused *ServerError
		if ctx.Err() != nil && !errors.As(err, &refused) {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("pubsub: server %s: %w", a.name, err)
	}
	return l, nil
}

func (d *dialer) greet(ctx context.Context, a address) (*link, error) {
	nc, err := d.options.DialContext(ctx, a.network, a.target)
	if err != nil {
		return nil, err
	}
	if a.tls || d.options.TLS != nil && a.network == "tcp" {
		if nc, err = secure(ctx, nc, a.host, d.options.TLS); err != nil {
			return nil, err
		}
	}
	l := &link{nc: nc, server: a.name, bell: make(chan struct{}, 1), closed: make(chan struct{}), written: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { l.fail(context.Cause(ctx)) })
	err = l.introduce(&d.hello)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.fail(err)
		return nil, err
	}
	l.in.limit = d.options.MaxMessage
	return l, nil
}

func secure(ctx context.Context, nc net.Conn, host string, cfg *tls.Config) (net.Conn, error) {
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	secured := tls.Client(nc, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // the handshake's error says more
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secured, nil
}

// introduce says hello and reads the answer.
func (l *link) introduce(hello *message.Hello) error {
	b := message.EndFrame(message.AppendHello(message.BeginFrame(nil), hello), 0)
	if _, err := l.nc.Write(b); err != nil {
		return err
	}
	l.in.limit = firstAnswer
	for {
		payload, ok, err := l.in.next()
		if err != nil {
			return err
		}
		if !ok {
			if err = l.in.fill(l.nc); err != nil {
				return whole(err)
			}
			continue
		}
		var m message.Message
		if err = message.Parse(payload, &m); err != nil {
			return err
		}
		switch m.Type {
		case message.TypeKeepAliveCall: // whoever has not been let in need not answer
			continue
		case message.TypeClientCloseCall:
			return closeReason(&m)
		}
		if err = message.ParseWelcome(&m, &l.welcome); err == nil && l.welcome.Code != message.CodeOK {
			err = &ServerError{Code: l.welcome.Code, Text: l.welcome.Text}
		}
		return err
	}
}

// closeReason is what a server says before it closes.
func closeReason(m *message.Message) error {
	said := Msg{Fields: m.Fields}
	text, _ := said.Field(0) // what is not there, or something else, leaves the error as it is
	code, _ := said.Field(1)
	e := &ServerError{Code: message.CodeFailure}
	if reason, err := text.Text(); err == nil {
		e.Text = reason
	}
	if n, err := code.Int(); err == nil {
		e.Code = message.Code(n)
	}
	return e
}

// whole names the end of a connection in the middle of something.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// input takes frames out of what comes.
type input struct {
	buf        []byte
	start, end int // what is unread
	limit      int // bytes of a message
}

// next returns the payload of the next frame, which aliases the buffer until fill is called; false: it is not there yet.
func (in *input) next() (payload []byte, ok bool, err error) {
	b := in.buf[in.start:in.end]
	size, n, err := frame.ParseHeader(b, in.limit)
	if err != nil || n == 0 || len(b) < n+size {
		return nil, false, err
	}
	in.start += n + size
	return b[n : n+size : n+size], true, nil
}

// fill reads once, and makes room for that. The buffer grows with what has come, not with what a header says.
func (in *input) fill(r io.Reader) error {
	switch {
	case in.start == in.end:
		in.start, in.end = 0, 0
		if in.buf == nil || len(in.buf) > keepReadBuffer {
			in.buf = make([]byte, readBuffer)
		}
	case in.start > len(in.buf)/2 || in.end == len(in.buf) && in.start > 0:
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
	}
	if in.end == len(in.buf) {
		in.buf = append(in.buf, make([]byte, len(in.buf))...)
	}
	n, err := r.Read(in.buf[in.end:])
	in.end += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}
