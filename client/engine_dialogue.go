package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
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
	link      *link
	orders    chan int // at most one; put into it under mu. nil: no order may come
	events    Events
	breakable bool // it runs on an engine
	lockstep  bool // the server waits for an answer to each event
	push      bool // the server waits for answers to questions only
	hasty     bool // the connection is closed when the context ends first

	// Guarded by mu.
	mu        sync.Mutex
	interrupt context.CancelFunc // ends the callback Ask; nil when it does not run

	// Owned by the goroutine that made the call.
	output []byte
	given  error            // why nobody wants the result any more
	loose  int              // orders that may have a reply of their own
	held   int              // an order that waits for the client's turn; 0: none
	late   <-chan time.Time // when held is sent out of turn
	limit  <-chan time.Time // when the connection is closed; nil while the result is wanted
}

// run sends the command and returns the output of the call. The caller has the turn.
func (x *call) run(ctx context.Context, command []byte) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended { // also after a panic in a callback: the connection is in the middle of something
			x.link.fail(fmt.Errorf("%w: a call did not end", ErrBroken))
		}
	}()
	if err := x.link.write(ctx, command); err != nil {
		return nil, err
	}
	r, err := x.talk(ctx)
	if err != nil {
		return nil, err
	}
	ended = true
	x.sync()
	switch {
	case x.given != nil:
		return nil, x.given
	case r.Code == oes.Failed:
		return nil, failure(x.output, r.Body)
	case len(x.output) == 0:
		return r.Body, nil
	case len(x.output)+len(r.Body) > x.link.maxReply:
		return nil, ErrTooLarge
	}
	return append(x.output, r.Body...), nil
}

