package admin

import (
	"cmp"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsHandler answers with all metrics: those of the server, of the Go runtime and of the process. The registry is our own:
// nothing that another package registers shows up.
func (s *Server) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{s})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: promLog{s}, ErrorHandling: promhttp.ContinueOnError, // one bad metric does not hide the others
		MaxRequestsInFlight: scrapes, Timeout: writeTime / 2,
	})
}

// scrapes is how many of them may run at once; one more gets 503.
const scrapes = 10

// promLog takes what promhttp has to say.
type promLog struct{ s *Server }

func (l promLog) Println(v ...any) { l.s.log.Error("metrics", "error", v) }

// collector reads the sources at every scrape: nothing is counted twice.
type collector struct{ s *Server }

// Describe describes nothing: what there is may differ from scrape to scrape, and is checked then.
func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	ready := Up(c.s)
	ready.collect(out)
	if c.s.sources.Metrics == nil {
		return
	}
	for _, m := range c.s.sources.Metrics() {
		m.collect(out)
	}
}

// Up is the metric that says whether the server takes traffic.
func Up(s *Server) Metric {
	up := Metric{Name: cmp.Or(s.sources.Prefix, "rs") + "_up", Help: "Whether the program takes traffic: 0 while it starts or drains.", Kind: Gauge,
		Labels: []string{"node"}}
	value := 0.0
	if s.phase.Load() == phaseReady {
		value = 1
	}
	node, _ := os.Hostname() // without it there is no name
	up.Add(value, node)
	return up
}

// collect sends the samples of m. One that does not fit its metric makes an error of the scrape, and hides no other.
func (m *Metric) collect(out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	for _, sample := range m.Samples {
		p, err := sample.metric(desc, m.Kind)
		if err != nil {
			p = prometheus.NewInvalidMetric(desc, err)
		}
		out <- p
	}
}

func (s *Sample) metric(desc *prometheus.Desc, kind Kind) (prometheus.Metric, error) {
	switch kind {
	case Histogram:
		buckets := make(map[float64]uint64, len(s.Distribution.Bounds))
		count := uint64(0)
		for i, n := range s.Distribution.Counts {
			count += n
			if i < len(s.Distribution.Bounds) {
				buckets[s.Distribution.Bounds[i]] = count // Prometheus counts all that is below the bound
			}
		}
		return prometheus.NewConstHistogram(desc, count, s.Distribution.Sum, buckets, s.Values...)
	case Gauge:
		return prometheus.NewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Values...)
	default:
		return prometheus.NewConstMetric(desc, prometheus.CounterValue, s.Value, s.Values...)
	}
}
