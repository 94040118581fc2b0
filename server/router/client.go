package router

import (
	"errors"
	"fmt"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/server/access"
	"roundhouse/server/loop"
)

const frameHeader = frame.HeaderLen

// client is a connection that speaks our own protocol (codec/message). It is owned by its loop.
type client struct {
	peer

	// Fixed once it has connected.
	unique       string // its unique subject, in canonical form
	instance     [16]byte
	noResponders bool // it wants to know when nobody gets a request of its own
	about        about

	state clientState
	mode  string // Server_Disconnect_Mode
	subs  subs
	code  message.Code  // of its refusal; CodeOK: what goes with the reason of the cut
	asked time.Duration // when it was asked whether it lives, on the shard's clock; 0: it was not
}

// about is what a client says about itself.
type about struct {
	ident, user, node, arch string
	pid                     int32
}

type clientState uint8

const (
	clientOpening  clientState = iota // has not introduced itself
	clientChecking                    // its credentials are being looked at; reading is paused
	clientOpen
)

// firstFrame is the longest frame that a client may send before it is known, in bytes.
const firstFrame = 64 << 10

func (d *Door) openClient(conn *loop.Conn) loop.Session {
	s := d.shards[conn.Loop().Index()]
	c := &client{peer: peer{id: conn.ID(), shard: s, conn: conn}}
	c.peer.rt = c
	set := d.settings.Load()
	c.maxBuffer = int(set.cfg.Client.MaxBuffer)
	conn.SetBatch(true)
	s.adopt(&c.peer)
	open := int(d.clientsOpen.Add(1))
	s.stats.clients.Add(1)
	switch most := set.cfg.Client.MaxConns; {
	case d.closing.Load():
		c.cut(cutStopping, "the server is stopping")
	case most > 0 && open > most:
		c.code = message.CodeInUse // source: spec of RTserver, "Flow control and slow consumers"
		c.cut(cutLimit, fmt.Sprintf("%d clients are connected, at most %d may be (max_client_conns)", most, most))
	}
	return c
}

// Data reads messages.
func (c *client) Data(_ *loop.Conn, in []byte) (int, error) {
	s := c.shard
	c.heard, c.asked = s.clock, 0
	limit := c.frameLimit()
	done := 0
	for done < len(in) && !c.gone && c.state != clientChecking {
		size, n, err := frame.ParseHeader(in[done:], limit)
		if err == nil && n > 0 && len(in)-done >= n+size {
			whole := in[done : done+n+size]
			if err = message.Parse(whole[n:], &s.message); err == nil {
				done += len(whole)
				if c.handle(&s.message, whole); limit == firstFrame {
					limit = c.frameLimit()
				}
				if s.full && s.hold(&c.peer) {
					break
				}
				continue
			}
		}
		if err != nil {
			c.misunderstood(err)
		}
		break
	}
	s.endCallback()
	if c.gone {
		return len(in), nil
	}
	return done, nil
}

// frameLimit is the longest message that may come now, in bytes.
func (c *client) frameLimit() int {
	if c.state == clientOpen {
		return c.shard.door.settings.Load().cfg.MaxMessageSize
	}
	return firstFrame
}

func (c *client) misunderstood(err error) {
	why := cutProtocol
	if errors.Is(err, codec.ErrTooLarge) {
		why = cutLimit
	}
	c.cut(why, err.Error())
}

// send appends a message of the server's own to the client's output; write appends it to what it is given.
func (c *client) send(write func(dst []byte) []byte) {
	b := c.conn.Buffer()
	start := len(b)
	b = message.EndFrame(write(message.BeginFrame(b)), start)
	if log := c.shard.logOut; log != nil {
		log.note(b[start+frameHeader:], &c.peer)
	}
	c.conn.SetBuffer(b)
}

// farewell tells the client why its connection ends.
func (c *client) farewell(why cutReason, reason string) {
	code := message.CodeFailure
	switch why {
	case cutProtocol:
		code = message.CodeMessageInvalid
	case cutLimit:
		code = message.CodeTooLarge
	case cutDenied:
		code = message.CodeDenied
	case cutLate, cutSilent, cutStalled:
		code = message.CodeTimeout
	case cutReplaced:
		code = message.CodeInUse
	}
	if c.state != clientOpen {
		if c.code != message.CodeOK {
			code = c.code
		}
		c.refuse(code, reason)
		return
	}
	c.send(func(dst []byte) []byte {
		dst = message.Append(dst, &message.Message{Type: message.TypeClientCloseCall})
		return message.AppendInt4(message.AppendStr(dst, reason), int32(code))
	})
}

// Drained is of no interest: what is too much is cut.
func (c *client) Drained(*loop.Conn) {}

// Closed is the last call.
func (c *client) Closed(_ *loop.Conn, err error) {
	if c.bury != nil {
		c.bury.Stop()
	}
	if !c.gone && err != nil {
		c.log().Debug("a client has left", "error", err)
	}
	c.peer.leave()
	c.shard.stats.clients.Add(-1)
	c.shard.door.clientsOpen.Add(-1)
}

// leave takes back the name and the subscriptions.
func (c *client) leave() {
	c.drain(c.subs)
	c.subs = subs{}
	if c.view != nil {
		c.view.project.release(c)
	}
}

// look is part of a sweep.
func (c *client) look(set *settings) {
	cfg := &set.cfg.Client
	if c.stalled(cfg.SendTimeout) {
		return
	}
	switch {
	case c.state != clientOpen:
		if c.state == clientOpening && cfg.ConnectTimeout > 0 && c.shard.since(c.opened) > cfg.ConnectTimeout {
			c.cut(cutLate, "it has not introduced itself in "+cfg.ConnectTimeout.String())
		}
	case cfg.ReadTimeout == 0 || cfg.KeepAliveTimeout == 0 || c.held:
	case c.asked > 0 && c.shard.since(c.asked) > cfg.KeepAliveTimeout:
		c.cut(cutSilent, "no answer to a keep-alive in "+cfg.KeepAliveTimeout.String())
	case c.asked == 0 && c.shard.since(c.heard) > cfg.ReadTimeout:
		c.asked = c.shard.clock
		c.send(func(dst []byte) []byte { return message.Append(dst, &message.Message{Type: message.TypeKeepAliveCall}) })
	}
}

// may asks whether the client's user may do something with a subject.
func (c *client) may(v access.Verb, name string) bool {
	return c.identity.May(v, c.view.project.name, name)
}
