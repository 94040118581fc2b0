package admin

// Metric is a family of values that have a name in common, as they are at one moment.
type Metric struct {
	Name    string   // as Prometheus wants it: a counter ends in _total, a unit is spelled out
	Help    string   // one sentence
	Kind    Kind     // of all samples
	Labels  []string // names of the labels; nil: none, and there is one sample
	Samples []Sample // no two with the same Values
}

// Add adds a sample of a counter or a gauge, with the values of the labels.
func (m *Metric) Add(value float64, labels ...string) {
	m.Samples = append(m.Samples, Sample{Values: labels, Value: value})
}

// Kind says what the samples of a metric are.
type Kind uint8

// The kinds of metrics.
const (
	Counter   Kind = iota // only ever grows
	Gauge                 // goes up and down
	Histogram             // a distribution
)

// Sample is one value of a metric.
type Sample struct {
	Values       []string      // of the labels, in their order
	Value        float64       // of a counter or a gauge
	Distribution *Distribution // of a histogram
}

// Distribution is the value of a histogram.
type Distribution struct {
	Bounds []float64 // the buckets' upper bounds, rising
	Counts []uint64  // by bucket, and then of what is above the last bound: one more than Bounds
	Sum    float64   // of all that was counted
}
