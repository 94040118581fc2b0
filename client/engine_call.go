package client

import (
	"bytes"
	"context"
	"fmt"

	"roundhouse/codec/frame"
	"roundhouse/codec/oes"
)

// Events are the callbacks of a call that is a dialogue. They run in the goroutine that made the call and must not use its connection,
// but for Break and Debug. An error from one breaks the call, which then fails with that error.
type Events struct {
	// Output gets output as it comes. nil: it becomes the front of the result. The slice is valid until the callback returns.
	Output func(chunk []byte) error
	// Info gets information, such as how far the call has come. nil: it becomes part of the result, as output.
	Info func(text string) error
	// Working is called about once a second while the engine has nothing to say. nil: nothing happens.
	Working func() error
	// Ask gets a question of the engine and returns the answer. ctx ends with that of the call, and when Break or Debug is called:
	// then the answer is not sent. nil: the answer is empty.
	Ask func(ctx context.Context, prompt string) (answer string, err error)
}

// Execute runs something on an engine and returns its output. How the parameters reach the engine is the matter of the mode and of the
// procedure. None may hold byte 0x01.
//
// In char and JD3 mode the engine may add a status text: see CutStatus.
//
// Errors: a ServerError when the server or the engine refuses or fails; ErrNotLoggedIn, ErrParameter; the error of ctx; ErrBroken, in
// which case the call may have run; ErrClosed; ErrTooLarge.
func (c *Conn) Execute(ctx context.Context, params ...string) ([]byte, error) {
	return c.do(ctx, oes.Execute, Events{}, params)
}

// Call is Execute with another code, which the procedure sees in JD3 mode.
func (c *Conn) Call(ctx context.Context, params ...string) ([]byte, error) {
	return c.do(ctx, oes.Call, Events{}, params)
}

// ExecuteEvents is Execute as a dialogue, in char mode. In other modes there are no events.
func (c *Conn) ExecuteEvents(ctx context.Context, e Events, params ...string) ([]byte, error) {
	return c.do(ctx, oes.Execute, e, params)
}

// CallEvents is Call as a dialogue, in char mode and, by a code of its own, in JD3 mode. In other modes there are no events.
func (c *Conn) CallEvents(ctx context.Context, e Events, params ...string) ([]byte, error) {
	return c.do(ctx, oes.CallEvents, e, params)
}

// Verb sends one of the codes of JD3 that have no other meaning: 5 to 17 and 20 to 99.
func (c *Conn) Verb(ctx context.Context, code int, params ...string) ([]byte, error) {
	if code < 5 || code > 99 || code == oes.Continue || code == oes.Input {
		return nil, fmt.Errorf("%w: verb %d, 5 to 17 and 20 to 99 are verbs", ErrParameter, code)
	}
	return c.do(ctx, code, Events{}, params)
}

// Resume goes on with the call of an engine that a login came back to, when Session.Resumed says so. It returns nothing when the call
// has ended and its output was taken before.
func (c *Conn) Resume(ctx context.Context, e Events) ([]byte, error) {
	return c.do(ctx, oes.Continue, e, nil)
}

func (c *Conn) do(ctx context.Context, code int, e Events, params []string) ([]byte, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	s, err := c.loggedIn()
	if err != nil {
		return nil, err
	}
	if code == oes.CallEvents && s.mode != oes.JD3 {
		code = oes.Call
	}
	command, err := appendCommand(code, params)
	if err != nil {
		return nil, err
	}
	x := &call{link: c.link, events: e, breakable: true, push: s.push, orders: make(chan int, 1)}
	x.lockstep = !s.push && (s.mode == oes.Char || code == oes.CallEvents || code == oes.Continue)
	c.setCall(x)
	defer c.setCall(nil)
	return x.run(ctx, command)
}

// CutStatus parts the result of a call in char or JD3 mode: the status text stands behind the last delimiter, byte 0x01. status is nil
// when there is none. Both alias result.
func CutStatus(result []byte) (output, status []byte) {
	if i := bytes.LastIndexByte(result, frame.Delimiter); i >= 0 {
		return result[:i:i], result[i+1:]
	}
	return result, nil
}

// Break asks the call under way on this connection to stop. It returns when the request is on its way; the call itself tells how it
// ended. Without a call under way nothing happens.
//
// In a dialogue the request takes the place of the client's next answer, which the server waits for at least once a second.
func (c *Conn) Break(ctx context.Context) error { return c.order(ctx, oes.Break) }

// Debug calls the debugger for the call under way; as Break.
func (c *Conn) Debug(ctx context.Context) error { return c.order(ctx, oes.Debug) }

func (c *Conn) order(ctx context.Context, code int) error {
	if c.orderCall(code) {
		return nil
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	if _, err := c.loggedIn(); err != nil {
		return err
	}
	_, err := (&call{link: c.link}).run(ctx, oes.AppendCommand(nil, code))
	return err
}

// orderCall gives the call under way an order; false means that there is no call.
func (c *Conn) orderCall(code int) bool {
	c.mu.Lock()
	x := c.call
	c.mu.Unlock()
	if x != nil {
		x.order(code)
	}
	return x != nil
}

func (c *Conn) setCall(x *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call = x
}
