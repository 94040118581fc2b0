package router

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"roundhouse/routing/subject"
	"roundhouse/server/loop"
)

// ClientRow is one connection, of either protocol, as it is now. A column that the protocol does not have is left out.
type ClientRow struct {
	ID            uint64    `json:"id"` // as conn in the log
	Loop          int       `json:"loop"`
	Protocol      string    `json:"protocol"` // client or nats
	Remote        string    `json:"remote"`   // empty: a Unix socket
	TLS           bool      `json:"tls"`
	State         string    `json:"state"`             // opening, checking (its credentials), open
	Project       string    `json:"project,omitempty"` // empty until it is open
	Subject       string    `json:"subject,omitempty"` // unique subject of a client
	Name          string    `json:"name,omitempty"`    // what it calls itself: ident, or NATS: name
	Lang          string    `json:"lang,omitempty"`    // NATS
	Version       string    `json:"version,omitempty"` // NATS
	User          string    `json:"user,omitempty"`    // who it has shown to be; empty without security
	SystemUser    string    `json:"system_user,omitempty"`
	Node          string    `json:"node,omitempty"`
	PID           int32     `json:"pid,omitempty"`
	Subscriptions int       `json:"subscriptions"`
	Pending       int       `json:"pending_bytes"` // output that waits
	Sent          uint64    `json:"sent_bytes"`    // output that is gone
	Unread        int       `json:"unread_bytes"`  // input that waits
	Held          bool      `json:"held"`          // not read, because another loop is behind
	Since         time.Time `json:"since"`
	Idle          int       `json:"idle_seconds"` // since it last sent something

	remote netip.AddrPort // becomes Remote, off the loop
}

// rowsAtATime is how many rows a loop copies before it does other things: some 100 µs.
const rowsAtATime = 256

// Clients returns at most limit connections, 0 being all, by their age, and whether there are more. Every loop copies some of its own at a time;
// with a limit they are any. A connection that ends or comes meanwhile may be missing, no other.
func (o Observer) Clients(limit int) (rows []ClientRow, more bool) {
	d := o.door
	step := rowsAtATime
	if limit > 0 {
		step = min(step, limit+1)
	}
	copied := make([][]ClientRow, len(d.shards)) // each written by its loop
	ends := make([]int, len(d.shards))
	for i := range ends {
		ends[i] = math.MaxInt
	}
	for {
		next := make([]int, len(d.shards)) // 0, for a loop that is stopping as well: done
		d.group.Each(func(l *loop.Loop) {
			i := l.Index()
			copied[i], next[i] = copyRows(copied[i], d.shards[i].peers, ends[i], step)
		})
		ends = next
		n := 0
		for _, part := range copied {
			n += len(part)
		}
		more = slices.Max(ends) > 0
		if !more || limit > 0 && n > limit {
			break
		}
	}
	rows = slices.Concat(copied...)
	// The list of a loop is gone through from its end, where a connection that has been copied takes the place of one that ends: it
	// may come twice, and none is left out.
	slices.SortFunc(rows, func(a, b ClientRow) int { return cmp.Compare(a.ID, b.ID) })
	rows = slices.CompactFunc(rows, func(a, b ClientRow) bool { return a.ID == b.ID })
	if limit > 0 && len(rows) > limit {
		rows, more = rows[:limit], true
	}
	for i := range rows {
		if rows[i].remote.IsValid() {
			rows[i].Remote = rows[i].remote.String()
		}
	}
	return rows, more
}

// copyRows appends the rows of at most step peers, those in front of end in the list, and returns where to go on; 0: nowhere.
func copyRows(rows []ClientRow, peers []*peer, end, step int) ([]ClientRow, int) {
	end = min(end, len(peers))
	start := max(end-step, 0)
	for i := end - 1; i >= start; i-- {
		rows = append(rows, peers[i].row())
	}
	return rows, start
}

// row describes the peer.
func (p *peer) row() ClientRow {
	r := ClientRow{
		ID: p.id, Loop: p.shard.index, User: p.identity.Name(), Pending: p.pending(), Sent: p.conn.Sent(), Unread: p.conn.Unread(),
		Held: p.held, Since: p.since, Idle: int(p.shard.since(p.heard).Seconds()),
		remote: p.conn.Remote(),
	}
	_, r.TLS = p.conn.TLS()
	if p.view != nil {
		r.Project = p.view.project.name
	}
	if n := p.nats; n != nil {
		r.Protocol, r.State, r.Subscriptions = "nats", n.state.String(), n.subs.len()
		r.Name, r.Lang, r.Version = n.name, n.lang, n.version
		return r
	}
	c := p.rt
	r.Protocol, r.State, r.Subscriptions = "client", c.state.String(), c.subs.len()
	r.Subject, r.Name, r.SystemUser, r.Node, r.PID = c.unique, c.about.ident, c.about.user, c.about.node, c.about.pid
	return r
}

