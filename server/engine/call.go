package engine

import (
	"roundhouse/codec/revcap"
	"roundhouse/enginepool"
)

// call is one request from its coming to its end. Owned by the loop of its shard.
type call struct {
	// Fixed while it lives.
	waiter    enginepool.Waiter
	code      int    // of the order: Execute, Call, CallEvents or a JD3 verb
	kind      string // of revcap
	procedure string
	args      []byte // each ends with a delimiter; kept until the engine has begun, for a second try

	owner   caller  // who gets the outcome
	engine  *engine // that has it; nil: it waits
	rid     uint64
	began   int64 // when it was given to the engine
	begun   bool  // the engine has said something about it
	retried bool
	wrong   bool // it has failed
	logsIn  bool // it is a login
	probe   bool // it only wants to know that there is an engine
	counted bool // in the statistics

	unwanted bool // its client has gone: it is to be broken when it is the engine's turn
}

// caller is who gets the outcome of a call. All its methods run on the call's loop; none may end the engine's connection at once.
type caller interface {
	// started tells that an engine has the call.
	started(c *call)
	// working tells that the engine still works on it.
	working(c *call)
	// output and info bring a piece of what the engine has to say, valid during the call only.
	output(c *call, b []byte)
	info(c *call, b []byte)
	// ask brings a question, which engine.answer answers.
	ask(c *call, prompt []byte)
	// result brings the outcome: size bytes of which body is the beginning; what is missing follows with more.
	result(c *call, text, body []byte, size int)
	more(c *call, b []byte)
	// failed tells that the call has failed; text is for the client.
	failed(c *call, text string)
	// over is the last one, after result and all of more, or after failed: the engine is free again.
	over(c *call)
	// refused tells that there is no engine; it is the only one then.
	refused(c *call, r enginepool.Refusal)
}

// deadlineMs is how long the call may run, as the engine is told.
func (c *call) deadlineMs(l *enginepool.Limits) int64 {
	return l.RunLimit(c.waiter.Mode).Milliseconds()
}

// append writes the call's frame.
func (c *call) append(dst []byte, deadlineMs int64) []byte {
	if c.logsIn {
		return revcap.AppendLogin(dst, c.rid, loginOrder(&c.waiter.Line.Login))
	}
	dst = revcap.AppendCallHead(dst, c.code, c.rid, c.kind, c.procedure, deadlineMs, len(c.args))
	return append(dst, c.args...)
}

// nobody is the caller of a call whose client has gone: its outcome is thrown away, and a question gets an empty answer.
type nobody struct{}

func (nobody) started(*call)                     {}
func (nobody) working(*call)                     {}
func (nobody) output(*call, []byte)              {}
func (nobody) info(*call, []byte)                {}
func (nobody) ask(c *call, _ []byte)             { c.engine.answer(c, nil) }
func (nobody) result(*call, []byte, []byte, int) {}
func (nobody) more(*call, []byte)                {}
func (nobody) failed(*call, string)              {}
func (nobody) over(*call)                        {}
func (nobody) refused(*call, enginepool.Refusal) {}
