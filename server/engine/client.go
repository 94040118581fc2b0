package engine

import (
	"fmt"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// clientState is what a client may do next.
type clientState uint8

const (
	stateOpen    clientState = iota // a command; it has not logged in, or no longer
	stateReady                      // a command
	stateBusy                       // nothing but a break: it is owed a reply
	stateTurn                       // go on with the dialogue
	stateLeaving                    // nothing: its connection is being closed
)

// client is the session of a client's connection. Owned by its loop.
type client struct {
	// Fixed at open.
	door  *Door
	chars bool // lengths count characters
	utf8  bool // texts are in UTF-8
	// It came to the listener of statistics, and may send nothing else.
	recordsOnly bool

	// Owned by the loop.
	shard    *shard
	conn     *loop.Conn
	info     *clientInfo
	state    clientState
	prefixed bool // replies have okcode or errcode in front
	login    login
	call     call
	answer   answer
	talk     *dialogue // the dialogue that runs; nil: none
	bound    *engine   // the engine that is its own; nil: it uses the pool's
	inCall   bool      // it counts as a request in flight
	held     []byte    // frames that came while it was owed a reply
	holding  int       // their number
	timer    loop.Timer
}

// clientInfo is what tables and logs show of a client. It is never changed, only replaced.
type clientInfo struct {
	id                        uint64
	remote, user, application string
	mode                      oes.Mode
}

const (
	maxHeldFrames = 16
	maxHeldBytes  = 256 << 10
	leaveTime     = 5 * time.Second // after the reply to a logoff
)

func (s *shard) newClient(conn *loop.Conn, chars bool) *client {
	c := &client{door: s.door, chars: chars, shard: s, conn: conn}
	c.info = &clientInfo{id: conn.ID(), remote: conn.Remote().String(), mode: oes.JD3}
	c.prefixed = s.door.settings.Load().mode.Prefixed()
	c.timer.Init(s.loop, c.late)
	c.call.waiter.Owner = &c.call
	c.answer.client = c
	s.stats.clients.Add(1)
	c.waitForCommand()
	return c
}

// Data takes commands.
func (c *client) Data(_ *loop.Conn, in []byte) (int, error) {
	done := 0
	for c.state != stateLeaving {
		payload, n, err := c.frame(in[done:])
		switch {
		case err != nil && c.state == stateBusy: // its turn comes after the reply
			c.conn.Pause()
			return done, nil
		case err != nil:
			c.protocolError(err)
			return len(in), nil
		}
		if n == 0 {
			c.waitForRest(len(in) - done)
			return done, nil
		}
		if c.state == stateBusy && len(payload) > 0 && !isBreak(payload) && !c.hold(in[done:done+n]) {
			c.conn.Pause()
			return done, nil
		}
		c.shard.stats.wire.received(n)
		if c.timer.Armed() && !c.login.idling && !c.conn.InputEnded() {
			c.timer.Stop() // the frame is complete
		}
		switch {
		case len(payload) == 0:
		case c.state != stateBusy:
			c.handle(payload)
		case isBreak(payload):
			c.running().breakIn(c.shard, payload)
		}
		done += n
	}
	return len(in), nil
}

// running is the call of the client that has not ended, or nil.
func (c *client) running() *call {
	switch {
	case c.talk != nil:
		return &c.talk.call
	case c.state == stateBusy && (c.call.engine != nil || c.call.waiter.Queued()):
		return &c.call
	}
	return nil
}

// next goes on when a reply has gone out: with what was held, then with what is unread.
func (c *client) next(state clientState) {
	if state == stateReady && c.bound == nil && c.login.line == nil {
		state = stateOpen // its own engine has ended
	}
	c.state = state
	for c.holding > 0 && c.state != stateBusy && c.state != stateLeaving {
		payload, n, err := c.frame(c.held)
		if err != nil || n == 0 {
			break // it was judged when it came
		}
		c.holding--
		c.held = c.held[n:] // before it is handled: what answers at once comes back here
		c.handle(payload)
	}
	if c.holding == 0 {
		c.held = nil
	}
	if c.state == stateBusy || c.state == stateLeaving {
		return
	}
	if (c.conn.InputEnded() || c.door.draining.Load() && c.state != stateTurn) && c.conn.Unread() == 0 {
		c.leave()
		return
	}
	c.waitForCommand()
	if c.conn.Paused() {
		c.conn.Resume()
	} else if c.conn.Unread() > 0 {
		c.conn.Again()
	}
}

// handle takes one command. The client is not owed a reply.
func (c *client) handle(payload []byte) {
	code, fields, err := oes.ParseCommand(payload)
	switch {
	case err != nil:
		c.refuse("Unknown command "+clip(payload[:min(16, len(payload))]), "unknown command")
	case c.recordsOnly && code != oes.Statistics:
		c.refuse(fmt.Sprintf("Unknown command %d", code), "not a record of statistics")
	case code < 0:
		(&control{client: c, was: c.state}).take(code, fields)
	case code == oes.Login:
		c.logIn(fields)
	case c.state == stateOpen && code > 0:
		c.refuse("Not logged in", "a command before login")
	case c.state == stateTurn && code > 0:
		c.talk.turn(code, fields)
	default:
		c.command(code, fields)
	}
}

// command takes a command of a client that has logged in and runs nothing.
func (c *client) command(code int, fields []byte) {
	jd3 := c.login.mode == oes.JD3
	switch {
	case code == oes.Logoff:
		c.logOff()
	case code == oes.Execute || code == oes.Call:
		c.execute(code, fields)
	case code == oes.CallEvents && jd3:
		c.converse(code, fields)
	case code == oes.CallEvents:
		c.refuse("Command 400 needs JD3 mode", "wrong mode")
	case code == oes.Continue || code == oes.Break || code == oes.Debug:
		c.reply(oes.Done)
	case code == oes.Input:
		c.refuse("No input requested", "input without a question")
	case jd3 && code > oes.Call && code < oes.Break:
		c.execute(code, fields)
	default:
		c.refuse(fmt.Sprintf("Unknown command %d", code), "unknown command")
	}
}

// execute makes a call of a command.
func (c *client) execute(code int, fields []byte) {
	if c.login.mode == oes.Char {
		c.converse(code, fields)
		return
	}
	k := &c.call
	k.code, k.kind, k.procedure, k.owner = code, "client", c.login.procedure, &c.answer
	k.args = appendArgs(k.args[:0], c.login.mode, code, fields)
	k.retried, k.begun, k.logsIn, k.wrong = false, false, false, false
	c.owe()
	c.start(k)
}

// start gives a call to the client's own engine, or waits for one of the pool's.
func (c *client) start(k *call) {
	w := &k.waiter
	w.Line, w.Mode, w.Class, w.Reject = c.login.line, int(c.login.mode), c.login.class(), c.login.hasty
	c.enter()
	if e := c.bound; e != nil {
		w.Line = e.pooled.Line()
		c.shard.pool.Begin(e.pooled, w.Mode, c.shard.now())
		e.run(k)
		return
	}
	c.shard.pool.Acquire(w, c.shard.now())
}

// enter and exit count the client's request in flight.
func (c *client) enter() {
	if !c.inCall {
		c.inCall = true
		c.shard.stats.entered()
	}
}

func (c *client) exit() {
	if c.inCall {
		c.inCall = false
		c.shard.stats.inFlight.Add(-1)
	}
}

// appendArgs appends the arguments of a call: each field one, or in JD3 mode the whole command as one.
func appendArgs(dst []byte, mode oes.Mode, code int, fields []byte) []byte {
	if mode == oes.JD3 {
		dst = appendInt(dst, code)
		dst = append(dst, frame.Delimiter)
	}
	dst = append(dst, fields...)
	if len(fields) > 0 && fields[len(fields)-1] != frame.Delimiter {
		dst = append(dst, frame.Delimiter)
	}
	return dst
}

// leave closes the connection after its output.
func (c *client) leave() {
	c.state = stateLeaving
	c.timer.Stop()
	c.conn.Close()
}

// owe notes that the client is owed a reply. One that has ended its side may have gone altogether, which nothing tells: it is given a
// while.
func (c *client) owe() {
	c.state = stateBusy
	c.timer.Stop()
	if c.conn.InputEnded() {
		c.timer.Arm(halfTime)
	}
}

const halfTime = 2 * time.Second // for the reply to a client that has ended its side

// InputClosed keeps the connection of a client that is owed a reply. In a dialogue that may be taken up again it counts as gone.
func (c *client) InputClosed(*loop.Conn) bool {
	if c.state != stateBusy || c.talk != nil && c.door.settings.Load().cfg.Zombies.Keep {
		return false
	}
	c.timer.Arm(halfTime)
	return true
}

// waitForRest limits the time until a frame is complete.
func (c *client) waitForRest(unread int) {
	if c.state == stateLeaving || c.state == stateBusy {
		return
	}
	if c.conn.InputEnded() {
		c.leave()
		return
	}
	if unread == 0 {
		c.waitForCommand()
	} else if !c.timer.Armed() || c.login.idling {
		c.login.idling = false
		c.timer.Arm(c.door.settings.Load().cfg.Client.ReadTimeout)
	}
}

// waitForCommand limits the time until the next command, if the configuration does.
func (c *client) waitForCommand() {
	if c.login.idling && c.state != stateTurn {
		if d := c.door.settings.Load().cfg.Client.Idle; d > 0 {
			c.timer.Arm(d)
		}
		return
	}
	c.timer.Stop()
	if d := c.door.settings.Load().cfg.Client.Idle; d > 0 && c.state != stateTurn {
		c.login.idling = true
		c.timer.Arm(d)
	}
}

// late is the end of the time that waitForRest, waitForCommand or logOff has set.
func (c *client) late() {
	switch {
	case c.state == stateLeaving:
		c.conn.Close()
	case c.state == stateBusy && c.conn.InputEnded():
		k := c.running()
		if c.door.settings.Load().cfg.Client.OnDisconnect == "finish" && k != nil && !k.waiter.Queued() {
			c.timer.Arm(halfTime)
			return
		}
		c.leave()
	case c.login.idling:
		c.shard.log.Info("an idle client is disconnected", "client", c.info.remote)
		c.leave()
	default:
		c.protocolError(errSlowFrame)
	}
}

// logOff answers and gives back what the login holds. The client closes the connection; if not, we do.
func (c *client) logOff() {
	c.reply(oes.Done)
	c.giveBack()
	c.state = stateLeaving
	c.timer.Arm(leaveTime)
}

// Drained tells that the client has taken its output.
func (c *client) Drained(*loop.Conn) {
	if c.answer.spool != nil {
		c.answer.drained()
		return
	}
	for _, k := range []*call{&c.call, c.talk.open()} {
		if k != nil && k.engine != nil && k.engine.held == c {
			k.engine.letGo()
		}
	}
}

// open is the call of a dialogue, or nil when there is none.
func (d *dialogue) open() *call {
	if d == nil {
		return nil
	}
	return &d.call
}

// Closed ends what the client had going on.
func (c *client) Closed(*loop.Conn, error) {
	c.timer.Stop()
	c.answer.clear()
	c.exit()
	c.shard.stats.clients.Add(-1)
	c.door.clients.Add(-1)
	c.state = stateLeaving
	if k := &c.call; k.waiter.Queued() {
		c.shard.pool.Cancel(&k.waiter)
		if l, ok := k.owner.(*loginWait); ok {
			l.a.login.line.Release(c.door.pool)
		}
	} else if e := k.engine; e != nil {
		c.abandon(e, k)
		if l, ok := k.owner.(*logTo); ok {
			l.line.Release(c.door.pool)
		}
	}
	if c.talk != nil {
		c.talk.clientGone()
	}
	c.giveBack()
}

// abandon leaves a call to itself whose client has gone.
func (c *client) abandon(e *engine, k *call) {
	first := e.calls[0] == k
	e.detach(k)
	if !first {
		return // the engine has not begun it, and will waste its time on it
	}
	pool, now := c.shard.pool, c.shard.now()
	switch c.door.settings.Load().cfg.Client.OnDisconnect {
	case "finish":
	case "kill":
		pool.Broken(e.pooled, enginepool.WhyClient, "its client has gone", now)
	default:
		e.interrupt(e.calls[0], oes.Break)
		pool.Abandon(e.pooled, now)
	}
}
