package server_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"roundhouse/server/config"
)

// adminGet asks the admin listener.
func (s *engineUnderTest) adminGet(path string) string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.server.AdminAddr().String() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s %v", path, resp.StatusCode, b, err)
	}
	return string(b)
}

// adminPost has the admin listener do something; header holds pairs of names and values.
func (s *engineUnderTest) adminPost(action string, form url.Values, header ...string) (status int, text string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.server.AdminAddr().String()+"/api/engines/"+action, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSuffix(string(b), "\n")
}

// metric is the value of a sample, as text; empty: there is none.
func (s *engineUnderTest) metric(sample string) string {
	s.t.Helper()
	for line := range strings.Lines(s.adminGet("/metrics")) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// wantMetrics waits until samples have their values: a request is counted when it is over, which may be after its reply.
func (s *engineUnderTest) wantMetrics(want map[string]string) {
	s.t.Helper()
	for sample, value := range want {
		eventually(s.t, sample+" "+value, func() bool { return s.metric(sample) == value })
	}
}

// engineMetrics are the metrics of the door: all, and no others.
var engineMetrics = []string{
	"oes_breaks_total", "oes_busy_seconds_total", "oes_bytes_total", "oes_connections", "oes_engine_exits_total", "oes_engine_rss_bytes",
	"oes_engine_start_seconds", "oes_engine_starts_total", "oes_engines", "oes_engines_limit", "oes_frames_total", "oes_kills_total",
	"oes_pool_stalls_total", "oes_protocol_errors_total", "oes_queue_length", "oes_queue_rejected_total", "oes_queue_wait_seconds",
	"oes_request_first_byte_seconds", "oes_request_seconds", "oes_requests_total", "oes_zombie_resumes_total", "oes_zombies",
}

// TestEngineMetrics compares names with the list, and values with what was done.
func TestEngineMetrics(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 7 })
	c := s.login("0")
	c.talk("3^echo^hello^", "00^hello^", "3^fail^^", "11^failed^", "3^echo^again^", "00^again^")
	_, port := split(t, s.addr)
	text := s.adminGet("/metrics")
	var names []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE oes_"); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, "oes_"+name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, engineMetrics) {
		t.Errorf("metrics %q, want %q", names, engineMetrics)
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	s.wantMetrics(map[string]string{
		`oes_requests_total{kind="client",mode="0",result="ok"}`:     "2",
		`oes_requests_total{kind="client",mode="0",result="failed"}`: "1",
		`oes_requests_total{kind="client",mode="0",result="lost"}`:   "0",
		`oes_request_seconds_count{mode="0"}`:                        "3",
		"oes_request_first_byte_seconds_count":                       "3",
		"oes_queue_wait_seconds_count":                               "3",
		`oes_engine_starts_total{result="ok"}`:                       "1",
		`oes_engine_starts_total{result="failed"}`:                   "0",
		"oes_engine_start_seconds_count":                             "1",
		`oes_engines{app="APP",class="pooled",state="available"}`:    "1",
		`oes_engines_limit{class="pooled"}`:                          "7",
		`oes_engines_limit{class="bound"}`:                           "0",
		`oes_queue_length{app="APP",mode="0"}`:                       "0",
		`oes_connections{port="` + strconv.Itoa(port) + `"}`:         "1",
		`oes_frames_total{dir="in"}`:                                 "4",
		`oes_frames_total{dir="out"}`:                                "4",
		`oes_bytes_total{dir="in"}`:                                  strconv.Itoa(4*8 + len("1^u^p^APP^0^^^^^^") + len("3^echo^hello^") + len("3^fail^^") + len("3^echo^again^")),
		`oes_protocol_errors_total{side="client"}`:                   "0",
		"oes_zombies":           "0",
		"oes_pool_stalls_total": "0",
	})
	s.dial().write("nonsense")
	s.wantMetrics(map[string]string{`oes_protocol_errors_total{side="client"}`: "1"})
}

