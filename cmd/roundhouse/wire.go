package main

import (
	"context"
	"log/slog"

	"roundhouse/server"
	"roundhouse/server/config"
)

// runServer runs a server until ctx ends and it has drained. r puts further configurations in force.
var runServer = func(ctx context.Context, cfg *config.Config, r *reloader, log *slog.Logger) error {
	s, err := server.New(cfg, log)
	if err != nil {
		return err
	}
	r.serve(ctx, s)
	return s.Run(ctx)
}
