// Command roundhouse is the server: it relays requests to back-end servers that have connected to it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"roundhouse/cmd/process"
	"roundhouse/enginepool/proc"
	"roundhouse/server"
	"roundhouse/server/access"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/logfile"
)

func main() {
	if err := proc.SealDescriptors(); err != nil {
		fmt.Fprintln(os.Stderr, "roundhouse: warning:", err)
	}
	handover.Inherit()
	os.Exit(run(arguments(os.Args), os.Environ(), os.Stdout, os.Stderr))
}

// run is main without the process around it; it returns the exit code.
func run(args, environ []string, out, errOut io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteC()
	var ended *exitError
	switch {
	case err == nil:
		return process.ExitOK
	case errors.As(err, &ended):
		if ended.err != nil {
			fmt.Fprintln(errOut, ended.err)
		}
		return ended.code
	default: // cobra did not understand the command line
		fmt.Fprintf(errOut, "roundhouse: %v\nsee: %s --help\n", err, cmd.CommandPath())
		return process.ExitUsage
	}
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error // printed, unless it is nil
}

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "roundhouse",
		Short: "A relay for servers that cannot be reached from outside",
		Long: "roundhouse serve, without any file, runs a demonstration on loopback and says how to try it.\n\n" +
			"Exit codes: 0, 1 runtime, 2 usage, 3 ended by a second signal, 78 configuration.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newServe(environ), newCheck(environ), newImport(environ), newCall(environ), newEngine(), newEngines(environ),
		newPub(environ), newSub(environ), newRequest(environ), newReload(environ), newRshost(environ), newVersion())
	root.AddCommand(newOrders(environ)...)
	return root
}

// addSources gives cmd the flags that say where the configuration comes from.
func addSources(cmd *cobra.Command, s *config.Sources) {
	cmd.Args = cobra.NoArgs
	flags := cmd.Flags()
	flags.StringVarP(&s.TOML, "config", "c", "", "read a TOML `file`")
	flags.StringVar(&s.RSConfig, "rs-config", "", "read an rs.config `file`")
	flags.StringVar(&s.EServer, "eserver", "", "read an eserver.cfg `file`")
	flags.StringVar(&s.RTServer, "rtserver", "", "read an rtserver.cm `file`, after the files of the same name in RTHOME/standard and HOME")
	flags.StringArrayVar(&s.Set, "set", nil, "set one `key=value`, as relay.listen=:8080; may be given several times")
	flags.BoolVarP(&s.ExpandEnv, "expand-env", "e", false, "make ${NAME} and ${NAME:-DEFAULT} in values of the rs.config stand for environment variables")
	flags.BoolVar(&s.Strict, "strict", false, "make an unknown property of the rs.config, key of the eserver.cfg or option of the rtserver.cm a mistake, and a file with secrets that everybody may read")
	cmd.PreRunE = func(*cobra.Command, []string) error { return noEmptyFile(cmd) }
	s.Echo = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
}

// noEmptyFile refuses a file without a name, as of a variable of a shell that is not set: without any file the demonstration would run.
func noEmptyFile(cmd *cobra.Command) error {
	for _, name := range []string{"config", "rs-config", "eserver", "rtserver"} {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return fmt.Errorf("flag --%s: no name of a file", name)
		}
	}
	return nil
}

// load reads the configuration. Warnings go to warn.
func load(s config.Sources, warn func(config.Warning)) (*config.Config, error) {
	cfg, warnings, err := config.Load(s)
	for _, w := range warnings {
		warn(w)
	}
	if err != nil {
		return nil, &exitError{process.ExitConfig, err}
	}
	return cfg, nil
}

func newServe(environ []string) *cobra.Command {
	sources := config.Sources{Environ: environ, Look: server.Look}
	var test, dump bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server until SIGTERM or SIGINT; a second one ends it at once; SIGUSR2 replaces it",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if test || dump {
				return check(cmd, sources, dump)
			}
			collectLate()
			return serveUntilSignal(cmd, serving{sources: sources})
		},
	}
	addSources(cmd, &sources)
	cmd.Flags().BoolVarP(&test, "test", "t", false, "check the configuration and end, as roundhouse check")
	cmd.Flags().BoolVarP(&dump, "dump", "T", false, "check the configuration, print it with secrets masked, and end")
	return cmd
}

