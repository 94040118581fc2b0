package admin

import (
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	s := start(t, Sources{Metrics: func() []Metric {
		return []Metric{
			{Name: "a_total", Help: "Counts a.", Labels: []string{"kind"}, Samples: []Sample{
				{Values: []string{"x"}, Value: 3}, {Values: []string{"\"y\n"}, Value: 4}}},
			{Name: "b", Help: "Holds b.", Kind: Gauge, Samples: []Sample{{Value: -2.5}}},
			{Name: "c_seconds", Help: "Spreads c.", Kind: Histogram, Samples: []Sample{
				{Distribution: &Distribution{Bounds: []float64{0.5, 1}, Counts: []uint64{3, 2, 1}, Sum: 9.25}}}},
			{Name: "none_total", Help: "Has no sample."},
		}
	}})
	status, head, body := ask(t, s, "GET", "/metrics")
	if status != 200 || !strings.HasPrefix(head.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %q", status, head.Get("Content-Type"))
	}
	for _, want := range []string{
		"# HELP a_total Counts a.\n# TYPE a_total counter\na_total{kind=\"\\\"y\\n\"} 4\na_total{kind=\"x\"} 3\n",
		"# HELP b Holds b.\n# TYPE b gauge\nb -2.5\n",
		"# HELP c_seconds Spreads c.\n# TYPE c_seconds histogram\nc_seconds_bucket{le=\"0.5\"} 3\nc_seconds_bucket{le=\"1\"} 5\n" +
			"c_seconds_bucket{le=\"+Inf\"} 6\nc_seconds_sum 9.25\nc_seconds_count 6\n",
		"# TYPE rs_up gauge\nrs_up{node=\"",
		"\ngo_goroutines ",
		"\nprocess_resident_memory_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	s.Ready(true)
	if _, _, body := ask(t, s, "GET", "/metrics"); !strings.Contains(body, "\"} 1\n") {
		t.Error("rs_up is not 1 on a server that is ready")
	}
}

// TestBadMetric has one metric that does not fit its labels, and one that does.
func TestBadMetric(t *testing.T) {
	s := start(t, Sources{Metrics: func() []Metric {
		return []Metric{
			{Name: "bad_total", Help: "Lacks a value.", Labels: []string{"kind"}, Samples: []Sample{{Value: 1}}},
			{Name: "good_total", Help: "Is there.", Samples: []Sample{{Value: 1}}},
		}
	}})
	status, _, body := ask(t, s, "GET", "/metrics")
	if status != 200 || strings.Contains(body, "bad_total") || !strings.Contains(body, "\ngood_total 1\n") {
		t.Errorf("%d %s", status, body)
	}
}
