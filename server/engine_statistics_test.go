package server_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// kept returns the lines that a listener has kept of an id.
func kept(t testing.TB, dir, id string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, id+"-????????.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasSuffix(line, "\n") { // else it is being written
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// TestStatistics: one server tells another what it does, and goes on when that comes back.
func TestStatistics(t *testing.T) {
	dir := t.TempDir()
	keeper := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Input, cfg.Engine.Statistics.Directory = "127.0.0.1:0", dir
	})
	addrs := keeper.server.EngineAddrs()
	input := addrs[len(addrs)-1].String()
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Output, cfg.Engine.Statistics.ID = input, "NORTH.1"
		cfg.Engine.Statistics.Interval = 100 * time.Millisecond
	})
	c := s.login("0")
	c.talk("3^echo^1^", "00^1^", "3^echo^2^", "00^2^")
	s.login("0").send("3^slow^60s^")
	s.busyEngine()
	type average struct{ Abandoned, Phantom, Sync, Active, Available float64 }
	eventually(t, "records of three requests, and one that runs", func() bool {
		requests, ran, starts := 0, false, 0
		for _, line := range kept(t, dir, "NORTH.1") {
			var r struct {
				T        time.Time
				Sec      float64
				Requests int
				Simul    int `json:"simul_max"`
				Starts   int
				Avg      average
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.T.IsZero() || r.Sec <= 0 {
				t.Fatalf("%s: %v", line, err)
			}
			requests, starts = requests+r.Requests, starts+r.Starts
			ran = ran || r.Simul == 1 && r.Avg.Active == 1
		}
		return requests == 3 && starts >= 1 && ran
	})
	var fields map[string]any
	if err := json.Unmarshal([]byte(kept(t, dir, "NORTH.1")[0]), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("t sec requests rejected timedout simul_max longest_ms longest_phantom_ms wait_max_ms oldest_s avg starts crashes kills") {
		if _, ok := fields[name]; !ok {
			t.Errorf("a record lacks %s: %v", name, fields)
		}
	}
	if n := len(fields); n != 14 {
		t.Errorf("%d fields: %v", n, fields)
	}
}

// TestStatisticsReconnect: a listener that is not there costs a line of the log, and records come when it is.
func TestStatisticsReconnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	input := ln.Addr().String()
	ln.Close()
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Output, cfg.Engine.Statistics.Interval = input, 50*time.Millisecond
	})
	s.logged("statistics cannot be sent", "statistics="+input)
	s.login("0").talk("3^echo^1^", "00^1^") // nothing waits for it
	if ln, err = net.Listen("tcp", input); err != nil {
		t.Skip("the port was taken meanwhile:", err)
	}
	defer ln.Close()
	if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &engineClient{t: t, conn: conn.(*net.TCPConn), in: bufio.NewReader(conn)}
	defer c.close()
	for range 2 { // over one connection
		if record := c.read(); !strings.HasPrefix(record, `-90^MAIN^{"t":"`) || !strings.HasSuffix(record, "}^") {
			t.Errorf("%q", record)
		}
		c.send("0^")
	}
	c.close() // between two records
	again, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next := &engineClient{t: t, conn: again.(*net.TCPConn), in: bufio.NewReader(again)}
	defer next.close()
	if record := next.read(); !strings.HasPrefix(record, "-90^MAIN^{") {
		t.Errorf("%q", record)
	}
	next.send("0^")
	if n := strings.Count(s.log.text(), "statistics cannot be sent"); n != 1 {
		t.Errorf("%d lines of the log, one was due", n)
	}
}

// TestStatisticsInput: who may send records, and which.
func TestStatisticsInput(t *testing.T) {
	dir := t.TempDir()
	own := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Input, cfg.Engine.Statistics.Directory = "127.0.0.1:0", filepath.Join(dir, "own")
		cfg.Engine.ControlAllow = prefixes(t, "192.0.2.0/24") // not for its own listener
	})
	addrs := own.server.EngineAddrs()
	c := dialEngines(t, addrs[len(addrs)-1].String())
	for _, id := range []string{"", ".", "..", ".a", "a/b", "../a", "a b", "ä", strings.Repeat("a", 65), "a\x00"} {
		c.talk("-90^"+id+`^{"t":1}^`, "1^Record refused: wrong id^")
	}
	for _, text := range []string{"", "{", "1", "[1]", `{"a":1}{"b":2}`, `{"a":` + "\x02}", `"` + strings.Repeat("a", 64<<10) + `"`} {
		c.talk("-90^id^"+text+"^", "1^Record refused: not a JSON object^")
	}
	c.talk("-90^id^{ \"a\": \n 1 }^", "0^", "-90^id^{}^", "0^", "-1^", "1^Unknown command -1^", "1^u^p^APP^0^^^^^^", "1^Unknown command 1^")
	own.dial().talk("-90^id^{}^", "1^Unknown command -90^")
	eventually(t, "two lines", func() bool {
		return strings.Join(kept(t, filepath.Join(dir, "own"), "id"), "|") == `{"a":1}|{}`
	})

	same := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Input, cfg.Engine.Statistics.Directory = "same", filepath.Join(dir, "same")
	})
	same.dial().talk("-90^id^{}^", "0^")
	denied := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Statistics.Input, cfg.Engine.Statistics.Directory = "same", filepath.Join(dir, "denied")
		cfg.Engine.ControlAllow = prefixes(t, "192.0.2.0/24")
	})
	denied.dial().talk("-90^id^{}^", "1^Access Denied^")
	none := startEngines(t, nil)
	none.dial().talk("-90^id^{}^", "1^Unknown command -90^")
}

// prefixes reads a network.
func prefixes(t testing.TB, text string) []netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return []netip.Prefix{p}
}
