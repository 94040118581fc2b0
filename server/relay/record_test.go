package relay

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// withClient runs f on the loop of a relay that has one client, with that client and an exchange of it that has ended well.
func withClient(t *testing.T, r *Relay, f func(s *shard, x *exchange)) {
	t.Helper()
	dialText(t, r, "GET")
	done := false
	until(t, func() bool {
		r.group.Each(func(l *loop.Loop) {
			l.Conns(func(conn *loop.Conn) {
				c, ok := conn.Session().(*client)
				if !ok || done {
					return
				}
				done = true
				s := r.shards[l.Index()]
				farm := s.view.farms[0]
				x := s.newExchange()
				x.s, x.client, x.farm, x.server, x.began = s, c, farm, farm.farm.Servers[0], s.loop.Now()
				x.req.head = []byte("GET /path?query HTTP/1.1\r\nHost: a\r\nUser-Agent: a \"b\"\r\n\r\n")
				x.req.path = len("GET /path?query")
				x.resp.started, x.resp.status, x.resp.went = true, 200, 5
				x.seen.begin(s, farm, []byte("GET"))
				x.seen.assigned, x.seen.sent, x.seen.first = time.Millisecond, 2*time.Millisecond, 4*time.Millisecond+500*time.Microsecond
				f(s, x)
			})
		})
		return done
	}, func(done bool) bool { return done })
}

// TestRecordsAllocate nothing, whatever their form, and neither do the counters.
func TestRecordsAllocate(t *testing.T) {
	r := tablesRelay(t, true)
	withClient(t, r, func(s *shard, x *exchange) {
		for form := range formText + 1 {
			s.relay.access.form, s.relay.access.original = form, form == formRSR
			s.accesses = make([]byte, 0, 64<<10)
			if n := testing.AllocsPerRun(200, func() {
				x.log(nil)
				s.accesses = s.accesses[:0] // else they would be handed over in a new buffer now and then
			}); n != 0 {
				t.Errorf("form %d: %v allocations", form, n)
			}
		}
		s.relay.access.form = formNone
	})
}

// TestRecordForms looks at the same record in all forms.
func TestRecordForms(t *testing.T) {
	r := tablesRelay(t, true)
	withClient(t, r, func(s *shard, x *exchange) {
		a := s.relay.access
		write := func(form recordForm, original, logged bool) string {
			a.form, a.original, a.logged = form, original, logged
			x.log(nil)
			text := string(s.accesses)
			s.accesses = nil
			return text
		}
		rsr := write(formRSR, true, true)
		_, columns, ok := strings.Cut(rsr, "> RSR ")
		if names := strings.Fields(string(recordHeader()))[1:]; !ok || !strings.Contains(rsr, ".F0B0R") ||
			len(strings.Fields(strings.ReplaceAll(columns, " ", " "))) < len(names) || !strings.Contains(columns, ` 1 1 1 0 2.500 `) ||
			!strings.Contains(columns, ` GET /path f one new "a \x22b\x22" 127.0.0.1 -`) {
			t.Errorf("rsr: %s", rsr)
		}
		text := write(formText, false, true)
		if !strings.HasPrefix(text, "time=") || !strings.Contains(text, " level=INFO msg=request farm_index=0 server_index=0 request_index=") ||
			!strings.Contains(text, " rtp_ms=2.500 ") || strings.Contains(text, "error=") || strings.Count(text, "\n") != 1 {
			t.Errorf("text: %s", text)
		}
		for _, logged := range []bool{false, true} {
			var row map[string]any
			line := write(formJSON, false, logged)
			if err := json.Unmarshal([]byte(line), &row); err != nil || row["path"] != "/path" || row["rtp_ms"] != 2.5 || row["server"] != "one" ||
				(row["msg"] == "request") != logged || row["time"] == nil || row["error"] != nil {
				t.Errorf("json: %v: %s", err, line)
			}
		}
		if line := write(formLine, false, false); !strings.Contains(line, ` 127.0.0.1 "GET /path?query" 200 in=0 out=5 us=`) {
			t.Errorf("line: %s", line)
		}
		a.form = formNone
	})
}

func TestAppendWordAndString(t *testing.T) {
	for _, c := range []struct{ in, word, text string }{
		{"", "-", `""`},
		{"-", `"-"`, `"-"`},
		{"plain/1", "plain/1", `"plain/1"`},
		{"a b", `"a b"`, `"a b"`},
		{"\"\\\n", `"\x22\x5C\x0A"`, `"\"\\\u000A"`},
		{"\xff\xc3\xa9", `"\xFF\xC3\xA9"`, "\"\ufffdé\""},
	} {
		if got := string(appendWord(nil, c.in)); got != c.word {
			t.Errorf("word %q: %s, want %s", c.in, got, c.word)
		}
		if got := string(appendString(nil, c.in)); got != c.text || !json.Valid([]byte(got)) {
			t.Errorf("string %q: %s, want %s", c.in, got, c.text)
		}
	}
	for d, want := range map[time.Duration]string{0: "0", time.Microsecond: "0.001", 1500 * time.Millisecond: "1500", 20*time.Millisecond + 30*time.Microsecond: "20.030"} {
		if got := string(appendMillis(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestRecordDestinations has the log's own form decide where the records go into the log.
func TestRecordDestinations(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct {
		format, records string
		form            recordForm
		original        bool
		begins          string
	}{
		{"rs", "line", formLine, true, ""}, {"rs", "rsr", formRSR, true, "I. "}, {"rs", "json", formJSON, true, ""},
		{"json", "rsr", formJSON, false, ""}, {"text", "line", formText, false, ""},
	} {
		out.Reset()
		cfg := config.Default()
		cfg.Relay.AccessLog, cfg.Log.Records = "log", c.records
		a, err := openAccessLog(cfg, config.NewLogger(&out, c.format, slog.LevelInfo))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.close(); err != nil || a.form != c.form || a.original != c.original || !strings.HasPrefix(out.String(), c.begins) ||
			(c.begins == "") != (out.Len() == 0) {
			t.Errorf("%s, %s: form %d, original %v, %q, %v", c.format, c.records, a.form, a.original, out.String(), err)
		}
	}
	cfg := config.Default()
	cfg.Relay.AccessLog = filepath.Join(t.TempDir(), "no", "file")
	if _, err := openAccessLog(cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file was opened where there is no directory")
	}
}

// TestCounts counts answers and reads them again.
func TestCounts(t *testing.T) {
	var book countBook
	n := book.open()
	for method, status := range map[string]int{"GET": 200, "POST": 599, "PROPFIND": 100} {
		n.answered(methodIndex([]byte(method)), status)
	}
	n.answered(0, 200)
	n.answered(0, 99)
	n.answered(0, 600)
	n.phases[phaseTotal].add(3 * time.Millisecond)
	got := sumCounts("f", book.read())
	want := []CodeCount{{"GET", 200, 2}, {"POST", 599, 1}, {"other", 100, 1}}
	if len(got.Answers) != len(want) {
		t.Fatalf("%v", got.Answers)
	}
	for i := range want {
		if got.Answers[i] != want[i] {
			t.Errorf("%v, want %v", got.Answers[i], want[i])
		}
	}
	if times := got.Phases["total"]; times.Count() != 1 || times.Counts[3] != 1 || times.Sum != 3*time.Millisecond {
		t.Errorf("%v", times)
	}
	if len(got.Failures) != 0 {
		t.Errorf("failures %v", got.Failures)
	}
}
