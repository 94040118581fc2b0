package config

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Engine is the engine door: clients that speak in length-framed requests on one side, a pool of engine processes on the other.
// An eserver.cfg sets the same keys.
type Engine struct {
	// Addresses to listen on for clients whose texts are in encoding, as host:port; an empty host is every address, port 0 a free one.
	// Where files configure this door and set neither this, listen_utf8 nor listen_tls: 127.0.0.1:8088. Empty: none.
	Listen []string `toml:"listen"`
	// Addresses to listen on for clients whose texts are in UTF-8. Empty: none.
	ListenUTF8 []string `toml:"listen_utf8"`
	// Addresses to listen on for clients that come over TLS, their texts in encoding; tls_cert and tls_key are needed. Empty: none.
	ListenTLS []string `toml:"listen_tls"`
	// File of the certificate for listen_tls, and of those between it and its root, in PEM. These files are read again when they have changed.
	TLSCert string `toml:"tls_cert"`
	// File of the key of tls_cert, in PEM.
	TLSKey string `toml:"tls_key"`
	// File of the authorities, in PEM, by one of which a client's certificate must be signed. Empty: clients need none.
	TLSClientCA string `toml:"tls_client_ca"`
	// Name of this server, which clients and engines are told. 1 to 64 bytes of printable ASCII.
	ServerName string `toml:"server_name"`
	// Character set of listen and listen_tls: 8859_1 (also iso-8859-1, latin1) or UTF8 (also utf-8).
	Encoding string `toml:"encoding"`
	// Directories that an engine may be started in when a login asks for one: absolute, or * for any.
	// Empty: only the directory of process.dir.
	Locations []string `toml:"locations"`
	// Secret of the control commands (stop engines, administration), plain or as {pbkdf2-sha256}.... Empty: they are denied.
	ControlPassword string `toml:"control_password" unit:"secret"`
	// Networks (192.0.2.0/24) or addresses that may send control commands. Empty: any.
	ControlAllow []netip.Prefix `toml:"control_allow"`
	// Who may list the engines: any, loopback, or password (whoever sends control_password).
	ListAccess string `toml:"list_access"`
	// Licensed serial numbers, which engines are told on request.
	SerialNumbers []string `toml:"serial_numbers"`
	// Requests that take longer get a line in the log. 0: none.
	SlowLog time.Duration `toml:"slow_log"`

	Client     EngineClient     `toml:"client"`
	Pool       EnginePool       `toml:"pool"`
	Process    EngineProcess    `toml:"process"`
	Zombies    EngineZombies    `toml:"zombies"`
	DialIn     EngineDialIn     `toml:"dial_in"`
	Statistics EngineStatistics `toml:"statistics"`

	Defaults EngineMode `toml:"defaults"`
	// What differs from engine.defaults in one mode.
	Modes []EngineMode `toml:"mode"`
	// Kinds of engines and how one is started.
	Types []EngineType `toml:"type"`
	// What the server itself runs.
	Runs []EngineRun `toml:"run"`
}

// EngineClient says how clients of the engine door are treated.
type EngineClient struct {
	// Most client connections at a time; one more is told so and closed. 0: no limit but limits.max_connections.
	MaxConnections int `toml:"max_connections"`
	// Longest request in bytes; a longer one ends the connection. 1 KiB to 99999999.
	MaxFrame int `toml:"max_frame" unit:"bytes"`
	// What the length in front of a frame counts on listen_utf8: bytes or chars.
	UTFLength string `toml:"utf_length"`
	// What fills the length in front of a frame that is sent: zero or space.
	LengthPad string `toml:"length_pad"`
	// A client in a dialogue is told that its request still runs after processing_polls of these. More than 0.
	PollInterval time.Duration `toml:"poll_interval"`
	// See poll_interval. 1 to 100000.
	ProcessingPolls int `toml:"processing_polls"`
	// How long a connection without a running request is kept. 0: for ever.
	Idle time.Duration `toml:"idle"`
	// How long a running request waits for its client's turn in a dialogue, then it is broken. 0: for ever.
	Wait time.Duration `toml:"wait"`
	// From the first byte of a request until it is complete. More than 0.
	ReadTimeout time.Duration `toml:"read_timeout"`
	// What becomes of a request whose client has gone: break, finish or kill. One that has only ended its side of the connection cannot
	// be told from one that has gone: it is given 2 s for the reply, with finish as long as it takes.
	OnDisconnect string `toml:"on_disconnect"`
	// Whether a login is accepted without an engine, which the first request then waits for.
	LazyLogin bool `toml:"lazy_login"`
}

