package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tally is what came of the requests that began in a phase.
type tally struct {
	phase
	sent, answered int         // answered: 200
	failed         map[int]int // not 200, by status; lost: no answer
	reached        int         // of those not 200: a back end has seen them
	doubtful       int         // of those not 200 that none has seen: see inDoubt
	refused        int         // the rest of those not 200: must be 0
	doubled        int         // POST requests that came to back ends more than once: must be 0
	wrong          int         // bodies that are not right: must be 0
	moved          int         // answers of another back end than the session's, when that one was dead or coming back
	strayed        int         // the same when it was alive: must be 0
	longest        time.Duration
}

// count makes the tally of a phase.
func count(p phase, all []record) *tally {
	t := &tally{phase: p, failed: make(map[int]int)}
	for i := range all {
		r := &all[i]
		if r.begin < p.begin || r.begin >= p.end {
			continue
		}
		t.sent++
		t.longest = max(t.longest, r.end-r.begin)
		switch {
		case r.status == 200:
			t.answered++
		case r.came > 0:
			t.failed[r.status]++
			t.reached++
		case t.inDoubt(r):
			t.failed[r.status]++
			t.doubtful++
		default:
			t.failed[r.status]++
			t.refused++
		}
		if r.post && r.came > 1 {
			t.doubled++
		}
		if r.wrong {
			t.wrong++
		}
		if r.moved >= 0 {
			if r.moved == p.victim.server && r.end >= p.killing && r.begin <= p.serving {
				t.moved++
			} else {
				t.strayed++
			}
		}
	}
	return t
}

// notice is how long those who are left may take to see that the victim's connections have ended, on a busy machine.
const notice = 50 * time.Millisecond

// inDoubt tells whether nobody who was left alive could know that a request had not reached a back end: a POST that was on its way when
// the victim was killed, or was sent to it before that was noticed, may have been in its memory or in the kernel's buffers. Sending it
// again could make it happen twice.
func (t *tally) inDoubt(r *record) bool {
	return r.post && r.begin <= t.killed+notice && r.end >= t.killing
}

// broken names the requirements that do not hold.
func (t *tally) broken(longest time.Duration) (all []string) {
	for _, check := range []struct {
		n    int
		what string
	}{
		{t.refused, "requests that had not reached a back end were not answered with 200"},
		{t.doubled, "POST requests came to back ends twice"},
		{t.wrong, "answers had wrong bodies"},
		{t.strayed, "sticky clients moved from a back end that was alive"},
	} {
		if check.n > 0 {
			all = append(all, fmt.Sprintf("%s: %d %s", t.victim.name, check.n, check.what))
		}
	}
	if t.longest > longest {
		all = append(all, fmt.Sprintf("%s: a client waited %v, at most %v are allowed", t.victim.name, t.longest.Round(time.Millisecond), longest))
	}
	if t.sent == 0 || t.answered == 0 {
		all = append(all, t.victim.name+": nothing was answered")
	}
	return all
}

// failures tells the numbers of those that were not 200, by status.
func (t *tally) failures() string {
	if len(t.failed) == 0 {
		return "0"
	}
	var codes []int
	for code := range t.failed {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	var parts []string
	for _, code := range codes {
		if code != lost {
			parts = append(parts, fmt.Sprintf("%d x %d", t.failed[code], code))
		}
	}
	if t.failed[lost] > 0 {
		parts = append(parts, fmt.Sprintf("%d lost", t.failed[lost]))
	}
	return strings.Join(parts, ", ")
}
