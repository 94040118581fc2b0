package server

import (
	"roundhouse/server/admin"
	"roundhouse/server/relay"
)

// limitMetrics are how often the limits of farms were met.
func limitMetrics(rows []relay.Limited) admin.Metric {
	m := admin.Metric{Name: "rs_limited_total", Help: "How often a limit of a farm was met, by its reason: a request refused, or a body or request that had to wait.",
		Labels: []string{"farm", "reason"}}
	for _, row := range rows {
		for reason, n := range row.Counts {
			m.Samples = append(m.Samples, admin.Sample{Values: []string{row.Farm, reason}, Value: float64(n)})
		}
	}
	return m
}
