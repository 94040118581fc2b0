package server

import (
	"errors"
	"net/url"
	"strconv"
	"time"

	"roundhouse/server/admin"
	"roundhouse/server/engine"
)

// engineTables are the tables of the engine door.
func (s *Server) engineTables() []admin.Table {
	return []admin.Table{
		{Name: "engines", About: "engines, and what they do",
			Rows: func(limit int) (any, bool) { return first(limit, s.engine.Observe().Rows()) }},
		{Name: "queues", About: "signatures for which requests wait, or that are paused",
			Rows: func(limit int) (any, bool) { return first(limit, s.engine.Observe().Queues()) }},
	}
}

// engineActions are what an administrator may have the engine door do.
func (s *Server) engineActions() []admin.Action {
	var all []admin.Action
	for _, verb := range engine.Verbs() {
		all = append(all, admin.Action{
			Name: "engines/" + verb.Path, About: verb.About,
			Do: func(r admin.Request) (string, error) {
				text, err := s.engine.Admin(r.Context, verb.Name, arguments(verb, r.Values)...)
				if errors.Is(err, engine.ErrUsage) {
					err = errors.Join(err, admin.ErrUsage)
				}
				return text, err
			},
		})
	}
	return all
}

// arguments are those of a verb, from the form of a request: one of several values is one argument each.
func arguments(verb engine.Verb, form url.Values) (args []string) {
	for _, name := range verb.Args {
		args = append(args, form[name]...)
	}
	return args
}

// engineMetrics are the metrics of the engine door.
func (s *Server) engineMetrics() []admin.Metric {
	t := s.engine.Observe().Totals()
	all := []admin.Metric{
		byLabel("oes_engine_starts_total", "Starts of engines: ok, when they were ready for work, or failed.", "result",
			map[string]int64{"ok": t.Started, "failed": t.StartFailed}),
		byLabel("oes_engine_exits_total", "Engines that have ended, by reason.", "reason", t.Exits),
		histogram("oes_engine_start_seconds", "Time from the start of an engine until it was ready for work.", t.StartTime),
		histogram("oes_queue_wait_seconds", "Time that requests waited for their engine, also when one was free.", t.Wait),
		byLabel("oes_queue_rejected_total", "Requests and logins that got no engine, by reason.", "reason", t.Rejected),
		requestCounts(t),
		runTimes(t),
		histogram("oes_request_first_byte_seconds", "Time from when an engine got a request until it said something about it.", t.FirstByte),
		{Name: "oes_busy_seconds_total", Help: "Time that all engines together have spent on requests.",
			Samples: []admin.Sample{{Value: t.Busy.Seconds()}}},
		byLabel("oes_breaks_total", "Breaks that engines were sent: as an order, or as a signal along with it.", "level", t.Breaks),
		byLabel("oes_kills_total", "Engines that were killed, by reason.", "reason", t.Kills),
		gauge("oes_zombies", "Engines that run on without their client, who may come back.", t.Zombies),
		counter("oes_zombie_resumes_total", "Clients that have come back to their engine.", t.Resumes),
		gaugeByLabel("oes_connections", "Connections by the port that they came to.", "port", s.engine.Observe().Connections()),
		byLabel("oes_frames_total", "Frames from clients (in) and to them (out).", "dir", t.Frames),
		byLabel("oes_bytes_total", "Bytes of frames from clients (in) and to them (out).", "dir", t.Bytes),
		byLabel("oes_protocol_errors_total", "Connections that were ended because the client or the engine broke the protocol.", "side", t.ProtocolErrors),
		counter("oes_pool_stalls_total", "Times that requests waited for a second beside a free engine. Report them.", t.Stalls),
	}
	return append(all, s.engineGauges()...)
}

// engineGauges are read off the tables.
func (s *Server) engineGauges() []admin.Metric {
	engines := admin.Metric{Name: "oes_engines", Help: "Engines that live.", Kind: admin.Gauge, Labels: []string{"class", "state", "app"}}
	count, resident := map[[3]string]float64{}, 0.0
	for _, row := range s.engine.Observe().Rows() {
		count[[3]string{row.Class, row.State, s.engine.Observe().Label(row.Application)}]++
		resident += float64(row.ResidentBytes)
	}
	for of, n := range count {
		engines.Samples = append(engines.Samples, admin.Sample{Values: of[:], Value: n})
	}
	limits := admin.Metric{Name: "oes_engines_limit", Help: "How many engines there may be. 0: any number.", Kind: admin.Gauge, Labels: []string{"class"}}
	for _, l := range s.engine.Observe().Limits() {
		limits.Samples = append(limits.Samples, admin.Sample{Values: []string{l.Class}, Value: float64(l.Most)})
	}
	queues := admin.Metric{Name: "oes_queue_length", Help: "Requests that wait for an engine.", Kind: admin.Gauge, Labels: []string{"app", "mode"}}
	for of, n := range s.engine.Observe().QueueLengths() {
		queues.Samples = append(queues.Samples, admin.Sample{Values: []string{of.Application, strconv.Itoa(of.Mode)}, Value: float64(n)})
	}
	return []admin.Metric{engines, limits, queues, {Name: "oes_engine_rss_bytes",
		Help: "Memory that engines hold, all together, when it was last looked at.", Kind: admin.Gauge, Samples: []admin.Sample{{Value: resident}}}}
}

func requestCounts(t engine.Totals) admin.Metric {
	m := admin.Metric{Name: "oes_requests_total", Help: "Requests that an engine has got and that have ended.", Labels: []string{"mode", "kind", "result"}}
	for _, c := range t.Requests {
		m.Samples = append(m.Samples, admin.Sample{Values: []string{c.Mode, c.Kind, c.Result}, Value: float64(c.N)})
	}
	return m
}

func runTimes(t engine.Totals) admin.Metric {
	m := admin.Metric{Name: "oes_request_seconds", Help: "Time from when an engine got a request until its end.", Kind: admin.Histogram, Labels: []string{"mode"}}
	for mode, times := range t.Run {
		m.Samples = append(m.Samples, admin.Sample{Values: []string{mode}, Distribution: distribution(times)})
	}
	return m
}

func histogram(name, help string, t engine.Times) admin.Metric {
	return admin.Metric{Name: name, Help: help, Kind: admin.Histogram, Samples: []admin.Sample{{Distribution: distribution(t)}}}
}

func distribution(t engine.Times) *admin.Distribution {
	return distributionOf(engine.TimeBounds(), t.Counts, t.Sum)
}

// distributionOf makes a distribution of counts, of which there is one more than bounds.
func distributionOf(bounds []time.Duration, counts []int64, sum time.Duration) *admin.Distribution {
	d := &admin.Distribution{Sum: sum.Seconds()}
	for _, bound := range bounds {
		d.Bounds = append(d.Bounds, bound.Seconds())
	}
	for _, n := range counts {
		d.Counts = append(d.Counts, uint64(n))
	}
	return d
}
