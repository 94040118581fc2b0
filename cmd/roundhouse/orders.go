package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"roundhouse/cmd/process"
)

// flag adds the flag that says where the server takes orders.
func (a *adminAt) flag(flags *pflag.FlagSet) {
	flags.StringVar(&a.addr, "admin", "127.0.0.1:8081", "`host:port` of the admin listener; its token, if it has one, is "+tokenVariable+" of the environment")
}

// newOrders are the orders about back-end servers of the relay door.
func newOrders(environ []string) (all []*cobra.Command) {
	for _, o := range []struct {
		use, short, method, action string
		args                       cobra.PositionalArgs
	}{
		{"drain FARM[/SERVER]", "Send no new requests to a back-end server, or to all of a farm, until resume", http.MethodPost, "drain", cobra.RangeArgs(1, 2)},
		{"resume FARM[/SERVER]", "End a drain", http.MethodPost, "resume", cobra.RangeArgs(1, 2)},
		{"kick FARM[/SERVER]", "Have enablers open their lanes anew, gently", http.MethodPost, "kick", cobra.RangeArgs(1, 2)},
		{"verbosity LEVEL [FARM[/SERVER]]", "Change what the relay door logs until the next reload: 0 to 5, or inherit", http.MethodPut, "verbosity", cobra.RangeArgs(1, 3)},
	} {
		at := &adminAt{token: adminToken(environ)}
		cmd := &cobra.Command{
			Use: o.use, Short: o.short, Args: o.args,
			Long: o.short + ".\n\nAsks the admin listener of a server that runs here. Where names have slashes, write FARM SERVER.\n\n" +
				"Exit codes: 0, 1 when the server cannot be asked or refuses, 2 usage.",
			RunE: func(cmd *cobra.Command, args []string) error {
				form := url.Values{}
				if o.action == "verbosity" {
					form.Set("level", args[0])
					args = args[1:]
				}
				target(form, args)
				text, err := at.order(cmd.Context(), o.method, o.action, form)
				if errors.Is(err, errRefused) {
					err = errors.New(text)
				}
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				}
				if err != nil {
					return &exitError{process.ExitRuntime, fmt.Errorf("roundhouse: %w", err)}
				}
				return nil
			},
		}
		at.flag(cmd.Flags())
		all = append(all, cmd)
	}
	return all
}

// target names a farm, or a back-end server: FARM, FARM/SERVER or FARM SERVER.
func target(form url.Values, args []string) {
	switch len(args) {
	case 1:
		farm, server := args[0], ""
		if i := strings.LastIndexByte(farm, '/'); i >= 0 {
			farm, server = farm[:i], farm[i+1:]
		}
		form.Set("farm", farm)
		form.Set("server", server)
	case 2:
		form.Set("farm", args[0])
		form.Set("server", args[1])
	}
}
