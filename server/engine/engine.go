package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
	"roundhouse/enginepool"
	"roundhouse/enginepool/proc"
	"roundhouse/server/loop"
)

// engine is the session of an engine's connection. Owned by its loop, which changes when the pool moves it.
type engine struct {
	// Fixed at start.
	pooled *enginepool.Engine // never nil for an engine that we have started; set by hello for one that dials in
	door   *Door
	remote string // where an engine that has dialled in comes from

	// Owned by the loop.
	shard   *shard
	conn    *loop.Conn // nil until the process has started, and after its end
	process *proc.Process
	rid     uint64  // of the last request
	calls   []*call // on it, the one that it works on first
	left    int     // bytes of a body that are still to come
	body    revcap.Status
	login   uint64  // rid of the pool's login; 0: it does not log in
	own     call    // for the procedures that the server runs on it
	ending  bool    // its connection is closed, or is being closed
	held    *client // whose output is full: reading has stopped until it drains
	secret  string  // with which a client comes back to it
	hail    greeting
	bound   tenant         // whose it is, when it is bound or a phantom
	doomed  syscall.Signal // what its process gets as soon as it has started; 0: nothing
	seen    sight          // for the statistics

	// Any goroutine.
	moving atomic.Bool            // is on its way to another loop
	reaped atomic.Bool            // its process is no more
	exit   atomic.Pointer[string] // how its process has ended
	pid    atomic.Int64
	client atomic.Pointer[clientInfo] // for whom it works
	sub    atomic.Int32               // what its client does, for tables
}

// greeting is how far the engine has introduced itself.
type greeting struct {
	done  bool
	guest bool       // it has dialled in: it must show the token
	given bool       // its tenant has it
	timer loop.Timer // of a guest
}

const maxEventBody = 1 << 20 // bytes of a question or an error, which are not passed on in pieces

var errEngine = errors.New("engine: protocol error")

// Data takes what the engine has written.
func (e *engine) Data(conn *loop.Conn, in []byte) (int, error) {
	done := 0
	for !e.ending && e.held == nil {
		n, err := e.event(in[done:])
		if err != nil {
			e.garbage(in[done:], err)
			return len(in), nil
		}
		if n == 0 {
			break
		}
		done += n
	}
	if e.ending {
		return len(in), nil
	}
	return done, nil
}

// event takes one event, or a piece of a body. 0: more is needed.
func (e *engine) event(in []byte) (int, error) {
	if len(in) == 0 {
		return 0, nil
	}
	if e.left > 0 {
		n := min(e.left, len(in))
		e.left -= n
		e.piece(in[:n])
		return n, nil
	}
	size, n, err := frame.ParsePadded(in, frame.MaxSize)
	if n == 0 || err != nil {
		return 0, err
	}
	rest := in[n:]
	rest = rest[:min(size, len(rest))]
	ev, head, err := revcap.ParseEvent(rest, size)
	if err != nil || head == 0 {
		return 0, err
	}
	if len(rest) == size {
		return n + size, e.handle(&ev, size-head)
	}
	switch ev.Status {
	case revcap.Completed, revcap.Data, revcap.Info:
		if len(e.calls) > 0 && e.calls[0].rid == ev.RID { // the outcome of a login comes in one piece
			e.left, e.body = size-len(rest), ev.Status
			return n + len(rest), e.handle(&ev, size-head)
		}
	}
	if size > maxEventBody {
		return 0, fmt.Errorf("an event %s of %d bytes, at most %d: %w", ev.Status, size, maxEventBody, codec.ErrTooLarge)
	}
	return 0, nil
}

// piece takes more of the body that has begun.
func (e *engine) piece(b []byte) {
	c := e.calls[0]
	switch e.body {
	case revcap.Data:
		c.owner.output(c, b)
	case revcap.Info:
		c.owner.info(c, b)
	default:
		c.owner.more(c, b)
		if e.left == 0 {
			e.finish(c, true)
		}
	}
}

