package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"roundhouse/server/admin"
	"roundhouse/server/relay"
	"roundhouse/server/statuspage"
)

// connectionsShown is how many connections are shown to who does not say how many.
const connectionsShown = 1000

// relayTables are the tables of the relay door.
func relayTables(s *Server) []admin.Table {
	return []admin.Table{
		{Name: "farms", About: "farms, and whether they can be served",
			Rows: func(limit int) (any, bool) { return first(limit, s.relay.Farms()) }},
		{Name: "servers", About: "back-end servers of the farms",
			Rows: func(limit int) (any, bool) { return first(limit, s.relay.Servers()) }},
		{Name: "lanes", About: "lanes of the outbound enablers",
			Rows: func(limit int) (any, bool) { return first(limit, s.relay.Lanes()) }},
		{Name: "connections", About: "connections of clients; ?limit=N: at most N, 0 for all", Limit: connectionsShown,
			Rows: func(limit int) (any, bool) { return s.relay.Connections(limit) }},
	}
}

// relayPages are the status page for the administrator of the relay, and the numbers for a monitor.
func relayPages(s *Server) []admin.Page {
	return []admin.Page{
		{Path: "/admin/iarelayserver", About: "status page; ?ias-rs-farm=F&ias-rs-server=S, ias-rs-format=json", Policy: statuspage.Policy,
			Render: func(query string) (int, string, []byte) {
				return s.relay.Render(relay.ParseReportQuery(query, relay.ForAdmin), version(), s.Generation(), s.control.waiting())
			}},
		{Path: "/mon/iarelayserver", About: "the metrics as JSON", Render: func(string) (int, string, []byte) {
			b, err := json.Marshal(admin.Numbers(append(s.metrics(), admin.Up(s.admin))))
			if err != nil {
				return http.StatusInternalServerError, "text/plain; charset=utf-8", []byte("The numbers cannot be shown.\n")
			}
			return http.StatusOK, statuspage.JSONType, append(b, '\n')
		}},
	}
}

// unready returns why no traffic for a farm should come. Empty means no farm: then there is nothing against it.
func (s *Server) unready(farm string) []string {
	if farm == "" {
		return nil
	}
	for _, f := range s.relay.Farms() {
		switch {
		case f.ID != farm:
		case !f.Enabled:
			return []string{fmt.Sprintf("farm %q is disabled", farm)}
		case f.Holding: // requests wait for the lanes
			return nil
		case f.State == relay.FarmUnavailable:
			return []string{fmt.Sprintf("farm %q has no back-end server that can be reached", farm)}
		case f.Starting:
			return []string{fmt.Sprintf("farm %q still waits for back-end servers after the start", farm)}
		default:
			return nil
		}
	}
	return []string{fmt.Sprintf("farm %q is not configured", farm)}
}

func relayMetrics(t relay.Totals, dropped int64) []admin.Metric {
	return []admin.Metric{
		byLabel("rs_refusals_total", "Malformed requests, by what was wrong.", "reason", t.Refusals),
		counter("rs_retries_total", "Requests that were sent to a second back-end server.", t.Retries),
		counter("rs_dropped_log_lines_total", "Lines of the log, and records of requests, that were dropped because the disk was slow or full.", dropped+t.LogDropped),
		byLabel("rs_webhook_events_total", "Events for the webhook that it has taken, that it has not, and that were dropped because too many waited.", "result",
			map[string]int64{"sent": t.Webhook.Sent, "failed": t.Webhook.Failed, "dropped": t.Webhook.Dropped}),
		gauge("rs_requests_in_flight", "Requests that have begun and not ended.", t.InFlight),
		gauge("rs_clients", "Connections of clients.", t.Clients),
		gauge("rs_lanes", "Lanes of outbound enablers.", t.Lanes),
		gauge("rs_buffer_bytes", "Bytes of bodies that are held back for slow clients.", t.Held),
	}
}

// controlMetrics are those of the configuration.
func controlMetrics(s *Server) []admin.Metric {
	return []admin.Metric{
		gauge("rs_config_generation", "Number of the configuration in force: 1 from the start, and one more for each reload.", s.Generation()),
		byLabel("rs_config_reload_total", "Configurations that were put in force (ok) and that had mistakes (failed).", "result",
			map[string]int64{"ok": s.Generation() - 1, "failed": s.control.failed.Load()}),
	}
}

