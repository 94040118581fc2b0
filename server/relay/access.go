package relay

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
)

// accessLog writes lines that the loops hand over, in a goroutine: no loop waits for a disk. When it cannot keep up, lines are
// dropped and counted. A nil file means that there is no access log.
type accessLog struct {
	file    io.WriteCloser
	log     *slog.Logger
	batches chan []byte // at most 256 batches
	dropped atomic.Int64
	done    sync.WaitGroup
}

// openAccessLog opens the log at path: "" none, "-" standard error, else a file that is appended to.
func openAccessLog(path string, log *slog.Logger) (*accessLog, error) {
	a := &accessLog{log: log}
	switch path {
	case "":
		return a, nil
	case "-":
		a.file = nopCloser{os.Stderr}
	default:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, err
		}
		a.file = f
	}
	a.batches = make(chan []byte, 256)
	a.done.Add(1)
	go a.run() // ends when close closes batches, which waits for it
	return a, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func (a *accessLog) run() {
	defer a.done.Done()
	for b := range a.batches {
		if _, err := a.file.Write(b); err != nil {
			a.log.Error("access log", "error", err)
		}
	}
}

func (a *accessLog) close() error {
	if a.file == nil {
		return nil
	}
	close(a.batches)
	a.done.Wait()
	return a.file.Close()
}

// log writes the line of a finished exchange: time, peer, request, status, bytes, times, where it went, what went wrong.
func (x *exchange) log(f *failure) {
	took := x.s.loop.Now().Sub(x.began)
	status := x.resp.status
	if f == failClientGone && !x.resp.started {
		status = f.status
	}
	if f == nil || x.resp.started {
		x.s.stats.finished(status, took)
	}
	if x.s.relay.access.file == nil {
		return
	}
	b := x.s.beginLine(x.began, x.client)
	b = appendQuoted(b, x.req.head[:min(x.req.path, len(x.req.head))])
	b = append(b, "\" "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, " in="...)
	b = strconv.AppendInt(b, x.req.came, 10)
	b = append(b, " out="...)
	b = strconv.AppendInt(b, x.resp.went, 10)
	b = append(b, " us="...)
	b = strconv.AppendInt(b, took.Microseconds(), 10)
	b = append(append(b, " farm="...), x.farm.conf.ID...)
	b = append(append(b, " server="...), x.serverID()...)
	x.s.endLine(b, x.client, f)
}

// logRefused writes the line of a request that came to no back end, with the URL as it came; q is nil when it could not be read.
func (s *shard) logRefused(c *client, q *http1.Request, status int, f *failure) {
	if s.relay.access.file == nil {
		return
	}
	b := s.beginLine(s.loop.Now(), c)
	if q != nil {
		b = append(append(b, q.Method...), ' ')
		b = appendQuoted(b, q.Path)
	}
	b = append(b, "\" "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, " in=0 out=0 us=0 farm=- server=-"...)
	s.endLine(b, c, f)
}

func (s *shard) beginLine(at time.Time, c *client) []byte {
	b := at.UTC().AppendFormat(s.accesses, "2006-01-02T15:04:05.000Z")
	b = append(append(b, ' '), c.ip...)
	return append(b, " \""...)
}

func (s *shard) endLine(b []byte, c *client, f *failure) {
	b = append(b, " conn="...)
	b = strconv.AppendUint(b, c.conn.ID(), 10)
	if f != nil {
		b = append(append(b, " error="...), f.name...)
	}
	s.accesses = append(b, '\n')
	s.maybeFlushAccesses()
}

// appendQuoted appends what a client has sent so that it cannot end the quotes that it stands in. It holds no control character.
func appendQuoted(dst, text []byte) []byte {
	for _, c := range text {
		switch c {
		case '"':
			dst = append(dst, `\x22`...)
		case '\\':
			dst = append(dst, `\x5C`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// logBatch is how many bytes of lines are handed over at once, unless the flush timer comes first.
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

// flushAccesses hands the lines to the writer.
func (s *shard) flushAccesses() {
	if len(s.accesses) == 0 {
		return
	}
	select {
	case s.relay.access.batches <- s.accesses:
	default:
		s.relay.access.dropped.Add(int64(countLines(s.accesses)))
	}
	s.accesses = make([]byte, 0, logBatch+1<<10)
}

func countLines(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// logFailure tells the program's log of an answer that the relay made itself.
func (s *shard) logFailure(c *client, f *failure, path, text string) {
	s.relay.log.Warn("request failed", "door", "relay", "error", f.name, "reason", text, "path", path, "remote", string(c.ip), "conn", c.conn.ID())
}
