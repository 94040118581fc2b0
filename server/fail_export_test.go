package server

import "roundhouse/server/relay"

// TotalsForTest are the counters of the relay door.
func (s *Server) TotalsForTest() relay.Totals { return s.relay.Totals() }

// LanesForTest are the lanes of the relay door.
func (s *Server) LanesForTest() []relay.LaneRow { return s.relay.Lanes() }

// LimitedForTest is how often the limits of farms were met.
func LimitedForTest(s *Server) []relay.Limited { return s.relay.Limited() }
