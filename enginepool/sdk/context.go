package sdk

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

// Context is one request. It is valid until its handler returns, and is a context.Context: done at the client's break, at the
// deadline, when the server has gone, when the engine is to end, and when the handler has returned. Any goroutine of the handler
// may use it.
type Context struct {
	Code      int    // of the client's command: 3 execute, 4 call, 400 call with events, or a JD3 verb
	Kind      string // client, startup, shutdown, timer, monitor or autorun
	Procedure string // to run; may be empty
	Args      []byte // raw, each argument ended by 0x01, which the last one may lack. Valid until the handler returns

	// Fixed at open.
	conn     *conn
	job      job
	deadline time.Time // zero: none

	// Owned by the handler.
	status string
	leave  string

	// Any goroutine.
	begun, debug atomic.Bool

	// Guarded by mu.
	mu     sync.Mutex
	broken error         // why the request is not wanted any more
	done   chan struct{} // made when somebody asks; closed when broken is set
	timer  *time.Timer   // closes done at the deadline
	answer chan []byte   // to the question that waits; holds one
}

var _ context.Context = (*Context)(nil)

const (
	// MaxOutput is the most that one event can carry, in bytes.
	MaxOutput = frame.MaxSize - revcap.MaxHead

	commandMark = 0x06 // a question that begins with it is for the server
)

// Arguments returns the arguments; they are valid until the handler returns.
func (c *Context) Arguments() [][]byte {
	var all [][]byte
	for rest := c.Args; len(rest) > 0; {
		var arg []byte
		arg, rest, _ = frame.Cut(rest)
		all = append(all, arg)
	}
	return all
}

// Arg returns argument i, the first is 0, or "" when there are not so many.
func (c *Context) Arg(i int) string {
	rest := c.Args
	for range i {
		_, rest, _ = frame.Cut(rest)
	}
	arg, _, _ := frame.Cut(rest)
	return string(arg)
}

// SetStatus sets the text that goes with the output.
func (c *Context) SetStatus(text string) { c.status = text }

// Leave asks the server to give this engine no request after this one.
func (c *Context) Leave(reason string) { c.leave = reason }

// Begin tells the server at once that this request was begun, so that it never gives it to another engine.
func (c *Context) Begin() {
	if !c.begun.Swap(true) {
		c.send(revcap.Unprocessed, "", nil)
	}
}

// Data sends a part of the output. It waits as long as the client does not take it.
func (c *Context) Data(b []byte) error { return c.send(revcap.Data, "", b) }

// Info sends a line about what goes on.
func (c *Context) Info(text string) error { return c.send(revcap.Info, "", []byte(text)) }

// Processing says how much is done, 0 to 100. Anything else: just that work goes on.
func (c *Context) Processing(percent int) error {
	if percent < 0 || percent > 100 {
		return c.send(revcap.Processing, "", nil)
	}
	return c.send(revcap.Processing, strconv.Itoa(percent), nil)
}

// Ask puts a question to the client and waits for the answer. A client that cannot be asked answers nothing. A quick engine asks
// from the handler's own goroutine only. One question waits at a time.
// Errors: ErrBroken, ErrGone, context.DeadlineExceeded.
func (c *Context) Ask(prompt string) (string, error) {
	answer, err := c.ask([]byte(prompt))
	return string(answer), err
}

// Command asks the server itself: 1 serial numbers, 2 engines, 3 with sub-commands starts a phantom, 4 version and name of the
// server, 5 printers, 6 whether this is a phantom, 7 times. Others have an empty answer. Otherwise as Ask.
func (c *Context) Command(n int, args ...string) (string, error) {
	if n < 0 || n > 9 {
		return "", fmt.Errorf("sdk: command %d is not 0 to 9", n)
	}
	prompt := []byte{commandMark, '0' + byte(n)}
	for _, arg := range args {
		prompt = frame.AppendField(prompt, []byte(arg))
	}
	answer, err := c.ask(prompt)
	return string(answer), err
}

func (c *Context) ask(prompt []byte) ([]byte, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	answer := make(chan []byte, 1)
	c.mu.Lock()
	c.answer = answer
	c.mu.Unlock()
	if err := c.send(revcap.InfoRequest, "", prompt); err != nil {
		return nil, err
	}
	if c.conn.engine.Quick {
		return c.readAnswer(answer)
	}
	select {
	case b := <-answer:
		return b, nil
	case <-c.Done():
		return nil, c.Err()
	}
}

// readAnswer reads until the answer is there: a quick engine has nobody else to do that.
func (c *Context) readAnswer(answer chan []byte) ([]byte, error) {
	for {
		j, err := c.conn.read(true)
		if err == nil && j != nil {
			err = c.conn.push(j)
		}
		if err != nil {
			c.conn.end(err)
		}
		select {
		case b := <-answer:
			return b, nil
		default:
		}
		if err := c.Err(); err != nil {
			return nil, err
		}
	}
}

// input gives the answer to the question that waits, if there is one.
func (c *Context) input(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer != nil {
		c.answer <- append([]byte(nil), answer...) // holds one, and is forgotten: does not block
		c.answer = nil
	}
}

// send sends an event now.
func (c *Context) send(s revcap.Status, text string, body []byte) error {
	if len(body) > MaxOutput {
		return fmt.Errorf("sdk: %d bytes in one piece, limit %d", len(body), MaxOutput)
	}
	c.begun.Store(true)
	c.conn.out.event(s, c.job.rid, text, body)
	return c.conn.out.flush()
}

// Broken tells whether the client has sent a break, the deadline has passed or the server has gone: whoever works for long looks
// at it often, and returns an error.
func (c *Context) Broken() bool { return c.Err() != nil }

// Gone is closed when the server has gone or the engine is to end: for what must not stop at a break. A quick engine does not
// learn of it while its handler runs.
func (c *Context) Gone() <-chan struct{} { return c.conn.gone }

// Debugging tells whether the client has asked for the debugger.
func (c *Context) Debugging() bool { return c.debug.Load() }

// Deadline is until when an answer is wanted; false: no matter.
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value implements context.Context: there are none.
func (c *Context) Value(any) any { return nil }

// Err is nil while the request is wanted, or else ErrBroken, ErrGone, context.DeadlineExceeded or, when its handler has returned,
// context.Canceled.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.breakOffLocked(context.DeadlineExceeded)
	}
	return c.broken
}

// Done is closed when Err stops being nil.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		switch {
		case c.broken != nil:
			close(c.done)
		case !c.deadline.IsZero():
			c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.breakOff(context.DeadlineExceeded) })
		}
	}
	return c.done
}

// breakOff says that the request is not wanted any more; only the first reason counts.
func (c *Context) breakOff(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breakOffLocked(err)
}

func (c *Context) breakOffLocked(err error) {
	if c.broken != nil {
		return
	}
	c.broken = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
}

// RawForTest writes bytes that are no event, as an engine with a fault does.
func (c *Context) RawForTest(b []byte) error {
	c.conn.out.raw(b)
	return c.conn.out.flush()
}
