package enginepool

import (
	"testing"
	"time"
)

// TestRoomOnAnyShard: the engine that can make room idles on the last shard; the one on the first is of no use.
func TestRoomOnAnyShard(t *testing.T) {
	w := newWorld(t, 3, &Limits{
		MaxEngines: 2, SpawnRate: 2, StartTimeout: time.Second, LoginTimeout: time.Second, StopTimeout: time.Second, KillTimeout: time.Second,
	})
	started, dialled := w.pool.Line(Login{Application: "A", Type: "default"}), w.pool.Line(Login{Application: "B"})
	wanted := w.pool.Line(Login{Application: "C"}) // for engines that have dialled in alone
	for _, l := range []*Line{started, dialled, wanted} {
		defer l.Release(w.pool)
	}
	w.dial(w.pool.shards[2], "X", 1, nil)
	for i, l := range []*Line{dialled, started} {
		r := w.request("first", l, 2-2*i)
		w.pass(50 * time.Millisecond)
		w.answer(r.e, true)
	}
	r := w.request("r", wanted, 1)
	w.pass(100 * time.Millisecond)
	if r.state != "running" || r.e.e.Name != "X" {
		t.Errorf("%s after\n%s", r.state, w.log.String())
	}
}
