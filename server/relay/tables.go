package relay

import (
	"bytes"
	"cmp"
	"net"
	"slices"
	"strings"
	"time"

	"roundhouse/server/loop"
)

// The states of a farm at this relay server.
const (
	FarmAvailable   = "available"   // every enabled server can take requests on every loop
	FarmDegraded    = "degraded"    // some can, somewhere
	FarmUnavailable = "unavailable" // none can, or the farm is disabled
)

// FarmRow is one farm as it is now.
type FarmRow struct {
	ID          string `json:"id"`
	Enabled     bool   `json:"enabled"`
	Description string `json:"description,omitempty"`
	Servers     int    `json:"servers"`   // that are configured
	Connected   int    `json:"connected"` // of these, with at least one lane
	State       string `json:"state"`     // one of the Farm... constants
	Holding     bool   `json:"holding"`   // requests wait for the lanes of the process before this one
	Starting    bool   `json:"starting"`  // since the start not all servers have been here at a time, and they still may
}

// ServerRow is one back-end server as it is now. Its times and sizes are of all its lanes together.
type ServerRow struct {
	Farm        string    `json:"farm"`
	ID          string    `json:"id"`
	Enabled     bool      `json:"enabled"` // its own setting; its farm has another one
	Description string    `json:"description,omitempty"`
	Token       bool      `json:"token"`    // one is demanded
	Dynamic     bool      `json:"dynamic"`  // auto_config has let it in
	Lanes       int       `json:"lanes"`    // that are whole, draining ones included
	Draining    int       `json:"draining"` // of these, that take no new requests
	Drained     bool      `json:"drained"`  // an administrator wants it to get no new requests
	Loops       int       `json:"loops"`    // where it can take requests
	Up          bool      `json:"up"`       // it has a lane, and its enabler has not called the back end down
	Since       time.Time `json:"since,omitzero"`
	RTT         int64     `json:"rtt_us"` // the longest of its lanes; 0: not known yet
	Streams     int       `json:"streams"`

	// Connections of the enabler to the back end, by their state, active or idle; nil: it does not tell.
	Junctions map[string]int64 `json:"junctions,omitempty"`
	Kinds     map[string]int   `json:"kinds,omitempty"` // of the lanes, by how they travel
}

// LaneRow is one lane as it is now.
type LaneRow struct {
	Farm     string    `json:"farm"`
	Server   string    `json:"server"`
	Loop     int       `json:"loop"`
	Number   int       `json:"number"`
	Remote   string    `json:"remote"`
	Since    time.Time `json:"since"`
	RTT      int64     `json:"rtt_us"` // 0: not known yet
	Streams  int       `json:"streams"`
	Pending  int       `json:"pending_bytes"` // output that the socket has not taken
	Requests int64     `json:"requests"`      // that were sent over it
	Opening  bool      `json:"opening"`       // a half or the enabler's hello is still missing
	Draining bool      `json:"draining"`      // takes no new requests
}

// ConnectionRow is one client's connection as it is now.
type ConnectionRow struct {
	ID       uint64      `json:"id"`
	Loop     int         `json:"loop"`
	Remote   string      `json:"remote"`
	Phase    string      `json:"phase"` // what it waits for: idle, head, body, answer, turn, stream; or upgraded
	Requests uint32      `json:"requests"`
	Pending  int         `json:"pending_bytes"` // output that the socket has not taken
	Unread   int         `json:"unread_bytes"`  // input that waits
	Paused   bool        `json:"paused"`        // it is not read
	Request  *RequestRow `json:"request,omitempty"`
}

