package config

import (
	"strconv"
	"strings"
	"time"
)

// esKey is one key of an eserver.cfg.
type esKey struct {
	name   string
	field  string // what it sets; of esRuns the When of the runs, of esElsewhere what the code sets
	how    esHow
	byMode bool // KEY_MODE is known too
}

// esHow is how the value of a key is written, besides what its field says.
type esHow uint8

const (
	esText esHow = iota
	esWord       // in any case
	esBool
	esNumber
	esPercent
	esMillis // whole numbers of a unit; with a unit of their own these are durations and sizes as in TOML
	esSeconds
	esMinutes
	esKiB
	esMiB
	esList      // with ; between entries; lines add up
	esRuns      // likewise: procedure,application,user,password
	esElsewhere // by what applyPorts and its like do
	esNothing   // no effect yet
)

// esTable has the keys in the order of the manual.
var esTable = []esKey{
	{"PortNumber", "engine.listen", esElsewhere, false},
	{"UTFPortNumber", "engine.listen_utf8", esElsewhere, false},
	{"UTFPort_Disabled", "engine.listen_utf8", esElsewhere, false},
	{"TLSPortNumber", "engine.listen_tls", esElsewhere, false},
	{"TLSCert", "engine.tls_cert", esText, false},
	{"TLSKey", "engine.tls_key", esText, false},
	{"TLSClientCA", "engine.tls_client_ca", esText, false},
	{"ServerName", "engine.server_name", esText, false},
	{"Encoding", "engine.encoding", esText, false},
	{"OILocations", "engine.locations", esList, false},
	{"ControlPassword", "engine.control_password", esElsewhere, false},
	{"EControlPassword", "engine.control_password", esElsewhere, false},
	{"ControlAllow", "engine.control_allow", esList, false},
	{"ListAccess", "engine.list_access", esWord, false},
	{"SerialNumbers", "engine.serial_numbers", esList, false},
	{"SlowLogTime", "engine.slow_log", esSeconds, false},
	{"SlowLog", "engine.slow_log", esElsewhere, false},

	{"MaxConnections", "engine.client.max_connections", esNumber, false},
	{"MaxFrame", "engine.client.max_frame", esMiB, false},
	{"UTFLength", "engine.client.utf_length", esWord, false},
	{"LengthPad", "engine.client.length_pad", esWord, false},
	{"PollInterval", "engine.client.poll_interval", esMillis, false},
	{"ProcessingPolls", "engine.client.processing_polls", esNumber, false},
	{"ClientIdle", "engine.client.idle", esMinutes, false},
	{"ClientWait", "engine.client.wait", esSeconds, false},
	{"ReadTimeout", "engine.client.read_timeout", esSeconds, false},
	{"OnDisconnect", "engine.client.on_disconnect", esWord, false},
	{"LazyLogin", "engine.client.lazy_login", esBool, false},

	{"MaxEngines", "engine.pool.max_engines", esNumber, false},
	{"MaxSync", "engine.pool.max_sync", esNumber, false},
	{"MaxPhantoms", "engine.pool.max_phantoms", esNumber, false},
	{"MaxExternal", "engine.pool.max_external", esNumber, false},
	{"SpareEngines", "engine.pool.spare_engines", esNumber, false},
	{"SpawnRate", "engine.pool.spawn_rate", esNumber, false},
	{"QueuePolicy", "engine.pool.queue_policy", esWord, false},
	{"StealAfter", "engine.pool.steal_after", esSeconds, false},
	{"IdleTimeout", "engine.pool.idle_timeout", esMinutes, false},
	{"IdleCheck", "engine.pool.idle_check", esSeconds, false},
	{"MaxUpTime", "engine.pool.max_up_time", esMinutes, false},
	{"MaxRunTime", "engine.pool.max_run_time", esMinutes, false},
	{"MaxRequests", "engine.pool.max_requests", esNumber, false},
	{"MaxRequestsJitter", "engine.pool.max_requests_jitter", esPercent, false},
	{"MaxMemory", "engine.pool.max_memory", esMiB, false},
	{"MaxMemoryHard", "engine.pool.max_memory_hard", esMiB, false},
	{"RetryUnstarted", "engine.pool.retry_unstarted", esBool, false},
	{"StartBackoff", "engine.pool.start_backoff", esMillis, false},
	{"StartBackoffMax", "engine.pool.start_backoff_max", esSeconds, false},
	{"StartFailures", "engine.pool.start_failures", esNumber, false},

	{"EngineDir", "engine.process.dir", esText, false},
	{"EngineEnv", "engine.process.env", esList, false},
	{"EngineUser", "engine.process.user", esText, false},
	{"EngineNice", "engine.process.nice", esNumber, false},
	{"EngineTransport", "engine.process.transport", esWord, false},
	{"StartTimeout", "engine.process.start_timeout", esSeconds, false},
	{"LoginTimeout", "engine.process.login_timeout", esSeconds, false},
	{"StopTimeout", "engine.process.stop_timeout", esSeconds, false},
	{"BreakTimeout", "engine.process.break_timeout", esSeconds, false},
	{"KillTimeout", "engine.process.kill_timeout", esSeconds, false},
	{"BreakSignal", "engine.process.break_signal", esText, false},

	{"KeepAlive", "engine.zombies.keep", esBool, false},
	{"ZombieTimeout", "engine.zombies.timeout", esMinutes, false},
	{"ZombieMax", "engine.zombies.max", esNumber, false},
	{"ZombieBuffer", "engine.zombies.buffer", esKiB, false},

	{"EngineListen", "engine.dial_in.listen", esElsewhere, false},
	{"EngineToken", "engine.dial_in.token", esText, false},
	{"EngineTLSCert", "engine.dial_in.tls_cert", esText, false},
	{"EngineTLSKey", "engine.dial_in.tls_key", esText, false},
	{"EngineTLSCA", "engine.dial_in.tls_ca", esText, false},

	{"Statistics_Input", "engine.statistics.input", esElsewhere, false},
	{"Statistics_Output", "engine.statistics.output", esText, false},
	{"Statistics_Directory", "engine.statistics.directory", esText, false},
	{"Statistics_Days", "engine.statistics.days", esNumber, false},
	{"Statistics_ID", "engine.statistics.id", esText, false},

	{"Mode", "engine.defaults.mode", esText, false},
	{"Application", "engine.defaults.application", esText, true},
	{"Procedure", "engine.defaults.procedure", esText, true},
	{"UserName", "engine.defaults.user_name", esText, true},
	{"Password", "engine.defaults.password", esText, true},
	{"Server", "engine.defaults.server", esText, true},
	{"StartupFlags", "engine.defaults.startup_flags", esNumber, true},
	{"ShutdownFlags", "engine.defaults.shutdown_flags", esNumber, true},
	{"StartupProc", "engine.defaults.startup_proc", esText, true},
	{"ShutdownProc", "engine.defaults.shutdown_proc", esText, true},
	{"TimerProc", "engine.defaults.timer_proc", esText, true},
	{"MinEngines", "engine.defaults.min_engines", esNumber, true},
	{"QueueMax", "engine.defaults.queue_max", esNumber, true},
	{"QueueTimeout", "engine.defaults.queue_timeout", esSeconds, true},
	{"TaskTimeout", "engine.defaults.task_timeout", esSeconds, true},
	{"Pooling", "engine.defaults.pooling", esWord, true},
	{"EngineType", "engine.defaults.engine_type", esText, true},

	{"AutoRun", "auto", esRuns, false},
	{"RunFirst", "first", esRuns, false},
	{"SystemMonitor", "monitor", esRuns, false},
	{"SystemMonitorTime", "engine.run.every", esElsewhere, false},

	{"Preset", "", esElsewhere, false},
	{"AdminListen", "admin.listen", esElsewhere, false},
	{"MetricsListen", "admin.listen", esElsewhere, false},
	{"LogLevel", "log.level", esWord, false},
	{"LogFormat", "log.format", esWord, false},
	{"LogFile", "", esElsewhere, false},

	{"WebServer_Disabled", "", esNothing, false},
	{"WebServerPortNumber", "", esNothing, false},
	{"WebServerCGIProcedure", "", esNothing, false},
	{"CommandPortNumber", "", esNothing, false},
	{"DebugLevel", "", esNothing, false},
	{"DebugFile", "", esNothing, false},
	{"DebugDetail", "", esNothing, false},
}

