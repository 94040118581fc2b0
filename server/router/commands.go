package router

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"roundhouse/server/config"
)

// run carries out the commands of one control message, and of the files that they name. It waits for loops and reads files: it is never
// used on a loop.
type run struct {
	door  *Door
	log   *slog.Logger // of the client that has sent the message
	files []string     // that are being read, each named by the one before it
	read  int          // files, so far
	steps int          // commands, so far
	quits bool         // the server is to end once the output is on its way
}

const (
	maxSteps  = 10_000    // commands of one control message
	maxOutput = 256 << 10 // bytes; what is beyond is left out
)

// commandRow is a command that a control message may run.
type commandRow struct {
	name  string
	usage string
	run   func(r *run, c config.Command) (output string, err error)
}

// commandTable has every command of one server. Source: spec of RTserver, "Command list".
var commandTable []commandRow

func init() { // help lists the table that it is in
	commandTable = []commandRow{
		{"alias", "alias [name [command...]]", (*run).alias},
		{"connect", "connect [name]", laterCommand},
		{"disconnect", "disconnect [name]", laterCommand},
		{"echo", "echo text", func(_ *run, c config.Command) (string, error) { return c.Text(), nil }},
		{"help", "help", (*run).help},
		{"helpopt", "helpopt option", (*run).helpOption},
		{"quit", "quit [force]", func(r *run, _ config.Command) (string, error) { r.quits = true; return "the server stops", nil }},
		{"route", "route [server]", laterCommand},
		{"setopt", "setopt [option [value, ...]]", (*run).setOption},
		{"source", "source file", (*run).source},
		{"stats", "stats", (*run).stats},
		{"subscribe", "subscribe [project subject...]", (*run).subscribe},
		{"unalias", "unalias name...", (*run).unalias},
		{"unsetopt", "unsetopt option...", (*run).unsetOption},
		{"unsubscribe", "unsubscribe project subject...", (*run).unsubscribe},
		{"version", "version", (*run).version},
	}
}

func laterCommand(*run, config.Command) (string, error) {
	return "", errors.New("links to other servers are still to come")
}

// obey runs the commands of a text, each for itself, and returns what they print and what went wrong, one below the other.
func (r *run) obey(text string) string {
	var out strings.Builder
	put := func(s string) {
		switch {
		case s == "" || out.Len() > maxOutput:
		case out.Len()+len(s) > maxOutput:
			out.WriteString("\n(and more)" + strings.Repeat(" ", maxOutput-out.Len())) // nothing comes behind it
		default:
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(s)
		}
	}
	commands, problems := config.ParseCommands(text)
	for _, p := range problems {
		put(r.refuse("", fmt.Sprintf("%d:%d: %s", p.Line, p.Col, p.Text)))
	}
	for _, c := range commands {
		expanded, err := r.door.settings.Load().cfg.Expand(c)
		if err != nil {
			put(r.refuse(c.Name(), err.Error()))
		}
		for _, one := range expanded {
			if r.steps++; r.steps > maxSteps {
				put(r.refuse(one.Name(), fmt.Sprintf("more than %d commands", maxSteps)))
				return out.String()
			}
			put(r.one(one))
		}
	}
	return out.String()
}

// refuse logs why a command, or a text without a name of one, is not carried out, and returns it for the output.
func (r *run) refuse(name, reason string) string {
	reason = strings.TrimPrefix(reason, "config: ")
	r.log.Warn("a command was refused", "command", clip(name), "reason", reason)
	if name == "" {
		return reason
	}
	return clip(name) + ": " + reason
}

// one runs one command, if it is enabled.
func (r *run) one(c config.Command) string {
	name := c.Name()
	i := slices.IndexFunc(commandTable, func(row commandRow) bool { return row.name == name })
	switch {
	case !enabled(r.door.settings.Load().cfg.EnableControlMsgs, name):
		return r.refuse(name, "not enabled (enable_control_msgs)")
	case i < 0:
		return r.refuse(name, "no such command; help lists them")
	}
	out, err := commandTable[i].run(r, c)
	if err != nil {
		return r.refuse(name, err.Error())
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

func (r *run) help(config.Command) (string, error) {
	var out []string
	for _, row := range commandTable {
		out = append(out, row.usage)
	}
	return strings.Join(out, "\n"), nil
}

func (r *run) version(config.Command) (string, error) {
	version := "devel"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		version = b.Main.Version
	}
	return "roundhouse " + version + ", NATS " + natsVersion, nil
}

func (r *run) stats(config.Command) (string, error) {
	t := r.door.Observe().Totals()
	out := fmt.Sprintf("clients %d\nnats clients %d\nprojects %d\nsubscriptions %d\nmessages in %d\nmessages out %d\nbytes in %d\nbytes out %d\nnot logged %d",
		t.Clients, t.NATSClients, t.Projects, t.Subscriptions, t.MessagesIn, t.MessagesOut, t.BytesIn, t.BytesOut, t.LogDropped)
	for _, reason := range lossNames {
		out += fmt.Sprintf("\nlost: %s %d", reason, t.Lost[reason])
	}
	for _, reason := range cutNames {
		out += fmt.Sprintf("\ncut: %s %d", reason, t.Cut[reason])
	}
	return out, nil
}