// TestEngineMetricsOfEnds: requests that are lost or killed count once each, and so do the engines.
func TestEngineMetricsOfEnds(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("0")
	c.talk("3^crash^late^", "11^Engine ended unexpectedly^")
	c.send("3^hang^")
	name := s.busyEngine()
	if status, text := s.adminPost("kill", url.Values{"engine": {name}}); status != http.StatusOK || text != name+" is killed" {
		t.Errorf("%d %q", status, text)
	}
	c.want("11^Engine was shut down^")
	c.talk("3^echo^back^", "00^back^")
	s.wantMetrics(map[string]string{
		`oes_requests_total{kind="client",mode="0",result="lost"}`:   "1",
		`oes_requests_total{kind="client",mode="0",result="killed"}`: "1",
		`oes_requests_total{kind="client",mode="0",result="ok"}`:     "1",
		`oes_request_seconds_count{mode="0"}`:                        "3",
		`oes_engine_exits_total{reason="crash"}`:                     "1",
		`oes_engine_exits_total{reason="forced"}`:                    "1",
		`oes_kills_total{reason="crash"}`:                            "0",
		`oes_kills_total{reason="forced"}`:                           "1",
		`oes_engine_starts_total{result="ok"}`:                       "3",
		`oes_engine_starts_total{result="failed"}`:                   "0",
	})
}

// busyEngine waits until an engine works, and returns its name.
func (s *engineUnderTest) busyEngine() (name string) {
	s.t.Helper()
	s.eventuallyRows("an engine works", func(rows []engineRow) bool {
		i := slices.IndexFunc(rows, func(r engineRow) bool { return r.state == "active" || r.state == "running" })
		if i >= 0 {
			name = rows[i].name
		}
		return i >= 0
	})
	return name
}

// TestPauseResume: requests wait while the pool is paused, beside a free engine, and show up in the tables; then all are served.
func TestPauseResume(t *testing.T) {
	s := startEngines(t, nil)
	c, other, admin := s.login("0"), s.dial(), s.dial()
	other.mustLogin("1^u^p^OTHER^0^^^^^^")
	c.talk("3^echo^1^", "00^1^")
	admin.talk("-10^"+controlPassword+"^PAUSE^app^", "0^paused: APP^")
	c.send("3^echo^2^")
	other.talk("3^echo^3^", "00^3^") // not of the paused application
	eventually(t, "a queue", func() bool {
		return regexp.MustCompile(`"application": "APP",\s+"user": "u",(?s:.*)"waiting": 1,(?s:.*)"paused": true`).MatchString(s.adminGet("/api/queues"))
	})
	s.wantMetrics(map[string]string{`oes_queue_length{app="APP",mode="0"}`: "1"})
	if list := admin.ask("-1^"); !strings.Contains(list, "<td>Queue</td><td>waiting</td><td>APP</td>") {
		t.Errorf("the list shows no queue: %s", list)
	}
	if text := admin.ask("-10^" + controlPassword + "^QUEUE^"); !strings.Contains(text, "APP") {
		t.Errorf("QUEUE: %q", text)
	}
	admin.talk("-10^"+controlPassword+"^WAIT_DRAIN^5^", "0^no engine has a request^",
		"-10^"+controlPassword+"^RESUME^no^", "1^no is not paused by its name; paused: APP^")
	if status, text := s.adminPost("resume", nil); status != http.StatusOK || text != "paused: nothing" {
		t.Errorf("%d %q", status, text)
	}
	c.want("00^2^")
}

// TestDrainWhilePaused: a server that ends serves those who wait for a paused pool.
func TestDrainWhilePaused(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("0")
	s.adminPost("pause", nil)
	c.send("3^echo^2^")
	eventually(t, "a request waits", func() bool { return strings.Contains(s.adminGet("/api/queues"), `"waiting": 1`) })
	if status, text := s.adminPost("drain", nil); status != http.StatusOK || text != "the server drains, and ends" {
		t.Errorf("%d %q", status, text)
	}
	c.want("00^2^")
	c.ended()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done <- nil
}

