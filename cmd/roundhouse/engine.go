package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"roundhouse/cmd/process"
	"roundhouse/enginepool/sdk"
	"roundhouse/enginepool/sdk/engines"
)

// engineFlags says how an engine that ships with the server meets it.
type engineFlags struct {
	ahead        int
	name         string
	dial         string
	tokenFile    string
	applications []string
	tls          bool
}

func newEngine() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "engine NAME",
		Short: "Run an engine for tests, as the server starts it",
		Long: "Serves the server that started it over the descriptor of ENGINE_FD, or dials in to a server's engine listener.\n\n" +
			"Engines: " + strings.Join(engines.Names(), ", ") + ".",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: engines.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEngine(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.ahead, "ahead", 1, "take so many requests before the first is answered")
	flags.StringVar(&f.name, "name", "", "introduce the engine under this name instead of NAME")
	flags.StringVar(&f.dial, "dial", "", "dial in to the engine listener at this `address`")
	flags.StringVar(&f.tokenFile, "token-file", "", "read the token for dialling in from a `file`")
	flags.StringSliceVar(&f.applications, "apps", nil, "the applications that are served when dialling in, as A,B")
	flags.BoolVar(&f.tls, "tls", false, "dial in with TLS; the listener's certificate must be valid for its address")
	return cmd
}

func runEngine(ctx context.Context, name string, f engineFlags) error {
	e, _ := engines.New(name) // the name was checked
	if e.Ahead = f.ahead; f.name != "" {
		e.Name = f.name
	}
	if f.dial == "" && (f.tokenFile != "" || len(f.applications) > 0 || f.tls) {
		return &exitError{process.ExitUsage, errors.New("roundhouse: --token-file, --apps and --tls go with --dial")}
	}
	var err error
	if f.dial == "" {
		err = sdk.Serve(ctx, e)
	} else {
		err = dialIn(ctx, e, f)
	}
	switch {
	case errors.Is(err, sdk.ErrNoServer):
		return &exitError{process.ExitUsage, errors.New("roundhouse: ENGINE_FD is not set: the server starts engines and sets it; --dial works without")}
	case err != nil:
		return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: engine %s: %w", name, err)}
	}
	return nil
}

// dialIn serves until the server ends it or a signal does; a second signal ends the process.
func dialIn(ctx context.Context, e sdk.Engine, f engineFlags) error {
	var token string
	if f.tokenFile != "" {
		b, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return err
		}
		token = strings.TrimSpace(string(b))
	}
	var config *tls.Config
	if f.tls {
		host, _, err := net.SplitHostPort(f.dial)
		if err != nil {
			return err
		}
		config = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	err := sdk.Dial(ctx, f.dial, token, f.applications, config, e)
	if ctx.Err() != nil {
		return nil // asked to end
	}
	return err
}
