package server

import (
	"fmt"

	"roundhouse/server/admin"
	"roundhouse/server/relay"
)

// connectionsShown is how many connections are shown to who does not say how many.
const connectionsShown = 1000

// relayTables are the tables of the relay door.
func (s *Server) relayTables() []admin.Table {
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
		case f.State == relay.FarmUnavailable:
			return []string{fmt.Sprintf("farm %q has no back-end server that can be reached", farm)}
		default:
			return nil
		}
	}
	return []string{fmt.Sprintf("farm %q is not configured", farm)}
}

func relayMetrics(t relay.Totals) []admin.Metric {
	classes := admin.Metric{Name: "rs_requests_total", Help: "Requests that were answered, by the class of the status.", Labels: []string{"class"}}
	for i := 1; i < len(t.Responses); i++ { // no status begins with 0
		classes.Samples = append(classes.Samples, admin.Sample{Values: []string{fmt.Sprintf("%dxx", i)}, Value: float64(t.Responses[i])})
	}
	return []admin.Metric{
		classes,
		{Name: "rs_request_seconds", Help: "Time from the head of a request to the end of its answer.", Kind: admin.Histogram,
			Samples: []admin.Sample{{Distribution: latency(t)}}},
		byLabel("rs_errors_total", "Answers that the relay server made itself, by error.", "rse", t.Failures),
		byLabel("rs_refusals_total", "Malformed requests, by what was wrong.", "reason", t.Refusals),
		byLabel("rs_bytes_total", "Bytes of bodies from clients (in) and to them (out).", "dir", map[string]int64{"in": t.BodyIn, "out": t.BodyOut}),
		counter("rs_retries_total", "Requests that were sent to a second back-end server.", t.Retries),
		counter("rs_dropped_log_lines_total", "Lines of the access log that were dropped because the disk was slow.", t.LogDropped),
		gauge("rs_inflight", "Requests that have begun and not ended.", t.InFlight),
		gauge("rs_clients", "Connections of clients.", t.Clients),
		gauge("rs_lanes", "Lanes of outbound enablers.", t.Lanes),
		gauge("rs_websockets", "Connections that were upgraded, to WebSocket or another protocol.", t.Upgraded),
		gauge("rs_buffer_bytes", "Bytes of bodies that are held back for slow clients.", t.Held),
	}
}

// latency is the distribution of the time that requests took.
func latency(t relay.Totals) *admin.Distribution {
	return distributionOf(relay.LatencyBounds(), t.Latency[:], t.LatencySum)
}

func backendMetrics(rows []relay.ServerRow) []admin.Metric {
	labels := []string{"farm", "server"}
	connected := admin.Metric{Name: "rs_oe_connected", Help: "Whether the outbound enabler of the back-end server has a lane here.",
		Kind: admin.Gauge, Labels: labels}
	up := admin.Metric{Name: "rs_backend_up", Help: "Whether the enabler is connected and reaches its back end.", Kind: admin.Gauge, Labels: labels}
	rtt := admin.Metric{Name: "rs_oe_rtt_seconds", Help: "Round trip time to the enabler: the longest of its lanes. Absent until it is known.",
		Kind: admin.Gauge, Labels: labels}
	for _, row := range rows {
		of := []string{row.Farm, row.ID}
		connected.Samples = append(connected.Samples, admin.Sample{Values: of, Value: oneIf(row.Lanes > 0)})
		up.Samples = append(up.Samples, admin.Sample{Values: of, Value: oneIf(row.Up)})
		if row.RTT > 0 {
			rtt.Samples = append(rtt.Samples, admin.Sample{Values: of, Value: float64(row.RTT) / 1e6})
		}
	}
	return []admin.Metric{connected, up, rtt}
}
