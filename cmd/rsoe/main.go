// Command rsoe is the outbound enabler: it stands beside a back-end server and connects it to the relays.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"roundhouse/cmd/process"
	"roundhouse/server/config"
	"roundhouse/server/handover"
	"roundhouse/server/outbound"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main without the process around it; it returns the exit code.
func run(args []string, env func(string) string, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == "service" {
		return runService(args[1:], env, out, errOut)
	}
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
		return report(err, enabler, out, errOut)
	case enabler.Stop:
		return stopRunning(runDirs(env), enabler.Farm, enabler.ID, out, errOut)
	case enabler.Daemon && env(detachedEnv) == "":
		return detach(args, out, errOut)
	}
	log, err := openLogs(enabler, errOut)
	if err != nil {
		fmt.Fprintf(errOut, "rsoe: %v\n", err)
		return process.ExitConfig
	}
	defer log.close()
	for _, w := range warnings {
		log.Warn("command line", "file", w.File, "line", w.Line, "warning", w.Text)
	}
	return serve(enabler, runDirs(env), log, errOut)
}

// report prints what a check has found: nil or an error of ParseEnabler, and what is wrong with the files that the command line names.
func report(err error, enabler *config.Enabler, out, errOut io.Writer) int {
	if err == nil {
		if err := outbound.CheckFiles(enabler); err != nil {
			fmt.Fprintf(errOut, "rsoe: %v\n", err)
			return process.ExitConfig
		}
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

func serve(enabler *config.Enabler, dirs []string, log *logs, errOut io.Writer) int {
	ctx, stop := process.NotifyContext(context.Background(), log.Logger, log.flush)
	defer stop()
	if running, err := announceIn(dirs, enabler.Farm, enabler.ID); err != nil {
		log.Warn("rsoe -s will not find this enabler", "error", err)
	} else {
		defer running.end()
	}
	attached(log.Logger)
	defer context.AfterFunc(ctx, func() { handover.Stopping(log.Logger) })()
	started := func(e *outbound.Enabler) { go handover.Watchdog(ctx, log.Logger, e.Beat) } // ends with ctx; nobody waits
	ready := func() { go handover.Ready(log.Logger) }                                      // ends when systemd has been told; nobody waits
	if err := runEnabler(ctx, enabler, log.Logger, outbound.Hooks{Started: started, Ready: ready, Records: log.records, Dropped: log.dropped}); err != nil {
		fmt.Fprintf(errOut, "rsoe: %v\n", err)
		return process.ExitRuntime
	}
	return process.ExitOK
}
