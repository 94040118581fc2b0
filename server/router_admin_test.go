package server_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server/config"
)

// adminGet asks the admin listener; the status is 0 when it does not answer.
func (s *routerUnderTest) adminGet(path string) (status int, text string) {
	s.t.Helper()
	resp, err := http.Get("http://" + s.server.AdminAddr().String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// table asks for a table.
func (s *routerUnderTest) table(path string) (rows []map[string]any, more bool) {
	s.t.Helper()
	var body struct {
		Rows []map[string]any
		More bool
	}
	status, text := s.adminGet("/api/" + path)
	if err := json.Unmarshal([]byte(text), &body); err != nil || status != http.StatusOK {
		s.t.Fatalf("%s: %d, %v: %s", path, status, err, text)
	}
	if body.Rows == nil {
		s.t.Fatalf("%s: no rows: %s", path, text)
	}
	return body.Rows, body.More
}

// wantMetrics waits until samples have their values: what is counted may be seen after what it led to.
func (s *routerUnderTest) wantMetrics(want map[string]string) {
	s.t.Helper()
	for sample, value := range want {
		eventually(s.t, sample+" "+value, func() bool {
			_, text := s.adminGet("/metrics")
			return strings.Contains(text, "\n"+sample+" "+value+"\n")
		})
	}
}

// routerMetrics are the metrics of the door: all, and no others.
var routerMetrics = []string{
	"router_bytes_total", "router_cache_evictions_total", "router_cache_lookups_total", "router_cache_subjects", "router_connections",
	"router_cuts_total", "router_inflight_bytes", "router_log_dropped_total", "router_lost_total", "router_messages_total", "router_projects",
	"router_publishers_held_total", "router_subscriptions",
}

// TestRouterMetrics compares names with the list, and values with what was done.
func TestRouterMetrics(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) {
		cfg.Router.Client.SendTimeout = 100 * time.Millisecond // has the door look often
		cfg.Router.EnforceExpiration = true
	})
	_, text := s.adminGet("/metrics")
	var names []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE router_"); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, "router_"+name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, routerMetrics) {
		t.Errorf("metrics %q, want %q", names, routerMetrics)
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	c, n := s.joinRT("/me"), s.joinNATS()
	c.subscribe("/a/...")
	n.send("SUB a.b 1|SUB a.* 2|")
	n.sync()
	n.send("PUB a.b 5|hello|PUB a.b 5|again|PUB nobody 0||")
	n.want("MSG a.b 1 5|hello|MSG a.b 2 5|hello|MSG a.b 1 5|again|MSG a.b 2 5|again|")
	framed := c.want("/a/b", "hello")
	c.want("/a/b", "again")
	old := textMessage("/a/b", "old")
	old.Props = message.AppendRealProperty(message.AppendRealProperty(nil, message.TagExpiration, 1), message.TagSenderTimestamp, 1)
	c.send(old)
	c.sync()
	s.wantMetrics(map[string]string{
		`router_messages_total{dir="in"}`:     "4",
		`router_messages_total{dir="out"}`:    "6",
		`router_bytes_total{dir="in"}`:        fmt.Sprint(10 + 8 + message.Size(old)),
		`router_bytes_total{dir="out"}`:       fmt.Sprint(4*5 + 2*(8+message.Size(framed))),
		`router_connections{protocol="nats"}`: "1", `router_connections{protocol="client"}`: "1",
		"router_subscriptions": "4", "router_projects": "1",
		`router_lost_total{reason="expired"}`: "1", `router_lost_total{reason="slow"}`: "0", `router_lost_total{reason="left"}`: "0",
		`router_lost_total{reason="denied"}`: "0", `router_lost_total{reason="stopping"}`: "0",
		`router_cuts_total{reason="slow"}`: "0", `router_publishers_held_total`: "0", `router_log_dropped_total`: "0",
		`router_inflight_bytes`: "0", `router_cache_evictions_total`: "0",
		`router_cache_lookups_total{result="miss"}`: "4", `router_cache_lookups_total{result="hit"}`: "0", "router_cache_subjects": "3",
	})
	n.send("NONSENSE|")
	n.ends("-ERR 'Unknown Protocol Operation'|")
	s.wantMetrics(map[string]string{
		`router_cuts_total{reason="protocol"}`: "1", `router_connections{protocol="nats"}`: "0", "router_subscriptions": "2",
	})
}

