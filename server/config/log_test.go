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

// TestVerbosity has a level for each verbosity, and back.
func TestVerbosity(t *testing.T) {
	before := slog.LevelError + 1
	for v := range 6 {
		level := VerbosityLevel(v)
		if level >= before || LevelVerbosity(level) != v {
			t.Errorf("%d: level %v, and back %d", v, level, LevelVerbosity(level))
		}
		before = level
	}
	for level, want := range map[slog.Level]int{slog.LevelWarn: 0, slog.LevelDebug: 4, slog.LevelDebug - 100: 5} {
		if got := LevelVerbosity(level); got != want {
			t.Errorf("%v: %d, want %d", level, got, want)
		}
	}
}

// TestOutput finds where loggers write to.
func TestOutput(t *testing.T) {
	var out bytes.Buffer
	for format, want := range map[string]string{"auto": "json", "json": "json", "text": "text", "rs": "rs"} {
		if w, got, ok := Output(NewLogger(&out, format, slog.LevelInfo).With("a", 1).WithGroup("g")); w != &out || got != want || !ok {
			t.Errorf("%s: %v, %v", format, got, ok)
		}
	}
	if _, _, ok := Output(slog.New(slog.DiscardHandler)); ok {
		t.Error("a logger of somebody else has an output")
	}
}
