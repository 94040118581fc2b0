package server_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"roundhouse/server/config"
)

// sessionFarm lets the farm of the harness give out session ids.
func sessionFarm(cfg *config.Config) {
	f := &cfg.Relay.Farms[0]
	f.ActiveCookie, f.ActiveHeader, f.SocketLevelAffinity = true, true, true
}

// TestSession sticks to the connection that the first answer came by, over any of the ways that a session id can come.
func TestSession(t *testing.T) {
	r := startRelay(t, sessionFarm)
	for i := range 2 {
		id := fmt.Sprintf("s%d", i+1)
		startEnabler(t, r, id, startBackend(t, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, id, " ", q.RemoteAddr) }))
	}
	for _, way := range []string{"header", "cookie", "query"} {
		t.Run(way, func(t *testing.T) {
			for range 20 {
				first := askSession(t, r.url("/"), "", "")
				if first.cookie == "" || first.cookie != first.header {
					t.Fatalf("cookie %q, header %q", first.cookie, first.header)
				}
				for range 5 {
					next := askSession(t, r.url("/"), way, first.cookie)
					if next.body != first.body {
						t.Fatalf("first %q, then %q", first.body, next.body)
					}
					if next.cookie != "" || next.header != "" {
						t.Fatalf("a new id without need: %+v", next)
					}
				}
			}
		})
	}
}

type sessionAnswer struct {
	body, cookie, header string
	status               int
}

// askSession sends a request over a connection of its own, with a session id unless that is empty.
func askSession(t *testing.T, url, way, id string) (a sessionAnswer) {
	t.Helper()
	q, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case id == "":
	case way == "header":
		q.Header.Set("Ias-Rs-Sessionid", id)
	case way == "cookie":
		q.Header.Set("Cookie", "a=b; ias-rs-sessionid="+id+"; c=d")
	default:
		q.URL.RawQuery = "x=1&ias-rs-sessionid=" + id
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a.body, a.status = string(body), resp.StatusCode
	a.header = resp.Header.Get("Ias-Rs-Sessionid")
	for _, c := range resp.Cookies() {
		if c.Name == "ias-rs-sessionid" {
			a.cookie = c.Value
		}
	}
	return a
}
