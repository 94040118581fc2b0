package laneio

import (
	"math/rand/v2"
	"testing"
)

func TestTableNumbers(t *testing.T) {
	var tab Table[int]
	rng := rand.New(rand.NewPCG(1, 2))
	live := map[uint32]*int{}
	for range 20_000 {
		if len(live) < 50 && rng.IntN(2) == 0 {
			v := new(int)
			id, ok := tab.Alloc(v)
			if !ok || id == 0 || live[id] != nil {
				t.Fatalf("Alloc gave %d, %v", id, ok)
			}
			live[id] = v
			continue
		}
		for id, v := range live {
			if tab.Get(id) != v {
				t.Fatalf("stream %d is lost", id)
			}
			tab.Delete(id)
			tab.Delete(id) // has no effect
			if tab.Get(id) != nil {
				t.Fatalf("stream %d is still there", id)
			}
			delete(live, id)
			break
		}
	}
	seen := 0
	tab.Each(func(id uint32, v *int) {
		seen++
		if live[id] != v {
			t.Errorf("stream %d is not known", id)
		}
		tab.Delete(id)
	})
	if seen != len(live) || tab.Len() != 0 {
		t.Errorf("%d streams seen, %d live, %d left", seen, len(live), tab.Len())
	}
	if n := len(tab.slots); n > 50 {
		t.Errorf("%d slots for 50 streams", n)
	}
}

func TestTablePut(t *testing.T) {
	var tab Table[int]
	a, b := new(int), new(int)
	const first, second = 1<<slotBits | 3, 2<<slotBits | 3
	if !tab.Put(first, a) || tab.Put(first, b) || tab.Put(second, b) || tab.Put(0, b) {
		t.Error("a number that is taken, or 0, was put; or a free one was not")
	}
	tab.Delete(second) // not there: has no effect
	if tab.Get(first) != a || tab.Get(second) != nil || tab.Len() != 1 {
		t.Error("the stream is lost")
	}
}

// The other end numbers the streams that are put: this end has no use for their numbers, and must not gather them.
func TestTablePutGathersNothing(t *testing.T) {
	var tab Table[int]
	v := new(int)
	for id := uint32(1); id <= 100_000; id++ {
		number := id<<slotBits | 1 + id%7
		if !tab.Put(number, v) {
			t.Fatal("not put")
		}
		tab.Delete(number)
	}
	if len(tab.free) != 0 || len(tab.slots) > 8 {
		t.Errorf("%d free numbers are kept, %d slots", len(tab.free), len(tab.slots))
	}
}