// EnginePool says how many engines there are, who gets one, and for how long one is used.
type EnginePool struct {
	// Most engines that are shared by connections (modes -1, 0 and 2), those included that start or stop. 0: no limit.
	MaxEngines int `toml:"max_engines"`
	// Most engines that belong to one connection (mode 1, monitors). 0: no limit.
	MaxSync int `toml:"max_sync"`
	// Most engines without a client. 0: no limit.
	MaxPhantoms int `toml:"max_phantoms"`
	// Most engines that have dialled in. 0: no limit.
	MaxExternal int `toml:"max_external"`
	// Engines kept free while the load grows. At most max_engines.
	SpareEngines int `toml:"spare_engines"`
	// Most engines that start at a time. 1 to 1000.
	SpawnRate int `toml:"spawn_rate"`
	// Who gets the next free engine: fifo, priority, or lifo-overload (the newest first while the queue is too long).
	QueuePolicy string `toml:"queue_policy"`
	// How long a request waits before a free engine of another login is stopped to make room for one of its own. 0: at once.
	StealAfter time.Duration `toml:"steal_after"`
	// How long a free engine is kept. 0: for ever.
	IdleTimeout time.Duration `toml:"idle_timeout"`
	// Interval of timer_proc, and of looking at the memory of engines. More than 0.
	IdleCheck time.Duration `toml:"idle_check"`
	// Age at which an engine is retired, never in the middle of a request. 0: none.
	MaxUpTime time.Duration `toml:"max_up_time"`
	// How long one request may run before its engine counts as stuck and is ended. 0: no limit.
	MaxRunTime time.Duration `toml:"max_run_time"`
	// Requests after which an engine is retired. 0: no limit.
	MaxRequests int `toml:"max_requests"`
	// Percent by which max_requests differs from engine to engine, so that they do not all retire together. 0 to 100.
	MaxRequestsJitter int `toml:"max_requests_jitter"`
	// Memory in bytes above which an engine is retired after its request. 0: no limit.
	MaxMemory int64 `toml:"max_memory" unit:"bytes"`
	// Memory in bytes above which an engine is killed. 0: no limit; else at least max_memory.
	MaxMemoryHard int64 `toml:"max_memory_hard" unit:"bytes"`
	// Whether a request that its engine had not begun when it died goes to another engine, once.
	RetryUnstarted bool `toml:"retry_unstarted"`
	// Pause after an engine has failed to start; it doubles with each failure in a row. More than 0.
	StartBackoff time.Duration `toml:"start_backoff"`
	// Longest such pause. At least start_backoff.
	StartBackoffMax time.Duration `toml:"start_backoff_max"`
	// Failures in a row after which those that wait for the engine are told so. 1 to 1000.
	StartFailures int `toml:"start_failures"`
}

// EngineProcess says how engines are started and stopped. Each timeout is more than 0.
type EngineProcess struct {
	// From the start of a process until it says hello.
	StartTimeout time.Duration `toml:"start_timeout"`
	// How long the login of an engine may take.
	LoginTimeout time.Duration `toml:"login_timeout"`
	// How long an engine may take to stop by itself, shutdown_proc included.
	StopTimeout time.Duration `toml:"stop_timeout"`
	// How long an engine may take to obey a break.
	BreakTimeout time.Duration `toml:"break_timeout"`
	// From SIGTERM to SIGKILL.
	KillTimeout time.Duration `toml:"kill_timeout"`
	// Directory that engines start in, unless their login asks for another one. Empty: that of the server.
	Dir string `toml:"dir"`
	// What is added to the environment of engines, each as NAME=value.
	Env []string `toml:"env"`
	// System user that engines run as; the server must be allowed to. Empty: that of the server.
	User string `toml:"user"`
	// Niceness of engines, -20 to 19; below 0 the server must be allowed to.
	Nice int `toml:"nice"`
	// How the server talks to an engine: socket (descriptor 3) or stdio (its standard input and output).
	Transport string `toml:"transport"`
	// Signal that goes along with a break: HUP, INT, QUIT, USR1, USR2 or TERM. Empty: none.
	BreakSignal string `toml:"break_signal"`
}

