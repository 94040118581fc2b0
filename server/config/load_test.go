package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// files returns a ReadFile over texts by path.
func files(texts map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		text, ok := texts[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

// loadTOML loads one TOML file.
func loadTOML(text string) (*Config, []Warning, error) {
	return Load(Sources{TOML: "f.toml", ReadFile: files(map[string]string{"f.toml": text})})
}

func mustLoad(t *testing.T, s Sources) *Config {
	t.Helper()
	cfg, _, err := Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestDemo(t *testing.T) {
	cfg := mustLoad(t, Sources{})
	if !cfg.Demo || cfg.Relay.Farms[0].ID != "demo" || len(cfg.Relay.Backends[0].Token) < 20 {
		t.Errorf("no demonstration: %+v", cfg.Relay.Farms)
	}
	cfg, warnings, err := loadTOML("[relay]\n")
	if err != nil || cfg.Demo || len(cfg.Relay.Farms) != 0 {
		t.Errorf("a file was given, and still: demo %v, farms %v, %v", cfg.Demo, cfg.Relay.Farms, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, DefaultListen) {
		t.Errorf("warnings %v, want one about relay.listen", warnings)
	}
}

func TestSourcesInOrder(t *testing.T) {
	s := Sources{
		TOML: "f.toml", RSConfig: "rs.config",
		ReadFile: files(map[string]string{
			"f.toml": `relay.listen = [":1"]
relay.idle_timeout = "1s"
relay.header_timeout = "1s"
relay.response_timeout = "1s"
relay.heartbeat = "1s"
[[relay.farm]]
id = "a"
`,
			"rs.config": "[options]\nx_idle_timeout=2\nx_header_timeout=2s\nx_response_timeout=2\n[backend_farm]\nid=b\n",
		}),
		Environ: []string{"HOME=/", "ROUNDHOUSE_RELAY_HEADER_TIMEOUT=3s", "ROUNDHOUSE_RELAY_RESPONSE_TIMEOUT=3s",
			"ROUNDHOUSE_RELAY_TRUSTED_PROXIES=10.1.2.3/8, ::1", "ROUNDHOUSE_ADMIN_LISTEN="},
		Set: []string{"relay.response_timeout=4s", "relay.listen=:4,:5"},
	}
	cfg := mustLoad(t, s)
	r := cfg.Relay
	for name, pair := range map[string][2]time.Duration{
		"TOML":        {r.Heartbeat, 1 * time.Second},
		"rs.config":   {r.IdleTimeout, 2 * time.Second},
		"environment": {r.HeaderTimeout, 3 * time.Second},
		"--set":       {r.ResponseTimeout, 4 * time.Second},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	if !slices.Equal(r.Listen, []string{":4", ":5"}) || cfg.Admin.Listen != "" {
		t.Errorf("listen %q, admin %q", r.Listen, cfg.Admin.Listen)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}; !slices.Equal(r.TrustedProxies, want) {
		t.Errorf("trusted proxies %v, want %v", r.TrustedProxies, want)
	}
	if len(r.Farms) != 2 || r.Farms[0].ID != "a" || r.Farms[1].ID != "b" {
		t.Errorf("farms %+v, want a of the TOML file and b of the rs.config", r.Farms)
	}
}

// otherTexts has the keys that cannot be just any text.
var otherTexts = map[string]string{
	"admin.listen": "127.0.0.1:99", "admin.token": "sixteen-or-more-bytes", "relay.status.webhook": "http://other.example/x", "log.level": "debug", "log.format": "json", "log.records": "rsr", "relay.trust.auto_config": "token:other",
	"engine.encoding": "UTF8", "engine.list_access": "password", "engine.client.utf_length": "chars", "engine.client.length_pad": "space",
	"engine.client.on_disconnect": "kill", "engine.pool.queue_policy": "lifo-overload", "engine.process.transport": "stdio",
	"engine.process.break_signal": "USR1", "engine.statistics.input": "same", "engine.statistics.output": "stats.example.com:8090",
	"engine.defaults.mode": "2", "engine.defaults.pooling": "connection",
	"router.default_subject_prefix": "/other", "router.client.takeover": "always", "router.client.slow_policy": "block",
	"router.log.trace_level": "verbose_1", "router.server.connect_prefix": "connect_all", "router.gmd.store": "file",
	"router.other.compression_name": "zlib", "access.driver": "basic", "access.trace_level": "info",
}

// otherLists has the keys whose members cannot be just any text.
var otherLists = map[string][]string{
	"engine.process.env": {"A=b", "C="}, "router.default_protocols": {"tls", "tcp"}, "router.server.names": {"cost=5:tcp:a:1", "local"},
	"router.enable_control_msgs": {"!sh", "_all"}, "access.admin_msg_types": {"-30", "7"},
}

// fieldIndex returns the place of a key in an EngineMode.
func fieldIndex(key string) int {
	f, _ := lookup(reflect.ValueOf(&EngineMode{}).Elem(), key)
	return f.index
}

// TestEveryKeyFromEverySource sets each key by TOML, environment and --set to a value that is not its default.
func TestEveryKeyFromEverySource(t *testing.T) {
	other := Default()
	for i, k := range keysOf(other) {
		switch v := k.value.Addr().Interface().(type) {
		case *bool:
			*v = !*v
		case *string:
			*v = otherTexts[k.name]
			if *v == "" {
				*v = "other"
			}
		case *[]string:
			*v = []string{fmt.Sprintf("/other%d", i), fmt.Sprintf("/another%d", i)}
			if strings.Contains(k.name, ".listen") {
				*v = []string{fmt.Sprintf(":%d", 1000+i), fmt.Sprintf("[::1]:%d", 2000+i)}
			} else if list, ok := otherLists[k.name]; ok {
				*v = list
			}
		case *[]netip.Prefix:
			*v = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		case *time.Duration:
			if *v += 90 * time.Minute; routerSpans[k.name].most > 0 {
				*v = min(*v, routerSpans[k.name].most)
			}
		default:
			k.value.SetInt(k.value.Int() + 2)
			if k.name == "log.max_size" {
				k.value.SetInt(20 << 10)
			}
		}
	}
	other.Engine.Types = []EngineType{{Name: "other", Command: "a 'b c'"}}
	if err := other.Validate(); err != nil {
		t.Fatal(err)
	}
	other.Engine.Modes = []EngineMode{{Mode: "1", Procedure: "P"}, {Mode: "-1", zeros: 1<<fieldIndex("startup_flags") | 1<<fieldIndex("application")}}
	other.Engine.Runs = []EngineRun{{When: "monitor", Procedure: "P", Every: time.Second}, {When: "auto", Procedure: "Q", Application: "A", UserName: "U"}}
	other.Relay.Farms = []Farm{farmWith("a", func(f *Farm) { f.Verbosity, f.MaxClientBuffer, f.Description = 2, 5000, "\"quoted\"\té\\" })}
	other.Relay.Servers = []RelayServer{{Host: "::1", HTTPPort: 0, HTTPSPort: 9, Enable: false}}
	other.Relay.Backends = []Backend{backendWith("a", "b", func(b *Backend) { b.Enable, b.MAC = false, []string{"01-23-45-67-89-ab"} })}

	secrets := map[string]*string{
		"other control": &other.Engine.ControlPassword, "other token": &other.Engine.DialIn.Token, "other password": &other.Engine.Defaults.Password,
		"other proxy": &other.Router.Server.ProxyPassword, "other key": &other.Relay.Trust.AffinityKey, "token:other": &other.Relay.Trust.AutoConfig,
		"sixteen-or-more-bytes": &other.Admin.Token, "http://other.example/x": &other.Relay.Status.Webhook,
	}
	for _, secret := range secrets {
		*secret = "" // a dump masks them
	}
	dialIn := other.Engine.DialIn.Listen // not without a token
	other.Engine.DialIn.Listen, other.Admin.Public = nil, false
	var dump bytes.Buffer
	if err := Dump(&dump, other); err != nil {
		t.Fatal(err)
	}
	s := Sources{TOML: "f", ReadFile: files(map[string]string{"f": dump.String()})}
	if got := mustLoad(t, s); !reflect.DeepEqual(got, other) {
		t.Errorf("by TOML: got %+v\nwant %+v\nfrom %s", got, other, dump.String())
	}
	other.Engine.DialIn.Listen, other.Admin.Public = dialIn, true
	for value, secret := range secrets {
		*secret = value
	}
	other.Engine.Modes, other.Engine.Runs = nil, nil
	other.Relay.Farms, other.Relay.Servers, other.Relay.Backends = nil, nil, nil
	for _, how := range []string{"environment", "--set"} {
		s := Sources{TOML: "f", ReadFile: files(map[string]string{"f": "[[engine.type]]\nname = \"other\"\ncommand = \"a 'b c'\""})}
		for _, k := range keysOf(other) {
			value := strings.Trim(strings.NewReplacer(`", "`, ",", `"`, "", "[", "", "]", "").Replace(formatTOML(k)), " ")
			if list, ok := k.value.Interface().([]string); ok {
				value = strings.Join(list, ",")
			} else if k.unit == "secret" {
				value = k.value.String()
			}
			if how == "--set" {
				s.Set = append(s.Set, k.name+"="+value)
			} else {
				s.Environ = append(s.Environ, k.env()+"="+value)
			}
		}
		if got := mustLoad(t, s); !reflect.DeepEqual(got, other) {
			t.Errorf("by %s: got %+v\nwant %+v", how, got, other)
		}
	}
}

func TestEnvironmentNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, k := range keysOf(Default()) {
		if other, twice := seen[k.env()]; twice {
			t.Errorf("%s stands for %s and %s", k.env(), other, k.name)
		}
		seen[k.env()] = k.name
	}
}

// TestMistakes has one line of a TOML file per row; the file is "# comment\n" and the line.
func TestMistakes(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, row := range []struct{ toml, want string }{
		{`nothing = 1`, `f.toml:2: field "nothing": unknown; there are access, admin, drain_delay, drain_grace, drain_timeout, engine, handover_timeout, limits, log, loops, relay, router`},
		{`relay.lisen = ["x"]`, `f.toml:2: field "relay.lisen": unknown; there are `},
		{`[relay.x]`, `f.toml:2: field "relay.x": unknown; there are `},
		{`relay = 1`, `f.toml:2: field "relay": a table, not a value`},
		{`relay.farm = 1`, `f.toml:2: field "relay.farm": a table, not a value`},
		{`relay.farm = [1]`, `f.toml:2: field "relay.farm": a list of tables: write [[relay.farm]]`},
		{`loops.x = 1`, `f.toml:2: field "loops": not a table`},
		{`[[relay]]`, `f.toml:2: field "relay": one table: write [relay]`},
		{`[relay.farm]`, `f.toml:2: field "relay.farm": a list of tables: write [[relay.farm]]`},
		{`[[relay.farm.x]]`, `f.toml:2: field "relay.farm": a list of tables: write [[relay.farm]]`},
		{`[relay.farm.limits]`, `f.toml:2: field "relay.farm": a list of tables: write [[relay.farm]]`},
		{"[[relay.farm]]\n[[relay.farm.limits]]", `f.toml:3: field "relay.farm.limits": one table: write [relay.farm.limits]`},
		{"[[relay.farm]]\n[relay.farm.hosts]", `f.toml:3: field "relay.farm.hosts": a value: write hosts = ...`},
		{"[[relay.farm]]\n[relay.farm.limits]\nmax_rps = \"x\"", `f.toml:4: field "relay.farm.limits.max_rps": value "x": a whole number`},
		{"[[relay.farm]]\nlimits.max_rsp = 1", `f.toml:3: field "relay.farm.limits.max_rsp": unknown; there are allow_ip, deny_ip, max_bytes_sec,`},
		{`[relay.listen]`, `f.toml:2: field "relay.listen": a value: write listen = ...`},
		{`loops = "1"`, `f.toml:2: field "loops": value "1": a whole number`},
		{`loops = 1.5`, `f.toml:2: field "loops": value "1.5": a whole number`},
		{`loops = -1`, `f.toml:2: field "loops": value "-1": 0 to 1024`},
		{`loops = 99999999999999999999`, `f.toml:2: `},
		{`drain_timeout = 30`, `f.toml:2: field "drain_timeout": value "30": a duration, as "10s" or "1m30s"`},
		{`drain_timeout = "-1s"`, `f.toml:2: field "drain_timeout": value "-1s": a duration of 0s or more`},
		{`relay.idle_timeout = "0s"`, `f.toml:2: field "relay.idle_timeout": value "0s": a duration of more than 0s`},
		{`relay.listen = "x"`, `f.toml:2: field "relay.listen": value "x": a list, as ["a", "b"]`},
		{`relay.listen = [1]`, `f.toml:2: field "relay.listen": value "1": a text in quotes in every place of the list`},
		{`relay.listen = ["x"]`, `f.toml:2: field "relay.listen": value "x": an address as 127.0.0.1:8080 or :8080`},
		{`relay.listen = ["h:70000"]`, `f.toml:2: field "relay.listen": value "h:70000": an address as 127.0.0.1:8080 or :8080`},
		{`relay.listen = [":1", ":1"]`, `f.toml:2: field "relay.listen": value ":1": an address that relay.listen does not have already`},
		{`relay.listen = []`, `f.toml:2: field "relay.listen": missing: no door would open; an address as 127.0.0.1:8080`},
		{`admin.listen = "localhost"`, `f.toml:2: field "admin.listen": value "localhost": an address as 127.0.0.1:8080 or :8080`},
		{`relay.trusted_proxies = ["10.0.0.0/33"]`, `f.toml:2: field "relay.trusted_proxies": value ["10.0.0.0/33"]: networks as 192.0.2.0/24, or addresses`},
		{`relay.client_prefixes = []`, `f.toml:2: field "relay.client_prefixes": missing: at least one path`},
		{`relay.client_prefixes = ["/a/"]`, `f.toml:2: field "relay.client_prefixes": value "/a/": a path that starts with /`},
		{`relay.client_prefixes = ["/a", "/a"]`, `f.toml:2: field "relay.client_prefixes": value "/a": each path once`},
		{`relay.server_prefixes = ["/cli/iarelayserver"]`, `f.toml:2: field "relay.server_prefixes": value "/cli/iarelayserver": a path that is not also`},
		{`relay.stream_window = "1k"`, `f.toml:2: field "relay.stream_window": value "1024": 4096 to 1073741824`},
		{`relay.stream_window = "1x"`, `f.toml:2: field "relay.stream_window": value "1x": a size in bytes, as 65536 or 64k`},
		{`relay.head = 100`, `f.toml:2: field "relay.head": value "100": 8192 to 16777216`},
		{`relay.description = 1`, `f.toml:2: field "relay.description": value "1": a text in quotes`},
		{`relay.description = "` + long + `"`, `at most 2048 bytes`},
		{`log.level = "loud"`, `f.toml:2: field "log.level": value "loud": error, warn, info, debug or empty`},
		{`log.format = "xml"`, `f.toml:2: field "log.format": value "xml": auto, text, json, rs`},
		{`log.verbosity = 6`, `f.toml:2: field "log.verbosity": value "6": 0 to 5`},
		{`relay.server = [{enable = 1}]`, `f.toml:2: field "relay.server.enable": value "1": true or false, without quotes`},
		{`relay.server = [{}]`, `f.toml:2: field "relay.server.host": missing: the name or address that enablers connect to`},
		{`relay.server = [{host = "http://x"}]`, `f.toml:2: field "relay.server.host": value "http://x": a name or an IP address, without scheme and port`},
		{`relay.server = [{host = "x", http_port = 70000}]`, `f.toml:2: field "relay.server.http_port": value "70000": 0 to 65535`},
		{`relay.farm = [{}]`, `f.toml:2: field "relay.farm.id": missing: the name of the farm in URLs`},
		{`relay.farm = [{id = "ä"}]`, `f.toml:2: field "relay.farm.id": value "ä": at most 2048 bytes of printable ASCII`},
		{`relay.farm = [{id = "a"}, {id = "a"}]`, `f.toml:2: field "relay.farm.id": value "a": an id that no other farm has`},
		{`relay.farm = [{id = "a", verbosity = "x"}]`, `f.toml:2: field "relay.farm.verbosity": value "x": 0 to 5, or inherit for a farm or a server`},
		{`relay.farm = [{id = "a", max_client_buffer = "5g"}]`, `f.toml:2: field "relay.farm.max_client_buffer": value "5368709120": 4k to 4g`},
		{`relay.backend = [{id = "s"}]`, `f.toml:2: field "relay.backend.farm": missing: the id of the farm that it serves`},
		{`relay.backend = [{farm = "F", id = "s"}]`, `f.toml:2: field "relay.backend.farm": value "F": the id of a farm that is configured`},
		{`relay = {farm = [{id = "a"}], backend = [{farm = "a", id = "s"}, {farm = "a", id = "s"}]}`,
			`f.toml:2: field "relay.backend.id": value "s": an id that no other server of farm "a" has`},
		{`loops = `, `f.toml:2: `},
		{`= 3`, `f.toml:2: `},
		{"loops = 1\nloops = 2", `f.toml:3: `},
		{"[relay]\n[relay]", `f.toml:3: `},
		{"loops = \"\xff\"", `f.toml:2: `},
	} {
		_, _, err := loadTOML("# comment\n" + row.toml)
		if err == nil {
			t.Errorf("%s: accepted", row.toml)
		} else if !strings.Contains(withoutColumns(err), row.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", row.toml, err, row.want)
		}
	}
}

func TestMistakesAreReportedTogether(t *testing.T) {
	_, _, err := Load(Sources{
		TOML: "f.toml", RSConfig: "rs.config",
		ReadFile: files(map[string]string{
			"f.toml":    "lops = 1\nloops = = 2\ndrain_timeout = \"x\"\n\n[relay]\nlisten = [\"y\"]\n",
			"rs.config": "[options]\nverbosity = 9\n",
		}),
		Environ: []string{"ROUNDHOUSE_LOOPS=many"},
		Set:     []string{"loops=more", "relay.heartbeat", "relay.farm=x", "relay=1"},
	})
	for _, want := range []string{
		`f.toml:2: `,
		`f.toml:1: field "lops": unknown`,
		`f.toml:3: field "drain_timeout": value "x": a duration`,
		`f.toml:6: field "relay.listen": value "y": an address`,
		`rs.config:2: field "verbosity": value "9": 0 to 5`,
		`environment: field "ROUNDHOUSE_LOOPS": value "many": a whole number`,
		`--set: field "loops": value "more": a whole number`,
		`--set: field "relay.heartbeat": no value: write relay.heartbeat=VALUE`,
		`--set: field "relay.farm": no such key`,
		`--set: field "relay": no such key`,
	} {
		if err == nil || !strings.Contains("\n"+withoutColumns(err), "\n"+want) {
			t.Errorf("missing: %s", want)
		}
	}
	var mistakes *Error
	if !errors.As(err, &mistakes) || len(mistakes.Problems) != 10 {
		t.Errorf("want 10 mistakes:\n%v", err)
	}
	if p := mistakes.Problems[1]; p.Line != 1 || p.Col != 1 {
		t.Errorf("%v stands at %d:%d, want 1:1", p, p.Line, p.Col)
	}
}

func TestUnreadableAndUseless(t *testing.T) {
	none := files(nil)
	for want, s := range map[string]Sources{
		`f.toml: cannot read "f.toml": file does not exist`:                        {TOML: "f.toml", ReadFile: none},
		`rs.config: cannot read "rs.config": file does not exist`:                  {RSConfig: "rs.config", ReadFile: none},
		`f.toml: field "relay.listen": missing: no door would open; an address as`: {TOML: "f.toml", ReadFile: files(map[string]string{"f.toml": "[admin]"})},
	} {
		if _, _, err := Load(s); err == nil || !strings.Contains(withoutColumns(err), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	_, warnings, err := Load(Sources{
		TOML: "f.toml",
		ReadFile: files(map[string]string{"f.toml": `relay.listen = [":1"]
[[relay.server]]
host = "x"
http_port = "off"
https_port = 0
[[relay.farm]]
id = "a"
[[relay.backend]]
farm = "a"
id = "s"
token = "the-secret-of-server-s"
[[relay.backend]]
farm = "a"
id = "r"
token = "the-secret-of-server-s"
`}),
		Environ: []string{"ROUNDHOUSE_PORT=tcp://10.0.0.1:80"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`environment: field "ROUNDHOUSE_PORT": no such key`,
		`f.toml:5: field "relay.server.https_port": both http_port and https_port are off: no enabler can reach this relay`,
		`f.toml:15: field "relay.backend.token": back-end server "r" has the token of "s": give each its own`,
	}
	if got := texts(warnings); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	_, warnings, _ = loadTOML("relay.listen = [\":1\"]\n[[relay.farm]]\nid=\"a\"\n[[relay.backend]]\nfarm=\"a\"\nid=\"s\"\n")
	if len(warnings) != 1 || !strings.HasPrefix(texts(warnings)[0], "f.toml:4: ") {
		t.Errorf("got %v, want one about a server without a token, in line 4", warnings)
	}
}

func texts(warnings []Warning) []string {
	all := make([]string, len(warnings))
	for i, w := range warnings {
		w.Col = 0
		all[i] = w.String()
	}
	return all
}

// withoutColumns returns the text of an error, in which most tests name lines only.
func withoutColumns(err error) string {
	var mistakes *Error
	if !errors.As(err, &mistakes) {
		return err.Error()
	}
	return strings.Join(texts(mistakes.Problems), "\n")
}

// TestSecretsAreMasked puts a secret wherever one can be wrong.
func TestSecretsAreMasked(t *testing.T) {
	const secret = "hunter2"
	var all strings.Builder
	for _, token := range []string{`"sha256:` + secret + `"`, `"` + secret + `\n"`, `["` + secret + `"]`, `{a = "` + secret + `"}`} {
		_, _, err := loadTOML("relay.farm = [{id = \"a\"}]\n[[relay.backend]]\nfarm=\"a\"\nid=\"s\"\ntoken = " + token)
		if err == nil || !strings.Contains(withoutColumns(err), "f.toml:5: ") {
			t.Errorf("token = %s: %v", token, err)
		}
		fmt.Fprintln(&all, err)
	}
	cfg, warnings, err := loadTOML("relay.farm = [{id = \"a\"}]\nrelay.backend=[{farm=\"a\",id=\"s\",token=\"" + secret + "\"}]")
	if err != nil {
		t.Fatal(err)
	}
	if err := Dump(&all, cfg); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&all, texts(warnings))
	if strings.Contains(all.String(), secret) {
		t.Errorf("the secret is in\n%s", all.String())
	}
	_, _, err = Load(Sources{TOML: "f", ReadFile: files(map[string]string{"f": all.String()[strings.Index(all.String(), "loops ="):]})})
	if err == nil || !strings.Contains(withoutColumns(err), "the mask of a dump") {
		t.Errorf("a masked token was taken for a token: %v", err)
	}
}

// hashOfBar was made by htpasswd -nbBC 4 x bar.
const hashOfBar = "bcrypt:$2y$04$V/kci4q4/gTdSJ11RnAHXuPLzSQJ5DZ4WEIq70fOSaT/t0vs/POv6"

// TestTokens presents tokens as a relay does: by their digests, and where there is only a bcrypt hash, themselves.
func TestTokens(t *testing.T) {
	const digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" // of foo
	fits := func(b Backend, presented string) bool {
		return slices.Contains(b.TokenKeys(), sha256.Sum256([]byte(presented))) ||
			slices.ContainsFunc(b.TokenHashes(), func(hash string) bool { return CheckTokenHash(hash, presented) })
	}
	for _, row := range []struct {
		token, presented string
		want             bool
	}{
		{"", "", false}, {"", "anything", false},
		{"foo", "foo", true}, {"foo", "", false}, {"foo", "fo", false}, {"foo", "Foo", false},
		{digest, "foo", true}, {digest, digest, false}, {digest, "", false}, {strings.ToUpper(digest), "foo", false},
		{"sha256:" + strings.ToUpper(digest[7:]), "foo", true},
		{"sha256:zz", "sha256:zz", false}, {"sha256:", "", false},
		{hashOfBar, "bar", true}, {hashOfBar, "foo", false}, {hashOfBar, "", false}, {hashOfBar, hashOfBar, false},
		{"bcrypt:", "", false}, {"bcrypt:x", "bcrypt:x", false}, {hashOfBar[:len(hashOfBar)-1], "bar", false},
	} {
		if got := fits(Backend{Token: row.token}, row.presented); got != row.want {
			t.Errorf("token %q, presented %q: got %v", row.token, row.presented, got)
		}
	}
	both := Backend{Token: hashOfBar, SecondToken: digest}
	for presented, want := range map[string]bool{"bar": true, "foo": true, "": false, "baz": false} {
		if got := fits(both, presented); got != want {
			t.Errorf("two tokens, presented %q: got %v", presented, got)
		}
	}
	if keys := (&Backend{Token: "new", SecondToken: digest}).TokenKeys(); len(keys) != 2 || keys[0] != sha256.Sum256([]byte("new")) || keys[1] != sha256.Sum256([]byte("foo")) {
		t.Errorf("keys %x", keys)
	}
	if keys := (Backend{}).TokenKeys(); keys != nil {
		t.Errorf("without a token: keys %x", keys)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "512k": 512 << 10, "50M": 50 << 20, "4g": 4 << 30, "1KiB": 1024, "10MB": 10 << 20, "7b": 7,
		"": -1, "k": -1, "-1": -1, "+1": -1, "1 k": -1, "1kk": -1, "1.5k": -1, "9223372036854775807": 1<<63 - 1,
		"9223372036854775808": -1, "8589934592g": -1, "0x10": -1,
	} {
		got, ok := parseSize(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
		if back, _ := parseSize(formatSize(want)); want > 0 && back != want {
			t.Errorf("%d is written as %q", want, formatSize(want))
		}
	}
}

// TestTableOfAListElement reads the three forms of a table in an element of a list.
func TestTableOfAListElement(t *testing.T) {
	cfg, _, err := loadTOML("[[relay.farm]]\nid = \"a\"\n[relay.farm.limits]\nmax_rps = 7\n" +
		"[[relay.farm]]\nid = \"b\"\nlimits.max_bytes_sec = \"1m\"\n[[relay.farm]]\nid = \"c\"\nlimits = {deny_ip = [\"10.0.0.1\"]}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []FarmLimits{{MaxRPS: 7}, {MaxBytesSec: 1 << 20}, {DenyIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}}
	for i, f := range cfg.Relay.Farms {
		if !reflect.DeepEqual(f.Limits, want[i]) {
			t.Errorf("farm %s: %+v, want %+v", f.ID, f.Limits, want[i])
		}
	}
}

// TestTLSListenerOpensTheDoor has a file that says where the relay listens with TLS, and nothing of where without.
func TestTLSListenerOpensTheDoor(t *testing.T) {
	const tls = "[relay.tls]\nlisten = [\":1\"]\ncert = \"c\"\nkey = \"k\"\n"
	cfg, _, err := loadTOML(tls)
	if err != nil || len(cfg.Relay.Listen) > 0 || !cfg.Relay.Opens() || len(cfg.Engine.Listen)+len(cfg.Router.Listen) > 0 {
		t.Errorf("%v, %+v", err, cfg)
	}
	cfg, _, err = loadTOML("relay.listen = [\":2\"]\n" + tls)
	if err != nil || !slices.Equal(cfg.Relay.Listen, []string{":2"}) {
		t.Errorf("%v, %+v", err, cfg)
	}
	if _, _, err := loadTOML("admin.listen = \":1\"\n" + tls); err == nil || !strings.Contains(err.Error(), "an address that relay.tls.listen does not have already") {
		t.Errorf("the address of another listener: %v", err)
	}
}
