package sdk

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"roundhouse/codec/revcap"
)

// conn is one connection with the server, from hello to its end.
type conn struct {
	// Fixed at open.
	engine Engine
	gone   chan struct{} // closed when err is set

	in        reader // owned by the goroutine that reads
	out       writer // any goroutine
	procedure string // of the last call, so that the next one seldom needs memory for it; owned by the goroutine that reads

	// Guarded by mu.
	mu      sync.Mutex
	changed sync.Cond // queue or err
	current *job
	queue   []*job // not begun; at most Ahead and maxOrders
	err     error  // why there will be no more orders
}

// maxOrders is how many orders that are no calls may wait besides the calls that were asked for.
const maxOrders = 4

// job is an order that the working goroutine carries out.
type job struct {
	code  int
	rid   uint64
	login *Login   // of a login
	call  *Context // of a call, which holds this job
}

// readAll reads orders until the connection ends. It is the reading goroutine of an engine that is not quick.
func (c *conn) readAll() {
	for {
		j, err := c.read(false)
		if err == nil && j != nil {
			err = c.push(j)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// read waits for an order. What concerns the running request is done at once, and then there is no job. Arguments of a call are
// valid until the next read, or, with keep, as long as wanted.
func (c *conn) read(keep bool) (*job, error) {
	for {
		payload, ok, err := c.in.frame()
		if err != nil {
			return nil, fmt.Errorf("sdk: %w", err)
		}
		if ok {
			return c.take(payload)
		}
		if c.engine.Quick {
			if err := c.out.flush(); err != nil {
				return nil, err
			}
		}
		if err := c.in.fill(keep || !c.engine.Quick); err != nil {
			if ended(err) {
				return nil, ErrGone
			}
			return nil, fmt.Errorf("%w: %w", ErrGone, err)
		}
	}
}

// take makes a job of an order, or does what it says.
func (c *conn) take(payload []byte) (*job, error) {
	o, err := revcap.ParseOrder(payload)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sdk: %w", err)
	case revcap.IsCall(o.Code):
		return c.newCall(&o), nil
	case o.Code == revcap.LoginCode:
		login := Login(o.Login)
		return &job{code: o.Code, rid: o.RID, login: &login}, nil
	case o.Code == revcap.Logoff:
		return &job{code: o.Code, rid: o.RID}, nil
	}
	if call := c.find(o.RID); call != nil { // else it has ended while the order was on its way
		switch o.Code {
		case revcap.Input:
			call.input(o.Answer)
		case revcap.Break:
			call.breakOff(ErrBroken)
		case revcap.Debug:
			call.debug.Store(true)
		}
	}
	return nil, nil
}

// find returns the call of a request that has not ended.
func (c *conn) find(rid uint64) *Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.rid == rid {
		return c.current.call
	}
	for _, j := range c.queue {
		if j.rid == rid {
			return j.call
		}
	}
	return nil
}

// push lets a job wait for its turn. More of them than were asked for are the server's mistake.
func (c *conn) push(j *job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := max(c.engine.Ahead, 1) + maxOrders; len(c.queue) >= limit {
		return fmt.Errorf("sdk: %d requests ahead, limit %d", len(c.queue)+1, limit)
	}
	c.queue = append(c.queue, j)
	c.changed.Signal()
	return nil
}

// end says that no more orders come. The running request, and those that wait, learn that they are not needed any more.
func (c *conn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
		close(c.gone)
	}
	current := c.current
	c.changed.Signal()
	c.mu.Unlock()
	if current != nil && current.call != nil {
		current.call.breakOff(ErrGone)
	}
}

// work carries out one job after the other. It returns nil after a logoff and when the server has gone.
func (c *conn) work() error {
	for {
		j, err := c.next()
		switch {
		case err == ErrGone: // nothing is wrong: wrapped, it is not this
			return nil
		case err != nil:
			return err
		}
		if !c.do(j) {
			return nil
		}
	}
}

