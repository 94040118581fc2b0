package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// engineLimits has the least and the most value of every number of the engine door, bytes where the key is a size.
var engineLimits = map[string][2]int64{
	"client.max_connections":   {0, 1 << 30},
	"client.max_frame":         {1 << 10, 99_999_999}, // what eight digits can say
	"client.processing_polls":  {1, 100_000},
	"pool.max_engines":         {0, 100_000},
	"pool.max_sync":            {0, 100_000},
	"pool.max_phantoms":        {0, 100_000},
	"pool.max_external":        {0, 100_000},
	"pool.spare_engines":       {0, 100_000},
	"pool.spawn_rate":          {1, 1000},
	"pool.max_requests":        {0, 1 << 30},
	"pool.max_requests_jitter": {0, 100},
	"pool.max_memory":          {0, 1 << 50},
	"pool.max_memory_hard":     {0, 1 << 50},
	"pool.start_failures":      {1, 1000},
	"process.nice":             {-20, 19},
	"zombies.max":              {1, 100_000},
	"zombies.buffer":           {0, 1 << 30},
	"statistics.days":          {1, 36500},
	"startup_flags":            {-1 << 30, 1 << 30}, // of engine.defaults and [[engine.mode]], as the next three
	"shutdown_flags":           {-1 << 30, 1 << 30},
	"min_engines":              {0, 100_000},
	"queue_max":                {0, 1 << 30},
}

// engineWords has the keys of the engine door that take one of a few words.
var engineWords = map[string][]string{
	"encoding":             {"8859_1", "UTF8"},
	"list_access":          {"any", "loopback", "password"},
	"client.utf_length":    {"bytes", "chars"},
	"client.length_pad":    {"zero", "space"},
	"client.on_disconnect": {"break", "finish", "kill"},
	"pool.queue_policy":    {"fifo", "priority", "lifo-overload"},
	"process.transport":    {"socket", "stdio"},
	"process.break_signal": {"", "HUP", "INT", "QUIT", "USR1", "USR2", "TERM"},
	"pooling":              {"", "request", "connection"},
}

// engineNever has the durations of the engine door that may be 0.
var engineNever = map[string]bool{
	"slow_log": true, "client.idle": true, "client.wait": true, "pool.steal_after": true, "pool.idle_timeout": true, "pool.max_up_time": true,
	"pool.max_run_time": true, "queue_timeout": true, "task_timeout": true,
}

const mostDuration = 10 * 365 * 24 * time.Hour // ten years: sums of these cannot overflow

func (c *checker) checkEngine() {
	e := &c.cfg.Engine
	c.checkEngineValues("engine.", "", reflect.ValueOf(e).Elem())
	c.checkEngineAccess()
	c.checkEngineTLS("engine.", len(e.ListenTLS) > 0, e.TLSCert, e.TLSKey, e.TLSClientCA)
	c.checkEnginePool()
	c.checkEngineTypes()
	c.checkEngineModes()
	c.checkEngineRuns()
	c.checkDialIn()
	c.checkStatistics()
	if c.cfg.engineOpen() {
		c.warnOfEngine()
	}
}

// checkEngineValues looks at each value by itself. path leads to the table, and name is where its keys stand in the tables above.
func (c *checker) checkEngineValues(path, name string, table reflect.Value) {
	for f := range fieldsOf(table) {
		key := name + f.name
		switch v := f.value.Interface().(type) {
		case EngineMode:
			c.checkEngineValues(path+f.name+".", "", f.value)
		case time.Duration:
			c.checkEngineDuration(path+f.name, v, engineNever[key])
		case string:
			c.checkEngineText(path+f.name, key, f.unit, v)
		case int, int64:
			if limits, ok := engineLimits[key]; ok {
				n := f.value.Int()
				c.require(limits[0] <= n && n <= limits[1], path+f.name, n, fmt.Sprintf("%d to %d", limits[0], limits[1]))
			}
		default:
			if f.value.Kind() == reflect.Struct {
				c.checkEngineValues(path+f.name+".", key+".", f.value)
			}
		}
	}
}

