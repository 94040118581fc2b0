package process

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// ReplaceContext returns a context that ends when a SIGUSR2 has come and replace, which is given the context, has put a new
// process in the place of this one. When replace fails, everything goes on and the next SIGUSR2 tries again. The returned
// function gives the signal back.
func ReplaceContext(parent context.Context, log *slog.Logger, replace func(context.Context) error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1) // one that comes while another is handled may wait, more mean nothing
	signal.Notify(signals, syscall.SIGUSR2)
	stopped := make(chan struct{})
	go replaceOn(ctx, signals, stopped, cancel, log, replace) // ends with stopped; nobody waits
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}

func replaceOn(ctx context.Context, signals <-chan os.Signal, stopped <-chan struct{}, cancel func(), log *slog.Logger, replace func(context.Context) error) {
	for {
		select {
		case <-stopped:
			return
		case <-signals:
		}
		err := ctx.Err()
		if err == nil {
			err = replace(ctx)
		}
		switch {
		case err == nil:
			log.Info("draining: a new process has taken over; a second signal to end this one does so at once")
			cancel()
		case ctx.Err() != nil:
			log.Warn("the server was not replaced: it drains", "error", err)
		default:
			log.Error("the server was not replaced and serves on", "error", err)
		}
	}
}
