package config

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// LineWriter hands lines to a goroutine that writes them, so that a loop that logs never waits for a disk, a terminal or a
// pipe. When 1024 writes wait, further ones are dropped; their lines are counted, and those that cannot be written, too. It is safe for
// concurrent use.
type LineWriter struct {
	// Fixed at start.
	to    io.Writer
	lines chan []byte
	done  chan struct{} // closed when the goroutine has ended
	// Any goroutine.
	dropped atomic.Int64
	mu      sync.RWMutex // guards closed against Write
	closed  bool
}

// NewLineWriter returns a writer whose lines go to w. Close it.
func NewLineWriter(w io.Writer) *LineWriter {
	l := &LineWriter{to: w, lines: make(chan []byte, 1024), done: make(chan struct{})}
	go l.run() // ends when Close closes lines, which waits for it
	return l
}

func (l *LineWriter) run() {
	defer close(l.done)
	for b := range l.lines {
		if _, err := l.to.Write(b); err != nil { // there is nowhere to tell but the counter
			l.dropped.Add(countLines(b))
		}
	}
}

func countLines(b []byte) int64 { return int64(max(1, bytes.Count(b, []byte{'\n'}))) }

// Write takes one line, or several whole ones. It never blocks and never fails; after Close it writes at once.
func (l *LineWriter) Write(b []byte) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return l.to.Write(b)
	}
	select {
	case l.lines <- append([]byte(nil), b...):
	default:
		l.dropped.Add(countLines(b))
	}
	return len(b), nil
}

// Unwrap returns where the lines go.
func (l *LineWriter) Unwrap() io.Writer { return l.to }

// Dropped is the number of lines that nobody will see.
func (l *LineWriter) Dropped() int64 { return l.dropped.Load() }

// Close writes what waits. It may be called more than once.
func (l *LineWriter) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	<-l.done
	return nil
}
