package engine

import (
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// run is a procedure that the server itself runs on an engine of its own: at its start, at the first connection, or again and again.
// Owned by the loop of its shard.
type run struct {
	shard *shard
	cfg   config.EngineRun
	e     *engine // nil: it does not live
	ready bool
	busy  bool
	timer loop.Timer
	call  call
	ended func() // after a run that is not repeated; may be nil
}

// startRuns begins what runs at the start and again and again. What runs at the start is awaited by ended.
func (d *Door) startRuns(ended func()) {
	s := d.shards[0]
	left := 1
	end := func() {
		if left--; left == 0 {
			ended()
		}
	}
	for _, cfg := range d.settings.Load().cfg.Runs {
		switch cfg.When {
		case "auto":
			left++
			(&run{shard: s, cfg: cfg, ended: end}).begin()
		case "monitor":
			r := &run{shard: s, cfg: cfg}
			r.timer.Init(s.loop, r.tick)
			r.timer.Arm(cfg.Every)
		}
	}
	end()
}

// firstClient begins what runs at the first connection of a client.
func (d *Door) firstClient() {
	s := d.shards[0]
	s.loop.Post(func() {
		for _, cfg := range d.settings.Load().cfg.Runs {
			if cfg.When == "first" {
				(&run{shard: s, cfg: cfg}).begin()
			}
		}
	})
}

// tick runs a monitor, unless it still runs.
func (r *run) tick() {
	if r.shard.door.draining.Load() {
		return
	}
	r.timer.Arm(r.cfg.Every)
	switch {
	case r.busy:
		r.shard.stats.skippedMonitors.Add(1)
		r.shard.log.Warn("a monitor still runs: its turn is skipped", "procedure", r.cfg.Procedure)
	case r.e == nil:
		r.begin()
	case r.ready:
		r.execute()
	}
}

// begin starts the engine.
func (r *run) begin() {
	s := r.shard
	d := s.door.settings.Load().cfg.For(int(oes.Char))
	words := enginepool.Login{
		Application: r.cfg.Application, User: r.cfg.UserName, Password: r.cfg.Password, Procedure: r.cfg.Procedure, Type: d.EngineType,
		Flags: "65", Mode: int(oes.Char),
	}
	line := s.door.pool.PrivateLine(words)
	defer line.Release(s.door.pool)
	r.e, r.busy, r.ready = &engine{bound: r, door: s.door}, true, false
	if s.pool.Start(enginepool.Bound, line, r.e, s.now()) == nil {
		s.log.Error("a procedure of the server cannot run: too many engines", "when", r.cfg.When, "procedure", r.cfg.Procedure)
		r.e, r.busy = nil, false
		r.finish()
	}
}

func (r *run) finish() {
	if ended := r.ended; ended != nil {
		r.ended = nil
		ended()
	}
}

func (r *run) engineReady(*engine) {
	r.ready = true
	r.execute()
}

func (r *run) engineFailed(_ *engine, text string) {
	r.shard.log.Error("a procedure of the server cannot run: its engine did not come up", "when", r.cfg.When, "procedure", r.cfg.Procedure, "reason", clip(text))
	r.e, r.ready, r.busy = nil, false, false
	r.finish()
}

func (r *run) engineGone(e *engine) {
	if r.e == e {
		r.e, r.ready, r.busy = nil, false, false
		r.finish()
	}
}

// execute runs the procedure.
func (r *run) execute() {
	kind := "autorun"
	if r.cfg.When == "monitor" {
		kind = "monitor"
	}
	s := r.shard
	r.busy = true
	r.call = call{code: oes.Execute, kind: kind, procedure: r.cfg.Procedure, owner: &runOutcome{r: r}}
	r.call.waiter.Line, r.call.waiter.Mode = r.e.pooled.Line(), int(oes.Char)
	s.pool.Begin(r.e.pooled, int(oes.Char), s.now())
	r.e.run(&r.call)
}

// runOutcome gets the outcome of a run.
type runOutcome struct {
	nobody
	r *run
}

func (o *runOutcome) failed(_ *call, text string) {
	o.r.shard.log.Error("a procedure of the server failed", "when", o.r.cfg.When, "procedure", o.r.cfg.Procedure, "reason", clip(text))
}

func (o *runOutcome) over(*call) {
	r := o.r
	r.busy = false
	if r.cfg.When != "monitor" && r.e != nil {
		r.shard.pool.Stop(r.e.pooled, enginepool.WhyDone, r.shard.now())
	}
	r.finish()
}
