package relay

import "testing"

// TestAllotment has requests come one after the other, none of which ever ends, and nothing of whose answers is taken.
func TestAllotment(t *testing.T) {
	const window = 256 << 10
	for _, row := range []struct {
		name              string
		most, memory, n   int64
		first, last, over int64 // bytes of the first and of the last one; by how many percent the sum may be over the memory
	}{
		{"plenty of memory", 1 << 20, 3 << 30, 1000, 320 << 10, 320 << 10, 0},
		{"a thousand on 32 MiB", 1 << 20, 32 << 20, 500, 320 << 10, 20 << 10, 0},
		{"ten thousand on 512 MiB", 1 << 20, 512 << 20, 10000, 320 << 10, 20 << 10, 0},
		{"too many for the least", 1 << 20, 1 << 20, 200, 160 << 10, 20 << 10, 400},
		{"a small buffer", 8 << 10, 1 << 20, 100, 8 << 10, 8 << 10, 0},
		{"the smallest", 4 << 10, 1 << 20, 100, 4 << 10, 4 << 10, 0},
		{"no memory", 1 << 20, 0, 10, 20 << 10, 20 << 10, 1 << 40},
		{"the largest", 4 << 30, 1 << 40, 100, 320 << 10, 320 << 10, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAllotment(window, row.most, row.memory, 0)
			sum, changes := int64(0), 0
			for n := int64(1); n <= row.n; n++ {
				if n < a.from || n > a.to {
					a = newAllotment(window, row.most, row.memory, n)
					changes++
				}
				if n < a.from || n > a.to || a.grant < 1<<10 || a.high < 1<<10 {
					t.Fatalf("for %d: %+v", n, a)
				}
				each := int64(a.grant + a.high)
				if n == 1 && each != row.first || n == row.n && each != row.last || each > row.most {
					t.Errorf("the %d. gets %d bytes", n, each)
				}
				sum += each
			}
			if most := row.memory + row.memory/100*row.over; sum > most && row.memory > 0 {
				t.Errorf("%d bytes, at most %d were to be", sum, most)
			}
			if changes > 5 {
				t.Errorf("it changed %d times on the way up", changes)
			}
			// On the way down it grows again, and one request more does not make it shrink at once.
			for n := row.n; n >= 0; n-- {
				if n < a.from {
					before := a.grant
					if a = newAllotment(window, row.most, row.memory, n); a.grant <= before || n+1 > a.to {
						t.Fatalf("for %d: from %d to %+v", n, before, a)
					}
				}
			}
			if each := int64(a.grant + a.high); each != max(row.first, min(row.most, 320<<10)) && row.memory > 2<<20 {
				t.Errorf("in the end %d bytes", each)
			}
		})
	}
}
