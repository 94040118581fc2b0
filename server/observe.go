package server

import (
	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// sources is what the admin listener shows of the server, and lets an administrator do.
func (s *Server) sources() admin.Sources {
	sources := admin.Sources{Ready: s.unready, Metrics: s.metrics, Tables: relayTables(s), Actions: controlActions(s), Pages: relayPages(s)}
	if s.engine != nil {
		sources.Tables = append(sources.Tables, s.engineTables()...)
		sources.Actions = append(sources.Actions, s.engineActions()...)
	}
	if s.router != nil {
		sources.Tables = append(sources.Tables, s.routerTables()...)
	}
	return sources
}

// first returns at most limit rows, 0 being all, and whether there are more.
func first[T any](limit int, rows []T) ([]T, bool) {
	if limit > 0 && len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}

// metrics reads the counters of the whole server.
func (s *Server) metrics() []admin.Metric {
	all := relayMetrics(s.relay.Totals(), config.Dropped(s.log))
	all = append(all, controlMetrics(s)...)
	all = append(all, farmMetrics(s.relay.FarmTotals())...)
	servers := backendMetrics(s.relay.Servers())
	if !s.relay.Config().Admin.ServerLabel {
		servers = admin.WithoutLabel(servers, "server", func(name string) bool { return name == "rs_oe_rtt_seconds" })
	}
	all = append(all, servers...)
	if s.engine != nil {
		all = append(all, s.engineMetrics()...)
	}
	if s.router != nil {
		all = append(all, s.routerMetrics()...)
	}
	return append(all, loopMetrics(s.group.Stats())...)
}

func loopMetrics(t loop.Stats) []admin.Metric {
	return []admin.Metric{
		gauge("rs_connections", "Connections that are open, on every door.", t.Open),
		counter("rs_connections_opened_total", "Connections that were ever opened.", t.Opened),
		counter("rs_connections_refused_total", "Connections that were closed at once because of a limit.", t.Refused),
		counter("rs_accept_errors_total", "Errors of accepting connections, such as too few descriptors.", t.AcceptErrors),
		counter("rs_proxy_header_errors_total", "Connections of load balancers that did not begin with a right PROXY header.", t.BadProxies),
		counter("rs_tls_handshake_errors_total", "Connections whose TLS handshake failed: no common version, a certificate that is not trusted, no TLS at all.", t.BadTLS),
		counter("rs_panics_total", "Panics, each of which closed its connection. Report them.", t.Panics),
		byLabel("rs_socket_bytes_total", "Bytes read from sockets (in) and written to them (out).", "dir",
			map[string]int64{"in": t.BytesIn, "out": t.BytesOut}),
	}
}

func counter(name, help string, n int64) admin.Metric {
	return admin.Metric{Name: name, Help: help, Samples: []admin.Sample{{Value: float64(n)}}}
}

func gauge(name, help string, n int64) admin.Metric {
	return admin.Metric{Name: name, Help: help, Kind: admin.Gauge, Samples: []admin.Sample{{Value: float64(n)}}}
}

// byLabel is a counter with one label.
func byLabel(name, help, label string, values map[string]int64) admin.Metric {
	m := admin.Metric{Name: name, Help: help, Labels: []string{label}}
	for value, n := range values {
		m.Samples = append(m.Samples, admin.Sample{Values: []string{value}, Value: float64(n)})
	}
	return m
}

// gaugeByLabel is a gauge with one label.
func gaugeByLabel(name, help, label string, values map[string]int64) admin.Metric {
	m := byLabel(name, help, label, values)
	m.Kind = admin.Gauge
	return m
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
