package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// engineTOML is an engine door that is right; rows come after it.
const engineTOML = "[[engine.type]]\nname = \"default\"\ncommand = \"engine\"\n"

func TestFor(t *testing.T) {
	cfg, _, err := loadTOML(engineTOML + `
[engine.defaults]
application = "A"
procedure = "P"
queue_timeout = "1s"
pooling = "connection"
[[engine.mode]]
mode = "-1"
procedure = "JD3_LISTENER"
startup_flags = 0
pooling = "request"
[[engine.mode]]
mode = "1"
application = ""
queue_timeout = "0s"
min_engines = 0
`)
	if err != nil {
		t.Fatal(err)
	}
	common := cfg.Engine.Defaults
	common.Pooling = "connection"
	for mode, differ := range map[int]func(*EngineMode){
		-1: func(m *EngineMode) {
			m.Mode, m.Procedure, m.StartupFlags, m.Pooling = "-1", "JD3_LISTENER", 0, "request"
		},
		0: func(m *EngineMode) { m.Mode = "0" },
		1: func(m *EngineMode) { m.Mode, m.Application, m.QueueTimeout = "1", "", 0 },
		2: func(m *EngineMode) { m.Mode = "2" },
		3: func(m *EngineMode) { m.Mode = "3" },
	} {
		want := common
		differ(&want)
		if got := cfg.Engine.For(mode); got != want {
			t.Errorf("mode %d: got %+v\nwant %+v", mode, got, want)
		}
	}
	for mode, want := range map[int]string{-1: "request", 0: "request", 1: "connection", 2: "request", 3: "connection"} {
		if got := Default().Engine.For(mode).Pooling; got != want {
			t.Errorf("mode %d by default: pooling %q, want %q", mode, got, want)
		}
	}
	own := Default().Engine // made by a program: what is zero was not set
	own.Modes = []EngineMode{{Mode: "2", Procedure: "X"}}
	if m := own.For(2); m.Procedure != "X" || m.StartupFlags != 65 || m.EngineType != "default" {
		t.Errorf("got %+v", m)
	}
}

func TestEngineCommand(t *testing.T) {
	e := Engine{Types: []EngineType{{"default", "a"}, {"Web", "b"}}}
	for name, want := range map[string]string{"default": "a", "DEFAULT": "a", "web": "b", "x": "", "": ""} {
		if line, ok := e.Command(name); line != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, line, ok)
		}
	}
}

// TestEngineDoor says which listeners open by what the files say.
func TestEngineDoor(t *testing.T) {
	on := []string{DefaultEngineListen}
	for _, row := range []struct {
		s             Sources
		listen        []string
		relay, warned bool
	}{
		{s: Sources{}, listen: on, relay: true},
		{s: Sources{TOML: "[relay]"}, relay: true, warned: true},
		{s: Sources{TOML: "[engine]\n" + engineTOML}, listen: on, warned: true},
		{s: Sources{TOML: engineTOML}, listen: on, warned: true},
		{s: Sources{TOML: "[relay]\n[engine]\n" + engineTOML}, listen: on, relay: true, warned: true},
		{s: Sources{TOML: "engine.listen = [\":1\"]\n" + engineTOML}, listen: []string{":1"}},
		{s: Sources{TOML: "engine.listen_utf8 = [\":1\"]\n" + engineTOML}},
		{s: Sources{TOML: "relay.listen = [\":1\"]", Set: []string{"engine.listen=:2", "engine.dial_in.listen=127.0.0.1:3", "engine.dial_in.token=t"}},
			relay: true, listen: []string{":2"}},
		{s: Sources{EServer: "Engine_x=y\nEngineType=x"}, listen: []string{":8088"}},
		{s: Sources{EServer: "Engine_x=y\nEngineType=x\nPortNumber=1"}, listen: []string{":1"}},
	} {
		given := row.s
		texts := map[string]string{"f": given.TOML, "e": given.EServer}
		if row.s.ReadFile = files(texts); row.s.TOML != "" {
			row.s.TOML = "f"
		}
		if row.s.EServer != "" {
			row.s.EServer = "e"
		}
		cfg, warnings, err := Load(row.s)
		if err != nil {
			t.Errorf("%+v: %v", given, err)
			continue
		}
		if !slices.Equal(cfg.Engine.Listen, row.listen) || (len(cfg.Relay.Listen) > 0) != row.relay || (len(warnings) > 0) != row.warned {
			t.Errorf("%+v: engine on %q, relay on %q, warnings %v", given, cfg.Engine.Listen, cfg.Relay.Listen, warnings)
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%+v: %v", given, err)
		}
	}
}

