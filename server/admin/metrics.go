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

// Number is one value of a metric as JSON shows it.
type Number struct {
	Labels map[string]string `json:"labels,omitempty"`
	Value  *float64          `json:"value,omitempty"` // of a counter or a gauge
	Count  *uint64           `json:"count,omitempty"` // of a histogram: how many values it has
	Sum    *float64          `json:"sum,omitempty"`   // and what they add up to
}

// Numbers returns metrics by name, for JSON. Of histograms it has the count and the sum.
func Numbers(all []Metric) map[string][]Number {
	numbers := map[string][]Number{}
	for i := range all {
		m := &all[i]
		rows := []Number{} // never null
		for _, s := range m.Samples {
			n := Number{}
			if len(m.Labels) > 0 {
				n.Labels = map[string]string{}
			}
			for k, label := range m.Labels {
				n.Labels[label] = s.Values[k]
			}
			if d := s.Distribution; d != nil {
				var count uint64
				for _, c := range d.Counts {
					count += c
				}
				n.Count, n.Sum = &count, &d.Sum
			} else {
				n.Value = &s.Value
			}
			rows = append(rows, n)
		}
		numbers[m.Name] = rows
	}
	return numbers
}
