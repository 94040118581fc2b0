package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"roundhouse/cmd/process"
	"roundhouse/server"
	"roundhouse/server/config"
	"roundhouse/server/logfile"
)

// reloader reads the configuration again: at each SIGHUP, and when an administrator asks for it. It is safe for concurrent use.
type reloader struct {
	sources config.Sources
	log     *slog.Logger
	file    *logfile.File    // of the log; nil: it is written to standard error
	signals <-chan os.Signal // see hangUps

	mu sync.Mutex // held during a reload
}

// hangUps takes the SIGHUPs of the process from now on: one that nobody waits for must not end it. More than one mean the same.
func hangUps() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals
}

// serve has s take its orders from r, and reloads at each SIGHUP until ctx ends; those after it do nothing.
func (r *reloader) serve(ctx context.Context, s *server.Server) {
	reload := func(rsConfig string) (server.Reloaded, error) { return r.reload(s, rsConfig) }
	s.SetHooks(server.Hooks{Reload: reload, ArchiveLog: r.archive, LogTail: r.tail,
		Configure: func(text []byte, dryRun bool) (server.Reloaded, []string, error) { return r.configure(s, text, dryRun) }})
	go func() { // ends with the process; nobody waits
		for range r.signals {
			if ctx.Err() != nil {
				r.log.Warn("the configuration is not read again: this process drains")
				continue
			}
			_, _ = reload("") // which has logged what came of it
		}
	}()
}

// reload puts what the files say now in force, and logs the outcome. rsConfig, unless it is empty, is read in place of the rs.config.
func (r *reloader) reload(s *server.Server, rsConfig string) (server.Reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Look() // programs that rotate logs send SIGHUP when they have moved them
	}
	sources := r.sources
	sources.ReadFile = readPlain
	if rsConfig != "" {
		sources.RSConfig = rsConfig
	}
	cfg, err := load(sources, func(w config.Warning) {
		r.log.Warn("configuration", "file", w.File, "line", w.Line, "warning", w.Text)
	})
	if err != nil {
		if ended := (*exitError)(nil); errors.As(err, &ended) {
			err = ended.err
		}
		s.ReloadFailed()
		r.log.Error("the configuration was not read again: it has mistakes", "error", err)
		return server.Reloaded{}, err
	}
	done, err := s.Reload(cfg)
	if err != nil {
		r.log.Error("the configuration was not put in force", "error", err)
		return server.Reloaded{}, err
	}
	config.SetLevel(r.log, cfg.Log.MinLevel())
	return done, nil
}

// archive puts the log file away.
func (r *reloader) archive() (name string, err error) {
	if r.file == nil {
		return "", nil
	}
	return r.file.Archive()
}

var errNotPlain = fmt.Errorf("not a file of at most %d bytes", config.MaxFile)

// readPlain reads a file of usual size: one that does not end, or waits for a writer, would hold the reload for ever.
func readPlain(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > config.MaxFile {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNotPlain}
	}
	return os.ReadFile(path)
}

// orderTime is how long a running server may take to do what it is asked for.
const orderTime = time.Minute

var errRefused = errors.New("refused") // by the server, whose answer says why

// adminAt is where a server takes orders, and what it asks for.
type adminAt struct{ addr, token string }

// tokenVariable is the variable of the environment that the server takes its token from as well.
const tokenVariable = "ROUNDHOUSE_ADMIN_TOKEN"

// adminToken is the token of the environment; empty: there is none.
func adminToken(environ []string) (token string) {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, tokenVariable+"="); ok {
			token = value
		}
	}
	return token
}

// authorize shows the token, if there is one.
func (a adminAt) authorize(r *http.Request) {
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
}

// order has the server do something, and returns its answer. One of 409 is an errRefused.
func (a adminAt) order(ctx context.Context, method, action string, form url.Values) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+"/api/"+action, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a.authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTableSize))
	answer := strings.Split(strings.TrimSpace(string(body)), "\n")
	for i := range answer {
		answer[i] = printable(answer[i])
	}
	text := strings.Join(answer, "\n")
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusConflict:
		return text, errRefused
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s: %s", resp.Status, text)
	}
	return text, nil
}

// reload has a running server read its configuration again and prints what it says.
func reload(ctx context.Context, at adminAt, form url.Values, out io.Writer) error {
	text, err := at.order(ctx, http.MethodPost, "reload", form)
	switch {
	case errors.Is(err, errRefused):
		return &exitError{process.ExitConfig, errors.New(text)}
	case err != nil:
		return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: %w", err)}
	}
	if _, err = fmt.Fprintln(out, text); err != nil {
		return &exitError{process.ExitRuntime, err}
	}
	return nil
}

func newReload(environ []string) *cobra.Command {
	at := adminAt{token: adminToken(environ)}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running server read its configuration again, as SIGHUP does",
		Long: "Asks the admin listener of a server that runs here. It reads all its files and puts them in force without interruption, or\n" +
			"changes nothing when they have mistakes. What cannot be changed without a new start is printed.\n\n" +
			"Exit codes: 0, 1 when the server cannot be asked, 78 and every mistake when the files have some.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reload(cmd.Context(), at, nil, cmd.OutOrStdout())
		},
	}
	at.flag(cmd.Flags())
	return cmd
}