// TestRouterTables looks at clients of both protocols, what they have subscribed to, and their projects.
func TestRouterTables(t *testing.T) {
	s := startRouter(t, nil)
	c, other := s.joinRT("/me"), s.dialRT()
	other.join(&message.Hello{Project: "other", Unique: "/me", Ident: "probe", User: "ann", Node: "host", PID: 7})
	n := s.joinNATS(`"name":"reader","lang":"go","version":"1.2.3"`)
	c.subscribe("/a/...", "/b*")
	c.setSubscribe("/b*", true, false)
	c.sync()
	n.send("SUB b> 1|SUB x.> group 2|SUB x.> 3|")
	n.sync()

	rows, more := s.table("clients")
	if len(rows) != 3 || more {
		t.Fatalf("%v %v", rows, more)
	}
	for i, want := range []map[string]any{
		{"protocol": "client", "project": "rtworks", "subject": "/me", "state": "open", "subscriptions": 3.0, "tls": false, "held": false},
		{"protocol": "client", "project": "other", "subject": "/me", "name": "probe", "system_user": "ann", "node": "host", "pid": 7.0, "subscriptions": 1.0},
		{"protocol": "nats", "project": "rtworks", "name": "reader", "lang": "go", "version": "1.2.3", "subscriptions": 3.0, "pending_bytes": 0.0},
	} {
		for key, value := range want {
			if rows[i][key] != value {
				t.Errorf("client %d: %s is %v, want %v", i, key, rows[i][key], value)
			}
		}
		if since, err := time.Parse(time.RFC3339, fmt.Sprint(rows[i]["since"])); err != nil || time.Since(since) > time.Hour {
			t.Errorf("client %d: since %v", i, rows[i]["since"])
		}
	}
	if local := n.conn.LocalAddr().String(); rows[2]["remote"] != local {
		t.Errorf("remote %v, want %s", rows[2]["remote"], local)
	}
	if rows, more = s.table("clients?limit=2"); len(rows) != 2 || !more {
		t.Errorf("limit 2: %v %v", rows, more)
	}
	if rows, more = s.table("clients?limit=3"); len(rows) != 3 || more {
		t.Errorf("limit 3: %v %v", rows, more)
	}

	rows, more = s.table("subjects")
	want := []string{
		"rtworks /x/*/... x.> 2 2 1 0", "other /me <nil> 1 0 0 1", "rtworks /a/... <nil> 1 0 0 0", "rtworks /b%3E b> 1 1 0 0",
		"rtworks /b* <nil> 1 0 0 1", "rtworks /me me 1 0 0 1",
	}
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r["project"], " ", r["subject"], " ", r["nats_subject"], " ", r["subscribers"], " ", r["nats_subscribers"], " ",
			r["queued"], " ", r["always"]))
	}
	if !slices.Equal(got, want) || more {
		t.Errorf("subjects %q, want %q", got, want)
	}
	if rows, more = s.table("subjects?limit=1"); len(rows) != 1 || !more || rows[0]["subject"] != "/x/*/..." {
		t.Errorf("limit 1: %v %v", rows, more)
	}

	rows, _ = s.table("projects")
	if len(rows) != 2 || rows[0]["project"] != "other" || rows[0]["nats"] != false || rows[0]["clients"] != 1.0 ||
		rows[1]["project"] != "rtworks" || rows[1]["nats"] != true || rows[1]["clients"] != 1.0 || rows[1]["subscriptions"] != 6.0 {
		t.Errorf("projects: %v", rows)
	}
}

// TestEveryClientIsInTheTable: a loop copies its connections in steps, and none is left out or comes twice.
func TestEveryClientIsInTheTable(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) { cfg.Loops = 1 })
	const all = 600 // more than two steps
	want := map[string]bool{}
	for range all {
		c := s.dialNATS()
		want[c.conn.LocalAddr().String()] = true
	}
	rows, more := s.table("clients")
	for _, r := range rows {
		delete(want, fmt.Sprint(r["remote"]))
	}
	if len(rows) != all || more || len(want) > 0 {
		t.Errorf("%d rows, %v, %d are missing", len(rows), more, len(want))
	}
	if rows, more = s.table("clients?limit=300"); len(rows) != 300 || !more {
		t.Errorf("limit 300: %d rows, %v", len(rows), more)
	}
}

