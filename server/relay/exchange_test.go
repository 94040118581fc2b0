package relay

import "testing"

// Each look is at what has been given to the connection and what of it the client has not acknowledged, in bytes.
func TestStalls(t *testing.T) {
	type look struct {
		went    int64
		unacked int
		want    bool
	}
	for name, looks := range map[string][]look{
		"an event just before each look":      {{100, 0, false}, {200, 100, false}, {300, 100, false}, {400, 100, false}},
		"one event, then silence":             {{100, 100, false}, {100, 0, false}, {100, 0, false}},
		"nothing at all":                      {{0, 0, false}, {0, 0, false}},
		"slow but steady":                     {{1000, 900, false}, {1000, 899, false}, {1000, 898, false}},
		"takes nothing":                       {{1000, 1000, false}, {1000, 1000, true}},
		"takes nothing while more is given":   {{1000, 1000, false}, {2000, 2000, true}},
		"stops in the middle":                 {{1000, 500, false}, {1500, 500, false}, {2000, 1000, true}},
		"only the head is outstanding, twice": {{0, 200, false}, {0, 200, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var r response
			for i, l := range looks {
				r.went = l.went
				if got := r.stalls(l.unacked); got != l.want {
					t.Fatalf("look %d: %v, want %v", i, got, l.want)
				}
			}
		})
	}
}
