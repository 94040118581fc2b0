package engine

import (
	"errors"
	"strings"
	"unicode/utf8"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// frame cuts the first frame off in. n == 0: it is not complete.
func (c *client) frame(in []byte) (payload []byte, n int, err error) {
	size, n, err := frame.ParsePadded(in, c.door.settings.Load().cfg.Client.MaxFrame)
	if n == 0 || err != nil {
		return nil, 0, err
	}
	if c.chars {
		return frameOfChars(in[n:], n, size)
	}
	if len(in)-n < size {
		return nil, 0, nil
	}
	return in[n : n+size], n + size, nil
}

// frameOfChars cuts off as many UTF-8 characters as size says. A byte that is none counts as one.
func frameOfChars(in []byte, head, size int) (payload []byte, n int, err error) {
	if len(in) < size { // a character is a byte at least: what is far from complete is not counted through each time
		return nil, 0, nil
	}
	end := 0
	for ; size > 0; size-- {
		if end >= len(in) || !utf8.FullRune(in[end:]) {
			return nil, 0, nil
		}
		_, width := utf8.DecodeRune(in[end:])
		end += width
	}
	return in[:end], head + end, nil
}

// isBreak tells whether a command is a break, or a call of the debugger. One of a client that is owed a reply is out of turn.
func isBreak(payload []byte) bool {
	code, _, err := oes.ParseCommand(payload)
	return err == nil && (code == oes.Break || code == oes.Debug)
}

// breakIn takes a break out of turn: it has no reply of its own. k may be nil: nothing runs.
func (k *call) breakIn(s *shard, payload []byte) {
	code, _, _ := oes.ParseCommand(payload) // isBreak has seen that it is one
	switch {
	case k == nil:
	case k.engine != nil:
		k.engine.interrupt(k, code)
	case code == oes.Break && k.waiter.Queued() && !k.probe: // no engine needs to see it
		s.pool.Cancel(&k.waiter)
		k.owner.failed(k, "Broken by the client")
		k.owner.over(k)
	}
}

// hold keeps a frame for when the reply has gone out; false: there are too many.
func (c *client) hold(b []byte) bool {
	if c.holding >= maxHeldFrames || len(c.held)+len(b) > maxHeldBytes {
		return false
	}
	c.held = append(c.held, b...)
	c.holding++
	return true
}

// reply sends a reply. It does not change the state.
func (c *client) reply(code int, fields ...string) {
	start := c.conn.Buffer()
	c.conn.SetBuffer(c.framed(oes.AppendReply(start, c.prefixed, code, fields...), len(start)))
}

// bare sends the reply to a control command, which has no prefix.
func (c *client) bare(code int, text string) {
	start := c.conn.Buffer()
	c.conn.SetBuffer(c.framed(oes.AppendReply(start, false, code, text), len(start)))
}

// fail sends an error.
func (c *client) fail(text string) { c.reply(oes.Failed, text) }

// refuse sends an error, and the log gets it with its reason.
func (c *client) refuse(text, reason string) {
	c.shard.warn("a command was refused", "client", c.info.remote, "user", c.info.user, "reason", reason, "reply", text)
	c.shard.stats.refusedCommands.Add(1)
	c.fail(text)
}

// framed counts the frame that begins at start, and mends its length where the client wants it in another way.
func (c *client) framed(b []byte, start int) []byte {
	c.shard.stats.wire.sent(b[start:], c.chars)
	cfg := &c.door.settings.Load().cfg.Client
	if c.chars {
		frame.PutHeader(b[start:], min(utf8.RuneCount(b[start+frame.HeaderLen:]), frame.MaxSize))
	}
	if cfg.LengthPad == "space" {
		for i := start; i < start+frame.HeaderLen-1 && b[i] == '0'; i++ {
			b[i] = ' '
		}
	}
	return b
}

// protocolError ends a connection whose frames cannot be told apart any more.
func (c *client) protocolError(err error) {
	c.shard.stats.wire.clientErrors.Add(1)
	c.shard.warn("a client broke the protocol", "client", c.info.remote, "user", c.info.user, "error", err.Error())
	why := "bad length"
	if errors.Is(err, codec.ErrTooLarge) {
		why = "frame too large"
	} else if errors.Is(err, errSlowFrame) {
		why = "frame not complete in time"
	}
	c.fail("Protocol error: " + why)
	c.leave()
}

var errSlowFrame = errors.New("engine: a frame was not complete in time")

// clip makes text of a peer fit for a reply or a line of the log.
func clip[T []byte | string](b T) string {
	const most = 200
	s := strings.ToValidUTF8(string(b[:min(most, len(b))]), "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
