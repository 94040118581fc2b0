package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTally counts one request of each sort around the death of back end 0.
func TestTally(t *testing.T) {
	const ms = time.Millisecond
	p := phase{victim: victim{name: "v", server: 0}, begin: 0, killing: 1000 * ms, killed: 1010 * ms, started: 2000 * ms, serving: 2100 * ms, end: 3000 * ms}
	at := func(begin, took time.Duration) record {
		return record{begin: begin * ms, end: (begin + took) * ms, status: 200, server: 1, moved: -1, came: 1}
	}
	well, late, before := at(10, 5), at(3001, 5), at(-5, 10)
	reached := at(999, 5)
	reached.status = 502
	doubtful := at(999, 5)
	doubtful.status, doubtful.came, doubtful.post = lost, 0, true
	safe := doubtful
	safe.post = false
	tooLate := doubtful
	tooLate.begin, tooLate.end = 1100*ms, 1200*ms
	doubled := at(20, 5)
	doubled.post, doubled.came = true, 2
	wrong := at(30, 5)
	wrong.wrong = true
	moved := at(1500, 600)
	moved.moved = 0
	strayed := at(2200, 5)
	strayed.moved = 0
	other := at(1500, 5)
	other.moved = 1
	got := count(p, []record{well, late, before, reached, doubtful, safe, tooLate, doubled, wrong, moved, strayed, other})
	if got.sent != 10 || got.answered != 6 || got.reached != 1 || got.doubtful != 1 || got.refused != 2 || got.doubled != 1 ||
		got.wrong != 1 || got.moved != 1 || got.strayed != 2 || got.longest != 600*ms {
		t.Errorf("%+v", got)
	}
	if f := got.failures(); f != "1 x 502, 3 lost" {
		t.Errorf("failures: %s", f)
	}
	if all := got.broken(500 * ms); len(all) != 5 || !strings.Contains(all[4], "waited 600ms") {
		t.Errorf("broken: %q", all)
	}
	if all := count(p, []record{well, reached, doubtful, moved}).broken(time.Second); len(all) != 0 {
		t.Errorf("nothing is broken: %q", all)
	}
}

func TestAnswer(t *testing.T) {
	answer := appendAnswer(nil, "backend2", 7, "sum", 100)
	if name, right := checkAnswer(answer, 7, "sum", 100); name != "backend2" || !right {
		t.Errorf("%q, %t", name, right)
	}
	if _, right := checkAnswer(answer, 8, "sum", 100); right {
		t.Error("the answer to another request")
	}
	if _, right := checkAnswer(answer[:len(answer)-1], 7, "sum", 100); right {
		t.Error("a short answer")
	}
	if id, size, err := parseWork(workPath(7, 3000)); id != 7 || size != 3000 || err != nil {
		t.Errorf("%d %d %v", id, size, err)
	}
	if _, _, err := parseWork("/7/5"); err == nil {
		t.Error("a size that there is not")
	}
}

// TestLedger opens a ledger twice, as two processes do.
func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	a, err := openLedger(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	b, err := openLedger(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int]bool{0: true, 9: true, 10: false, -1: false} {
		if a.add(id) != want {
			t.Errorf("%d: taken %t", id, !want)
		}
	}
	a.add(9)
	if b.count(9) != 2 || b.count(0) != 1 || b.count(10) != 0 {
		t.Errorf("%d %d %d", b.count(9), b.count(0), b.count(10))
	}
}
