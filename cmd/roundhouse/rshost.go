package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"roundhouse/cmd/process"
	"roundhouse/server"
	"roundhouse/server/config"
)

// rshostName is the name under which the program takes the command line of the original's state manager.
const rshostName = "rshost"

// arguments returns the arguments of a command line: under the name of rshost, those of roundhouse rshost.
func arguments(argv []string) []string {
	if len(argv) > 0 && filepath.Base(argv[0]) == rshostName {
		return append([]string{rshostName}, argv[1:]...)
	}
	return argv[min(1, len(argv)):]
}

const rshostUsage = `Usage: rshost [-f FILE] [-e] [-o FILE | -ot FILE] [-os SIZE] [-q] [-qc] [-oq]
       rshost -u [-f FILE]
       rshost -ua [-f FILE]

Runs the relay server with an rs.config, as roundhouse serve --rs-config FILE, with log lines of the original's shape; or gives orders
to the one that runs: it is asked at the admin listener that the file names as x_admin_listen, else at 127.0.0.1:8081.

  -f FILE    the configuration; rs.config
  -e         make ${NAME} and ${NAME:-DEFAULT} in its values stand for environment variables
  -o FILE    append the log to a file; standard error
  -ot FILE   the same, but empty it first
  -os SIZE   put the log file away as yymmddnn.olg when it has so many bytes, as 10M or 500K; at least 10K
  -u         have the running server apply the file; with mistakes in it nothing is changed
  -ua        put the log of the running server away as yymmddnn.log and begin it anew
  -q -qc -oq without effect here: there is no window

Exit codes: 0, 1 runtime, or the running server cannot be asked; 2 usage; 78 and every mistake when the file has some.
`

// rshostOptions are what a command line of rshost says.
type rshostOptions struct {
	file, log, size string
	truncate        bool
	expand          bool
	update, archive bool
	help            bool
}

// minLogSize is the least size of -os.
const minLogSize = "10K"

// parseRshost reads the command line.
func parseRshost(args []string) (o rshostOptions, err error) {
	o.file = "rs.config"
	values := map[string]*string{"-f": &o.file, "-o": &o.log, "-ot": &o.log, "-os": &o.size}
	flags := map[string]*bool{"-e": &o.expand, "-u": &o.update, "-ua": &o.archive, "-h": &o.help, "-?": &o.help, "--help": &o.help}
	for i := 0; i < len(args); i++ {
		name := args[i]
		if value := values[name]; value != nil {
			if i++; i == len(args) || args[i] == "" {
				return o, fmt.Errorf("option %s: no value", name)
			}
			*value = args[i]
			o.truncate = o.truncate && name != "-o" || name == "-ot"
			continue
		}
		switch flag := flags[name]; {
		case flag != nil:
			*flag = true
		case name != "-q" && name != "-qc" && name != "-oq":
			return o, fmt.Errorf("%q: no such option", name)
		}
	}
	if o.size == "" {
		return o, nil
	}
	if size, ok := config.ParseSize(o.size); !ok || size < 10<<10 {
		return o, fmt.Errorf("option -os: value %q: a size of at least %s, as 500K or 10M", o.size, minLogSize)
	}
	return o, nil
}

func newRshost(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:                rshostName,
		Short:              "Take the command line of the original's rshost: serve an rs.config, or give orders to the server that does",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := parseRshost(args)
			switch {
			case err != nil:
				return &exitError{process.ExitUsage, fmt.Errorf("rshost: %w\n%s", err, rshostUsage)}
			case o.help:
				fmt.Fprint(cmd.OutOrStdout(), rshostUsage)
				return nil
			case o.update || o.archive:
				return o.order(cmd, environ)
			}
			collectLate()
			return serveUntilSignal(cmd, serving{sources: o.sources(environ), truncateLog: o.truncate})
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), rshostUsage) })
	return cmd
}

// sources says where the configuration of a server comes from. The form of the log is that of the original unless the environment says otherwise.
func (o *rshostOptions) sources(environ []string) config.Sources {
	s := config.Sources{Environ: environ, RSConfig: o.file, ExpandEnv: o.expand, Look: server.Look}
	form := "log.format=rs"
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, "ROUNDHOUSE_LOG_FORMAT="); ok {
			form = "log.format=" + value
		}
	}
	s.Set = append(s.Set, form)
	if o.log != "" {
		s.Set = append(s.Set, "log.file="+o.log)
	}
	if o.size != "" {
		s.Set = append(s.Set, "log.max_size="+o.size)
	}
	return s
}

// order asks the running server.
func (o *rshostOptions) order(cmd *cobra.Command, environ []string) error {
	cfg, err := load(config.Sources{Environ: environ, RSConfig: o.file, ExpandEnv: o.expand}, func(w config.Warning) {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
	})
	if err != nil {
		return err
	}
	addr, err := adminAddr(cfg.Admin.Listen)
	if err != nil {
		return &exitError{process.ExitRuntime, fmt.Errorf("rshost: %w", err)}
	}
	at := adminAt{addr, cfg.Admin.Token}
	if o.archive {
		if err := archiveLog(cmd.Context(), cmd, at); err != nil {
			return err
		}
	}
	if !o.update {
		return nil
	}
	path, err := filepath.Abs(o.file)
	if err != nil {
		return &exitError{process.ExitRuntime, fmt.Errorf("rshost: %w", err)}
	}
	return reload(cmd.Context(), at, url.Values{"rs_config": {path}}, cmd.OutOrStdout())
}

func archiveLog(ctx context.Context, cmd *cobra.Command, at adminAt) error {
	name, err := at.order(ctx, http.MethodPost, "log/archive", nil)
	if errors.Is(err, errRefused) {
		err = errors.New(name)
	}
	if err != nil {
		return &exitError{process.ExitRuntime, fmt.Errorf("rshost: %w", err)}
	}
	fmt.Fprintln(cmd.OutOrStdout(), name)
	return nil
}

// adminAddr returns where the admin listener with that configuration is reached from this machine.
func adminAddr(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	switch {
	case listen == "":
		return "", errors.New("the file says that there is no admin listener: the running server cannot be asked")
	case err != nil:
		return "", err
	case port == "0":
		return "", errors.New("the file names no port for the admin listener: the running server cannot be found")
	}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
		if addr.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
