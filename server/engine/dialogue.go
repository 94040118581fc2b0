package engine

import (
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// dialogue is a call in character mode, or one with events: client and engine take turns. It outlives the client's connection when
// zombies are kept. Owned by the loop of its shard.
//
//	run: the client is owed a reply    an event that it must see -> reply -> turn; the end -> done or failed -> over
//	turn: the client is to answer      18 -> run; 19 -> input for the engine -> run; 100, 101 -> break or debug -> run
type dialogue struct {
	call   call
	shard  *shard
	client *client // nil: it has gone, and may come back

	out     []segment // what the client has not seen
	bytes   int       // of it
	dropped bool      // the oldest of it is lost

	owed     bool   // the client is owed a reply
	push     bool   // the client is always owed everything
	asked    bool   // the engine waits for input, and the client knows
	prompt   []byte // what it was asked
	polls    int    // signs of work since the client heard of one
	closing  bool   // the result has begun
	ended    bool   // the engine has ended the call
	failText string // with an error
	isFailed bool
	status   []byte // with a status text

	timer   loop.Timer // until a small chunk goes out, or a sign of work
	merging bool       // the timer is that of a chunk
	wait    loop.Timer // for the client's turn
}

// segment is a piece of output, information or a question; code is that of the reply.
type segment struct {
	code int
	b    []byte
}

const (
	chunkBytes  = 64 << 10 // most that one reply brings
	chunkTime   = 20 * time.Millisecond
	windowBytes = 256 << 10 // of output that the client has not seen, before its engine has to wait
)

// converse makes a dialogue of a command.
func (c *client) converse(code int, fields []byte) {
	d := &dialogue{shard: c.shard, client: c, owed: true, push: c.login.push}
	d.timer.Init(c.shard.loop, d.tick)
	d.wait.Init(c.shard.loop, d.waitedTooLong)
	k := &d.call
	k.waiter.Owner = k
	k.code, k.kind, k.procedure, k.owner = code, "client", c.login.procedure, d
	k.args = appendArgs(nil, c.login.mode, code, fields)
	c.talk = d
	c.owe()
	c.start(k)
}

func (d *dialogue) started(k *call) {
	if d.client != nil {
		k.engine.client.Store(d.client.info)
	}
	k.engine.sub.Store(int32(subRunning))
	d.expect()
}

// expect sets the timer for a sign of work.
func (d *dialogue) expect() {
	if d.owed && !d.timer.Armed() {
		cfg := &d.shard.door.settings.Load().cfg.Client
		d.merging = false
		d.timer.Arm(cfg.PollInterval * time.Duration(cfg.ProcessingPolls))
	}
}

func (d *dialogue) working(*call) {
	if d.polls++; d.polls >= d.shard.door.settings.Load().cfg.Client.ProcessingPolls && d.owed && len(d.out) == 0 && d.client != nil {
		d.send(oes.Working, nil)
	}
}

func (d *dialogue) output(_ *call, b []byte) { d.add(oes.Output, b) }
func (d *dialogue) info(_ *call, b []byte)   { d.add(oes.Info, b) }
func (d *dialogue) ask(_ *call, b []byte)    { d.add(oes.Ask, b) }

func (d *dialogue) result(_ *call, text, body []byte, _ int) {
	d.status, d.closing = append(d.status[:0], text...), true
	d.showEnd()
	if len(body) > 0 {
		d.add(oes.Output, body)
	}
}

func (d *dialogue) more(_ *call, b []byte) { d.add(oes.Output, b) }

func (d *dialogue) failed(_ *call, text string) {
	d.isFailed, d.failText = true, text
	d.showEnd()
}

// showEnd has tables show the engine as before, unless it is kept for a client that has gone: one of the pool goes back there.
func (d *dialogue) showEnd() {
	if e := d.call.engine; e != nil && (d.client != nil || e.pooled.Pools()) {
		e.sub.Store(int32(subRunning))
	}
}

// showTurn has tables show what the client has to do.
func (d *dialogue) showTurn() {
	next := subContinue
	if d.asked {
		next = subInput
	}
	d.call.engine.sub.Store(int32(next))
}

func (d *dialogue) over(*call) {
	d.ended, d.asked = true, false
	d.advance()
}

func (d *dialogue) refused(_ *call, r enginepool.Refusal) {
	c := d.client
	if c == nil {
		return
	}
	c.shard.warn("a call was refused", "client", c.info.remote, "user", c.info.user, "reason", r.Reason.String())
	d.isFailed, d.failText, d.ended = true, refusalText(r), true
	d.advance()
}

// add keeps what the client has to see.
func (d *dialogue) add(code int, b []byte) {
	last := len(d.out) - 1
	if last >= 0 && d.out[last].code == code && code != oes.Ask && len(d.out[last].b)+len(b) <= chunkBytes {
		d.out[last].b = append(d.out[last].b, b...)
		d.bytes += len(b)
	} else {
		for first := true; first || len(b) > 0; first = false {
			n := min(len(b), chunkBytes)
			d.out = append(d.out, segment{code, append([]byte(nil), b[:n]...)})
			d.bytes += n
			b = b[n:]
		}
	}
	d.advance()
}

// advance sends what the client may see now.
func (d *dialogue) advance() {
	c := d.client
	if c == nil {
		d.forgetOldest()
		return
	}
	for d.push && len(d.out) > 0 && !d.asked && !d.goesWithEnd() {
		d.sendFirst()
	}
	switch {
	case !d.owed:
		d.hold()
	case len(d.out) == 0 && d.ended, len(d.out) == 1 && d.ended && d.out[0].code == oes.Output:
		d.end()
	case len(d.out) == 0:
		d.expect()
	case d.out[0].code != oes.Output || len(d.out) > 1 || len(d.out[0].b) >= chunkBytes || d.ended:
		d.sendFirst()
	case !d.merging || !d.timer.Armed():
		d.merging = true
		d.timer.Arm(chunkTime)
	}
}

// goesWithEnd tells whether all that the client has not seen may stand in the last reply.
func (d *dialogue) goesWithEnd() bool {
	return (d.ended || d.closing && d.bytes < chunkBytes) && len(d.out) == 1 && d.out[0].code == oes.Output
}

// tick sends a chunk that has waited for more, or a sign of work.
func (d *dialogue) tick() {
	switch {
	case d.client == nil || !d.owed:
	case len(d.out) > 0:
		d.sendFirst()
	default:
		d.send(oes.Working, nil)
	}
}

// sendFirst sends the first segment.
func (d *dialogue) sendFirst() {
	seg := d.out[0]
	d.out[0] = segment{}
	d.out = d.out[1:]
	d.bytes -= len(seg.b)
	if seg.code == oes.Ask {
		d.asked, d.prompt = true, seg.b
	}
	d.send(seg.code, seg.b)
	if k := &d.call; k.engine != nil && d.bytes < windowBytes/2 && !d.client.conn.High() {
		k.engine.letGo()
	}
}

// send sends a reply. Then it is the client's turn, unless it gets everything unasked.
func (d *dialogue) send(code int, b []byte) {
	c := d.client
	start := c.conn.Buffer()
	c.conn.SetBuffer(c.framed(oes.AppendReplyBytes(start, c.prefixed, code, b), len(start)))
	d.polls = 0
	d.timer.Stop()
	if d.push && code != oes.Ask {
		if c.conn.High() && d.call.engine != nil {
			d.call.engine.hold(c)
		}
		d.expect()
		if c.state == stateBusy { // it may break in, and nothing else
			return
		}
	}
	d.owed = false
	if e := d.call.engine; e != nil {
		d.showTurn()
		d.shard.pool.Suspend(e.pooled, d.shard.now())
	}
	if t := d.shard.door.settings.Load().cfg.Client.Wait; t > 0 {
		d.wait.Arm(t)
	}
	c.next(stateTurn)
}

// hold has the engine wait whose client does not take its output.
func (d *dialogue) hold() {
	if d.bytes > windowBytes && d.call.engine != nil {
		d.call.engine.hold(d.client)
	}
}

// end sends the outcome. The client may go on with another command.
func (d *dialogue) end() {
	c := d.client
	var rest []byte
	if len(d.out) > 0 {
		rest = d.out[0].b
	}
	d.out = nil
	d.stopTimers()
	c.talk = nil
	c.exit()
	start := c.conn.Buffer()
	var b []byte
	switch {
	case d.isFailed && len(rest) > 0:
		b = oes.AppendReply(start, c.prefixed, oes.Failed, string(cleanText(d.failText)), string(rest))
	case d.isFailed:
		b = oes.AppendReply(start, c.prefixed, oes.Failed, string(cleanText(d.failText)))
	case len(d.status) > 0:
		b = oes.AppendReplyHead(start, c.prefixed, oes.Done, len(rest)+1+len(d.status)+1)
		b = append(append(b, rest...), frame.Delimiter)
		b = append(append(b, d.status...), frame.Delimiter)
	case len(rest) == 0:
		b = oes.AppendReply(start, c.prefixed, oes.Done) // seed, "Continue": the routine has terminated
	default:
		b = oes.AppendReplyBytes(start, c.prefixed, oes.Done, rest)
	}
	c.conn.SetBuffer(c.framed(b, len(start)))
	c.next(stateReady)
}

func (d *dialogue) stopTimers() {
	d.timer.Stop()
	d.wait.Stop()
}

// turn takes the command of a client whose turn it is.
func (d *dialogue) turn(code int, fields []byte) {
	c, e := d.client, d.call.engine
	switch code {
	case oes.Continue:
		if d.asked && e != nil {
			d.send(oes.Ask, d.prompt)
			return
		}
	case oes.Input:
		if !d.asked || e == nil {
			c.refuse("No input requested", "input without a question")
			return
		}
		text, _, _ := frame.Cut(fields)
		d.asked = false
		e.answer(&d.call, text)
	case oes.Break, oes.Debug:
		if e != nil {
			e.interrupt(&d.call, code)
		}
	case oes.Logoff:
		c.reply(oes.Done)
		d.clientLeft()
		c.giveBack()
		c.state = stateLeaving
		c.timer.Arm(leaveTime)
		return
	default:
		c.refuse("Busy", "a command while a call is open")
		return
	}
	d.wait.Stop()
	d.owed = true
	c.owe()
	if e != nil {
		e.sub.Store(int32(subRunning))
		d.shard.pool.Resume(e.pooled, d.shard.now())
	}
	d.advance()
}

// waitedTooLong ends a dialogue whose client does not answer.
func (d *dialogue) waitedTooLong() {
	if c := d.client; c != nil {
		c.shard.warn("a client does not go on with its call", "client", c.info.remote, "user", c.info.user)
		c.leave()
	}
}

// clientGone is called when the connection of the client has ended in mid-call.
func (d *dialogue) clientGone() {
	d.stopTimers()
	c := d.client
	e := d.call.engine
	if e == nil {
		e = c.bound
	}
	if d.shard.door.settings.Load().cfg.Zombies.Keep && e != nil && !d.call.waiter.Queued() && d.shard.park(e, d, c.info) {
		if e == c.bound {
			c.bound = nil
		}
		d.client = nil
		e.letGo() // what it says is kept, not sent
		d.forgetOldest()
		return
	}
	d.clientLeft()
}

// clientLeft ends the call of a client that does not come back.
func (d *dialogue) clientLeft() {
	d.stopTimers()
	c := d.client
	c.talk = nil
	c.exit()
	if d.call.waiter.Queued() {
		d.shard.pool.Cancel(&d.call.waiter)
	} else if e := d.call.engine; e != nil {
		c.abandon(e, &d.call)
	}
}

// forgetOldest bounds what is kept for a client that may come back.
func (d *dialogue) forgetOldest() {
	most := d.shard.door.settings.Load().cfg.Zombies.Buffer
	for d.bytes > most && len(d.out) > 0 && d.out[0].code != oes.Ask {
		d.bytes -= len(d.out[0].b)
		d.out = d.out[1:]
		d.dropped = true
	}
}
