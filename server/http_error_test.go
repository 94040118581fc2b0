package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// errorFarms has a farm that is disabled, one without a server, and one with an odd name.
func errorFarms(cfg *config.Config) {
	for _, id := range []string{"off", "empty", "a/b c%"} {
		f := config.DefaultFarm()
		f.ID, f.Enable = id, id != "off"
		b := config.DefaultBackend()
		b.Farm, b.ID, b.Token = id, "s1", "secret"
		cfg.Relay.Farms, cfg.Relay.Backends = append(cfg.Relay.Farms, f), append(cfg.Relay.Backends, b)
	}
}

var errorRows = []struct {
	name, in   string
	status     int
	code, text string // Ias-Rs-Error, and a part of the body
	kept       bool
}{
	{"no farm", "DELETE /cli/iarelayserver HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"no farm, but a slash", "DELETE /cli/iarelayserver/ HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"no farm, but a query", "DELETE /cli/iarelayserver?a HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"bad URL", "GET /favicon.ico HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"root", "GET / HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"asterisk", "OPTIONS * HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"longer prefix", "GET /cli/iarelayserverx/f HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"escaped prefix", "GET /cli/%69arelayserver/f HTTP/1.1|Host: h||", 404, "1001", "names no farm", true},
	{"unknown farm", "GET /cli/iarelayserver/g HTTP/1.1|Host: h||", 404, "1002", "no farm of this name", true},
	{"farm in another case", "GET /cli/iarelayserver/F HTTP/1.1|Host: h||", 404, "1002", "no farm of this name", true},
	{"escaped NUL", "GET /cli/iarelayserver/f%00 HTTP/1.1|Host: h||", 404, "1002", "no farm of this name", true},
	{"disabled farm", "GET /cli/iarelayserver/off/x HTTP/1.1|Host: h||", 503, "1003", "disabled", true},
	{"no server", "GET /cli/iarelayserver/empty/x HTTP/1.1|Host: h||", 503, "1101", "No back-end server", true},
	{"no server, odd name", "GET /cli/iarelayserver/a%2Fb%20c%25 HTTP/1.1|Host: h||", 503, "1101", "No back-end server", true},
	{"no server, HTTP/1.0", "GET /cli/iarelayserver/empty HTTP/1.0||", 503, "1101", "No back-end server", false},
	{"no server, HTTP/1.0, kept", "GET /cli/iarelayserver/empty HTTP/1.0|Connection: keep-alive||", 503, "1101", "No back-end server", true},
	{"no server, body", "POST /cli/iarelayserver/empty HTTP/1.1|Host: h|Content-Length: 1||x", 503, "1101", "No back-end server", false},
	{"no server, upgrade", "GET /cli/iarelayserver/empty HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket|" + webSocketKey + "|", 503, "1101", "No back-end server", false},
	{"server side", "DELETE /srv/iarelayserver HTTP/1.1|Host: h||", 400, "2008", "Ias-Rs-Op is missing", true},
	{"enabler elsewhere", "POST /nope HTTP/1.1|Host: h|Ias-Rs-Op: peers|Ias-Rs-Farm: f||", 404, "1001", "url_suffix is wrong", true},
	{"head too large", "GET $F/ HTTP/1.1|Host: h|A: " + strings.Repeat("a", 33000) + "||", 431, "1302", "too large", false},
	{"line too long", "GET $F/" + strings.Repeat("a", 9000) + " HTTP/1.1|Host: h||", 414, "1006", "too long", false},
	{"method", "TRACE $F/ HTTP/1.1|Host: h||", 405, "1006", "not relayed", false},
}

// TestHTTPErrors checks every answer that the relay makes itself, in all its forms.
func TestHTTPErrors(t *testing.T) {
	r := startRelay(t, errorFarms)
	for _, row := range errorRows {
		for accept, kind := range map[string]string{"": "text/plain; charset=utf-8", "text/html,*/*;q=0.8": "text/html; charset=utf-8", "application/json": "application/json"} {
			in := row.in
			if accept != "" {
				in = strings.Replace(in, "||", "|Accept: "+accept+"||", 1)
			}
			c := r.client()
			c.send(in)
			resp, body := c.expect(row.status)
			if row.status == 414 || row.status == 431 || row.status == 405 { // refused before Accept was read
				kind = "text/plain; charset=utf-8"
			}
			h := resp.Header
			if h.Get("Ias-Rs-Error") != row.code || h.Get("Content-Type") != kind || resp.Close == row.kept || !strings.Contains(body, row.text) || len(body) > 400 {
				t.Errorf("%s, accepting %q: close %v %v %q", row.name, accept, resp.Close, h, body)
			}
			if at, err := time.Parse(http.TimeFormat, h.Get("Date")); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("%s: Date %q", row.name, h.Get("Date"))
			}
			if (h.Get("Retry-After") != "") != (row.status == 503) || (h.Get("Allow") != "") != (row.status == 405) {
				t.Errorf("%s: %v", row.name, h)
			}
			if kind == "application/json" {
				checkJSONError(t, body, row.code)
			}
			if !row.kept {
				c.ends()
			}
		}
		if !r.log.has(row.text) {
			t.Errorf("%s: not in the log", row.name)
		}
	}
	c := r.client()
	c.send("HEAD /nothing HTTP/1.1|Host: h||GET / HTTP/1.1|Host: h||")
	if resp, body := c.answer("HEAD"); resp.StatusCode != 404 || body != "" || resp.ContentLength <= 0 {
		t.Errorf("HEAD: %v %q", resp, body)
	}
	c.expect(404)
}

