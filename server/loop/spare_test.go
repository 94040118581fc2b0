package loop

import (
	"testing"

	"github.com/valyala/bytebufferpool"
)

// TestSpares: what comes back is empty, no more than the bound is kept, and nothing large.
func TestSpares(t *testing.T) {
	var s spares
	for range 2 * maxSpares {
		b := new(bytebufferpool.ByteBuffer)
		b.B = append(b.B, "used"...)
		s.put(b)
	}
	if len(s.free) != maxSpares {
		t.Errorf("%d are kept, want %d", len(s.free), maxSpares)
	}
	for range 2 * maxSpares {
		if b := s.get(); len(b.B) != 0 {
			t.Fatalf("a spare buffer has %q in it", b.B)
		}
	}
	s.put(&bytebufferpool.ByteBuffer{B: make([]byte, 0, spareBytes+1)})
	if len(s.free) != 0 {
		t.Errorf("a buffer of more than %d bytes is kept", spareBytes)
	}
}
