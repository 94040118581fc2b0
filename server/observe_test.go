package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"roundhouse/server/config"
)

// seen asks the admin listener.
func (r *relayUnderTest) seen(path string) (status int, body string) {
	r.t.Helper()
	resp, err := http.Get("http://" + r.admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// rows asks for a table.
func (r *relayUnderTest) rows(path string) (rows []map[string]any, more bool) {
	r.t.Helper()
	var table struct {
		Rows []map[string]any
		More bool
	}
	if _, body := r.seen(path); json.Unmarshal([]byte(body), &table) != nil {
		r.t.Fatalf("%s: %s", path, body)
	}
	return table.Rows, table.More
}

// TestReadyAfterStart has no load balancer send clients before all enablers have come back.
func TestReadyAfterStart(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Lane.StartWait = time.Hour })
	nothing := startBackend(t, func(http.ResponseWriter, *http.Request) {})
	waits := func() bool {
		status, body := r.seen("/readyz?farm=f")
		return status == http.StatusServiceUnavailable && body == "farm \"f\" still waits for back-end servers after the start\n"
	}
	for _, id := range []string{"s1", "s2"} {
		startEnabler(t, r, id, nothing)
		eventually(t, "it waits for others than "+id, waits)
	}
	last := startEnabler(t, r, "s3", nothing)
	eventually(t, "the farm is ready", func() bool { status, _ := r.seen("/readyz?farm=f"); return status == http.StatusOK })
	if status, _ := r.seen("/readyz"); status != http.StatusOK {
		t.Errorf("without a farm: %d", status)
	}
	last.stop(t)
	eventually(t, "a server is gone", func() bool {
		rows, _ := r.rows("/api/farms")
		return len(rows) == 1 && rows[0]["state"] == "degraded"
	})
	if status, body := r.seen("/readyz?farm=f"); status != http.StatusOK { // else the death of a server would stop a farm that has just started
		t.Errorf("without a server that was there: %d %q", status, body)
	}
}

// TestAdminShowsTheFarm looks at a farm through the admin listener before and after its only enabler comes.
func TestAdminShowsTheFarm(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.Lane.StartWait = 0
		off := config.DefaultFarm()
		off.ID, off.Enable = "off", false
		cfg.Relay.Farms = append(cfg.Relay.Farms, off)
	})
	eventually(t, "ready", func() bool { status, _ := r.seen("/readyz"); return status == http.StatusOK })
	for farm, want := range map[string]string{
		"f":   `farm "f" has no back-end server that can be reached`,
		"off": `farm "off" is disabled`,
		"no":  `farm "no" is not configured`,
	} {
		if status, body := r.seen("/readyz?farm=" + farm); status != http.StatusServiceUnavailable || body != want+"\n" {
			t.Errorf("farm %s: %d %q", farm, status, body)
		}
	}
	startEnabler(t, r, "s1", startBackend(t, func(http.ResponseWriter, *http.Request) {}))
	eventually(t, "the farm is ready", func() bool { status, _ := r.seen("/readyz?farm=f"); return status == http.StatusOK })
	if rows, _ := r.rows("/api/farms"); len(rows) != 2 || rows[0]["state"] != "degraded" || rows[1]["state"] != "unavailable" {
		t.Errorf("farms: %v", rows)
	}
	eventually(t, "lanes", func() bool { rows, _ := r.rows("/api/lanes"); return len(rows) == r.cfg.Loops })
	if rows, more := r.rows("/api/servers?limit=2"); len(rows) != 2 || !more || rows[0]["up"] != true || rows[0]["token"] != true || rows[1]["up"] != false {
		t.Errorf("servers: %v %v", rows, more)
	}
	if status, _ := r.get("/hello?key=value"); status != http.StatusOK {
		t.Errorf("a request: %d", status)
	}
	eventually(t, "the client's connection", func() bool {
		rows, more := r.rows("/api/connections")
		return len(rows) == 1 && !more && rows[0]["phase"] == "idle" && rows[0]["requests"] == 1.0
	})
	for _, path := range []string{"/metrics", "/api/farms", "/api/servers", "/api/lanes", "/api/connections"} {
		if _, body := r.seen(path); strings.Contains(body, "secret") {
			t.Errorf("%s shows a secret: %s", path, body)
		}
	}
}

// TestMetrics compares what is counted with what was done.
func TestMetrics(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") }))
	eventually(t, "lanes", func() bool { rows, _ := r.rows("/api/lanes"); return len(rows) == r.cfg.Loops })
	for range 3 {
		if status, _ := r.get("/"); status != http.StatusOK {
			t.Fatalf("a request: %d", status)
		}
	}
	if o := ask("PROPFIND", "http://"+r.addr+"/cli/iarelayserver/none/", ""); o.status != http.StatusNotFound {
		t.Errorf("a farm that there is not: %v", o)
	}
	status, text := r.seen("/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(text) {
		lines[strings.TrimSpace(line)] = true
	}
	for _, want := range []string{
		`rs_requests_total{code="200",farm="f",method="GET"} 3`,
		`rs_requests_total{code="404",farm="",method="other"} 1`,
		`rs_request_seconds_bucket{farm="f",phase="total",le="+Inf"} 3`,
		`rs_request_seconds_count{farm="f",phase="assign"} 3`,
		`rs_request_seconds_count{farm="f",phase="rtp"} 3`,
		`rs_errors_total{farm="",rse="RSE_UNKNOWN_FARM"} 1`,
		`rs_errors_total{farm="",rse="RSE_NO_BACKEND"} 0`,
		`rs_bytes_total{dir="out",farm="f"} 15`,
		`rs_affinity_total{farm="f",result="none"} 3`,
		`rs_limited_total{farm="f",reason="rate"} 0`,
		`rs_channels{farm="f",kind="http",server="s1"} 2`,
		"rs_config_generation 1",
		`rs_config_reload_total{result="failed"} 0`,
		`rs_oe_connected{farm="f",server="s1"} 1`,
		`rs_oe_connected{farm="f",server="s2"} 0`,
		`rs_backend_up{farm="f",server="s1"} 1`,
		`rs_inflight{farm="f",server="s1"} 0`,
		"rs_requests_in_flight 0",
		"rs_lanes 2",
		`rs_websockets{farm="f"} 0`,
		"rs_retries_total 0",
		"rs_buffer_bytes 0",
		"rs_dropped_log_lines_total 0",
		"rs_panics_total 0",
		"rs_connections_refused_total 0",
	} {
		if !lines[want] {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, name := range []string{"rs_up{node=", "rs_refusals_total{", "rs_clients ", "rs_connections ", "rs_connections_opened_total ",
		"rs_accept_errors_total ", "rs_socket_bytes_total{", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "rs_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestNoServerLabel: without the label server, one number stands for all servers of a farm.
func TestNoServerLabel(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Admin.ServerLabel = false })
	for _, id := range []string{"s1", "s2"} {
		startEnabler(t, r, id, startBackend(t, func(http.ResponseWriter, *http.Request) {}))
	}
	_, text := r.seen("/metrics")
	for _, want := range []string{`rs_oe_connected{farm="f"} 2`, `rs_channels{farm="f",kind="http"} 4`, `rs_inflight{farm="f"} 0`} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "server=") {
		t.Error(text)
	}
}
