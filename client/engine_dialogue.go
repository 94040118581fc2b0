package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"roundhouse/codec/oes"
)

// turnWait is how long an order waits, in a dialogue, for the client's turn. The server gives one at least once a second, unless it is
// an old one that says nothing while the engine computes.
const turnWait = 1500 * time.Millisecond

// call is one exchange: a command, and what comes until its final reply.
//
// An order, 100 or 101, is an answer when the server waits for one, has no reply when the engine runs, and has one when the call has
// just ended. A client that sends it out of turn cannot know which of the three it met: such an order is loose, and sync finds out
// after the call.
type call struct {
	// Fixed at the start.
	events    Events
	breakable bool // it runs on an engine
	lockstep  bool // the server waits for an answer to each event
	push      bool // the server waits for answers to questions only
	hasty     bool // the connection is closed when the context ends first

	orders    chan int           // at most one
	interrupt context.CancelFunc // ends the callback Ask; nil when it does not run. Guarded by Conn.mu

	// Owned by the goroutine that made the call.
	output []byte
	given  error            // why nobody wants the result any more
	loose  int              // orders that may have a reply of their own
	held   int              // an order that waits for the client's turn; 0: none
	late   <-chan time.Time // when held is sent out of turn
	limit  <-chan time.Time // when the connection is closed; nil while the result is wanted
}

// run sends the command and returns the output of the call. The caller has the turn.
func (c *Conn) run(ctx context.Context, x *call, command []byte) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended { // also after a panic in a callback: the connection is in the middle of something
			c.fail(fmt.Errorf("%w: a call did not end", ErrBroken))
		}
	}()
	if err := c.write(ctx, command); err != nil {
		return nil, err
	}
	r, err := c.talk(ctx, x)
	if err != nil {
		return nil, err
	}
	ended = true
	c.sync(x)
	switch {
	case x.given != nil:
		return nil, x.given
	case r.Code == oes.Failed:
		return nil, failure(x.output, r.Body)
	case len(x.output) == 0:
		return r.Body, nil
	case len(x.output)+len(r.Body) > c.maxReply:
		return nil, ErrTooLarge
	}
	return append(x.output, r.Body...), nil
}

// talk returns the final reply.
func (c *Conn) talk(ctx context.Context, x *call) (oes.Reply, error) {
	ended := ctx.Done()
	for {
		var payload []byte
		var err error
		select {
		case payload = <-c.frames:
		case <-c.closed:
			select {
			case payload = <-c.frames: // came before the end
			default:
				err = c.Err()
			}
		case <-ended:
			ended = nil
			err = c.abandon(x, context.Cause(ctx))
		case code := <-x.orders:
			err = c.handleOrder(x, code)
		case <-x.late:
			err = c.sendLoose(x)
		case <-x.limit:
			err = c.broken(errors.New("a call that was broken did not end in time"))
		}
		if payload != nil {
			var r oes.Reply
			var final bool
			if r, final, err = c.handleReply(ctx, x, payload); final {
				return r, nil
			}
		}
		if err != nil {
			if x.given != nil {
				err = fmt.Errorf("%w; %w", x.given, err)
			}
			return oes.Reply{}, err
		}
	}
}

func (c *Conn) handleReply(ctx context.Context, x *call, payload []byte) (r oes.Reply, final bool, err error) {
	if r, err = parse(payload); err != nil {
		return r, false, c.broken(err)
	}
	if r.Code == oes.Done || r.Code == oes.Failed {
		return r, true, nil
	}
	if !x.breakable {
		return r, false, c.broken(fmt.Errorf("reply %d to a command that is no call", r.Code))
	}
	var answer string
	if x.given == nil {
		if answer, err = c.show(ctx, x, r); err == nil {
			err = context.Cause(ctx) // may have ended in the callback
		}
		if err != nil && x.push && r.Code != oes.Ask {
			return r, false, c.abandon(x, err)
		}
		if err != nil {
			c.give(x, err) // the break is the answer
		}
	}
	if x.push && r.Code != oes.Ask {
		return r, false, nil
	}
	return r, false, c.answer(ctx, x, r.Code, answer)
}

