package enginepool

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Class says what an engine is for.
type Class uint8

const (
	Pooled   Class = iota // any client of its signature; holds a slot. The seed's "asynchronous"
	Bound                 // one client, or a procedure of the server's own. The seed's "synchronous"
	Phantom               // no client: ends with its work
	External              // pooled, but dialled in: neither started nor killed by us
)

// String is the class as tables show it.
func (c Class) String() string { return [...]string{"pooled", "bound", "phantom", "external"}[c] }

// Phase is where an engine is in its life; see the package comment.
type Phase int32

const (
	Starting Phase = iota
	LoggingIn
	Startup // runs its start-up procedure
	Idle
	Active
	Timer // runs its timer procedure
	Ready // bound or phantom, with nothing to do
	Shutdown
	Logoff
	Breaking
	Terminating
	Killed
	Gone
)

var phaseNames = [...]string{"starting", "login", "startup", "available", "active", "timer", "bound", "shutdown", "logoff", "breaking", "terminating", "killed", "gone"}

// String is the phase as tables show it.
func (p Phase) String() string { return phaseNames[p] }

// Why an engine is stopped.
type Why string

const (
	WhyNone      Why = ""
	WhyIdle      Why = "idle"
	WhyAge       Why = "max-uptime"
	WhyRunTime   Why = "max-runtime"
	WhyRequests  Why = "max-requests"
	WhyMemory    Why = "max-memory"
	WhyStale     Why = "reload"
	WhyEvicted   Why = "evicted" // its slot is wanted for another signature
	WhyAdmin     Why = "stopped"
	WhyForced    Why = "forced" // -3: its client is told
	WhyBye       Why = "bye"    // it wants to leave
	WhyClient    Why = "client" // its client has gone
	WhyStart     Why = "start-failed"
	WhyLogin     Why = "login-failed"
	WhyProc      Why = "procedure-failed"
	WhyProtocol  Why = "protocol"
	WhyEnded     Why = "crash"
	WhyDone      Why = "done" // a phantom at its end
	WhySurplus   Why = "surplus"
	WhyShutdown  Why = "shutdown"
	WhyUnbroken  Why = "ignored-break"
	WhyDiscarded Why = "discarded"
)

// Engine is one engine process, or one that has dialled in.
type Engine struct {
	// Fixed when made.
	Name  string // E0001, or what it calls itself when it has dialled in
	Class Class
	Owner any      // the user's
	Apps  []string // an external engine's applications, in upper case; empty: all

	// Owned by its shard's loop.
	shard     *Shard
	line      *Line // nil: an external one that nobody has used yet
	phase     Phase
	why       Why // it is to be stopped, when idle or now
	clock     clock
	term      term
	tally     tally // what it is counted among
	running   int   // requests on it
	ahead     int   // most of them; at least 1
	alone     bool  // its request wants no other one beside it
	promised  int   // shard that it goes to when idle; -1: none
	idleSince int64
	older     *Engine // in the ring
	newer     *Engine

	// Any goroutine.
	home atomic.Int32 // index of its shard; while it is on its way to another one: the complement of that it has left
	view struct {
		phase    atomic.Int32
		requests atomic.Int64
		started  atomic.Int64
		active   atomic.Int64 // since when it does what it does
		rss      atomic.Int64
		line     atomic.Pointer[Line]
	}
}

// Home is the index of the shard that the engine is on, or was on before its move. Any goroutine.
func (e *Engine) Home() int {
	if at := e.home.Load(); at < 0 {
		return int(^at)
	} else {
		return int(at)
	}
}

// Line is what the engine has logged in as. Its loop only.
func (e *Engine) Line() *Line { return e.line }

// Phase is where the engine is in its life. Its loop only.
func (e *Engine) Phase() Phase { return e.phase }

// Why tells why the engine is stopped, if it is. Its loop only.
func (e *Engine) Why() Why { return e.why }

// Running is the number of requests on the engine. Its loop only.
func (e *Engine) Running() int { return e.running }

// Served is the number of requests that it has ended. Its loop only.
func (e *Engine) Served() int { return e.term.served }

// Pools tells whether the engine takes requests from a line.
func (e *Engine) Pools() bool { return e.Class == Pooled || e.Class == External }

// bay is the part of its line that its shard has. It has a line.
func (e *Engine) bay() *bay { return e.line.on(e.shard) }

// moving tells whether the engine is on its way to another shard. Any goroutine.
func (e *Engine) moving() bool { return e.home.Load() < 0 }

// takes tells whether the engine may get one more request.
func (e *Engine) takes() bool { return e.why == WhyNone && e.promised < 0 && !e.alone }

// serves tells whether an external engine may log in to an application.
func (e *Engine) serves(application string) bool {
	return len(e.Apps) == 0 || slices.Contains(e.Apps, strings.ToUpper(application))
}

func (e *Engine) setPhase(p Phase, now int64) {
	e.phase = p
	e.view.phase.Store(int32(p))
	e.view.active.Store(now)
}

func (e *Engine) setLine(l *Line) {
	e.line = l
	e.view.line.Store(l)
}

// View is what a table shows of an engine. Times are those that the pool was given.
type View struct {
	Engine                  *Engine
	Phase                   Phase
	Started, Active         int64 // since when it lives, and does what it does
	Requests, ResidentBytes int64
	Line                    *Line // nil: none, yet or any more
	Login                   Login // without the password
}

// View may be called by any goroutine.
func (e *Engine) View() View {
	v := View{
		Engine: e, Phase: Phase(e.view.phase.Load()), Started: e.view.started.Load(), Active: e.view.active.Load(),
		Requests: e.view.requests.Load(), ResidentBytes: e.view.rss.Load(),
	}
	if l := e.view.line.Load(); l != nil {
		v.Line, v.Login = l, l.Login
		v.Login.Password = ""
	}
	return v
}