func (c *checker) checkEngineDuration(path string, d time.Duration, zero bool) {
	if zero {
		c.require(0 <= d && d <= mostDuration, path, d, "a duration of 0s or more, at most 87600h")
	} else {
		c.require(0 < d && d <= mostDuration, path, d, "a duration of more than 0s, at most 87600h")
	}
}

func (c *checker) checkEngineText(path, key, unit, text string) {
	words, ok := engineWords[key]
	switch {
	case unit == "secret":
		want := judgeSecret(text, key == "control_password")
		c.require(want == "", path, mask, want)
	case ok:
		list := strings.TrimPrefix(strings.Join(words, ", "), ", ")
		if words[0] == "" {
			list += ", or nothing"
		}
		c.require(slices.Contains(words, text), path, text, "one of "+list)
	default:
		c.require(len(text) <= maxText && !strings.ContainsFunc(text, isControl), path, text, fmt.Sprintf("at most %d bytes without control characters", maxText))
	}
}

// checkEngineAccess looks at names, lists, and who may do what.
func (c *checker) checkEngineAccess() {
	e := &c.cfg.Engine
	c.require(1 <= len(e.ServerName) && len(e.ServerName) <= maxName && isPrintable(e.ServerName), "engine.server_name", e.ServerName,
		fmt.Sprintf("1 to %d bytes of printable ASCII", maxName))
	for _, dir := range e.Locations {
		c.require(dir == "*" || isAbsolute(dir), "engine.locations", dir, "an absolute path, or *")
	}
	for _, p := range e.ControlAllow {
		c.require(p.IsValid(), "engine.control_allow", p, "a network as 192.0.2.0/24")
	}
	for _, serial := range e.SerialNumbers {
		c.checkEngineText("engine.serial_numbers", "", "", serial)
	}
	for _, pair := range e.Process.Env {
		name, _, ok := strings.Cut(pair, "=")
		right := ok && name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) && !strings.ContainsRune(pair, 0)
		c.require(right, "engine.process.env", name, "NAME=value") // not the value: it may be a secret
	}
	if e.ListAccess == "password" && e.ControlPassword == "" && c.cfg.engineOpen() {
		at := c.from.at("engine.list_access")
		c.warn(at.where, "field %q: without control_password nobody can list the engines", at.name)
	}
}

// checkEngineTLS looks at the files of one kind of listener; needed is whether it is to open.
func (c *checker) checkEngineTLS(prefix string, needed bool, cert, key, ca string) {
	if cert == "" && (needed || key != "" || ca != "") {
		c.missing(prefix+"tls_cert", "the file of the certificate")
	}
	if key == "" && (needed || cert != "" || ca != "") {
		c.missing(prefix+"tls_key", "the file of the key of the certificate")
	}
}

// checkEnginePool looks at numbers that must fit each other.
func (c *checker) checkEnginePool() {
	p := &c.cfg.Engine.Pool
	c.require(p.StartBackoffMax >= p.StartBackoff, "engine.pool.start_backoff_max", p.StartBackoffMax, "at least start_backoff, which is "+formatDuration(p.StartBackoff))
	c.require(p.MaxMemoryHard == 0 || p.MaxMemoryHard >= p.MaxMemory, "engine.pool.max_memory_hard", p.MaxMemoryHard, fmt.Sprintf("0, or at least max_memory, which is %d", p.MaxMemory))
	c.require(p.MaxEngines == 0 || p.SpareEngines <= p.MaxEngines, "engine.pool.spare_engines", p.SpareEngines, fmt.Sprintf("at most max_engines, which is %d", p.MaxEngines))
}

