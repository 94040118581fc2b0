package harness

import (
	"math"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	var h Histogram
	last := -1
	for _, v := range []uint64{0, 1, steps - 1, steps, steps + 1, 2*steps - 1, 2 * steps, 1000, 123456, 1e9, 1e12, math.MaxInt64} {
		i := bucket(v)
		if i <= last || i >= len(h.counts) {
			t.Errorf("%d is in bucket %d, after %d of %d", v, i, last, len(h.counts))
		}
		last = i
		if up := upper(i); up < v || float64(up-v) > float64(v)/steps {
			t.Errorf("bucket of %d ends at %d", v, up)
		}
		if next := bucket(upper(i) + 1); next != i+1 {
			t.Errorf("what follows the bucket of %d is %d further", v, next-i)
		}
	}
}

func TestQuantile(t *testing.T) {
	var h, other Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty one has a median")
	}
	for i := 1; i <= 1000; i++ {
		part := &h
		if i%2 == 0 {
			part = &other
		}
		part.Record(time.Duration(i) * time.Microsecond)
	}
	h.Merge(&other)
	for q, want := range map[float64]time.Duration{0: 1e3, 0.5: 500e3, 0.99: 990e3, 1: 1e6} {
		if got := h.Quantile(q); got < want || got > want+want/steps {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if h.Count() != 1000 {
		t.Errorf("count %d", h.Count())
	}
	h.Record(-1)
	if got := h.Quantile(0); got != 0 {
		t.Errorf("a negative duration counts as %v", got)
	}
}
