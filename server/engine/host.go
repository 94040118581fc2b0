package engine

import (
	"strconv"
	"syscall"
	"time"

	"roundhouse/codec/oes"
	"roundhouse/codec/revcap"
	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// host does what the pool decides about the engines of a shard.
type host struct{ *shard }

// Spawn starts the process of an engine.
func (h host) Spawn(pooled *enginepool.Engine) {
	e, _ := pooled.Owner.(*engine)
	if e == nil {
		e = &engine{}
		pooled.Owner = e
	}
	e.pooled, e.door, e.shard = pooled, h.door, h.shard
	h.door.spawn(e, pooled.Line().Login)
}

// Login sends the words of the engine's line.
func (h host) Login(pooled *enginepool.Engine) {
	e := pooled.Owner.(*engine)
	if e.conn == nil {
		return
	}
	e.rid++
	e.login = e.rid
	e.conn.SetBuffer(revcap.AppendLogin(e.conn.Buffer(), e.login, loginOrder(&pooled.Line().Login)))
}

// loginOrder is a login as an engine gets it.
func loginOrder(l *enginepool.Login) revcap.Login {
	return revcap.Login{
		User: l.User, Password: l.Password, Application: l.Application, Mode: strconv.Itoa(l.Mode), Procedure: l.Procedure,
		Flags: l.Flags, Location: l.Location,
	}
}

// loginEvent takes what an engine says about its login.
func (e *engine) loginEvent(ev *revcap.Event) error {
	s := e.shard
	switch ev.Status {
	case revcap.Completed:
		e.login = 0
		s.pool.LoggedIn(e.pooled, s.now())
		s.stats.cameUp(e, s.now())
	case revcap.ProcError:
		e.login = 0
		s.log.Warn("an engine refused a login", "engine", e.name(), "application", e.pooled.Line().Login.Application,
			"user", e.pooled.Line().Login.User, "reason", clip(ev.Body))
		s.pool.LoginFailed(e.pooled, clip(ev.Body), s.now())
	case revcap.InfoRequest:
		login := call{rid: ev.RID, engine: e}
		if !e.command(&login, ev.Body) {
			e.answer(&login, nil)
		}
	}
	return nil
}

// Proc runs a procedure of the server's own.
func (h host) Proc(pooled *enginepool.Engine, kind, procedure string) {
	e := pooled.Owner.(*engine)
	e.own = call{code: oes.Execute, kind: kind, procedure: procedure, owner: &ownProc{e: e}}
	e.own.waiter.Line, e.own.waiter.Mode = pooled.Line(), pooled.Line().Login.Mode
	e.run(&e.own)
}

// ownProc gets the outcome of a start-up, shut-down or timer procedure.
type ownProc struct {
	nobody
	e  *engine
	ok bool
}

func (p *ownProc) result(*call, []byte, []byte, int) { p.ok = true }

func (p *ownProc) failed(c *call, text string) {
	p.e.shard.log.Warn("a procedure failed", "engine", p.e.name(), "kind", c.kind, "procedure", c.procedure, "reason", text)
}

func (p *ownProc) over(*call) {
	s := p.e.shard
	s.pool.ProcDone(p.e.pooled, p.ok, s.now())
	s.stats.cameUp(p.e, s.now())
}

// Run gives an engine the request of a waiter.
func (h host) Run(pooled *enginepool.Engine, w *enginepool.Waiter) {
	c := w.Owner.(*call)
	if c.probe {
		h.after(func() {
			h.pool.Release(pooled, false, h.now())
			c.owner.over(c)
		})
		return
	}
	h.stats.waited(h.now() - w.Since())
	w.Alone = false
	pooled.Owner.(*engine).run(c)
}

// Refuse tells that there is no engine for a waiter.
func (h host) Refuse(w *enginepool.Waiter, r enginepool.Refusal) {
	h.stats.refused[r.Reason].Add(1)
	c := w.Owner.(*call)
	c.owner.refused(c, r)
}

// Ready tells that a bound engine or a phantom has logged in.
func (h host) Ready(pooled *enginepool.Engine) {
	e := pooled.Owner.(*engine)
	h.after(func() {
		if e.ending { // meanwhile
			e.bound.engineFailed(e, "the engine has ended")
			return
		}
		e.hail.given = true
		e.bound.engineReady(e)
	})
}

// Failed tells that a bound engine or a phantom did not come up.
func (h host) Failed(pooled *enginepool.Engine, text string) {
	e := pooled.Owner.(*engine)
	h.after(func() { e.bound.engineFailed(e, text) })
}

// tenant is who has an engine of its own.
type tenant interface {
	engineReady(e *engine)
	engineFailed(e *engine, text string)
	// engineGone is the last one: the engine has ended. It may be called again.
	engineGone(e *engine)
}

// after runs f when the pool has returned: it may call the pool. When the loop is stopping, f is not needed.
func (s *shard) after(f func()) { s.loop.Post(f) }

// Overran ends a request that has run for too long. Its engine is being stopped.
func (h host) Overran(pooled *enginepool.Engine) {
	e := pooled.Owner.(*engine)
	if len(e.calls) == 0 {
		return
	}
	c := e.calls[0]
	if c == &e.own {
		return
	}
	h.warn("a request ran for too long", "engine", e.name(), "procedure", c.procedure, "client", e.who())
	e.fail(c, "Maximum run time exceeded")
}

// fail ends a call for its client. The engine goes on with a ghost of it, whose outcome nobody gets.
func (e *engine) fail(c *call, text string) {
	e.shard.stats.result(e, c, resultKilled, e.shard.now())
	e.detach(c)
	c.owner.failed(c, text)
	c.owner.over(c)
}

// detach takes a call from its engine, which goes on with a ghost of it.
func (e *engine) detach(c *call) {
	finish := e.door.settings.Load().cfg.Client.OnDisconnect == "finish"
	for i := range e.calls {
		if e.calls[i] == c {
			ghost := &call{code: c.code, rid: c.rid, kind: c.kind, procedure: c.procedure, began: c.began, begun: true, counted: c.counted, owner: nobody{}, engine: e}
			ghost.unwanted = i > 0 && !finish
			ghost.waiter.Line, ghost.waiter.Mode = c.waiter.Line, c.waiter.Mode
			e.calls[i] = ghost
			if i == 0 { // the engine waits for the client of the first one only
				e.letGo()
			}
		}
	}
	c.engine = nil
}

// Logoff asks an engine to finish and leave.
func (h host) Logoff(pooled *enginepool.Engine) {
	e := pooled.Owner.(*engine)
	e.rid++
	e.order(revcap.Logoff, e.rid)
}

// Break asks an engine to end its request.
func (h host) Break(pooled *enginepool.Engine) {
	e := pooled.Owner.(*engine)
	if len(e.calls) > 0 {
		e.interrupt(e.calls[0], revcap.Break)
	}
}

// Terminate ends an engine's processes with a chance to clean up.
func (h host) Terminate(pooled *enginepool.Engine) { h.end(pooled, syscall.SIGTERM) }

// Kill ends an engine's processes at once.
func (h host) Kill(pooled *enginepool.Engine) {
	h.stats.killed(pooled.Why())
	h.end(pooled, syscall.SIGKILL)
}

func (h host) end(pooled *enginepool.Engine, sig syscall.Signal) {
	e := pooled.Owner.(*engine)
	switch {
	case e.process != nil:
		e.process.Signal(sig)
	case pooled.Class == enginepool.External && e.conn != nil && sig == syscall.SIGKILL:
		e.conn.Abort(errEngine) // it takes nothing any more: Close would wait for it
	case pooled.Class == enginepool.External && e.conn != nil:
		e.conn.Close()
	default:
		e.doomed = sig // as soon as it has started
	}
}

// Move takes an engine's connection to another loop.
func (h host) Move(pooled *enginepool.Engine, to int) {
	e := pooled.Owner.(*engine)
	target := h.door.shards[to]
	if e.conn == nil { // it has ended, and this is not yet known here
		return
	}
	e.moving.Store(true)
	h.stats.moves.Add(1)
	delete(h.guests, e)
	e.conn.Move(target.loop, func(*loop.Conn) { target.arrived(e) })
}

// arrived takes over an engine of another shard.
func (s *shard) arrived(e *engine) {
	e.shard = s
	if e.pooled.Class == enginepool.External {
		s.guests[e] = true
	}
	e.moving.Store(false)
	s.pool.Arrive(e.pooled, s.now())
	if text := e.exit.Load(); text != nil {
		s.exited(e, *text)
	}
}

// Tell hands a message to another shard.
func (h host) Tell(to int, m enginepool.Message) {
	target := h.door.shards[to]
	target.loop.Post(func() { target.pool.Handle(m, target.now()) }) // a loop that stops needs none
}

// Wake sets the time of the next tick.
func (h host) Wake(at int64) { h.tick.Arm(time.Duration(at - h.now())) }

// Note logs what an operator wants to know.
func (h host) Note(n enginepool.Note, l *enginepool.Line, _ *enginepool.Engine) {
	switch n {
	case enginepool.NoteStalled:
		h.log.Error("BUG: requests waited beside an idle engine", "application", l.Login.Application, "user", l.Login.User)
	case enginepool.NoteBackoff:
		h.warn("engines do not come up", "application", l.Login.Application, "user", l.Login.User, "type", l.Login.Type)
	}
}
