package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/server/loop"
)

// keeper keeps the records of other servers in files, a line each: DIRECTORY/ID-yyyymmdd.jsonl. It writes in a goroutine of its own.
type keeper struct {
	dir   string
	days  int
	log   *slog.Logger
	queue chan keptRecord
	done  sync.WaitGroup

	// Owned by run.
	day string          // of names
	ids map[string]bool // that have written on that day
}

// keptRecord is a line and who has sent it.
type keptRecord struct {
	id   string
	line []byte
}

const (
	maxRecord    = 64 << 10 // bytes
	maxKept      = 256      // records that wait for the disk; one more is refused
	maxIDs       = 256      // in one day; more are not kept
	maxDayBytes  = 4 << 20  // of one id in one day; more are not kept
	sweepTime    = time.Hour
	maxIDBytes   = 64
	recordSuffix = ".jsonl"
	dayLayout    = "20060102"
)

// newKeeper makes the directory and starts the writer, which ends with close.
func newKeeper(dir string, days int, log *slog.Logger) (*keeper, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	k := &keeper{dir: dir, days: days, log: log, queue: make(chan keptRecord, maxKept)}
	k.done.Go(k.run) // ends with the queue; close waits for it
	return k, nil
}

// close waits until what was put is on the disk. Nothing may be put any more.
func (k *keeper) close() {
	if k != nil {
		close(k.queue)
		k.done.Wait()
	}
}

var (
	errRecordID   = errors.New("wrong id")
	errRecordJSON = errors.New("not a JSON object")
	errRecordBusy = errors.New("busy")
)

// put hands a record to the writer. It may be called on a loop.
func (k *keeper) put(id, text []byte) error {
	if !isRecordID(id) {
		return errRecordID
	}
	if len(text) > maxRecord || len(text) == 0 || text[0] != '{' {
		return errRecordJSON
	}
	var line bytes.Buffer
	if json.Compact(&line, text) != nil { // so it is one line, too
		return errRecordJSON
	}
	line.WriteByte('\n')
	select {
	case k.queue <- keptRecord{string(id), line.Bytes()}:
		return nil
	default:
		return errRecordBusy
	}
}

// isRecordID tells whether an id may be part of the name of a file: 1 to 64 letters, digits and ._- of ASCII, the first one no dot.
func isRecordID(id []byte) bool {
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(id) > 0 && len(id) <= maxIDBytes && id[0] != '.'
}

func (k *keeper) run() {
	sweep := time.NewTicker(sweepTime)
	defer sweep.Stop()
	k.sweep(time.Now())
	for {
		select {
		case r, ok := <-k.queue:
			if !ok {
				return
			}
			if err := k.write(r, time.Now()); err != nil {
				k.log.Warn("a record of statistics is lost", "id", r.id, "error", err)
			}
		case <-sweep.C:
			k.sweep(time.Now())
		}
	}
}

var (
	errTooManyIDs = fmt.Errorf("engine: more than %d ids in a day", maxIDs)
	errTooMuch    = fmt.Errorf("engine: more than %d bytes of one id in a day", maxDayBytes)
)

// write appends a record to the file of its day.
func (k *keeper) write(r keptRecord, now time.Time) error {
	if day := now.Format(dayLayout); day != k.day {
		k.day, k.ids = day, map[string]bool{}
		k.sweep(now)
	}
	if k.ids[r.id] = k.ids[r.id] || len(k.ids) < maxIDs; !k.ids[r.id] {
		delete(k.ids, r.id)
		return errTooManyIDs
	}
	path := filepath.Join(k.dir, r.id+"-"+k.day+recordSuffix)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Size()+int64(len(r.line)) > maxDayBytes:
		err = errTooMuch
	default:
		_, err = f.Write(r.line)
	}
	return errors.Join(err, f.Close())
}

// sweep deletes the files that are too old. What does not have the name of a record's file stays.
func (k *keeper) sweep(now time.Time) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		k.log.Warn("old statistics are not deleted", "error", err)
		return
	}
	oldest := now.AddDate(0, 0, -k.days).Format(dayLayout)
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), recordSuffix)
		dash := len(name) - len(dayLayout) - 1
		if !ok || dash < 1 || name[dash] != '-' || !isRecordID([]byte(name[:dash])) || !entry.Type().IsRegular() {
			continue
		}
		day := name[dash+1:]
		if _, err := time.Parse(dayLayout, day); err != nil || day >= oldest {
			continue
		}
		if err := os.Remove(filepath.Join(k.dir, entry.Name())); err != nil {
			k.log.Warn("old statistics are not deleted", "error", err)
		}
	}
}

// startKeeper makes the keeper, when records are to be kept.
func startKeeper(d *Door) (err error) {
	cfg := d.settings.Load().cfg.Statistics
	if cfg.Input != "" {
		d.records, err = newKeeper(cfg.Directory, cfg.Days, d.log)
	}
	return err
}

// recordsAddr is the address of the listener that takes records and nothing else; empty: there is none.
func (set *settings) recordsAddr() []string {
	if in := set.cfg.Statistics.Input; in != "" && in != "same" {
		return []string{in}
	}
	return nil
}

// openRecords makes the sessions of those who send nothing but records.
func openRecords(d *Door) func(*loop.Conn) loop.Session {
	return func(conn *loop.Conn) loop.Session {
		c := d.shards[conn.Loop().Index()].newClient(conn, false)
		c.recordsOnly, c.prefixed = true, false
		d.clients.Add(1)
		return c
	}
}

// takeStatistics takes a record of another server: from anybody on the listener that is for them, and on those of clients from who may
// control the server. There is no password.
func (t *control) takeStatistics(fields []byte) {
	c := t.client
	set := c.door.settings.Load()
	switch {
	case c.door.records == nil || !c.recordsOnly && set.cfg.Statistics.Input != "same":
		c.refuse("Unknown command -90", "unknown command")
		return
	case !c.recordsOnly && !set.mayControl(c.conn.Remote().Addr().Unmap()):
		t.denied("a record of statistics from elsewhere")
		return
	}
	id, rest, _ := frame.Cut(fields)
	text, _, _ := frame.Cut(rest)
	if err := c.door.records.put(id, text); err != nil {
		c.shard.warn("a record of statistics was refused", "client", c.info.remote, "id", clip(id), "reason", err.Error())
		c.bare(oes.Failed, "Record refused: "+err.Error())
		return
	}
	start := c.conn.Buffer()
	c.conn.SetBuffer(c.framed(oes.AppendReply(start, false, oes.Done), len(start)))
}
