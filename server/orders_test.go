package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"roundhouse/server"
	"roundhouse/server/config"
)

const adminToken = "a-token-of-the-administrator"

// orders asks with a token, unless it is empty.
func orders(t *testing.T, method, url, token, body string) (status int, text string) {
	t.Helper()
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	o := do(q)
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.status, o.body
}

// TestAdminToken: with a token, nobody without it sees more than health, at the admin listener and, where it is open, at the relay's own.
func TestAdminToken(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Admin.Token, cfg.Admin.Public = adminToken, true })
	hook := func(text []byte, dry bool) (server.Reloaded, []string, error) {
		if string(text) == "wrong" {
			return server.Reloaded{}, nil, errors.New("a mistake")
		}
		return server.Reloaded{Generation: 7}, []string{fmt.Sprintf("%d bytes, dry %v", len(text), dry)}, nil
	}
	r.server.SetHooks(server.Hooks{Configure: hook, LogTail: func(n int) (string, error) { return strings.Repeat("line\n", n), nil }})
	local, public := "http://"+r.admin, "http://"+r.addr
	long := strings.Repeat("#\n", 1<<20)
	for _, row := range []struct {
		method, url, token, body string
		status                   int
		text                     string // is in the answer
	}{
		{"GET", local + "/healthz", "", "", 200, "ok"},
		{"GET", local + "/readyz", "", "", 200, "ok"},
		{"GET", local + "/metrics", "", "", 401, "a token is asked for"},
		{"GET", local + "/metrics", adminToken, "", 200, "rs_up"},
		{"GET", local + "/admin/iarelayserver", "wrong", "", 401, ""},
		{"GET", local + "/rs16.5/admin/rs.dll", adminToken, "", 200, "Farm f"},
		{"POST", local + "/api/kick?farm=f", "", "", 401, ""},
		{"GET", public + "/admin/iarelayserver", "", "", 401, "a token is asked for"},
		{"GET", public + "/admin/iarelayserver", adminToken, "", 200, "Farm f"},
		{"GET", public + "/ias_relay_server/admin/rs_admin.dll?ias-rs-format=json", adminToken, "", 200, `"farms"`},
		{"GET", public + "/mon/iarelayserver", adminToken, "", 200, "rs_requests_total"},
		{"GET", public + "/rs17/monitor/rs.dll", adminToken, "", 200, "rs_requests_total"},
		{"GET", public + "/admin/iarelayserver/status?ias-rs-farm=f", adminToken, "", 200, `"farms"`},
		{"GET", public + "/admin/iarelayserver/status?ias-rs-farm=no", adminToken, "", 409, "no farm"},
		{"GET", public + "/admin/iarelayserver/config", adminToken, "", 200, `token = "***"`},
		{"GET", public + "/admin/iarelayserver/log?tail=3", adminToken, "", 200, "line\nline\nline\n"},
		{"GET", public + "/admin/iarelayserver/log?tail=0", adminToken, "", 400, "tail"},
		{"PUT", public + "/admin/iarelayserver/config?dry_run=1", adminToken, long, 200, "2097152 bytes, dry true"},
		{"PUT", public + "/admin/iarelayserver/config?dry_run=1", "", "x", 401, ""},
		{"PUT", public + "/admin/iarelayserver/config", adminToken, "x", 200, "generation 7\nwarning: 1 bytes, dry false"},
		{"PUT", local + "/admin/iarelayserver/config", adminToken, "wrong", 409, "a mistake"},
		{"PUT", local + "/api/config?dry_run=maybe", adminToken, "x", 400, "dry_run"},
		{"POST", public + "/admin/iarelayserver/reload?rs_config=/etc/x", adminToken, "", 400, "only from this machine"},
		{"DELETE", public + "/admin/iarelayserver/config", adminToken, "", 405, ""},
		{"GET", public + "/metrics", adminToken, "", 404, ""},
		{"GET", public + "/healthz", adminToken, "", 404, ""},
		{"GET", public + "/api/farms", adminToken, "", 404, ""},
		{"GET", public + "/admin/iarelayserverx", adminToken, "", 404, ""},
		{"GET", public + "/admin/iarelayserver/../metrics", adminToken, "", 307, ""},
	} {
		status, text := orders(t, row.method, row.url, row.token, row.body)
		if status != row.status || !strings.Contains(text, row.text) || strings.Contains(text, adminToken) {
			t.Errorf("%s %s: %d %.300s", row.method, row.url, status, text)
		}
	}
	q, err := http.NewRequest(http.MethodGet, public+"/admin/iarelayserver", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.SetBasicAuth("anybody", adminToken) // as a browser does
	if o := do(q); o.status != http.StatusOK {
		t.Errorf("by a browser: %v", o)
	}
	for length, want := range map[string]int{"4194305": http.StatusRequestEntityTooLarge, "4194304": http.StatusUnauthorized} { // neither waits for it
		status, _ := asks(t, r.addr, "PUT /admin/iarelayserver/config HTTP/1.1\r\nHost: a\r\nContent-Length: "+length+"\r\n\r\n")
		if status != want {
			t.Errorf("a body of %s bytes without a token: %d", length, status)
		}
	}
	for range 12 {
		orders(t, http.MethodGet, public+"/admin/iarelayserver", "guessed", "")
	}
	if status, _ := orders(t, http.MethodGet, public+"/admin/iarelayserver", adminToken, ""); status != http.StatusTooManyRequests {
		t.Errorf("after many wrong tokens: %d", status)
	}
}

