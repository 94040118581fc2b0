package engine

import (
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
	"roundhouse/enginepool"
)

// answer makes one reply of all that a call in a block mode brings. Owned by the loop of its client.
type answer struct {
	client    *client
	collected []byte // of the output so far
	text      []byte // status text, the second field of the reply; empty: none
	left      int    // bytes of the result that are still to come
	whole     bool   // a result has come, and waits for its end to be sent: chars
	tooLarge  bool   // the output is thrown away: no frame can hold it
}

const maxReply = frame.MaxSize - 64 // bytes of a reply's fields; prefix and code come on top

func (a *answer) started(k *call) { k.engine.client.Store(a.client.info) }

func (a *answer) working(*call) {}

// output collects.
func (a *answer) output(_ *call, b []byte) {
	if a.tooLarge = a.tooLarge || len(a.collected)+len(b) > maxReply; a.tooLarge {
		a.collected = nil
		return
	}
	a.collected = append(a.collected, b...)
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
	if a.tooLarge || len(a.collected)+size+tail > maxReply {
		a.tooLarge = true
		return
	}
	if c.chars { // the length is known when the last character has come
		a.whole = true
		a.collected = append(a.collected, body...)
		return
	}
	start := c.conn.Buffer()
	b := oes.AppendReplyHead(start, c.prefixed, oes.Done, len(a.collected)+size+tail)
	b = append(b, a.collected...)
	if len(body) <= largeArgs && a.left == 0 {
		b = a.appendTail(append(b, body...))
		c.conn.SetBuffer(c.framed(b, len(start)))
		return
	}
	c.conn.SetBuffer(c.framed(b, len(start)))
	a.send(k, body)
}

// more sends a piece of the result.
func (a *answer) more(k *call, b []byte) {
	a.left -= len(b)
	switch {
	case a.tooLarge:
	case a.client.chars:
		a.collected = append(a.collected, b...)
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
	if conn.High() {
		k.engine.hold(a.client)
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

// failed sends an error; what was collected goes with it.
func (a *answer) failed(_ *call, text string) {
	c := a.client
	a.whole = false
	if a.left > 0 && !a.tooLarge && !c.chars { // half of the reply has gone out
		c.conn.Abort(errEngine)
		return
	}
	if len(a.collected) > 0 && c.login.mode != oes.Web {
		c.reply(oes.Failed, string(cleanText(text)), string(a.collected))
		return
	}
	c.fail(string(cleanText(text)))
}

// over ends the exchange.
func (a *answer) over(*call) {
	c := a.client
	switch {
	case a.tooLarge:
		c.refuse("Reply too large", "the reply does not fit into a frame")
	case a.whole:
		start := c.conn.Buffer()
		b := oes.AppendReplyHead(start, c.prefixed, oes.Done, len(a.collected)+1)
		c.conn.SetBuffer(c.framed(a.appendTail(append(b, a.collected...)), len(start)))
	}
	if cap(a.collected) > keepArgs {
		a.collected = nil
	}
	a.collected, a.text, a.tooLarge, a.whole = a.collected[:0], a.text[:0], false, false
	c.exit()
	state := stateReady
	if c.login.line == nil && c.bound == nil {
		state = stateOpen // its own engine has ended
	}
	c.next(state)
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
