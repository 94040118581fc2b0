package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

const (
	defaultBreakWait = 5 * time.Second
	readBuffer       = 16 << 10 // bytes
	shortFrame       = 16 << 10 // bytes; what is longer may wait for a server that reads slowly
	trustedSize      = 1 << 20  // bytes; memory for longer replies grows with what has come, not with what the header says
)

// link carries frames: a reader hands payloads over, and who has the turn writes.
type link struct {
	// Fixed at dial.
	nc        net.Conn
	maxReply  int
	breakWait time.Duration
	turnWait  time.Duration // see turnWait

	frames   chan []byte   // payloads, from the reader; holds at most one, then the reader stops and TCP slows the server down
	closed   chan struct{} // closed by fail
	readDone chan struct{} // closed by the reader when it ends

	// Guarded by errMu.
	errMu sync.Mutex
	err   error // why the connection cannot be used any more
}

func newLink(nc net.Conn, o Options) *link {
	l := &link{
		nc: nc, maxReply: o.MaxReply, breakWait: o.BreakWait, turnWait: turnWait,
		frames: make(chan []byte, 1), closed: make(chan struct{}), readDone: make(chan struct{}),
	}
	if l.maxReply <= 0 || l.maxReply > frame.MaxSize {
		l.maxReply = frame.MaxSize
	}
	if l.breakWait == 0 {
		l.breakWait = defaultBreakWait
	}
	return l
}

// why returns the reason for which the connection cannot be used any more, or nil.
func (l *link) why() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.err
}

// fail closes the connection for the reason err, unless it is closed already.
func (l *link) fail(err error) {
	l.errMu.Lock()
	first := l.err == nil
	if first {
		l.err = err
	}
	l.errMu.Unlock()
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

// broken fails the connection and returns the error for the caller.
func (l *link) broken(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	l.fail(err)
	return err
}

// read hands payloads over until the connection ends.
func (l *link) read() {
	defer close(l.readDone)
	r := bufio.NewReaderSize(l.nc, readBuffer)
	for {
		payload, err := readFrame(r, l.maxReply)
		if err != nil {
			l.fail(fmt.Errorf("%w: %w", ErrBroken, err))
			return
		}
		if len(payload) == 0 {
			continue // a sign of life
		}
		select {
		case l.frames <- payload:
		case <-l.closed:
			return
		}
	}
}

// readFrame returns the payload of the next frame, in memory of its own.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var header [frame.HeaderLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size, _, err := frame.ParsePadded(header[:], limit)
	if err != nil {
		return nil, err
	}
	if size <= trustedSize {
		payload := make([]byte, size)
		_, err = io.ReadFull(r, payload)
		return payload, whole(err)
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, r, int64(size))
	return b.Bytes(), whole(err)
}

// whole names the end of a connection in the middle of a frame.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)

// write sends a frame. When ctx ends in the middle of it, the connection is broken. A short frame is sent whole in any case: it waits
// for nothing, and ctx, if it ends at this very moment, shall not cost the connection.
func (l *link) write(ctx context.Context, b []byte) error {
	if len(b) <= shortFrame {
		return l.writeSoon(b)
	}
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = l.nc.SetWriteDeadline(past) // fails on a closed connection only
		close(late)
	})
	_, err := l.nc.Write(b)
	if !stop() {
		<-late
		_ = l.nc.SetWriteDeadline(time.Time{})
	}
	if err = l.written(err); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// writeSoon sends a short frame without a context.
func (l *link) writeSoon(b []byte) error {
	_ = l.nc.SetWriteDeadline(time.Now().Add(max(l.breakWait, time.Second)))
	defer func() { _ = l.nc.SetWriteDeadline(time.Time{}) }()
	_, err := l.nc.Write(b)
	return l.written(err)
}

// written fails the connection after an error. Why the server has closed it may have come before: then that is the error.
func (l *link) written(err error) error {
	if err == nil {
		return nil
	}
	select {
	case payload := <-l.frames:
		if r, parseErr := parse(payload); parseErr == nil && r.Code == oes.Failed {
			err = failure(nil, r.Body)
		}
	default:
	}
	if err = l.broken(err); errors.Is(l.why(), ErrClosed) {
		return ErrClosed
	}
	return err
}

// parse reads a reply. The prefix rule need not be known: no reply is right by both.
func parse(payload []byte) (oes.Reply, error) {
	if r, err := oes.ParseReply(payload, true); err == nil {
		return r, nil
	}
	return oes.ParseReply(payload, false)
}

// failure is the error that a reply Failed stands for. output is what came before it.
func failure(output, body []byte) *ServerError {
	text, rest, _ := frame.Cut(body)
	e := &ServerError{Text: string(text)}
	if len(output)+len(rest) > 0 {
		e.Output = append(output, rest...)
	}
	return e
}