// next waits for a job and makes it the current one.
func (c *conn) next() (*job, error) {
	if j, err := c.pop(); j != nil || err != nil {
		return j, err
	}
	for { // quick: read here
		j, err := c.read(false)
		if err != nil {
			return nil, err
		}
		if j != nil {
			return j, c.start(j)
		}
	}
}

// start makes a job the current one, unless the engine is to end.
func (c *conn) start(j *job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = j
	return c.err
}

// pop takes the first job that waits. None means that a quick engine has to read.
func (c *conn) pop() (*job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
	if len(c.queue) == 0 && !c.engine.Quick && c.err == nil {
		c.mu.Unlock()
		err := c.out.flush()
		c.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	for len(c.queue) == 0 && !c.engine.Quick && c.err == nil {
		c.changed.Wait()
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(c.queue) == 0 {
		return nil, nil
	}
	j := c.queue[0]
	c.queue = slices.Delete(c.queue, 0, 1)
	c.current = j
	return j, nil
}

// do carries out a job; false after a logoff.
func (c *conn) do(j *job) bool {
	switch {
	case j.call != nil:
		c.run(j.call)
	case j.code == revcap.Logoff:
		if c.engine.Logoff != nil {
			c.engine.Logoff()
		}
		return false
	default:
		var err error
		if c.engine.Login != nil {
			err = guard(func() error { return c.engine.Login(*j.login) })
		}
		c.answer(j.rid, "", nil, err)
	}
	return true
}

// run runs the handler. The answer waits for the next flush.
func (c *conn) run(call *Context) {
	var output []byte
	err := call.Err()
	if err == nil {
		if !c.engine.Quick && !c.engine.Manual {
			call.Begin()
		}
		err = guard(func() (err error) {
			output, err = c.engine.Handler(call)
			return err
		})
	}
	call.breakOff(context.Canceled)
	c.answer(call.job.rid, call.status, output, err)
	if call.leave != "" {
		c.out.event(revcap.Bye, 0, call.leave, nil)
	}
}

func (c *conn) answer(rid uint64, status string, output []byte, err error) {
	if err == nil && len(output) > MaxOutput {
		err = &Error{Code: "TOOLARGE", Text: fmt.Sprintf("output of %d bytes, limit %d", len(output), MaxOutput)}
	}
	if err != nil {
		code, text := failure(err)
		c.out.event(revcap.ProcError, rid, code, []byte(text[:min(len(text), MaxOutput)]))
		return
	}
	c.out.event(revcap.Completed, rid, status, output)
}

// guard makes an error of a panic, whose stack goes to the server's log.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic in a handler: %v\n%s", p, debug.Stack())
			err = &Error{Code: "PANIC", Text: fmt.Sprint("panic: ", p)}
		}
	}()
	return f()
}

// newCall makes a call's job and context. Arguments are copied unless they are used before the next read.
func (c *conn) newCall(o *revcap.Order) *job {
	if string(o.Procedure) != c.procedure {
		c.procedure = string(o.Procedure)
	}
	call := &Context{conn: c, job: job{code: o.Code, rid: o.RID}, Code: o.Code, Kind: kind(o.Kind), Procedure: c.procedure, Args: o.Args}
	call.job.call = call
	if !c.engine.Quick {
		call.Args = slices.Clone(o.Args)
	}
	if o.DeadlineMs > 0 {
		call.deadline = time.Now().Add(time.Duration(o.DeadlineMs) * time.Millisecond)
	}
	return &call.job
}

// kind is b without memory of its own, if it is a known one.
func kind(b []byte) string {
	for _, known := range [...]string{revcap.KindClient, revcap.KindStartup, revcap.KindShutdown, revcap.KindTimer, revcap.KindMonitor, revcap.KindAutorun} {
		if string(b) == known {
			return known
		}
	}
	return string(b)
}