// EngineZombies says what becomes of an engine of mode 1 whose connection is lost in the middle of a request.
type EngineZombies struct {
	// Whether it is kept for a reconnect.
	Keep bool `toml:"keep"`
	// How long it is kept. More than 0.
	Timeout time.Duration `toml:"timeout"`
	// Most engines that are kept; the oldest goes first. 1 to 100000.
	Max int `toml:"max"`
	// Bytes of output kept for each; the oldest go first. At most 1 GiB.
	Buffer int `toml:"buffer" unit:"bytes"`
}

// EngineDialIn is the listener for engines that the server has not started and that connect to it.
type EngineDialIn struct {
	// Addresses to listen on, as host:port. Empty: none.
	Listen []string `toml:"listen"`
	// Secret that an engine must present. Needed with listen.
	Token string `toml:"token" unit:"secret"`
	// File of the certificate, in PEM. Empty: no TLS. These files are read again when they have changed.
	TLSCert string `toml:"tls_cert"`
	// File of the key of tls_cert, in PEM.
	TLSKey string `toml:"tls_key"`
	// File of the authorities, in PEM, by one of which an engine's certificate must be signed. Empty: engines need none.
	TLSCA string `toml:"tls_ca"`
}

// EngineStatistics is about records of the load: a generator sends them, a listener keeps them.
type EngineStatistics struct {
	// Where records are received: host:port, or same for the client listeners. Empty: nowhere.
	Input string `toml:"input"`
	// Listener that records are sent to, as host:port. Empty: none.
	Output string `toml:"output"`
	// Where a listener keeps them.
	Directory string `toml:"directory"`
	// How long a listener keeps them, in days. 1 to 36500.
	Days int `toml:"days"`
	// Name of this generator. 1 to 64 letters, digits and ._-
	ID string `toml:"id"`
	// Interval of the records that are sent. More than 0.
	Interval time.Duration `toml:"interval"`
}

// EngineMode has what a login leaves open and what differs by mode: [engine.defaults] holds for every mode, and a key of
// [[engine.mode]] for its mode instead.
type EngineMode struct {
	// In [[engine.mode]], where it is required and unique, which mode: -1 (JD3), 0 (block), 1 (character), 2 (web) or 3 (phantom).
	// In [engine.defaults] the mode of a login that names none, phantom excepted; empty: -1.
	Mode string `toml:"mode"`

	// Application.
	Application string `toml:"application"`
	// Procedure that gets each request.
	Procedure string `toml:"procedure"`
	// User.
	UserName string `toml:"user_name"`
	// Password, as engines get it at their login.
	Password string `toml:"password" unit:"secret"`
	// Name of the engine.
	Server string `toml:"server"`
	// Flags at the start of an engine. Negative: the same, and a request is refused rather than kept waiting for an engine.
	StartupFlags int `toml:"startup_flags"`
	// Flags at the end of a connection. 0: its engine stays.
	ShutdownFlags int `toml:"shutdown_flags"`
	// Procedure that an engine runs after its login; modes -1, 0 and 2. Empty: none.
	StartupProc string `toml:"startup_proc"`
	// Procedure that an engine runs before it stops; modes -1, 0 and 2. Empty: none.
	ShutdownProc string `toml:"shutdown_proc"`
	// Procedure that a free engine runs every pool.idle_check; modes -1, 0 and 2. Empty: none.
	TimerProc string `toml:"timer_proc"`

	// Engines kept ready for the login that is configured for the mode. At most pool.max_engines.
	MinEngines int `toml:"min_engines"`
	// Most requests that wait for an engine; one more is refused. 0: no limit.
	QueueMax int `toml:"queue_max"`
	// How long a request may wait for an engine. 0: no limit.
	QueueTimeout time.Duration `toml:"queue_timeout"`
	// As pool.max_run_time, for a mode; the shorter one holds. 0: no limit.
	TaskTimeout time.Duration `toml:"task_timeout"`
	// When an engine goes back to the pool: after each request, or with the end of the connection. Empty: request for modes
	// -1, 0 and 2. Modes 1 and 3 always have connection.
	Pooling string `toml:"pooling"`
	// Which [[engine.type]] is started.
	EngineType string `toml:"engine_type"`

	// Bit i: field i was set, to its zero value, which counts in [[engine.mode]].
	zeros uint32 `toml:"-"`
}

// EngineType is a kind of engine: Engine_NAME of an eserver.cfg, [[engine.type]] in TOML.
type EngineType struct {
	// Name, unique but for case: letters, digits and ._-, at most 64. Required.
	Name string `toml:"name"`
	// Command line that starts one, split at blanks without a shell; {app}, {user}, {loc} and {engine} stand for what a login says.
	// Required.
	Command string `toml:"command"`
}

