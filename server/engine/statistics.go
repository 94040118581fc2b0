package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/config"
)

// record is what a server tells of itself at the end of an interval, as JSON. Times are of what has ended in the interval.
type record struct {
	Time           string   `json:"t"`   // the end of the interval, RFC 3339, UTC
	Seconds        float64  `json:"sec"` // its length
	Requests       int64    `json:"requests"`
	Rejected       int64    `json:"rejected"`
	TimedOut       int64    `json:"timedout"`
	SimulMax       int64    `json:"simul_max"` // most requests at a time that were seen
	Longest        int64    `json:"longest_ms"`
	LongestPhantom int64    `json:"longest_phantom_ms"`
	WaitMax        int64    `json:"wait_max_ms"`
	Oldest         int64    `json:"oldest_s"` // age of the oldest engine
	Average        averages `json:"avg"`      // of the number of engines
	Starts         int64    `json:"starts"`
	Crashes        int64    `json:"crashes"`
	Kills          int64    `json:"kills"`
}

// averages are numbers of engines by what they do.
type averages struct {
	Abandoned float64 `json:"abandoned"`
	Phantom   float64 `json:"phantom"`
	Sync      float64 `json:"sync"`
	Active    float64 `json:"active"`
	Available float64 `json:"available"`
}

const (
	sampleTime  = time.Second // between looks at the engines
	maxRecords  = 60          // that wait for their listener; then the oldest is dropped
	recordTime  = 10 * time.Second
	pauseFirst  = time.Second // after the first failure to reach the listener; it doubles
	pauseLonger = time.Minute
)

// generator sends records of this server to a listener. It runs in goroutines of its own: no loop waits for it.
type generator struct {
	door    *Door
	cfg     config.EngineStatistics
	log     *slog.Logger
	records chan record

	// Owned by sample.
	last    record // counters as they were at the end of the last interval
	sums    averages
	samples int
	simul   int64
	oldest  time.Duration
}

// startGenerator starts the generator, if there is to be one. It ends when the door is closed, which waits for it.
func startGenerator(d *Door) {
	cfg := d.settings.Load().cfg.Statistics
	if cfg.Output == "" {
		return
	}
	g := &generator{door: d, cfg: cfg, log: d.log.With("statistics", cfg.Output), records: make(chan record, maxRecords)}
	g.last = g.count()
	d.starting.Go(func() { g.sample(d.admin.quit) }) // end with quit; Door.Close waits for both
	d.starting.Go(func() { g.send(d.admin.quit) })
}

// sample looks at the engines again and again, and makes a record of each interval.
func (g *generator) sample(ctx context.Context) {
	look := time.NewTicker(min(sampleTime, max(g.cfg.Interval/4, time.Millisecond)))
	defer look.Stop()
	end := time.NewTicker(g.cfg.Interval)
	defer end.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			g.look()
		case <-end.C:
			g.look()
			now := time.Now()
			g.offer(g.make(now, now.Sub(began)))
			began = now
		}
	}
}

// look takes one sample.
func (g *generator) look() {
	g.samples++
	g.simul = max(g.simul, g.door.InFlight())
	for _, row := range g.door.rows(0) {
		g.oldest = max(g.oldest, time.Since(row.Started))
		switch row.Category {
		case "Abandoned":
			g.sums.Abandoned++
		case "Phantom":
			g.sums.Phantom++
		case "Synchronous":
			g.sums.Sync++
		case "Available Asynchronous":
			g.sums.Available++
		default:
			g.sums.Active++
		}
	}
}

// count returns a record of the counters since the start.
func (g *generator) count() (r record) {
	for _, s := range g.door.shards {
		r.Requests += s.stats.requests.Load()
		for reason := range s.stats.refused {
			r.Rejected += s.stats.refused[reason].Load()
		}
		r.TimedOut += s.stats.refused[enginepool.TimedOut].Load()
		e := &s.stats.engines
		r.Starts += e.up.Load() + e.failed.Load()
		r.Crashes += e.exits[whyIndex(enginepool.WhyEnded)].Load() + e.exits[whyIndex(enginepool.WhyProtocol)].Load()
		for i := range e.kills {
			r.Kills += e.kills[i].Load()
		}
	}
	r.Rejected -= r.TimedOut
	return r
}

