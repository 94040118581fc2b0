package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestSessionIDForms has the id in cookies as clients and frameworks write them.
func TestSessionIDForms(t *testing.T) {
	r := startRelay(t, sessionFarm)
	startEnabler(t, r, "s1", startPorts(t))
	first := askSession(t, r.url("/"), "", "")
	id, other := first.cookie, askSession(t, r.url("/"), "", "").cookie
	const name = "ias-rs-sessionid="
	for _, row := range []struct {
		fields string
		kept   bool
	}{
		{"Cookie: " + name + id, true},
		{"Cookie: a=b;" + name + id + ";c=d", true},
		{"Cookie: a=b;\t" + name + id + "\t;c=d", true},
		{"Cookie: " + name + `"` + id + `"; a=b`, true},
		{"Cookie: a=b|Cookie: " + name + id, true},
		{"Cookie: " + name + "; " + name + "old; " + name + id, true},
		{"Cookie: " + strings.Repeat(name+"old; ", 7) + name + id, true},
		{"Cookie: " + strings.Repeat(name+"old; ", 8) + name + id, false},
		{"Cookie: " + name + id + "; " + name + other, true},
		{"Ias-Rs-Sessionid: |Cookie: " + name + id, true},
		{"ias-rs-sessionid: " + id + "|Cookie: " + name + other, true},
		{"Ias-Rs-Sessionid: old|Cookie: " + name + id, false},
		{"Cookie: x" + name + id, false},
		{"Cookie: " + strings.ToUpper(name) + id, false},
		{"Cookie: " + name + id[1:], false},
		{"Cookie: " + name + id + "x", false},
		{"Cookie: " + name + `"` + id, false},
	} {
		c := r.client()
		c.send("GET $F/ HTTP/1.1|Host: h|Connection: close|" + row.fields + "||")
		resp, body := c.answer("GET")
		if kept := body == first.body; resp.StatusCode != 200 || kept != row.kept || kept != (resp.Header.Get("Ias-Rs-Sessionid") == "") {
			t.Errorf("%s: status %d, connection kept %v, new id %q", row.fields, resp.StatusCode, kept, resp.Header.Get("Ias-Rs-Sessionid"))
		}
	}
}

// TestSessionIDNotLogged has ids in a cookie, a field and the query of requests that are answered and of those that fail.
func TestSessionIDNotLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	r := startRelay(t, func(cfg *config.Config) {
		sessionFarm(cfg)
		cfg.Relay.AccessLog = file
		cfg.Relay.Farms[0].Limits.MaxRequestBody = 1
	})
	e := startEnabler(t, r, "s1", startPorts(t))
	id := askSession(t, r.url("/"), "", "").cookie
	e.stop(t)
	eventually(t, "its lanes are gone", func() bool { return r.server.TotalsForTest().Lanes == 0 })
	for _, way := range []string{"cookie", "header", "query"} {
		askSession(t, r.url("/"), way, id) // no enabler is there
	}
	c := r.client()
	c.send("POST $F/?ias-rs-sessionid=" + id + "&a=b HTTP/1.1|Host: h|Content-Length: 2||")
	c.expect(413)
	_ = r.stop()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	records := string(b)
	if !strings.Contains(records, `/?ias-rs-sessionid=-&a=b" 413`) || !strings.Contains(records, `/?x=1&ias-rs-sessionid=-" `) {
		t.Errorf("records:\n%s", records)
	}
	if secret := id[len(id)-10:]; strings.Contains(records+r.log.text(), secret) {
		t.Errorf("the id is in a log:\n%s%s", records, r.log.text())
	}
}

// TestSessionEventStream has events come for ever in a session: its other requests do not wait for them, nor lose the session.
func TestSessionEventStream(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	r := startRelay(t, sessionFarm)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if kind := q.URL.Query().Get("kind"); kind != "" {
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, q.RemoteAddr, "\n")
			w.(http.Flusher).Flush()
			select {
			case <-stop:
			case <-time.After(patience):
			}
			return
		}
		fmt.Fprint(w, q.RemoteAddr, "\n")
	}))
	defer close(stop)
	for kind, least := range map[string]time.Duration{"Text/Event-Stream;charset=utf-8": 0, "text/plain": 5 * time.Second} {
		v := newVisitor(t)
		_, first := v.get(r.url("/"))
		resp, err := v.c.Get(r.url("/?kind=" + url.QueryEscape(kind)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != first {
			t.Errorf("%s came by %q, %v; want %q", kind, line, err, first)
		}
		began := time.Now()
		_, second := v.get(r.url("/"))
		if took := time.Since(began); took < least-time.Second/2 || least == 0 && took > 4*time.Second {
			t.Errorf("%s: the next request took %v", kind, took)
		}
		for range 3 {
			if status, next := v.get(r.url("/")); status != 200 || next != second || next == first {
				t.Errorf("%s: status %d, connection %q; before it %q, and %q first", kind, status, next, second, first)
			}
		}
	}
}
