package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/outbound"
)

// runEnabler serves a back-end server until ctx ends and it has drained; it calls ready when the first lane is up.
var runEnabler = runWithAdmin

// runWithAdmin shows the enabler at -metrics and -health, if they are given, while it runs.
func runWithAdmin(ctx context.Context, e *config.Enabler, log *slog.Logger, ready func()) error {
	hooks := outbound.Hooks{Ready: ready}
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
	hooks.Started = func(e *outbound.Enabler) {
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
	up := int64(0)
	if s.Up {
		up = 1
	}
	return []admin.Metric{
		one("rsoe_lanes", "Lanes to relay servers that are up.", admin.Gauge, s.Lanes),
		one("rsoe_requests_in_flight", "Requests that are being answered.", admin.Gauge, s.Streams),
		one("rsoe_requests_total", "Requests that relay servers have sent.", admin.Counter, s.Requests),
		one("rsoe_back_end_up", "Whether the back-end server answers.", admin.Gauge, up),
	}
}
