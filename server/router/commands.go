package router

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"roundhouse/server/config"
)

// commandRow is a command that a control message may run.
type commandRow struct {
	name  string
	usage string
	run   func(d *Door, c config.Command) (output string, err error)
}

// commandTable has every command of one server. Source: spec of RTserver, "Command list".
var commandTable []commandRow

func init() { // help lists the table that it is in
	commandTable = []commandRow{
		{"alias", "alias [name [command...]]", (*Door).alias},
		{"connect", "connect [name]", laterCommand},
		{"disconnect", "disconnect [name]", laterCommand},
		{"echo", "echo text", func(_ *Door, c config.Command) (string, error) { return c.Text(), nil }},
		{"help", "help", (*Door).help},
		{"helpopt", "helpopt option", (*Door).helpOption},
		{"quit", "quit [force]", func(d *Door, _ config.Command) (string, error) { d.quit(); return "the server stops", nil }},
		{"route", "route [server]", laterCommand},
		{"setopt", "setopt [option [value, ...]]", (*Door).setOption},
		{"source", "source file", (*Door).source},
		{"stats", "stats", (*Door).statsCommand},
		{"subscribe", "subscribe project subject...", (*Door).subscribeCommand},
		{"unalias", "unalias name", (*Door).unalias},
		{"unsetopt", "unsetopt option", (*Door).unsetOption},
		{"unsubscribe", "unsubscribe project subject...", (*Door).subscribeCommand},
		{"version", "version", (*Door).versionCommand},
	}
}

var errLater = errors.New("links to other servers are still to come")

func laterCommand(*Door, config.Command) (string, error) { return "", errLater }

// command runs the commands of a text, each for itself, and returns what they print and what went wrong. asked: they come from a client, and
// have to be enabled.
func (d *Door) command(text string, asked bool) string {
	return d.commandsAt(text, asked, "", 0)
}

// commandsAt is command for the text of a file in dir, depth files deep.
func (d *Door) commandsAt(text string, asked bool, dir string, depth int) string {
	commands, problems := config.ParseCommands(text)
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	for _, c := range commands {
		expanded, err := d.settings.Load().cfg.Expand(c)
		if err != nil {
			out = append(out, err.Error())
		}
		for _, one := range expanded {
			if s := d.runCommand(one, asked, dir, depth); s != "" {
				out = append(out, s)
			}
		}
	}
	return strings.Join(out, "\n")
}

func (d *Door) runCommand(c config.Command, asked bool, dir string, depth int) string {
	name := c.Name()
	i := slices.IndexFunc(commandTable, func(r commandRow) bool { return r.name == name })
	switch {
	case asked && !enabled(d.settings.Load().cfg.EnableControlMsgs, name):
		d.log.Warn("a control message was refused", "command", clip(name), "reason", "it is not in enable_control_msgs")
		return fmt.Sprintf("%s: not enabled (enable_control_msgs)", clip(name))
	case i < 0:
		return fmt.Sprintf("%s: no such command; help lists them", clip(name))
	case name == "source":
		return d.sourceAt(c, asked, dir, depth)
	}
	out, err := commandTable[i].run(d, c)
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	return out
}

// enabled judges a command by Enable_Control_Msgs: the first entry that fits holds, _all fits every command, and ! denies.
func enabled(list []string, name string) bool {
	for _, entry := range list {
		bare, denied := strings.CutPrefix(entry, "!")
		if strings.EqualFold(bare, name) || strings.EqualFold(bare, "_all") {
			return !denied
		}
	}
	return false
}

// edit changes the configuration in force.
func (d *Door) edit(change func(cfg *config.Config) (warning string, err error)) (string, error) {
	d.change.Lock()
	defer d.change.Unlock()
	next := *d.settings.Load().whole // its lists are replaced, never changed
	warning, err := change(&next)
	if err != nil {
		return "", err
	}
	kept, err := d.replace(&next)
	if len(kept) > 0 {
		warning = strings.Join(kept, ", ") + ": takes effect at the next start"
	}
	return warning, err
}

