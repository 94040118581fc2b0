package loop

import (
	"context"
	"time"
)

// WaitUntil waits for a condition that counters show; false means that ctx ended first. Never call it on a loop.
func WaitUntil(ctx context.Context, ok func() bool) bool {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
	return true
}
