package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roundhouse/server/config"
)

// TestPromise06DescriptorsRunOut opens 5,000 connections to a relay server that may have 256 descriptors.
func TestPromise06DescriptorsRunOut(t *testing.T) {
	const limit, n = 256, 5000
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -n %d && exec \"$0\" serve -c \"$1\"", limit), binary(t, "roundhouse"), relayFile(t, "127.0.0.1:0", ""))
	c := startCommand(t, cmd)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	startEnablerChild(t, r.addr, "s1", startCounted(t, "alive", "").addr)
	r.up(2)
	var conns []net.Conn
	for range n {
		conn, err := net.DialTimeout("tcp", r.addr, time.Second)
		if err != nil {
			continue // refused, which is right
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	left := slices.Clone(conns)
	eventually(t, "no more than it can serve are left", func() bool {
		left = slices.DeleteFunc(left, hungUp)
		return len(left) <= limit
	})
	refused := n - len(left)
	for _, conn := range conns {
		conn.Close()
	}
	began := time.Now()
	eventually(t, "it serves again", func() bool { o := ask("GET", r.url("/"), ""); return o.status == 200 && o.body == "alive" })
	took := time.Since(began)
	t.Logf("%d connections with %d descriptors, %d refused; served again after %v", n, limit, refused, took.Round(time.Millisecond))
	if took > slack {
		t.Error("it took too long")
	}
	for range 50 {
		if o := ask("GET", r.url("/"), ""); o.status != 200 {
			t.Fatal(o)
		}
	}
}

// hungUp tells whether the other end has ended a connection, without waiting for that.
func hungUp(c net.Conn) (ended bool) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	if err := raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && err != unix.EAGAIN
	}); err != nil {
		return true // it is closed on this side, too
	}
	return ended
}

// slowly sends text bit by bit, until it is cut or has been answered, and returns the status of the answer; 0: none came.
func slowly(c net.Conn, text string, each int, every time.Duration) int {
	answer := make(chan int, 1)
	go func() { // ends with the connection
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			answer <- 0
			return
		}
		answer <- resp.StatusCode
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case status := <-answer:
			return status
		case <-tick.C:
			if len(text) == 0 {
				continue
			}
			n := min(each, len(text))
			if _, err := io.WriteString(c, text[:n]); err != nil {
				n = len(text) // it was cut: the answer says how
			}
			text = text[n:]
		}
	}
}

// TestPromise08SlowAttackers has 1,000 clients send their heads slowly, send their bodies slowly, or read nothing; at full length 4,500
// with more patience. All are cut, and all good clients are served meanwhile.
func TestPromise08SlowAttackers(t *testing.T) {
	n, unread, limit := 450, 100, time.Second // of heads and bodies each, of who reads nothing
	if isFull() {
		n, unread, limit = 2000, 500, 10*time.Second
	}
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.HeaderTimeout, cfg.Relay.BodyGrace, cfg.Relay.BodyMinRate, cfg.Relay.IdleTimeout = limit, limit, 1000, 2*limit
		cfg.Relay.Farms[0].MaxClientBuffer = 32 << 10
		for i := range cfg.Relay.Backends {
			cfg.Relay.Backends[i].MaxJunction = 10_000
		}
	})
	w := startWellspring(t)
	close(w.gate)
	startEnabler(t, r, "s1", w.addr)
	head := "GET /cli/iarelayserver/f/fast HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("x", 5000) + "\r\n\r\n"
	body := "POST /cli/iarelayserver/f/up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
	statuses := make(chan int, 2*n)
	began := time.Now()
	var readers []net.Conn
	for range n {
		one, two := r.dial(), r.dial()
		go func() { statuses <- slowly(one, head, 10, 250*time.Millisecond) }() // ends when it is cut
		write(t, two, body)
		go func() { statuses <- slowly(two, strings.Repeat("x", 100_000), 10, 250*time.Millisecond) }() // as above
	}
	for range unread {
		c := r.dial()
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		write(t, c, getText("/5000000")) // more than the sockets take by themselves
		readers = append(readers, c)
	}
	neighbours(t, r, 200)
	cut := map[int]int{}
	for range 2 * n {
		cut[<-statuses]++
	}
	eventually(t, "who reads nothing is cut", func() bool { return r.server.TotalsForTest().InFlight == 0 })
	took := time.Since(began)
	neighbours(t, r, 50)
	whole := 0
	for _, c := range readers {
		_ = c.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
		if _, err := io.Copy(io.Discard, c); err == nil || isTimeout(err) {
			whole++
		}
	}
	t.Logf("%d slow clients: %v answered 408 or cut, %d cut who read nothing, within %v", 2*n+unread, cut, unread-whole, took.Round(time.Millisecond))
	if cut[408]+cut[0] != 2*n || cut[408] == 0 || whole > 0 || took > limit+patience {
		t.Errorf("somebody was not cut in time: %d of who reads nothing were not", whole)
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 && w.open.Load() == 0 })
}