func (d *Door) setOption(c config.Command) (string, error) {
	name, values, err := c.Option()
	switch {
	case err != nil:
		return "", err
	case name == "":
		return d.allOptions(), nil
	case values == nil:
		return config.ShowOption(d.settings.Load().whole, name)
	}
	return d.edit(func(cfg *config.Config) (string, error) { return config.SetOption(cfg, name, values) })
}

func (d *Door) allOptions() string {
	var out []string
	for _, o := range config.Options() {
		if line, err := config.ShowOption(d.settings.Load().whole, o.Name); err == nil {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func (d *Door) unsetOption(c config.Command) (string, error) {
	if len(c.Args()) != 1 {
		return "", errors.New("the name of one option is needed")
	}
	return d.edit(func(cfg *config.Config) (string, error) { return config.UnsetOption(cfg, c.Args()[0]) })
}

func (d *Door) helpOption(c config.Command) (string, error) {
	if len(c.Args()) != 1 {
		return "", errors.New("the name of one option is needed")
	}
	for _, o := range config.Options() {
		if strings.EqualFold(o.Name, c.Args()[0]) {
			return fmt.Sprintf("%s: %s, default %s, range %s, key %s", o.Name, o.Type, o.Default, o.Range, o.Key), nil
		}
	}
	return "", fmt.Errorf("%q: %w", clip(c.Args()[0]), config.ErrUnknownOption)
}

func (d *Door) alias(c config.Command) (string, error) {
	if len(c.Args()) == 0 {
		var out []string
		for _, a := range d.settings.Load().cfg.Aliases {
			out = append(out, a.Name+" "+a.Text)
		}
		return strings.Join(out, "\n"), nil
	}
	return d.edit(func(cfg *config.Config) (string, error) { return "", cfg.Router.SetAlias(c) })
}

func (d *Door) unalias(c config.Command) (string, error) {
	return d.edit(func(cfg *config.Config) (string, error) { return "", cfg.Router.UnsetAlias(c) })
}

// subscribeCommand has the server subscribe to subjects, or end that. What it subscribes to is what other servers will be told to send.
func (d *Door) subscribeCommand(c config.Command) (string, error) {
	named, err := c.Subscriptions()
	if err != nil {
		return "", err
	}
	return d.edit(func(cfg *config.Config) (string, error) {
		r := &cfg.Router
		r.Subscriptions = slices.DeleteFunc(slices.Clone(r.Subscriptions), func(s config.RouterSubscription) bool { return slices.Contains(named, s) })
		if c.Name() == "subscribe" {
			r.Subscriptions = append(r.Subscriptions, named...)
		}
		return "has no effect until there are links to other servers", nil
	})
}

func (d *Door) help(config.Command) (string, error) {
	var out []string
	for _, r := range commandTable {
		out = append(out, r.usage)
	}
	return strings.Join(out, "\n"), nil
}

func (d *Door) versionCommand(config.Command) (string, error) {
	version := "devel"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		version = b.Main.Version
	}
	return "roundhouse " + version + ", NATS " + natsVersion, nil
}

func (d *Door) source(config.Command) (string, error) { return "", nil } // sourceAt runs it

// maxSources is how deep files may name files.
const maxSources = 10

func (d *Door) sourceAt(c config.Command, asked bool, dir string, depth int) string {
	if len(c.Args()) != 1 {
		return "source: the name of one file is needed"
	}
	if depth >= maxSources {
		return fmt.Sprintf("source: files name files more than %d deep", maxSources)
	}
	path := c.Args()[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > 1<<20 {
		err = fmt.Errorf("%s: %d bytes, at most 1 MiB", path, info.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "source: " + err.Error()
	}
	return d.commandsAt(string(text), asked, filepath.Dir(path), depth+1)
}

func (d *Door) statsCommand(config.Command) (string, error) {
	t := d.Observe().Totals()
	return fmt.Sprintf("clients %d\nnats clients %d\nsubscriptions %d\nmessages in %d\nmessages out %d\nbytes in %d\nbytes out %d",
		t.Clients, t.NATSClients, t.Subscriptions, t.MessagesIn, t.MessagesOut, t.BytesIn, t.BytesOut), nil
}
