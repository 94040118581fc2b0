package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"roundhouse/cmd/process"
)

// enginesClient asks the admin listener of a server.
type enginesClient struct {
	adminAt
	out io.Writer
}

const (
	refreshTime  = time.Second
	tableTime    = 10 * time.Second // for an answer; the waiting of wait comes on top
	maxTableSize = 64 << 20
)

// The ANSI codes of a terminal: to the top left corner; and clear to the end of a line, and of the screen.
const (
	ansiHome, ansiLineEnd, ansiEnd = "\x1b[H", "\x1b[K", "\x1b[J"
	ansiClear                      = "\x1b[2J"
)

func newEngines(environ []string) *cobra.Command {
	c := &enginesClient{adminAt: adminAt{token: adminToken(environ)}}
	var once, watch, asJSON bool
	cmd := &cobra.Command{
		Use:   "engines",
		Short: "Show the engines of a server, and what waits for them",
		Long: "Shows the engines of a server that runs here, from its admin listener, and the requests that wait. On a terminal the table is\n" +
			"refreshed every second until Ctrl-C.\n\n" +
			"Exit codes: 0, 1 when the server cannot be asked or refuses, 2 usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.out = cmd.OutOrStdout()
			if watch || !once && !asJSON && isTerminalOut(c.out) {
				return c.watch(cmd.Context(), asJSON)
			}
			return c.ended(c.show(cmd.Context(), asJSON))
		},
	}
	c.flag(cmd.PersistentFlags())
	cmd.Flags().BoolVar(&once, "once", false, "show the table once, on a terminal too")
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh the table every second, not only on a terminal")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: {\"engines\": [...], \"queues\": [...]}, once unless --watch is given")
	cmd.MarkFlagsMutuallyExclusive("once", "watch")
	c.addActions(cmd)
	return cmd
}

// engineAction is a subcommand that the server does.
type engineAction struct {
	use, short, path string
	args             []string // what the arguments are called in the form; the last one may be repeated
	count            cobra.PositionalArgs
}

func (c *enginesClient) addActions(cmd *cobra.Command) {
	for _, a := range []engineAction{
		{"stop ENGINE", "Stop an engine when its request is over", "stop", []string{"engine"}, cobra.ExactArgs(1)},
		{"kill ENGINE", "Kill an engine; its client is told", "kill", []string{"engine"}, cobra.ExactArgs(1)},
		{"break ENGINE", "Break the request of an engine", "break", []string{"engine"}, cobra.ExactArgs(1)},
		{"recycle", "Replace all engines of the pool, one by one", "recycle", nil, cobra.NoArgs},
		{"pause [APPLICATION | USER@APPLICATION | PROCEDURE]...", "Let requests wait; without a name, all of the pool", "pause", []string{"only"}, cobra.ArbitraryArgs},
		{"resume [NAME]...", "End a pause; without a name, all", "resume", []string{"only"}, cobra.ArbitraryArgs},
		{"wait [SECONDS]", "Wait until no engine has a request, for at most 60 seconds", "wait-drain", []string{"seconds"}, cobra.MaximumNArgs(1)},
		{"set KEY VALUE", "Change a setting until the next reload, as pool.max_engines 5", "set", []string{"key", "value"}, cobra.ExactArgs(2)},
		{"reload", "Have the server read its configuration again", "reload", nil, cobra.NoArgs},
		{"drain", "End the server, as SIGTERM does", "drain", nil, cobra.NoArgs},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: a.use, Short: a.short, Args: a.count,
			RunE: func(cmd *cobra.Command, args []string) error {
				c.out = cmd.OutOrStdout()
				return c.ended(c.do(cmd.Context(), a, args))
			},
		})
	}
}

// ended makes the exit code of an error.
func (c *enginesClient) ended(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: %w", err)}
}

// do has the server do a, and prints what it says.
func (c *enginesClient) do(ctx context.Context, a engineAction, args []string) error {
	form := url.Values{}
	for i, arg := range args {
		form.Add(a.args[min(i, len(a.args)-1)], arg)
	}
	timeout := tableTime
	if a.path == "wait-drain" {
		timeout += time.Minute
		if n, err := strconv.Atoi(form.Get("seconds")); err == nil {
			timeout = tableTime + time.Duration(n)*time.Second
		}
	}
	body, err := c.ask(ctx, timeout, http.MethodPost, "/api/engines/"+a.path, form)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, printable(strings.TrimSpace(string(body))))
	return err
}

// ask makes a request of the admin listener.
func (c *enginesClient) ask(ctx context.Context, timeout time.Duration, method, path string, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTableSize))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, errors.New("that server has no engine door")
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New(printable(strings.TrimSpace(string(body))))
	}
	return body, nil
}

// engineTables are the tables of the admin listener.
type engineTables struct {
	Engines []engineRow `json:"engines"`
	Queues  []queueRow  `json:"queues"`
}

