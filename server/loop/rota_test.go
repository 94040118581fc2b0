package loop

import (
	"slices"
	"testing"
)

// TestRota has forty connections carry much: the first few go on, the others pause, and are resumed in their order, some in each round.
func TestRota(t *testing.T) {
	const n = 40
	g := newGroup(t, 1)
	opened, got := make(chan *Conn, 1), make(chan int, 2*n)
	var all []*Conn // owned by the loop
	addr := listen(t, g, AcceptOptions{Open: func(c *Conn) Session {
		opened <- c
		return &funcSession{data: func(c *Conn, in []byte) (int, error) {
			got <- slices.Index(all, c)
			return len(in), nil
		}}
	}})
	l := g.Loops()[0]
	onLoop := func(f func()) {
		t.Helper()
		done := make(chan struct{})
		l.Post(func() { f(); close(done) })
		receive(t, "the loop", done)
	}
	for range n {
		nc := dial(t, addr)
		c := receive(t, "a connection", opened)
		onLoop(func() { all = append(all, c) })
		defer nc.Close()
		defer func() { _, _ = nc.Write([]byte("x")) }() // it may have been closed
		if _, err := nc.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		receive(t, "input", got)
	}
	const first = rotaRound / rotaPiece
	onLoop(func() {
		for _, c := range all {
			Carried(c, rotaPiece)
		}
		for i, c := range all {
			if c.Paused() != (i >= first) {
				t.Errorf("connection %d: paused %v", i, c.Paused())
			}
		}
		all[n-1].Close()           // while it waits
		all[n-2].Pause()           // for a reason of its own: it is not the rota's to resume
		ResumeInTurn(all[first])   // it waits already
		ResumeInTurn(all[0])       // it reads
		all[first+1].Resume()      // by somebody else
		Carried(all[first+1], 1)   // and again
		Carried(all[first+1], 100) // no second time
	})
	for resumed := 0; resumed < n-2; {
		onLoop(func() {
			resumed = 0
			for i, c := range all[:n-2] {
				if !c.Paused() {
					resumed++
				} else if i > first+1 && slices.ContainsFunc(all[i:n-2], func(c *Conn) bool { return !c.Paused() }) {
					t.Errorf("connection %d is overtaken", i)
					resumed = n
				}
			}
		})
	}
	onLoop(func() {
		if !all[n-2].Paused() {
			t.Error("a connection that pauses for another reason was resumed")
		}
		if r := &l.rota; len(r.queue) > 0 {
			t.Errorf("%d connections are left in the queue", len(r.queue))
		}
		// Those that resume from another wait take turns as well.
		for _, c := range all[:n-2] {
			c.Pause()
		}
		for _, c := range all[:n-2] {
			ResumeInTurn(c)
		}
		if c := all[n-3]; !c.Paused() {
			t.Error("all were resumed at once")
		}
	})
	for paused := true; paused; {
		onLoop(func() { paused = slices.ContainsFunc(all[:n-2], (*Conn).Paused) })
	}
}
