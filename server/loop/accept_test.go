package loop

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// gnet's acceptor ends the whole engine at EMFILE.
func TestNoDescriptorsLeft(t *testing.T) {
	cmd := child(t, "few-files")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	old := dial(t, addr)
	if got := ask(old, "early"); got != "early" {
		t.Fatalf("before: %q", got)
	}
	var many []net.Conn
	for range 100 { // what is not accepted waits in the listener's queue
		many = append(many, dial(t, addr))
	}
	waitFor(t, "an accept error", func() bool { n := ask(old, "?"); return n != "0" && n != "" })
	if got := ask(old, "served"); got != "served" {
		t.Fatalf("without descriptors left: %q", got)
	}
	for _, nc := range many {
		nc.Close()
	}
	waitFor(t, "a new connection to be served", func() bool {
		nc, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return false
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience)) // fails on a closed connection only
		return ask(nc, "late") == "late"
	})
	if got := ask(old, "still"); got != "still" {
		t.Fatalf("after: %q", got)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal("the server did not live on:", err)
	}
}

func TestAtMostMaxConnections(t *testing.T) {
	g := newGroup(t, 2)
	addr := listen(t, g, AcceptOptions{Max: 2, Open: func(*Conn) Session { return &funcSession{data: echo} }})
	a, b := dial(t, addr), dial(t, addr)
	if ask(a, "a") != "a" || ask(b, "b") != "b" {
		t.Fatal("the first two are not served")
	}
	if got := ask(dial(t, addr), "c"); got != "" {
		t.Fatalf("the third is served: %q", got)
	}
	if n := g.Stats().Refused; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
	a.Close()
	waitFor(t, "the connection to leave", func() bool { return g.Stats().Open == 1 })
	if got := ask(dial(t, addr), "d"); got != "d" {
		t.Fatalf("the place of one that left is not given away: %q", got)
	}
}

func TestStatsCount(t *testing.T) {
	g := newGroup(t, 2)
	if s := g.Stats(); s != (Stats{}) {
		t.Errorf("at start: %+v", s)
	}
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
	for range 3 {
		nc := dial(t, addr)
		ask(nc, "four")
		nc.Close()
	}
	waitFor(t, "all to be closed", func() bool { return g.Stats().Open == 0 })
	if s := g.Stats(); s != (Stats{Opened: 3, BytesIn: 15, BytesOut: 15}) {
		t.Errorf("at the end: %+v", s)
	}
}

func TestCloseAcceptorKeepsConnections(t *testing.T) {
	g := newGroup(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Accept(ln, AcceptOptions{Open: func(*Conn) Session { return &funcSession{data: echo} }})
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, a.Addr().String())
	if ask(nc, "x") != "x" {
		t.Fatal("not served")
	}
	a.Close()
	a.Close()
	if ask(nc, "y") != "y" {
		t.Error("an open connection is not served after Close")
	}
	if nc, err := net.Dial("tcp", a.Addr().String()); err == nil {
		nc.Close()
		t.Error("accepted after Close")
	}
}

// Old gnets let client sockets leak into child processes.
func TestChildrenInheritNothing(t *testing.T) {
	inherited := func() int {
		out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
		if err != nil {
			t.Skip("no ls:", err)
		}
		return strings.Count(string(out), "->")
	}
	before := inherited()
	g := newGroup(t, 2)
	orphans := make(chan *Conn, 1)
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session {
		return &funcSession{data: echo, ended: func(c *Conn) bool { orphans <- c; return true }}
	}})
	half := dial(t, addr)
	moved := dialled(t, g.Loops()[0], addr)
	onLoop(g.Loops()[0], func() { moved.Move(g.Loops()[1], func(*Conn) {}) })
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	orphan := <-orphans
	if ask(dial(t, addr), "x") != "x" {
		t.Fatal("not served")
	}
	if after := inherited(); after != before {
		t.Errorf("a child has %d descriptors, %d without a group", after, before)
	}
	orphan.Loop().Post(orphan.Close)
}

func TestPanicInOpen(t *testing.T) {
	g := newGroup(t, 1)
	bad := true // owned by the loop
	addr := listen(t, g, AcceptOptions{Open: func(*Conn) Session {
		if bad {
			bad = false
			panic("open")
		}
		return &funcSession{data: echo}
	}})
	if nc, err := net.Dial("tcp", addr); err == nil { // the reset may come before Dial returns
		if got := ask(nc, "x"); got != "" {
			t.Errorf("served: %q", got)
		}
		nc.Close()
	}
	waitFor(t, "the panic", func() bool { return g.Stats().Panics == 1 })
	if got := ask(dial(t, addr), "y"); got != "y" {
		t.Errorf("the next one is not served: %q", got)
	}
}

func TestOpenMayRefuse(t *testing.T) {
	g := newGroup(t, 1)
	addr := listen(t, g, AcceptOptions{Open: func(c *Conn) Session { return nil }})
	if _, err := fmt.Fscan(dial(t, addr), new(string)); err == nil {
		t.Error("not closed")
	}
	waitFor(t, "the connection to be forgotten", func() bool { return g.Stats().Open == 0 })
}