// TestNoPublicAdmin: nothing of the administration is at the relay's own listeners unless it is asked for.
func TestNoPublicAdmin(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Admin.Token = adminToken })
	for _, path := range []string{"/admin/iarelayserver", "/mon/iarelayserver", "/rs16/admin/rs_admin.dll", "/admin/iarelayserver/config"} {
		if status, text := orders(t, http.MethodGet, "http://"+r.addr+path, adminToken, ""); status != http.StatusNotFound || !strings.Contains(text, "RSE_BAD_URL") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// TestDrainServer takes back-end servers out of service and back, over a reload and new lanes of the enabler.
func TestDrainServer(t *testing.T) {
	r := startRelay(t, nil)
	for _, id := range []string{"s1", "s2"} {
		startEnabler(t, r, id, startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, id) }))
	}
	order := func(what string, want int) string {
		t.Helper()
		status, text := orders(t, http.MethodPost, "http://"+r.admin+"/api/"+what, "", "")
		if status != want {
			t.Fatalf("%s: %d %s", what, status, text)
		}
		return text
	}
	served := func() map[string]bool {
		all := map[string]bool{}
		for range 12 {
			o := ask("GET", "http://"+r.addr+"/cli/iarelayserver/f/", "")
			all[fmt.Sprint(o.status, o.body[:min(2, len(o.body))])] = true
		}
		return all
	}
	eventually(t, "both serve", func() bool { return len(served()) == 2 })
	if text := order("drain?farm=f&server=s1", http.StatusOK); text != "1 servers\n" {
		t.Errorf("%q", text)
	}
	only := func(when string) {
		t.Helper()
		if all := served(); len(all) != 1 || !all["200s2"] {
			t.Errorf("%s: %v", when, all)
		}
	}
	only("drained")
	for _, f := range statusOf(t, "http://"+r.admin+"/admin/iarelayserver").Farms {
		if s := f.Servers; !s[0].Drained || s[1].Drained || f.Up != 1 || s[0].Detail.Draining != s[0].Detail.Lanes {
			t.Errorf("%+v", f)
		}
	}
	if _, err := r.server.Reload(r.cfg); err != nil {
		t.Fatal(err)
	}
	only("after a reload")
	order("kick?farm=f&server=s1", http.StatusOK)
	eventually(t, "new lanes", func() bool {
		rows, _ := r.rows("/api/servers")
		return rows[0]["lanes"] == 2.0 && rows[0]["drained"] == true
	})
	only("with new lanes")
	order("drain?farm=f", http.StatusOK)
	if all := served(); len(all) != 1 || all["200s2"] || all["200s1"] {
		t.Errorf("all drained: %v", all)
	}
	order("resume?farm=f", http.StatusOK)
	eventually(t, "both serve again", func() bool { all := served(); return all["200s1"] && all["200s2"] && len(all) == 2 })
	order("drain?farm=none", http.StatusConflict)
	order("drain?farm=f&server=none", http.StatusConflict)
	order("resume", http.StatusBadRequest)
}

// TestSetVerbosity changes what is logged while the server runs, and back by a reload.
func TestSetVerbosity(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(http.ResponseWriter, *http.Request) {}))
	shown := func(path, text string) bool {
		r.get(path)
		return strings.Contains(r.log.text(), text+" ") || strings.Contains(r.log.text(), text+"\n")
	}
	set := func(query string, want int) {
		t.Helper()
		if status, text := orders(t, http.MethodPut, "http://"+r.admin+"/admin/iarelayserver/verbosity?"+query, "", ""); status != want {
			t.Fatalf("%s: %d %s", query, status, text)
		}
	}
	if shown("/one", "path=/one") {
		t.Error("a request is shown at verbosity 1")
	}
	for i, query := range []string{"level=2&farm=f", "level=2&farm=f&server=s1"} {
		path := fmt.Sprintf("/set%d", i)
		set(query, http.StatusOK)
		if !shown(path, "path="+path) {
			t.Errorf("%s: a request is not shown", query)
		}
		set(strings.Replace(query, "2", "inherit", 1), http.StatusOK)
		if path += "back"; shown(path, "path="+path) {
			t.Errorf("%s: a request is shown afterwards", query)
		}
	}
	set("level=2", http.StatusOK)
	if !shown("/two", "path=/two") {
		t.Error("a request is not shown at verbosity 2")
	}
	if _, err := r.server.Reload(r.cfg); err != nil {
		t.Fatal(err)
	}
	if shown("/three", "path=/three") {
		t.Error("a request is shown after a reload")
	}
	for query, want := range map[string]int{"level=6": 400, "": 400, "level=inherit": 400, "level=1&server=s1": 400, "level=1&farm=no": 409} {
		set(query, want)
	}
}
