package server_test

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
