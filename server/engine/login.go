package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// login is what a client has logged in as.
type login struct {
	line      *enginepool.Line // nil: with an engine of its own, or not at all
	mode      oes.Mode
	push      bool // output comes unasked
	hasty     bool // negative start-up flags: it does not wait for an engine
	keep      bool // shut-down flags 0: its own engine stays when it leaves
	idling    bool // the timer is that of an idle connection
	procedure string
}

// class is how urgent the requests of a login are, for the policy priority: people before programs.
func (l *login) class() int {
	if l.mode == oes.Char || l.mode == oes.Web {
		return 0
	}
	return 1
}

// attempt is a login that has not been decided.
type attempt struct {
	client *client
	login  login
	words  enginepool.Login
	server string // the engine that it wants, by name
	pooled bool   // requests go to any engine of the signature
	was    clientState
	prefix bool // replies had a prefix before
}

// logIn takes a login command.
func (c *client) logIn(fields []byte) {
	f := oes.ParseLogin(fields, frame.Delimiter)
	a := &attempt{client: c, was: c.state, prefix: c.prefixed}
	if c.state == stateTurn {
		c.refuse("Busy", "a login while a call is open")
		return
	}
	set := c.door.settings.Load()
	mode, push := set.mode, false
	if len(f.Mode) > 0 {
		var ok bool
		if mode, push, ok = oes.ParseMode(f.Mode); !ok || mode == oes.PhantomMode {
			c.refuse("Invalid mode "+clip(f.Mode), "wrong mode")
			return
		}
	}
	c.prefixed = mode.Prefixed()
	why := a.fill(set, mode, f)
	a.login.push = push
	c.owe()
	switch {
	case why != "":
		a.denied(why, "bad login")
	case shared(&a.words) && !trusted(c.conn):
		a.denied("Access Denied", "the user * from elsewhere")
	case a.words.Location != "":
		a.locate()
	default:
		a.decide()
	}
}

// fill takes the words of a login, and the configured ones where it has none. It returns what is wrong.
func (a *attempt) fill(set *settings, mode oes.Mode, f oes.LoginFields) string {
	d := set.cfg.For(int(mode))
	or := func(field []byte, fallback string) string {
		if len(field) == 0 {
			return fallback
		}
		return string(field)
	}
	up, err := strconv.Atoi(or(f.UpFlags, strconv.Itoa(d.StartupFlags)))
	if err != nil {
		return fmt.Sprintf("Invalid start-up flags %s", clip(f.UpFlags))
	}
	down, err := strconv.Atoi(or(f.DownFlags, strconv.Itoa(d.ShutdownFlags)))
	if err != nil {
		return fmt.Sprintf("Invalid shut-down flags %s", clip(f.DownFlags))
	}
	a.words = enginepool.Login{
		User: or(f.User, d.UserName), Password: or(f.Password, d.Password), Application: or(f.Application, d.Application),
		Procedure: or(f.Procedure, d.Procedure), Location: string(f.Location), Type: d.EngineType,
		Flags: strconv.Itoa(max(up, -up)), Mode: int(mode),
	}
	for _, word := range []string{a.words.User, a.words.Password, a.words.Application, a.words.Procedure} {
		if len(word) > maxWord || strings.IndexByte(word, frame.SubDelimiter) >= 0 {
			return fmt.Sprintf("Login failed: a field has more than %d bytes, or a delimiter in it", maxWord)
		}
	}
	a.server = or(f.Server, d.Server)
	a.pooled = d.Pooling == "request"
	a.login = login{mode: mode, hasty: up < 0, keep: down == 0, procedure: a.words.Procedure}
	return ""
}

const maxWord = 1024 // bytes of a field of a login

// shared tells whether a login is that of everybody: without a user, or without a password.
func shared(words *enginepool.Login) bool { return words.User == "*" || words.Password == "*" }

// trusted tells whether a client is on this machine, or has shown a certificate.
func trusted(conn *loop.Conn) bool {
	state, ok := conn.TLS()
	return ok && len(state.VerifiedChains) > 0 || conn.Remote().Addr().Unmap().IsLoopback()
}

// fits tells whether the login is for the kind of engine, and the directory, that e is.
func (a *attempt) fits(e *engine) bool {
	l := &e.pooled.Line().Login
	return l.Location == a.words.Location && l.Type == a.words.Type
}

