package enginepool

import "time"

// Limits are the settings of a pool. A set of them is never changed, only replaced as a whole: Pool.SetLimits.
type Limits struct {
	// Most pooled engines; 0: no limit. Most bound engines, phantoms and engines that have dialled in; 0: no limit.
	MaxEngines, MaxSync, MaxPhantoms, MaxExternal int
	// Engines of a line to keep idle while it is in use; 0: none.
	SpareEngines int
	// Most engines that may be starting at a time. At least 1.
	SpawnRate int
	Policy    Policy
	// How long a line waits before an engine of another one, which is not idle, is retired for it.
	StealAfter time.Duration

	// How long an engine may idle, live, and run one request. 0: for ever.
	IdleTimeout, MaxUpTime, MaxRunTime time.Duration
	// How often idle engines run their timer procedure.
	IdleCheck time.Duration
	// Requests after which an engine is replaced, and by how many percent that is spread. 0: never.
	MaxRequests, MaxRequestsJitter int
	// Resident memory in bytes at which an engine is replaced after its request, and at which it is killed. 0: none.
	MaxMemory, MaxMemoryHard int64

	StartTimeout, LoginTimeout, StopTimeout, BreakTimeout, KillTimeout time.Duration
	Starting                                                           Backoff

	// Modes holds the settings of modes -1 to 3, at index mode+1.
	Modes [5]ModeLimits
}

// Backoff says what happens when engines do not come up.
type Backoff struct {
	First, Most time.Duration // pause after the first failure, doubled by each further one
	Failures    int           // in a row, until those who wait are told
}

// ModeLimits are the settings of one mode.
type ModeLimits struct {
	StartupProc, ShutdownProc, TimerProc string        // procedures; empty: none
	MinEngines                           int           // engines of a line that stay
	QueueMax                             int           // waiting requests of a line; 0: no limit
	QueueTimeout, TaskTimeout            time.Duration // 0: none
}

// Policy says who of a line is served next.
type Policy uint8

const (
	FIFO         Policy = iota
	Priority            // people before programs: class 0, 1, 2; waiting 10 s is worth a class
	LIFOOverload        // first come first served, until the first has waited for a second: then the last
)

// mode returns the settings of a mode.
func (l *Limits) mode(mode int) *ModeLimits { return &l.Modes[mode+1] }

// RunLimit is how long one request of a mode may run; 0: for ever.
func (l *Limits) RunLimit(mode int) time.Duration {
	run, task := l.MaxRunTime, l.mode(mode).TaskTimeout
	if run == 0 || task != 0 && task < run {
		return task
	}
	return run
}