// make makes the record of an interval that ends now, and begins the next one.
func (g *generator) make(now time.Time, length time.Duration) record {
	total := g.count()
	r := total
	r.Requests -= g.last.Requests
	r.Rejected -= g.last.Rejected
	r.TimedOut -= g.last.TimedOut
	r.Starts -= g.last.Starts
	r.Crashes -= g.last.Crashes
	r.Kills -= g.last.Kills
	g.last = total
	r.Time, r.Seconds = now.UTC().Format(time.RFC3339), length.Round(time.Millisecond).Seconds()
	r.SimulMax, r.Oldest = g.simul, int64(g.oldest.Seconds())
	for _, s := range g.door.shards { // a value that comes between is lost to one interval or the other
		p := &s.stats.peaks
		r.SimulMax = max(r.SimulMax, p.inFlight.Swap(0))
		r.Longest = max(r.Longest, p.run.Swap(0)/int64(time.Millisecond))
		r.LongestPhantom = max(r.LongestPhantom, p.phantom.Swap(0)/int64(time.Millisecond))
		r.WaitMax = max(r.WaitMax, p.wait.Swap(0)/int64(time.Millisecond))
	}
	n := float64(max(1, g.samples))
	r.Average = averages{g.sums.Abandoned / n, g.sums.Phantom / n, g.sums.Sync / n, g.sums.Active / n, g.sums.Available / n}
	g.sums, g.samples, g.simul, g.oldest = averages{}, 0, 0, 0
	return r
}

// offer hands a record to send. When too many wait, the oldest goes.
func (g *generator) offer(r record) {
	for {
		select {
		case g.records <- r:
			return
		default:
		}
		select {
		case <-g.records:
		default:
		}
	}
}

// send sends the records over one connection, which is opened anew when it breaks.
func (g *generator) send(ctx context.Context) {
	var link recordLink
	defer link.close()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-g.records:
			g.deliver(ctx, &link, r)
		}
	}
}

// deliver sends one record, however long it takes to reach the listener.
func (g *generator) deliver(ctx context.Context, link *recordLink, r record) {
	text, err := json.Marshal(r)
	if err != nil {
		panic("BUG: engine: a record is no JSON: " + err.Error()) // it is made of numbers
	}
	pause := pauseFirst
	for {
		kept := link.conn != nil
		err := link.send(ctx, g.cfg, text)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, errRecordRefused):
			g.log.Warn("the listener of statistics refuses our records", "error", err)
			return
		}
		link.close()
		if kept { // the listener has closed it meanwhile: a new one may do
			continue
		}
		if pause == pauseFirst {
			g.log.Warn("statistics cannot be sent; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseLonger)
	}
}

// recordLink is the connection to a listener.
type recordLink struct {
	conn net.Conn // nil: none
	in   *bufio.Reader
}

var errRecordRefused = errors.New("engine: record refused")

// send sends a record and waits for the reply.
func (l *recordLink) send(ctx context.Context, cfg config.EngineStatistics, text []byte) error {
	if l.conn == nil {
		dialer := net.Dialer{Timeout: recordTime}
		conn, err := dialer.DialContext(ctx, "tcp", cfg.Output)
		if err != nil {
			return err
		}
		l.conn, l.in = conn, bufio.NewReader(conn)
	}
	conn := l.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // ends what waits for the listener
	if err := conn.SetDeadline(time.Now().Add(recordTime)); err != nil {
		return err
	}
	if _, err := conn.Write(oes.AppendCommand(nil, oes.Statistics, []byte(cfg.ID), text)); err != nil {
		return err
	}
	head := make([]byte, frame.HeaderLen)
	if _, err := io.ReadFull(l.in, head); err != nil {
		return err
	}
	size, _, err := frame.ParsePadded(head, maxRecord)
	if err != nil {
		return err
	}
	reply := make([]byte, size)
	if _, err := io.ReadFull(l.in, reply); err != nil {
		return err
	}
	if r, err := oes.ParseReply(reply, false); err != nil {
		return err
	} else if r.Code != oes.Done {
		return fmt.Errorf("%w: %s", errRecordRefused, clip(r.Body))
	}
	return nil
}

func (l *recordLink) close() {
	if l.conn != nil {
		_ = l.conn.Close() // nothing of it is needed any more
		l.conn = nil
	}
}
