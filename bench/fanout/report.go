package main

import (
	"fmt"
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

// ratio is "-" where there is nothing to compare.
func ratio[T int64 | float64 | time.Duration](value, ref T) string {
	if ref == 0 || value == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(value)/float64(ref))
}

func secondsText(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func microText(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1e6) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
