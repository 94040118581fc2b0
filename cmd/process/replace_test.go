package process

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"testing"
)

// TestReplaceContext sends real signals: one that fails, and one that is followed.
func TestReplaceContext(t *testing.T) {
	tried := make(chan int)
	n := 0
	ctx, stop := ReplaceContext(t.Context(), slog.New(slog.DiscardHandler), func(context.Context) error {
		n++
		tried <- n
		if n == 1 {
			return errors.New("no")
		}
		return nil
	})
	defer stop()
	for want := 1; want <= 2; want++ {
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		if got := <-tried; got != want {
			t.Fatalf("try %d, want %d", got, want)
		}
	}
	<-ctx.Done()
}

func TestReplaceContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	replaceOn(ctx, nil, func() { t.Error("cancelled") }, nil, nil)
}
