package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOptionTable looks at every row: its key exists, its default is what it says, and show writes what setopt takes.
func TestOptionTable(t *testing.T) {
	sorted := slices.IsSortedFunc(optionTable, func(a, b optionRow) int {
		return strings.Compare(strings.ToLower(strings.Trim(a.name, "_")), strings.ToLower(strings.Trim(b.name, "_")))
	})
	if !sorted {
		t.Error("the options are not in the order of their names")
	}
	seen := map[string]string{}
	for i, o := range Options() {
		row := optionTable[i]
		if other, twice := seen[o.Key]; twice {
			t.Errorf("%s and %s are both %s", o.Name, other, o.Key)
		}
		seen[o.Key] = o.Name
		cfg := Default()
		kinds := map[optionKind]reflect.Type{
			optBool: reflect.TypeFor[bool](), optReal: reflect.TypeFor[time.Duration](), optString: reflect.TypeFor[string](),
			optIdentifier: reflect.TypeFor[string](), optStrings: reflect.TypeFor[[]string](), optIdentifiers: reflect.TypeFor[[]string](),
		}
		if have, want := row.field(cfg).value, kinds[row.kind]; want != nil && have.Type() != want || want == nil && !have.CanInt() {
			t.Errorf("%s is %s, its key is a %s", o.Name, o.Type, have.Type())
		}
		if (o.Range == "") != (row.kind == optString || row.kind == optStrings || row.kind == optIdentifiers || o.Name == "Time_Format") && routerWords[o.Key] == nil {
			t.Errorf("%s: range %q", o.Name, o.Range)
		}
		text := "setopt " + o.Name + " " + o.Default
		name, values, err := command(t, text).Option()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if o.Required && len(values) == 0 {
			t.Errorf("%s is required and has no default", o.Name)
		}
		if _, err := SetOption(cfg, strings.ToUpper(name), values); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if row.name != "Conn_Names" && !reflect.DeepEqual(cfg, Default()) {
			t.Errorf("%s changes something", text)
		}
	}
	for _, k := range keysOf(Default()) {
		_, ok := seen[k.name]
		own := []string{"access.directory", "router.nats", "router.client.max_subscriptions"} // what the original has no option for
		if strings.HasPrefix(k.name, "router.") || strings.HasPrefix(k.name, "access.") {
			if ok == slices.ContainsFunc(own, func(prefix string) bool { return strings.HasPrefix(k.name, prefix) }) {
				t.Errorf("%s: has an option: %v", k.name, ok)
			}
		}
	}
}

func TestSetOption(t *testing.T) {
	for _, row := range []struct{ text, key, want string }{
		{"client_max_buffer 2000", "router.client.max_buffer", "2000"},
		{"CLIENT_MAX_BUFFER 1023", "", `option "Client_Max_Buffer": value "1023": 1024 to 1099511627776`},
		{"client_max_buffer x", "", `option "Client_Max_Buffer": value "x": a whole number`},
		{"client_max_buffer 64k", "", `a whole number`},
		{"client_max_buffer 99999999999999999999", "", `a whole number`},
		{"client_max_buffer 2000, 3000", "", `value "2000, 3000": one value`},
		{"client_max_buffer UNKNOWN", "", `option "Client_Max_Buffer": required: it cannot be unset`},
		{"default_msg_priority -32768", "router.default_msg_priority", "-32768"},
		{"default_msg_priority -32769", "", "-32768 to 32767"},
		{"max_server_conns -1", "router.server.max_conns", "-1"},
		{"client_burst_interval 0.25", "router.client.burst_interval", `"250ms"`},
		{"client_burst_interval 600", "router.client.burst_interval", `"10m"`},
		{"client_burst_interval 1e1", "router.client.burst_interval", `"10s"`},
		{"client_burst_interval 600.1", "", `value "10m0.1s": a duration of 0s to 10m`},
		{"client_burst_interval -1", "", "a duration of 0s to 10m"},
		{"client_burst_interval nan", "", "a number of seconds, as 30 or 0.5"},
		{"client_burst_interval inf", "", "a number of seconds"},
		{"client_burst_interval 10s", "", "a number of seconds"},
		{"client_burst_interval 1e300", "", "a number of seconds"},
		{"client_reconnect_timeout 0", "", "a duration of more than 0s"},
		{"enforce_expiration TRUE", "router.enforce_expiration", "true"},
		{"enforce_expiration maybe", "", "TRUE or FALSE"},
		{"conn_names local, tcp:_node:7", "router.listen", `["local", "tcp:_node:7"]`},
		{"conn_names hub1:5101", "", `value "hub1:5101": the first word is taken for a protocol, and "hub1" is none: node:port is no abbreviation; write tcp:hub1:5101`},
		{"conn_names pgm", "", "pgm is not supported"},
		{"conn_names cost=5:tcp", "", "modifiers are for server_names"},
		{`conn_names ""`, "", "at least one"},
		{"conn_names local tcp", "", "a comma between two values"},
		{"server_names _random, cost=5:tcp:a:1", "router.server.names", `["_random", "cost=5:tcp:a:1"]`},
		{"server_names cost=0:tcp:a:1", "", "a cost from 1"},
		{"default_protocols TCP", "router.default_protocols", `["tcp"]`},
		{"default_protocols udp", "", `value "udp": local, tcp or tls`},
		{`enable_control_msgs "!sh,_all"`, "router.enable_control_msgs", `["!sh", "_all"]`},
		{"enable_control_msgs UNKNOWN", "router.enable_control_msgs", "[]"},
		{`enable_control_msgs "a/b"`, "", "names of commands"},
		{"default_connect_prefix CONNECT_ALL", "router.server.connect_prefix", `"connect_all"`},
		{"default_connect_prefix UNKNOWN", "router.server.connect_prefix", `"connect_one"`},
		{"trace_level Verbose_1", "log.level", `"debug"`},
		{"trace_level UNKNOWN", "log.level", `""`},
		{"trace_level loud", "", "one of never, error, warning, info, "},
		{"sm_security_driver BASIC", "access.driver", `"basic"`},
		{"sm_security_driver kerberos", "", "one of basic, or nothing"},
		{"unique_subject a/b", "router.unique_subject", `"a/b"`},
		{"unique_subject a*", "", "a subject without wildcards"},
		{"unique_subject a//b", "", "a subject as /a/b; a component is empty"},
		{"default_subject_prefix x", "", "a subject that starts with /"},
		{`log_in_client "a file"`, "router.log.in_client", `"a file"`},
		{"log_in_client UNKNOWN", "router.log.in_client", `""`},
		{"client_max_tokens UNKNOWN", "router.client.max_tokens", "0"},
		{"sd_basic_admin_msg_types -4, 7", "access.admin_msg_types", `["-4", "7"]`},
		{"sd_basic_admin_msg_types x", "", "numbers of types of messages"},
		{"nonsense 1", "", `option "nonsense": no such option`},
		{"nonsense UNKNOWN", "", `option "nonsense": no such option`},
	} {
		cfg := Default()
		name, values, err := command(t, "setopt "+row.text).Option()
		if err == nil {
			_, err = SetOption(cfg, name, values)
		}
		if err != nil {
			if row.key != "" || !strings.Contains(withoutColumns(err), row.want) || !reflect.DeepEqual(cfg, Default()) {
				t.Errorf("%s:\ngot  %v\nwant %s", row.text, err, row.want)
			}
			continue
		}
		f, ok := (&loader{cfg: cfg}).key(row.key)
		if !ok || formatTOML(f) != row.want {
			t.Errorf("%s: accepted; want %s %s", row.text, row.key, row.want)
		}
	}
	if _, err := SetOption(Default(), "nonsense", []string{"1"}); !errors.Is(err, ErrUnknownOption) {
		t.Errorf("got %v", err)
	}
	if _, err := UnsetOption(Default(), "nonsense"); !errors.Is(err, ErrUnknownOption) {
		t.Errorf("got %v", err)
	}
}