// handle takes an event, of whose body of size bytes ev.Body is the beginning.
func (e *engine) handle(ev *revcap.Event, size int) error {
	switch {
	case ev.Status == revcap.Hello:
		return e.hello(ev.Body)
	case ev.Status == revcap.Bye:
		if e.pooled != nil {
			e.shard.pool.Stop(e.pooled, enginepool.WhyBye, e.shard.now())
		}
		return nil
	case e.login != 0 && ev.RID == e.login:
		return e.loginEvent(ev)
	case len(e.calls) == 0 || e.calls[0].rid != ev.RID:
		return fmt.Errorf("an event %s of request %d, which does not run", ev.Status, ev.RID)
	}
	c := e.calls[0]
	e.begin(c)
	switch ev.Status {
	case revcap.Unprocessed:
	case revcap.Processing:
		c.owner.working(c)
	case revcap.Data:
		c.owner.output(c, ev.Body)
	case revcap.Info:
		e.seen.note(e, ev.Body)
		c.owner.info(c, ev.Body)
	case revcap.InfoRequest:
		e.question(c, ev.Body)
	case revcap.Completed:
		c.owner.result(c, ev.Text, ev.Body, size)
		if len(ev.Body) == size {
			e.finish(c, true)
		}
	case revcap.ProcError:
		c.wrong = true
		c.owner.failed(c, string(ev.Body))
		e.finish(c, true)
	}
	return nil
}

// begin notes that the engine works on c: it is not tried anywhere else.
func (e *engine) begin(c *call) {
	if c.begun {
		return
	}
	c.begun = true
	e.shard.stats.spoke(c, e.shard.now())
	if cap(c.args) > keepArgs {
		c.args = nil
	}
}

const keepArgs = 16 << 10 // bytes of a request's buffer that are kept for the next one

// finish ends the first call.
func (e *engine) finish(c *call, ok bool) {
	copy(e.calls, e.calls[1:])
	e.calls[len(e.calls)-1] = nil
	e.calls = e.calls[:len(e.calls)-1]
	c.engine = nil
	s := e.shard
	s.stats.ended(e, c, s.now())
	if e.pooled.Class != enginepool.Bound { // whose client it stays
		e.client.Store(nil)
	}
	e.letGo() // what its client has not taken is not the engine's business any more
	if c == &e.own {
		c.owner.over(c)
		return
	}
	s.pool.Release(e.pooled, ok, s.now())
	e.nextCall()
	c.owner.over(c)
}

// nextCall notes that the engine works on the call behind the one that is over. One that nobody waits for is broken now: it could not be
// before, when it was not the engine's turn.
func (e *engine) nextCall() {
	if len(e.calls) == 0 {
		return
	}
	s, c := e.shard, e.calls[0]
	c.began = s.now()
	if c.unwanted {
		e.interrupt(c, revcap.Break)
		s.pool.Abandon(e.pooled, s.now())
	}
}

// run sends a call to the engine.
func (e *engine) run(c *call) {
	s := e.shard
	e.rid++
	c.rid, c.engine, c.begun, c.counted, c.began = e.rid, e, false, false, s.now()
	e.calls = append(e.calls, c)
	if e.conn == nil || e.ending { // whoever gave it the call does not know yet
		s.after(func() {
			if i := slices.Index(e.calls, c); i >= 0 && c.engine == e {
				e.calls = slices.Delete(e.calls, i, i+1)
				s.lost(e, c)
			}
		})
		return
	}
	c.owner.started(c)
	deadline := c.deadlineMs(s.door.pool.Limits())
	if len(c.args) > largeArgs {
		var head [128]byte
		h := revcap.AppendCallHead(head[:0], c.code, c.rid, c.kind, c.procedure, deadline, len(c.args))
		e.conn.Writev(h, c.args)
		return
	}
	e.conn.SetBuffer(c.append(e.conn.Buffer(), deadline))
}