// RequestRow is the request that a connection waits for. Its path has no query: that may hold secrets.
type RequestRow struct {
	Farm   string `json:"farm"`
	Server string `json:"server"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Age    int64  `json:"age_ms"`
}

// Farms returns all farms, in the order of the configuration. As all tables it asks every loop and waits for the answers, each
// loop's at a moment of its own; a loop that is stopping adds nothing.
func (r *Relay) Farms() []FarmRow {
	tallies, v := tallyLanes(r), r.view.Load()
	rows := []FarmRow{}
	for _, f := range v.table.Farms() {
		row := FarmRow{ID: f.ID, Enabled: f.Enable, Description: v.of(f).conf.Description, Servers: len(f.Servers)}
		live, complete := false, true
		for _, s := range f.Servers {
			t := tallyOf(tallies, f.ID, s.ID)
			if t.lanes > 0 {
				row.Connected++
			}
			if s.Enable {
				live = live || t.loops > 0
				complete = complete && t.loops == len(r.shards)
			}
		}
		switch {
		case !f.Enable || !live:
			row.State = FarmUnavailable
		case complete:
			row.State = FarmAvailable
		default:
			row.State = FarmDegraded
		}
		if row.State == FarmAvailable {
			v.of(f).state.whole.Store(true)
		}
		row.Holding = time.Now().Before(r.holdUntil)
		row.Starting = row.State == FarmDegraded && !v.of(f).state.whole.Load() && r.holdUntil.IsZero() &&
			time.Since(r.began) < v.cfg.Relay.Lane.StartWait
		rows = append(rows, row)
	}
	return rows
}

// Servers returns all back-end servers, farm by farm, in the order of the configuration.
func (r *Relay) Servers() []ServerRow {
	tallies, v := tallyLanes(r), r.view.Load()
	rows := []ServerRow{}
	for _, f := range v.table.Farms() {
		for _, s := range f.Servers {
			t, b := tallyOf(tallies, f.ID, s.ID), v.backends[s.Index]
			_, asks := v.keys(r, s, b, f.ID)
			rows = append(rows, ServerRow{
				Farm: f.ID, ID: s.ID, Enabled: s.Enable, Description: b.Description, Token: asks, Dynamic: v.dynamic(s),
				Lanes: t.lanes, Draining: t.draining, Drained: r.isDrained(serverName{f.ID, s.ID}), Loops: t.loops, Up: t.lanes > 0 && !t.down,
				Since: inSeconds(t.since), RTT: t.rtt.Microseconds(), Streams: t.streams, Kinds: t.kindCounts(), Junctions: t.pool.counts(),
			})
		}
	}
	return rows
}

// Lanes returns all lanes, those included that are not whole yet, sorted by farm, server, loop and number.
func (r *Relay) Lanes() []LaneRow {
	rows := gather(r, func(s *shard) (rows []LaneRow) {
		for _, l := range s.lanes {
			rows = append(rows, l.row())
		}
		return rows
	})
	slices.SortFunc(rows, func(a, b LaneRow) int {
		return cmp.Or(cmp.Compare(a.Farm, b.Farm), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Loop, b.Loop),
			cmp.Compare(a.Number, b.Number), a.Since.Compare(b.Since))
	})
	return rows
}

// Connections returns the connections of clients, at most limit of them (0: all), by id, and whether there are more. Which ones
// are left out is left to chance. The connections of lanes are in Lanes.
func (r *Relay) Connections(limit int) (rows []ConnectionRow, more bool) {
	rows = gather(r, func(s *shard) (rows []ConnectionRow) {
		s.loop.Conns(func(conn *loop.Conn) {
			if limit > 0 && len(rows) > limit { // one above the limit tells that there are more
				return
			}
			if c, ok := conn.Session().(*client); ok {
				rows = append(rows, c.row())
			}
		})
		return rows
	})
	slices.SortFunc(rows, func(a, b ConnectionRow) int { return cmp.Compare(a.ID, b.ID) })
	if limit > 0 && len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}

// gather runs f on every loop and joins what it returns; never nil.
func gather[T any](r *Relay, f func(*shard) []T) []T {
	parts := make([][]T, len(r.shards)) // each written by one loop
	r.group.Each(func(l *loop.Loop) { parts[l.Index()] = f(r.shards[l.Index()]) })
	return append([]T{}, slices.Concat(parts...)...)
}

// tally is what the lanes of one server amount to.
type tally struct {
	lanes, draining, loops, streams int
	down                            bool // its enabler said so, on some loop
	since                           time.Time
	rtt                             time.Duration
	kinds                           [len(kindNames)]int // of the lanes, by halfKind
	pool                            pool                // the last word on it
	ejected                         bool                // on some loop
	trouble                         trouble             // the last one
	version                         string              // of its enabler; of one lane, where they differ
	remotes                         map[string]bool     // addresses that lanes come from; at most maxRemotes
}

// kindNames are how lanes travel, by the halfKind of what comes over them.
var kindNames = [...]string{halfDown: "http", halfLength: "length", halfSocket: "ws"}

// kindCounts returns those kinds that there are; nil: there is none.
func (t *tally) kindCounts() map[string]int {
	if t.lanes == 0 {
		return nil
	}
	all := map[string]int{}
	for kind, n := range t.kinds {
		if n > 0 {
			all[kindNames[kind]] = n
		}
	}
	return all
}

// serverName names a back-end server in every view.
type serverName struct{ farm, server string }

// tallyLanes sums up the lanes of every server. One without lanes is not in it.
func tallyLanes(r *Relay) map[serverName]*tally {
	parts := make([]map[serverName]*tally, len(r.shards)) // each written by one loop
	r.group.Each(func(l *loop.Loop) {
		part := map[serverName]*tally{}
		s := r.shards[l.Index()]
		of := func(name serverName) *tally {
			if part[name] == nil {
				part[name] = &tally{remotes: map[string]bool{}}
			}
			return part[name]
		}
		for _, l := range s.lanes {
			of(serverName{l.key.farm, l.key.server}).count(l)
		}
		for name, trouble := range s.troubles {
			of(name).trouble = trouble
		}
		parts[l.Index()] = part
	})
	all := map[serverName]*tally{}
	for _, part := range parts {
		for name, t := range part { // none when the loop is stopping
			if all[name] == nil {
				all[name] = &tally{remotes: map[string]bool{}}
			}
			all[name].add(t)
		}
	}
	return all
}

// tallyOf returns the tally of one server, of zeros if it has no lanes.
func tallyOf(all map[serverName]*tally, farm, server string) tally {
	if t := all[serverName{farm, server}]; t != nil {
		return *t
	}
	return tally{}
}

// count adds a lane of a loop's part.
func (t *tally) count(l *link) {
	if !l.joined {
		return
	}
	t.lanes++
	t.kinds[l.down]++
	t.down = l.server != nil && !l.s.roster.Up(l.server)
	if l.rests() {
		t.draining++
	} else if !t.down && l.server != nil && l.server.Enable && l.server.Farm.Enable {
		t.loops = 1
	}
	t.streams += l.streams.Len()
	t.pool = t.pool.later(l.pool)
	t.rtt = max(t.rtt, l.end.RTT())
	t.since = earlier(t.since, l.end.Since())
	t.ejected = t.ejected || l.server != nil && l.s.roster.Ejected(l.server, l.s.loop.Now())
	t.version = l.as.version
	if addr, _, err := net.SplitHostPort(l.remote); err == nil {
		t.addRemote(addr)
	}
}

// add adds what another loop has counted.
func (t *tally) add(o *tally) {
	t.lanes += o.lanes
	t.ejected = t.ejected || o.ejected
	t.version = cmp.Or(t.version, o.version)
	if o.trouble.at.After(t.trouble.at) {
		t.trouble = o.trouble
	}
	for addr := range o.remotes {
		t.addRemote(addr)
	}
	for kind, n := range o.kinds {
		t.kinds[kind] += n
	}
	t.draining += o.draining
	t.loops += o.loops
	t.streams += o.streams
	t.pool = t.pool.later(o.pool)
	t.down = t.down || o.down
	t.rtt = max(t.rtt, o.rtt)
	t.since = earlier(t.since, o.since)
}

// later returns what was said last.
func (p pool) later(o pool) pool {
	if o.at.After(p.at) {
		return o
	}
	return p
}

// counts returns the connections by their state; nil: nothing was said.
func (p pool) counts() map[string]int64 {
	if p.at.IsZero() {
		return nil
	}
	return map[string]int64{"active": int64(p.Active), "idle": int64(p.Idle)}
}

// maxRemotes is how many addresses of an enabler are shown.
const maxRemotes = 16

func (t *tally) addRemote(addr string) {
	if len(t.remotes) < maxRemotes {
		t.remotes[addr] = true
	}
}

// earlier returns the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// inSeconds cuts a time to its second, in UTC; a zero one stays zero.
func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// row shows the lane. Loop only, as the next.
func (l *link) row() LaneRow {
	return LaneRow{
		Farm: l.key.farm, Server: l.key.server, Loop: l.s.loop.Index(), Number: l.key.number, Remote: l.remote,
		Since: inSeconds(l.end.Since()), RTT: l.end.RTT().Microseconds(),
		Streams: l.streams.Len(), Pending: l.end.Pending(), Requests: l.requests, Opening: !l.joined, Draining: l.draining,
	}
}

// row shows the connection.
func (c *client) row() ConnectionRow {
	row := ConnectionRow{
		ID: c.conn.ID(), Loop: c.s.loop.Index(), Remote: c.conn.Remote().String(), Phase: c.phase.String(), Requests: c.requests,
		Pending: c.conn.Pending(), Unread: c.conn.Unread(), Paused: c.conn.Paused(),
	}
	if x := c.x; x != nil {
		method, _, _ := bytes.Cut(x.req.head, []byte(" "))
		row.Request = &RequestRow{
			Farm: x.farm.conf.ID, Server: orDash(serverID(x.server)), Method: string(method), Path: withoutQuery(x.pathText()), Age: time.Since(x.began).Milliseconds(),
		}
		if x.resp.upgraded {
			row.Phase = "upgraded"
		}
	}
	return row
}

// withoutQuery cuts a path where its query begins.
func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// String is the name of the phase.
func (p phase) String() string {
	return [...]string{phaseIdle: "idle", phaseHead: "head", phaseBody: "body", phaseQueue: "queue", phaseAnswer: "answer", phaseTurn: "turn", phasePage: "page", phaseStream: "stream"}[p]
}
