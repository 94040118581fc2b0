package config

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestSetLevel changes the level of a logger, of those derived from it, and of none that is somebody else's.
func TestSetLevel(t *testing.T) {
	for _, format := range []string{"text", "json", "rs"} {
		var out bytes.Buffer
		log := NewLogger(&out, format, slog.LevelWarn)
		derived := log.With("a", 1).WithGroup("g")
		derived.Info("one")
		SetLevel(derived, slog.LevelDebug)
		log.Debug("two")
		derived.Debug("three", "b", 2)
		SetLevel(log, slog.LevelError)
		derived.Warn("four")
		if got := out.String(); strings.Contains(got, "one") || !strings.Contains(got, "two") || !strings.Contains(got, "three") || strings.Contains(got, "four") ||
			!strings.Contains(got, "a=1 g.b=2") && !strings.Contains(got, `"a":1,"g":{"b":2}`) {
			t.Errorf("%s: %s", format, got)
		}
	}
	SetLevel(slog.New(slog.DiscardHandler), slog.LevelDebug)
}