func (c *checker) checkEngineTypes() {
	types := c.cfg.Engine.Types
	for i, t := range types {
		path := fmt.Sprintf("engine.type[%d].", i)
		same := func(other EngineType) bool { return strings.EqualFold(other.Name, t.Name) }
		switch {
		case t.Name == "":
			c.missing(path+"name", "the name that engine_type refers to")
		case !isIdentifier(t.Name):
			c.bad(path+"name", t.Name, "1 to 64 letters, digits and ._-, not starting with a dot")
		default:
			c.require(!slices.ContainsFunc(types[:i], same), path+"name", t.Name, "a name that no other type has")
		}
		if strings.TrimSpace(t.Command) == "" {
			c.missing(path+"command", "the command line that starts an engine")
		}
		c.require(!strings.ContainsFunc(t.Command, isControl) && len(t.Command) <= maxCommand, path+"command", t.Command,
			fmt.Sprintf("at most %d bytes without control characters", maxCommand))
	}
}

const (
	maxName    = 64
	maxCommand = 32 << 10 // bytes
)

// checkEngineModes looks at [engine.defaults] and at each [[engine.mode]].
func (c *checker) checkEngineModes() {
	e := &c.cfg.Engine
	c.require(slices.Contains([]string{"", "-1", "0", "1", "2"}, e.Defaults.Mode), "engine.defaults.mode", e.Defaults.Mode, "-1, 0, 1, 2 or empty")
	c.checkEngineMode("engine.defaults.", &e.Defaults)
	seen := map[string]bool{}
	for i := range e.Modes {
		m, path := &e.Modes[i], fmt.Sprintf("engine.mode[%d].", i)
		if m.Mode == "" {
			c.missing(path+"mode", "which mode: -1, 0, 1, 2 or 3")
		} else {
			c.require(slices.Contains([]string{"-1", "0", "1", "2", "3"}, m.Mode), path+"mode", m.Mode, "-1, 0, 1, 2 or 3")
			c.require(!seen[m.Mode], path+"mode", m.Mode, "each mode once")
		}
		seen[m.Mode] = true
		c.checkEngineValues(path, "", reflect.ValueOf(m).Elem())
		c.checkEngineMode(path, m)
		bound := m.Mode == "1" || m.Mode == "3"
		c.require(!bound || m.Pooling != "request", path+"pooling", m.Pooling, "connection: in this mode an engine belongs to one connection")
	}
}

// checkEngineMode looks at what must fit the rest of the configuration.
func (c *checker) checkEngineMode(path string, m *EngineMode) {
	e := &c.cfg.Engine
	c.require(e.Pool.MaxEngines == 0 || m.MinEngines <= e.Pool.MaxEngines, path+"min_engines", m.MinEngines, fmt.Sprintf("at most pool.max_engines, which is %d", e.Pool.MaxEngines))
	_, known := e.Command(m.EngineType)
	untouched := m.EngineType == defaultType && (len(e.Types) == 0 || len(e.DialIn.Listen) > 0) // a server without types of its own
	own := strings.HasPrefix(path, "engine.mode")
	c.require(known || untouched || own && m.EngineType == "", path+"engine_type", m.EngineType, "the name of an [[engine.type]]")
}

const defaultType = "default" // what engine.defaults.engine_type is unless it is set

func (c *checker) checkEngineRuns() {
	for i, r := range c.cfg.Engine.Runs {
		path := fmt.Sprintf("engine.run[%d].", i)
		if r.When == "" {
			c.missing(path+"when", "auto, first or monitor")
		} else {
			c.require(slices.Contains([]string{"auto", "first", "monitor"}, r.When), path+"when", r.When, "auto, first or monitor")
		}
		if r.Procedure == "" {
			c.missing(path+"procedure", "the name of the procedure")
		}
		for _, f := range [][2]string{{"procedure", r.Procedure}, {"application", r.Application}, {"user_name", r.UserName}} {
			c.checkEngineText(path+f[0], f[0], "", f[1])
		}
		c.checkEngineText(path+"password", "password", "secret", r.Password)
		c.checkEngineDuration(path+"every", r.Every, r.When != "monitor")
	}
}

