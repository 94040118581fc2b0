package server

import "roundhouse/server/relay"

// TotalsForTest are the counters of the relay door.
func (s *Server) TotalsForTest() relay.Totals { return s.relay.Totals() }

// LanesForTest are the lanes of the relay door.
func (s *Server) LanesForTest() []relay.LaneRow { return s.relay.Lanes() }

// LimitedForTest is how often each limit of a farm was met.
func LimitedForTest(s *Server, farm string) map[string]int64 {
	for _, f := range s.relay.FarmTotals() {
		if f.Farm == farm {
			return f.Limited
		}
	}
	return nil
}

// PhasesForTest is what each connection of a client waits for.
func PhasesForTest(s *Server) (phases []string) {
	rows, _ := s.relay.Connections(0)
	for _, row := range rows {
		phases = append(phases, row.Phase)
	}
	return phases
}
