package loop

import (
	"context"
	"log/slog"
	"sync"
	"testing"
)

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// gnet's Execute reorders under load.
func TestPostsKeepTheirOrder(t *testing.T) {
	for _, senders := range []int{1, 8} {
		const total = 200_000
		g := newGroup(t, 2)
		l := g.Loops()[1]
		next := make([]int, senders) // owned by l
		var sent sync.WaitGroup
		var got sync.WaitGroup
		got.Add(total)
		for s := range senders {
			sent.Go(func() {
				for i := range total / senders {
					if !l.Post(func() {
						if next[s] != i {
							t.Errorf("sender %d: letter %d comes when %d is due", s, i, next[s])
						}
						next[s] = i + 1
						got.Done()
					}) {
						t.Error("refused")
						got.Done()
					}
				}
			})
		}
		sent.Wait()
		got.Wait()
	}
}

// A loop that posts to itself and to others while it works off its mail.
func TestPostFromLoops(t *testing.T) {
	g := newGroup(t, 2)
	a, b := g.Loops()[0], g.Loops()[1]
	done := make(chan int)
	var hop func(n int)
	hop = func(n int) {
		if n == 1000 {
			close(done)
			return
		}
		l := a
		if n%3 > 0 {
			l = b
		}
		l.Post(func() { hop(n + 1) })
	}
	a.Post(func() { hop(0) })
	receive(t, "a thousand hops", done)
}

func TestPanicInPost(t *testing.T) {
	g, err := New(Options{Loops: 1, Logger: discardLog()})
	if err != nil {
		t.Fatal(err)
	}
	l := g.Loops()[0]
	l.Post(func() { panic("posted") })
	ran := false
	onLoop(l, func() { ran = true })
	if n := g.Stats().Panics; n != 1 || !ran {
		t.Errorf("%d panics counted; the next letter was read: %v", n, ran)
	}
	if err := g.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// A letter that Post took is read, whatever happens.
func TestPostWhileStopping(t *testing.T) {
	for range 4 {
		g := newGroup(t, 2)
		var taken, read sync.WaitGroup
		for _, l := range g.Loops() {
			taken.Go(func() {
				for {
					read.Add(1)
					if !l.Post(read.Done) {
						read.Done()
						return
					}
				}
			})
		}
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		taken.Wait()
		read.Wait()
		g.Each(func(*Loop) { t.Error("a loop runs after Stop") })
	}
}
