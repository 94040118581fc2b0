package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/statuspage"
)

// page asks for a status page.
func page(t *testing.T, method, url string) (resp *http.Response, text string) {
	t.Helper()
	q, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// statusOf asks for a status page as JSON.
func statusOf(t *testing.T, url string) (report statuspage.Report) {
	t.Helper()
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	resp, text := page(t, http.MethodGet, url+sep+"ias-rs-format=json")
	if err := json.Unmarshal([]byte(text), &report); err != nil || resp.Header.Get("Content-Type") != statuspage.JSONType {
		t.Fatalf("%s: %v: %s", url, err, text)
	}
	return report
}

// TestAcceptance12 looks at the status pages of clients, of back-end administrators and of the relay's administrator, before and after the
// only enabler of a farm comes.
func TestAcceptance12(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.Status.Public, cfg.Relay.Status.Refresh = true, 7*time.Second
		cfg.Relay.Farms[0].Description = "<b>ask</b> mailto:help@a.example"
		cfg.Relay.Description = "the hall"
		cfg.Relay.Backends[2].MAC = []string{"01-23-45-67-89-ab"}
		other := config.DefaultFarm()
		other.ID = "empty"
		cfg.Relay.Farms = append(cfg.Relay.Farms, other)
	})
	client, backend := "http://"+r.addr+"/cli/iarelayserver", "http://"+r.addr+"/srv/iarelayserver"
	admin := "http://" + r.admin + "/admin/iarelayserver"
	for _, url := range []string{client, client + "/", backend, admin, client + "?ias-rs-farm=f", backend + "?ias-rs-farm=f&ias-rs-server=s1"} {
		resp, text := page(t, http.MethodGet, url)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != statuspage.HTMLType || resp.Header.Get("Cache-Control") != "no-store" ||
			resp.Header.Get("Content-Security-Policy") == "" || !strings.Contains(text, "unavailable") || !strings.Contains(text, `content="7"`) {
			t.Errorf("%s: %v\n%s", url, resp, text)
		}
		if strings.Contains(text, "<b>") || strings.Contains(text, "secret") || strings.Contains(text, "empty</a>") != (url == client || url == client+"/" || url == backend) {
			t.Errorf("%s:\n%s", url, text)
		}
	}
	if resp, text := page(t, http.MethodGet, client+"?ias-rs-probe=1"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("probe: %v\n%s", resp, text)
	}
	if o := ask("POST", client, "x"); o.status != http.StatusNotFound {
		t.Errorf("POST on the bare prefix: %v", o)
	}
	if o := ask("GET", client+"/%zz", ""); o.status == http.StatusOK {
		t.Errorf("a farm that cannot be read: %v", o)
	}

	e := startEnabler(t, r, "s1", startBackend(t, func(http.ResponseWriter, *http.Request) {}))
	eventually(t, "the farm is there", func() bool {
		return statusOf(t, client+"?ias-rs-farm=f").State == statuspage.Degraded // s2 and s3 are not
	})
	for query, state := range map[string]string{
		"": statuspage.Degraded, "?ias-rs-farm=empty": statuspage.Unavailable,
		"?ias-rs-farm=f&ias-rs-server=s1": statuspage.Available, "?ias-rs-farm=f&ias-rs-server=s2": statuspage.Unavailable,
	} {
		for _, url := range []string{client, backend, admin} {
			if got := statusOf(t, url+query).State; got != state {
				t.Errorf("%s: %s, want %s", url+query, got, state)
			}
		}
	}
	if resp, _ := page(t, http.MethodGet, client+"?ias-rs-farm=f&ias-rs-server=s1&ias-rs-probe=1"); resp.StatusCode != http.StatusOK {
		t.Errorf("probe: %v", resp)
	}
	if resp, _ := page(t, http.MethodGet, client+"?ias-rs-farm=none"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a farm that there is not: %v", resp)
	}
	if resp, text := page(t, http.MethodHead, client); resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 || text != "" {
		t.Errorf("HEAD: %v %q", resp, text)
	}
	if _, text := page(t, http.MethodGet, client+"?ias-rs-status-refresh-sec=3"); !strings.Contains(text, `content="3"`) {
		t.Errorf("refresh:\n%s", text)
	}
	if _, text := page(t, http.MethodGet, client+"?ias-rs-status-refresh-sec=0"); strings.Contains(text, `http-equiv`) {
		t.Errorf("no refresh:\n%s", text)
	}
	if status, _ := r.get("/"); status != http.StatusOK {
		t.Errorf("a request: %d", status)
	}
	full := statusOf(t, admin)
	if len(full.Farms) != 2 || len(full.Farms[0].Servers) != 3 || full.Generation != 1 || full.Since.IsZero() || len(full.Counts) == 0 {
		t.Fatalf("admin: %+v", full)
	}
	d := full.Farms[0].Servers[0].Detail
	if d == nil || !d.Token || d.Version == "" || d.Lanes != 2 || len(d.Remote) != 1 || len(full.Farms[0].Servers[2].Detail.MACs) != 1 || full.Farms[0].Counts[0].Value != 1 {
		t.Errorf("admin: %+v, %+v", d, full.Farms[0].Counts)
	}

	before := full.Farms[0].Servers[0].Since
	if o := ask("POST", "http://"+r.admin+"/api/kick?farm=f&server=s1", ""); o.status != http.StatusOK || o.body != "2 lanes\n" {
		t.Errorf("kick: %v", o)
	}
	eventually(t, "new lanes", func() bool {
		d := statusOf(t, admin).Farms[0].Servers[0]
		return d.Detail.Lanes == 2 && d.Detail.Draining == 0 && !d.Since.Before(before)
	})
	if status, _ := r.get("/"); status != http.StatusOK {
		t.Errorf("a request after a kick: %d", status)
	}
	for query, status := range map[string]int{"": http.StatusBadRequest, "?farm=none": http.StatusConflict} {
		if o := ask("POST", "http://"+r.admin+"/api/kick"+query, ""); o.status != status {
			t.Errorf("kick %q: %v, want %d", query, o, status)
		}
	}
	e.stop(t)
	runEnabler(t, r, "s2", "127.0.0.1:1", "wrong")
	eventually(t, "what went wrong", func() bool {
		f := statusOf(t, backend+"?ias-rs-farm=f&ias-rs-server=s2").Farms
		return len(f) == 1 && strings.Contains(f[0].Servers[0].LastError, "RSE_OE_UNAUTHORIZED") && !f[0].Servers[0].LastErrorAt.IsZero()
	})
	if text := fmt.Sprint(statusOf(t, client+"?ias-rs-farm=f&ias-rs-server=s2")); strings.Contains(text, "RSE_OE") {
		t.Errorf("a client sees what went wrong: %s", text)
	}
	for _, path := range []string{"/ias_relay_server/monitor/rs_monitor.dll", "/rs16/monitor/rs_monitor.dll", "/rs16.5/monitor/rs.dll", "/rs17/monitor/rs.dll"} {
		if _, text := page(t, http.MethodGet, "http://"+r.admin+path); !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", path, text)
		}
	}
	for _, path := range []string{"/ias_relay_server/admin/rs_admin.dll", "/rs16/admin/rs_admin.dll", "/rs16.5/admin/rs.dll", "/rs17/admin/rs.dll"} {
		if _, text := page(t, http.MethodGet, "http://"+r.admin+path+"?ias-rs-format=json"); !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", path, text)
		}
	}
	if _, text := page(t, http.MethodGet, "http://"+r.admin+"/mon/iarelayserver"); !json.Valid([]byte(text)) ||
		!strings.Contains(text, `"rs_requests_total":[`) || !strings.Contains(text, `"rs_config_generation":[{"value":1}]`) {
		t.Errorf("the numbers: %s", text)
	}
}

