//go:build !race

package logfile

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// TestHandleAllocates nothing for a record of plain attributes.
func TestHandleAllocates(t *testing.T) {
	h := NewHandler(new(pieces), slog.LevelDebug)
	h.w = discard{}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "text", 0)
	r.Add("a", "b", "n", 5, KeyFarm, 2)
	if n := testing.AllocsPerRun(100, func() { _ = h.Handle(context.Background(), r) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
