package loop

import "github.com/valyala/bytebufferpool"

const (
	maxSpares  = 16        // buffers that a loop keeps
	spareBytes = 128 << 10 // of the largest that is kept
)

// spares are the output buffers that a loop used last. The pool behind them serves all loops: it drops what is larger than most, which is just
// the connection that many messages gather for, and forgets everything at each garbage collection. It is owned by its loop.
type spares struct {
	free []*bytebufferpool.ByteBuffer // the one used last is the last
}

func (s *spares) get() *bytebufferpool.ByteBuffer {
	n := len(s.free) - 1
	if n < 0 {
		return bytebufferpool.Get()
	}
	b := s.free[n]
	s.free[n] = nil
	s.free = s.free[:n]
	return b
}

func (s *spares) put(b *bytebufferpool.ByteBuffer) {
	if len(s.free) >= maxSpares || cap(b.B) > spareBytes {
		bytebufferpool.Put(b)
		return
	}
	b.Reset()
	s.free = append(s.free, b)
}
