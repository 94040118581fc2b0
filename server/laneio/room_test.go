package laneio_test

import (
	"io"
	"math"
	"testing"

	"roundhouse/server/loop"
)

// TestRoom has a lane whose other end takes nothing: long bodies have to wait, the starts of bodies only later, and all go on when the
// other end takes what there is.
func TestRoom(t *testing.T) {
	const start, most = 16 << 10, 1 << 20
	p := newPair(t)
	e := p.enabler.end
	nc := script(t, p, func(c *loop.Conn) { e.SetOut(c) })
	piece := make([]byte, 64<<10)
	onLoop(p.enabler.loop, func() {
		if n := e.Room(0); n != math.MaxInt {
			t.Errorf("an empty lane has room for %d bytes", n)
		}
		for range 1000 {
			if e.Room(start) == 0 {
				break
			}
			e.SendData(0, 1, piece)
		}
		for sent, want := range map[int64]int{0: start, 1: start - 1, start - 1: 1, start: 0, math.MaxInt64: 0} {
			if n := e.Room(sent); n != want {
				t.Errorf("after %d bytes of a body a full lane has room for %d, not %d", sent, n, want)
			}
		}
		for range 1000 {
			if e.Room(0) == 0 {
				break
			}
			e.SendData(0, 2, piece[:start])
		}
		if n := e.Pending(); n < most || n > most+start+1<<10 {
			t.Errorf("%d bytes are pending when not even a start has room", n)
		}
	})
	go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
	for room := 0; room == 0; {
		onLoop(p.enabler.loop, func() { room = e.Room(start) })
	}
}
