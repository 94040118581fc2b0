package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roundhouse/client/pubsub"
)

// requestFlags are what the command line of roundhouse request says.
type requestFlags struct {
	routerFlags
	msgFlags
	timeout time.Duration
	raw     bool
}

func newRequest(environ []string) *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "request [flags] SUBJECT [DATA]",
		Short: "Publish a message and print the answer",
		Long: "Publishes DATA, or nothing, with a subject for the answer, and prints the first one: what roundhouse sub prints behind\n" +
			"the tab.\n\n" +
			"Exit codes: 0, 1 when no answer came in time, 2 usage.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			m, err := f.message(args[0], data(args))
			if err != nil {
				return err
			}
			return f.run(cmd, environ, func(ctx context.Context, c *pubsub.Conn) error {
				return f.ask(ctx, c, m, cmd.OutOrStdout())
			})
		},
	}
	f.routerFlags.add(cmd)
	f.msgFlags.add(cmd)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 5*time.Second, "how long to wait for the answer; 0: for ever")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "print what the answer holds as it is, and nothing behind it")
	return cmd
}

func data(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return ""
}

func (f *requestFlags) ask(ctx context.Context, c *pubsub.Conn, m *pubsub.Msg, out io.Writer) error {
	if f.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("%w: %v", errTimeout, f.timeout))
		defer stop()
	}
	answer, err := c.RequestMsg(ctx, m)
	switch {
	case errors.Is(err, pubsub.ErrNoResponders):
		return fmt.Errorf("nobody answers requests to %s", m.Subject)
	case err != nil:
		return err
	case f.raw:
		_, err = out.Write(answer.Data)
	default:
		_, err = fmt.Fprintln(out, payload(answer))
	}
	return err
}
