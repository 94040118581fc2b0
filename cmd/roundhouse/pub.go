package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roundhouse/client/pubsub"
)

// pubFlags are what the command line of roundhouse pub says.
type pubFlags struct {
	routerFlags
	msgFlags
	count int
	rate  float64 // messages a second; 0: as fast as possible
}

func newPub(environ []string) *cobra.Command {
	var f pubFlags
	cmd := &cobra.Command{
		Use:   "pub [flags] SUBJECT [DATA...]",
		Short: "Publish messages to a subject",
		Long: "Publishes each DATA as a message, or, when there is none, each line of the input. An input that is a terminal is read too.\n" +
			"It ends when the server has handled them all.\n\n" +
			"Exit codes: 0, 1 when a message could not be published, 2 usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.count < 1 || f.rate < 0 {
				return errors.New("--count is at least 1, --rate at least 0")
			}
			if err := f.check(); err != nil {
				return err
			}
			for _, d := range args[1:] { // all are right, or none is published
				if _, err := f.message(args[0], d); err != nil {
					return err
				}
			}
			return f.run(cmd, environ, func(ctx context.Context, c *pubsub.Conn) error {
				if len(args) > 1 {
					return f.publishAll(ctx, c, args[0], args[1:])
				}
				return f.publishLines(ctx, c, args[0], cmd.InOrStdin())
			})
		},
	}
	f.routerFlags.add(cmd)
	f.msgFlags.add(cmd)
	cmd.Flags().StringVar(&f.reply, "reply", "", "`subject` for answers")
	cmd.Flags().IntVar(&f.count, "count", 1, "how often each message is published")
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "messages a second at most; 0: no limit")
	return cmd
}

func (f *pubFlags) publishAll(ctx context.Context, c *pubsub.Conn, name string, data []string) error {
	p := publisher{pubFlags: f, conn: c, name: name}
	for _, d := range data {
		if err := p.publish(ctx, d); err != nil {
			return err
		}
	}
	return c.Flush(ctx)
}

func (f *pubFlags) publishLines(ctx context.Context, c *pubsub.Conn, name string, in io.Reader) error {
	p := publisher{pubFlags: f, conn: c, name: name}
	input := newLines(in)
	defer input.close()
	for {
		select {
		case line, ok := <-input.read():
			if !ok {
				return c.Flush(ctx)
			}
			if err := p.publish(ctx, line); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// publisher keeps to the rate.
type publisher struct {
	*pubFlags
	conn *pubsub.Conn
	name string
	sent int
	from time.Time
}

func (p *publisher) publish(ctx context.Context, data string) error {
	m, err := p.message(p.name, data)
	if err != nil {
		return err
	}
	for range p.count {
		if p.rate > 0 {
			if err := p.wait(ctx); err != nil {
				return err
			}
		}
		if err := p.conn.PublishMsg(ctx, m); err != nil {
			return err
		}
		p.sent++
	}
	return nil
}

// wait waits until the next message is due.
func (p *publisher) wait(ctx context.Context) error {
	if p.sent == 0 {
		p.from = time.Now()
		return nil
	}
	due := p.from.Add(time.Duration(float64(p.sent) / p.rate * float64(time.Second)))
	if d := time.Until(due); d > 0 {
		return pause(ctx, d)
	}
	return nil
}
