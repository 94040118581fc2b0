package server

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"roundhouse/server/access"
	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/engine"
	"roundhouse/server/router"
	"roundhouse/server/statuspage"
)

// Hooks are what the server asks of the program around it. A nil one cannot be done.
type Hooks struct {
	// Reload reads the configuration again and has Reload put it in force. rsConfig, unless it is empty, is the absolute path of the
	// rs.config that is read in place of the one of the start. The error has every mistake; it was logged. Any goroutine may call it.
	Reload func(rsConfig string) (Reloaded, error)
	// ArchiveLog puts the log file away and begins it anew; it returns the new name, or none when there is no such file.
	ArchiveLog func() (name string, err error)
	// LogTail returns the last lines of the log file, at most so many.
	LogTail func(lines int) (string, error)
	// Configure checks a configuration that takes the place of the file of the start; unless it is a dry run, it is put in force as Reload does,
	// and written to that file. warnings are complete in any case.
	Configure func(text []byte, dryRun bool) (done Reloaded, warnings []string, err error)
}

// Reloaded says what a reload has done.
type Reloaded struct {
	Generation int64    // of the configuration in force: 1 from the start, and one more for each reload
	NeedStart  []string // keys that were changed and need a new start
}

// control is what a server needs to change while it runs.
type control struct {
	// Guarded by mu, which is held while a configuration is put in force.
	mu    sync.Mutex
	rules access.Rules // in force

	// Any goroutine.
	generation atomic.Int64 // less 1
	failed     atomic.Int64 // reloads that came to nothing
	hooks      atomic.Pointer[Hooks]
	needStart  atomic.Pointer[[]string] // of the last reload; nil: there was none
}

var errNoHook = errors.New("not possible in this server")

// SetHooks says what to do when an administrator asks for it. Without a call nothing of it can be done. Any goroutine may call it.
func (s *Server) SetHooks(h Hooks) {
	s.control.hooks.Store(&h)
	hookDoors(s)
}

// hookDoors gives the doors their ways to the server.
func hookDoors(s *Server) {
	var reload func() // nil: not possible
	if h := s.control.hooks.Load(); h != nil && h.Reload != nil {
		reload = func() { again(s) }
	}
	if s.engine != nil {
		s.engine.SetHooks(engine.Hooks{Drain: s.Drain, Reload: reload})
	}
	if s.router != nil {
		s.router.SetHooks(router.Hooks{Drain: s.Drain, Reload: reload})
	}
}

// again reads the configuration again, for a door.
func again(s *Server) {
	go func() { _, _ = s.control.readAgain("") }() // ends with the reload, which logs its outcome; nobody waits
}

// readAgain has the program read the configuration again.
func (c *control) readAgain(rsConfig string) (Reloaded, error) {
	h := c.hooks.Load()
	if h == nil || h.Reload == nil {
		return Reloaded{}, errNoHook
	}
	return h.Reload(rsConfig)
}

// ReloadFailed counts a configuration that was asked for and not put in force because it has mistakes.
func (s *Server) ReloadFailed() { s.control.failed.Add(1) }

// Reload puts a new configuration in force as far as that can be done while the server runs. What has changed and needs a new start is
// logged and returned. On an error the old one stays. Any goroutine may call it.
func (s *Server) Reload(cfg *config.Config) (Reloaded, error) {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	kept, err := s.reload(cfg)
	if err != nil {
		s.control.failed.Add(1)
		return Reloaded{}, fmt.Errorf("server: reload: %w", err)
	}
	s.control.needStart.Store(&kept)
	s.admin.SetToken(cfg.Admin.Token)
	done := Reloaded{Generation: s.control.generation.Add(1) + 1, NeedStart: kept}
	s.log.Info("the configuration was read again", "generation", done.Generation, "need_a_new_start", kept)
	return done, nil
}

// Generation is the number of the configuration in force.
func (s *Server) Generation() int64 { return s.control.generation.Load() + 1 }

