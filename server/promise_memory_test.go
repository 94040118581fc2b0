package server_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPromise07MemoryCeiling has 100 clients that read nothing of 10 MiB each, at full length 1,000 of 100 MiB, from a relay server with
// GOMEMLIMIT: others are answered, and its memory has a ceiling.
func TestPromise07MemoryCeiling(t *testing.T) {
	clients, size, ceiling := 100, 10<<20, int64(300<<20)
	path := relayFile(t, "127.0.0.1:0", "")
	if isFull() {
		clients, size = 1000, 100<<20
		manyJunctions(t, path)
	}
	cmd := exec.Command(binary(t, "roundhouse"), "serve", "-c", path)
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=256MiB")
	c := startCommand(t, cmd)
	r := &relayChild{c, c.listens("relay"), c.listens("admin")}
	w := startWellspring(t)
	startEnablerChild(t, r.addr, "s1", w.addr, "-jl", "10000")
	r.up(2)
	base := quantile99(t, r, 200)
	var slow []net.Conn
	refused := 0
	for range clients {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil { // else the sockets would take it all
			t.Fatal(err)
		}
		write(t, c, getText(fmt.Sprintf("/%d", size)))
		slow = append(slow, c)
	}
	fed := quantile99(t, r, 200)
	written := stopsGrowing(t, "the back end", w.written.Load)
	held, during := r.metric("rs_buffer_bytes", ""), quantile99(t, r, 200)
	rss := r.memory("VmHWM")
	for _, code := range []string{"RSE_NO_MEMORY", "RSE_BUSY"} {
		refused += int(r.metric("rs_errors_total", code))
	}
	t.Logf("%d slow clients, %d refused: %d MiB of %d written, %d KiB held, %d MiB of memory at most; p99 of others %v while they are fed and %v then, before %v",
		clients, refused, written>>20, clients*size>>20, int(held)>>10, rss>>20,
		fed.Round(time.Microsecond), during.Round(time.Microsecond), base.Round(time.Microsecond))
	if refused > 0 {
		t.Error("clients were refused")
	}
	if rss > ceiling || held == 0 {
		t.Errorf("the memory was %d MiB, at most %d are allowed; %v bytes are held", rss>>20, ceiling>>20, held)
	}
	for _, c := range slow {
		c.Close()
	}
	eventually(t, "nothing is left", func() bool {
		return r.metric("rs_inflight", "") == 0 && r.metric("rs_buffer_bytes", "") == 0 && w.open.Load() == 0
	})
}

// quantile99 is the time that 99 of 100 requests of n take at most. One that has no answer fails the test.
func quantile99(t testing.TB, r *relayChild, n int) time.Duration {
	t.Helper()
	var all []time.Duration
	for range n {
		began := time.Now()
		if o := ask("GET", r.url("/fast"), ""); o.status != 200 || o.body != "fast" {
			t.Fatalf("a neighbour: %v", o)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[n*99/100]
}

// metric is the sum of the samples of a metric that have a label, as it stands in the text; -1 when there are none.
func (r *relayChild) metric(name, label string) float64 {
	sum, found := 0.0, false
	for line := range strings.Lines(ask("GET", "http://"+r.admin+"/metrics", "").body) {
		labels, ok := strings.CutPrefix(line, name)
		if !ok || !strings.ContainsAny(labels[:1], " {") || !strings.Contains(labels, label) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(labels[strings.LastIndexByte(labels, ' ')+1:]), 64)
		if err != nil {
			r.t.Error(err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return -1
	}
	return sum
}

// memory is what /proc says of the program, in bytes; VmHWM is the most that it ever had in memory.
func (c *child) memory(field string) int64 {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == field+":" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return n << 10
		}
	}
	c.t.Fatal("no", field)
	return 0
}
