package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"roundhouse/client"
	"roundhouse/cmd/process"
)

const passwordVariable = "ROUNDHOUSE_PASSWORD"

// errShown stands for an error that was printed.
var errShown = errors.New("a command failed")

// callFlags are what the command line of roundhouse call says.
type callFlags struct {
	addr         string
	login        client.Credentials
	mode         string
	passwordFile string
	timeout      time.Duration

	call, events, list, times bool
}

func newCall(environ []string) *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call [flags] [parameter...]",
		Short: "Run something on an engine, or talk to one",
		Long: "Logs in at the engine door, makes one call with the parameters and prints its output.\n\n" +
			"In char mode (-m 1) without parameters each line of the input is a command; a question of the engine takes the next line as\n" +
			"its answer. Ctrl-C breaks the command that runs; twice between commands, or the end of the input, logs off.\n\n" +
			"The password is that of -p, else the first line of --password-file, else " + passwordVariable + " of the environment: other\n" +
			"users of the machine can see what stands behind -p.\n\n" +
			"Exit codes: 0, 1 when the (last) command failed, 2 usage.",
		RunE: func(cmd *cobra.Command, params []string) error { return f.run(cmd, environ, params) },
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the first parameter is one too, also -x
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8088", "`host:port` of the engine door")
	flags.StringVarP(&f.login.User, "user", "u", "", "user")
	flags.StringVarP(&f.login.Password, "password", "p", "", "password")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of a `file`")
	flags.StringVarP(&f.login.Application, "application", "a", "", "application")
	flags.StringVarP(&f.mode, "mode", "m", "0", "-1 JD3, 0 block, 1 char or 2 web; 1+ and -1+ do not throttle the output")
	flags.StringVar(&f.login.Procedure, "procedure", "", "procedure that is called; empty: the server's choice for the mode")
	flags.StringVar(&f.login.Server, "server", "", "engine to share, or to come back to")
	flags.StringVar(&f.login.UpFlags, "up-flags", "", "start-up flags, a number; negative: do not wait for an engine")
	flags.StringVar(&f.login.DownFlags, "down-flags", "", "shut-down flags, a number; 0 leaves the engine running")
	flags.StringVar(&f.login.Location, "location", "", "directory of the engine")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long the login and each command may take; 0: for ever")
	flags.BoolVar(&f.call, "call", false, "send code 4, call, in place of 3, execute")
	flags.BoolVar(&f.events, "events", false, "in JD3 mode send code 400: print output as it comes, and answer questions")
	flags.BoolVar(&f.list, "list", false, "print the engines, without a login")
	flags.BoolVar(&f.times, "times", false, "print when the server started, and its time, without a login")
	return cmd
}

func (f *callFlags) run(cmd *cobra.Command, environ, params []string) error {
	control := f.list || f.times
	switch f.login.Mode = client.Mode(f.mode); {
	case control && len(params) > 0:
		return errors.New("--list and --times take no parameters")
	case !control && len(params) == 0 && !f.isChar():
		return errors.New("nothing to call: give parameters, or -m 1 for a dialogue")
	}
	var err error
	if !control && !cmd.Flags().Changed("password") {
		if f.login.Password, err = readPassword(f.passwordFile, environ); err != nil {
			return &exitError{process.ExitRuntime, err}
		}
	}
	signals := make(chan os.Signal, 2) // more at once mean nothing more
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	c := &caller{callFlags: f, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), signals: signals}
	input := newLines(cmd.InOrStdin())
	defer input.close()
	c.input, c.terminal = input, isTerminal(cmd.InOrStdin())
	switch err := c.run(cmd.Context(), params); {
	case errors.Is(err, errShown):
		return &exitError{process.ExitRuntime, nil}
	case err != nil:
		return &exitError{process.ExitRuntime, err}
	}
	return nil
}

func (f *callFlags) isChar() bool {
	return f.login.Mode == client.Char || f.login.Mode == client.CharPush
}

// readPassword returns the first line of the file, if there is one, or what the environment says.
func readPassword(file string, environ []string) (password string, err error) {
	if file != "" {
		text, err := os.ReadFile(file)
		first, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(first, "\r"), err
	}
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, passwordVariable+"="); ok {
			password = value
		}
	}
	return password, nil
}

// caller makes the calls of one run of the program.
type caller struct {
	*callFlags
	conn        *client.Conn
	input       *lines
	out, errOut io.Writer
	signals     <-chan os.Signal
	terminal    bool // a person types
	terminated  bool // by SIGTERM
}

func (c *caller) run(ctx context.Context, params []string) error {
	err := c.guarded(ctx, nil, func(ctx context.Context) (err error) {
		if c.conn, err = client.Dial(ctx, c.addr, client.Options{}); err != nil || c.list || c.times {
			return err
		}
		_, err = c.conn.Login(ctx, c.login)
		return err
	})
	if c.conn != nil {
		defer c.conn.Close()
	}
	switch {
	case err != nil:
		return err
	case c.list || c.times:
		return c.guarded(ctx, nil, c.control)
	case len(params) == 0:
		err = c.dialogue(ctx)
	default:
		err = c.command(ctx, params)
	}
	if c.conn.Err() == nil {
		bye := c.guarded(ctx, nil, c.conn.Logoff)
		if err == nil {
			err = bye
		}
	}
	return err
}