// reload is Reload with control.mu held.
func (s *Server) reload(cfg *config.Config) (kept []string, err error) {
	if s.cfg.Demo {
		s.log.Warn("reload: nothing of this configuration can be changed without a new start")
		return nil, nil
	}
	rules, problems := access.FromConfig(&cfg.Access)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if err := s.guard.Replace(rules); err != nil {
		return nil, err
	}
	if err := s.reconfigure(cfg); err != nil {
		return nil, errors.Join(err, s.guard.Replace(s.control.rules))
	}
	s.control.rules = rules
	return config.NeedStart(s.cfg, cfg), nil
}

// controlActions are what an administrator may have the server do.
func controlActions(s *Server) []admin.Action {
	return []admin.Action{
		{Name: "reload", About: "read all files again and put them in force; rs_config=/PATH: this one in place of the rs.config", Do: s.control.reloadAction},
		{Name: "log/archive", About: "put the log files away as yymmddnn.log and begin them anew", Do: func(admin.Request) (string, error) { return archiveLogs(s) }},
		{Name: "kick", About: "have enablers open their lanes anew, gently; farm=F, server=S",
			Do: func(r admin.Request) (string, error) { return kick(s, r) }},
		{Name: "drain", About: "no new requests for a back-end server until resume; farm=F, server=S",
			Do: func(r admin.Request) (string, error) { return drainServer(s, r, true) }},
		{Name: "resume", About: "the end of drain; farm=F, server=S", Do: func(r admin.Request) (string, error) { return drainServer(s, r, false) }},
		{Name: "verbosity", Method: http.MethodPut, About: "until the next reload; level=0..5 or inherit, farm=F, server=S",
			Do: func(r admin.Request) (string, error) { return setVerbosity(s, r) }},
		{Name: "status", Method: http.MethodGet, Kind: statuspage.JSONType, About: "the status page as JSON; ias-rs-farm=F, ias-rs-server=S",
			Do: func(r admin.Request) (string, error) { return statusText(s, r) }},
		{Name: "config", Method: http.MethodGet, About: "the configuration in force, with secrets masked", Do: func(admin.Request) (string, error) { return configText(s) }},
		{Name: "config", Method: http.MethodPut, Body: maxConfig, About: "put the body in the place of the file of the start; dry_run=1: only check it",
			Do: func(r admin.Request) (string, error) { return configure(s, r) }},
		{Name: "log", Method: http.MethodGet, About: "the end of the log file; tail=N: so many lines", Do: func(r admin.Request) (string, error) { return logTail(s, r) }},
	}
}

func (c *control) reloadAction(r admin.Request) (string, error) {
	path := r.Values.Get("rs_config")
	switch {
	case path == "":
	case !r.Local:
		return "", errors.Join(errors.New("rs_config: only from this machine"), admin.ErrUsage)
	case !filepath.IsAbs(path) || strings.ContainsRune(path, 0):
		return "", errors.Join(errors.New("rs_config: an absolute path"), admin.ErrUsage)
	}
	done, err := c.readAgain(path)
	if err != nil {
		return "", err
	}
	return done.String(), nil
}

// String is what an administrator is told.
func (d Reloaded) String() string {
	text := fmt.Sprintf("generation %d", d.Generation)
	for _, key := range d.NeedStart {
		text += "\nneeds a new start: " + key
	}
	return text
}

// archiveLogs puts the log and the records of requests away, and returns their new names.
func archiveLogs(s *Server) (string, error) {
	var names []string
	archives := []func() (string, error){s.relay.ArchiveRecords}
	if h := s.control.hooks.Load(); h != nil && h.ArchiveLog != nil {
		archives = append(archives, h.ArchiveLog)
	}
	for _, archive := range archives {
		name, err := archive()
		if err != nil {
			return "", err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", errors.New("neither the log nor the records of requests go to a file")
	}
	return strings.Join(names, "\n"), nil
}
