package server_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestJunctions compares the connections that an enabler has to its back end with what the relay server shows of them, and the enabler itself.
func TestJunctions(t *testing.T) {
	r := startRelay(t, nil)
	let, began := make(chan struct{}), make(chan struct{}, 1)
	back := startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			began <- struct{}{}
			<-let
		}
		_, _ = io.WriteString(w, "x")
	})
	e := startWatchedEnabler(t, r, back)
	eventually(t, "lanes", func() bool { rows, _ := r.rows("/api/lanes"); return len(rows) == r.cfg.Loops })
	shows := func(active, idle string) func() bool {
		return func() bool {
			_, text := r.seen("/metrics")
			lines := slices.Collect(strings.Lines(text))
			return slices.Contains(lines, `rs_junctions{farm="f",server="s1",state="active"} `+active+"\n") &&
				slices.Contains(lines, `rs_junctions{farm="f",server="s1",state="idle"} `+idle+"\n")
		}
	}
	eventually(t, "none", shows("0", "0"))
	answer := begin("GET", r.url("/slow"), "")
	<-began
	eventually(t, "one that carries a request", shows("1", "0"))
	if s := e.Stats(); s.Active != 1 || s.Connections != 1 {
		t.Errorf("the enabler itself: %d of %d", s.Active, s.Connections)
	}
	close(let)
	if o := <-answer; o.status != http.StatusOK {
		t.Error(o)
	}
	eventually(t, "one that is kept", shows("0", "1"))
	rows, _ := r.rows("/api/servers")
	if j, _ := rows[0]["junctions"].(map[string]any); j["idle"] != 1.0 || j["active"] != 0.0 {
		t.Errorf("servers: %v", rows)
	}
	if _, silent := rows[1]["junctions"]; silent {
		t.Errorf("of a server that is not there: %v", rows[1])
	}
}
