package router

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
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
	file    logFile
	log     *slog.Logger
	wake    chan struct{} // has room for one call
	done    chan struct{} // closed when the writer has ended
	dropped *atomic.Int64 // messages of all logs that are in no file

	// Any goroutine.
	named atomic.Bool // a line with the time and the connection stands in front of each message

	mu      sync.Mutex // guards what follows; held for copying only
	waiting []byte     // records: time 8, connection 8, length 4, message; at most maxLogWaiting bytes
	late    int64      // messages that found no room since the writer looked
	closed  bool

	// Owned by the writer.
	told time.Time // when it last complained
	lost int64     // since then
}

// logFile is what a log needs of an os.File.
type logFile interface {
	io.WriteCloser
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	SetWriteDeadline(t time.Time) error
}

const (
	maxLogWaiting = 16 << 20 // bytes; what comes on top is dropped
	logInterval   = 100 * time.Millisecond
	logPiece      = 256 << 10        // bytes that are formatted before they are written
	logKeep       = 4 * logPiece     // a larger buffer is not kept
	logLast       = 2 * time.Second  // that a pipe which takes nothing is waited for at the end
	logComplaint  = 10 * time.Second // between complaints
	recordHead    = 20
)

// openLog opens a file for appending. It does not wait for a pipe that nobody reads: that is an error.
func openLog(path string, log *slog.Logger, dropped *atomic.Int64) (*messageLog, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	l := &messageLog{file: f, log: log.With("file", path), dropped: dropped, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run() // ends with close, which waits for it
	return l, nil
}

// add notes a published message as clients get it.
func (l *messageLog) add(p *parcel, at *peer) {
	if len(p.plan.name) > message.MaxDest {
		l.dropped.Add(1) // no file of messages can hold it
		return
	}
	p.needFrame()
	l.note(p.frame[frameHeader:], at)
}

// note copies a message.
func (l *messageLog) note(m []byte, at *peer) {
	now := at.shard.loop.Now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.waiting)+recordHead+len(m) > maxLogWaiting {
		l.late++
		l.dropped.Add(1)
		return
	}
	if len(l.waiting) == 0 {
		l.ring()
	}
	b := binary.BigEndian.AppendUint64(l.waiting, uint64(now))
	b = binary.BigEndian.AppendUint64(b, at.id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
	l.waiting = append(b, m...)
}

// ring wakes the writer.
func (l *messageLog) ring() {
	select {
	case l.wake <- struct{}{}:
	default: // it was rung for already
	}
}

// run writes what waits, a tenth of a second after the first of it came.
func (l *messageLog) run() {
	defer close(l.done)
	var records, out []byte
	for range l.wake {
		if !l.closing() {
			time.Sleep(logInterval) // gathers
		}
		l.mu.Lock()
		records, l.waiting = l.waiting, records[:0]
		l.lost += l.late
		l.late = 0
		closed := l.closed
		l.mu.Unlock()
		for rest := records; len(rest) > 0; {
			var n int
			out, rest, n = l.format(out[:0], rest)
			if !l.write(out, n) {
				l.drop(rest, errLogSlow)
				break
			}
		}
		if cap(records) > logKeep {
			records = nil
		}
		if cap(out) > logKeep {
			out = nil
		}
		l.complain(nil, closed)
		if closed {
			return
		}
	}
}

func (l *messageLog) closing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// write writes n messages. None is left half written where that can be helped: the file would not be readable behind it. False: the time to
// do so is over.
func (l *messageLog) write(out []byte, n int) bool {
	done, err := l.file.Write(out)
	if err == nil {
		return true
	}
	if info, wrong := l.file.Stat(); done > 0 && wrong == nil && info.Mode().IsRegular() {
		_ = l.file.Truncate(info.Size() - int64(done)) // it stays as it is, then
	}
	l.lose(n, err)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (l *messageLog) lose(n int, why error) {
	l.lost += int64(n)
	l.dropped.Add(int64(n))
	l.complain(why, false)
}

// drop counts records as lost.
func (l *messageLog) drop(records []byte, why error) {
	n := 0
	for ; len(records) > 0; n++ {
		records = records[recordHead+int(binary.BigEndian.Uint32(records[16:])):]
	}
	l.lose(n, why)
}

// complain logs how many messages were dropped since it last did, not too often but for the last time.
func (l *messageLog) complain(err error, last bool) {
	if l.lost == 0 || !last && time.Since(l.told) < logComplaint {
		return
	}
	if err == nil {
		err = errLogSlow
	}
	l.log.Warn("messages are missing in a message file", "messages", l.lost, "reason", err)
	l.lost, l.told = 0, time.Now()
}

var errLogSlow = errors.New("the file is too slow, or did not take them")

// format appends some of the records, at least one, and returns those that are left and how many messages it has appended.
func (l *messageLog) format(out, records []byte) (text, rest []byte, n int) {
	var m message.Message
	named := l.named.Load()
	for len(records) > 0 && len(out) < logPiece {
		at, conn := int64(binary.BigEndian.Uint64(records)), binary.BigEndian.Uint64(records[8:])
		end := recordHead + int(binary.BigEndian.Uint32(records[16:]))
		if message.Parse(records[recordHead:end], &m) == nil { // always: it came or was made as a message
			if named {
				out = fmt.Appendf(out, "// %s conn %d\n", time.UnixMicro(at).UTC().Format(time.RFC3339Nano), conn)
			}
			veilMessage(&m)
			out = message.AppendText(out, &m, nil)
			n++
		}
		records = records[end:]
	}
	return out, records, n
}

// veilMessage takes passwords out of a message: that of a hello, and the whole text of a command with one.
func veilMessage(m *message.Message) {
	switch m.Type {
	case message.TypeConnectCall:
		var h message.Hello
		if message.ParseHello(m, &h) != nil {
			m.Fields = nil // who knows what is in it
		} else if h.Password != "" {
			h.Password = ""
			_ = message.Parse(message.AppendHello(nil, &h), m) // it was just made
		}
	case message.TypeControl:
		if text := string(m.Fields); veil(text) != text {
			m.Flags, m.Fields = 0, message.AppendStr(nil, veil(text))
		}
	}
}

// close writes what waits and closes the file. No loop has the log any more. What goes wrong is told, and no reason not to go on.
func (l *messageLog) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.file.SetWriteDeadline(time.Now().Add(logLast)) // a file on a disk has none, and takes what it gets
	l.ring()
	<-l.done
	if err := l.file.Close(); err != nil {
		l.log.Warn("a message file was not closed well", "error", err)
	}
}

// isAt tells whether the log's file is still that of the path: one that was moved away is to be opened anew.
func (l *messageLog) isAt(path string) bool {
	mine, err := l.file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(mine, now)
}

// logs are the message files that are open. The zero value is ready to use, by any goroutine.
type logs struct {
	dropped atomic.Int64 // messages, so far

	mu   sync.Mutex // guards open
	open map[string]*messageLog
}

// switchLogs opens the files that are asked for, gives them to the loops and closes those that are asked for no more. On an error nothing
// has changed.
func (d *Door) switchLogs(cfg *config.RouterLog) error {
	d.logs.mu.Lock()
	defer d.logs.mu.Unlock()
	next := map[string]*messageLog{}
	var wrong error
	get := func(path string) *messageLog {
		if path == "" || wrong != nil {
			return nil
		}
		path = filepath.Clean(path)
		if next[path] == nil {
			l := d.logs.open[path]
			if l == nil || !l.isAt(path) {
				if l, wrong = openLog(path, d.log, &d.logs.dropped); wrong != nil {
					return nil
				}
			}
			next[path] = l
		}
		return next[path]
	}
	in, out := get(cfg.InClient), get(cfg.OutClient)
	old := d.logs.open
	if wrong != nil {
		old, next = next, old // those that were opened meanwhile
	} else {
		for _, l := range next {
			l.named.Store(cfg.Verbose)
		}
		d.group.Each(func(l *loop.Loop) {
			s := d.shards[l.Index()]
			s.logIn, s.logOut = in, out
		})
		d.logs.open = next
	}
	for path, l := range old {
		if next[path] != l {
			l.close()
		}
	}
	if wrong != nil {
		return fmt.Errorf("message file: %w", wrong)
	}
	return nil
}

// close is called when the loops have ended.
func (o *logs) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.open {
		l.close()
	}
	o.open = nil
}

// LogDropped is how many messages are in no message file, though one was open: the file was too slow, or did not take them.
func (d *Door) LogDropped() (n int64) { return d.logs.dropped.Load() }