// show calls the callback that a reply is for.
func (c *Conn) show(ctx context.Context, x *call, r oes.Reply) (answer string, err error) {
	switch {
	case r.Code == oes.Output && x.events.Output != nil:
		return "", x.events.Output(r.Body)
	case r.Code == oes.Info && x.events.Info != nil:
		return "", x.events.Info(string(r.Body))
	case r.Code == oes.Output || r.Code == oes.Info:
		if len(x.output)+len(r.Body) > c.maxReply {
			return "", ErrTooLarge
		}
		x.output = append(x.output, r.Body...)
	case r.Code == oes.Working && x.events.Working != nil:
		return "", x.events.Working()
	case r.Code == oes.Ask && x.events.Ask != nil:
		return c.ask(ctx, x, string(r.Body))
	}
	return "", nil
}

// ask calls the callback for a question. It is not an error that an order interrupts it: the order is the answer.
func (c *Conn) ask(ctx context.Context, x *call, prompt string) (string, error) {
	if x.held != 0 {
		return "", nil
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	c.setInterrupt(x, cancel)
	defer c.setInterrupt(x, nil)
	answer, err := x.events.Ask(asking, prompt)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		return "", nil
	}
	return answer, err
}

func (c *Conn) setInterrupt(x *call, cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.interrupt = cancel
	if cancel != nil && len(x.orders) > 0 { // came a moment before
		cancel()
	}
}

// answer takes the client's turn.
func (c *Conn) answer(ctx context.Context, x *call, code int, text string) error {
	select {
	case x.held = <-x.orders:
	default:
	}
	switch {
	case x.given != nil:
		if x.loose > 0 { // whether this is an answer depends on what the first one met
			x.loose++
		}
		return c.writeSoon(oes.AppendCommand(nil, oes.Break))
	case x.held != 0:
		order := x.held
		x.held, x.late = 0, nil
		return c.writeSoon(oes.AppendCommand(nil, order))
	case code != oes.Ask:
		return c.writeSoon(oes.AppendCommand(nil, oes.Continue))
	}
	command, err := appendCommand(oes.Input, []string{text})
	if err != nil {
		c.give(x, err)
		return c.writeSoon(oes.AppendCommand(nil, oes.Break))
	}
	if len(command) <= readBuffer { // ctx, if it ends now, shall not break the connection
		return c.writeSoon(command)
	}
	return c.write(ctx, command)
}

// handleOrder is for an order that comes while the server owes a reply.
func (c *Conn) handleOrder(x *call, code int) error {
	if x.given != nil {
		return nil // was broken already
	}
	x.held = code
	if x.lockstep {
		x.late = time.After(c.turnWait)
		return nil
	}
	return c.sendLoose(x)
}

// sendLoose sends the order that is held, out of turn.
func (c *Conn) sendLoose(x *call) error {
	order := x.held
	x.held, x.late = 0, nil
	x.loose++
	return c.writeSoon(oes.AppendCommand(nil, order))
}

// give notes that nobody wants the result any more, and sets the time within which the call must end.
func (c *Conn) give(x *call, why error) {
	x.given, x.held, x.late = why, 0, nil
	x.limit = time.After(max(c.breakWait, 0))
}

// abandon is give, out of turn.
func (c *Conn) abandon(x *call, why error) error {
	if x.given != nil {
		return nil
	}
	c.give(x, why)
	switch {
	case x.hasty || c.breakWait < 0:
		return c.broken(why)
	case !x.breakable:
		return nil
	}
	x.held = oes.Break
	return c.sendLoose(x)
}

// sync finds out, after a call with loose orders, which of them have replies: a command follows whose reply looks different. A
// connection where that fails is closed; the result of the call is good.
func (c *Conn) sync(x *call) {
	if x.loose == 0 {
		return
	}
	if x.limit == nil {
		x.limit = time.After(max(c.breakWait, time.Second))
	}
	if c.writeSoon(oes.AppendCommand(nil, oes.Times)) != nil {
		return // closed already
	}
	for {
		select {
		case payload := <-c.frames:
			r, err := parse(payload)
			switch {
			case err != nil || r.Code != oes.Done:
				c.fail(fmt.Errorf("%w: out of step after a break", ErrBroken))
				return
			case bytes.HasPrefix(r.Body, []byte(timesPrefix)):
				return
			case len(r.Body) > 0 || x.loose == 0:
				c.fail(fmt.Errorf("%w: out of step after a break", ErrBroken))
				return
			}
			x.loose--
		case <-c.closed:
			return
		case <-x.limit:
			c.fail(fmt.Errorf("%w: no answer after a break", ErrBroken))
			return
		}
	}
}