// EngineRun is a procedure that the server itself runs: AutoRun, RunFirst and SystemMonitor of an eserver.cfg, [[engine.run]] in TOML.
type EngineRun struct {
	// auto (at the start of the server), first (at the first connection of a client) or monitor (again and again). Required.
	When string `toml:"when"`
	// Procedure. Required.
	Procedure string `toml:"procedure"`
	// Application.
	Application string `toml:"application"`
	// User.
	UserName string `toml:"user_name"`
	// Password.
	Password string `toml:"password" unit:"secret"`
	// Interval of a monitor. More than 0.
	Every time.Duration `toml:"every"`
}

// DefaultEngineListen is where the engine door opens when it is configured and nobody says where.
const DefaultEngineListen = "127.0.0.1:8088"

// DefaultEngineRun returns a run with the default of every field; When and Procedure are still to be set.
func DefaultEngineRun() EngineRun { return EngineRun{Every: time.Minute} }

// defaultEngine returns the engine door of Default. It has no type of engine yet.
func defaultEngine() Engine {
	return Engine{
		Listen:     []string{DefaultEngineListen},
		ServerName: "MAIN",
		Encoding:   "8859_1",
		ListAccess: "any",
		Client: EngineClient{
			MaxFrame:        64 << 20,
			UTFLength:       "bytes",
			LengthPad:       "zero",
			PollInterval:    100 * time.Millisecond,
			ProcessingPolls: 10,
			ReadTimeout:     30 * time.Second,
			OnDisconnect:    "break",
		},
		Pool: EnginePool{
			MaxEngines:        10,
			SpawnRate:         4,
			QueuePolicy:       "fifo",
			StealAfter:        2 * time.Second,
			IdleTimeout:       15 * time.Minute,
			IdleCheck:         time.Minute,
			MaxRequestsJitter: 10,
			RetryUnstarted:    true,
			StartBackoff:      100 * time.Millisecond,
			StartBackoffMax:   30 * time.Second,
			StartFailures:     6,
		},
		Process: EngineProcess{
			StartTimeout: 30 * time.Second,
			LoginTimeout: 30 * time.Second,
			StopTimeout:  10 * time.Second,
			BreakTimeout: 5 * time.Second,
			KillTimeout:  5 * time.Second,
			Transport:    "socket",
		},
		Zombies:    EngineZombies{Timeout: 15 * time.Minute, Max: 100, Buffer: 256 << 10},
		Statistics: EngineStatistics{Directory: "stats", Days: 14, ID: "MAIN", Interval: time.Minute},
		Defaults:   EngineMode{StartupFlags: 65, ShutdownFlags: 1, EngineType: "default"},
	}
}

// Opens tells whether the door has a listener.
func (e *Engine) Opens() bool {
	return len(e.Listen)+len(e.ListenUTF8)+len(e.ListenTLS)+len(e.DialIn.Listen) > 0
}

// For returns what holds for a mode (-1, 0, 1, 2 or 3), key by key: the mode's own value where it has one, else the overall
// one. Mode and Pooling are never empty in it. Not for a hot path: keep what it returns.
func (e *Engine) For(mode int) EngineMode {
	out := e.Defaults
	name := strconv.Itoa(mode)
	for i := range e.Modes {
		own, to := reflect.ValueOf(&e.Modes[i]).Elem(), reflect.ValueOf(&out).Elem()
		if e.Modes[i].Mode != name {
			continue
		}
		for f := range own.NumField() {
			if e.Modes[i].holds(f) {
				to.Field(f).Set(own.Field(f))
			}
		}
	}
	out.Mode, out.zeros = name, 0
	switch {
	case mode == 1 || mode == 3:
		out.Pooling = "connection"
	case out.Pooling == "":
		out.Pooling = "request"
	}
	return out
}

// holds tells whether field i counts in a [[engine.mode]].
func (m *EngineMode) holds(i int) bool {
	v := reflect.ValueOf(m).Elem()
	return v.Type().Field(i).IsExported() && (!v.Field(i).IsZero() || m.zeros&(1<<i) != 0)
}

// Command returns the command line of a type of engine, whose name may be written in any case.
func (e *Engine) Command(engineType string) (line string, ok bool) {
	for _, t := range e.Types {
		if strings.EqualFold(t.Name, engineType) {
			return t.Command, true
		}
	}
	return "", false
}
