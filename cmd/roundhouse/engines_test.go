package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roundhouse/cmd/process"
)

// adminOf is an admin listener with one engine and one queue, which does what it is asked to.
func adminOf(t *testing.T) (addr string) {
	t.Helper()
	mux := http.NewServeMux()
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) } // the test sees it
	}
	mux.HandleFunc("GET /api/engines", text(`{"rows": [{"engine": "E0001", "class": "pooled", "state": "active", "application": "A\u001b[2J", "user": "u", "mode": 0,
		"client": "127.0.0.1:9", "started": "2026-01-02T03:04:05Z", "requests": 7, "busy_seconds": 1.25, "pid": 4711, "resident_bytes": 10485760, "new": 1}], "more": false}`))
	mux.HandleFunc("GET /api/queues", text(`{"rows": [{"application": "A", "user": "u", "waiting": 3, "oldest_seconds": 0.5, "paused": true}], "more": false}`))
	mux.HandleFunc("POST /api/engines/{action}", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("engine") == "E9999" {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte("there is no engine E9999\n")) // the test sees it
			return
		}
		_, _ = w.Write([]byte(r.PathValue("action") + " " + r.Form.Encode() + "\n")) // the test sees it
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func runEngines(t *testing.T, args string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(strings.Fields(args), nil, &o, &e)
	return code, o.String(), e.String()
}

func TestEnginesTable(t *testing.T) {
	addr := adminOf(t)
	code, out, errOut := runEngines(t, "engines --admin "+addr)
	lines := strings.Split(out, "\n")
	if code != process.ExitOK || len(lines) != 6 {
		t.Fatalf("%d %q %q", code, out, errOut)
	}
	for _, column := range []string{"E0001", "active", "A?[2J", "127.0.0.1:9", "1.2s", "4711", "10M"} {
		if !strings.Contains(lines[1], column) {
			t.Errorf("no %q in %q", column, lines[1])
		}
	}
	if strings.Index(lines[0], "STATE") != strings.Index(lines[1], "active") || strings.Index(lines[0], "PID") != strings.Index(lines[1], "4711") {
		t.Errorf("columns are not aligned:\n%s", out)
	}
	if !strings.HasPrefix(lines[3], "WAITING  OLDEST") || !strings.HasPrefix(lines[4], "3        0.5s") || !strings.HasSuffix(lines[4], "paused") {
		t.Errorf("queues:\n%s", out)
	}
	if code, out, _ := runEngines(t, "engines --json --admin "+addr); code != process.ExitOK || !strings.Contains(out, `"new":1`) || !strings.Contains(out, `"queues":[{`) {
		t.Errorf("%d %q", code, out)
	}
}

func TestEnginesActions(t *testing.T) {
	addr := adminOf(t)
	for args, want := range map[string]string{
		"stop E0001":             "stop engine=E0001\n",
		"kill E0001":             "kill engine=E0001\n",
		"break E0001":            "break engine=E0001\n",
		"recycle":                "recycle \n",
		"pause":                  "pause \n",
		"pause SHOP web@SALES":   "pause only=SHOP&only=web%40SALES\n",
		"resume SHOP":            "resume only=SHOP\n",
		"wait 5":                 "wait-drain seconds=5\n",
		"set pool.max_engines 5": "set key=pool.max_engines&value=5\n",
		"reload":                 "reload \n",
		"drain":                  "drain \n",
	} {
		if code, out, errOut := runEngines(t, "engines --admin "+addr+" "+args); code != process.ExitOK || strings.TrimSpace(out) != strings.TrimSpace(want) {
			t.Errorf("%s: %d %q %q", args, code, out, errOut)
		}
	}
	if code, _, errOut := runEngines(t, "engines stop E9999 --admin "+addr); code != process.ExitRuntime || errOut != "roundhouse: there is no engine E9999\n" {
		t.Errorf("%d %q", code, errOut)
	}
	for _, args := range []string{"engines stop", "engines recycle now", "engines set pool.max_engines", "engines --once --watch", "engines E0001"} {
		if code, _, errOut := runEngines(t, args); code != process.ExitUsage {
			t.Errorf("%s: %d %q", args, code, errOut)
		}
	}
}

// TestEnginesElsewhere: a server without the door, and none.
func TestEnginesElsewhere(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	addr := s.Listener.Addr().String()
	for _, args := range []string{"engines", "engines --watch", "engines pause"} {
		if code, _, errOut := runEngines(t, args+" --admin "+addr); code != process.ExitRuntime || errOut != "roundhouse: that server has no engine door\n" {
			t.Errorf("%s: %d %q", args, code, errOut)
		}
	}
	s.Close()
	if code, _, _ := runEngines(t, "engines --admin "+addr); code != process.ExitRuntime {
		t.Errorf("no server: %d", code)
	}
}

func TestScreen(t *testing.T) {
	if got := screen("a\nb\n", true, true); got != "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J" {
		t.Errorf("%q", got)
	}
	if got := screen("a\nb\n", true, false); !strings.HasPrefix(got, "\x1b[Ha") {
		t.Errorf("%q", got)
	}
	if got := screen("a\nb\n", false, true); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
}
