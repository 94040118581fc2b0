package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// commandNames has every command that there is, here or in the programs of the original.
var commandNames = []string{
	"alias", "cd", "connect", "create", "disconnect", "echo", "edit", "help", "helpopt", "history", "load", "poll", "print", "pwd", "quit",
	"retrieve", "route", "run", "send", "setnopt", "setopt", "sh", "source", "stats", "subscribe", "unalias", "unsetnopt", "unsetopt",
	"unsubscribe", "unwatch", "version", "watch",
}

func isCommand(name string) bool { return slices.Contains(commandNames, name) }

const (
	maxAliasDepth = 16   // aliases within aliases
	maxExpanded   = 1000 // commands that one may stand for, those on the way included
	maxAliases    = 1000
)

func judgeAliasName(name string) string {
	switch {
	case !isIdentifier(name):
		return "1 to 64 letters, digits and ._-, not starting with a dot"
	case isCommand(strings.ToLower(name)):
		return "a name that is not that of a command"
	}
	return ""
}

func judgeAliasText(text string) string {
	if len(text) > maxWord {
		return fmt.Sprintf("at most %d bytes", maxWord)
	}
	commands, problems := ParseCommands(text)
	switch {
	case len(problems) > 0:
		return "a command; " + problems[0].Text
	case len(commands) == 0:
		return "one or more commands with ; between them"
	}
	return ""
}

func (r *Router) alias(name string) int {
	return slices.IndexFunc(r.Aliases, func(a RouterAlias) bool { return strings.EqualFold(a.Name, name) })
}

// SetAlias obeys "alias NAME TEXT", where TEXT is one quoted word with commands or the words of one command. r gets a new list of
// aliases; the old one stays as it is.
func (r *Router) SetAlias(c Command) error {
	if len(c.Words) < 3 || c.marks[1].comma {
		return errors.New("config: alias: write alias NAME COMMAND")
	}
	name, text := c.Words[1], c.Words[2]
	if len(c.Words) > 3 || !c.marks[2].quoted {
		text = Command{Words: c.Words[2:], marks: c.marks[2:]}.String()
	}
	if want := judgeAliasName(name); want != "" {
		return fmt.Errorf("config: alias: name %s: %s", quote("", name), want)
	}
	if want := judgeAliasText(text); want != "" {
		return fmt.Errorf("config: alias %s: %s: %s", name, quote("", text), want)
	}
	next := slices.Clone(r.Aliases)
	if i := r.alias(name); i >= 0 {
		next[i].Text = text
	} else if len(next) == maxAliases {
		return fmt.Errorf("config: alias %s: at most %d aliases", name, maxAliases)
	} else {
		next = append(next, RouterAlias{Name: name, Text: text})
	}
	r.Aliases = next
	return nil
}

// UnsetAlias obeys "unalias NAME...". r gets a new list of aliases. The error names those that there are not; the others are gone.
func (r *Router) UnsetAlias(c Command) error {
	if len(c.Words) == 1 {
		return errors.New("config: unalias: write unalias NAME")
	}
	var missing []string
	for _, name := range c.Args() {
		if i := r.alias(name); i >= 0 {
			r.Aliases = slices.Delete(slices.Clone(r.Aliases), i, i+1)
		} else {
			missing = append(missing, quote("", name))
		}
	}
	if len(r.Aliases) == 0 {
		r.Aliases = nil
	}
	if len(missing) > 0 {
		return fmt.Errorf("config: unalias: no alias %s", strings.Join(missing, ", "))
	}
	return nil
}

// Expand returns what c stands for: c itself, or the commands of the alias of that name, to the last of which the arguments of c are
// added. Whether one of them may be run is still to be asked. The error is that of aliases without an end.
func (r *Router) Expand(c Command) ([]Command, error) {
	left := maxExpanded
	return r.expand(nil, c, 0, &left)
}

func (r *Router) expand(out []Command, c Command, depth int, left *int) ([]Command, error) {
	i := r.alias(c.Words[0])
	if i < 0 {
		return append(out, c), nil
	}
	commands, _ := ParseCommands(r.Aliases[i].Text) // has been judged
	if *left -= len(commands); depth == maxAliasDepth || *left < 0 {
		return nil, fmt.Errorf("config: alias %s: at most %d aliases deep and %d commands", c.Words[0], maxAliasDepth, maxExpanded)
	}
	for n, inner := range commands {
		inner.Line = c.Line
		if n == len(commands)-1 {
			inner.Words = slices.Concat(inner.Words, c.Words[1:])
			inner.marks = slices.Concat(inner.marks, c.marks[1:])
		}
		var err error
		if out, err = r.expand(out, inner, depth+1, left); err != nil {
			return nil, err
		}
	}
	return out, nil
}
