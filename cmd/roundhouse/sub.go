package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"roundhouse/client/pubsub"
	"roundhouse/routing/subject"
)

// subFlags are what the command line of roundhouse sub says.
type subFlags struct {
	routerFlags
	raw, noBalancing bool
	count            int
}

func newSub(environ []string) *cobra.Command {
	var f subFlags
	cmd := &cobra.Command{
		Use:   "sub [flags] SUBJECT...",
		Short: "Print the messages of subjects",
		Long: "Prints a line for each message that is published to the subjects: its subject, a tab, and what it holds. Data that are no\n" +
			"text are escaped as \\xHH, a message with typed fields is a line of a text message file. In a subject * stands for any bytes\n" +
			"of a component, ... for any number of components: quote them for the shell. A message that several of the subjects match is\n" +
			"printed once.\n\n" +
			"It ends with Ctrl-C or SIGTERM, or after --count messages.\n\n" +
			"Exit codes: 0, 1 when there is no connection or it cannot print, 2 usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, environ, func(ctx context.Context, c *pubsub.Conn) error {
				return f.print(ctx, c, args, cmd.OutOrStdout())
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.raw, "raw", false, "print only what the messages hold, as it is, each with a line feed behind it")
	cmd.Flags().IntVar(&f.count, "count", 0, "end after so many messages; 0: go on")
	cmd.Flags().BoolVar(&f.noBalancing, "no-balancing", false, "get also what is balanced between subscribers, whoever else gets it")
	return cmd
}

const printRoom = 1024 // messages that wait to be printed; then those of the subscriptions wait

func (f *subFlags) print(ctx context.Context, c *pubsub.Conn, names []string, out io.Writer) error {
	var options []pubsub.SubscribeOption
	if f.noBalancing {
		options = append(options, pubsub.NoBalancing())
	}
	messages := make(chan *pubsub.Msg, printRoom)
	var earlier []string
	for _, name := range names {
		before := earlier
		s, err := c.Subscribe(ctx, name, func(m *pubsub.Msg) {
			if slices.ContainsFunc(before, func(pattern string) bool { return subject.Matches(pattern, m.Subject) }) {
				return // it is printed for that one
			}
			select {
			case messages <- m:
			case <-ctx.Done():
			case <-c.Closed():
			}
		}, options...)
		if err != nil {
			return err
		}
		earlier = append(earlier, s.Subject())
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	for n := 0; f.count <= 0 || n < f.count; n++ {
		if len(messages) == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		select {
		case m := <-messages:
			f.write(w, m)
		case <-ctx.Done():
			return nil // the way to end it
		case <-c.Closed():
			return c.Err()
		}
	}
	return w.Flush()
}

// write prints one message; its error comes with Flush.
func (f *subFlags) write(w *bufio.Writer, m *pubsub.Msg) {
	if f.raw {
		_, _ = w.Write(m.Data)
		_ = w.WriteByte('\n')
		return
	}
	fmt.Fprintf(w, "%s\t%s\n", oneLine([]byte(m.Subject)), payload(m))
}