// TestEngineMistakes has one line of a TOML file per row, which follows engineTOML.
func TestEngineMistakes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct{ toml, want string }{
		{`[engine.x]`, `f.toml:4: field "engine.x": unknown; there are client, control_allow, `},
		{`[engine.mode]`, `f.toml:4: field "engine.mode": a list of tables: write [[engine.mode]]`},
		{`[[engine.mode]]`, `f.toml:4: field "engine.mode.mode": missing: which mode: -1, 0, 1, 2 or 3`},
		{"[[engine.mode]]\nmode = \"4\"", `f.toml:5: field "engine.mode.mode": value "4": -1, 0, 1, 2 or 3`},
		{"[[engine.mode]]\nmode = 1", `f.toml:5: field "engine.mode.mode": value "1": a text in quotes`},
		{"[[engine.mode]]\nmode = \"1\"\n[[engine.mode]]\nmode = \"1\"", `f.toml:7: field "engine.mode.mode": value "1": each mode once`},
		{"[[engine.mode]]\nmode = \"3\"\npooling = \"request\"", `f.toml:6: field "engine.mode.pooling": value "request": connection`},
		{"[[engine.mode]]\nmode = \"0\"\nengine_type = \"x\"", `f.toml:6: field "engine.mode.engine_type": value "x": the name of an [[engine.type]]`},
		{"[[engine.mode]]\nmode = \"0\"\nmin_engines = 11", `f.toml:6: field "engine.mode.min_engines": value "11": at most pool.max_engines, which is 10`},
		{"[[engine.mode]]\nmode = \"0\"\npooling = \"x\"", `f.toml:6: field "engine.mode.pooling": value "x": one of request, connection, or nothing`},
		{"[engine.defaults]\nengine_type = \"x\"", `f.toml:5: field "engine.defaults.engine_type": value "x": the name of an [[engine.type]]`},
		{"[engine.defaults]\nmode = \"3\"", `f.toml:5: field "engine.defaults.mode": value "3": -1, 0, 1, 2 or empty`},
		{"[engine.defaults]\nprocedure = \"a\\u0001b\"", `f.toml:5: field "engine.defaults.procedure": value "a\x01b": at most 2048 bytes without control characters`},
		{"[engine.defaults]\nuser_name = \"" + long + "\"", `at most 2048 bytes without control characters`},
		{"[[engine.type]]", `f.toml:4: field "engine.type.name": missing: the name`},
		{"[[engine.type]]\nname = \"x\"", `f.toml:4: field "engine.type.command": missing: the command line`},
		{"[[engine.type]]\nname = \"DEFAULT\"\ncommand = \"x\"", `f.toml:5: field "engine.type.name": value "DEFAULT": a name that no other type has`},
		{"[[engine.type]]\nname = \"a b\"\ncommand = \"x\"", `f.toml:5: field "engine.type.name": value "a b": 1 to 64 letters`},
		{"[[engine.type]]\nname = \"a\"\ncommand = \"x\\n\"", `f.toml:6: field "engine.type.command": value "x\n": at most 32768 bytes`},
		{"[[engine.run]]\nwhen = \"never\"\nprocedure = \"P\"", `f.toml:5: field "engine.run.when": value "never": auto, first or monitor`},
		{"[[engine.run]]\nprocedure = \"P\"", `f.toml:4: field "engine.run.when": missing: auto, first or monitor`},
		{"[[engine.run]]\nwhen = \"auto\"", `f.toml:4: field "engine.run.procedure": missing: the name of the procedure`},
		{"[[engine.run]]\nwhen = \"monitor\"\nprocedure = \"P\"\nevery = \"0s\"", `f.toml:7: field "engine.run.every": value "0s": a duration of more than 0s`},
		{"[engine]\nserver_name = \"\"", `f.toml:5: field "engine.server_name": value "": 1 to 64 bytes of printable ASCII`},
		{"[engine]\nserver_name = \"" + strings.Repeat("x", 65) + "\"", `1 to 64 bytes of printable ASCII`},
		{"[engine]\nencoding = \"cp1252\"", `f.toml:5: field "engine.encoding": value "cp1252": one of 8859_1, UTF8`},
		{"[engine]\nlocations = [\"/a\", \"b\"]", `f.toml:5: field "engine.locations": value "b": an absolute path, or *`},
		{"[engine]\ncontrol_password = \"***\"", `f.toml:5: field "engine.control_password": value "***": the secret itself, not the mask`},
		{"[engine]\nlisten_tls = [\":1\"]", `f.toml:4: field "engine.tls_cert": missing: the file of the certificate`},
		{"[engine]\ntls_key = \"k\"", `f.toml:4: field "engine.tls_cert": missing: the file of the certificate`},
		{"[engine]\ntls_cert = \"c\"\ntls_client_ca = \"a\"", `f.toml:4: field "engine.tls_key": missing: the file of the key`},
		{"[engine.dial_in]\nlisten = [\":1\"]", `f.toml:4: field "engine.dial_in.token": missing: the secret that engines must present`},
		{"[engine.dial_in]\ntls_ca = \"a\"", `f.toml:4: field "engine.dial_in.tls_cert": missing: the file`},
		{"[engine.dial_in]\nlisten = [\"127.0.0.1:8088\"]\ntoken = \"t\"", `f.toml:5: field "engine.dial_in.listen": value "127.0.0.1:8088": an address that engine.listen does not have`},
		{"[engine.statistics]\ninput = \"127.0.0.1:8088\"", `f.toml:5: field "engine.statistics.input": value "127.0.0.1:8088": an address that engine.listen does`},
		{"[engine.statistics]\ndirectory = \"\"", `f.toml:5: field "engine.statistics.directory": value "": a directory`},
		{"[engine.statistics]\noutput = \":8090\"", `f.toml:5: field "engine.statistics.output": value ":8090": an address as stats.example.com:8090`},
		{"[engine.statistics]\nid = \".x\"", `f.toml:5: field "engine.statistics.id": value ".x": 1 to 64 letters`},
		{"[engine.process]\nenv = [\"A=hunter2\", \"hunter2=\\u0000\"]", `f.toml:5: field "engine.process.env": value "hunter2": NAME=value`},
		{"[engine.process]\nenv = [\"=x\"]", `f.toml:5: field "engine.process.env": value "": NAME=value`},
		{"[engine.pool]\nstart_backoff = \"31s\"", `f.toml:4: field "engine.pool.start_backoff_max": value "30s": at least start_backoff, which is 31s`},
		{"[engine.pool]\nmax_memory = \"2m\"\nmax_memory_hard = \"1m\"", `f.toml:6: field "engine.pool.max_memory_hard": value "1048576": 0, or at least max_memory, which is 2097152`},
		{"[engine.pool]\nspare_engines = 11", `f.toml:5: field "engine.pool.spare_engines": value "11": at most max_engines, which is 10`},
	} {
		if _, _, err := loadTOML(engineTOML + row.toml); err == nil {
			t.Errorf("%s: accepted", row.toml)
		} else if !strings.Contains(withoutColumns(err), row.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", row.toml, err, row.want)
		}
	}
	for text, want := range map[string]string{
		"\n[engine]":                 "f.toml:2: ",
		"\nengine.listen = [\":1\"]": "f.toml:2: ",
		"\n[engine.pool]":            "f.toml:2: ",
		"[[engine.mode]]\nmode='0'":  "f.toml:1: ",
	} {
		_, _, err := loadTOML(text)
		if want += `field "engine.type": missing: the engine door opens, and nothing says how an engine is started; write [[engine.type]]`; err == nil || !strings.Contains(withoutColumns(err), want) {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
}

// TestEngineLimits sets every number and every duration to its limits and one beyond them.
func TestEngineLimits(t *testing.T) {
	try := func(i int, n int64, right bool) {
		t.Helper()
		cfg := Default()
		e := &cfg.Engine
		e.Pool.MaxEngines, e.Pool.StartBackoff, e.Pool.StartBackoffMax = 0, 1, mostDuration // what others must fit
		f := keysOf(cfg)[i]
		f.value.SetInt(n)
		err := cfg.Validate()
		if (err == nil) != right || err != nil && !strings.Contains(withoutColumns(err), `"`+f.name+`"`) {
			t.Errorf("%s = %d: %v", f.name, n, err)
		}
	}
	numbers := 0
	for i, f := range keysOf(Default()) {
		name, ok := strings.CutPrefix(f.name, "engine.")
		name = strings.TrimPrefix(name, "defaults.")
		if !ok || !f.value.CanInt() {
			continue
		}
		if f.value.Type() == reflect.TypeFor[time.Duration]() {
			try(i, 0, engineNever[name])
			try(i, 1, true)
			try(i, -1, false)
			try(i, int64(mostDuration), true)
			try(i, int64(mostDuration)+1, false)
			continue
		}
		limits, ok := engineLimits[name]
		if !ok {
			t.Errorf("%s has no limits", f.name)
		}
		numbers++
		try(i, limits[0], true)
		try(i, limits[0]-1, false)
		try(i, limits[1], true)
		try(i, limits[1]+1, false)
	}
	if numbers != len(engineLimits) {
		t.Errorf("%d numbers, and limits of %d", numbers, len(engineLimits))
	}
}

// TestEngineWords sets every key that takes one of a few words to each of them, and to others.
func TestEngineWords(t *testing.T) {
	words := 0
	for i, f := range keysOf(Default()) {
		name, _ := strings.CutPrefix(f.name, "engine.")
		list, ok := engineWords[strings.TrimPrefix(name, "defaults.")]
		if !ok || !strings.HasPrefix(f.name, "engine.") {
			continue
		}
		words++
		for _, word := range append(slices.Clone(list), "x", list[1]+" ", strings.ToUpper(list[1])+"X") {
			cfg := Default()
			keysOf(cfg)[i].value.SetString(word)
			if err := cfg.Validate(); (err == nil) != slices.Contains(list, word) {
				t.Errorf("%s = %q: %v", f.name, word, err)
			}
		}
	}
	if words != len(engineWords) {
		t.Errorf("%d keys with words, and words for %d", words, len(engineWords))
	}
}

// TestEngineSecrets keeps every secret of the engine door out of dumps, mistakes and warnings.
func TestEngineSecrets(t *testing.T) {
	const secret = "hunter2"
	cfg, warnings, err := loadTOML(engineTOML + `
[engine]
control_password = "hunter2"
defaults.password = "hunter2"
dial_in = {listen = ["127.0.0.1:9"], token = "hunter2"}
mode = [{mode = "1", password = "hunter2"}]
run = [{when = "auto", procedure = "P", password = "hunter2"}]
`)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	if err := Dump(&all, cfg); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(all.String(), mask); n != 5 {
		t.Errorf("%d secrets are masked, want 5", n)
	}
	_, _, err = loadTOML(all.String())
	if err == nil || strings.Count(withoutColumns(err), "the mask of a dump") != 5 {
		t.Errorf("masked secrets were taken for secrets: %v", err)
	}
	fmt.Fprintln(&all, texts(warnings), err)
	for _, line := range []string{`control_password = ["hunter2"]`, `control_password = "hunter2\n"`, `control_password = "{x}hunter2"`, `dial_in.token = "hunter2\u0000"`,
		`run = [{when = "auto", procedure = "P", password = "hunter2\u0000"}]`} {
		_, _, err := loadTOML(engineTOML + "[engine]\n" + line)
		if err == nil {
			t.Errorf("%s: accepted", line)
		}
		fmt.Fprintln(&all, err)
	}
	if strings.Contains(all.String(), secret) {
		t.Errorf("the secret is in\n%s", all.String())
	}
}
