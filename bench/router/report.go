package main

import (
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

const scenariosHeading = "## Router door beside nats-server"

// report writes all cells as Markdown.
func report(o *options, cells []cell) string {
	var b strings.Builder
	b.WriteString(scenariosHeading + "\n\n")
	b.WriteString(harness.NATSMachine(&o.programs))
	fmt.Fprintf(&b, "- medians over %d rounds of %v, servers in turns, a new process each time, default settings; every delivery checked\n", o.rounds, o.duration)
	b.WriteString("- generator wire: this program, which writes and reads the protocol itself; its CPU is \"load\", and it has its part of the same cores\n")
	b.WriteString("- delivered/s: messages that reached a subscriber, replies for requests; sent/s: messages published; MB/s: payload delivered\n")
	b.WriteString("- p50, p99: from before the write of a message's batch to after the read that brought it, one message in 16, each request; with a window of\n" +
		"  messages always on their way, so that a latency is mostly the time that the window takes\n")
	b.WriteString("- server us, load us: microseconds of CPU a delivery; RSS: of the server, under load; x: the ratio to nats-server with the same generator\n")
	b.WriteString("- generator client: Go client of Roundhouse, by its own protocol; its x is the ratio to nats-server with nats.go\n")
	for _, c := range cells {
		b.WriteString("\n")
		c.report(&b)
	}
	return b.String()
}

// title says what a scenario is.
func title(s load.Scenario) string {
	switch s.Kind {
	case load.Request:
		return fmt.Sprintf("Requests, %d requesters with one on its way each, 1 responder, %d B", s.Publishers, s.Size)
	case load.Random:
		return fmt.Sprintf("%d subscriptions of %d clients, 10 %% with wildcards, %d publishers with random subjects, %d B, window %d",
			s.Subscriptions, s.Subscribers, s.Publishers, s.Size, s.Window)
	default:
		return fmt.Sprintf("%d to %d, %d B, window %d", s.Publishers, s.Publishers*s.FanOut, s.Size, s.Window)
	}
}

// report writes one table. "-" stands for a ratio to what was not measured.
func (c cell) report(b *strings.Builder) {
	fmt.Fprintf(b, "### %s\n\n", title(c.scenario))
	b.WriteString("| server | generator | delivered/s | x | sent/s | MB/s | p50 | p99 | x | server us | x | load us | RSS MiB | x | failed rounds |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	references := make(map[string]sample) // by generator
	for _, r := range c.rows {
		if r.server == harness.NATSReference {
			references[r.generator] = r.medians()
		}
	}
	for _, r := range c.rows {
		m, ref := r.medians(), references[r.reference]
		fmt.Fprintf(b, "| %s | %s | %.0f | %s | %.0f | %.1f | %s | %s | %s | %s | %s | %s | %.1f | %s | %d |\n", r.server, r.generator,
			m.delivered, ratio(m.delivered, ref.delivered), m.sent, m.delivered*float64(c.scenario.Size)/1e6,
			harness.TimeText(m.p50), harness.TimeText(m.p99), ratio(m.p99, ref.p99),
			microText(m.server), ratio(m.server, ref.server), microText(m.load), mebibytes(m.rss), ratio(m.rss, ref.rss), r.failed)
	}
}

func ratio[T int64 | float64 | time.Duration](value, ref T) string {
	if ref == 0 || value == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(value)/float64(ref))
}

func microText(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1e6) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
