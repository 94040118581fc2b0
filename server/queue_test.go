package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestQueue has requests wait for a back-end server that comes later, one with a body, one with a body in chunks, one for an upgrade.
func TestQueue(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Farms[0].QueueTimeout = patience })
	outcomes := make(chan outcome, 3)
	go func() { outcomes <- ask("GET", r.url("/"), "") }() // these end when the server has come
	go func() { outcomes <- ask("POST", r.url("/"), strings.Repeat("body", 10_000)) }()
	go func() {
		q, _ := http.NewRequest("PUT", r.url("/"), io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks")))
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q)
		if err != nil {
			outcomes <- outcome{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		outcomes <- outcome{resp.StatusCode, string(b), err}
	}()
	eventually(t, "they wait", func() bool { return r.server.TotalsForTest().InFlight == 3 })
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		fmt.Fprint(w, q.Method, " ", len(b))
	}))
	got := map[string]bool{}
	for range 3 {
		o := <-outcomes
		if o.status != 200 || o.err != nil {
			t.Error(o)
		}
		got[o.body] = true
	}
	for _, want := range []string{"GET 0", "POST 40000", "PUT 9"} {
		if !got[want] {
			t.Errorf("%q is missing in %v", want, got)
		}
	}
}

// TestQueueTimeout: who waits longer than the farm's queue_timeout gets 503, and the connection stays.
func TestQueueTimeout(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Farms[0].QueueTimeout = 50 * time.Millisecond })
	c := r.client()
	for range 2 {
		c.send("GET /cli/iarelayserver/f/ HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, _ := c.answer("GET"); resp.StatusCode != 503 || resp.Header.Get("Ias-Rs-Error") != "1101" || resp.Close {
			t.Error(resp)
		}
	}
}

// TestAddresses reaches a farm in every way that there is.
func TestAddresses(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) {
		f := &cfg.Relay.Farms[0]
		f.Hosts, f.ActiveCookie = []string{"app.example.com", "2001:DB8::0:1"}, true
	})
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RequestURI) }))
	for _, row := range []struct{ host, farm, path, want, cookie string }{
		{"", "", "/cli/iarelayserver/f/a/b?x=%41&y", "/a/b?x=%41&y", "/cli/iarelayserver/f"},
		{"", "", "/cli/iarelayserver/f", "/", "/cli/iarelayserver/f"},
		{"", "", "/cli/iarelayserver/f?q", "/?q", "/cli/iarelayserver/f"},
		{"", "", "/cli/iarelayserver/%66/a%2Fb", "/a%2Fb", "/cli/iarelayserver/%66"},
		{"", "", "/ias_relay_server/client/rs_client.dll/f/a", "/a", "/ias_relay_server/client/rs_client.dll/f"},
		{"", "", "/rs16/client/rs_client.dll/f/a", "/a", "/rs16/client/rs_client.dll/f"},
		{"", "", "/rs16.5/client/rs.dll/f/a", "/a", "/rs16.5/client/rs.dll/f"},
		{"", "", "/rs17/client/rs.dll/f/a", "/a", "/rs17/client/rs.dll/f"},
		{"app.example.com", "", "/a?b", "/a?b", "/"},
		{"App.Example.COM:8080", "", "/", "/", "/"},
		{"app.example.com", "", "/cli/iarelayserver/f/a", "/a", "/cli/iarelayserver/f"},
		{"other", "f", "/a", "/a", "/"},
		{"app.example.com.", "", "/a", "/a", "/"},
		{"app.example.com.:80", "", "/a", "/a", "/"},
		{"[2001:db8::1]", "", "/a", "/a", "/"},
		{"[2001:DB8::1]:8080", "", "/a", "/a", "/"},
		{"[2001:db8::2]", "", "/a", "", ""},
		{"", "", "/CLI/IARelayServer/f/A", "/A", "/CLI/IARelayServer/f"},
		{"", "", "/Ias_Relay_Server/Client/RS_CLIENT.dll/f/a", "/a", "/Ias_Relay_Server/Client/RS_CLIENT.dll/f"},
		{"other", "f,f", "/a", "", ""},
		{"other", "", "/cli/iarelayserver//f/a", "", ""},
		{"other", "", "//cli/iarelayserver/f/a", "", ""},
		{"other", "", "/cli/iasrelayserver/f/a", "", ""},
		{"app.example.com", "g", "/a", "", ""},
		{"other", "", "/a", "", ""},
		{"other", "", "/cli/iarelayserverx/f/a", "", ""},
		{"other", "", "/cli/iarelayserver/F/a", "", ""},
	} {
		q, err := http.NewRequest("GET", "http://"+r.addr+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.host != "" {
			q.Host = row.host
		}
		if row.farm != "" {
			q.Header["Ias-Rs-Farm"] = strings.Split(row.farm, ",")
		}
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			t.Fatal(err)
		case row.want == "":
			if resp.StatusCode != 404 {
				t.Errorf("%+v: %s", row, resp.Status)
			}
			continue
		case resp.StatusCode != 200 || string(b) != row.want:
			t.Errorf("%+v: %s %q", row, resp.Status, b)
		}
		if cookies := resp.Cookies(); len(cookies) != 1 || cookies[0].Path != row.cookie || !cookies[0].HttpOnly || cookies[0].Secure {
			t.Errorf("%+v: cookies %v", row, cookies)
		}
	}
}
