package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"roundhouse/server/admin"
	"roundhouse/server/config"
	"roundhouse/server/relay"
)

// kick has enablers open their lanes anew.
func kick(s *Server, r admin.Request) (string, error) {
	farm := r.Values.Get("farm")
	if farm == "" {
		return "", errors.Join(errors.New("farm: missing"), admin.ErrUsage)
	}
	n := s.relay.Kick(farm, r.Values.Get("server"))
	if n == 0 {
		return "", errors.New("no lane of that name")
	}
	return fmt.Sprintf("%d lanes", n), nil
}

// drainServer has back-end servers get no new requests, or get them again.
func drainServer(s *Server, r admin.Request, on bool) (string, error) {
	farm, server := r.Values.Get("farm"), r.Values.Get("server")
	if farm == "" {
		return "", errors.Join(errors.New("farm: missing"), admin.ErrUsage)
	}
	n := s.relay.DrainServer(farm, server, on)
	if n == 0 {
		return "", errors.New("no back-end server of that name")
	}
	s.log.Info("back-end servers drained or resumed", "farm", farm, "server", server, "drained", on)
	return fmt.Sprintf("%d servers", n), nil
}

// setVerbosity changes what is logged until the next reload.
func setVerbosity(s *Server, r admin.Request) (string, error) {
	farm, server, text := r.Values.Get("farm"), r.Values.Get("server"), r.Values.Get("level")
	level, err := strconv.Atoi(text)
	switch {
	case text == "inherit" && farm != "":
		level = -1
	case err != nil || level < 0 || level > 5:
		return "", errors.Join(errors.New("level: 0 to 5, or inherit for a farm or a server"), admin.ErrUsage)
	case farm == "" && server != "":
		return "", errors.Join(errors.New("farm: missing"), admin.ErrUsage)
	}
	s.control.mu.Lock() // a reload waits
	defer s.control.mu.Unlock()
	found, err := s.relay.SetVerbosity(farm, server, level)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", errors.New("no farm or back-end server of that name")
	case farm == "":
		config.SetLevel(s.log, config.VerbosityLevel(level))
	}
	return "verbosity " + text, nil
}

// statusText is what the administrator's status page shows.
func statusText(s *Server, r admin.Request) (string, error) {
	q := relay.ParseReportQuery(r.Values.Encode(), relay.ForAdmin)
	q.JSON = true
	status, _, content := s.relay.Render(q, version(), s.Generation(), s.control.waiting())
	if status == 404 {
		return "", errors.New("no farm or back-end server of that name")
	}
	return string(content), nil
}

// configText is the configuration in force.
func configText(s *Server) (string, error) {
	var b strings.Builder
	err := config.Dump(&b, s.relay.Config())
	return b.String(), err
}

// maxConfig is how long a configuration may be that is put in the place of another, in bytes.
const maxConfig = 4 << 20

// configure checks a configuration, and puts it in force unless it is a dry run.
func configure(s *Server, r admin.Request) (string, error) {
	h := s.control.hooks.Load()
	if h == nil || h.Configure == nil {
		return "", errNoHook
	}
	dry := r.Values.Get("dry_run")
	if dry != "" && dry != "0" && dry != "1" {
		return "", errors.Join(errors.New("dry_run: 0 or 1"), admin.ErrUsage)
	}
	done, warnings, err := h.Configure(r.Body, dry == "1")
	if err != nil {
		return "", err
	}
	text := "the configuration is right"
	if dry != "1" {
		text = done.String()
	}
	for _, w := range warnings {
		text += "\nwarning: " + w
	}
	return text, nil
}

// tailLines is how many lines of the log are shown to who does not say how many; maxTailLines is the most.
const (
	tailLines    = 100
	maxTailLines = 100_000
)

func logTail(s *Server, r admin.Request) (string, error) {
	h := s.control.hooks.Load()
	if h == nil || h.LogTail == nil {
		return "", errNoHook
	}
	lines := tailLines
	if text := r.Values.Get("tail"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxTailLines {
			return "", errors.Join(fmt.Errorf("tail: 1 to %d lines", maxTailLines), admin.ErrUsage)
		}
		lines = n
	}
	return h.LogTail(lines)
}

// waiting are the keys of the last reload that need a new start.
func (c *control) waiting() []string {
	if p := c.needStart.Load(); p != nil {
		return *p
	}
	return nil
}

// administration is what the listeners of the relay door serve of the administration.
func (s *Server) administration() relay.Remote {
	return relay.Remote{
		Serves: admin.IsRemote,
		Authorized: func(field string) bool {
			a := s.remote.Load()
			return a != nil && a.Authorized(field)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if a := s.remote.Load(); a != nil {
				a.Remote().ServeHTTP(w, r)
				return
			}
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}),
	}
}