func (c *checker) checkDialIn() {
	d := &c.cfg.Engine.DialIn
	if len(d.Listen) > 0 && d.Token == "" {
		c.missing("engine.dial_in.token", "the secret that engines must present")
	}
	c.checkEngineTLS("engine.dial_in.", false, d.TLSCert, d.TLSKey, d.TLSCA)
	if len(d.Listen) > 0 && d.TLSCert == "" && slices.ContainsFunc(d.Listen, isExposed) {
		at := c.from.at("engine.dial_in.listen")
		c.warn(at.where, "field %q: the token and the passwords of logins travel in clear text without tls_cert", at.name)
	}
}

func (c *checker) checkStatistics() {
	s := &c.cfg.Engine.Statistics
	c.require(s.Input == "" || s.Input == "same" || isAddress(s.Input), "engine.statistics.input", s.Input, "an address as :8090, same, or nothing")
	host, _, err := net.SplitHostPort(s.Output)
	c.require(s.Output == "" || err == nil && host != "" && isAddress(s.Output) && !strings.HasSuffix(s.Output, ":0"), "engine.statistics.output", s.Output, "an address as stats.example.com:8090, or nothing")
	c.require(s.Directory != "", "engine.statistics.directory", s.Directory, "a directory")
	c.require(isIdentifier(s.ID), "engine.statistics.id", s.ID, "1 to 64 letters, digits and ._-, not starting with a dot")
}

// warnOfEngine warns of what works and is dangerous.
func (c *checker) warnOfEngine() {
	e := &c.cfg.Engine
	warn := func(path, text string) {
		at := c.from.at(path)
		c.warn(at.where, "field %q: %s", at.name, text)
	}
	switch {
	case e.ControlPassword == wellKnown && e.exposed():
		warn("engine.control_password", "everybody knows this password, and clients on other hosts can send it")
	case e.ControlPassword != "" && !isHashed(e.ControlPassword):
		warn("engine.control_password", "in clear text: a hashed one, "+hashScheme+"..., cannot be read from the file")
	}
	if slices.Contains(e.Locations, "*") {
		warn("engine.locations", "*: whoever can log in can start an engine in any directory")
	}
	if e.Pool.MaxEngines == 0 {
		warn("engine.pool.max_engines", "0: as many engines are started as clients ask for")
	}
}

// wellKnown is the control password that the original has without any configuration.
const wellKnown = "REVSOFT"

// exposed tells whether clients on other hosts can connect.
func (e *Engine) exposed() bool {
	return slices.ContainsFunc(slices.Concat(e.Listen, e.ListenUTF8, e.ListenTLS), isExposed)
}

// engineOpen tells whether the engine door opens for clients.
func (c *Config) engineOpen() bool {
	e := &c.Engine
	return len(e.Listen)+len(e.ListenUTF8)+len(e.ListenTLS) > 0
}

// isExposed tells whether addr can be reached from other hosts. A name counts as such unless it is localhost.
func isExposed(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || strings.EqualFold(host, "localhost") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// isAbsolute tells whether dir is an absolute path, here or on Windows.
func isAbsolute(dir string) bool {
	drive := len(dir) >= 3 && dir[1] == ':' && (dir[2] == '\\' || dir[2] == '/')
	return (filepath.IsAbs(dir) || drive || strings.HasPrefix(dir, `\\`)) && !strings.ContainsFunc(dir, isControl)
}

// isIdentifier tells whether s can be the name of a file, too.
func isIdentifier(s string) bool {
	return s != "" && len(s) <= maxName && s[0] != '.' && !strings.ContainsFunc(s, func(c rune) bool {
		return !isName(string(c)) && c != '.' && c != '-'
	})
}

func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }

// normalEncoding returns the one name of a character set that stands for all.
func normalEncoding(name string) string {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "88591", "iso88591", "latin1":
		return "8859_1"
	case "utf8":
		return "UTF8"
	}
	return name
}
