package engine

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"roundhouse/codec/oes"
	"roundhouse/enginepool"
)

// Totals are the counters of the door, summed over its loops.
type Totals struct {
	Started, StartFailed  int64            // engines that came up, and that did not
	Exits, Kills          map[string]int64 // of engines, by reason
	Breaks                map[string]int64 // by level: order or signal
	Requests              []RequestCount
	Rejected              map[string]int64 // requests that got no engine, by reason
	Run                   map[string]Times // of requests on their engines, by mode
	Wait, FirstByte       Times            // of requests for an engine; of requests for a first sign of it
	StartTime             Times            // of engines until they were ready
	Busy                  time.Duration    // of all engines
	Resumes, Stalls       int64
	Frames, Bytes         map[string]int64 // of clients, by direction: in or out
	ProtocolErrors        map[string]int64 // by side: client or engine
	InFlight, Zombies     int64
	Retries, Moves        int64
	Logins, LoginFailures int64
	Denied, SkippedRuns   int64
}

// RequestCount is how many requests of a mode and a kind had a result.
type RequestCount struct {
	Mode, Kind, Result string
	N                  int64
}

// Times is a distribution of times.
type Times struct {
	Counts []int64 // by the bounds of TimeBounds, and then those above
	Sum    time.Duration
}

// TimeBounds are the upper bounds of all Times.
func TimeBounds() []time.Duration { return timeBounds[:] }

func (t *Times) add(from *times) {
	if t.Counts == nil {
		t.Counts = make([]int64, len(from.buckets))
	}
	for i := range from.buckets {
		t.Counts[i] += from.buckets[i].Load()
	}
	t.Sum += time.Duration(from.sum.Load())
}

// Observer shows what the door does, in tables and counters. Its methods are safe for concurrent use.
type Observer struct{ door *Door }

// Observe may be called by any goroutine.
func (d *Door) Observe() Observer { return Observer{d} }

// Totals sums the counters.
func (o Observer) Totals() Totals {
	d := o.door
	t := Totals{
		Exits: map[string]int64{}, Kills: map[string]int64{}, Breaks: map[string]int64{}, Rejected: map[string]int64{}, Run: map[string]Times{},
		Frames: map[string]int64{}, Bytes: map[string]int64{}, ProtocolErrors: map[string]int64{},
		Stalls: d.pool.Stats.Stalls.Load(), Zombies: d.zombies.Load(), InFlight: d.InFlight(),
	}
	for _, s := range d.shards {
		t.addRequests(&s.stats)
		t.addEngines(&s.stats.engines)
		t.addWire(&s.stats.wire)
	}
	t.Requests = requestCounts(d.shards)
	return t
}

func (t *Totals) addRequests(s *stats) {
	t.Resumes += s.resumes.Load()
	t.Retries += s.retries.Load()
	t.Moves += s.moves.Load()
	t.Logins += s.logins.Load()
	t.LoginFailures += s.loginFailures.Load()
	t.Denied += s.denied.Load()
	t.SkippedRuns += s.skippedMonitors.Load()
	t.Busy += time.Duration(s.busy.Load())
	t.Wait.add(&s.wait)
	t.FirstByte.add(&s.firstByte)
	for i := range s.refused {
		t.Rejected[enginepool.Reason(i).String()] += s.refused[i].Load()
	}
	for i := range s.run {
		mode := modeName(i)
		of := t.Run[mode]
		of.add(&s.run[i])
		t.Run[mode] = of
	}
}

func (t *Totals) addEngines(s *engineStats) {
	t.Started += s.up.Load()
	t.StartFailed += s.failed.Load()
	t.StartTime.add(&s.startTime)
	t.Breaks["order"] += s.breaks.Load()
	t.Breaks["signal"] += s.signals.Load()
	for i, why := range whys {
		t.Exits[string(why)] += s.exits[i].Load()
		t.Kills[string(why)] += s.kills[i].Load()
	}
}

func (t *Totals) addWire(s *wireStats) {
	t.Frames["in"] += s.framesIn.Load()
	t.Frames["out"] += s.framesOut.Load()
	t.Bytes["in"] += s.bytesIn.Load()
	t.Bytes["out"] += s.bytesOut.Load()
	t.ProtocolErrors["client"] += s.clientErrors.Load()
	t.ProtocolErrors["engine"] += s.engineErrors.Load()
}

// requestCounts returns a count for every result of clients' requests, and of others that there were.
func requestCounts(shards []*shard) (all []RequestCount) {
	for kind := range kindNames {
		for mode := range modes {
			for result := range results {
				n := int64(0)
				for _, s := range shards {
					n += s.stats.results[kind][mode][result].Load()
				}
				if n > 0 || kind == 0 && oes.Mode(mode-1) != oes.PhantomMode {
					all = append(all, RequestCount{modeName(mode), kindNames[kind], resultNames[result], n})
				}
			}
		}
	}
	return all
}

// modeName is the mode of an index in a table of counters.
func modeName(index int) string { return strconv.Itoa(index - 1) }

// Limit is how many engines of a class there may be; 0: any number.
type Limit struct {
	Class string
	Most  int
}

// Limits are those in force.
func (o Observer) Limits() []Limit {
	l := o.door.pool.Limits()
	return []Limit{
		{enginepool.Pooled.String(), l.MaxEngines}, {enginepool.Bound.String(), l.MaxSync},
		{enginepool.Phantom.String(), l.MaxPhantoms}, {enginepool.External.String(), l.MaxExternal},
	}
}

// Connections are the numbers of connections by the port of their listener.
func (o Observer) Connections() map[string]int64 {
	all := map[string]int64{}
	for _, a := range o.door.acceptors {
		_, port, _ := net.SplitHostPort(a.Addr().String()) // the address of a listener has one
		all[port] += a.Open()
	}
	return all
}

// labels are the names of applications that metrics show. They are the words of clients: there are at most maxLabels, and the rest is
// other. Safe for concurrent use.
type labels struct {
	mu    sync.Mutex
	known map[string]bool // guarded by mu
}

const maxLabels = 50

// Label is the application as metrics show it: always the same.
func (o Observer) Label(application string) string {
	l := &o.door.labels
	name := strings.ToUpper(clip(application))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.known[name]:
	case len(l.known) >= maxLabels:
		return "other"
	case l.known == nil:
		l.known = map[string]bool{name: true}
	default:
		l.known[name] = true
	}
	return name
}
