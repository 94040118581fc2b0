package loop

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkEcho is a round trip of 64 bytes: conns connections, each with up to depth requests under way.
func BenchmarkEcho(b *testing.B) {
	for _, bm := range []struct {
		name         string
		conns, depth int
	}{{"conns=1", 1, 1}, {"conns=1/depth=32", 1, 32}, {"conns=64", 64, 1}, {"conns=64/depth=32", 64, 32}} {
		b.Run(bm.name, func(b *testing.B) {
			g := newGroup(b, 0)
			addr := listen(b, g, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
			conns := make([]net.Conn, bm.conns)
			for i := range conns {
				conns[i] = dial(b, addr)
				deadline(b, conns[i], time.Hour)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			var clients sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for _, nc := range conns {
				clients.Go(func() {
					buf := make([]byte, 64*bm.depth)
					for left.Add(-int64(bm.depth)) > -int64(bm.depth) {
						if _, err := nc.Write(buf); err != nil {
							b.Error(err)
							return
						}
						if _, err := io.ReadFull(nc, buf); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			clients.Wait()
		})
	}
}

func BenchmarkPost(b *testing.B) {
	for _, senders := range []int{1, 8} {
		b.Run(map[int]string{1: "senders=1", 8: "senders=8"}[senders], func(b *testing.B) {
			g := newGroup(b, 1)
			l := g.Loops()[0]
			f := func() {}
			var all sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range senders {
				all.Go(func() {
					for range b.N / senders {
						l.Post(f)
					}
				})
			}
			all.Wait()
			onLoop(l, func() {})
		})
	}
}

func BenchmarkTimer(b *testing.B) {
	b.Run("ArmStop", func(b *testing.B) {
		l := bareLoop()
		timer := l.NewTimer(func() {})
		b.ReportAllocs()
		for b.Loop() {
			timer.Arm(30 * time.Second)
			timer.Stop()
		}
	})
	b.Run("Fire", func(b *testing.B) {
		l := bareLoop()
		timers := make([]Timer, 1024)
		for i := range timers {
			timers[i].Init(l, func() {})
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i %= len(timers); i == 0 {
				now := ticksNow()
				for j := range timers {
					timers[j].Stop()
					timers[j].due = now + int64(j%8)
					l.wheel.add(&timers[j])
				}
				l.wheel.now = now - 1
				l.advance(now + 8)
			}
		}
	})
}

// benchOutput runs write on a connection whose peer reads all, once an operation, each in a callback of its own.
func benchOutput(b *testing.B, size int, write func(c *Conn)) {
	b.Helper()
	g := newGroup(b, 1)
	l := g.Loops()[0]
	var step func()
	c, nc := pair(b, l, "tcp", &funcSession{drained: func(*Conn) { l.Post(step) }})
	deadline(b, nc, time.Hour)
	go func() { _, _ = io.CopyBuffer(io.Discard, onlyReader{nc}, make([]byte, 1<<20)) }() // ends with the connection
	b.SetBytes(int64(size))
	b.ReportAllocs()
	done := make(chan int)
	n := b.N
	step = func() { // a posted function of its own for each: the loop turns in between
		if n == 0 {
			close(done)
			return
		}
		write(c)
		if n--; !c.High() {
			l.Post(step)
		}
	}
	b.ResetTimer()
	l.Post(step)
	<-done
}

type onlyReader struct{ io.Reader }

func BenchmarkWrite(b *testing.B) {
	line := make([]byte, 100)
	benchOutput(b, len(line), func(c *Conn) { c.Write(line) })
}

func BenchmarkWritev(b *testing.B) {
	head, body := make([]byte, 100), make([]byte, 64<<10)
	benchOutput(b, len(head)+len(body), func(c *Conn) { c.Writev(head, body) })
}

func BenchmarkPauseResume(b *testing.B) {
	g := newGroup(b, 1)
	l := g.Loops()[0]
	c, _ := pair(b, l, "tcp", &funcSession{})
	b.ReportAllocs()
	b.ResetTimer()
	onLoop(l, func() {
		for range b.N {
			c.Pause()
			c.Resume()
		}
	})
}

func BenchmarkAcceptAndClose(b *testing.B) {
	g := newGroup(b, 0)
	addr := listen(b, g, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := nc.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, buf); err != nil {
			b.Fatal(err)
		}
		nc.Close()
	}
}

// BenchmarkInput is the work on a read's worth of input without the reading: whole, and with a rest each time.
func BenchmarkInput(b *testing.B) {
	for name, rest := range map[string]int{"whole": 0, "rest": 10} {
		b.Run(name, func(b *testing.B) {
			l := bareLoop()
			c := bareConn(l, &funcSession{data: func(_ *Conn, in []byte) (int, error) {
				return max(0, len(in)-rest), nil
			}})
			in := make([]byte, 16<<10)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				l.turn.enter()
				c.in.received(in)
				l.turn.leave()
			}
		})
	}
}
