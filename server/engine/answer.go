package engine

import (
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
)

// answer makes one reply of all that a call in a block mode brings. Owned by the loop of its client.
type answer struct {
	client    *client
	collected []byte // of the output so far, behind what is in the spool
	spool     *spool // nil: the output is small
	text      []byte // status text, the second field of the reply; empty: none
	left      int    // bytes of the result that are still to come
	whole     bool   // a result has come, and waits for its end to be sent: chars
	begun     bool   // the head of the reply has gone out
	trouble   string // why the output is thrown away; empty: it is not
}

const maxReply = frame.MaxSize - 64 // bytes of a reply's fields; prefix and code come on top

func (a *answer) started(k *call) { k.engine.client.Store(a.client.info) }

func (a *answer) working(*call) {}

// kept is the number of bytes that wait for the end of the call.
func (a *answer) kept() int {
	if a.spool != nil {
		return a.spool.size + len(a.collected)
	}
	return len(a.collected)
}

// spoil throws the output away.
func (a *answer) spoil(trouble string) {
	a.trouble, a.collected = trouble, nil
}

// output collects.
func (a *answer) output(k *call, b []byte) {
	switch {
	case a.trouble != "":
		return
	case a.kept()+len(b) > maxReply:
		a.spoil("Reply too large")
		return
	}
	a.collected = append(a.collected, b...)
	if len(a.collected) >= spoolBytes && !a.client.chars {
		if a.spool == nil {
			a.spool = &spool{answer: a, call: k}
		}
		if !a.spool.busy {
			full := a.collected
			a.collected = nil
			a.spool.write(k, full)
		}
	}
}

func (a *answer) info(k *call, b []byte) { a.output(k, b) }

// ask has nobody to ask: the engine gets an empty answer.
func (a *answer) ask(k *call, _ []byte) { k.engine.answer(k, nil) }

// result sends the reply, or as much of it as there is.
func (a *answer) result(k *call, text, body []byte, size int) {
	c := a.client
	a.left = size - len(body)
	tail := 1
	a.text = a.text[:0]
	if len(text) > 0 && c.login.mode == oes.JD3 {
		a.text = append(a.text, text...)
		tail += len(text) + 1
	}
	if a.trouble == "" && a.kept()+size+tail > maxReply {
		a.spoil("Reply too large")
	}
	if a.trouble != "" {
		return
	}
	if c.chars { // the length is known when the last character has come
		a.whole = true
		a.collected = append(a.collected, body...)
		return
	}
	start := c.conn.Buffer()
	b := c.framed(oes.AppendReplyHead(start, c.prefixed, oes.Done, a.kept()+size+tail), len(start))
	a.begun = true
	if a.spool != nil {
		c.conn.SetBuffer(b)
		a.spool.rest = append(a.collected, body...)
		a.collected = nil
		a.spool.send(k)
		return
	}
	b = append(b, a.collected...)
	if len(body) <= largeArgs && a.left == 0 {
		c.conn.SetBuffer(a.appendTail(append(b, body...)))
		return
	}
	c.conn.SetBuffer(b)
	a.send(k, body)
}

// more sends a piece of the result.
func (a *answer) more(k *call, b []byte) {
	a.left -= len(b)
	switch {
	case a.trouble != "":
	case a.client.chars:
		a.collected = append(a.collected, b...)
	case a.spool != nil && a.spool.sends:
		a.spool.rest = append(a.spool.rest, b...)
	default:
		a.send(k, b)
	}
}

// send sends a piece of the result, and the end after the last one. The engine waits while the client's output is full.
func (a *answer) send(k *call, b []byte) {
	conn := a.client.conn
	if a.left > 0 {
		conn.Writev(b)
	} else {
		conn.Writev(b, a.appendTail(nil))
	}
	if conn.High() && k.engine != nil {
		k.engine.hold(a.client)
	}
}

// spooled is called when the content of the spool has been sent: what stood behind it follows.
func (a *answer) spooled(s *spool) {
	a.spool = nil
	s.close()
	a.send(s.call, s.rest)
	if s.over {
		a.finish()
	} else if e := s.call.engine; e != nil && !a.client.conn.High() {
		e.letGo()
	}
}

// appendTail appends what stands behind the output.
func (a *answer) appendTail(b []byte) []byte {
	b = append(b, frame.Delimiter)
	if len(a.text) > 0 {
		b = append(append(b, a.text...), frame.Delimiter)
	}
	return b
}

// failed sends an error; what was collected goes with it, if that is little.
func (a *answer) failed(_ *call, text string) {
	c := a.client
	switch {
	case a.begun: // half of the reply has gone out
		c.conn.Abort(errEngine)
	case len(a.collected) > 0 && a.spool == nil && c.login.mode != oes.Web:
		c.reply(oes.Failed, string(cleanText(text)), string(a.collected))
	default:
		c.fail(string(cleanText(text)))
	}
	a.whole, a.trouble = false, ""
}

// over ends the exchange, as soon as everything has been sent.
func (a *answer) over(*call) {
	if s := a.spool; s != nil && s.sends {
		s.over = true
		return
	}
	a.finish()
}

// finish makes the client ready for its next command.
func (a *answer) finish() {
	c := a.client
	switch {
	case a.trouble != "":
		c.refuse(a.trouble, "the output does not fit")
	case a.whole:
		start := c.conn.Buffer()
		b := oes.AppendReplyHead(start, c.prefixed, oes.Done, len(a.collected)+1)
		c.conn.SetBuffer(c.framed(a.appendTail(append(b, a.collected...)), len(start)))
	}
	a.clear()
	c.exit()
	state := stateReady
	if c.login.line == nil && c.bound == nil {
		state = stateOpen // its own engine has ended
	}
	c.next(state)
}

// clear forgets what was collected.
func (a *answer) clear() {
	if a.spool != nil {
		a.spool.close()
		a.spool = nil
	}
	if cap(a.collected) > keepArgs {
		a.collected = nil
	}
	a.collected, a.text = a.collected[:0], a.text[:0]
	a.trouble, a.whole, a.begun, a.left = "", false, false, 0
}

// drained goes on with a reply for which the client had no room.
func (a *answer) drained() {
	if a.spool != nil {
		a.spool.next()
	}
}

// refused tells the client that there is no engine.
func (a *answer) refused(_ *call, r enginepool.Refusal) {
	text := refusalText(r)
	a.client.exit()
	a.client.refuse(text, r.Reason.String())
	a.client.next(stateReady)
}

// refusalText is what a client is told that gets no engine.
func refusalText(r enginepool.Refusal) string {
	switch r.Reason {
	case enginepool.TimedOut:
		return "Timed out waiting for an engine"
	case enginepool.LoginFailed:
		return "Login failed: " + clip(r.Text)
	case enginepool.Stopping:
		return "Server is stopping"
	}
	return "No engine available"
}

// cleanText makes an engine's text fit for a field.
func cleanText(text string) []byte {
	b := []byte(text)
	for i := range b {
		if b[i] == frame.Delimiter {
			b[i] = ' '
		}
	}
	return b
}
