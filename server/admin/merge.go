package admin

import (
	"slices"
	"strings"
)

// WithoutLabel takes a label out of metrics. Samples that are then alike become one: their sum, or the largest of them where that is what
// largest says of the metric. Histograms stay as they are.
func WithoutLabel(all []Metric, label string, largest func(name string) bool) []Metric {
	for k := range all {
		m := &all[k]
		i := slices.Index(m.Labels, label)
		if i < 0 || m.Kind == Histogram {
			continue
		}
		m.Labels = slices.Delete(slices.Clone(m.Labels), i, i+1)
		merged := map[string]int{} // index in samples
		var samples []Sample
		for _, s := range m.Samples {
			s.Values = slices.Delete(slices.Clone(s.Values), i, i+1)
			key := strings.Join(s.Values, "\x00")
			at, known := merged[key]
			switch {
			case !known:
				merged[key] = len(samples)
				samples = append(samples, s)
			case largest(m.Name):
				samples[at].Value = max(samples[at].Value, s.Value)
			default:
				samples[at].Value += s.Value
			}
		}
		m.Samples = samples
	}
	return all
}