func (s clientState) String() string {
	return [...]string{clientOpening: "opening", clientChecking: "checking", clientOpen: "open"}[s]
}

func (s natsState) String() string {
	return [...]string{natsOpening: "opening", natsChecking: "checking", natsOpen: "open"}[s]
}

// SubjectRow is a subject, or a pattern, that somebody has subscribed to.
type SubjectRow struct {
	Project     string `json:"project"`
	Subject     string `json:"subject"`
	NATS        string `json:"nats_subject,omitempty"` // what NATS clients call it; only in their project, and where they can
	Subscribers int    `json:"subscribers"`
	NATSClients int    `json:"nats_subscribers"` // of these, how many subscriptions are of NATS clients
	Queued      int    `json:"queued"`           // of those, how many are in a queue group
	Always      int    `json:"always"`           // of clients: take no part in load balancing
}

// Subjects returns at most limit subjects, 0 being all, those with the most subscribers first, and whether there are more. It reads a
// snapshot of each table and asks no loop; a million subscriptions take about a second of one processor and 100 MiB meanwhile.
func (o Observer) Subjects(limit int) (rows []SubjectRow, more bool) {
	nats := o.door.settings.Load().natsProject
	rows = []SubjectRow{}
	for _, p := range o.door.list() {
		rows = append(rows, p.subjects()...)
	}
	slices.SortFunc(rows, func(a, b SubjectRow) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Subject, b.Subject))
	})
	if limit > 0 && len(rows) > limit {
		rows, more = slices.Clone(rows[:limit]), true
	}
	for i := range rows {
		if rows[i].Project == nats.name {
			rows[i].NATS = natsName(rows[i].Subject)
		}
	}
	return rows, more
}

// natsName is what a NATS client subscribes to for a pattern; empty: it cannot.
func natsName(pattern string) string {
	name := subject.ToNATS(nil, []byte(pattern))
	if same, err := subject.FromNATS(nil, name, true); err != nil || string(same) != pattern {
		return ""
	}
	return string(name)
}

// subjects counts the subscriptions of a project by subject.
func (p *project) subjects() []SubjectRow {
	all := p.table.Snapshot().Append(nil, "/...") // what everything has something in common with
	index := map[string]int{}
	var rows []SubjectRow
	for _, s := range all {
		i, known := index[s.pattern()]
		if !known {
			i = len(rows)
			index[s.pattern()] = i
			rows = append(rows, SubjectRow{Project: p.name, Subject: s.pattern()})
		}
		r := &rows[i]
		r.Subscribers++
		switch {
		case s.peer.nats == nil && s.always:
			r.Always++
		case s.peer.nats != nil && s.queue() != "":
			r.Queued++
			fallthrough
		case s.peer.nats != nil:
			r.NATSClients++
		}
	}
	return rows
}

// ProjectRow is a project.
type ProjectRow struct {
	Project       string `json:"project"`
	NATS          bool   `json:"nats"`    // NATS clients belong to it
	Clients       int    `json:"clients"` // connections of clients; those of NATS are not counted here
	Subscriptions int    `json:"subscriptions"`
	Changes       uint64 `json:"changes"` // of its subscriptions, so far
}

// Projects returns at most limit projects, 0 being all, by their names, and whether there are more.
func (o Observer) Projects(limit int) (rows []ProjectRow, more bool) {
	nats := o.door.settings.Load().natsProject
	rows = []ProjectRow{}
	for _, p := range o.door.list() {
		p.mu.Lock()
		clients := len(p.clients)
		p.mu.Unlock()
		snap := p.table.Snapshot()
		rows = append(rows, ProjectRow{Project: p.name, NATS: p == nats, Clients: clients, Subscriptions: snap.Len(), Changes: snap.Version()})
	}
	slices.SortFunc(rows, func(a, b ProjectRow) int { return cmp.Compare(a.Project, b.Project) })
	if limit > 0 && len(rows) > limit {
		rows, more = rows[:limit], true
	}
	return rows, more
}
