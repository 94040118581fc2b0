package harness

import (
	"math/bits"
	"time"
)

// A power of two is divided into steps equal steps, so that a bucket is less than a hundredth of its values wide.
const (
	stepBits = 7
	steps    = 1 << stepBits
)

// Histogram counts durations in buckets that grow with them. The zero value is empty. It is used by one goroutine.
type Histogram struct {
	counts [(64 - stepBits) * steps]uint64
	n      uint64
}

// bucket returns the index of v: values below steps have a bucket each, then steps buckets follow for each power of two.
func bucket(v uint64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - stepBits - 1
	return (shift+1)*steps + int(v>>shift)&(steps-1)
}

// upper returns the largest value of a bucket.
func upper(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return (uint64(i%steps+steps)+1)<<shift - 1
}

// Record counts one duration; a negative one counts as 0.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.n++
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
}

// Quantile returns the smallest duration, rounded up to the end of its bucket, that a part q of all recorded ones does not exceed;
// 0 if none was recorded. q is 0.5 for the median, 0.99 for p99.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.n)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(upper(i))
		}
	}
	return time.Duration(upper(len(h.counts) - 1))
}
