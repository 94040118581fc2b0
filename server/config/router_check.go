package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// routerChecker looks at the router door.
type routerChecker struct{ *checker }

func (c routerChecker) check() {
	r := &c.cfg.Router
	c.values("router.", reflect.ValueOf(r).Elem())
	if len(r.DefaultProtocols) == 0 {
		c.missing("router.default_protocols", "at least one of local, tcp and tls")
	}
	all, _ := r.Listeners(noEnvironment) // mistakes in names have been reported
	tls := slices.ContainsFunc(all, func(l Listener) bool { return l.TLS })
	c.checkEngineTLS("router.", tls, r.TLSCert, r.TLSKey, r.TLSClientCA)
	n := &r.NATS
	c.checkEngineTLS("router.nats.", n.TLSFirst && len(n.Listen) > 0, n.TLSCert, n.TLSKey, n.TLSClientCA)
	c.aliases()
	for i, s := range r.Subscriptions {
		path := fmt.Sprintf("router.subscription[%d].", i)
		c.wanted(path+"project", s.Project, judgeProject(s.Project))
		if s.Subject == "" {
			c.missing(path+"subject", "what to subscribe to")
		} else {
			c.wanted(path+"subject", s.Subject, judgeSubject(s.Subject, true))
		}
	}
	c.dangers(all)
}

// addresses calls once with each address that the router door listens on.
func (c routerChecker) addresses(once func(path, addr string)) {
	r := &c.cfg.Router
	for _, name := range r.Listen {
		all, _ := r.listeners(name, noEnvironment) // what is wrong is reported elsewhere
		for _, l := range all {
			once("router.listen", l.Address)
		}
	}
	for _, addr := range r.NATS.Listen {
		once("router.nats.listen", addr)
	}
}

func noEnvironment(string) string { return "" }

// wanted reports path where want says what would be right.
func (c routerChecker) wanted(path, value, want string) { c.require(want == "", path, value, want) }

// values looks at each value by itself, and warns of those that are set and have no effect.
func (c routerChecker) values(path string, table reflect.Value) {
	for f := range fieldsOf(table) {
		switch {
		case f.value.Kind() == reflect.Struct:
			c.values(path+f.name+".", f.value)
			continue
		case isTables(f.value):
			continue
		}
		shown, want := judgeRouter(path+f.name, f)
		c.wanted(path+f.name, shown, want)
		if text := idleText(path + f.name); text != "" && c.from.has(path+f.name) {
			at := c.from.at(path + f.name)
			c.warn(at.where, "field %q: %s", at.name, text)
		}
	}
}

func (c routerChecker) aliases() {
	aliases := c.cfg.Router.Aliases
	for i, a := range aliases {
		path := fmt.Sprintf("router.alias[%d].", i)
		c.wanted(path+"name", a.Name, judgeAliasName(a.Name))
		same := func(other RouterAlias) bool { return strings.EqualFold(other.Name, a.Name) }
		c.require(!slices.ContainsFunc(aliases[:i], same), path+"name", a.Name, "a name that no other alias has")
		c.wanted(path+"text", a.Text, judgeAliasText(a.Text))
	}
}

// dangers warns of what works and is hardly meant.
func (c routerChecker) dangers(listeners []Listener) {
	r := &c.cfg.Router
	warn := func(path, format string, args ...any) {
		at := c.from.at(path)
		c.warn(at.where, "field %q: "+format, append([]any{at.name}, args...)...)
	}
	open := func(l Listener) bool { return l.Network == "tcp" && isExposed(l.Address) }
	if c.cfg.Access.Driver == "" {
		if slices.ContainsFunc(listeners, open) {
			warn("router.listen", "without access.driver whoever reaches this listener may do everything")
		}
		if slices.ContainsFunc(r.NATS.Listen, isExposed) {
			warn("router.nats.listen", "without access.driver whoever reaches this listener may do everything")
		}
	}
	if p := r.Client.SlowPolicy; p != "disconnect" {
		warn("router.client.slow_policy", "value %q: has no effect yet: a client that is too slow is disconnected", p)
	}
	c.commands(warn)
	if r.Client.KeepAliveTimeout > 0 && r.Client.ReadTimeout == 0 && c.from.has("router.client.keep_alive_timeout") {
		warn("router.client.keep_alive_timeout", "has no effect without client.read_timeout")
	}
}

// commands warns of entries of enable_control_msgs that do nothing.
func (c routerChecker) commands(warn func(path, format string, args ...any)) {
	const path = "router.enable_control_msgs"
	list, all := c.cfg.Router.EnableControlMsgs, -1
	for i, name := range list {
		bare := strings.ToLower(strings.TrimPrefix(name, "!"))
		switch {
		case all >= 0:
			warn(path, "value %q: has no effect behind %s: the first that fits holds", name, list[all])
		case bare == "_all":
			all = i
		case !isCommand(bare):
			warn(path, "value %q: no such command", name)
		}
	}
}
