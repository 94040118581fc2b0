package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"roundhouse/cmd/process"
	"roundhouse/server/config"
)

func newImport(environ []string) *cobra.Command {
	var sources config.Sources
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Print the TOML that the files of the original products amount to, secrets in clear",
		Long: "Print the TOML that the files amount to: what differs from the defaults, secrets in clear.\n\n" +
			"roundhouse serve -c with that file does what it does with the files themselves. Variables ROUNDHOUSE_... are left out, since serve reads them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sources.TOML+sources.RSConfig+sources.EServer+sources.RTServer == "" {
				return &exitError{process.ExitUsage, fmt.Errorf("roundhouse: import: no file\nsee: %s --help", cmd.CommandPath())}
			}
			sources.Environ = without(environ, "ROUNDHOUSE_")
			return importFiles(cmd, sources)
		},
	}
	addSources(cmd, &sources)
	return cmd
}

// without returns the variables whose names do not start with prefix.
func without(environ []string, prefix string) []string {
	var rest []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, prefix) {
			rest = append(rest, pair)
		}
	}
	return rest
}

func importFiles(cmd *cobra.Command, sources config.Sources) error {
	cfg, err := load(sources, func(w config.Warning) { fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w) })
	if err != nil {
		return err
	}
	var text bytes.Buffer // all or nothing: half a file would be a configuration, too
	if err := config.Export(&text, cfg); err != nil {
		return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: import: %w", err)}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "# Made by roundhouse import of %s.\n", strings.Join(filesOf(sources), ", "))
	if _, err := text.WriteTo(cmd.OutOrStdout()); err != nil {
		return &exitError{process.ExitRuntime, err}
	}
	return nil
}

// filesOf returns the files of s, quoted.
func filesOf(s config.Sources) []string {
	var all []string
	for _, file := range []string{s.TOML, s.RSConfig, s.EServer, s.RTServer} {
		if file != "" {
			all = append(all, fmt.Sprintf("%q", file))
		}
	}
	return all
}
