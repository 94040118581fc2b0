package server

import "roundhouse/server/admin"

// routerTables are the tables of the router door.
func (s *Server) routerTables() []admin.Table {
	seen := s.router.Observe()
	return []admin.Table{
		{Name: "clients", About: "connections of the router door; ?limit=N: at most N, 0 for all", Limit: connectionsShown,
			Rows: func(limit int) (any, bool) { return seen.Clients(limit) }},
		{Name: "subjects", About: "what is subscribed to, most subscribers first; ?limit=N: at most N, 0 for all", Limit: connectionsShown,
			Rows: func(limit int) (any, bool) { return seen.Subjects(limit) }},
		{Name: "projects", About: "name spaces of subjects; ?limit=N: at most N, 0 for all", Limit: connectionsShown,
			Rows: func(limit int) (any, bool) { return seen.Projects(limit) }},
	}
}

// routerMetrics are the metrics of the router door.
func (s *Server) routerMetrics() []admin.Metric {
	t := s.router.Observe().Totals()
	return []admin.Metric{
		byLabel("router_messages_total", "Messages that were published (in), and copies given to subscribers (out).", "dir",
			map[string]int64{"in": t.MessagesIn, "out": t.MessagesOut}),
		byLabel("router_bytes_total", "Bytes of these messages: of clients the whole frame, of NATS header and payload.", "dir",
			map[string]int64{"in": t.BytesIn, "out": t.BytesOut}),
		gaugeByLabel("router_connections", "Connections of clients and of NATS clients.", "protocol",
			map[string]int64{"client": t.Clients, "nats": t.NATSClients}),
		gauge("router_subscriptions", "Subscriptions, the unique subjects of clients included.", t.Subscriptions),
		gauge("router_projects", "Name spaces that clients have named, and that of NATS clients.", t.Projects),
		byLabel("router_lost_total", "Messages that did not reach a subscriber, by reason.", "reason", t.Lost),
		byLabel("router_cuts_total", "Connections that the router door ended, by reason.", "reason", t.Cut),
		counter("router_publishers_held_total", "Times that a publisher was not read because another loop was behind.", t.Held),
		gauge("router_inflight_bytes", "Bytes of messages on their way from one loop to another.", t.InFlight),
		counter("router_log_dropped_total", "Messages that did not get into a message file that is open, because it was too slow.", t.LogDropped),
		byLabel("router_cache_lookups_total", "Lookups of who gets a subject, other than that of a publisher's last message, by result.", "result",
			map[string]int64{"hit": t.Hits, "miss": t.Misses}),
		counter("router_cache_evictions_total", "Subjects that were dropped from a cache because it was full.", t.Evicted),
		gauge("router_cache_subjects", "Subjects in the caches of all loops.", t.Plans),
	}
}
