package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

// runEnabler serves a back-end server until ctx ends and it has drained; hooks tell of it.
var runEnabler = runWithAdmin

// runWithAdmin shows the enabler at -metrics and -health, if they are given, while it runs.
func runWithAdmin(ctx context.Context, e *config.Enabler, log *slog.Logger, hooks outbound.Hooks) error {
	if e.AdminListen == "" {
		return outbound.RunHooked(ctx, e, log, hooks)
	}
	w := &watched{}
	a, err := admin.New(config.Admin{Listen: e.AdminListen}, log, admin.Sources{
		Ready: func(string) []string { return reasons(w.stats()) }, Metrics: func() []admin.Metric { return metrics(w.stats()) },
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := a.Close(); err != nil {
			log.Warn("the admin listener was not closed in order", "error", err)
		}
	}()
	log.Info("listening", "door", "admin", "addr", a.Addr().String())
	started := hooks.Started
	hooks.Started = func(e *outbound.Enabler) {
		if started != nil {
			started(e)
		}
		w.enabler.Store(e)
		a.Ready(true)
	}
	defer context.AfterFunc(ctx, func() { a.Ready(false) })()
	return outbound.RunHooked(ctx, e, log, hooks)
}

// watched is an enabler that may not be there yet.
type watched struct {
	enabler atomic.Pointer[outbound.Enabler]
}

func (w *watched) stats() (s outbound.Stats) {
	if e := w.enabler.Load(); e != nil {
		s = e.Stats()
	}
	return s
}

// reasons says why no request gets through.
func reasons(s outbound.Stats) (why []string) {
	if s.Lanes == 0 {
		why = append(why, "no lane to a relay")
	}
	if !s.Up {
		why = append(why, "the back end is down")
	}
	return why
}

func metrics(s outbound.Stats) []admin.Metric {
	one := func(name, help string, kind admin.Kind, v int64) admin.Metric {
		return admin.Metric{Name: name, Help: help, Kind: kind, Samples: []admin.Sample{{Value: float64(v)}}}
	}
	by := func(name, help, label string, kind admin.Kind) admin.Metric {
		return admin.Metric{Name: name, Help: help, Kind: kind, Labels: []string{label}}
	}
	up := int64(0)
	if s.Up {
		up = 1
	}
	answers := by("rsoe_responses_total", "Requests that the back end has answered, by the class of the status.", "class", admin.Counter)
	for i := 1; i < len(s.Answers); i++ { // no status begins with 0
		answers.Add(float64(s.Answers[i]), fmt.Sprintf("%dxx", i))
	}
	failed := by("rsoe_errors_total", "Requests that ended without an answer, by reason.", "error", admin.Counter)
	for reason, n := range s.Errors {
		failed.Add(float64(n), reason)
	}
	bytes := by("rsoe_bytes_total", "Bytes of bodies of requests (up) and answers (down) that have ended.", "dir", admin.Counter)
	bytes.Add(float64(s.UpBytes), "up")
	bytes.Add(float64(s.DownBytes), "down")
	junctions := by("rsoe_junctions", "Connections to the back-end server: those that carry a request (active), and the others (idle).", "state", admin.Gauge)
	junctions.Add(float64(s.Active), "active")
	junctions.Add(float64(max(0, s.Connections-s.Active)), "idle")
	took := &admin.Distribution{Sum: s.LatencySum.Seconds()}
	for _, b := range outbound.LatencyBounds() {
		took.Bounds = append(took.Bounds, b.Seconds())
	}
	for _, n := range s.Latency {
		took.Counts = append(took.Counts, uint64(n))
	}
	return []admin.Metric{
		one("rsoe_lanes", "Lanes to relay servers that are up.", admin.Gauge, s.Lanes),
		one("rsoe_requests_in_flight", "Requests that are being answered.", admin.Gauge, s.Streams),
		one("rsoe_requests_waiting", "Of these, requests that wait for a connection because there are as many as there may be.", admin.Gauge, s.Waiting),
		one("rsoe_requests_total", "Requests that relay servers have sent.", admin.Counter, s.Requests),
		answers, failed, bytes,
		{Name: "rsoe_request_seconds", Help: "Time from the head of a request to the end of its answer.", Kind: admin.Histogram,
			Samples: []admin.Sample{{Distribution: took}}},
		one("rsoe_back_end_up", "Whether the back-end server answers.", admin.Gauge, up),
		junctions,
		one("rsoe_back_end_connections", "Connections to the back-end server.", admin.Gauge, s.Connections),
		one("rsoe_back_end_connections_idle", "Of these, idle ones that any request may use.", admin.Gauge, s.Idle),
		one("rsoe_back_end_connections_of_sessions", "Of these, those that belong to sessions.", admin.Gauge, s.Sessions),
		one("rsoe_held_bytes", "Bytes of request bodies that the back-end server does not take.", admin.Gauge, s.Held),
	}
}
