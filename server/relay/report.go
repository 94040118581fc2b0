package relay

import (
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"roundhouse/routing/farm"
	"roundhouse/server/config"
	"roundhouse/server/loop"
	"roundhouse/server/statuspage"
)

// Audience is who a report is for, which says what it shows.
type Audience uint8

// The audiences.
const (
	ForClients  Audience = iota // whether what they ask for is available; with relay.status.public the names as well
	ForBackends                 // administrators of back-end servers: names and errors
	ForAdmin                    // the administrator of the relay: everything
)

// ReportQuery is what a report is asked for.
type ReportQuery struct {
	For          Audience
	Farm, Server string // empty: all of them
	Refresh      int    // seconds; below 0: what the configuration says
	JSON         bool   // instead of a page
	Probe        bool   // the status says whether what was asked for is available
}

// maxRefresh is the longest interval at which a page reloads itself, in seconds.
const maxRefresh = 24 * 60 * 60

// ParseReportQuery reads what stands behind the question mark of a URL. Parameters that it does not know, or whose value is not right,
// count as not there.
func ParseReportQuery(text string, who Audience) ReportQuery {
	values, _ := url.ParseQuery(text) // what can be read of it
	q := ReportQuery{For: who, Farm: values.Get("ias-rs-farm"), Server: values.Get("ias-rs-server"), Refresh: -1,
		JSON: values.Get("ias-rs-format") == "json", Probe: values.Get("ias-rs-probe") == "1"}
	if q.Farm == "" { // ids of servers are those of a farm
		q.Server = ""
	}
	if n, err := strconv.Atoi(values.Get("ias-rs-status-refresh-sec")); err == nil && n >= 0 && n <= maxRefresh {
		q.Refresh = n
	}
	return q
}

// Render makes a report and returns the status of the answer that has it, its media type and its content. As all tables it asks every
// loop: it is not called on one.
func (r *Relay) Render(q ReportQuery, version string, generation int64, needStart []string) (status int, kind string, content []byte) {
	report, found := reportOf(r, q)
	if q.For != ForClients || r.view.Load().cfg.Relay.Status.Public {
		report.Version, report.Generation = version, generation
	}
	if q.For == ForAdmin {
		report.NeedStart = needStart
	}
	status = 200
	switch {
	case !found:
		status = 404
	case q.Probe && report.State == statuspage.Unavailable:
		status = 503
	}
	kind, render := statuspage.HTMLType, statuspage.HTML
	if q.JSON {
		kind, render = statuspage.JSONType, statuspage.JSON
	}
	content, err := render(report)
	if err != nil {
		r.log.Error("a status page cannot be made", "error", err)
		return 500, "text/plain; charset=utf-8", []byte("The page cannot be made.\n")
	}
	return status, kind, content
}

// reportOf gathers what the audience may see. It is not found when there is no such farm or server, and the audience may know that.
func reportOf(r *Relay, q ReportQuery) (report *statuspage.Report, found bool) {
	tallies, v := tallyLanes(r), r.view.Load()
	conf := &v.cfg.Relay
	named := q.For != ForClients || conf.Status.Public
	report = &statuspage.Report{State: statuspage.Unavailable, Time: time.Now().Truncate(time.Second), Refresh: int(conf.Status.Refresh / time.Second),
		Description: conf.Description, Full: q.For == ForAdmin, Links: q.For != ForAdmin}
	if q.Refresh >= 0 {
		report.Refresh = q.Refresh
	}
	found = q.Farm == "" && q.Server == ""
	var farms []statuspage.Farm
	for i, f := range v.table.Farms() {
		if q.Farm != "" && q.Farm != f.ID {
			continue
		}
		row, hit := farmReport(r, v, f, tallies, q)
		found = found || hit
		if q.For == ForAdmin {
			row.Counts = farmCountsOf(v.farms[i])
		}
		farms = append(farms, row)
	}
	report.State = stateOf(farms)
	if q.Server != "" && len(farms) == 1 {
		report.State = farms[0].State
	}
	if !named {
		return report, true
	}
	report.Farms = farms
	report.Relay, _ = os.Hostname() // without it the page has no name
	if report.Asked = q.Farm; q.Server != "" {
		report.Asked += " / " + q.Server
	}
	if q.For == ForAdmin {
		report.Since, report.Counts = inSeconds(r.began), reportCounts(r)
	}
	return report, found
}

// farmReport is what there is to say of a farm; hit tells whether it has what was asked for. With a server, its state is that of the server.
func farmReport(r *Relay, v *view, f *farm.Farm, tallies map[serverName]*tally, q ReportQuery) (row statuspage.Farm, hit bool) {
	row = statuspage.Farm{ID: f.ID, Description: v.of(f).conf.Description, Enabled: f.Enable, Total: len(f.Servers), State: statuspage.Unavailable}
	var state farmStateSum
	only := statuspage.Unavailable
	for _, s := range f.Servers {
		t := tallyOf(tallies, f.ID, s.ID)
		own := serverState(&t, s, len(r.shards))
		state.add(own, s.Enable)
		if own != statuspage.Unavailable {
			row.Up++
		}
		switch {
		case q.Server == s.ID:
			hit, only = true, own
		case q.Server != "", q.Farm == "" && q.For != ForAdmin: // the page of all farms names no servers
			continue
		}
		_, asks := v.keys(r, s, v.backends[s.Index], f.ID)
		shown := serverReport(&t, s, v.backends[s.Index], q.For)
		if shown.Detail != nil {
			shown.Detail.Token = asks
		}
		shown.Drained = r.isDrained(serverName{f.ID, s.ID})
		row.Servers = append(row.Servers, shown)
	}
	if q.Server != "" {
		row.State = only
		return row, hit
	}
	if f.Enable {
		row.State = state.state()
	}
	return row, true
}