// TestAdminVerbs has each verb do its work, and refuse what is wrong.
func TestAdminVerbs(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Defaults.Password = "hidden" })
	c, admin := s.login("0"), s.dial()
	verb := func(text string) string { t.Helper(); return admin.ask("-10^" + controlPassword + "^" + text + "^") }
	for text, want := range map[string]string{
		"LIST":                       "0^ENGINE ",
		"stats":                      "0^up_seconds ",
		"RECYCLE^x":                  "1^wrong use: RECYCLE has no argument^",
		"STOP":                       "1^wrong use: STOP has 1 argument(s): engine^",
		"STOP^E9999":                 "1^there is no engine E9999^",
		"FLY":                        "1^wrong use: unknown verb FLY^",
		"SET^relay.listen^:1":        "1^wrong use: SET takes keys of pool and client, as pool.max_engines^",
		"SET^pool.spawn_rate^many":   `1^wrong use: --set: field "engine.pool.spawn_rate": value "many"`,
		"SET^pool.max_engines^3":     "0^engine.pool.max_engines = 3^",
		"SET^engine.client.idle^90s": "0^engine.client.idle = 90s^",
		"RELOAD":                     "1^not possible in this server^",
		"WAIT_DRAIN^0":               "1^wrong use: seconds are a number from 1 to 3600^",
		"BREAK^E0001":                "1^E0001 has no request^",
	} {
		if got := verb(text); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	dump := verb("CONFIG")
	if !strings.Contains(dump, "max_engines = 3\n") || strings.Contains(dump, controlPassword) || strings.Contains(dump, "hidden") {
		t.Errorf("CONFIG: %q", dump)
	}
	c.send("3^slow^60s^")
	name := s.busyEngine()
	if got := verb("WAIT_DRAIN^1"); got != "1^1 engine(s) still have requests^" {
		t.Errorf("WAIT_DRAIN: %q", got)
	}
	if got, want := verb("BREAK^"+name), "0^the request on "+name+" is broken^"; got != want {
		t.Errorf("BREAK: %q", got)
	}
	if reply := c.read(); !strings.HasPrefix(reply, "11^") {
		t.Errorf("a broken request: %q", reply)
	}
	s.wantMetrics(map[string]string{`oes_breaks_total{level="order"}`: "1"})
	if got := verb("STOP^" + strings.ToLower(name)); got != "0^"+name+" is stopped when it has nothing to do^" {
		t.Errorf("STOP: %q", got)
	}
	s.eventuallyRows("no engine", func(rows []engineRow) bool { return len(rows) == 0 })
	c.talk("3^echo^new^", "00^new^")
	before := s.rows()[0].name
	verb("RECYCLE")
	s.eventuallyRows("another engine", func(rows []engineRow) bool {
		return len(rows) == 1 && rows[0].name != before && rows[0].state == "available"
	})
	admin.talk("-10^wrong^LIST^", "1^Access Denied^")
}

// TestAdminPostsFromElsewhere: what a browser posts for another site is refused, by its headers and by the name it used.
func TestAdminPostsFromElsewhere(t *testing.T) {
	s := startEngines(t, nil)
	addr := s.server.AdminAddr().String()
	for _, row := range []struct {
		what   string
		header []string
		status int
	}{
		{"no browser", nil, http.StatusOK},
		{"a page of ours", []string{"Origin", "http://" + addr, "Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{"another site", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"another site, without the newer header", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{"another port of this machine", []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"no origin at all", []string{"Origin", "null"}, http.StatusForbidden},
		{"a name that leads here", []string{"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
	} {
		if status, text := s.adminPost("resume", nil, row.header...); status != row.status {
			t.Errorf("%s: %d %q", row.what, status, text)
		}
	}
	resp, err := http.Get("http://" + addr + "/api/engines/resume")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a GET: %d", resp.StatusCode)
	}
	if status, text := s.adminPost("stop", nil); status != http.StatusBadRequest || text != "wrong use: STOP has 1 argument(s): engine" {
		t.Errorf("%d %q", status, text)
	}
	if status, _ := s.adminPost("stop", url.Values{"engine": {"E9999"}}); status != http.StatusConflict {
		t.Errorf("no such engine: %d", status)
	}
}

// TestSlowLog: a request that takes long gets a line with who and what, another none.
func TestSlowLog(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.SlowLog = time.Nanosecond
		cfg.Engine.Defaults.Procedure = "REPORT"
	})
	c := s.login("0")
	c.talk("3^infos^3^", "00^iii^")
	s.logged("a slow request", "engine=E0001", "client="+c.address(), "procedure=REPORT", "seconds=", "info=i")
	fast := startEngines(t, func(cfg *config.Config) { cfg.Engine.SlowLog = time.Hour })
	fast.login("0").talk("3^infos^3^", "00^iii^")
	fast.wantMetrics(map[string]string{`oes_requests_total{kind="client",mode="0",result="ok"}`: "1"})
	if fast.log.has("a slow request") {
		t.Error("a fast request is in the log")
	}
}

// TestIndexOfAdmin: all tables and actions are listed.
func TestIndexOfAdmin(t *testing.T) {
	s := startEngines(t, nil)
	index := s.adminGet("/")
	for _, path := range []string{"/api/farms", "/api/engines", "/api/queues", "POST /api/engines/pause", "POST /api/engines/wait-drain"} {
		if !strings.Contains(index, path+" ") {
			t.Errorf("the index lacks %s", path)
		}
	}
}
