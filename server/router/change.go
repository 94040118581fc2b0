package router

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"roundhouse/server/access"
	"roundhouse/server/config"
)

// This file has the commands that change the configuration in force.

// edit changes the configuration in force. On an error it stays as it is.
func (d *Door) edit(change func(cfg *config.Config) (warning string, err error)) (string, error) {
	d.change.Lock()
	defer d.change.Unlock()
	next := *d.settings.Load().whole // its lists are replaced, never changed
	warning, err := change(&next)
	if err != nil {
		return "", err
	}
	err = d.replace(&next)
	return warning, err
}

// editOption is edit for an option. What is read at the start only is refused: it would be shown and not hold. So is what switches security
// off: that is for those who write the files.
func (r *run) editOption(name string, change func(cfg *config.Config) (warning string, err error)) (string, error) {
	all := config.Options()
	i := slices.IndexFunc(all, func(o config.Option) bool { return strings.EqualFold(o.Name, name) })
	if i >= 0 && (all[i].Effect == config.EffectStart || all[i].Key == "access.driver") {
		return "", fmt.Errorf("%s: it is read at the start only: set it in a file", all[i].Name)
	}
	judged := i >= 0 && strings.HasPrefix(all[i].Key, "access.")
	return r.door.edit(func(cfg *config.Config) (string, error) {
		warning, err := change(cfg)
		if err != nil || !judged {
			return warning, err
		}
		rules, problems := access.FromConfig(&cfg.Access)
		if err := errors.Join(problems...); err != nil {
			return "", err
		}
		return warning, r.door.guard.Replace(rules)
	})
}

func (r *run) setOption(c config.Command) (string, error) {
	name, values, err := c.Option()
	switch {
	case err != nil:
		return "", err
	case name == "":
		return r.allOptions(), nil
	case values == nil:
		return config.ShowOption(r.door.settings.Load().whole, name)
	}
	return r.editOption(name, func(cfg *config.Config) (string, error) { return config.SetOption(cfg, name, values) })
}

func (r *run) allOptions() string {
	var out []string
	for _, o := range config.Options() {
		if line, err := config.ShowOption(r.door.settings.Load().whole, o.Name); err == nil {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func (r *run) unsetOption(c config.Command) (string, error) {
	if len(c.Args()) == 0 {
		return "", errors.New("the name of an option is needed")
	}
	var warnings []string
	for _, name := range c.Args() {
		warning, err := r.editOption(name, func(cfg *config.Config) (string, error) { return config.UnsetOption(cfg, name) })
		if err != nil {
			return "", err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return strings.Join(warnings, "\n"), nil
}

// effects is what helpopt says about when a value holds.
var effects = map[config.Effect]string{
	config.EffectNow: "holds at once", config.EffectStart: "is read at the start only",
	config.EffectLater: "has no effect yet", config.EffectNone: "has no effect",
}

func (r *run) helpOption(c config.Command) (string, error) {
	if len(c.Args()) != 1 {
		return "", errors.New("the name of one option is needed")
	}
	for _, o := range config.Options() {
		if !strings.EqualFold(o.Name, c.Args()[0]) {
			continue
		}
		text := fmt.Sprintf("%s: %s, default %s", o.Name, o.Type, o.Default)
		if o.Range != "" {
			text += ", range " + o.Range
		}
		if o.Required {
			text += ", required"
		}
		return fmt.Sprintf("%s; %s; in TOML %s", text, effects[o.Effect], o.Key), nil
	}
	return "", fmt.Errorf("%q: %w", clip(c.Args()[0]), config.ErrUnknownOption)
}

func (r *run) alias(c config.Command) (string, error) {
	aliases := r.door.settings.Load().cfg.Aliases
	switch args := c.Args(); len(args) {
	case 0:
		var out []string
		for _, a := range aliases {
			out = append(out, a.Name+" "+a.Text)
		}
		return strings.Join(out, "\n"), nil
	case 1:
		for _, a := range aliases {
			if strings.EqualFold(a.Name, args[0]) {
				return a.Name + " " + a.Text, nil
			}
		}
		return "", fmt.Errorf("no alias %q", clip(args[0]))
	}
	return r.door.edit(func(cfg *config.Config) (string, error) { return "", cfg.Router.SetAlias(c) })
}

func (r *run) unalias(c config.Command) (string, error) {
	var missing error // the others go all the same
	_, err := r.door.edit(func(cfg *config.Config) (string, error) {
		missing = cfg.Router.UnsetAlias(c)
		return "", nil
	})
	return "", errors.Join(missing, err)
}

const idleSubscription = "has no effect until there are links to other servers"

// subscribe has the server subscribe to subjects: what other servers will be told to send.
func (r *run) subscribe(c config.Command) (string, error) {
	if len(c.Args()) == 0 {
		var out []string
		for _, s := range r.door.settings.Load().cfg.Subscriptions {
			out = append(out, s.Project+" "+s.Subject)
		}
		return strings.Join(out, "\n"), nil
	}
	named, err := c.Subscriptions()
	if err != nil {
		return "", err
	}
	return r.door.edit(func(cfg *config.Config) (string, error) {
		next := slices.Clone(cfg.Router.Subscriptions)
		for _, s := range named {
			if !slices.Contains(next, s) {
				next = append(next, s)
			}
		}
		if len(next) > maxSubscriptions {
			return "", fmt.Errorf("at most %d subscriptions of the server", maxSubscriptions)
		}
		cfg.Router.Subscriptions = next
		return idleSubscription, nil
	})
}

// maxSubscriptions is how many the server itself may have.
const maxSubscriptions = 10_000

func (r *run) unsubscribe(c config.Command) (string, error) {
	named, err := c.Subscriptions()
	if err != nil {
		return "", err
	}
	return r.door.edit(func(cfg *config.Config) (string, error) {
		for _, s := range named {
			if !slices.Contains(cfg.Router.Subscriptions, s) {
				return "", fmt.Errorf("nothing is subscribed to %q in project %q", clip(s.Subject), clip(s.Project))
			}
		}
		cfg.Router.Subscriptions = slices.DeleteFunc(slices.Clone(cfg.Router.Subscriptions), func(s config.RouterSubscription) bool {
			return slices.Contains(named, s)
		})
		return idleSubscription, nil
	})
}
