package sdk

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

const (
	minBuffer  = 64 << 10 // bytes that are read at once
	keepBuffer = 1 << 20  // bytes of memory that are kept after a large frame
	largeBody  = 16 << 10 // bytes from which a body is written from where it is, not copied
)

var past = time.Unix(1, 0) // a deadline that ends reads

// reader cuts the stream into frames. It belongs to one goroutine.
type reader struct {
	r        io.Reader
	buf      []byte
	from, to int // buf[from:to] has come and is not yet used
}

// frame returns the payload of the next frame, or false when it has not come yet. The payload is valid until fill.
func (r *reader) frame() (payload []byte, ok bool, err error) {
	b := r.buf[r.from:r.to]
	size, n, err := frame.ParseHeader(b, frame.MaxSize)
	if err != nil || n == 0 || len(b) < n+size {
		return nil, false, err
	}
	r.from += n + size
	return b[n : n+size : n+size], true, nil
}

// fill reads once. keep: payloads that were handed out stay valid, because new memory is used where old would be moved.
// Memory grows with what has come, at most to twice as much.
func (r *reader) fill(keep bool) error {
	waiting := r.buf[r.from:r.to]
	switch {
	case len(waiting) == 0 && !keep && len(r.buf) > 0 && len(r.buf) <= keepBuffer:
		r.from, r.to = 0, 0
	case len(r.buf)-r.to < minBuffer/8 || len(r.buf) > keepBuffer && len(waiting) < minBuffer:
		into := r.buf
		if keep || 2*len(waiting) >= len(into) || len(into) > keepBuffer {
			into = make([]byte, max(minBuffer, 2*len(waiting)))
		}
		r.from, r.to = 0, copy(into, waiting)
		r.buf = into
	}
	n, err := r.r.Read(r.buf[r.to:])
	r.to += n
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// writer collects events and writes them. Any goroutine may use it.
type writer struct {
	w io.Writer
	// Guarded by mu.
	mu  sync.Mutex
	buf []byte // at most minBuffer bytes and one event with a body below largeBody
	err error  // the first one: nothing is written after it
}

// event adds an event. A large body is written at once, with all before it.
func (w *writer) event(s revcap.Status, rid uint64, text string, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(text) > maxText || strings.IndexByte(text, frame.Delimiter) >= 0 {
		text = strings.ReplaceAll(text[:min(len(text), maxText)], "\x01", " ")
	}
	if len(body) < largeBody {
		w.buf = revcap.AppendEvent(w.buf, s, rid, text, body)
		if len(w.buf) >= minBuffer {
			w.flushLocked()
		}
		return
	}
	w.buf = revcap.AppendEventHead(w.buf, s, rid, text, len(body))
	if w.err == nil {
		pieces := net.Buffers{w.buf, body}
		_, w.err = pieces.WriteTo(w.w)
	}
	w.buf = w.buf[:0]
}

// maxText keeps a head below revcap.MaxHead, in bytes.
const maxText = 60 << 10

func (w *writer) hello(h revcap.HelloFields) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = revcap.AppendHello(w.buf, h)
}

func (w *writer) raw(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, b...)
}

// flush writes what was collected.
func (w *writer) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushLocked()
	return w.err
}

func (w *writer) flushLocked() {
	if len(w.buf) > 0 && w.err == nil {
		if _, err := w.w.Write(w.buf); err != nil {
			w.err = fmt.Errorf("%w: %w", ErrGone, err)
		}
	}
	w.buf = w.buf[:0]
}

// ended tells whether err is how a connection ends that has nothing wrong.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