const largeArgs = 16 << 10 // bytes: above that a request goes out without a copy

// order sends a frame without fields about the first call, or about none.
func (e *engine) order(code int, rid uint64) {
	if e.conn != nil && !e.ending {
		e.conn.SetBuffer(revcap.AppendOrder(e.conn.Buffer(), code, rid))
	}
}

// answer answers the question of c.
func (e *engine) answer(c *call, b []byte) {
	if e.conn != nil && !e.ending {
		e.conn.SetBuffer(revcap.AppendInput(e.conn.Buffer(), c.rid, b))
	}
}

// interrupt asks the engine to end c, or to call the debugger; code is Break or Debug.
func (e *engine) interrupt(c *call, code int) {
	e.order(code, c.rid)
	if sig := e.shard.door.settings.Load().breakSignal; code == revcap.Break && sig != 0 && e.process != nil && e.calls[0] == c {
		e.process.Signal(sig)
		e.shard.stats.engines.signals.Add(1)
	}
	if code == revcap.Break {
		e.shard.stats.engines.breaks.Add(1)
	}
}

// hold stops reading the engine until c has taken its output.
func (e *engine) hold(c *client) {
	if e.held == nil && e.conn != nil {
		e.held = c
		e.conn.Pause()
	}
}

// letGo reads the engine again.
func (e *engine) letGo() {
	if e.held != nil {
		e.held = nil
		if e.conn != nil && !e.ending {
			e.conn.Resume()
		}
	}
}

// garbage ends an engine that does not keep to the protocol.
func (e *engine) garbage(in []byte, err error) {
	e.shard.stats.wire.engineErrors.Add(1)
	e.shard.log.Warn("an engine broke the protocol: something else may have written to its channel",
		"engine", e.name(), "error", err.Error(), "bytes", fmt.Sprintf("%q", in[:min(64, len(in))]))
	e.broken(enginepool.WhyProtocol, err.Error())
	e.conn.Abort(errEngine)
}

// broken ends everything that was on the engine. It is called once: what comes later from its connection is thrown away.
func (e *engine) broken(why enginepool.Why, text string) {
	if e.ending {
		return
	}
	e.ending = true
	e.login = 0
	if e.pooled == nil {
		return
	}
	s := e.shard
	calls := e.calls
	e.calls = nil
	s.pool.Broken(e.pooled, why, text, s.now())
	if t := e.bound; t != nil && e.hail.given { // at once: its client is to give it no more calls
		t.engineGone(e)
	}
	for _, c := range calls {
		s.lost(e, c)
	}
	if e.pooled.Class == enginepool.External {
		s.pool.Exited(e.pooled, text, s.now())
		s.stats.left(e)
	}
}

// Drained is of no use here: what goes to an engine is bounded by its requests.
func (e *engine) Drained(*loop.Conn) {}

// Closed tells that the engine's end of the socket is closed: it has ended, or is about to.
func (e *engine) Closed(conn *loop.Conn, err error) {
	e.hail.timer.Stop()
	e.arriveOn(conn.Loop())
	e.broken(enginepool.WhyEnded, "the engine closed its connection")
	e.conn = nil
	e.moving.Store(false)
	delete(e.shard.guests, e)
	if e.exit.Load() != nil {
		e.shard.gone(e)
	}
}

// arriveOn makes the shard of l the engine's, if it was on its way between two.
func (e *engine) arriveOn(l *loop.Loop) {
	if s := e.door.shards[l.Index()]; e.shard != s {
		e.shard = s
	}
}

// who is the client that the engine works for, for the log.
func (e *engine) who() string {
	if info := e.client.Load(); info != nil {
		return info.remote
	}
	return ""
}

func (e *engine) name() string {
	if e.pooled == nil {
		return e.remote
	}
	return e.pooled.Name
}
