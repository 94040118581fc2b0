package loop

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

// gnet logs to standard output.
func TestGnetIsQuiet(t *testing.T) {
	if out, err := child(t, "quiet").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestGnetLogsToSlog(t *testing.T) {
	var out bytes.Buffer // slog's handler locks; read after Stop
	g, err := New(Options{Loops: 1, Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "gnet: Starting gnet client") || strings.Contains(out.String(), "level=INFO") {
		t.Errorf("logged: %s", out.String())
	}
}

func TestGnetLevels(t *testing.T) {
	var out bytes.Buffer
	g := gnetLogger{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	g.Debugf("%d", 1)
	g.Infof("%d", 2)
	g.Warnf("%d", 3)
	g.Errorf("%d", 4)
	g.Fatalf("%d", 5)
	for i, level := range []string{"DEBUG", "DEBUG", "DEBUG", "ERROR", "ERROR"} {
		if want := "level=" + level + ` msg="gnet: ` + string(rune('1'+i)); !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in %s", want, out.String())
		}
	}
}
