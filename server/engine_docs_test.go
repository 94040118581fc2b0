package server_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"roundhouse/server/config"
	"roundhouse/server/engine"
)

// TestEngineDocs has the conversation of docs/engine.md with a server, byte by byte, and looks for every metric and verb in it.
func TestEngineDocs(t *testing.T) {
	b, err := os.ReadFile("../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Types[0].Command = engineCommand("mix") })
	c := s.dial()
	frames := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "C 0"):
			c.write(toWire.Replace(line[2:]))
		case strings.HasPrefix(line, "S 0"):
			frames++
			want := regexp.QuoteMeta(line[2:])
			if i := strings.Index(line, "VERSION"); i >= 0 { // with a length of its own
				want = `\d{8}` + strings.Replace(regexp.QuoteMeta(line[10:]), "VERSION", `[^ ]+`, 1)
			}
			header, payload, err := c.rawFrame()
			if got := header + fromWire.Replace(payload); err != nil || !regexp.MustCompile("^"+want+"$").MatchString(got) {
				t.Errorf("the server says %q, the page %q, %v", got, line[2:], err)
			}
		}
	}
	if frames < 5 {
		t.Errorf("%d replies in the page", frames)
	}
	for _, name := range engineMetrics {
		if !strings.Contains(text, "`"+name) {
			t.Errorf("the page lacks %s", name)
		}
	}
	for _, verb := range engine.Verbs() {
		if !strings.Contains(text, "`"+verb.Name+"`") || !strings.Contains(text, "`"+verb.Path+"`") {
			t.Errorf("the page lacks %s or %s", verb.Name, verb.Path)
		}
	}
}
