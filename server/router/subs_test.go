package router

import (
	"fmt"
	"testing"
)

// TestSubs adds and removes more subscriptions than a list holds, and looks each of them up at every step.
func TestSubs(t *testing.T) {
	p := &peer{nats: &natsSession{}}
	var set subs
	var all []*subscription
	check := func(present int) {
		t.Helper()
		if set.len() != present {
			t.Fatalf("%d subscriptions, want %d", set.len(), present)
		}
		for i, sub := range all {
			want := sub
			if i >= present {
				want = nil
			}
			if got := set.get([]byte(sub.sid())); got != want {
				t.Fatalf("sid %s of %d: got %v, want %v", sub.sid(), present, got, want)
			}
		}
		seen := 0
		for sub := range set.all {
			if seen++; set.get([]byte(sub.sid())) != sub {
				t.Fatalf("sid %s is yielded and not there", sub.sid())
			}
		}
		if seen != present {
			t.Fatalf("%d yielded, want %d", seen, present)
		}
	}
	for i := range 3 * fewSubs {
		sid := fmt.Sprint(i)
		sub := &subscription{peer: p, text: "/a" + sid, patternLen: 2, sidLen: uint16(len(sid))}
		all = append(all, sub)
		set.add(sub)
		check(i + 1)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if !set.remove(all[i]) {
			t.Fatalf("sid %d was not there", i)
		}
		if set.remove(all[i]) {
			t.Fatalf("sid %d was there twice", i)
		}
		check(i)
	}
}

// TestSubsRemoveInAll empties a set while it is walked.
func TestSubsRemoveInAll(t *testing.T) {
	for _, n := range []int{1, fewSubs, 3 * fewSubs} {
		p, set := &peer{nats: &natsSession{}}, subs{}
		for i := range n {
			sid := fmt.Sprint(i)
			set.add(&subscription{peer: p, text: sid, sidLen: uint16(len(sid))})
		}
		seen := 0
		for sub := range set.all {
			seen++
			set.remove(sub)
		}
		if seen != n || set.len() != 0 {
			t.Errorf("%d of %d seen, %d left", seen, n, set.len())
		}
	}
}
