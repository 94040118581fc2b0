package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadES loads an eserver.cfg behind a line of its own, so that text starts in line 2. It has a command for the engine.
func loadES(text string) (*Config, []Warning, error) {
	return Load(Sources{EServer: "e.cfg", ReadFile: files(map[string]string{"e.cfg": "Engine_default=engine --quiet\n" + text})})
}

func mustLoadES(t *testing.T, text string) *Config {
	t.Helper()
	cfg, _, err := loadES(text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return cfg
}

// TestEServerSamples reads the files of the original as they are.
func TestEServerSamples(t *testing.T) {
	for _, file := range []string{"testdata/eserver.cfg", "testdata/eserver-spec.cfg"} {
		_, warnings, err := Load(Sources{EServer: file})
		if want := file + `: field "Engine_default": missing: `; err == nil || !strings.HasPrefix(withoutColumns(err), want) || strings.Count(withoutColumns(err), "\n") > 0 {
			t.Errorf("got %v\nwant only %s", err, want)
		}
		if len(warnings) > 0 {
			t.Errorf("%s: warnings %q", file, texts(warnings))
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := defaultEngine()
		want.Listen = []string{":8088"}
		want.Types = []EngineType{{Name: "default", Command: "engine --quiet"}}
		want.Modes = []EngineMode{{Mode: "-1", Procedure: "JD3_LISTENER"}, {Mode: "1", Procedure: "REVCMD_LISTENER"}}
		cfg := mustLoadES(t, string(text))
		if !reflect.DeepEqual(cfg.Engine, want) {
			t.Errorf("%s: got %+v\nwant %+v", file, cfg.Engine, want)
		}
		if cfg.Demo || len(cfg.Relay.Listen) > 0 {
			t.Errorf("%s: demo %v, relay on %q", file, cfg.Demo, cfg.Relay.Listen)
		}
	}
}

// TestEServerForm reads the same content in other clothes.
func TestEServerForm(t *testing.T) {
	const plain = "PortNumber=9\nIdleCheck=7\nProcedure_=P\nUserName=J\u00f6rg\nOILocations=/a;c:\\\\b\\\\\n"
	want := mustLoadES(t, plain)
	for name, text := range map[string]string{
		"CRLF":            strings.ReplaceAll(plain, "\n", "\r\n"),
		"blanks":          strings.NewReplacer("=", " \t= ", "\n", " \t\n\n\t ").Replace(plain),
		"no-break blanks": strings.NewReplacer("=", "\u00a0=\u00a0", "\n", "\u00a0\n\u00a0").Replace(plain),
		"case":            strings.NewReplacer("PortN", "portn", "IdleCheck", "IDLECHECK", "Procedure_", "procedure_").Replace(plain),
		"comments":        "// PortNumber=1\n# PortNumber=2\n ; PortNumber=3\n\u00a0// how many minutes MaxUpTime = 120\u00a0\n" + plain,
		"JD3 by number":   strings.ReplaceAll(plain, "Procedure_", "Procedure_-1"),
		"lines add up":    strings.Replace(plain, "=/a;", "=/a;\nOILocations=", 1),
		"ISO 8859-1":      strings.ReplaceAll(plain, "\u00f6", "\xf6"),
		"no values":       "MaxEngines=\nMode=\nPassword_1 =\nAutoRun=\nTLSPortNumber= \nPreset=\n" + plain,
	} {
		got, warnings, err := loadES(text)
		if err != nil || !reflect.DeepEqual(got, want) || len(warnings) > 0 {
			t.Errorf("%s: got %+v, %v, %v\nwant %+v", name, got, err, warnings, want)
		}
	}
	cfg, _, err := Load(Sources{EServer: "e.cfg", ReadFile: files(map[string]string{"e.cfg": "\xef\xbb\xbfEngine_default=engine --quiet\r\n" + plain})})
	if err != nil || !reflect.DeepEqual(cfg, want) {
		t.Errorf("with a byte order mark: %v, %v", cfg, err)
	}
	if want.Engine.Defaults.UserName != "J\u00f6rg" || !slices.Equal(want.Engine.Locations, []string{"/a", `c:\b\`}) {
		t.Errorf("got %+v", want.Engine)
	}
}

// esRow is a line of an eserver.cfg and what Dump shows of it: KEY = VALUE below [TABLE].
type esRow struct{ line, table, toml string }

var esRows = []esRow{
	{"PortNumber=1", "engine", `listen = [":1"]`},
	{"PortNumber=0\nTLSPortNumber=3\nTLSCert=c\nTLSKey=k", "engine", `listen_tls = [":3"]`},
	{"PortNumber=0\nUTFPortNumber=2\nUTFPort_Disabled=0", "engine", `listen_utf8 = [":2"]`},
	{"UTFPortNumber=2\nUTFPort_Disabled=1", "engine", `listen_utf8 = []`},
	{"UTFPortNumber=2", "engine", `listen_utf8 = []`},
	{"TLSCert=c\nTLSKey=k", "engine", `tls_cert = "c"`},
	{"TLSCert=c\nTLSKey=k", "engine", `tls_key = "k"`},
	{"TLSCert=c\nTLSKey=k\nTLSClientCA=a", "engine", `tls_client_ca = "a"`},
	{"ServerName=S 1", "engine", `server_name = "S 1"`},
	{"Encoding=utf-8", "engine", `encoding = "UTF8"`},
	{"Encoding=UTF8", "engine", `encoding = "UTF8"`},
	{"Encoding=Latin1", "engine", `encoding = "8859_1"`},
	{"Encoding=ISO-8859-1", "engine", `encoding = "8859_1"`},
	{"OILocations=*", "engine", `locations = ["*"]`},
	{"OILocations=c:\\\\RevSoft\\\\803\\\\;c:\\RevSoft;", "engine", `locations = ["c:\\RevSoft\\803\\", "c:\\RevSoft"]`},
	{"ControlPassword=x", "engine", `control_password = "***"`},
	{"ControlAllow=10.0.0.0/8; ::1", "engine", `control_allow = ["10.0.0.0/8", "::1/128"]`},
	{"ControlAllow=10.0.0.0/8\nControlAllow=::1", "engine", `control_allow = ["10.0.0.0/8", "::1/128"]`},
	{"ListAccess=Loopback", "engine", `list_access = "loopback"`},
	{"SerialNumbers=a;b", "engine", `serial_numbers = ["a", "b"]`},
	{"SlowLogTime=3", "engine", `slow_log = "3s"`},
	{"SlowLog=slow.log", "engine", `slow_log = "5s"`},
	{"SlowLog=slow.log\nSlowLogTime=7", "engine", `slow_log = "7s"`},
	{"SlowLog=off", "engine", `slow_log = "0s"`},

	{"MaxConnections=2", "engine.client", `max_connections = 2`},
	{"MaxFrame=2", "engine.client", `max_frame = "2m"`},
	{"MaxFrame=4k", "engine.client", `max_frame = "4k"`},
	{"UTFLength=CHARS", "engine.client", `utf_length = "chars"`},
	{"LengthPad=space", "engine.client", `length_pad = "space"`},
	{"PollInterval=20", "engine.client", `poll_interval = "20ms"`},
	{"PollInterval=2s", "engine.client", `poll_interval = "2s"`},
	{"ProcessingPolls=3", "engine.client", `processing_polls = 3`},
	{"ClientIdle=3", "engine.client", `idle = "3m"`},
	{"ClientWait=3", "engine.client", `wait = "3s"`},
	{"ReadTimeout=3", "engine.client", `read_timeout = "3s"`},
	{"OnDisconnect=kill", "engine.client", `on_disconnect = "kill"`},
	{"LazyLogin=1", "engine.client", `lazy_login = true`},

	{"MaxEngines=0", "engine.pool", `max_engines = 0`},
	{"MaxSync=1", "engine.pool", `max_sync = 1`},
	{"MaxPhantoms=1", "engine.pool", `max_phantoms = 1`},
	{"MaxExternal=1", "engine.pool", `max_external = 1`},
	{"SpareEngines=10", "engine.pool", `spare_engines = 10`},
	{"SpawnRate=1", "engine.pool", `spawn_rate = 1`},
	{"QueuePolicy=lifo-overload", "engine.pool", `queue_policy = "lifo-overload"`},
	{"StealAfter=1", "engine.pool", `steal_after = "1s"`},
	{"IdleTimeout=2", "engine.pool", `idle_timeout = "2m"`},
	{"IdleTimeout=90s", "engine.pool", `idle_timeout = "1m30s"`},
	{"IdleCheck = 2 ", "engine.pool", `idle_check = "2s"`},
	{"MaxUpTime = 120\u00a0", "engine.pool", `max_up_time = "2h"`},
	{"MaxRunTime=10", "engine.pool", `max_run_time = "10m"`},
	{"MaxRequests=5", "engine.pool", `max_requests = 5`},
	{"MaxRequestsJitter=5 %", "engine.pool", `max_requests_jitter = 5`},
	{"MaxRequestsJitter=6", "engine.pool", `max_requests_jitter = 6`},
	{"MaxMemory=3", "engine.pool", `max_memory = "3m"`},
	{"MaxMemoryHard=1g", "engine.pool", `max_memory_hard = "1g"`},
	{"RetryUnstarted=0", "engine.pool", `retry_unstarted = false`},
	{"StartBackoff=20", "engine.pool", `start_backoff = "20ms"`},
	{"StartBackoffMax=20", "engine.pool", `start_backoff_max = "20s"`},
	{"StartFailures=2", "engine.pool", `start_failures = 2`},

	{"EngineDir=/oi", "engine.process", `dir = "/oi"`},
	{"EngineEnv=A=1;B=x y", "engine.process", `env = ["A=1", "B=x y"]`},
	{"EngineUser=oi", "engine.process", `user = "oi"`},
	{"EngineNice=-5", "engine.process", `nice = -5`},
	{"EngineTransport=stdio", "engine.process", `transport = "stdio"`},
	{"StartTimeout=1", "engine.process", `start_timeout = "1s"`},
	{"LoginTimeout=1", "engine.process", `login_timeout = "1s"`},
	{"StopTimeout=1", "engine.process", `stop_timeout = "1s"`},
	{"BreakTimeout=1", "engine.process", `break_timeout = "1s"`},
	{"KillTimeout=1", "engine.process", `kill_timeout = "1s"`},
	{"BreakSignal=sigusr1", "engine.process", `break_signal = "USR1"`},

	{"KeepAlive=1", "engine.zombies", `keep = true`},
	{"ZombieTimeout=1", "engine.zombies", `timeout = "1m"`},
	{"ZombieMax=1", "engine.zombies", `max = 1`},
	{"ZombieBuffer=1", "engine.zombies", `buffer = "1k"`},

	{"EngineListen=9\nEngineToken=t", "engine.dial_in", `listen = [":9"]`},
	{"EngineListen=[::1]:9\nEngineToken=t", "engine.dial_in", `listen = ["[::1]:9"]`},
	{"EngineListen=off", "engine.dial_in", `listen = []`},
	{"EngineToken=t", "engine.dial_in", `token = "***"`},
	{"EngineTLSCert=c\nEngineTLSKey=k", "engine.dial_in", `tls_cert = "c"`},
	{"EngineTLSCert=c\nEngineTLSKey=k", "engine.dial_in", `tls_key = "k"`},
	{"EngineTLSCert=c\nEngineTLSKey=k\nEngineTLSCA=a", "engine.dial_in", `tls_ca = "a"`},

	{"Statistics_Input=8090", "engine.statistics", `input = ":8090"`},
	{"Statistics_Input=-1", "engine.statistics", `input = "same"`},
	{"Statistics_Input=0", "engine.statistics", `input = ""`},
	{"Statistics_Output=localhost:8090", "engine.statistics", `output = "localhost:8090"`},
	{"Statistics_Directory=s", "engine.statistics", `directory = "s"`},
	{"Statistics_Days=1", "engine.statistics", `days = 1`},
	{"Statistics_ID=A", "engine.statistics", `id = "A"`},

	{"Mode=2", "engine.defaults", `mode = "2"`},
	{"Application=A", "engine.defaults", `application = "A"`},
	{"Procedure=A", "engine.defaults", `procedure = "A"`},
	{"UserName=A", "engine.defaults", `user_name = "A"`},
	{"Password=A", "engine.defaults", `password = "***"`},
	{"Server=A", "engine.defaults", `server = "A"`},
	{"StartupFlags=-65", "engine.defaults", `startup_flags = -65`},
	{"ShutdownFlags=0", "engine.defaults", `shutdown_flags = 0`},
	{"StartupProc=A", "engine.defaults", `startup_proc = "A"`},
	{"ShutdownProc=A", "engine.defaults", `shutdown_proc = "A"`},
	{"TimerProc=A", "engine.defaults", `timer_proc = "A"`},
	{"MinEngines=1", "engine.defaults", `min_engines = 1`},
	{"QueueMax=1", "engine.defaults", `queue_max = 1`},
	{"QueueTimeout=1", "engine.defaults", `queue_timeout = "1s"`},
	{"TaskTimeout=1", "engine.defaults", `task_timeout = "1s"`},
	{"Pooling=connection", "engine.defaults", `pooling = "connection"`},
	{"EngineType=x\nEngine_x=y", "engine.defaults", `engine_type = "x"`},
	{"StartupFlags_2=0", "engine.mode", `startup_flags = 0`},
	{"queuetimeout_=4", "engine.mode", `queue_timeout = "4s"`},

	{"Engine_x=c:\\\\oe.exe -q", "engine.type", `command = "c:\\oe.exe -q"`},
	{"AutoRun=P,A,U,W", "engine.run", `application = "A"`},
	{"RunFirst=P", "engine.run", `when = "first"`},
	{"SystemMonitorTime=5\nSystemMonitor=P , A", "engine.run", `every = "5s"`},

	{"AdminListen=127.0.0.1:0", "admin", `listen = ""`},
	{"AdminListen=9", "admin", `listen = "127.0.0.1:9"`},
	{"MetricsListen=:9", "admin", `listen = ":9"`},
	{"AdminListen=:8\nMetricsListen=:9", "admin", `listen = ":8"`},
	{"LogLevel=WARN", "log", `level = "warn"`},
	{"LogFormat=json", "log", `format = "json"`},
	{"LogFile=/var/log/oes", "log", `format = "auto"`},
	{"Preset=modern", "engine.defaults", `min_engines = 1`},
	{"Preset=modern", "engine.defaults", `queue_max = 1000`},
	{"Preset=modern", "engine.defaults", `queue_timeout = "30s"`},
	{"Preset=modern\nQueueTimeout=0", "engine.defaults", `queue_timeout = "0s"`},
	{"SpareEngines=0\nPreset=modern", "engine.pool", `spare_engines = 0`},
	{"Preset=Modern", "engine.pool", `spare_engines = 1`},
	{"Preset=modern", "engine", `list_access = "loopback"`},
}

func TestEServerKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range esRows {
		cfg, _, err := loadES(row.line)
		if err != nil {
			t.Errorf("%s: %v", row.line, err)
			continue
		}
		var dump bytes.Buffer
		if err := Dump(&dump, cfg); err != nil {
			t.Fatal(err)
		}
		table := ""
		found := slices.ContainsFunc(strings.Split(dump.String(), "\n"), func(line string) bool {
			if strings.HasPrefix(line, "[") {
				table = strings.Trim(line, "[]")
			}
			return table == row.table && line == row.toml
		})
		if !found {
			t.Errorf("%s: no %s below [%s] in\n%s", row.line, row.toml, row.table, dump.String())
		}
		for line := range strings.Lines(row.line) {
			key, _, _ := strings.Cut(line, "=")
			seen[strings.ToLower(strings.TrimSpace(key))] = true
		}
	}
	for id, k := range esKeys {
		if !seen[id] && k.how != esNothing && id != "econtrolpassword" {
			t.Errorf("%s has no row", k.name)
		}
	}
}

func TestEServerMistakes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct{ text, want string }{
		{"hunter2", `e.cfg:2: neither a comment, which starts with //, nor Key=Value`},
		{"=x", `e.cfg:2: no key in front of the =`},
		{"UserName=a\x01b", `e.cfg:2: a control character`},
		{"U\x00s\x00e\x00r\x00", `e.cfg:2: a control character`},
		{"PortNumber=65536", `e.cfg:2: field "PortNumber": value "65536": a port from 1 to 65535, or 0 for none`},
		{"PortNumber=8088 // ours", `e.cfg:2: field "PortNumber": value "8088 // ours": a port`},
		{"UTFPortNumber=x", `e.cfg:2: field "UTFPortNumber": value "x": a port`},
		{"UTFPortNumber=2\nUTFPort_Disabled=no way", `e.cfg:3: field "UTFPort_Disabled": value "no way": 0 or 1`},
		{"UTFPortNumber=8088\nUTFPort_Disabled=0", `e.cfg:2: field "UTFPortNumber": value ":8088": an address that engine.listen does not have already`},
		{"TLSPortNumber=1", `e.cfg:2: field "TLSCert": missing: the file of the certificate`},
		{"TLSCert=c", `e.cfg:1: field "engine.tls_key": missing: the file of the key`},
		{"PortNumber=0", `e.cfg: field "relay.listen": missing: no door would open`},
		{"maxengines=x", `e.cfg:2: field "maxengines": value "x": a whole number`},
		{"MaxEngines=-1", `e.cfg:2: field "MaxEngines": value "-1": 0 to 100000`},
		{"MaxEngines=1e3", `e.cfg:2: field "MaxEngines": value "1e3": a whole number`},
		{"MaxEngines=5\nSpareEngines=6", `e.cfg:3: field "SpareEngines": value "6": at most max_engines, which is 5`},
		{"MaxEngines=5\nMinEngines_2=6", `e.cfg:3: field "MinEngines_2": value "6": at most pool.max_engines, which is 5`},
		{"IdleCheck=0", `e.cfg:2: field "IdleCheck": value "0s": a duration of more than 0s`},
		{"IdleCheck=-1", `e.cfg:2: field "IdleCheck": value "-1s": a duration of more than 0s`},
		{"IdleTimeout=x", `e.cfg:2: field "IdleTimeout": value "x": a whole number of minutes, or a duration with its unit, as 90s`},
		{"IdleTimeout=9223372036854775807", `e.cfg:2: field "IdleTimeout": value "9223372036854775807": a whole number of minutes`},
		{"IdleTimeout=5256001", `e.cfg:2: field "IdleTimeout": value "5256001": a whole number of minutes`},
		{"PollInterval=1.5", `e.cfg:2: field "PollInterval": value "1.5": a whole number of milliseconds`},
		{"MaxFrame=96", `e.cfg:2: field "MaxFrame": value "100663296": 1024 to 99999999`},
		{"MaxFrame=x", `e.cfg:2: field "MaxFrame": value "x": a whole number of MiB, or a size with its unit, as 64k`},
		{"MaxMemory=-1", `e.cfg:2: field "MaxMemory": value "-1": a whole number of MiB`},
		{"MaxMemory=1125899906842624", `e.cfg:2: field "MaxMemory": value "1125899906842624": a whole number of MiB`},
		{"KeepAlive=2", `e.cfg:2: field "KeepAlive": value "2": 0 or 1`},
		{"Mode=3", `e.cfg:2: field "Mode": value "3": -1, 0, 1, 2 or empty`},
		{"Pooling_1=request", `e.cfg:2: field "Pooling_1": value "request": connection: in this mode`},
		{"EngineType_0=x", `e.cfg:2: field "EngineType_0": value "x": the name of an [[engine.type]]`},
		{"Engine_a b=x", `e.cfg:2: field "Engine_a b": value "a b": 1 to 64 letters, digits and ._-`},
		{"OILocations=data", `e.cfg:2: field "OILocations": value "data": an absolute path, or *`},
		{"ControlAllow=10.0.0.0/33", `e.cfg:2: field "ControlAllow": value "10.0.0.0/33": networks as`},
		{"EControlPassword=x", `e.cfg:2: field "EControlPassword": value "***": {pbkdf2-sha256}i=...$SALT$HASH; the form of the original is not known`},
		{"EControlPassword={pbkdf2-sha256}i=1$AAAAAAAAAAA$x", `e.cfg:2: field "EControlPassword": value "***": a plain secret, or {pbkdf2-sha256}`},
		{"ControlPassword={argon2id}x", `e.cfg:2: field "ControlPassword": value "***": a plain secret, or {pbkdf2-sha256}`},
		{"Password=" + long, `e.cfg:2: field "Password": value "***": at most 2048 bytes`},
		{"Preset=new", `e.cfg:2: field "Preset": value "new": modern, or nothing`},
		{"Preset=modern\nControlPassword=REVSOFT", `e.cfg:3: field "ControlPassword": the password that everybody knows`},
		{"AutoRun=a,b,c,d,e", `e.cfg:2: field "AutoRun": procedure,application,user,password with ; between several`},
		{"RunFirst=,b", `e.cfg:2: field "RunFirst": procedure,application,user,password`},
		{"SystemMonitor=a\nSystemMonitorTime=0", `e.cfg:3: field "SystemMonitorTime": value "0s": a duration of more than 0s`},
		{"SystemMonitor=a\nSystemMonitorTime=x", `e.cfg:3: field "SystemMonitorTime": value "x": a whole number of seconds`},
		{"Statistics_Input=x", `e.cfg:2: field "Statistics_Input": value "x": an address as :8090, same, or nothing`},
		{"Statistics_Output=8090", `e.cfg:2: field "Statistics_Output": value "8090": an address as`},
		{"Statistics_ID=../x", `e.cfg:2: field "Statistics_ID": value "../x": 1 to 64 letters`},
		{"EngineListen=9", `e.cfg:2: field "EngineToken": missing: the secret that engines must present`},
		{"AdminListen=x", `e.cfg:2: field "AdminListen": value "x": an address as`},
		{"LogLevel=loud", `e.cfg:2: field "LogLevel": value "loud": error, warn`},
	} {
		_, warnings, err := loadES(row.text)
		switch {
		case err == nil:
			t.Errorf("%s: accepted", row.text)
		case !strings.Contains(withoutColumns(err), row.want):
			t.Errorf("%s:\ngot  %s\nwant %s", row.text, err, row.want)
		case strings.Contains(withoutColumns(err)+fmt.Sprint(warnings), "hunter2"):
			t.Errorf("%s: a secret is shown: %v", row.text, err)
		}
	}
}

func TestEServerWarnings(t *testing.T) {
	const plain = `: in clear text: a hashed one, {pbkdf2-sha256}..., cannot be read from the file`
	hashed := "{pbkdf2-sha256}i=1000$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, row := range []struct {
		text string
		want []string
	}{
		{"MaxEngines=2\nMaxEngines=3", []string{`e.cfg:3: field "MaxEngines": set before in line 2: the last one holds`}},
		{"Procedure_=a\nprocedure_-1=b", []string{`e.cfg:3: field "procedure_-1": set before in line 2: the last one holds`}},
		{"Nothing=1", []string{`e.cfg:2: field "Nothing": unknown: ignored`}},
		{"Procedure_4=1", []string{`e.cfg:2: field "Procedure_4": unknown; the modes are -1, 0, 1, 2 and 3: ignored`}},
		{"MaxEngines_1=1", []string{`e.cfg:2: field "MaxEngines_1": cannot be set for one mode: ignored`}},
		{`EngineDir=\Rev\\Soft\`, []string{`e.cfg:2: field "EngineDir": a single backslash: it stands for itself; write \\ for one`}},
		{"WebServerPortNumber=18888", []string{`e.cfg:2: field "WebServerPortNumber": has no effect yet`}},
		{"WebServerConnection_default=a,b\nWebServerConnection_default=c\nWebServerConnection_console=", []string{
			`e.cfg:2: field "WebServerConnection_default": has no effect yet`, `e.cfg:3: field "WebServerConnection_default": has no effect yet`}},
		{"LogFile=x\nSlowLog=y", []string{`e.cfg:3: field "SlowLog": slow requests go to the log, not to a file`,
			`e.cfg:2: field "LogFile": has no effect: the log goes to standard error; let the service manager keep it`}},
		{"UTFPortNumber=2", []string{`e.cfg:2: field "UTFPortNumber": has no effect without UTFPort_Disabled=0`}},
		{"AdminListen=:8\nMetricsListen=:9", []string{`e.cfg:3: field "MetricsListen": has no effect: metrics are served where AdminListen says`}},
		{"ControlPassword=a", []string{`e.cfg:2: field "ControlPassword"` + plain}},
		{"ControlPassword=REVSOFT", []string{`e.cfg:2: field "ControlPassword": everybody knows this password, and clients on other hosts can send it`}},
		{"ControlPassword=a\nEControlPassword=" + hashed, []string{`e.cfg:2: field "ControlPassword": has no effect: EControlPassword holds`}},
		{"OILocations=*\nMaxEngines=0", []string{
			`e.cfg:2: field "OILocations": *: whoever can log in can start an engine in any directory`,
			`e.cfg:3: field "MaxEngines": 0: as many engines are started as clients ask for`}},
		{"ListAccess=password", []string{`e.cfg:2: field "ListAccess": without control_password nobody can list the engines`}},
		{"EngineListen=9\nEngineToken=t", []string{`e.cfg:2: field "EngineListen": the token and the passwords of logins travel in clear text without tls_cert`}},
		{"EngineListen=127.0.0.1:9\nEngineToken=t", nil},
		{"UserName=J\xf6rg\nEncoding=UTF8", []string{`e.cfg:3: field "Encoding": value "UTF8": this file is not in UTF-8: it was read as ISO 8859-1`}},
	} {
		_, warnings, err := loadES(row.text)
		if err != nil {
			t.Errorf("%s: %v", row.text, err)
		} else if got := texts(warnings); !slices.Equal(got, row.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", row.text, got, row.want)
		}
	}
	// Where only this machine can connect, the well-known password is just one in clear text.
	cfg, warnings, err := Load(Sources{EServer: "e.cfg", Set: []string{"engine.listen=127.0.0.1:1,[::1]:2,localhost:3"},
		ReadFile: files(map[string]string{"e.cfg": "Engine_default=x\nControlPassword=REVSOFT\nPreset=modern"})})
	if err != nil || len(warnings) != 1 || !strings.HasSuffix(warnings[0].Text, plain) || cfg.Engine.ControlPassword != "REVSOFT" {
		t.Errorf("%v, %v", texts(warnings), err)
	}
	_, _, err = Load(Sources{EServer: "e.cfg", Strict: true, ReadFile: files(map[string]string{"e.cfg": "Engine_default=x\nNothing=1\nMaxSync_1=1\n"})})
	if want := "e.cfg:2: field \"Nothing\": unknown\ne.cfg:3: field \"MaxSync_1\": cannot be set for one mode"; err == nil || withoutColumns(err) != want {
		t.Errorf("strictly: got %v\nwant %s", err, want)
	}
}

// TestEServerRuns reads the three keys with procedures, and the password in them stays out of a dump.
func TestEServerRuns(t *testing.T) {
	cfg := mustLoadES(t, "AutoRun=A,a,u,hunter2\nAutoRun=B\nRunFirst= C , b ,, \nSystemMonitor=D,S,S,hunter2;E,S;\nSystemMonitorTime=7\n")
	want := []EngineRun{
		{"auto", "A", "a", "u", "hunter2", time.Minute},
		{"auto", "B", "", "", "", time.Minute},
		{"first", "C", "b", "", "", time.Minute},
		{"monitor", "D", "S", "S", "hunter2", 7 * time.Second},
		{"monitor", "E", "S", "", "", 7 * time.Second},
	}
	if !reflect.DeepEqual(cfg.Engine.Runs, want) {
		t.Errorf("got %+v\nwant %+v", cfg.Engine.Runs, want)
	}
	var dump bytes.Buffer
	if err := Dump(&dump, cfg); err != nil || strings.Contains(dump.String(), "hunter2") {
		t.Errorf("%v, %s", err, dump.String())
	}
}

// TestEServerAfterTOML puts an eserver.cfg on a TOML file, and the environment on both.
func TestEServerAfterTOML(t *testing.T) {
	cfg := mustLoad(t, Sources{TOML: "f", EServer: "e", ReadFile: files(map[string]string{
		"f": `[engine]
listen = ["127.0.0.1:1"]
locations = ["/toml"]
control_allow = ["10.0.0.0/8"]
[engine.pool]
max_engines = 3
spawn_rate = 3
[[engine.mode]]
mode = "1"
procedure = "T"
application = "T"
[[engine.type]]
name = "Default"
command = "t"
[[engine.run]]
when = "monitor"
procedure = "T"
`,
		"e": "Engine_default=e\nEngine_b=f\nMaxEngines=4\nOILocations=/e\nOILocations=/f\nProcedure_1=E\nSystemMonitor=E\nSystemMonitorTime=9\nPreset=modern\nSpareEngines_1=3",
	}), Environ: []string{"ROUNDHOUSE_ENGINE_POOL_MAX_ENGINES=5", "ROUNDHOUSE_ENGINE_DEFAULTS_QUEUE_MAX=0"}})
	e := cfg.Engine
	if !slices.Equal(e.Listen, []string{"127.0.0.1:1"}) || !slices.Equal(e.Locations, []string{"/e", "/f"}) {
		t.Errorf("listen %q, locations %q", e.Listen, e.Locations)
	}
	if e.Pool.MaxEngines != 5 || e.Pool.SpawnRate != 3 || e.Defaults.QueueMax != 0 || e.Defaults.MinEngines != 1 {
		t.Errorf("pool %+v, defaults %+v", e.Pool, e.Defaults)
	}
	if m := e.For(1); m.Procedure != "E" || m.Application != "T" || len(e.Modes) != 1 {
		t.Errorf("modes %+v", e.Modes)
	}
	if want := []EngineType{{"Default", "e"}, {"b", "f"}}; !slices.Equal(e.Types, want) {
		t.Errorf("types %+v, want %+v", e.Types, want)
	}
	if e.Runs[0].Every != time.Minute || e.Runs[1].Every != 9*time.Second {
		t.Errorf("runs %+v", e.Runs)
	}
	if !slices.Equal(e.ControlAllow, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}) {
		t.Errorf("control_allow %v", e.ControlAllow)
	}
}
