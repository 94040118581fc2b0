package relay

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/logfile"
)

// accessLog writes records that the loops hand over, in a goroutine: no loop waits for a disk. When it cannot keep up, records are
// dropped and counted.
type accessLog struct {
	// Fixed at open.
	form     recordForm // formNone: nothing is written
	original bool       // each record is a line of the original's shape
	logged   bool       // they go where the program's log goes, and its verbosity holds for them
	out      io.Writer
	file     *logfile.File // out, if it is a file of their own
	log      *slog.Logger
	batches  chan []byte // at most 256 batches
	done     sync.WaitGroup
	// Any goroutine.
	dropped atomic.Int64
}

// The destinations of records that are no file.
const (
	recordsToStderr = "-"
	recordsToLog    = "log"
)

// openAccessLog opens where the records of a configuration go.
func openAccessLog(cfg *config.Config, log *slog.Logger) (a *accessLog, err error) {
	a = &accessLog{log: log}
	header := func() []byte { return nil }
	switch cfg.Relay.AccessLog {
	case "":
		return a, nil
	case recordsToStderr:
		a.form, a.original = formOf(cfg.Log.Records, "")
		a.out = os.Stderr
	case recordsToLog:
		w, format, ok := config.Output(log)
		if !ok {
			w, format = lineLog{log}, "rs"
		}
		a.logged, a.out = true, w
		a.form, a.original = formOf(cfg.Log.Records, format)
		a.original = a.original && ok
	default:
		a.form, a.original = formOf(cfg.Log.Records, "")
		if a.file, err = logfile.Open(cfg.Relay.AccessLog, logfile.Options{MaxSize: cfg.Log.MaxSize}); err != nil {
			return nil, err
		}
		a.out = a.file
	}
	if a.form == formRSR {
		header = a.header
	}
	if err := a.begin(header); err != nil {
		return nil, err
	}
	a.batches = make(chan []byte, 256)
	a.done.Add(1)
	go a.run() // ends when close closes batches, which waits for it
	return a, nil
}

// begin writes the header, now and at the start of each new file.
func (a *accessLog) begin(header func() []byte) error {
	out := a.out
	if l, ok := out.(interface{ Unwrap() io.Writer }); ok {
		out = l.Unwrap()
	}
	if f, ok := out.(*logfile.File); ok {
		return f.SetHeader(header)
	}
	if b := header(); len(b) > 0 {
		_, err := a.out.Write(b)
		return err
	}
	return nil
}

// header is the line that names the columns.
func (a *accessLog) header() []byte {
	var b []byte
	if a.original {
		b = logfile.AppendHead(b, slog.LevelInfo, time.Time{}, 0, logfile.Index{})
	}
	return append(append(b, recordHeader()...), '\n')
}

// lineLog writes lines through a logger that is not one of ours.
type lineLog struct{ log *slog.Logger }

func (l lineLog) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		l.log.Info("record", "line", string(bytes.TrimSpace(line)))
	}
	return len(b), nil
}

func (a *accessLog) run() {
	defer a.done.Done()
	failing := false
	for b := range a.batches {
		_, err := a.out.Write(b)
		if err != nil {
			a.dropped.Add(int64(bytes.Count(b, []byte{'\n'})))
		}
		if err != nil && !failing { // once, not for each batch
			a.log.Error("records of requests cannot be written, and are dropped and counted", "error", err)
		}
		failing = err != nil
	}
}

func (a *accessLog) close() error {
	if a.form == formNone {
		return nil
	}
	close(a.batches)
	a.done.Wait()
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// ArchiveRecords puts the file of the records away, if they have one of their own, and returns its new name. It is called off the loops.
func (r *Relay) ArchiveRecords() (name string, err error) {
	if r.access.file == nil {
		return "", nil
	}
	return r.access.file.Archive()
}

// logBatch is how many bytes of records are handed over at once, unless the flush timer comes first.
const (
	logBatch = 16 << 10
	logDelay = 200 * time.Millisecond
)

func (s *shard) maybeFlushAccesses() {
	if len(s.accesses) >= logBatch {
		s.flushAccesses()
	} else if !s.logTimer.Armed() {
		s.logTimer.Arm(logDelay)
	}
}

// flushAccesses hands the records to the writer.
func (s *shard) flushAccesses() {
	if len(s.accesses) == 0 {
		return
	}
	select {
	case s.relay.access.batches <- s.accesses:
	default:
		s.relay.access.dropped.Add(int64(bytes.Count(s.accesses, []byte{'\n'})))
	}
	s.accesses = make([]byte, 0, logBatch+1<<10)
}

// logFailure tells the program's log of an answer that the relay made itself.
func (s *shard) logFailure(c *client, f *failure, path, text string) {
	args := []any{"door", "relay", "error", f.name, "reason", text, "path", withoutQuery(path), "remote", string(c.ip), "conn", c.conn.ID()}
	if c.x != nil {
		args = c.x.trace.add(args)
	}
	s.relay.log.Warn("request failed", args...)
}
