package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

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

// TestAdminShowsTheFarm looks at a farm through the admin listener before and after its only enabler comes.
func TestAdminShowsTheFarm(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
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
	for _, path := range []string{"/api/farms", "/api/servers", "/api/lanes", "/api/connections"} {
		if _, body := r.seen(path); strings.Contains(body, "secret") {
			t.Errorf("%s shows a secret: %s", path, body)
		}
	}
}