// TestStatusPagesHideNames: without relay.status.public a client learns whether what it asks for is available, and no name.
func TestStatusPagesHideNames(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		cfg.Relay.Farms[0].ID, cfg.Relay.Farms[0].Description = "hidden-farm", "hidden-text"
		for i := range cfg.Relay.Backends {
			cfg.Relay.Backends[i].Farm = "hidden-farm"
		}
	})
	client := "http://" + r.addr + "/cli/iarelayserver"
	for _, query := range []string{"", "?ias-rs-farm=hidden-farm", "?ias-rs-farm=none", "?ias-rs-farm=hidden-farm&ias-rs-server=s1"} {
		resp, text := page(t, http.MethodGet, client+query)
		if resp.StatusCode != http.StatusOK || strings.Contains(text, "hidden") || strings.Contains(text, "s1") || !strings.Contains(text, "unavailable") {
			t.Errorf("%q: %v\n%s", query, resp.Status, text)
		}
	}
	if _, text := page(t, http.MethodGet, "http://"+r.addr+"/srv/iarelayserver"); !strings.Contains(text, "hidden-farm") {
		t.Errorf("for administrators of back ends:\n%s", text)
	}
}

// TestManyStatusPages asks for many pages at a time, some of which leave before they have one, and for several on one connection.
func TestManyStatusPages(t *testing.T) {
	r := startRelay(t, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 10 {
				o := ask("GET", "http://"+r.addr+"/cli/iarelayserver", "")
				if o.err != nil || o.status != http.StatusOK && o.status != http.StatusServiceUnavailable {
					t.Error(o)
				}
			}
		})
		all.Go(func() {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Error(err)
				return
			}
			write(t, c, "GET /cli/iarelayserver HTTP/1.1\r\nHost: a\r\n\r\n")
			_ = c.Close()
		})
	}
	all.Wait()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write(t, c, strings.Repeat("GET /cli/iarelayserver?ias-rs-format=json HTTP/1.1\r\nHost: a\r\n\r\n", 3)+"GET /cli/iarelayserver/none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if text := string(b); err != nil || strings.Count(text, "HTTP/1.1 200 OK") != 3 || !strings.Contains(text, "RSE_UNKNOWN_FARM") {
		t.Errorf("%v: %s", err, text)
	}
	eventually(t, "nothing is left", func() bool { n := r.server.TotalsForTest(); return n.Clients == 0 && n.InFlight == 0 })
}
