package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadCM loads an rtserver.cm, beside which others may lie.
func loadCM(text string, others map[string]string) (*Config, []Warning, error) {
	all := map[string]string{"etc/rtserver.cm": text}
	for path, text := range others {
		all[path] = text
	}
	return Load(Sources{RTServer: "etc/rtserver.cm", ReadFile: files(all), Environ: []string{"RTHOME=/rt", "HOME=/home/me"}})
}

func mustLoadCM(t *testing.T, text string, others map[string]string) *Config {
	t.Helper()
	cfg, _, err := loadCM(text, others)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return cfg
}

// TestRTServerSample reads what such a file looks like.
func TestRTServerSample(t *testing.T) {
	cfg, warnings, err := loadCM(`/* rtserver.cm */
setopt conn_names          local, tcp:_node:5101
setopt server_names        connect_all:tcp:hub1:5101, cost=5:connect_one:tcp:wan2:5101
setopt client_max_buffer   50000000
setopt max_client_conns    0
setopt enable_control_msgs "!sh,_all"
setopt trace_level         info
setopt unique_subject      _srv_east_1
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultRouter()
	want.Listen = []string{"local", "tcp:_node:5101"}
	want.Server.Names = []string{"connect_all:tcp:hub1:5101", "cost=5:connect_one:tcp:wan2:5101"}
	want.Client.MaxBuffer, want.Client.MaxConns = 50_000_000, 0
	want.EnableControlMsgs = []string{"!sh", "_all"}
	want.Log.TraceLevel = "info"
	want.UniqueSubject = "_srv_east_1"
	if !reflect.DeepEqual(cfg.Router, want) {
		t.Errorf("got  %+v\nwant %+v", cfg.Router, want)
	}
	if cfg.Demo || len(cfg.Relay.Listen)+len(cfg.Engine.Listen) > 0 || cfg.Log.Level != "info" {
		t.Errorf("demo %v, relay %q, engine %q, level %q", cfg.Demo, cfg.Relay.Listen, cfg.Engine.Listen, cfg.Log.Level)
	}
	wantWarnings := []string{
		`etc/rtserver.cm:3: field "Server_Names": has no effect yet`,
		`etc/rtserver.cm:2: field "Conn_Names": without access.driver whoever reaches this listener may do everything`,
	}
	if got := texts(warnings); !slices.Equal(got, wantWarnings) {
		t.Errorf("got  %q\nwant %q", got, wantWarnings)
	}
}

// TestRTServerOrder reads all files that there may be, a later one replacing what an earlier one set.
func TestRTServerOrder(t *testing.T) {
	set := func(names ...string) string {
		var text strings.Builder
		for _, name := range names {
			fmt.Fprintf(&text, "setopt %s %d\n", name, len(names))
		}
		return text.String()
	}
	all := []string{"client_read_timeout", "client_token_rate", "client_max_tokens", "client_drain_subjects", "client_threads", "server_threads"}
	s := Sources{
		TOML: "f.toml", RTServer: "local.cm", Environ: []string{"RTHOME=/rt", "HOME=/me", "ROUNDHOUSE_ROUTER_CLIENT_TOKEN_RATE=77"},
		Set: []string{"router.client.read_timeout=88s"},
		ReadFile: files(map[string]string{
			"f.toml":                   "[router.other]\nclient_threads = 9\nserver_threads = 9\nserver_num_threads = 9\n[router.nats]\nlisten = [\":4222\"]\n",
			"/rt/standard/rtserver.cm": set(all[:5]...),
			"/me/rtserver.cm":          set(all[:4]...),
			"local.cm":                 set(all[:3]...),
		}),
	}
	r := mustLoad(t, s).Router
	got := fmt.Sprint(r.Client.ReadTimeout, r.Client.TokenRate, r.Client.MaxTokens, r.Client.DrainSubjects, r.Other.ClientThreads, r.Other.ServerThreads, r.Other.ServerNumThreads)
	if want := "1m28s 77 3 4 5 9 9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !slices.Equal(r.Listen, []string{"local", "tcp"}) || !slices.Equal(r.NATS.Listen, []string{":4222"}) {
		t.Errorf("listen %q, NATS %q", r.Listen, r.NATS.Listen)
	}
	s.RTServer = "/me/rtserver.cm" // which is not read twice
	s.ReadFile = files(map[string]string{"f.toml": "", s.RTServer: "subscribe p /a; unsubscribe p /a; subscribe p /b"})
	if cfg, warnings, err := Load(s); err != nil || len(cfg.Router.Subscriptions) != 1 {
		t.Errorf("%+v, %v, %v", cfg, warnings, err)
	}
}

func TestRTServerCommands(t *testing.T) {
	var echoed []string
	cfg, warnings, err := Load(Sources{
		RTServer: "etc/rtserver.cm",
		Echo:     func(line string) { echoed = append(echoed, line) },
		ReadFile: files(map[string]string{
			"etc/rtserver.cm": `echo reading, "this  file"
alias big "setopt client_max_buffer"
big 2000
setopt client_max_buffer
source sub/more.cm
source /abs.cm
subscribe rtworks /a/... b
subscribe rtworks b "/*"
unsubscribe rtworks b
subscribe
alias gone echo x
unalias gone
setopt log_in_client a.log; unsetopt log_in_client log_out_client
setopt client_token_rate 5; setopt client_token_rate UNKNOWN
`,
			"etc/sub/more.cm": "source ../other.cm; setopt verbose true\n",
			"etc/other.cm":    "setopt max_client_conns 7\n",
			"/abs.cm":         "setopt log_out_client J\xf6rg.log; setopt client_max_tokens 9",
		}),
		Set: []string{"router.listen=127.0.0.1:1"},
	})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", err, warnings)
	}
	r := &cfg.Router
	if r.Client.MaxBuffer != 2000 || r.Client.MaxConns != 7 || !r.Log.Verbose || r.Client.MaxTokens != 9 || !reflect.DeepEqual(r.Log, RouterLog{Verbose: true}) || r.Client.TokenRate != 0 {
		t.Errorf("got %+v, %+v", r.Client, r.Log)
	}
	if want := []RouterSubscription{{"rtworks", "/a/..."}, {"rtworks", "/*"}}; !slices.Equal(r.Subscriptions, want) {
		t.Errorf("got %v, want %v", r.Subscriptions, want)
	}
	if want := []RouterAlias{{"big", "setopt client_max_buffer"}}; !slices.Equal(r.Aliases, want) {
		t.Errorf("got %v, want %v", r.Aliases, want)
	}
	want := []string{"reading, this  file", "Client_Max_Buffer 2000 (integer, default 10000000, required)", "rtworks /a/...", "rtworks /*"}
	if !slices.Equal(echoed, want) {
		t.Errorf("got  %q\nwant %q", echoed, want)
	}
	if mustLoadCM(t, "setopt", nil) == nil { // prints all of them to nowhere
		t.Error("nothing")
	}
}

// TestRTServerWarnings has what the original goes on after: the old value stays. With Strict most of it is a mistake.
func TestRTServerWarnings(t *testing.T) {
	for _, row := range []struct {
		text, want string
		strict     bool
	}{
		{"setopt nonsense 1", `option "nonsense": no such option`, true},
		{"unsetopt nonsense", `option "nonsense": no such option`, true},
		{"unsetopt conn_names", `option "Conn_Names": required: it cannot be unset`, true},
		{"setopt client_max_buffer x", `option "Client_Max_Buffer": value "x": a whole number`, true},
		{"setopt conn_names hub1:5101", `write tcp:hub1:5101`, true},
		{"setopt conn_names a b", `option "conn_names": a comma between two values`, true},
		{"setopt nonsense", `option "nonsense": no such option`, true},
		{"nonsense 1", `command "nonsense": no such command of a server`, true},
		{"retrieve", `command "retrieve": no such command of a server`, true},
		{"alias a", `alias: write alias NAME COMMAND`, true},
		{"unalias a", `unalias: no alias "a"`, true},
		{"alias a a; a", `alias a: at most 16 aliases deep and 1000 commands`, true},
		{"subscribe p", `command "subscribe": write subscribe PROJECT SUBJECT`, true},
		{"subscribe p/q /a", `command "subscribe": project "p/q": the name of a project`, true},
		{"subscribe p /a//b", `command "subscribe": subject "/a//b": a subject as /a/b; a component is empty`, true},
		{"unsubscribe p /a", `command "unsubscribe": nothing is subscribed to "/a" in project "p"`, true},
		{"connect", `command "connect": not available yet: links to servers are made after the files are read; use Server_Names`, false},
		{"disconnect tcp:a:1", `command "disconnect": not available yet`, false},
		{"sh ls", `command "sh": the server runs no commands of the system`, false},
		{"quit force", `command "quit": has no effect in a file`, false},
		{"setnopt a.b c", `command "setnopt": has no effect in a file`, false},
		{"setopt editor vi", `field "Editor": has no effect`, false},
	} {
		s := Sources{RTServer: "a.cm", ReadFile: files(map[string]string{"a.cm": "\n" + row.text}), Set: []string{"router.listen=127.0.0.1:1"}}
		cfg, warnings, err := Load(s)
		got := texts(warnings)
		if err != nil || len(got) == 0 || !strings.HasPrefix(got[0], "a.cm:2: ") || !strings.Contains(got[0], row.want) || len(got) > 1 {
			t.Errorf("%s: %q, %v\nwant %s", row.text, got, err, row.want)
		}
		if err == nil && row.strict && !reflect.DeepEqual(cfg.Router.Client, defaultRouter().Client) {
			t.Errorf("%s: not the old values: %+v", row.text, cfg.Router.Client)
		}
		s.Strict = true
		if _, _, err := Load(s); (err != nil) != row.strict || err != nil && !strings.Contains(withoutColumns(err), row.want) {
			t.Errorf("%s: strict: %v", row.text, err)
		}
	}
}

func TestRTServerMistakes(t *testing.T) {
	deep := map[string]string{}
	for i := range maxIncludeDepth + 2 {
		deep[fmt.Sprintf("etc/%d.cm", i)] = fmt.Sprintf("source %d.cm", i+1)
	}
	wide := strings.Repeat("source x.cm\n", maxIncludes+5)
	for _, row := range []struct {
		text, want string
		others     map[string]string
	}{
		{"\nsetopt a \"b", `etc/rtserver.cm:2: a quoted text that does not end in its line`, nil},
		{"setopt a,", `etc/rtserver.cm:1: nothing behind the last comma`, nil},
		{"source", `etc/rtserver.cm:1: command "source": write source FILE`, nil},
		{"source gone.cm", `etc/rtserver.cm:1: cannot read "etc/gone.cm": file does not exist`, nil},
		{"source rtserver.cm", `etc/rtserver.cm:1: source "etc/rtserver.cm": that file sources this one`, nil},
		{"source a.cm", `etc/a.cm:1: source "etc/rtserver.cm": that file sources this one`, map[string]string{"etc/a.cm": "source ../etc/rtserver.cm"}},
		{"source 0.cm", `at most 8 files deep`, deep},
		{wide, `at most 256 files in all`, map[string]string{"etc/x.cm": ""}},
		{"setopt sm_security_driver kerberos", `etc/rtserver.cm:1: option "Sm_Security_Driver": value "kerberos": one of basic, or nothing`, nil},
		{"", `/home/me/rtserver.cm:3: `, map[string]string{"/home/me/rtserver.cm": "\n\necho \""}},
		{"setopt conn_names tls", `etc/rtserver.cm:1: field "Tls_Cert_File": missing: the file of the certificate`, nil},
		{"setopt conn_names tcp, tcp:_any:5101", `etc/rtserver.cm:1: field "Conn_Names": value ":5101": an address that router.listen does not have already`, nil},
		{strings.Repeat("source x.cm\n", 60), "more than 100000 commands in all files", map[string]string{"etc/x.cm": strings.Repeat("echo\n", 2000)}},
	} {
		_, _, err := loadCM(row.text, row.others)
		if err == nil || !strings.Contains(withoutColumns(err), row.want) && !strings.Contains(withoutColumns(err), strings.Replace(row.want, "Tls_Cert_File", "router.tls_cert", 1)) {
			t.Errorf("%.60q:\ngot  %v\nwant %s", row.text, err, row.want)
		} else if n := strings.Count(withoutColumns(err), "\n"); n > 1 {
			t.Errorf("%.60q: %d mistakes: %v", row.text, n+1, err)
		}
	}
}

// TestSecurityDriver reads what belongs to the driver that the files ask for.
func TestSecurityDriver(t *testing.T) {
	const basic = "setopt sm_security_driver Basic"
	cfg := mustLoadCM(t, basic, map[string]string{"/rt/standard/sdbasic.cm": "setopt sd_basic_acl_timeout 7; setopt authorize_publish false"})
	if a := cfg.Access; a.Driver != "basic" || a.Directory != "/rt/acl" || a.ReloadInterval != 7*time.Second || a.AuthorizePublish {
		t.Errorf("got %+v", a)
	}
	_, _, err := Load(Sources{RTServer: "a.cm", ReadFile: files(map[string]string{"a.cm": basic})})
	if err == nil || withoutColumns(err) != `a.cm:1: field "access.directory": missing: nobody could come in; the directory of users.cfg, or [[access.user]]` {
		t.Errorf("without RTHOME: %v", err)
	}
	cfg = mustLoad(t, Sources{TOML: "f", RTServer: "a.cm", Environ: []string{"RTHOME=/rt"}, ReadFile: files(map[string]string{"a.cm": basic, "f": "access.directory = \"/own\""})})
	if cfg.Access.Directory != "/own" {
		t.Errorf("got %+v", cfg.Access)
	}
}
