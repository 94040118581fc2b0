package loop

import "testing"

// TestArrived asks what waits in the kernel for a connection that is not read.
func TestArrived(t *testing.T) {
	g := newGroup(t, 1)
	l := g.Loops()[0]
	c, nc := pausedPair(t, l, "tcp", &funcSession{})
	ask := func() (n int) {
		onLoop(l, func() { n = Arrived(c) })
		return n
	}
	if n := ask(); n != 0 {
		t.Errorf("%d bytes before there were any", n)
	}
	if _, err := nc.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "they have come", func() bool { return ask() == 5 })
}