// TestReadinessOfRouter: a load balancer is told before the clients are.
func TestReadinessOfRouter(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) { cfg.DrainGrace, cfg.DrainTimeout = patience, 2*patience })
	eventually(t, "ready", func() bool { status, _ := s.adminGet("/readyz"); return status == http.StatusOK })
	n := s.joinNATS()
	s.cancel()
	line, err := n.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "INFO {") || !strings.Contains(line, `"ldm":true`) {
		t.Fatalf("%q, %v instead of the lame duck's INFO", line, err)
	}
	if status, text := s.adminGet("/readyz"); status != http.StatusServiceUnavailable || text != "draining\n" {
		t.Errorf("%d %q", status, text)
	}
	n.sync() // it is served on
	n.conn.Close()
}

// TestRouterDocs has the conversation of docs/router.md with a server, byte by byte, and looks for every metric and reason, and for the keys that the
// page names in the reference.
func TestRouterDocs(t *testing.T) {
	b, err := os.ReadFile("../docs/router.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	s := startRouter(t, nil)
	c := s.dialRT()
	lines := 0
	for line := range strings.Lines(page) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "C" && words[0] != "S" || len(words[1]) != frame.HeaderLen {
			continue
		}
		lines++
		whole, err := hex.DecodeString(words[2])
		if err != nil || words[1] != fmt.Sprintf("%08d", len(whole)) {
			t.Fatalf("%v: %s", err, line)
		}
		if words[0] == "C" {
			if c.sendRaw(whole); lines == 1 {
				if c.readWelcome(); c.welcome.Code != message.CodeOK || c.welcome.Unique != "/me" {
					t.Fatalf("the hello: %+v", c.welcome)
				}
			}
			continue
		}
		if got := hex.EncodeToString(message.Append(nil, c.read())); got != words[2] {
			t.Errorf("the server says %s, the page %s", got, words[2])
		}
	}
	if lines != 8 {
		t.Errorf("%d lines of the conversation", lines)
	}
	_, text := s.adminGet("/metrics")
	for _, name := range routerMetrics {
		if !strings.Contains(page, "`"+name) {
			t.Errorf("the page lacks %s", name)
		}
	}
	for _, reason := range regexp.MustCompile(`router_(?:lost|cuts)_total{reason="(\w+)"}`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(page, "| `"+reason[1]+"` |") {
			t.Errorf("the page lacks the reason %s", reason[1])
		}
	}
	reference, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range regexp.MustCompile("`((?:router|limits|access)\\.[a-z_.]+)`").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(string(reference), "`"+strings.TrimSuffix(key[1], ".")+"`") {
			t.Errorf("there is no key %s", key[1])
		}
	}
}

// TestRouterDocsOfNATS: the tables of docs/router.md that say how subjects map are right.
func TestRouterDocsOfNATS(t *testing.T) {
	page, err := os.ReadFile("../docs/router.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	var from string // who is in the first column; empty: another table
	checked := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			from = ""
			continue
		}
		if first := strings.TrimSpace(cells[1]); strings.HasSuffix(first, " client says") {
			from = first
		}
		names, others := code.FindAllStringSubmatch(cells[1], -1), code.FindAllStringSubmatch(cells[2], -1)
		if from == "" || len(names) == 0 || len(others) == 0 {
			continue
		}
		if len(names) != len(others) {
			t.Errorf("%d names and %d: %s", len(names), len(others), line)
			continue
		}
		for i := range names {
			name := []byte(names[i][1])
			got := subject.ToNATS(nil, name)
			if from == "a NATS client says" {
				if got, err = subject.FromNATS(nil, name, strings.Contains(cells[1], "subscribes")); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if checked++; string(got) != others[i][1] {
				t.Errorf("%s is %s, the page says %s", name, got, others[i][1])
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d names in the tables", checked)
	}
}