// TestSetOptionOfACopy changes a copy and leaves alone what others read.
func TestSetOptionOfACopy(t *testing.T) {
	cfg := Default()
	next := *cfg
	for _, text := range []string{"conn_names tcp", "enable_control_msgs quit", "default_protocols tls", "client_max_buffer 2000"} {
		name, values, _ := command(t, "setopt "+text).Option()
		if _, err := SetOption(&next, name, values); err != nil {
			t.Error(err)
		}
	}
	if !reflect.DeepEqual(cfg, Default()) {
		t.Error("the original was changed")
	}
}

func TestOptionWarnings(t *testing.T) {
	for name, want := range map[string]string{
		"Server_Names": `option "Server_Names": has no effect yet`, "Editor": `option "Editor": has no effect`, "Gmd_Directory": `option "Gmd_Directory": has no effect yet`,
		"Log_In_Client": "",
	} {
		warning, err := SetOption(Default(), name, []string{"x"})
		unset, unsetErr := UnsetOption(Default(), name)
		if warning != want || unset != want || err != nil || unsetErr != nil {
			t.Errorf("%s: %q, %q, %v, %v", name, warning, unset, err, unsetErr)
		}
	}
}

func TestShowOption(t *testing.T) {
	cfg := Default()
	cfg.Router.Server.ProxyPassword = "hunter2"
	cfg.Router.Listen = []string{"tcp:a:1", "local:_node:/a;b"}
	cfg.Router.Log.InClient = "unknown"
	for name, want := range map[string]string{
		"client_MAX_buffer":     "Client_Max_Buffer 10000000 (integer, default 10000000, required)",
		"Client_Burst_Interval": "Client_Burst_Interval 0.5 (real, default 0.5)",
		"Enable_Stop_Msgs":      "Enable_Stop_Msgs TRUE (boolean, default TRUE)",
		"Conn_Names":            `Conn_Names tcp:a:1, "local:_node:/a;b" (string list, default local, tcp, required)`,
		"Server_Names":          "Server_Names UNKNOWN (string list, default UNKNOWN)",
		"Proxy_Password":        "Proxy_Password *** (string, default UNKNOWN)",
		"Log_In_Client":         `Log_In_Client "unknown" (string, default UNKNOWN)`,
	} {
		if got, err := ShowOption(cfg, name); got != want || err != nil {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	if got, err := ShowOption(cfg, "x"); !errors.Is(err, ErrUnknownOption) || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEffects(t *testing.T) {
	for name, want := range map[string]Effect{
		"Client_Max_Buffer": EffectNow, "Log_In_Client": EffectNow, "Enable_Control_Msgs": EffectNow, "Trace_Level": EffectNow, "Conn_Names": EffectStart,
		"Unique_Subject": EffectStart, "Server_Names": EffectLater, "Gmd_Store": EffectLater, "Monitor_Ident": EffectLater, "Editor": EffectNone,
		"Group_Max_Buffer": EffectNone, "Log_In_Server": EffectLater,
	} {
		i := slices.IndexFunc(Options(), func(o Option) bool { return o.Name == name })
		if got := fmt.Sprint(Options()[i].Effect); got != string(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