// collectAt is how much garbage there may be, in percent of what is in use, before it is collected. What a request or a message takes is
// not allocated, so that collections are rare; memory is what idle connections and subscriptions cost. GOGC of the environment wins.
const collectAt = 50

func collectLate() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}

// serving is how the server is run.
type serving struct {
	sources     config.Sources
	truncateLog bool // the log file is emptied first
}

func serveUntilSignal(cmd *cobra.Command, how serving) error {
	signals := hangUps()
	var warnings []config.Warning
	cfg, err := load(how.sources, func(w config.Warning) { warnings = append(warnings, w) })
	if err == nil {
		err = checkAccess(cfg, slog.New(slog.DiscardHandler)) // what it would say is said at the start
	}
	if err != nil {
		return err
	}
	logTo, file, err := openLog(cfg.Log, how.truncateLog, cmd.ErrOrStderr())
	if err != nil {
		return &exitError{process.ExitConfig, fmt.Errorf("roundhouse: log.file: %w", err)}
	}
	if file != nil {
		defer file.Close() // every record was written when it was made
	}
	lines := config.NewLineWriter(logTo)
	defer lines.Close() // cannot fail
	log := config.NewLogger(lines, cfg.Log.Format, cfg.Log.MinLevel())
	for _, w := range warnings {
		log.Warn("configuration", "file", w.File, "line", w.Line, "warning", w.Text)
	}
	ctx, stop := process.NotifyContext(cmd.Context(), log, lines.Close)
	defer stop()
	ctx, stop = process.ReplaceContext(ctx, log, func(ctx context.Context) error { return handover.Start(ctx, log) })
	defer stop()
	if err := runServer(ctx, cfg, &reloader{sources: how.sources, log: log, file: file, signals: signals}, log); err != nil {
		return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: %w", err)}
	}
	return nil
}

// openLog returns where the log goes, and the file of it if it is one. The file of the process in whose place this one comes is not emptied.
func openLog(cfg config.Log, truncate bool, errOut io.Writer) (io.Writer, *logfile.File, error) {
	if cfg.File == "" {
		return errOut, nil, nil
	}
	f, err := logfile.Open(cfg.File, logfile.Options{MaxSize: cfg.MaxSize, Truncate: truncate && !handover.Succeeds()})
	return f, f, err
}

func newCheck(environ []string) *cobra.Command {
	sources := config.Sources{Environ: environ, Look: server.Look}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration: 0 when it is right, 78 and every mistake when not, 1 for warnings with --strict",
		RunE:  func(cmd *cobra.Command, _ []string) error { return check(cmd, sources, false) },
	}
	addSources(cmd, &sources)
	return cmd
}

func check(cmd *cobra.Command, sources config.Sources, dump bool) error {
	warnings := 0
	cfg, err := load(sources, func(w config.Warning) {
		warnings++
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
	})
	if err == nil {
		err = checkAccess(cfg, config.NewLogger(cmd.ErrOrStderr(), "text", slog.LevelWarn))
	}
	switch {
	case err != nil:
		return err
	case dump:
		err = config.Dump(cmd.OutOrStdout(), cfg)
	case warnings > 0 && sources.Strict:
		err = fmt.Errorf("the configuration is right; warnings: %d", warnings)
	default:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is right")
	}
	if err != nil {
		return &exitError{process.ExitRuntime, err}
	}
	return nil
}

// checkAccess reads the files that say who may do what. log gets what is accepted and hardly meant.
func checkAccess(cfg *config.Config, log *slog.Logger) error {
	rules, mistakes := access.FromConfig(&cfg.Access)
	if err := errors.Join(mistakes...); err != nil {
		return &exitError{process.ExitConfig, err}
	}
	guard, err := access.New(rules, log)
	if err != nil {
		return &exitError{process.ExitConfig, err}
	}
	guard.Close()
	return nil
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(process.ReadBuild())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "roundhouse", process.ReadBuild())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}