// locate looks at the directory that a login names, in a goroutine: it touches the disk.
func (a *attempt) locate() {
	c := a.client
	set, s := c.door.settings.Load(), c.shard
	c.door.starting.Go(func() { // ends with the look; Door.Close waits for it
		dir, err := set.locations.resolve(a.words.Location)
		s.loop.Post(func() {
			switch {
			case c.state == stateLeaving:
			case err != nil:
				a.denied("Location not allowed", "location "+clip(a.words.Location)+": "+err.Error())
			default:
				a.words.Location = dir
				a.decide()
			}
		})
	})
}

// denied answers a login that fails. The client is where it was before; a client of its own engine is logged off.
func (a *attempt) denied(text, reason string) {
	c := a.client
	c.shard.warn("a login failed", "client", c.info.remote, "user", clip(a.words.User), "application", clip(a.words.Application), "reason", reason)
	c.shard.stats.loginFailures.Add(1)
	c.fail(string(cleanText(text)))
	c.prefixed = a.prefix
	c.next(a.was)
}

// decide finds an engine for a login whose words are known.
func (a *attempt) decide() {
	c := a.client
	switch {
	case a.server == "?":
		a.listParked()
	case a.server != "" && a.resume():
	case a.was == stateReady && c.bound != nil && !a.pooled && a.fits(c.bound):
		a.logTo()
	case a.pooled:
		a.words.Server = a.sharedEngine()
		a.logInPooled()
	default:
		a.logInBound()
	}
}

// ownName is how the server itself names engines.
var ownName = regexp.MustCompile(`^E\d{4,}$`)

