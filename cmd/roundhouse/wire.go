package main

import (
	"context"
	"errors"
	"log/slog"

	"roundhouse/server/config"
)

// runServer runs a server until ctx ends and it has drained. WIRE: server.New(cfg, log), then Run(ctx).
var runServer = func(_ context.Context, _ *config.Config, _ *slog.Logger) error {
	return errors.New("no server is built in")
}
