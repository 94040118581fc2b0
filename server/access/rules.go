package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"roundhouse/server/config"
)

// Admins is the group whose users may give orders to a server.
const Admins = "admin"

// Everybody stands for all users in a permission.
const Everybody = "*"

// Verb is what somebody wants to do.
type Verb uint8

// The verbs. All stands in permissions only.
const (
	Publish Verb = iota
	Subscribe
	Connect // to be in a project at all; a subject plays no part
	All
)

var verbNames = [...]string{"publish", "subscribe", "connect", "all"}

// String returns the verb as in permissions.cfg.
func (v Verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return fmt.Sprintf("verb %d", v)
}

// Audit says which decisions are logged.
type Audit uint8

// What is logged. Denials have level info.
const (
	AuditDenials Audit = iota // and grants with level debug
	AuditGrants               // grants with level info, too
	AuditNothing
)

// User is somebody who may come in.
type User struct {
	Name string
	// Password and Token, plain or hashed as by config.HashSecret. Without both he needs a client certificate with his name.
	Password, Token string

	from config.Problem // where he stands, for messages
}

// Group is a number of users.
type Group struct {
	Name    string
	Members []string

	from config.Problem
}

// Permission allows or denies something.
type Permission struct {
	Allow bool
	// Who is a user, a group, or Everybody.
	Who  string
	Verb Verb
	// Project is a name, in which * is zero or more bytes.
	Project string
	// Subject is a subject of the router with wildcards. Connect asks for none; a denial of All with another subject than /...
	// keeps nobody from connecting.
	Subject string

	from config.Problem
}

// Rules say who may do what. Users, groups and permissions stand before those of the files. A Guard keeps the slices.
type Rules struct {
	// Required is false when nobody is asked who he is.
	Required    bool
	Users       []User
	Groups      []Group
	Permissions []Permission
	// Directory of users.cfg, groups.cfg and permissions.cfg. One that does not exist counts as empty. "": no files.
	Directory string
	// Reread is how long files are believed before they are looked at again. 0: until Replace.
	Reread time.Duration
	// FreePublish lets whoever is in a project publish anything there.
	FreePublish bool
	// AdminTypes are the message types that only Admins may send to a server. nil: the usual ones, -4, -30, -99 and -11700.
	AdminTypes []int32
	Audit      Audit
}

var usualAdminTypes = []int32{-4, -30, -99, -11700}

const (
	maxName         = 255  // bytes of the name of a user, group or project
	maxSecret       = 4096 // bytes
	maxHashedTokens = 16   // each of them costs a hash when a token is tried
)

// judgement collects what is wrong with rules.
type judgement struct {
	errors, warnings []config.Problem
	plain            []config.Problem // secrets that are not hashed: a warning for all of them
}

func (j *judgement) fail(at config.Problem, format string, args ...any) {
	at.Text = fmt.Sprintf(format, args...)
	j.errors = append(j.errors, at)
}

func (j *judgement) warn(at config.Problem, format string, args ...any) {
	at.Text = fmt.Sprintf(format, args...)
	j.warnings = append(j.warnings, at)
}

func (j *judgement) err() error {
	if len(j.errors) == 0 {
		return nil
	}
	return &config.Error{Problems: j.errors}
}