// sharedEngine is the name of the one engine that all with this login and this name share; empty: any engine. What names an engine of
// the past is no such name.
func (a *attempt) sharedEngine() string {
	const most = 64 // bytes
	printable := !strings.ContainsFunc(a.server, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
	if len(a.server) > most || !printable || ownName.MatchString(a.server) {
		return ""
	}
	return a.server
}

// logInPooled accepts the login when an engine has taken its words, or waits for one to do so.
func (a *attempt) logInPooled() {
	c := a.client
	pool := c.door.pool
	line := pool.Line(a.words)
	a.login.line = line
	if line.Ready() || c.door.settings.Load().cfg.Client.LazyLogin {
		a.accept("resumed=0")
		return
	}
	k := &c.call
	k.code, k.probe, k.retried, k.begun, k.args = 0, true, false, false, k.args[:0]
	k.owner = &loginWait{c: c, a: a}
	w := &k.waiter
	w.Line, w.Mode, w.Class, w.Reject = line, int(a.login.mode), a.login.class(), a.login.hasty
	c.shard.pool.Acquire(w, c.shard.now())
}

// loginWait is a login that waits for the first engine of its signature.
type loginWait struct {
	nobody
	c *client
	a *attempt
}

func (l *loginWait) over(*call) {
	if l.c.state == stateLeaving {
		l.a.login.line.Release(l.c.door.pool)
		return
	}
	l.c.call.probe = false
	l.a.accept("resumed=0")
}

func (l *loginWait) refused(_ *call, r enginepool.Refusal) {
	l.c.call.probe = false
	l.a.login.line.Release(l.c.door.pool)
	l.a.denied(refusalText(r), r.Reason.String())
}

// accept makes the login the client's.
func (a *attempt) accept(details string) {
	c := a.client
	switch {
	case a.pooled:
		c.giveBack()
	case c.login.line != nil:
		c.login.line.Release(c.door.pool)
	}
	c.login = a.login
	c.info = &clientInfo{id: c.conn.ID(), remote: c.info.remote, user: a.words.User, application: a.words.Application, mode: a.login.mode}
	c.shard.stats.logins.Add(1)
	details = fmt.Sprintf("%s;mode=%s;charset=%s", details, a.login.mode, charset(c.utf8))
	c.reply(oes.Done, c.door.versionText(), details, "")
	c.next(stateReady)
}

// charset is what a client's texts are in, as it is told.
func charset(isUTF8 bool) string {
	if isUTF8 {
		return "utf-8"
	}
	return "8859_1"
}

// logInBound starts an engine of the client's own.
func (a *attempt) logInBound() {
	c := a.client
	line := c.door.pool.PrivateLine(a.words)
	defer line.Release(c.door.pool)
	e := &engine{bound: &boundLogin{c: c, a: a}, door: c.door}
	if pooled := c.shard.pool.Start(enginepool.Bound, line, e, c.shard.now()); pooled == nil {
		c.shard.stats.refused[enginepool.NoEngine].Add(1)
		a.denied("No engine available", "too many engines")
		return
	}
	if c.bound != nil {
		c.giveBack()
	}
	c.bound = e
}

// boundLogin is a login that waits for its own engine to come up, and then whose the engine is.
type boundLogin struct {
	c *client
	a *attempt
}

func (l *boundLogin) engineReady(e *engine) {
	c := l.c
	if c.bound != e { // it has gone
		e.shard.pool.Stop(e.pooled, enginepool.WhyClient, e.shard.now())
		return
	}
	e.client.Store(c.info)
	e.resumeToken()
	l.a.accept(e.details(false))
	e.client.Store(c.info)
}

// details is what a client is told of its own engine.
func (e *engine) details(resumed bool) string {
	again := 0
	if resumed {
		again = 1
	}
	return fmt.Sprintf("engine=%s;pid=%d;resume=%s;resumed=%d", e.name(), e.pid.Load(), e.secret, again)
}

func (l *boundLogin) engineFailed(e *engine, text string) {
	if c := l.c; c.bound == e {
		c.bound = nil
		l.a.denied("Login failed: "+clip(text), "the engine did not come up: "+clip(text))
	}
}

func (l *boundLogin) engineGone(e *engine) {
	if c := l.c; c.bound == e {
		c.bound = nil
		if c.state == stateReady {
			c.shard.log.Info("a client has lost its engine", "client", c.info.remote, "engine", e.name())
			c.state = stateOpen
		}
	}
}

// logTo has the client's own engine log in to something else.
func (a *attempt) logTo() {
	c := a.client
	k := &c.call
	line := c.door.pool.PrivateLine(a.words)
	k.logsIn, k.code, k.kind, k.retried, k.begun = true, oes.Login, "client", true, false
	k.owner = &logTo{c: c, a: a, line: line}
	k.waiter.Line, k.waiter.Mode = line, int(a.login.mode)
	c.shard.pool.Begin(c.bound.pooled, k.waiter.Mode, c.shard.now())
	c.bound.run(k)
}

// logTo is a login to another application on the engine that a client has already.
type logTo struct {
	nobody
	c    *client
	a    *attempt
	line *enginepool.Line
	why  string
	ok   bool
}

func (l *logTo) result(*call, []byte, []byte, int) { l.ok = true }
func (l *logTo) failed(_ *call, text string)       { l.why = text }

func (l *logTo) over(k *call) {
	c := l.c
	k.logsIn = false
	defer l.line.Release(c.door.pool)
	switch {
	case c.state == stateLeaving:
	case l.ok && c.bound != nil:
		c.shard.pool.Relogin(c.bound.pooled, l.line)
		l.a.accept(c.bound.details(false))
	default:
		c.giveBack()
		l.a.denied("Login failed: "+clip(l.why), "the engine refused: "+clip(l.why))
	}
}

// giveBack gives back what the client's login holds: its line, or its own engine.
func (c *client) giveBack() {
	if c.login.line != nil {
		c.login.line.Release(c.door.pool)
		c.login.line = nil
	}
	e := c.bound
	if e == nil {
		return
	}
	c.bound, e.bound = nil, forsaken{}
	if c.login.keep && e.pooled.Phase() == enginepool.Ready && e.conn != nil && c.shard.park(e, nil, c.info) {
		return
	}
	if len(e.calls) > 0 {
		c.shard.pool.Force(e.pooled, enginepool.WhyClient, c.shard.now())
		return
	}
	c.shard.pool.Stop(e.pooled, enginepool.WhyClient, c.shard.now())
}

// forsaken is the tenant of an engine whose client has given it back. It does not know the client, which may be on another loop by now.
type forsaken struct{}

func (forsaken) engineReady(e *engine) {
	e.shard.pool.Stop(e.pooled, enginepool.WhyClient, e.shard.now())
}
func (forsaken) engineFailed(*engine, string) {}
func (forsaken) engineGone(*engine)           {}
