package main

import (
	"strconv"

	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

// metrics reads the counters: those of a relay server, with rsoe in place of rs, as far as they have a meaning here. dropped is how many lines of
// the log were dropped; nil: nobody knows.
func (w *watched) metrics(cfg *config.Enabler, dropped func() int64) []admin.Metric {
	e := w.enabler.Load()
	if e == nil {
		return nil
	}
	s := e.Stats()
	m := ofServer{cfg.Farm, cfg.ID}
	lines := int64(0)
	if dropped != nil {
		lines = dropped()
	}
	all := []admin.Metric{
		m.gauge("rsoe_oe_connected", "Whether there is a lane to a relay server.", truth(s.Lanes > 0)),
		m.gauge("rsoe_backend_up", "Whether the back-end server answers.", truth(s.Up)),
		m.gauge("rsoe_inflight", "Requests that are being answered.", s.Streams),
		m.gauge("rsoe_requests_waiting", "Of these, requests that wait for a connection because there are as many as there may be.", s.Waiting),
		m.gauge("rsoe_connections_idle", "Idle connections to the back-end server that any request may use.", s.Idle),
		m.gauge("rsoe_connections_of_sessions", "Connections to the back-end server that belong to sessions.", s.Sessions),
		{Name: "rsoe_buffer_bytes", Help: "Bytes of request bodies that the back-end server does not take.", Kind: admin.Gauge,
			Samples: []admin.Sample{{Value: float64(s.Held)}}},
		{Name: "rsoe_dropped_log_lines_total", Help: "Lines of the log that were dropped because the disk was slow or full.",
			Samples: []admin.Sample{{Value: float64(lines)}}},
	}
	return append(append(all, m.lanes(outbound.LanesOf(e))...), m.requests(&s)...)
}

// ofServer makes metrics of the back-end server that the enabler serves.
type ofServer struct{ farm, server string }

func (o ofServer) gauge(name, help string, v int64) admin.Metric {
	m := admin.Metric{Name: name, Help: help, Kind: admin.Gauge, Labels: []string{"farm", "server"}}
	m.Add(float64(v), o.farm, o.server)
	return m
}

func (o ofServer) lanes(lanes []outbound.Lane) []admin.Metric {
	channels := admin.Metric{Name: "rsoe_channels", Help: "Lanes to relay servers that are up, by how they travel.", Kind: admin.Gauge,
		Labels: []string{"farm", "server", "kind"}}
	kinds := map[string]int{"http": 0, "length": 0, "ws": 0}
	rtt := admin.Metric{Name: "rsoe_oe_rtt_seconds", Help: "Round trip time to the relay servers: the longest of all lanes. Absent until it is known.",
		Kind: admin.Gauge, Labels: []string{"farm", "server"}}
	longest := 0.0
	for _, l := range lanes {
		kinds[l.Kind]++
		longest = max(longest, l.RTT.Seconds())
	}
	for kind, n := range kinds {
		channels.Add(float64(n), o.farm, o.server, kind)
	}
	if longest > 0 {
		rtt.Add(longest, o.farm, o.server)
	}
	return []admin.Metric{channels, rtt}
}

func (o ofServer) requests(s *outbound.Stats) []admin.Metric {
	requests := admin.Metric{Name: "rsoe_requests_total", Help: "Requests that have ended, by status of the answer; 0: there was none.",
		Labels: []string{"farm", "code", "method"}}
	for _, n := range s.Answers {
		requests.Add(float64(n.N), o.farm, strconv.Itoa(n.Code), n.Method)
	}
	failed := admin.Metric{Name: "rsoe_errors_total", Help: "Requests that failed at the enabler, by error.", Labels: []string{"farm", "rse"}}
	for name, n := range s.Errors {
		failed.Add(float64(n), o.farm, name)
	}
	bytes := admin.Metric{Name: "rsoe_bytes_total", Help: "Bytes of bodies of requests (in) and answers (out) that have ended.", Labels: []string{"farm", "dir"}}
	bytes.Add(float64(s.UpBytes), o.farm, "in")
	bytes.Add(float64(s.DownBytes), o.farm, "out")
	affinity := admin.Metric{Name: "rsoe_affinity_total", Help: "Requests that have ended, by what became of their binding to a connection.",
		Labels: []string{"farm", "result"}}
	for result, n := range s.Affinity {
		affinity.Add(float64(n), o.farm, result)
	}
	upgraded := admin.Metric{Name: "rsoe_websockets", Help: "Requests that are upgraded, to WebSocket or another protocol.", Kind: admin.Gauge, Labels: []string{"farm"}}
	upgraded.Add(float64(s.Upgraded), o.farm)
	junctions := admin.Metric{Name: "rsoe_junctions", Help: "Connections to the back-end server: those that carry a request (active), and the others (idle).",
		Kind: admin.Gauge, Labels: []string{"farm", "server", "state"}}
	junctions.Add(float64(s.Active), o.farm, o.server, "active")
	junctions.Add(float64(max(0, s.Connections-s.Active)), o.farm, o.server, "idle")
	seconds := admin.Metric{Name: "rsoe_request_seconds", Kind: admin.Histogram, Labels: []string{"farm", "phase"},
		Help: "Time from the head of a request until there was a connection (connect), from its end to the head of the answer (rtp), and to the end of its answer (total)."}
	for phase, t := range s.Phases {
		d := &admin.Distribution{Sum: t.Sum.Seconds()}
		for _, b := range outbound.LatencyBounds() {
			d.Bounds = append(d.Bounds, b.Seconds())
		}
		for _, n := range t.Counts {
			d.Counts = append(d.Counts, uint64(n))
		}
		seconds.Samples = append(seconds.Samples, admin.Sample{Values: []string{o.farm, phase}, Distribution: d})
	}
	return []admin.Metric{requests, failed, bytes, affinity, upgraded, junctions, seconds}
}

func truth(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
