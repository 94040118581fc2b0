package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roundhouse/server/config"
)

// start serves sources on a free port until the end of the test, after which no goroutine may be left.
func start(t *testing.T, sources Sources) *Server {
	t.Helper()
	before := goleak.IgnoreCurrent()
	s, err := New(config.Admin{Listen: "127.0.0.1:0"}, slog.New(slog.NewTextHandler(t.Output(), nil)), sources)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(time.Minute); goleak.Find(before) != nil && time.Now().Before(end); { // which itself waits half a second
		}
		goleak.VerifyNone(t, before)
	})
	return s
}

// ask sends a request on a connection of its own.
func ask(t *testing.T, s *Server, method, path string) (status int, head http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func wantAnswer(t *testing.T, s *Server, path string, status int, body string) {
	t.Helper()
	if gotStatus, _, got := ask(t, s, "GET", path); gotStatus != status || got != body {
		t.Errorf("GET %s: %d %q, want %d %q", path, gotStatus, got, status, body)
	}
}

func TestHealth(t *testing.T) {
	s := start(t, Sources{Ready: func(farm string) []string {
		if farm == "down" {
			return []string{"no server", "no lane"}
		}
		return nil
	}})
	wantAnswer(t, s, "/healthz", 200, "ok\n")
	wantAnswer(t, s, "/readyz", 503, "starting\n")
	s.Ready(true)
	wantAnswer(t, s, "/readyz", 200, "ok\n")
	wantAnswer(t, s, "/readyz?farm=up", 200, "ok\n")
	wantAnswer(t, s, "/readyz?farm=down", 503, "no server\nno lane\n")
	s.Ready(false)
	wantAnswer(t, s, "/readyz", 503, "draining\n")
	wantAnswer(t, s, "/readyz?farm=down", 503, "draining\nno server\nno lane\n")
	wantAnswer(t, s, "/healthz", 200, "ok\n")
}

// TestIndex follows every line of the index.
func TestIndex(t *testing.T) {
	rows := func(int) (any, bool) { return []int{}, false }
	s := start(t, Sources{Tables: []Table{{Name: "farms", About: "all farms", Rows: rows}, {Name: "lanes", Rows: rows}}})
	s.Ready(true)
	status, _, body := ask(t, s, "GET", "/")
	if status != 200 {
		t.Fatalf("GET /: %d", status)
	}
	paths := map[string]bool{}
	for line := range strings.Lines(body) {
		path := strings.Fields(line)[0]
		paths[path] = true
		if status, _, _ := ask(t, s, "GET", path); status != 200 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/farms", "/api/lanes", "/debug/pprof/"} {
		if !paths[path] {
			t.Errorf("the index lacks %s", path)
		}
	}
	for path, want := range map[string]int{"/nothing": 404, "/api/": 404, "/debug/pprof/cmdline": 200, "/debug/pprof/goroutine?debug=1": 200} {
		if status, _, _ := ask(t, s, "GET", path); status != want {
			t.Errorf("GET %s: %d, want %d", path, status, want)
		}
	}
	for method, want := range map[string]int{"HEAD": 200, "POST": 405, "DELETE": 405} {
		if status, _, _ := ask(t, s, method, "/healthz"); status != want {
			t.Errorf("%s /healthz: %d, want %d", method, status, want)
		}
	}
}

func TestTables(t *testing.T) {
	type row struct {
		ID int `json:"id"`
	}
	s := start(t, Sources{Tables: []Table{
		{Name: "some", Limit: 2, Rows: func(limit int) (any, bool) {
			rows := []row{{1}, {2}, {3}}
			if limit > 0 && limit < len(rows) {
				return rows[:limit], true
			}
			return rows, false
		}},
		{Name: "broken", Rows: func(int) (any, bool) { return func() {}, false }},
	}})
	for path, want := range map[string]struct {
		n    int
		more bool
	}{"": {2, true}, "?limit=1": {1, true}, "?limit=3": {3, false}, "?limit=0": {3, false}, "?limit=": {2, true}} {
		status, head, body := ask(t, s, "GET", "/api/some"+path)
		var got struct {
			Rows []row
			More bool
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if status != 200 || head.Get("Content-Type") != "application/json" || len(got.Rows) != want.n || got.More != want.more {
			t.Errorf("%q: %d %q %s, want %d rows, more %v", path, status, head.Get("Content-Type"), body, want.n, want.more)
		}
	}
	for _, limit := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		wantAnswer(t, s, "/api/some?limit="+limit, 400, "limit is not a number of rows\n")
	}
	wantAnswer(t, s, "/api/broken", 500, "the table cannot be shown\n")
}

// TestNoListener uses a server that has no address.
func TestNoListener(t *testing.T) {
	s, err := New(config.Admin{}, slog.New(slog.DiscardHandler), Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Addr(); a != nil {
		t.Errorf("Addr = %v", a)
	}
	s.Ready(true)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListenerThatIsTaken(t *testing.T) {
	s := start(t, Sources{})
	if _, err := New(config.Admin{Listen: s.Addr().String()}, slog.New(slog.DiscardHandler), Sources{}); err == nil {
		t.Error("no error")
	}
}

// TestWarning looks for the warning that everybody can see everything.
func TestWarning(t *testing.T) {
	for listen, want := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true} {
		var text bytes.Buffer
		s, err := New(config.Admin{Listen: listen}, slog.New(slog.NewTextHandler(&text, nil)), Sources{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(text.String(), "not on loopback"); got != want {
			t.Errorf("%s: warned %v: %s", listen, got, text.String())
		}
	}
}

// TestCloseCutsAnswers closes while an answer is being made that ends with its request only.
func TestCloseCutsAnswers(t *testing.T) {
	s := start(t, Sources{})
	done := make(chan error, 1)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr().String()+"/debug/pprof/trace?seconds=25", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req) // returns with the head: the trace has begun
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the answer; the test waits for it
		_, err := io.Copy(io.Discard, resp.Body)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the trace came to its end")
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}