// esKeys has them by lower-case name.
var esKeys = func() map[string]esKey {
	keys := map[string]esKey{}
	for _, k := range esTable {
		keys[strings.ToLower(k.name)] = k
	}
	return keys
}()

// esUnits has the units of whole numbers: nanoseconds or bytes.
var esUnits = map[esHow]struct {
	name string
	size int64
}{
	esMillis:  {"milliseconds", int64(time.Millisecond)},
	esSeconds: {"seconds", int64(time.Second)},
	esMinutes: {"minutes", int64(time.Minute)},
	esKiB:     {"KiB", 1 << 10},
	esMiB:     {"MiB", 1 << 20},
}

// convert returns a value as assign takes it, or what would be right.
func (how esHow) convert(text string) (value, want string) {
	switch how {
	case esWord:
		return strings.ToLower(text), ""
	case esBool:
		_, ok := parseBool(text)
		return text, wantUnless(ok, "0 or 1")
	case esPercent:
		return strings.TrimRight(strings.TrimSuffix(text, "%"), " "), ""
	case esMillis, esSeconds, esMinutes:
		unit := esUnits[how]
		n, err := strconv.ParseInt(text, 10, 64)
		d, errDuration := time.ParseDuration(text)
		switch {
		case err == nil && -int64(mostDuration)/unit.size <= n && n <= int64(mostDuration)/unit.size:
			return time.Duration(n * unit.size).String(), ""
		case err != nil && errDuration == nil:
			return d.String(), ""
		}
		return "", "a whole number of " + unit.name + ", or a duration with its unit, as 90s; at most 87600h"
	case esKiB, esMiB:
		unit := esUnits[how]
		n, err := strconv.ParseInt(text, 10, 64)
		size, ok := parseSize(text)
		switch {
		case err == nil && 0 <= n && n <= 1<<50/unit.size:
			return strconv.FormatInt(n*unit.size, 10), ""
		case err != nil && ok:
			return strconv.FormatInt(size, 10), ""
		}
		return "", "a whole number of " + unit.name + ", or a size with its unit, as 64k"
	}
	return text, ""
}
