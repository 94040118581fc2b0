package enginepool

// Host does what a shard decides. All its methods are called on the shard's loop, and may be called from within any method of the
// Shard. Refuse and Overran may call Acquire, for a client's next request; nothing else calls back into the Shard before it returns.
type Host interface {
	// Spawn starts the engine's process. Shard.Hello or Shard.Broken follows, and in any case Shard.Exited.
	Spawn(e *Engine)
	// Login logs the engine in as its line says. Shard.LoggedIn, LoginFailed or Broken follows.
	Login(e *Engine)
	// Proc runs a procedure of the server's own on the engine; kind is startup, shutdown or timer. Shard.ProcDone or Broken follows.
	Proc(e *Engine, kind, procedure string)
	// Run gives the engine a request. Shard.Release follows, or Broken for all of them.
	Run(e *Engine, w *Waiter)
	// Refuse ends the wait of w: there will be no engine.
	Refuse(w *Waiter, r Refusal)
	// Ready tells that a bound engine or a phantom has logged in.
	Ready(e *Engine)
	// Failed tells that a bound engine or a phantom did not come up. It is being stopped.
	Failed(e *Engine, text string)
	// Overran tells that the request on the engine has run too long. The engine is being stopped.
	Overran(e *Engine)
	// Logoff asks the engine to finish and leave; Break asks it to end its request.
	Logoff(e *Engine)
	Break(e *Engine)
	// Terminate and Kill end the process and its group. For an external engine both close its connection, and Exited follows.
	Terminate(e *Engine)
	Kill(e *Engine)
	// Move takes the engine to another shard, where Shard.Arrive follows, or Broken on any shard when its connection ends first.
	Move(e *Engine, to int)
	// Tell hands m to another shard: Shard.Handle.
	Tell(to int, m Message)
	// Wake asks for Shard.Tick at the time at, instead of what it asked for before.
	Wake(at int64)
	// Note tells of something that an operator wants to know.
	Note(n Note, l *Line, e *Engine)
}

// Refusal says why a request gets no engine.
type Refusal struct {
	Reason Reason
	Text   string // of the engine, for LoginFailed and NotStarting
}

// Reason is why a request gets no engine.
type Reason uint8

const (
	NoEngine    Reason = iota // it did not want to wait, or too many wait
	TimedOut                  // QueueTimeout
	LoginFailed               // the engine refused the login
	NotStarting               // engines of the line do not come up
	Stopping                  // the server stops
)

// Reasons is the number of reasons, for tables of counters.
const Reasons = 5

// String is the reason as metrics and logs name it.
func (r Reason) String() string {
	return [...]string{"no-engine", "timeout", "login-failed", "not-starting", "stopping"}[r]
}

// Note is something that an operator wants to know.
type Note uint8

const (
	NoteStalled Note = iota // requests waited for a second beside an idle engine
	NoteBackoff             // engines of a line do not come up: the next start waits
)

// Message is what one shard tells another.
type Message struct {
	kind messageKind
	line *Line
	from int
	text string
}

// refusal is what the message, which is of kind msgFail or msgDeny, means for those who wait.
func (m Message) refusal() Refusal {
	if m.kind == msgDeny {
		return Refusal{LoginFailed, m.text}
	}
	return Refusal{NotStarting, m.text}
}

type messageKind uint8

const (
	msgWant  messageKind = iota // give me an engine of the line
	msgNone                     // there is none; without a line: nor one that has dialled in
	msgEvict                    // stop an idle engine of another line: a slot is wanted
	msgSeek                     // a slot is free, or a start may be tried: look again
	msgFail                     // engines of the line do not come up: tell those who wait
	msgDeny                     // the line's login was refused: tell those who wait
)
