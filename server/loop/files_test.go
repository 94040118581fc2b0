package loop

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// openFiles are the descriptors of the process: how many there are of each kind.
func openFiles(t *testing.T) map[string]int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	all := map[string]int{}
	for _, e := range entries {
		what, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the directory's own
		}
		if strings.HasPrefix(what, "socket:") {
			what = "socket"
		}
		all[what]++
	}
	return all
}

// Whatever a connection goes through, its descriptors are closed.
func TestNoDescriptorLeaks(t *testing.T) {
	openFiles(t)
	ours, theirs, err := tcpPair() // Go's own poller keeps some
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]int{}
	for round := range 3 {
		g, err := New(Options{Loops: 2, Logger: discardLog()})
		if err != nil {
			t.Fatal(err)
		}
		lives(t, g)
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if round == 0 {
			before = openFiles(t)
			continue
		}
		// What an earlier test has left to others to close may go meanwhile.
		waitFor(t, fmt.Sprintf("no more descriptors after round %d than %v", round, before), func() bool {
			for what, n := range openFiles(t) {
				if n > before[what] {
					return false
				}
			}
			return true
		})
	}
	ours.Close() // not sooner, and neither is left to the garbage collector: both are counted in each round
	theirs.Close()
}

// lives lets connections live and die in all ways.
func lives(t *testing.T, g *Group) {
	t.Helper()
	a, b := g.Loops()[0], g.Loops()[1]
	closed := make(chan error, 1)
	half := make(chan int, 1)
	newSession := func() *funcSession {
		return &funcSession{data: echo, ended: func(*Conn) bool { half <- 1; return true }, closed: func(_ *Conn, err error) { closed <- err }}
	}
	for range 5 {
		for i, life := range []func(c *Conn, nc net.Conn){
			func(c *Conn, nc net.Conn) { onLoop(a, c.Close); nc.Close() },
			func(c *Conn, nc net.Conn) { onLoop(a, func() { c.Abort(nil) }); nc.Close() },
			func(c *Conn, nc net.Conn) { onLoop(a, c.Pause); reset(t, nc) },
			func(c *Conn, nc net.Conn) {
				if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
					t.Error(err)
				}
				<-half
				onLoop(a, c.Close)
				nc.Close()
			},
			func(c *Conn, nc net.Conn) {
				onLoop(a, func() { c.Move(b, (*Conn).Close) })
				_, _ = io.Copy(io.Discard, nc) // until its end
				nc.Close()
			},
			func(c *Conn, nc net.Conn) {
				onLoop(a, func() { reset(t, nc); c.Move(b, func(*Conn) {}) })
			},
			func(c *Conn, nc net.Conn) {
				onLoop(a, func() { c.Write(make([]byte, 8<<20)); c.Close() })
				reset(t, nc)
			},
		} {
			c, nc := pair(t, a, "tcp", newSession())
			life(c, nc)
			_ = receive(t, "the end of life "+string(rune('0'+i)), closed) // for whatever reason
		}
		c, nc := pausedPair(t, a, "unix", newSession())
		nc.Close()
		waitFor(t, "the hang-up", func() (hung bool) { onLoop(a, func() { hung = c.peer.hungUp }); return hung })
		onLoop(a, c.Close)
		receive(t, "the end", closed)
	}
}
