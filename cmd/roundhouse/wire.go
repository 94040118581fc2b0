package main

import (
	"context"
	"log/slog"

	"roundhouse/server"
	"roundhouse/server/config"
)

// runServer runs a server until ctx ends and it has drained.
var runServer = func(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	s, err := server.New(cfg, log)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
