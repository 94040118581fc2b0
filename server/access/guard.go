package access

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/config"
)

// Guard holds the rules in force. Any goroutine may use it.
type Guard struct {
	// Fixed by New.
	trail  trail
	logins *logins

	rules   atomic.Pointer[compiled]
	version atomic.Uint64

	mu         sync.Mutex // guards what follows; held while files are read, which no one waits for but Replace and Close
	base       Rules      // without what stands in files
	files      *contents  // as they were when the rules in force were made; nil: without a directory
	identities map[string]*Identity
	timer      *time.Timer // for the next look at the files
	closed     bool
}

// New returns a guard of rules, whose files it reads. The error is a *config.Error with every mistake in them, or that of the
// directory. What is accepted but hardly meant is logged; so are decisions, see Audit.
//
// Close ends it.
func New(rules Rules, log *slog.Logger) (*Guard, error) {
	g := &Guard{trail: trail{log: log, now: time.Now}, logins: newLogins(), identities: map[string]*Identity{}}
	if err := g.Replace(rules); err != nil {
		return nil, err
	}
	return g, nil
}

// Close ends the reading of files. The rules stay in force.
func (g *Guard) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.armLocked()
}

// Required tells whether a connection has to say who it is. If not, Authenticate returns a nil Identity for everybody.
func (g *Guard) Required() bool { return g.rules.Load().required }

// Version changes when the rules do: what somebody remembers of decisions holds for one version.
func (g *Guard) Version() uint64 { return g.version.Load() }

// Identity returns that of a user who need not show anything, because the configuration names him for somebody who does not say
// who he is. nil and true: security is off. False: there is no such user.
func (g *Guard) Identity(name string) (*Identity, bool) {
	c := g.rules.Load()
	if !c.required {
		return nil, true
	}
	a := c.users[name]
	if a == nil {
		return nil, false
	}
	return a.identity, true
}

// Replace puts other rules in force, and reads their files. Identities follow them. After an error the old ones hold; the error
// is as of New. It reads files: never call it on a loop.
func (g *Guard) Replace(rules Rules) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var files *contents
	if rules.Directory != "" {
		var err error
		if files, err = readFiles(rules.Directory); err != nil {
			return err
		}
	}
	if err := g.putLocked(rules, files); err != nil {
		return err
	}
	g.base = rules
	g.armLocked()
	return nil
}

// putLocked compiles rules with their files, and puts them in force.
func (g *Guard) putLocked(rules Rules, files *contents) error {
	var j judgement
	if files != nil {
		rules = rules.with(files, &j)
	}
	c := rules.compile(func(token string) digest { return g.logins.mac("token", token) }, &j)
	if err := j.err(); err != nil {
		return err
	}
	g.warn(&j)
	g.files = files
	g.install(c)
	return nil
}

// warn logs what is accepted but hardly meant; the first of it, when it is much.
func (g *Guard) warn(j *judgement) {
	const most = 20
	for i, w := range j.warnings {
		if i == most {
			g.trail.log.Warn(fmt.Sprintf("access: and %d more", len(j.warnings)-most))
			break
		}
		g.trail.log.Warn("access: " + w.String())
	}
	if n := len(j.plain); n > 0 {
		g.trail.log.Warn("access: "+j.plain[0].String()+": it can be read by whoever sees it there; a hash cannot", "plain_secrets", n)
	}
}

// install makes c the rules in force, for the identities that there are, too.
func (g *Guard) install(c *compiled) {
	for name, a := range c.users {
		a.view.guard = g
		if a.identity = g.identities[name]; a.identity == nil {
			a.identity = &Identity{name: name}
			g.identities[name] = a.identity
		}
		a.view.open = !c.required
		a.identity.view.Store(a.view)
	}
	for name, id := range g.identities {
		if c.users[name] != nil {
			continue
		}
		if !c.required {
			id.view.Store(&view{guard: g, open: true})
			continue
		}
		id.view.Store(nil)
		delete(g.identities, name) // one that comes back is another user
	}
	g.rules.Store(c)
	g.logins.forget()
	g.version.Add(1)
}

// armLocked sets the timer for the next look at the files.
func (g *Guard) armLocked() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	if g.closed || g.base.Directory == "" || g.base.Reread <= 0 {
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(g.base.Reread, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.timer != mine { // Replace or Close came between
			return
		}
		g.rereadLocked()
		g.armLocked()
	})
	g.timer = mine
}

// rereadLocked looks at the files, and puts what they say in force when it has changed and is right.
func (g *Guard) rereadLocked() {
	files, err := readFiles(g.base.Directory)
	if err == nil {
		if files.equal(g.files) {
			return
		}
		err = g.files.vanished(files, g.base.Directory)
	}
	if err == nil {
		err = g.putLocked(g.base, files)
	}
	var mistakes *config.Error
	switch {
	case errors.As(err, &mistakes):
		for _, p := range mistakes.Problems {
			g.trail.log.Error("access: the old rules stay in force: " + p.String())
		}
	case err != nil:
		g.trail.log.Error("access: the old rules stay in force", "error", err)
	default:
		g.trail.log.Info("access: the files have changed; new rules are in force", "directory", g.base.Directory)
	}
}

// vanished returns an error when a file that was there is not any more: that is an accident until somebody reloads.
func (c *contents) vanished(now *contents, dir string) error {
	for _, f := range []struct {
		name     string
		old, now []byte
	}{{UsersFile, c.users, now.users}, {GroupsFile, c.groups, now.groups}, {PermissionsFile, c.permissions, now.permissions}} {
		if f.old != nil && f.now == nil {
			return fmt.Errorf("access: %s/%s has gone: empty it, or reload the configuration, if that is meant", dir, f.name)
		}
	}
	return nil
}
