// Command rsoe is the outbound enabler: it stands beside a back-end server and connects it to the relays.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"roundhouse/cmd/process"
	"roundhouse/server/config"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main without the process around it; it returns the exit code.
func run(args []string, env func(string) string, out, errOut io.Writer) int {
	enabler, warnings, err := config.ParseEnabler(args, env, os.ReadFile)
	switch {
	case errors.Is(err, config.ErrHelp):
		fmt.Fprint(out, config.EnablerUsage)
		return process.ExitOK
	case errors.Is(err, config.ErrVersion):
		fmt.Fprintln(out, "rsoe", process.ReadBuild())
		return process.ExitOK
	case err != nil || enabler.Check:
		for _, w := range warnings {
			fmt.Fprintf(errOut, "warning: %s\n", w)
		}
		return report(err, out, errOut)
	}
	logTo, err := openLog(enabler, errOut)
	if err != nil {
		fmt.Fprintf(errOut, "rsoe: %v\n", err)
		return process.ExitConfig
	}
	if file, ok := logTo.(io.Closer); ok && enabler.LogFile != "" {
		defer file.Close() // every record was written when it was made
	}
	lines := config.NewLineWriter(logTo)
	defer lines.Close() // cannot fail
	log := config.NewLogger(lines, enabler.LogFormat, config.VerbosityLevel(enabler.Verbosity))
	for _, w := range warnings {
		log.Warn("command line", "file", w.File, "line", w.Line, "warning", w.Text)
	}
	return serve(enabler, log, lines, errOut)
}

// report prints what a check has found: nil or an error of ParseEnabler.
func report(err error, out, errOut io.Writer) int {
	if err == nil {
		fmt.Fprintln(out, "the command line is right")
		return process.ExitOK
	}
	fmt.Fprintf(errOut, "%v\nsee: rsoe -h\n", err)
	var mistakes *config.Error
	if errors.As(err, &mistakes) && mistakes.InFiles() {
		return process.ExitConfig
	}
	return process.ExitUsage
}

func serve(enabler *config.Enabler, log *slog.Logger, lines *config.LineWriter, errOut io.Writer) int {
	ctx, stop := process.NotifyContext(context.Background(), log, lines.Close)
	defer stop()
	if err := runEnabler(ctx, enabler, log); err != nil {
		fmt.Fprintf(errOut, "rsoe: %v\n", err)
		return process.ExitRuntime
	}
	return process.ExitOK
}

// openLog returns where the log goes.
func openLog(enabler *config.Enabler, errOut io.Writer) (io.Writer, error) {
	if enabler.LogFile == "" {
		return errOut, nil
	}
	mode := os.O_APPEND
	if enabler.LogTruncate {
		mode = os.O_TRUNC
	}
	return os.OpenFile(enabler.LogFile, os.O_CREATE|os.O_WRONLY|mode, 0o640)
}
