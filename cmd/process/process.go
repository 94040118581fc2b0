// Package process holds what the programs have in common as processes: exit codes, signals and the version.
package process

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Exit codes. A supervisor should not start the program again after ExitUsage and ExitConfig.
const (
	ExitOK      = 0
	ExitRuntime = 1  // it ran, and failed
	ExitUsage   = 2  // the command line cannot be understood
	ExitForced  = 3  // a second signal ended it before it was done
	ExitConfig  = 78 // the configuration has mistakes: EX_CONFIG of sysexits.h
)

// NotifyContext returns a context that ends with the first SIGINT or SIGTERM. The second ends the process at once,
// after it has called flush. The returned function gives the signals back.
func NotifyContext(parent context.Context, log *slog.Logger, flush func() error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2) // one each: signals beyond them mean nothing more
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan struct{})
	exit := func(code int) {
		_ = flush() // the process ends either way
		os.Exit(code)
	}
	go watch(signals, stopped, cancel, log, exit) // ends with stopped, or with the process; nobody waits
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}

func watch(signals <-chan os.Signal, stopped <-chan struct{}, cancel func(), log *slog.Logger, exit func(int)) {
	select {
	case s := <-signals:
		log.Info("draining; a second signal ends the process at once", "signal", s.String())
		cancel()
	case <-stopped:
		return
	}
	select {
	case s := <-signals:
		log.Error("ended before everything was done", "signal", s.String())
		exit(ExitForced)
	case <-stopped:
	}
}

// Build is what is known about how the program was made.
type Build struct {
	Version string `json:"version"`          // of the module; devel outside a release
	Commit  string `json:"commit,omitempty"` // empty where the build does not record it
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// ReadBuild returns how this program was made.
func ReadBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}

// String returns one line.
func (b Build) String() string {
	s := b.Version
	if b.Commit != "" {
		s += " (" + b.Commit + ")"
	}
	return s + " " + b.Go + " " + b.OS + "/" + b.Arch
}
