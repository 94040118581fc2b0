package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

// report writes all cells as Markdown.
func report(o *options, cells []cell, skipped []string) string {
	var b strings.Builder
	b.WriteString(o.what.heading + "\n\n")
	b.WriteString(harness.Machine())
	b.WriteString(o.what.notes)
	fmt.Fprintf(&b, "- medians over %d rounds of %v, contenders in turns, load: wrk with 2 threads on the same machine; origin: nginx with %d workers\n",
		o.rounds, o.duration, o.originWorkers)
	b.WriteString("- CPU: of all processes of the contender together, without the origin; memory: after the load\n")
	if o.products.Sessions {
		b.WriteString("- each answer of the relay gives the client a session id\n")
	}
	for _, s := range skipped {
		fmt.Fprintf(&b, "- skipped: %s\n", s)
	}
	for _, c := range cells {
		b.WriteString("\n")
		c.report(&b, o.what.reference)
		c.reportTarget(&b, o.what)
	}
	return b.String()
}

// report writes one table. "x" stands for the ratio to the reference, "-" for what does not apply.
func (c cell) report(b *strings.Builder, reference string) {
	fmt.Fprintf(b, "### %s, %d connections\n\n", sizeText(c.body.Size), c.conns)
	b.WriteString("| contender | requests/s | x | MiB/s | p50 | p99 | x | CPU us/request | x | RSS MiB | PSS MiB | errors |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	var ref sample
	for _, r := range c.rows {
		if r.name == reference {
			ref = r.medians()
		}
	}
	for _, r := range c.rows {
		m := r.medians()
		fmt.Fprintf(b, "| %s | %s | %s | %.0f | %s | %s | %s |", r.name, rateText(m.perSecond),
			ratio(m.perSecond, ref.perSecond), m.bytesPerSec/(1<<20), harness.TimeText(m.p50), harness.TimeText(m.p99), ratio(m.p99, ref.p99))
		if m.rss == 0 { // the origin
			b.WriteString(" - | - | - | - |")
		} else {
			fmt.Fprintf(b, " %.1f | %s | %.1f | %.1f |", m.cpu.Seconds()*1e6, ratio(m.cpu, ref.cpu), mebibytes(m.rss), mebibytes(m.pss))
		}
		fmt.Fprintf(b, " %d |\n", m.errors)
	}
}

// reportTarget writes, when there is a target, what part of the reference's requests per second the others have: round by round, so that what
// the machine does to both is not seen.
func (c cell) reportTarget(b *strings.Builder, what *comparison) {
	i := slices.IndexFunc(c.rows, func(r row) bool { return r.name == what.reference })
	if what.target == 0 || i < 0 {
		return
	}
	b.WriteString("\n")
	for _, r := range c.rows {
		if r.name == what.reference || r.name == directName {
			continue
		}
		parts := r.parts(c.rows[i])
		mid, verdict := harness.Median(parts, func(p float64) float64 { return p }), "reached"
		if mid < what.target {
			verdict = "MISSED"
		}
		fmt.Fprintf(b, "- %s / %s: %.3f of the requests/s, round by round %.3f to %.3f; target %.2f: %s\n",
			r.name, what.reference, mid, slices.Min(parts), slices.Max(parts), what.target, verdict)
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
