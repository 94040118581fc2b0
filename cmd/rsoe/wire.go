package main

import (
	"context"
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
		Ready: func(string) []string { return reasons(w.stats()) }, Prefix: "rsoe", Metrics: func() []admin.Metric { return w.metrics(e, hooks.Dropped) },
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