// guarded runs f within the timeout and under the eye of the signals. The first interrupt calls onBreak; without it, the first, else
// the second, and every SIGTERM, end the context of f.
func (c *caller) guarded(ctx context.Context, onBreak func(context.Context) error, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("not done within %v", c.timeout))
		defer stop()
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() { // ends with f; guarded waits
		defer close(watched)
		for broken := onBreak == nil; ; broken = true {
			select {
			case s := <-c.signals:
				c.terminated = c.terminated || s == syscall.SIGTERM
				if broken || c.terminated {
					cancel(fmt.Errorf("ended by %v", s))
				} else if err := onBreak(ctx); err != nil {
					cancel(err)
				}
			case <-done:
				return
			}
		}
	}()
	err := f(ctx)
	close(done)
	<-watched
	return err
}

// command makes one call. What the server says about a failure is the error.
func (c *caller) command(ctx context.Context, params []string) error {
	run := c.conn.ExecuteEvents
	switch {
	case c.events:
		run = c.conn.CallEvents
	case c.call && c.isChar():
		run = c.conn.CallEvents
	case c.call:
		run = func(ctx context.Context, _ client.Events, params ...string) ([]byte, error) {
			return c.conn.Call(ctx, params...)
		}
	}
	var result []byte
	err := c.guarded(ctx, c.conn.Break, func(ctx context.Context) (err error) {
		result, err = run(ctx, client.Events{Output: c.print, Info: c.note, Ask: c.ask}, params...)
		return err
	})
	var failed *client.ServerError
	if errors.As(err, &failed) {
		result = failed.Output
	}
	if c.isChar() && err == nil {
		var status []byte
		if result, status = client.CutStatus(result); len(status) > 0 {
			defer fmt.Fprintf(c.errOut, "%s\n", status)
		}
	}
	if len(result) > 0 {
		if printed := c.print(result); err == nil {
			err = printed
		}
	}
	return err
}

func (c *caller) print(chunk []byte) error {
	_, err := c.out.Write(chunk)
	return err
}

func (c *caller) note(text string) error {
	_, err := fmt.Fprintln(c.errOut, text)
	return err
}

// ask shows a question and takes the next line of the input as the answer.
func (c *caller) ask(ctx context.Context, prompt string) (string, error) {
	if err := c.print([]byte(prompt)); err != nil {
		return "", err
	}
	select {
	case line, ok := <-c.input.read():
		if !ok {
			return "", errors.New("the input ended before a question was answered")
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// dialogue makes a call of each line. It returns the error of the last one, or that which broke the connection.
func (c *caller) dialogue(ctx context.Context) (last error) {
	for interrupted := false; ; {
		if c.terminal {
			fmt.Fprint(c.errOut, "> ")
		}
		select {
		case line, ok := <-c.input.read():
			if !ok {
				return last
			}
			interrupted = false
			if last = c.command(ctx, []string{line}); c.conn.Err() != nil || c.terminated {
				return last
			}
			if last != nil {
				fmt.Fprintln(c.errOut, last)
				last = errShown
			}
		case s := <-c.signals:
			if interrupted || s == syscall.SIGTERM {
				return last
			}
			interrupted = true
			fmt.Fprintln(c.errOut, "Ctrl-C again, or Ctrl-D, logs off")
		}
	}
}

// control prints what needs no login.
func (c *caller) control(ctx context.Context) error {
	if c.list {
		rows, err := c.conn.List(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if _, err := fmt.Fprintln(c.out, printable(strings.Join(row, "\t"))); err != nil {
				return err
			}
		}
	}
	if !c.times {
		return nil
	}
	started, now, err := c.conn.Times(ctx)
	if err == nil {
		_, err = fmt.Fprintf(c.out, "started %s\nnow     %s\n", started.Format(time.DateTime), now.Format(time.DateTime))
	}
	return err
}

// printable replaces what could move a terminal's cursor: the names of users and applications are their clients' words.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// lines reads an input by lines, once somebody wants one.
type lines struct {
	from   io.Reader
	ch     chan string // nil before the first read
	closed chan struct{}
}

func newLines(r io.Reader) *lines { return &lines{from: r, closed: make(chan struct{})} }

// read returns the channel of lines, which is closed at the end of the input.
func (l *lines) read() <-chan string {
	if l.ch == nil {
		l.ch = make(chan string)
		go l.pump() // ends with the input or, when it waits for the input, with the process
	}
	return l.ch
}

func (l *lines) pump() {
	defer close(l.ch)
	r := bufio.NewReader(l.from)
	for {
		line, err := r.ReadString('\n')
		if err != nil && line == "" {
			return
		}
		select {
		case l.ch <- strings.TrimRight(line, "\r\n"):
		case <-l.closed:
			return
		}
	}
}

func (l *lines) close() { close(l.closed) }
