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
