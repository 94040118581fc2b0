package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"roundhouse/server/config"
)

// recordsOf returns the columns of the records in a log, each with its name. The line that names them comes first.
func recordsOf(t *testing.T, text, kind string) (rows []map[string]string) {
	t.Helper()
	var names []string
	for line := range strings.Lines(text) {
		_, line, _ = strings.Cut(" "+strings.TrimSpace(line), " "+kind) // behind the head of a line of the log, if it has one
		_, columns, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		if strings.HasPrefix(columns, "i:") || strings.HasPrefix(columns, "time i:") {
			names = strings.Fields(columns)
			continue
		}
		values := regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(columns, -1)
		if len(values) != len(names) {
			t.Errorf("%d columns for %d names: %s", len(values), len(names), line)
			continue
		}
		row := map[string]string{}
		for i, name := range names {
			row[name] = values[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// TestAcceptance14 runs relay and enabler with logs of the original's shape: each request is one record in both, refused ones in the relay's,
// and the columns are named first.
func TestAcceptance14(t *testing.T) {
	dir := t.TempDir()
	file, relayLog, oeLog := filepath.Join(dir, "rs.config"), filepath.Join(dir, "relay.log"), filepath.Join(dir, "oe.log")
	addr, adminAddr := freeAddr(t), freeAddr(t)
	rewrite(t, file, "[options]\nverbosity = 1\nx_listen = "+addr+"\nx_admin_listen = "+adminAddr+"\nx_loops = 2\n[backend_farm]\nid = other\n[backend_farm]\nid = f\n"+
		"[backend_server]\nfarm = f\nid = s1\ntoken = secret\n")
	cmd := exec.Command(binary(t, "roundhouse"), "-f", file, "-o", relayLog)
	cmd.Args[0] = "rshost"
	c := startCommand(t, cmd)
	logged := func(path string) string {
		b, _ := os.ReadFile(path) // it may not be there yet
		return string(b)
	}
	eventually(t, "it listens", func() bool { return strings.Contains(logged(relayLog), "listening door=relay") })
	backend := startBackend(t, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "12345") })
	e := start(t, binary(t, "rsoe"), "-f", "f", "-id", "s1", "-t", "secret", "-d", "1", "-v", "1", "-log", "rs", "-o", oeLog,
		"-cr", connString(t, addr), "-cs", connString(t, backend))
	eventually(t, "lanes up", func() bool { return strings.Count(logged(relayLog), "lane up") >= 2 })
	url := "http://" + addr + "/cli/iarelayserver/f"
	for _, q := range []struct {
		method, url, body string
		status            int
	}{{"GET", url + "/a?secret=1", "", 200}, {"POST", url + "/b", "abc", 200}, {"GET", "http://" + addr + "/cli/iarelayserver/none/", "", 404}} {
		if o := ask(q.method, q.url, q.body); o.status != q.status {
			t.Fatalf("%s: %v", q.url, o)
		}
	}
	eventually(t, "three records", func() bool { return len(recordsOf(t, logged(relayLog), "RSR")) == 3 })
	eventually(t, "two of the enabler", func() bool { return len(recordsOf(t, logged(oeLog), "OER")) == 2 })
	rows := recordsOf(t, logged(relayLog), "RSR")
	byPath := map[string]map[string]string{}
	for _, row := range rows {
		byPath[row["path"]] = row
	}
	if own, err := strconv.ParseFloat(byPath["/a"]["m:oe.rtp"], 64); err != nil || own < 0 || byPath["/cli/iarelayserver/none/"]["m:oe.rtp"] != "-" {
		t.Errorf("m:oe.rtp is %v, %v", byPath["/a"]["m:oe.rtp"], err)
	}
	for path, want := range map[string]map[string]string{
		"/a": {"i:status": "200", "method": "GET", "farm": "f", "server": "s1", "i:fidx": "1", "i:bidx": "0", "b:dn.body": "5", "b:up.body": "0",
			"c:up.pkt": "1", "c:dn.pkt": "2", "affinity": "new", "i:rse": "0", "error": "-", "ua": "Go-http-client/1.1"},
		"/b":                       {"i:status": "200", "method": "POST", "b:up.body": "3", "c:up.pkt": "2"},
		"/cli/iarelayserver/none/": {"i:status": "404", "farm": "-", "server": "-", "i:fidx": "-", "i:rse": "1002", "error": "RSE_UNKNOWN_FARM", "m:assign": "-"},
	} {
		for name, value := range want {
			if got := byPath[path][name]; got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
	}
	number := regexp.MustCompile(`^\d+(\.\d{3})?$`)
	for _, name := range []string{"m:total", "m:assign", "m:up", "m:up.in", "m:up.out", "m:rtp", "m:dn", "m:dn.in", "m:dn.out"} {
		if got := byPath["/b"][name]; !number.MatchString(got) {
			t.Errorf("%s is %q", name, got)
		}
	}
	for _, path := range []string{relayLog, oeLog} {
		text := logged(path)
		shape := regexp.MustCompile(`^[EWID]\. \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} <\d+\.\d+(\.[FBSR\d]+)?> \S`)
		for line := range strings.Lines(text) {
			if !shape.MatchString(line) {
				t.Errorf("%s: a line of another shape: %q", path, line)
			}
		}
		if strings.Contains(text, "secret") {
			t.Errorf("%s has a secret:\n%s", path, text)
		}
	}
	if !regexp.MustCompile(`<\d+\.\d+\.F1B0(S\d+)?R\d+> RSR `).MatchString(logged(relayLog)) {
		t.Errorf("no indexes:\n%s", logged(relayLog))
	}
	if code, _ := rshost(t, "-ua", "-f", file); code != 0 {
		t.Errorf("-ua: %d", code)
	}
	if text := logged(relayLog); !strings.Contains(text, "> RSR i:fidx i:bidx ") {
		t.Errorf("the new file does not name the columns:\n%s", text)
	}
	for _, p := range []*child{e, c} {
		p.signal(syscall.SIGTERM)
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// TestVerbosityTable has one request at each verbosity, of the log or of the farm alone, and looks at what the log shows of it.
func TestVerbosityTable(t *testing.T) {
	for _, ofFarm := range []bool{false, true} {
		for v := range 6 {
			t.Run(fmt.Sprintf("farm=%v/%d", ofFarm, v), func(t *testing.T) {
				r := startRelay(t, func(cfg *config.Config) {
					cfg.Relay.AccessLog, cfg.Log.Verbosity = "log", v
					if ofFarm {
						cfg.Log.Verbosity, cfg.Relay.Farms[0].Verbosity = 0, v
					}
				})
				runEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "payload") }), "secret")
				eventually(t, "lanes", func() bool { return r.server.TotalsForTest().Lanes == int64(r.cfg.Loops) })
				if status, _ := r.get("/path?query"); status != http.StatusOK {
					t.Fatalf("a request: %d", status)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				for text, from := range map[string]int{
					`msg="lane up"`: 1, "msg=record": 1, " msg=request ": 2, "path=/path": 2, "msg=packet": 3, "op=request": 3, "op=response": 3,
					fmt.Sprintf("hex=%x", "payload"): 5,
				} {
					if got, want := r.log.has(text), v >= from; got != want {
						t.Errorf("%s: %v, want %v", text, got, want)
					}
				}
			})
		}
	}
}

// TestRecordForms writes records to files in each form: those of JSON can be read, and a file that is full is put away with its header.
func TestRecordForms(t *testing.T) {
	for _, form := range []string{"json", "rsr"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "access")
		r := startRelay(t, func(cfg *config.Config) { cfg.Relay.AccessLog, cfg.Log.Records, cfg.Log.MaxSize = file, form, 2000 })
		startEnabler(t, r, "s1", startBackend(t, func(http.ResponseWriter, *http.Request) {}))
		const requests = 30
		for range requests {
			q, err := http.NewRequest(http.MethodGet, r.url(`/p"a%20th?token=1`), nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("User-Agent", "a \"b\" \\ \xff é")
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			eventually(t, "it is written", func() bool { return r.server.TotalsForTest().InFlight == 0 })
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, entry := range entries {
			b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "token") {
				t.Errorf("%s: a query in a record:\n%s", form, b)
			}
			if form == "rsr" {
				found += len(recordsOf(t, string(b), "RSR"))
				continue
			}
			for line := range strings.Lines(string(b)) {
				var row map[string]any
				if err := json.Unmarshal([]byte(line), &row); err != nil || row["path"] != `/p%22a%20th` || row["user_agent"] != "a \"b\" \\ \ufffd é" ||
					row["status"] != 200.0 || row["farm"] != "f" || row["total_ms"] == nil {
					t.Errorf("%v: %s", err, line)
				}
				found++
			}
		}
		if found != requests {
			t.Errorf("%s: %d records of %d requests", form, found, requests)
		}
	}
}
