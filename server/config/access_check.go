package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// adminGroup is the group whose users may give orders to the server.
const adminGroup = "admin"

// accessChecker looks at who may do what.
type accessChecker struct{ routerChecker }

func (c accessChecker) check() {
	a := &c.cfg.Access
	c.values("access.", reflect.ValueOf(a).Elem())
	c.users()
	c.groups()
	c.permissions()
	lists := len(a.Users) + len(a.Groups) + len(a.Permissions)
	at := c.from.at("access.driver")
	switch {
	case a.Driver == "" && (lists > 0 || a.Directory != ""):
		c.warn(at.where, "field %q: not set: nobody is asked who he is, and users, groups and permissions have no effect; write basic", at.name)
	case a.Driver != "" && len(a.Users) == 0 && a.Directory == "":
		c.fail(at.where, "field %q: missing: nobody could come in; the directory of users.cfg, or [[access.user]]", "access.directory")
	}
	if name := c.cfg.Router.NATS.NoAuthUser; name != "" && a.Driver != "" && !c.knownUser(name) {
		c.bad("router.nats.no_auth_user", name, "the name of a user that is configured")
	}
}

// knownUser tells whether there may be such a user; those of users.cfg are not known here.
func (c accessChecker) knownUser(name string) bool {
	a := &c.cfg.Access
	return a.Directory != "" || slices.ContainsFunc(a.Users, func(u AccessUser) bool { return u.Name == name })
}

func (c accessChecker) users() {
	seen, tokens := map[string]bool{}, map[string]string{}
	for i, u := range c.cfg.Access.Users {
		path := fmt.Sprintf("access.user[%d].", i)
		c.name(path+"name", u.Name, "the name that he gives")
		c.require(u.Name == "" || !seen[u.Name], path+"name", u.Name, "a name that no other user has")
		seen[u.Name] = true
		for _, secret := range [][2]string{{"password", u.Password}, {"token", u.Token}} {
			c.wanted(path+secret[0], mask, judgeSecret(secret[1], true))
			if secret[1] != "" && !isHashed(secret[1]) {
				at := c.from.at(path + secret[0])
				c.warn(at.where, "field %q: in clear text: a hashed one, %s..., cannot be read from the file", at.name, hashScheme)
			}
		}
		if other, twice := tokens[u.Token]; twice && u.Token != "" {
			c.bad(path+"token", mask, fmt.Sprintf("a token that user %q does not have already", other))
		}
		tokens[u.Token] = u.Name
	}
}

func (c accessChecker) groups() {
	seen := map[string]bool{}
	for i, g := range c.cfg.Access.Groups {
		path := fmt.Sprintf("access.group[%d].", i)
		c.name(path+"name", g.Name, "the name of the group")
		c.require(g.Name == "" || !seen[g.Name], path+"name", g.Name, "a name that no other group has")
		seen[g.Name] = true
		for _, member := range g.Members {
			c.require(isAccessName(member) && c.knownUser(member), path+"members", member, "names of users that are configured")
		}
	}
}

func (c accessChecker) permissions() {
	for i, p := range c.cfg.Access.Permissions {
		path := fmt.Sprintf("access.permission[%d].", i)
		group := func(g AccessGroup) bool { return g.Name == p.Who }
		switch {
		case p.Who == "*":
		case p.Who == "":
			c.missing(path+"who", "the name of a user or a group, or *")
		case !c.knownUser(p.Who) && p.Who != adminGroup && !slices.ContainsFunc(c.cfg.Access.Groups, group):
			c.bad(path+"who", p.Who, "the name of a user or a group that is configured, or *")
		default:
			c.name(path+"who", p.Who, "")
		}
		c.require(slices.Contains(accessVerbs, p.Verb), path+"verb", p.Verb, "one of "+strings.Join(accessVerbs, ", "))
		if p.Project != "*" {
			c.wanted(path+"project", p.Project, judgeProject(p.Project))
		}
		c.wanted(path+"subject", p.Subject, judgeSubject(p.Subject, true))
	}
}

var accessVerbs = []string{"publish", "subscribe", "connect", "all"}

func (c accessChecker) name(path, name, what string) {
	if name == "" {
		c.missing(path, what)
		return
	}
	c.require(isAccessName(name), path, name, fmt.Sprintf("1 to %d bytes without blanks, colons, commas and control characters, and not *", maxAccessName))
}

const maxAccessName = 255 // bytes

// isAccessName tells whether s can be the name of a user or a group, in the files of the directory, too.
func isAccessName(s string) bool {
	return s != "" && s != "*" && len(s) <= maxAccessName && utf8.ValidString(s) && !strings.HasPrefix(s, "//") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || isControl(r) || r == ':' || r == ',' })
}
