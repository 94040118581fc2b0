package admin

import (
	"fmt"
	"net/http"
)

// The phases of readiness.
const (
	phaseStarting int32 = iota // Ready(true) has not been called
	phaseReady
	phaseDraining // Ready(false) was the last call
)

// Ready tells whether traffic may come: true once the server serves, false when it begins to drain. Until the first call the
// server counts as starting.
func (s *Server) Ready(ready bool) {
	phase := phaseDraining
	if ready {
		phase = phaseReady
	}
	s.phase.Store(phase)
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	plainText(w)
	fmt.Fprintln(w, "ok")
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	plainText(w)
	reasons := s.unready(r.URL.Query().Get("farm"))
	if len(reasons) == 0 {
		fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, reason := range reasons {
		fmt.Fprintln(w, reason)
	}
}

// unready returns why no traffic should come; nothing when it may. farm is empty when none was asked for.
func (s *Server) unready(farm string) []string {
	var reasons []string
	switch s.phase.Load() {
	case phaseStarting:
		reasons = append(reasons, "starting")
	case phaseDraining:
		reasons = append(reasons, "draining")
	}
	if s.sources.Ready != nil {
		reasons = append(reasons, s.sources.Ready(farm)...)
	}
	return reasons
}