// engineRow is what is shown of an engine; the JSON output has all that the server tells.
type engineRow struct {
	Engine      string    `json:"engine"`
	Class       string    `json:"class"`
	State       string    `json:"state"`
	Application string    `json:"application"`
	User        string    `json:"user"`
	Procedure   string    `json:"procedure"`
	Client      string    `json:"client"`
	Started     time.Time `json:"started"`
	Requests    int64     `json:"requests"`
	Busy        float64   `json:"busy_seconds"`
	PID         int64     `json:"pid"`
	Resident    int64     `json:"resident_bytes"`
	Mode        int       `json:"mode"`
}

type queueRow struct {
	Application string  `json:"application"`
	User        string  `json:"user"`
	Procedure   string  `json:"procedure"`
	Waiting     int     `json:"waiting"`
	Oldest      float64 `json:"oldest_seconds"`
	Paused      bool    `json:"paused"`
}

// rows asks for one table.
func (c *enginesClient) rows(ctx context.Context, name string) (json.RawMessage, error) {
	body, err := c.ask(ctx, tableTime, http.MethodGet, "/api/"+name, nil)
	if err != nil {
		return nil, err
	}
	var table struct{ Rows json.RawMessage }
	if err := json.Unmarshal(body, &table); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if string(table.Rows) == "null" {
		return json.RawMessage("[]"), nil
	}
	return table.Rows, nil
}

// tables returns what there is to show, as text.
func (c *enginesClient) tables(ctx context.Context, asJSON bool) (string, error) {
	engines, err := c.rows(ctx, "engines")
	if err != nil {
		return "", err
	}
	queues, err := c.rows(ctx, "queues")
	if err != nil {
		return "", err
	}
	whole, err := json.Marshal(map[string]json.RawMessage{"engines": engines, "queues": queues})
	if err != nil || asJSON {
		return string(whole) + "\n", err
	}
	var t engineTables
	if err := json.Unmarshal(whole, &t); err != nil {
		return "", err
	}
	return t.text(time.Now()), nil
}

// text is the tables in columns.
func (t *engineTables) text(now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(columns ...string) {
		for i := range columns {
			columns[i] = strings.ReplaceAll(printable(columns[i]), "\t", " ")
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	line("ENGINE", "CLASS", "STATE", "APPLICATION", "USER", "PROCEDURE", "MODE", "CLIENT", "REQUESTS", "BUSY", "AGE", "PID", "MEMORY")
	for _, e := range t.Engines {
		busy := ""
		if e.Busy > 0 {
			busy = fmt.Sprintf("%.1fs", e.Busy)
		}
		memory := "" // not looked at yet
		if e.Resident > 0 {
			memory = fmt.Sprintf("%dM", e.Resident>>20)
		}
		line(e.Engine, e.Class, e.State, e.Application, e.User, e.Procedure, strconv.Itoa(e.Mode), e.Client, strconv.FormatInt(e.Requests, 10), busy,
			now.Sub(e.Started).Round(time.Second).String(), strconv.FormatInt(e.PID, 10), memory)
	}
	if len(t.Queues) > 0 {
		_ = w.Flush() // a Builder takes everything
		fmt.Fprintln(&b)
		line("WAITING", "OLDEST", "APPLICATION", "USER", "PROCEDURE", "")
	}
	for _, q := range t.Queues {
		paused := ""
		if q.Paused {
			paused = "paused"
		}
		line(strconv.Itoa(q.Waiting), fmt.Sprintf("%.1fs", q.Oldest), q.Application, q.User, q.Procedure, paused)
	}
	_ = w.Flush()
	return b.String()
}

func (c *enginesClient) show(ctx context.Context, asJSON bool) error {
	text, err := c.tables(ctx, asJSON)
	if err == nil {
		_, err = io.WriteString(c.out, text)
	}
	return err
}

// watch shows the tables again and again, until a signal. A server that cannot be asked is waited for, once it has answered.
func (c *enginesClient) watch(ctx context.Context, asJSON bool) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	refresh := time.NewTicker(refreshTime)
	defer refresh.Stop()
	terminal := isTerminalOut(c.out) && !asJSON
	for first := true; ; first = false {
		text, err := c.tables(ctx, asJSON)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return c.ended(err)
		case err != nil:
			text = err.Error() + "\n"
		}
		if _, err := io.WriteString(c.out, screen(text, terminal, first)); err != nil {
			return c.ended(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-refresh.C:
		}
	}
}

// screen writes text over what a terminal shows. It is not cleared first: that would flicker.
func screen(text string, terminal, first bool) string {
	if !terminal {
		return text
	}
	start := ansiHome
	if first {
		start = ansiClear + ansiHome
	}
	return start + strings.ReplaceAll(text, "\n", ansiLineEnd+"\n") + ansiEnd
}

// isTerminalOut tells whether a person reads w.
func isTerminalOut(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
