package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestDescriptorsRunOut opens 1,000 connections to a relay server that may have 256 descriptors.
func TestDescriptorsRunOut(t *testing.T) {
	const limit, n = 256, 1000
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
	refused := n - len(conns)
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // fails as the read would
		if _, err := conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			refused++
		}
	}
	for _, conn := range conns {
		conn.Close()
	}
	began := time.Now()
	eventually(t, "it serves again", func() bool { o := ask("GET", r.url("/"), ""); return o.status == 200 && o.body == "alive" })
	took := time.Since(began)
	t.Logf("%d connections with %d descriptors, %d refused; served again after %v", n, limit, refused, took.Round(time.Millisecond))
	if refused < n-limit || took > time.Second {
		t.Error("too few were refused, or it took too long")
	}
	for range 50 {
		if o := ask("GET", r.url("/"), ""); o.status != 200 {
			t.Fatal(o)
		}
	}
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
				text = ""
			}
			text = text[n:]
		}
	}
}

// TestSlowAttackers has 200 clients send their heads slowly and 200 their bodies: all are cut, and good clients are served.
func TestSlowAttackers(t *testing.T) {
	const n = 200
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.HeaderTimeout, cfg.Relay.BodyGrace, cfg.Relay.BodyMinRate = time.Second, time.Second, 1000
	})
	w := startWellspring(t)
	close(w.gate)
	startEnabler(t, r, "s1", w.addr)
	head := "GET /cli/iarelayserver/f/fast HTTP/1.1\r\nHost: a\r\nX-Slow: " + strings.Repeat("x", 5000) + "\r\n\r\n"
	body := "POST /cli/iarelayserver/f/up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
	statuses := make(chan int, 2*n)
	began := time.Now()
	for range n {
		one, two := r.dial(), r.dial()
		go func() { statuses <- slowly(one, head, 10, 100*time.Millisecond) }() // ends when it is cut
		write(t, two, body)
		go func() { statuses <- slowly(two, strings.Repeat("x", 100_000), 10, 100*time.Millisecond) }() // as above
	}
	neighbours(t, r, 200)
	cut := map[int]int{}
	for range 2 * n {
		cut[<-statuses]++
	}
	took := time.Since(began)
	neighbours(t, r, 50)
	t.Logf("%d slow clients were answered with %v within %v", 2*n, cut, took.Round(time.Millisecond))
	if cut[408]+cut[0] != 2*n || cut[408] < n || took > 10*time.Second {
		t.Error("somebody was not cut in time")
	}
	eventually(t, "nothing is left", func() bool { return r.server.TotalsForTest().InFlight == 0 && w.open.Load() == 0 })
}