// talk returns the final reply.
func (x *call) talk(ctx context.Context) (oes.Reply, error) {
	ended := ctx.Done()
	for {
		var payload []byte
		var err error
		select {
		case payload = <-x.link.frames:
		case <-x.link.closed:
			select {
			case payload = <-x.link.frames: // came before the end
			default:
				err = x.link.why()
			}
		case <-ended:
			ended = nil
			err = x.abandon(context.Cause(ctx))
		case code := <-x.orders:
			err = x.handleOrder(code)
		case <-x.late:
			err = x.sendLoose()
		case <-x.limit:
			err = x.link.broken(errors.New("a call that was broken did not end in time"))
		}
		if payload != nil {
			var r oes.Reply
			var final bool
			if r, final, err = x.handleReply(ctx, payload); final {
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

func (x *call) handleReply(ctx context.Context, payload []byte) (r oes.Reply, final bool, err error) {
	if r, err = parse(payload); err != nil {
		return r, false, x.link.broken(err)
	}
	if r.Code == oes.Done || r.Code == oes.Failed {
		return r, true, nil
	}
	if !x.breakable {
		return r, false, x.link.broken(fmt.Errorf("reply %d to a command that is no call", r.Code))
	}
	var answer string
	if x.given == nil {
		if answer, err = x.show(ctx, r); err == nil {
			err = context.Cause(ctx) // may have ended in the callback
		}
		if err != nil && x.push && r.Code != oes.Ask {
			return r, false, x.abandon(err)
		}
		if err != nil {
			x.give(err) // the break is the answer
		}
	}
	if x.push && r.Code != oes.Ask {
		return r, false, nil
	}
	return r, false, x.answer(ctx, r.Code, answer)
}

// show calls the callback that a reply is for.
func (x *call) show(ctx context.Context, r oes.Reply) (answer string, err error) {
	switch {
	case r.Code == oes.Output && x.events.Output != nil:
		return "", x.events.Output(r.Body)
	case r.Code == oes.Info && x.events.Info != nil:
		return "", x.events.Info(string(r.Body))
	case r.Code == oes.Output || r.Code == oes.Info:
		if len(x.output)+len(r.Body) > x.link.maxReply {
			return "", ErrTooLarge
		}
		x.output = append(x.output, r.Body...)
	case r.Code == oes.Working && x.events.Working != nil:
		return "", x.events.Working()
	case r.Code == oes.Ask && x.events.Ask != nil:
		return x.ask(ctx, string(r.Body))
	}
	return "", nil
}

// ask calls the callback for a question. It is not an error that an order interrupts it: the order is the answer.
func (x *call) ask(ctx context.Context, prompt string) (string, error) {
	if x.held != 0 {
		return "", nil
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	x.setInterrupt(cancel)
	defer x.setInterrupt(nil)
	answer, err := x.events.Ask(asking, prompt)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		return "", nil
	}
	return answer, err
}

func (x *call) setInterrupt(cancel context.CancelFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.interrupt = cancel
	if cancel != nil && len(x.orders) > 0 { // came a moment before
		cancel()
	}
}

// answer takes the client's turn.
func (x *call) answer(ctx context.Context, code int, text string) error {
	select {
	case x.held = <-x.orders:
	default:
	}
	switch {
	case x.given != nil:
		if x.loose > 0 { // whether this is an answer depends on what the first one met
			x.loose++
		}
		return x.link.writeSoon(oes.AppendCommand(nil, oes.Break))
	case x.held != 0:
		order := x.held
		x.held, x.late = 0, nil
		return x.link.writeSoon(oes.AppendCommand(nil, order))
	case code != oes.Ask:
		return x.link.writeSoon(oes.AppendCommand(nil, oes.Continue))
	}
	command, err := appendCommand(oes.Input, []string{text})
	if err != nil {
		x.give(err)
		return x.link.writeSoon(oes.AppendCommand(nil, oes.Break))
	}
	return x.link.write(ctx, command)
}

// order leaves an order for the call. Any goroutine may call it. When the call is over, nobody takes the order.
func (x *call) order(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	select {
	case waiting := <-x.orders:
		code = min(code, waiting) // a break goes before a debug
	default:
	}
	x.orders <- code // has room: only here is anything put into it, under mu
	if x.interrupt != nil {
		x.interrupt()
	}
}

// handleOrder is for an order that comes while the server owes a reply.
func (x *call) handleOrder(code int) error {
	if x.given != nil {
		return nil // was broken already
	}
	x.held = code
	if x.lockstep {
		x.late = time.After(x.link.turnWait)
		return nil
	}
	return x.sendLoose()
}

// sendLoose sends the order that is held, out of turn.
func (x *call) sendLoose() error {
	order := x.held
	x.held, x.late = 0, nil
	x.loose++
	return x.link.writeSoon(oes.AppendCommand(nil, order))
}

// give notes that nobody wants the result any more, and sets the time within which the call must end.
func (x *call) give(why error) {
	x.given, x.held, x.late = why, 0, nil
	x.limit = time.After(max(x.link.breakWait, 0))
}

// abandon is give, out of turn.
func (x *call) abandon(why error) error {
	if x.given != nil {
		return nil
	}
	x.give(why)
	switch {
	case x.hasty || x.link.breakWait < 0:
		return x.link.broken(why)
	case !x.breakable:
		return nil
	}
	x.held = oes.Break
	return x.sendLoose()
}

// sync finds out, after a call with loose orders, which of them have replies: a command follows whose reply looks different. A
// connection where that fails is closed; the result of the call is good.
func (x *call) sync() {
	if x.loose == 0 {
		return
	}
	if x.limit == nil {
		x.limit = time.After(max(x.link.breakWait, time.Second))
	}
	if x.link.writeSoon(oes.AppendCommand(nil, oes.Times)) != nil {
		return // closed already
	}
	for {
		select {
		case payload := <-x.link.frames:
			r, err := parse(payload)
			switch {
			case err != nil || r.Code != oes.Done:
				x.link.fail(fmt.Errorf("%w: out of step after a break", ErrBroken))
				return
			case bytes.HasPrefix(r.Body, []byte(timesPrefix)):
				return
			case len(r.Body) > 0 || x.loose == 0:
				x.link.fail(fmt.Errorf("%w: out of step after a break", ErrBroken))
				return
			}
			x.loose--
		case <-x.link.closed:
			return
		case <-x.limit:
			x.link.fail(fmt.Errorf("%w: no answer after a break", ErrBroken))
			return
		}
	}
}
