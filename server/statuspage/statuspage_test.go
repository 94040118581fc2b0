package statuspage

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the pages of testdata anew")

var at = time.Date(2026, 3, 9, 12, 30, 0, 0, time.UTC)

// reports are what the pages of testdata are made of.
var reports = map[string]*Report{
	"nameless": {State: Unavailable, Time: at},
	"farm": {
		State: Degraded, Relay: "rs1", Version: "1.2", Description: `Ask <b>us</b>: mailto:help@example.com, or ops+1@a.example`, Time: at, Asked: "acme.sync",
		Refresh: 10, Links: true,
		Farms: []Farm{{ID: "acme.sync", Description: `"><script>alert(1)</script>`, Enabled: true, State: Degraded, Up: 1, Total: 2, Servers: []Server{
			{ID: "ml&1", Description: "in <the> cellar", Enabled: true, Connected: true, BackendUp: true, Since: at.Add(-time.Hour), RTT: 1.25},
			{ID: "ml2", Enabled: true, LastError: "<i>connection refused", LastErrorAt: at.Add(-time.Minute)},
		}}},
	},
	"admin": {
		State: Available, Relay: "rs1", Version: "1.2", Time: at, Since: at.Add(-24 * time.Hour), Generation: 3, NeedStart: []string{"relay.listen", "loops"},
		Full: true, Counts: []Count{{"requests", 10}, {"in flight", 2}},
		Farms: []Farm{
			{ID: "a", Enabled: true, State: Available, Up: 1, Total: 1, Counts: []Count{{"requests", 7}}, Servers: []Server{
				{ID: "s1", Enabled: true, Connected: true, BackendUp: true, Ejected: true, Detail: &Detail{Token: true, MACs: []string{"01-23-45-67-89-ab"},
					Version: "rsoe 1.2", Remote: []string{"192.0.2.1"}, Lanes: 3, Draining: 1, InFlight: 2, Junctions: map[string]int64{"active": 2, "idle": 5}}},
			}},
			{ID: "b", State: Unavailable},
		},
	},
}

// TestPages compares the pages with those of testdata.
func TestPages(t *testing.T) {
	for name, r := range reports {
		for suffix, render := range map[string]func(*Report) ([]byte, error){".html": HTML, ".json": JSON} {
			got, err := render(r)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+suffix)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; go test -update writes it anew:\n%s", path, got)
			}
		}
	}
}

// TestEscaped sees that nothing of a report becomes a part of the page.
func TestEscaped(t *testing.T) {
	evil := `"><img src=x onerror=alert(1)>'&javascript:alert(1)`
	r := &Report{State: evil, Relay: evil, Version: evil, Description: evil, Asked: evil, Time: at, NeedStart: []string{evil}, Links: true, Full: true,
		Counts: []Count{{evil, 1}},
		Farms: []Farm{{ID: evil, Description: evil, State: evil, Servers: []Server{{ID: evil, Description: evil, LastError: evil,
			Detail: &Detail{MACs: []string{evil}, Version: evil, Remote: []string{evil}}}}}}}
	page, err := HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); strings.Contains(text, "<img") || strings.Contains(text, `=x onerror=alert(1)>`) {
		t.Errorf("%s", text)
	}
	b, err := JSON(r)
	var back Report
	if err != nil || json.Unmarshal(b, &back) != nil || back.Farms[0].ID != evil {
		t.Errorf("%v: %s", err, b)
	}
}

func TestLinked(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"a < b":                    "a &lt; b",
		"mailto:x@y.example!":      `<a href="mailto:x@y.example">x@y.example</a>!`,
		"x%41@y.example":           `<a href="mailto:x%2541@y.example">x%41@y.example</a>`,
		`<a href="mailto:x@y.de">`: `&lt;a href=&#34;<a href="mailto:x@y.de">x@y.de</a>&#34;&gt;`,
		"javascript:x@y":           "javascript:x@y",
		"\"x'@y.example":           `&#34;x&#39;@y.example`,
	} {
		if got := string(linked(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