// farmStateSum makes the state of a farm of those of its servers.
type farmStateSum struct{ some, lacks bool }

func (n *farmStateSum) add(state string, enabled bool) {
	n.some = n.some || state != statuspage.Unavailable
	n.lacks = n.lacks || enabled && state != statuspage.Available
}

func (n *farmStateSum) state() string {
	switch {
	case !n.some:
		return statuspage.Unavailable
	case n.lacks:
		return statuspage.Degraded
	}
	return statuspage.Available
}

// serverState is the state of a server with loops loops.
func serverState(t *tally, s *farm.Server, loops int) string {
	switch {
	case !s.Enable || !s.Farm.Enable || t.loops == 0:
		return statuspage.Unavailable
	case t.loops < loops || t.ejected:
		return statuspage.Degraded
	}
	return statuspage.Available
}

// stateOf is the state of all farms together. Disabled ones do not count.
func stateOf(farms []statuspage.Farm) string {
	var all farmStateSum
	for i := range farms {
		all.add(farms[i].State, farms[i].Enabled)
	}
	return all.state()
}

func serverReport(t *tally, s *farm.Server, b *config.Backend, who Audience) statuspage.Server {
	row := statuspage.Server{
		ID: s.ID, Description: b.Description, Enabled: s.Enable, Connected: t.lanes > 0, BackendUp: t.lanes > 0 && !t.down, Ejected: t.ejected,
		Since: inSeconds(t.since), RTT: float64(t.rtt.Microseconds()) / 1000,
	}
	if who == ForClients {
		return row
	}
	row.LastError, row.LastErrorAt = t.trouble.text, inSeconds(t.trouble.at)
	if who == ForAdmin {
		row.Detail = &statuspage.Detail{Version: t.version, MACs: b.MAC, Remote: slices.Sorted(maps.Keys(t.remotes)), Lanes: t.lanes,
			Draining: t.draining, InFlight: t.streams, Junctions: t.pool.counts()}
	}
	return row
}

// farmCountsOf are the numbers of a farm that the administrator sees.
func farmCountsOf(f *farmView) []statuspage.Count {
	t := sumCounts(f.conf.ID, f.state.counts.read())
	var requests, errors, limited int64
	for _, n := range t.Answers {
		requests += n.N
	}
	for _, n := range t.Failures {
		errors += n
	}
	for i := range f.state.use.limited {
		limited += f.state.use.limited[i].Load()
	}
	return []statuspage.Count{{Name: "requests", Value: requests}, {Name: "errors", Value: errors}, {Name: "limits met", Value: limited},
		{Name: "bytes in", Value: t.BodyIn}, {Name: "bytes out", Value: t.BodyOut}, {Name: "upgraded", Value: t.Upgraded}}
}

// reportCounts are the numbers of the whole door.
func reportCounts(r *Relay) []statuspage.Count {
	t := r.Totals()
	return []statuspage.Count{{Name: "requests", Value: t.Requests}, {Name: "in flight", Value: t.InFlight}, {Name: "clients", Value: t.Clients},
		{Name: "lanes", Value: t.Lanes}, {Name: "retries", Value: t.Retries}, {Name: "bytes held", Value: t.Held}}
}

// trouble is what went wrong last with a server on one loop.
type trouble struct {
	text string
	at   time.Time
}

// maxTroubles is how many servers a loop remembers troubles of; above it, those of servers that there are no more are forgotten.
const maxTroubles = 1024

// troubled notes what went wrong with a server. It is shown to administrators: no secret may be in it.
func (s *shard) troubled(farmID, server, text string) {
	if len(s.troubles) >= maxTroubles {
		for name := range s.troubles {
			if known, _ := s.view.server(name.farm, name.server); known == nil {
				delete(s.troubles, name)
			}
		}
	}
	const most = 300 // bytes
	s.troubles[serverName{farmID, server}] = trouble{text[:min(len(text), most)], s.loop.Now()}
}

// maxMaking is how many status pages are made at a time; one more is answered with 503.
const maxMaking = 4

// startPage makes a page in a goroutine, unless too many are being made. then gets it on the loop; not if that is stopping.
func startPage(r *Relay, q ReportQuery, l *loop.Loop, then func(status int, kind string, content []byte)) bool {
	if r.making.Add(1) > maxMaking {
		r.making.Add(-1)
		return false
	}
	r.makers.Go(func() { // ends when the loops have answered or stop; Close waits for it
		defer r.making.Add(-1)
		status, kind, content := r.Render(q, r.Version, r.Generation(), nil)
		l.Post(func() { then(status, kind, content) })
	})
	return true
}
