package main

import (
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

const cellsHeading = "## Engine door beside its peers"

// report writes all cells as Markdown.
func report(o *options, cells []cell, skipped []string) string {
	var b strings.Builder
	b.WriteString(cellsHeading + "\n\n")
	b.WriteString(harness.PoolMachine())
	fmt.Fprintf(&b, "- medians over %d rounds of %v, contenders in turns, %d engines each; each client sends one request at a time, every reply compared\n",
		o.rounds, o.duration, o.pools.Engines)
	b.WriteString("- server, engines, load: microseconds of CPU a request, load being the program that measures; PSS: of server and engines, under load\n")
	b.WriteString("- x: the ratio to RoadRunner with workers in the same language, for PHP to RoadRunner with workers in Go\n")
	for _, s := range skipped {
		fmt.Fprintf(&b, "- skipped: %s\n", s)
	}
	for _, c := range cells {
		b.WriteString("\n")
		c.report(&b)
	}
	return b.String()
}

// report writes one table. "-" stands for a ratio to what was not measured.
func (c cell) report(b *strings.Builder) {
	fmt.Fprintf(b, "### Engine calls, %s, %d clients\n\n", sizeText(c.size), c.clients)
	b.WriteString("| contender | requests/s | x | p50 | p99 | x | server us | x | engines us | x | load us | PSS MiB | failed |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	all := make(map[string]sample)
	for _, r := range c.rows {
		all[r.name] = r.medians()
	}
	for _, r := range c.rows {
		m, ref := all[r.name], all[r.reference]
		fmt.Fprintf(b, "| %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.1f | %d |\n", r.name,
			m.perSecond, ratio(m.perSecond, ref.perSecond), harness.TimeText(m.p50), harness.TimeText(m.p99), ratio(m.p99, ref.p99),
			microText(m.server), ratio(m.server, ref.server), microText(m.engines), ratio(m.engines, ref.engines),
			microText(m.load), float64(m.pss)/(1<<20), m.failed)
	}
}

func ratio[T float64 | time.Duration](value, ref T) string {
	if ref == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(value)/float64(ref))
}

func microText(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e6) }

func sizeText(size int) string {
	switch {
	case size >= 1<<20 && size%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", size>>20)
	case size >= 1<<10 && size%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", size>>10)
	default:
		return fmt.Sprintf("%d B", size)
	}
}
