package engine

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"

	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// parked is an engine without a client, to which its client may come back: with a call that runs on (a zombie), or with nothing to do,
// because its client left with shut-down flags 0. Owned by its loop.
type parked struct {
	shard *shard
	e     *engine
	talk  *dialogue // nil: it has nothing to do
	info  *clientInfo
	line  *enginepool.Line
	timer loop.Timer
	since int64
}

// resumeToken makes the secret with which the engine's client comes back.
func (e *engine) resumeToken() {
	if e.secret == "" {
		e.secret = rand.Text()
	}
}

// park keeps an engine for its client; false: it is not to be kept.
func (s *shard) park(e *engine, d *dialogue, info *clientInfo) bool {
	set := s.door.settings.Load()
	if e.pooled.Line() == nil || e.ending || s.door.draining.Load() {
		return false
	}
	p := &parked{shard: s, e: e, talk: d, info: info, line: e.pooled.Line(), since: s.now()}
	p.timer.Init(s.loop, p.expire)
	switch {
	case d == nil:
		if set.cfg.Pool.IdleTimeout > 0 {
			p.timer.Arm(set.cfg.Pool.IdleTimeout)
		}
	default:
		for int(s.door.zombies.Load()) >= max(1, set.cfg.Zombies.Max) {
			if !s.dropOldest() {
				return false
			}
		}
		s.door.zombies.Add(1)
		p.timer.Arm(set.cfg.Zombies.Timeout)
		e.sub.Store(int32(subZombie))
	}
	e.resumeToken()
	if e.pooled.Class == enginepool.Bound {
		e.bound = p
	}
	s.parked[e.name()] = p
	s.door.parkedOn.Store(e.name(), s.index)
	return true
}

// dropOldest ends the zombie of this shard that has been kept longest.
func (s *shard) dropOldest() bool {
	var oldest *parked
	for _, p := range s.parked {
		if p.talk != nil && (oldest == nil || p.since < oldest.since) {
			oldest = p
		}
	}
	if oldest == nil {
		return false
	}
	oldest.end(enginepool.WhySurplus)
	return true
}

func (p *parked) expire() { p.end(enginepool.WhyIdle) }

// forget takes p out of the tables.
func (p *parked) forget() {
	p.timer.Stop()
	if p.shard.parked[p.e.name()] == p {
		delete(p.shard.parked, p.e.name())
		p.shard.door.parkedOn.Delete(p.e.name())
		if p.talk != nil {
			p.shard.door.zombies.Add(-1)
		}
	}
}

// end stops a parked engine for good.
func (p *parked) end(why enginepool.Why) {
	p.forget()
	s := p.shard
	runs := false // else an engine of the pool works for somebody else by now
	if p.talk != nil {
		p.talk.stopTimers()
		if runs = p.talk.call.engine != nil; runs {
			p.e.detach(&p.talk.call)
		}
	}
	if p.e.pooled.Class == enginepool.Bound || runs {
		s.pool.Force(p.e.pooled, why, s.now())
	}
}

func (p *parked) engineReady(*engine)          {}
func (p *parked) engineFailed(*engine, string) {}
func (p *parked) engineGone(*engine)           { p.forget() }

// resume gives a client the engine that it names, if that waits for it: name, or name#token. false: there is none.
func (a *attempt) resume() bool {
	c := a.client
	name, token, _ := strings.Cut(a.server, "#")
	home, ok := c.door.parkedOn.Load(name)
	if !ok {
		return false
	}
	target := c.door.shards[home.(int)]
	if target == c.shard {
		p := c.shard.parked[name]
		if p == nil || !p.mayResume(a, token) {
			c.shard.warn("an engine that waits for its client was not given to another", "client", c.info.remote, "user", clip(a.words.User), "engine", clip(name))
			return false
		}
		a.takeOver(p)
		return true
	}
	if c.bound != nil { // it stays on this loop
		c.giveBack()
	}
	c.exit()
	c.conn.Move(target.loop, func(*loop.Conn) {
		c.shard.stats.clients.Add(-1)
		c.shard = target
		c.timer = loop.Timer{}
		c.timer.Init(target.loop, c.late)
		target.stats.clients.Add(1)
		a.decide()
	})
	return true
}

// mayResume tells whether the client may have the engine: it knows the secret or comes from the same address, and has logged in with
// the same words.
func (p *parked) mayResume(a *attempt, token string) bool {
	c := a.client
	known := subtle.ConstantTimeCompare([]byte(token), []byte(p.e.secret)) == 1
	if token == "" {
		was, err := netip.ParseAddrPort(p.info.remote)
		known = err == nil && was.Addr() == c.conn.Remote().Addr()
	}
	words := a.words
	words.Server = p.line.Login.Server // the name was that of the engine
	return known && p.info.mode == a.login.mode && c.door.pool.SameSignature(p.line, words)
}

// takeOver gives the client the parked engine, and the call on it.
func (a *attempt) takeOver(p *parked) {
	c := a.client
	p.forget()
	c.giveBack()
	e := p.e
	c.login = a.login
	if e.pooled.Class == enginepool.Bound {
		c.bound = e
		e.bound = &boundLogin{c: c, a: a}
	} else {
		a.words.Server = p.line.Login.Server
		c.login.line = c.door.pool.Line(a.words)
	}
	c.info = &clientInfo{id: c.conn.ID(), remote: c.info.remote, user: a.words.User, application: a.words.Application, mode: a.login.mode}
	e.client.Store(c.info)
	c.shard.stats.logins.Add(1)
	c.shard.stats.resumes.Add(1)
	details := fmt.Sprintf("%s;mode=%s;charset=%s", e.details(true), a.login.mode, charset(c.utf8))
	if d := p.talk; d != nil {
		if d.dropped {
			details += ";dropped=1"
		}
		d.client, d.owed, d.push = c, false, a.login.push
		c.talk = d
		if d.call.engine != nil {
			d.showTurn()
		}
		c.enter()
		c.reply(oes.Done, c.door.versionText(), details, "")
		c.next(stateTurn)
		return
	}
	c.reply(oes.Done, c.door.versionText(), details, "")
	c.next(stateReady)
}

// listParked answers a login that asks for the engines that wait for it.
func (a *attempt) listParked() {
	c := a.client
	var names []string
	c.shard.onEach(func(s *shard) []string {
		var found []string
		for name, p := range s.parked {
			if p.info.mode == a.login.mode && s.door.pool.SameSignature(p.line, a.words) {
				found = append(found, name)
			}
		}
		return found
	}, func(found []string) {
		names = found
		if c.state == stateLeaving {
			return
		}
		c.reply(oes.Done, c.door.versionText(), "zombies="+strings.Join(names, ","), "")
		c.prefixed = a.prefix
		c.next(a.was)
	})
}
