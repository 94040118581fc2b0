package engine

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func testKeeper(t *testing.T, dir string, days int) *keeper {
	t.Helper()
	k, err := newKeeper(dir, days, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// namesIn are the names of the files in a directory.
func namesIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestSweep: old files of records go, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"A-20260101.jsonl", "A-20260109.jsonl", "A-20260110.jsonl", "B-1-20250101.jsonl", "A-20261301.jsonl", "20250101.jsonl", "-20250101.jsonl",
		"A-20250101.json", ".A-20250101.jsonl", "A20250101.jsonl", "A-20250101.jsonl.gz",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "D-20250101.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	k := &keeper{dir: dir, days: 14, log: slog.New(slog.DiscardHandler)}
	k.sweep(time.Date(2026, 1, 24, 12, 0, 0, 0, time.UTC))
	want := []string{"-20250101.jsonl", ".A-20250101.jsonl", "20250101.jsonl", "A-20250101.json", "A-20250101.jsonl.gz", "A-20260110.jsonl",
		"A-20261301.jsonl", "A20250101.jsonl", "D-20250101.jsonl"}
	if got := namesIn(t, dir); !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
}

// TestKeeperBounds: a stranger fills neither the disk nor the directory.
func TestKeeperBounds(t *testing.T) {
	dir := t.TempDir()
	k := &keeper{dir: dir, days: 14, log: slog.New(slog.DiscardHandler)}
	now := time.Date(2026, 1, 24, 12, 0, 0, 0, time.UTC)
	line := append([]byte(strings.Repeat("x", 1<<20-1)), '\n')
	for i := range maxDayBytes >> 20 {
		if err := k.write(keptRecord{"A", line}, now); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	if err := k.write(keptRecord{"A", []byte("{}\n")}, now); err == nil {
		t.Errorf("more than %d bytes are kept", maxDayBytes)
	}
	for i := range maxIDs - 1 {
		if err := k.write(keptRecord{fmt.Sprintf("ID%d", i), []byte("{}\n")}, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.write(keptRecord{"LATE", []byte("{}\n")}, now); err == nil {
		t.Errorf("more than %d ids are kept", maxIDs)
	}
	if err := k.write(keptRecord{"LATE", []byte("{}\n")}, now.AddDate(0, 0, 1)); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(dir, "LINK-20260125.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := k.write(keptRecord{"LINK", []byte("{}\n")}, now.AddDate(0, 0, 1)); err == nil {
		t.Error("a link is followed")
	}
}

// TestKeeperPut: what is put is written before close returns; too much at a time is refused.
func TestKeeperPut(t *testing.T) {
	dir := t.TempDir()
	k := testKeeper(t, dir, 14)
	for range 10 {
		if err := k.put([]byte("A"), []byte(`{"a": 1}`)); err != nil {
			t.Fatal(err)
		}
	}
	k.close()
	names := namesIn(t, dir)
	if len(names) == 0 || len(names) > 2 { // two around midnight
		t.Fatalf("files: %q", names)
	}
	lines := 0
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(b), "{\"a\":1}\n")
	}
	if lines != 10 {
		t.Errorf("%d lines", lines)
	}
	stuck := &keeper{queue: make(chan keptRecord, 1)}
	if err := stuck.put([]byte("A"), []byte("{}")); err != nil {
		t.Error(err)
	}
	if err := stuck.put([]byte("A"), []byte("{}")); err != errRecordBusy {
		t.Errorf("a full queue: %v", err)
	}
}

// TestOffer: of records that wait for too long the oldest go.
func TestOffer(t *testing.T) {
	g := &generator{records: make(chan record, 2)}
	for i := range 5 {
		g.offer(record{Requests: int64(i)})
	}
	if a, b := <-g.records, <-g.records; a.Requests != 3 || b.Requests != 4 {
		t.Errorf("%d and %d are left", a.Requests, b.Requests)
	}
}

func TestLabels(t *testing.T) {
	o := Observer{&Door{}}
	for i := range maxLabels {
		if got, want := o.Label(fmt.Sprintf("app%d", i)), fmt.Sprintf("APP%d", i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := o.Label("one more"); got != "other" {
		t.Errorf("%q", got)
	}
	if got := o.Label("app0"); got != "APP0" {
		t.Errorf("%q", got)
	}
}

// TestStatsAllocate: what is counted with each request costs no memory.
func TestStatsAllocate(t *testing.T) {
	var s stats
	frame := []byte("00000003\x30\x30\x01")
	if n := testing.AllocsPerRun(100, func() {
		s.wire.received(11)
		s.entered()
		s.waited(1000)
		s.wire.sent(frame, false)
		s.inFlight.Add(-1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.wire.bytesOut.Load() != s.wire.framesOut.Load()*11 || s.peaks.inFlight.Load() != 1 {
		t.Errorf("%d bytes in %d frames", s.wire.bytesOut.Load(), s.wire.framesOut.Load())
	}
}
