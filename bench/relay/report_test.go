package main

import (
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
)

func TestMedians(t *testing.T) {
	r := row{rounds: []sample{
		{perSecond: 30, p99: 3 * time.Millisecond, rss: 7, errors: 1},
		{perSecond: 10, p99: 9 * time.Millisecond, rss: 5, errors: 0},
		{perSecond: 20, p99: 1 * time.Millisecond, rss: 6, errors: 4},
	}}
	m := r.medians()
	if m.perSecond != 20 || m.p99 != 3*time.Millisecond || m.rss != 6 {
		t.Errorf("medians = %+v", m)
	}
	if m.errors != 5 {
		t.Errorf("errors = %d, want the sum 5", m.errors)
	}
	r.rounds = r.rounds[:2]
	if got := r.medians().perSecond; got != 20 {
		t.Errorf("median of two = %v, want their mean 20", got)
	}
}

func TestCellReport(t *testing.T) {
	c := cell{load: load{body: harness.Body{Size: 64 << 10}, conns: 3}, rows: []row{
		{name: "direct", rounds: []sample{{perSecond: 4000}}},
		{name: "nginx", rounds: []sample{{perSecond: 2000, p99: 2 * time.Millisecond, cpu: 10 * time.Microsecond, rss: 2 << 20, pss: 1 << 20}}},
		{name: "other", rounds: []sample{{perSecond: 500, p99: 20 * time.Millisecond, cpu: 25 * time.Microsecond, rss: 4 << 20, pss: 1 << 20, errors: 2}}},
	}}
	var b strings.Builder
	c.report(&b, "nginx")
	for _, want := range []string{
		"### 64 KiB, 3 connections",
		"| direct | 4000 | 2.00 | 0 | 0.00 ms | 0.00 ms | 0.00 | - | - | - | - | 0 |",
		"| nginx | 2000 | 1.00 | 0 | 0.00 ms | 2.00 ms | 1.00 | 10.0 | 1.00 | 2.0 | 1.0 | 0 |",
		"| other | 500.0 | 0.25 | 0 | 0.00 ms | 20.0 ms | 10.00 | 25.0 | 2.50 | 4.0 | 1.0 | 2 |",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %q in:\n%s", want, &b)
		}
	}
}

func TestPerRequest(t *testing.T) {
	// 10 complete answers of 1 MiB, and as many bytes again in answers that were cut off.
	r := harness.WrkResult{Requests: 10, Bytes: 20 << 20}
	if got := perRequest(20*time.Second, r, harness.Body{Size: bigBody}); got != time.Second {
		t.Errorf("big body: %v, want 1s", got)
	}
	if got := perRequest(20*time.Second, r, harness.Body{Size: 100}); got != 2*time.Second {
		t.Errorf("small body: %v, want 2s", got)
	}
}

func TestParseFlags(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-conns", "1,2", "-only", "direct,ssh", "-bodies", "100,10m"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 1 || len(o.conns) != 2 || o.bigConns[0] != 16 || o.bodies[1].Name != "10m.bin" || o.wants("nginx") || !o.wants("ssh") {
		t.Errorf("options = %+v", o)
	}
	for _, bad := range [][]string{{"-only", "nobody"}, {"-conns", "0"}, {"-bodies", "x"}, {"-rounds", "0"}, {"stray"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}
