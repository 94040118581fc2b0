package process

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
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

// TestReplaceContextEnds: one who drains is not replaced, and says so.
func TestReplaceContextEnds(t *testing.T) {
	var said bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	signals, stopped := make(chan os.Signal), make(chan struct{})
	go func() {
		signals <- syscall.SIGUSR2
		close(stopped)
	}()
	replaceOn(ctx, signals, stopped, func() { t.Error("cancelled") }, slog.New(slog.NewTextHandler(&said, nil)),
		func(context.Context) error { t.Error("replaced"); return nil })
	if !strings.Contains(said.String(), "it drains") {
		t.Errorf("it said %q", &said)
	}
}
