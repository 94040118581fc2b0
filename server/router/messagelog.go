package router

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// messageLog writes messages to a file, as text, in a goroutine of its own. Loops only copy a message; what the file cannot take in time
// is dropped and counted. Several options may name one file, which then has one log.
//
// Source: seed, "Message File Logging".
type messageLog struct {
	// Fixed at start.
	file  io.WriteCloser
	log   *slog.Logger
	named bool          // a line with the time and the connection stands in front of each message
	wake  chan struct{} // has room for one call
	done  chan struct{} // closed when the writer has ended

	dropped atomic.Int64

	mu      sync.Mutex // guards what follows; held for copying only
	waiting []byte     // records: time 8, connection 8, length 4, message
	closed  bool
}

const (
	maxLogWaiting = 16 << 20 // bytes; what comes on top is dropped
	logInterval   = 100 * time.Millisecond
	recordHead    = 20
)

func openLog(path string, named bool, log *slog.Logger) (*messageLog, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	l := &messageLog{file: f, log: log.With("file", path), named: named, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run() // ends with close, which waits for it
	return l, nil
}

// add notes a published message as clients get it.
func (l *messageLog) add(p *parcel, at *peer) {
	p.needFrame()
	l.note(p.frame[frameHeader:], at)
}

// note copies a message.
func (l *messageLog) note(m []byte, at *peer) {
	now := at.shard.loop.Now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.waiting)+recordHead+len(m) > maxLogWaiting {
		l.dropped.Add(1)
		return
	}
	if len(l.waiting) == 0 {
		select {
		case l.wake <- struct{}{}:
		default: // it is awake
		}
	}
	b := binary.BigEndian.AppendUint64(l.waiting, uint64(now))
	b = binary.BigEndian.AppendUint64(b, at.id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
	l.waiting = append(b, m...)
}

// run writes what waits, a tenth of a second after the first of it came.
func (l *messageLog) run() {
	defer close(l.done)
	var spare, out []byte
	var lost int64
	for range l.wake {
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if !closed {
			time.Sleep(logInterval) // gathers
		}
		l.mu.Lock()
		records := l.waiting
		l.waiting, closed = spare[:0], l.closed
		l.mu.Unlock()
		out = l.append(out[:0], records)
		spare = records
		if _, err := l.file.Write(out); err != nil {
			l.log.Error("messages were not logged", "error", err)
		}
		if n := l.dropped.Load(); n > lost {
			l.log.Warn("messages were not logged: the file is too slow", "messages", n-lost)
			lost = n
		}
		if closed {
			return
		}
	}
}

// append formats records.
func (l *messageLog) append(out, records []byte) []byte {
	var m message.Message
	for len(records) > 0 {
		at, conn := int64(binary.BigEndian.Uint64(records)), binary.BigEndian.Uint64(records[8:])
		end := recordHead + int(binary.BigEndian.Uint32(records[16:]))
		if message.Parse(records[recordHead:end], &m) == nil {
			if l.named {
				out = fmt.Appendf(out, "// %s conn %d\n", time.UnixMicro(at).UTC().Format(time.RFC3339Nano), conn)
			}
			out = message.AppendText(out, &m, nil)
			if !bytes.HasSuffix(out, []byte("\n")) {
				out = append(out, '\n')
			}
		}
		records = records[end:]
	}
	return out
}

// close writes what waits and closes the file.
func (l *messageLog) close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-l.done
	return l.file.Close()
}

// logs are the message files that are open.
type logs struct {
	mu   sync.Mutex // guards open
	open map[string]*messageLog
}

// switchLogs opens the files that are asked for, gives them to the loops and closes those that are asked for no more. On an error the
// others are as asked.
func (d *Door) switchLogs(cfg *config.RouterLog) error {
	d.logs.mu.Lock()
	defer d.logs.mu.Unlock()
	next := map[string]*messageLog{}
	var errs []error
	get := func(path string) *messageLog {
		if path == "" {
			return nil
		}
		l := next[path]
		if l == nil {
			l = d.logs.open[path]
		}
		if l == nil {
			var err error
			if l, err = openLog(path, cfg.Verbose, d.log); err != nil {
				errs = append(errs, fmt.Errorf("message file: %w", err))
				return nil
			}
		}
		next[path] = l
		return l
	}
	in, out := get(cfg.InClient), get(cfg.OutClient)
	d.group.Each(func(l *loop.Loop) {
		s := d.shards[l.Index()]
		s.logIn, s.logOut = in, out
	})
	for path, l := range d.logs.open {
		if next[path] != l {
			errs = append(errs, l.close())
		}
	}
	d.logs.open = next
	return errors.Join(errs...)
}

// closeLogs is called when the loops have ended.
func (d *Door) closeLogs() error {
	d.logs.mu.Lock()
	defer d.logs.mu.Unlock()
	var errs []error
	for _, l := range d.logs.open {
		errs = append(errs, l.close())
	}
	d.logs.open = nil
	return errors.Join(errs...)
}

// LogDropped is how many messages were not logged because a file was too slow.
func (d *Door) LogDropped() (n int64) {
	d.logs.mu.Lock()
	defer d.logs.mu.Unlock()
	for _, l := range d.logs.open {
		n += l.dropped.Load()
	}
	return n
}