func checkJSONError(t *testing.T, body, code string) {
	t.Helper()
	var e struct {
		Error, Text string
		Code        int
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || fmt.Sprint(e.Code) != code || !strings.HasPrefix(e.Error, "RSE_") || e.Text == "" {
		t.Errorf("%v: %s", err, body)
	}
}

// TestHTTPExchangeErrors checks failures of a request that had come to a lane.
func TestHTTPExchangeErrors(t *testing.T) {
	r := startScript(t, nil, func(c *rawConn) {
		if _, _, err := c.message(); err == nil {
			c.write("HTTP/1.1 nonsense||")
		}
	})
	for accept, want := range map[string]string{"*/*": "RSE_BAD_RESPONSE: ", "application/json": `{"error":"RSE_BAD_RESPONSE","code":1106,`, "text/html": "<h1>502 Bad Gateway</h1>"} {
		c := r.client()
		c.send("GET $F/some/path?q HTTP/1.1|Host: h|a: text/html|accept:" + accept + "||")
		if _, body := c.expect(502); !strings.Contains(body, want) {
			t.Errorf("%s: %q", accept, body)
		}
	}
	if !r.log.has("error=RSE_BAD_RESPONSE") || !r.log.has("path=/some/path ") { // without the query, which may hold secrets
		t.Error(r.log.text())
	}
}

// TestHTTPRoutes checks what becomes of the URL, under every prefix.
func TestHTTPRoutes(t *testing.T) {
	r := startRelay(t, func(cfg *config.Config) { errorFarms(cfg); cfg.Loops = 1 })
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RequestURI) }))
	for _, prefix := range config.Default().Relay.ClientPrefixes {
		for in, want := range map[string]string{
			"/f": "/", "/f/": "/", "/f?a=b": "/?a=b", "/f/?": "/?", "/f/x": "/x", "/f/x/y?z": "/x/y?z", "/%66/x": "/x", "/f//x": "//x",
			"/f/%2F": "/%2F", "/f/../g": "/../g", "/f/f": "/f", "/f/x?/cli/iarelayserver/g": "/x?/cli/iarelayserver/g",
		} {
			c := r.client()
			c.send("GET " + prefix + in + " HTTP/1.1|Host: h||")
			if _, body := c.expect(200); body != want {
				t.Errorf("%s%s became %s, want %s", prefix, in, body, want)
			}
		}
	}
}

// TestHTTPAccessLog checks the line of each kind of request.
func TestHTTPAccessLog(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "access")
	r := startScript(t, func(cfg *config.Config) { cfg.Relay.AccessLog = file }, func(c *rawConn) {
		for {
			head, _, err := c.message()
			if err != nil {
				return
			}
			if strings.Contains(head, "/hold") {
				_, _ = c.r.Peek(1) // until the connection ends
				return
			}
			c.reply("hello")
		}
	})
	for _, in := range []string{"GET $F/a?b HTTP/1.1|Host: h||", "POST $F/ HTTP/1.1|Host: h|Content-Length: 3||abc", "GET $F/\"\\ HTTP/1.1|Host: h||", "GET /x\"y HTTP/1.1|Host: h||", "GET /\t HTTP/1.1||"} {
		c := r.client()
		c.send(in)
		c.answer("GET")
	}
	c := r.client()
	c.send("GET $F/hold HTTP/1.1|Host: h||")
	eventually(t, "a request in flight", func() bool { return r.server.TotalsForTest().InFlight == 1 })
	_ = c.SetLinger(0) // a reset: an orderly end could be that of the client's side only
	c.Close()
	eventually(t, "none", func() bool { return r.server.TotalsForTest().InFlight == 0 })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `"GET /a\?b" 200 in=0 out=5 us=\d+ farm=f server=s1 conn=N
"POST /" 200 in=3 out=5 us=\d+ farm=f server=s1 conn=N
"GET /\\x22\\x5C" 200 in=0 out=5 us=\d+ farm=f server=s1 conn=N
"GET /x\\x22y" 404 in=0 out=0 us=0 farm=- server=- conn=N error=RSE_BAD_URL
"" 400 in=0 out=0 us=0 farm=- server=- conn=N error=RSE_BAD_REQUEST
"GET /hold" 499 in=0 out=0 us=\d+ farm=f server=s1 conn=N error=RSE_CLIENT_GONE
`
	want = `^(` + strings.ReplaceAll(strings.ReplaceAll(want, `conn=N`, `conn=\d+`), "\n\"", "\n"+`\S+Z 127\.0\.0\.1 "`)
	want = strings.Replace(want, `^("`, `^(\d{4}-\d\d-\d\dT\S+Z 127\.0\.0\.1 "`, 1) + `)$`
	if !regexp.MustCompile(want).Match(b) {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}
