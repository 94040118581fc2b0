package main

import (
	"context"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"roundhouse/server"
	"roundhouse/server/config"
)

// runServer runs a server until ctx ends and it has drained. Each configuration that comes from reload is put in force.
var runServer = func(ctx context.Context, cfg *config.Config, reload <-chan *config.Config, log *slog.Logger) error {
	s, err := server.New(cfg, log)
	if err != nil {
		return err
	}
	s.OnReload(func() { _ = unix.Kill(os.Getpid(), unix.SIGHUP) }) // which serve takes; cannot fail
	go func() {                                                    // ends with ctx; nobody waits
		for {
			select {
			case next := <-reload:
				if err := s.Reload(next); err != nil {
					log.Error("the configuration was not put in force", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.Run(ctx)
}
