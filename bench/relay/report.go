package main

import (
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

// referenceName is the contender that the ratios are to.
const referenceName = "nginx"

// report writes all cells as Markdown.
func report(o *options, cells []cell, skipped []string) string {
	var b strings.Builder
	b.WriteString("## HTTP relay beside its peers\n\n")
	b.WriteString(harness.Machine())
	fmt.Fprintf(&b, "- medians over %d rounds of %v, contenders in turns, load: wrk with 2 threads on the same machine; origin: nginx with %d workers\n",
		o.rounds, o.duration, o.originWorkers)
	b.WriteString("- CPU: of all processes of the contender together, without the origin; memory: after the load\n")
	for _, s := range skipped {
		fmt.Fprintf(&b, "- skipped: %s\n", s)
	}
	for _, c := range cells {
		b.WriteString("\n")
		c.report(&b)
	}
	return b.String()
}

// report writes one table. "x" stands for the ratio to the reference, "-" for what does not apply.
func (c cell) report(b *strings.Builder) {
	fmt.Fprintf(b, "### %s, %d connections\n\n", sizeText(c.body.Size), c.conns)
	b.WriteString("| contender | requests/s | x | MiB/s | p50 | p99 | x | CPU us/request | x | RSS MiB | PSS MiB | errors |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	var ref sample
	for _, r := range c.rows {
		if r.name == referenceName {
			ref = r.medians()
		}
	}
	for _, r := range c.rows {
		m := r.medians()
		fmt.Fprintf(b, "| %s | %s | %s | %.0f | %s | %s | %s |", r.name, rateText(m.perSecond),
			ratio(m.perSecond, ref.perSecond), m.bytesPerSec/(1<<20), timeText(m.p50), timeText(m.p99), ratio(m.p99, ref.p99))
		if m.rss == 0 { // the origin
			b.WriteString(" - | - | - | - |")
		} else {
			fmt.Fprintf(b, " %.1f | %s | %.1f | %.1f |", m.cpu.Seconds()*1e6, ratio(m.cpu, ref.cpu), mebibytes(m.rss), mebibytes(m.pss))
		}
		fmt.Fprintf(b, " %d |\n", m.errors)
	}
}

func ratio[T float64 | time.Duration](value, ref T) string {
	if ref == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(value)/float64(ref))
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// rateText drops the decimals that a big rate does not need.
func rateText(perSecond float64) string {
	if perSecond < 1000 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
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

func sizeText(size int64) string {
	switch {
	case size >= 1<<20 && size%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", size>>20)
	case size >= 1<<10 && size%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", size>>10)
	default:
		return fmt.Sprintf("%d B", size)
	}
}
