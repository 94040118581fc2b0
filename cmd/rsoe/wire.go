package main

import (
	"context"
	"errors"
	"log/slog"

	"roundhouse/server/config"
)

// runEnabler serves a back-end server until ctx ends. WIRE: outbound.Run.
var runEnabler = func(_ context.Context, _ *config.Enabler, _ *slog.Logger) error {
	return errors.New("no enabler is built in")
}
