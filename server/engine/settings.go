package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/certs"
	"roundhouse/server/config"
)

// poolLimits are the settings of the pool.
func poolLimits(e *config.Engine) *enginepool.Limits {
	p := &e.Pool
	l := &enginepool.Limits{
		MaxEngines: p.MaxEngines, MaxSync: p.MaxSync, MaxPhantoms: p.MaxPhantoms, MaxExternal: p.MaxExternal,
		SpareEngines: p.SpareEngines, SpawnRate: p.SpawnRate, StealAfter: p.StealAfter,
		IdleTimeout: p.IdleTimeout, MaxUpTime: p.MaxUpTime, MaxRunTime: p.MaxRunTime, IdleCheck: p.IdleCheck,
		MaxRequests: p.MaxRequests, MaxRequestsJitter: p.MaxRequestsJitter, MaxMemory: p.MaxMemory, MaxMemoryHard: p.MaxMemoryHard,
		StartTimeout: e.Process.StartTimeout, LoginTimeout: e.Process.LoginTimeout, StopTimeout: e.Process.StopTimeout,
		BreakTimeout: e.Process.BreakTimeout, KillTimeout: e.Process.KillTimeout,
		Starting: enginepool.Backoff{First: p.StartBackoff, Most: p.StartBackoffMax, Failures: p.StartFailures},
	}
	switch p.QueuePolicy {
	case "priority":
		l.Policy = enginepool.Priority
	case "lifo-overload":
		l.Policy = enginepool.LIFOOverload
	}
	for i := range l.Modes {
		m := e.For(i - 1)
		l.Modes[i] = enginepool.ModeLimits{
			StartupProc: m.StartupProc, ShutdownProc: m.ShutdownProc, TimerProc: m.TimerProc,
			MinEngines: m.MinEngines, QueueMax: m.QueueMax, QueueTimeout: m.QueueTimeout, TaskTimeout: m.TaskTimeout,
		}
	}
	return l
}

// Reconfigure puts a new configuration in force: limits at once, and when how engines are started has changed, all engines are replaced,
// one by one. No request is lost.
func (d *Door) Reconfigure(cfg *config.Config) error {
	set, err := newSettings(cfg)
	if err != nil {
		return err
	}
	if err := d.certs.update(set.cfg, d.settings.Load().cfg); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	old := d.settings.Swap(set)
	d.keepLines(old, set)
	stale := !reflect.DeepEqual(old.cfg.Types, set.cfg.Types) || !reflect.DeepEqual(old.cfg.Process, set.cfg.Process)
	d.pool.SetLimits(poolLimits(set.cfg), stale)
	for _, s := range d.shards {
		s.loop.Post(func() { s.pool.Tick(s.now()) })
	}
	return nil
}

// keepLines holds the lines of which the configuration wants engines ready at any time, and lets go of those that old wanted. old may
// be nil.
func (d *Door) keepLines(old, set *settings) {
	before := old.keptLines(d)
	for _, l := range before {
		l.Keep(false)
	}
	for _, l := range set.keptLines(d) {
		l.Keep(true) // held until a reload; modes may have one line in common
	}
	for _, l := range before {
		l.Release(d.pool)
		l.Release(d.pool) // what held it until now
	}
}

// keptLines are the lines of which engines are kept ready, each held once more.
func (set *settings) keptLines(d *Door) []*enginepool.Line {
	var lines []*enginepool.Line
	for mode := oes.JD3; set != nil && mode <= oes.Web; mode++ {
		if l := set.keptLine(d, mode); l != nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// keptLine is the line of a mode of which engines are kept ready, held once more; nil: of none.
func (set *settings) keptLine(d *Door, mode oes.Mode) *enginepool.Line {
	m := set.cfg.For(int(mode))
	if m.MinEngines == 0 || m.Pooling != "request" {
		return nil
	}
	a := attempt{}
	if why := a.fill(set, mode, oes.LoginFields{}); why != "" {
		d.log.Error("no engines are kept ready", "mode", mode.String(), "reason", why)
		return nil
	}
	return d.pool.Line(a.words)
}

// doorCerts are the certificates of the listeners that speak TLS; nil: they speak none. Fixed when they open.
type doorCerts struct{ clients, engines *certs.Source }

func clientCerts(e *config.Engine) certs.Files {
	return certs.Files{Cert: e.TLSCert, Key: e.TLSKey, ClientCA: e.TLSClientCA, RequireClient: true}
}

func engineCerts(d *config.EngineDialIn) certs.Files {
	return certs.Files{Cert: d.TLSCert, Key: d.TLSKey, ClientCA: d.TLSCA, RequireClient: true}
}

// open reads the files.
func (c *doorCerts) open(e *config.Engine, log *slog.Logger) (err error) {
	if c.clients, err = certs.Open(clientCerts(e), log); err != nil {
		return fmt.Errorf("tls_cert: %w", err)
	}
	if c.engines, err = certs.Open(engineCerts(&e.DialIn), log); err != nil {
		return fmt.Errorf("dial_in.tls_cert: %w", err)
	}
	return nil
}

// update reads the files of a new configuration. On an error the old ones stay. Where only one of the two configurations has a certificate
// nothing changes: whether a listener speaks TLS is settled when it opens.
func (c *doorCerts) update(next, old *config.Engine) error {
	if next.TLSCert != "" {
		if err := c.clients.Update(clientCerts(next)); err != nil {
			return err
		}
	}
	if next.DialIn.TLSCert == "" {
		return nil
	}
	err := c.engines.Update(engineCerts(&next.DialIn))
	if err != nil && old.TLSCert != "" {
		err = errors.Join(err, c.clients.Update(clientCerts(old)))
	}
	return err
}
