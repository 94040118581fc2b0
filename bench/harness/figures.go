package harness

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Median returns the middle one of the values of rounds, the mean of the middle two if their number is even, 0 if there is none.
func Median[S any, T int64 | float64 | time.Duration](rounds []S, value func(S) T) T {
	if len(rounds) == 0 {
		return 0
	}
	values := make([]T, len(rounds))
	for i, s := range rounds {
		values[i] = value(s)
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 0 {
		return (values[mid-1] + values[mid]) / 2
	}
	return values[mid]
}

// TimeText writes milliseconds with three digits or so.
func TimeText(d time.Duration) string {
	ms := d.Seconds() * 1e3
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

// Pause lets a load go on for d.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