// farmMetrics are the counters of farms. The farm "" is of requests that named none that there is.
func farmMetrics(farms []relay.FarmTotals) []admin.Metric {
	requests := admin.Metric{Name: "rs_requests_total", Help: "Requests that have ended, by status; the relay's own answers included.",
		Labels: []string{"farm", "code", "method"}}
	errs := admin.Metric{Name: "rs_errors_total", Help: "Requests that failed at the relay server, by error.", Labels: []string{"farm", "rse"}}
	seconds := admin.Metric{Name: "rs_request_seconds", Kind: admin.Histogram, Labels: []string{"farm", "phase"},
		Help: "Time from the head of a request until it was sent on (assign), from its end until the answer began (rtp), and to the end of its answer (total)."}
	bytes := admin.Metric{Name: "rs_bytes_total", Help: "Bytes of bodies from clients (in) and to them (out).", Labels: []string{"farm", "dir"}}
	affinity := admin.Metric{Name: "rs_affinity_total", Help: "Requests by what became of their binding to a back-end server.", Labels: []string{"farm", "result"}}
	limited := admin.Metric{Name: "rs_limited_total", Help: "How often a limit of the farm was met, by limit.", Labels: []string{"farm", "reason"}}
	upgraded := admin.Metric{Name: "rs_websockets", Help: "Connections that are upgraded, to WebSocket or another protocol.", Kind: admin.Gauge,
		Labels: []string{"farm"}}
	for _, f := range farms {
		for _, n := range f.Answers {
			requests.Add(float64(n.N), f.Farm, strconv.Itoa(n.Code), n.Method)
		}
		for name, n := range f.Failures {
			errs.Add(float64(n), f.Farm, name)
		}
		if f.Farm == "" {
			continue
		}
		for phase, times := range f.Phases {
			if times.Count() > 0 {
				seconds.Samples = append(seconds.Samples, admin.Sample{Values: []string{f.Farm, phase},
					Distribution: distributionOf(relay.LatencyBounds(), times.Counts, times.Sum)})
			}
		}
		for result, n := range f.Affinity {
			affinity.Add(float64(n), f.Farm, result)
		}
		for reason, n := range f.Limited {
			limited.Add(float64(n), f.Farm, reason)
		}
		bytes.Add(float64(f.BodyIn), f.Farm, "in")
		bytes.Add(float64(f.BodyOut), f.Farm, "out")
		upgraded.Add(float64(f.Upgraded), f.Farm)
	}
	return []admin.Metric{requests, errs, seconds, bytes, affinity, limited, upgraded}
}

func backendMetrics(rows []relay.ServerRow) []admin.Metric {
	labels := []string{"farm", "server"}
	connected := admin.Metric{Name: "rs_oe_connected", Help: "Whether the outbound enabler of the back-end server has a lane here.",
		Kind: admin.Gauge, Labels: labels}
	up := admin.Metric{Name: "rs_backend_up", Help: "Whether the enabler is connected and reaches its back end.", Kind: admin.Gauge, Labels: labels}
	rtt := admin.Metric{Name: "rs_oe_rtt_seconds", Help: "Round trip time to the enabler: the longest of its lanes. Absent until it is known.",
		Kind: admin.Gauge, Labels: labels}
	inFlight := admin.Metric{Name: "rs_inflight", Help: "Requests that the back-end server has not answered to their end.", Kind: admin.Gauge, Labels: labels}
	channels := admin.Metric{Name: "rs_channels", Help: "Lanes of the back-end server's enabler, by how they travel.", Kind: admin.Gauge,
		Labels: []string{"farm", "server", "kind"}}
	junctions := admin.Metric{Name: "rs_junctions", Help: "Connections of the enabler to its back end: those that carry a request (active), and the others (idle).",
		Kind: admin.Gauge, Labels: []string{"farm", "server", "state"}}
	for _, row := range rows {
		for state, n := range row.Junctions {
			junctions.Add(float64(n), row.Farm, row.ID, state)
		}
		connected.Add(oneIf(row.Lanes > 0), row.Farm, row.ID)
		up.Add(oneIf(row.Up), row.Farm, row.ID)
		inFlight.Add(float64(row.Streams), row.Farm, row.ID)
		for kind, n := range row.Kinds {
			channels.Add(float64(n), row.Farm, row.ID, kind)
		}
		if row.RTT > 0 {
			rtt.Add(float64(row.RTT)/1e6, row.Farm, row.ID)
		}
	}
	return []admin.Metric{connected, up, rtt, inFlight, channels, junctions}
}