// wrongName returns what a name must be, or "".
func wrongName(name string) string {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || name == Everybody || strings.HasPrefix(name, "#") || strings.HasPrefix(name, "//") ||
		strings.ContainsFunc(name, func(r rune) bool { return r == ':' || r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fmt.Sprintf("a name of 1 to %d bytes without blanks, colons and commas", maxName)
	}
	return ""
}

func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// rule is a permission, ready for use.
type rule struct {
	allow      bool
	anyProject bool
	project    string // a glob
	subject    *pattern
}

func (r *rule) inProject(project string) bool {
	return r.anyProject || r.project == project || globCovers(r.project, project)
}

// view is what some users may do: the permissions that concern them, by verb. It is immutable once in force.
type view struct {
	guard  *Guard
	open   bool     // security is off
	groups []string // sorted
	admin  bool
	rules  [Connect + 1][]rule
	audit  Audit
	types  []int32 // for admins only
}

// compiled is a set of rules in use. It is immutable.
type compiled struct {
	required bool
	users    map[string]*account
	// decoys are the passwords of all users: who is unknown is checked against one of them, for the time that it takes.
	decoys       []string
	plainTokens  map[digest]*account
	hashedTokens []*account
	audit        Audit
}

// account is a user.
type account struct {
	name, password, token string
	groups                []string
	view                  *view     // shared by all users of whom the same permissions hold
	identity              *Identity // set when the rules come into force
}

// compile checks rules, whose files have been read, and prepares them. mac is that of a token.
func (r *Rules) compile(mac func(token string) digest, j *judgement) *compiled {
	c := &compiled{
		required: r.Required, audit: r.Audit,
		users: make(map[string]*account, len(r.Users)), plainTokens: map[digest]*account{},
	}
	c.takeUsers(r, mac, j)
	c.takePermissions(r, c.takeGroups(r.Groups, j), j)
	if c.required && len(c.users) == 0 {
		j.warn(config.Problem{}, "access: there are no users: nobody may come in")
	}
	if c.required && len(r.Permissions) == 0 {
		j.warn(config.Problem{}, "access: there are no permissions: nobody may do anything")
	}
	return c
}

func (c *compiled) takeUsers(r *Rules, mac func(token string) digest, j *judgement) {
	for _, u := range r.Users {
		switch wrong := wrongName(u.Name); {
		case wrong != "":
			j.fail(u.from, "user %q: %s", clip(u.Name), wrong)
			continue
		case c.users[u.Name] != nil:
			j.fail(u.from, "user %q: is there already", u.Name)
			continue
		}
		j.secret(u.from, u.Name, "password", u.Password)
		j.secret(u.from, u.Name, "token", u.Token)
		a := &account{name: u.Name, password: u.Password, token: u.Token}
		c.users[u.Name] = a
		if u.Password != "" {
			c.decoys = append(c.decoys, u.Password)
		}
		c.takeToken(a, u.from, mac, j)
	}
}

func (c *compiled) takeToken(a *account, at config.Problem, mac func(token string) digest, j *judgement) {
	switch {
	case a.token == "":
	case !hashed(a.token):
		key := mac(a.token)
		if other := c.plainTokens[key]; other != nil {
			j.fail(at, "user %q: has the token of user %q", a.name, other.name)
		}
		c.plainTokens[key] = a
	default:
		if c.hashedTokens = append(c.hashedTokens, a); len(c.hashedTokens) == maxHashedTokens+1 {
			j.fail(at, "user %q: more than %d tokens are hashed", a.name, maxHashedTokens)
		}
	}
}

// secret judges a password or token.
func (j *judgement) secret(at config.Problem, user, what, s string) {
	switch {
	case s == "":
	case len(s) > maxSecret || strings.ContainsFunc(s, unicode.IsControl):
		j.fail(at, "user %q: a %s of at most %d bytes without control characters", user, what, maxSecret)
	case hashed(s) && !hashForm.MatchString(s):
		j.fail(at, "user %q: a hashed %s is {pbkdf2-sha256}i=ITERATIONS$SALT$HASH", user, what)
	case !hashed(s):
		at.Text = fmt.Sprintf("user %q: the %s is not hashed", user, what)
		j.plain = append(j.plain, at)
	}
}

// takeGroups puts the users into their groups, and returns the names of all groups.
func (c *compiled) takeGroups(groups []Group, j *judgement) map[string]bool {
	all := map[string]bool{Admins: true}
	for _, g := range groups {
		if wrong := wrongName(g.Name); wrong != "" {
			j.fail(g.from, "group %q: %s", clip(g.Name), wrong)
			continue
		}
		if c.users[g.Name] != nil {
			j.warn(g.from, "group %q: there is a user of that name, too: permissions for it hold for both", g.Name)
		}
		all[g.Name] = true
		for _, name := range g.Members {
			if a := c.users[name]; a != nil {
				a.groups = append(a.groups, g.Name)
			} else {
				j.warn(g.from, "group %q: there is no user %q", g.Name, clip(name))
			}
		}
	}
	for _, a := range c.users {
		slices.Sort(a.groups)
		a.groups = slices.Compact(a.groups)
	}
	return all
}

// takePermissions makes the views of the users. Those with the same groups share one, unless a permission names them.
func (c *compiled) takePermissions(r *Rules, groups map[string]bool, j *judgement) {
	rules := make([]rule, len(r.Permissions))
	named := map[string]bool{}
	for i, p := range r.Permissions {
		rules[i], _ = p.prepare(j) // one that is wrong never comes into force
		named[p.Who] = true
		if p.Who != Everybody && c.users[p.Who] == nil && !groups[p.Who] {
			j.warn(p.from, "permission for %q: there is no user and no group of that name", clip(p.Who))
		}
	}
	if len(j.errors) > 0 {
		return
	}
	views := map[string]*view{}
	for _, a := range c.users {
		key := strings.Join(a.groups, ",") + ":" // neither is part of a name
		if named[a.name] {
			key += a.name
		}
		if views[key] == nil {
			views[key] = r.viewOf(a, rules)
		}
		a.view = views[key]
	}
}

// viewOf makes a view of the rules, of which there is one for each permission.
func (r *Rules) viewOf(a *account, rules []rule) *view {
	v := &view{groups: a.groups, admin: slices.Contains(a.groups, Admins), audit: r.Audit, types: slices.Clone(r.AdminTypes)}
	if v.types == nil {
		v.types = usualAdminTypes
	}
	if r.FreePublish {
		everything, _ := parsePattern("/...") // is right
		v.rules[Publish] = []rule{{allow: true, anyProject: true, subject: everything}}
	}
	for i, p := range r.Permissions {
		if p.Who == Everybody || p.Who == a.name || slices.Contains(a.groups, p.Who) {
			v.take(p.Verb, rules[i], r.FreePublish)
		}
	}
	return v
}

// prepare checks a permission and makes a rule of it.
func (p *Permission) prepare(j *judgement) (one rule, ok bool) {
	subject := p.Subject
	if subject == "" && p.Verb == Connect {
		subject = "/..."
	}
	if subject == "*" || subject == "/*" {
		j.warn(p.from, "subject %q: names of one component only; every subject is /...", subject)
	}
	parsed, err := parsePattern(subject)
	switch {
	case err != nil:
		j.fail(p.from, "subject %q: %v", clip(subject), err)
	case p.Verb > All:
		j.fail(p.from, "%v: publish, subscribe, connect or all", p.Verb)
	case p.Who != Everybody && wrongName(p.Who) != "":
		j.fail(p.from, "permission for %q: a user, a group, or *", clip(p.Who))
	case p.Project != "*" && wrongName(p.Project) != "":
		j.fail(p.from, "project %q: %s, or *", clip(p.Project), wrongName(p.Project))
	default:
		return rule{p.Allow, p.Project == "*", p.Project, parsed}, true
	}
	return rule{}, false
}

// take adds a rule to those of one user.
func (v *view) take(verb Verb, one rule, freePublish bool) {
	for _, each := range []Verb{Publish, Subscribe, Connect} {
		switch {
		case verb != each && verb != All, each == Publish && freePublish:
		case each == Connect && verb == All && !one.allow && !one.subject.everything():
		default:
			v.rules[each] = append(v.rules[each], one)
		}
	}
}
