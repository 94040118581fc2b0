package main

import (
	"fmt"
	"slices"
	"time"
)

// row is a contender in a scenario, with a sample for each round that did not fail.
type row[S any] struct {
	contender
	rounds []S
	failed int // rounds
}

func newRows[S any](all []contender) (rows []row[S]) {
	for _, c := range all {
		rows = append(rows, row[S]{contender: c})
	}
	return rows
}

// add counts a round and reports whether it did not fail.
func (r *row[S]) add(err error, one S) bool {
	if err != nil {
		r.failed++
		return false
	}
	r.rounds = append(r.rounds, one)
	return true
}

// median returns the middle one of the values, the mean of the middle two if their number is even, 0 if there is none.
func median[S any, T int64 | float64 | time.Duration](rounds []S, value func(S) T) T {
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

// ratio is "-" where there is nothing to compare.
func ratio[T int64 | float64 | time.Duration](value, ref T) string {
	if ref == 0 || value == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(value)/float64(ref))
}

// timeText writes milliseconds with three digits or so.
func timeText(d time.Duration) string {
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

func secondsText(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func microText(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1e6) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
