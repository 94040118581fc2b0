package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// idleLanes returns the farm of each lane on which no request is in flight, and how many lanes take requests.
func idleLanes(t testing.TB, admin string) (idle []string, lanes int) {
	t.Helper()
	var table struct {
		Rows []struct {
			Farm              string
			Streams           int
			Opening, Draining bool
		}
	}
	o := ask("GET", "http://"+admin+"/api/lanes", "")
	if err := json.Unmarshal([]byte(o.body), &table); err != nil {
		t.Fatalf("%v: %v", err, o)
	}
	for _, l := range table.Rows {
		if l.Opening || l.Draining {
			continue
		}
		if lanes++; l.Streams == 0 {
			idle = append(idle, l.Farm)
		}
	}
	return idle, lanes
}

// TestPromise03 replaces the running program while a request is in flight on each lane of many enablers: what runs is finished by the old
// process, what comes is answered by the new one, and the back end sees each once.
func TestPromise03(t *testing.T) {
	enablers, upgrades := 10, 3 // two lanes each
	if isFull() {
		enablers, upgrades = 100, 20
	}
	var more strings.Builder
	for i := range enablers {
		fmt.Fprintf(&more, "\n[[relay.farm]]\nid = \"g%[1]d\"\nactive_cookie = false\nactive_header = false\n"+
			"[[relay.backend]]\nfarm = \"g%[1]d\"\nid = \"s\"\ntoken = \"secret\"\n", i)
	}
	g := startGenerations(t, binary(t, "roundhouse"), "serve", "-c", relayFile(t, "127.0.0.1:0", more.String()))
	relay, admin := g.addrs()
	var gate atomic.Pointer[chan struct{}]
	var slow, fast atomic.Int64 // requests that the back end has seen
	backend := startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/slow") {
			here := *gate.Load()
			slow.Add(1)
			<-here
		} else {
			fast.Add(1)
		}
		fmt.Fprint(w, "done")
	})
	for i := range enablers {
		startEnablerOf(t, relay, "g"+strconv.Itoa(i), "s", backend)
	}
	url := func(farm, path string) string { return "http://" + relay + "/cli/iarelayserver/" + farm + path }
	var sent, answered, after int64
	judge := func(what string, o outcome) {
		if o.status != 200 || o.body != "done" || o.err != nil {
			t.Errorf("%s: %v", what, o)
			return
		}
		answered++
	}
	for range upgrades {
		eventually(t, "all lanes are up", func() bool { _, lanes := idleLanes(t, admin); return lanes == 2*enablers })
		here := make(chan struct{})
		gate.Store(&here)
		var answers []<-chan outcome
		eventually(t, "a request is in flight on each lane", func() bool {
			idle, _ := idleLanes(t, admin)
			for _, farm := range idle {
				answers = append(answers, begin("GET", url(farm, "/slow"), ""))
				sent++
			}
			eventually(t, "all are at the back end", func() bool { return slow.Load() == sent })
			return len(idle) == 0
		})
		g.upgrade()
		for i := range enablers {
			after++
			judge("after an upgrade", ask("POST", url("g"+strconv.Itoa(i), "/"), "body"))
		}
		close(here)
		for _, a := range answers {
			judge("in flight at an upgrade", <-a)
		}
	}
	t.Logf("%d lanes, %d upgrades: %d in flight and %d after: %d sent, %d answered, %d lost", 2*enablers, upgrades, sent, after, sent+after, answered,
		sent+after-answered)
	if slow.Load() != sent || fast.Load() != after {
		t.Errorf("the back end has seen %d of %d and %d of %d", slow.Load(), sent, fast.Load(), after)
	}
	for i := range upgrades {
		if code := g.exit(i); code != 0 {
			t.Errorf("process %d: exit code %d", i, code)
		}
	}
}
