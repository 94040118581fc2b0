package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestRouterDoors(t *testing.T) {
	for _, row := range []struct {
		name   string
		s      Sources
		listen []string
		nats   []string
	}{
		{"demonstration", Sources{}, []string{DefaultRouterListen}, []string{DefaultNATSListen}},
		{"another door", Sources{TOML: "relay"}, nil, nil},
		{"a key of the router", Sources{TOML: "router"}, []string{DefaultRouterListen}, nil},
		{"NATS only", Sources{TOML: "nats"}, nil, []string{":4222"}},
		{"rtserver.cm", Sources{RTServer: "empty"}, []string{"local", "tcp"}, nil},
		{"rtserver.cm and another place", Sources{TOML: "listen", RTServer: "empty"}, []string{":1"}, nil},
		{"access alone", Sources{TOML: "access"}, nil, nil},
	} {
		row.s.ReadFile = files(map[string]string{
			"relay": "[relay]\n", "router": "[router.client]\n", "nats": "router.nats.listen = [\":4222\"]", "empty": "", "listen": "router.listen = [\":1\"]",
			"access": "[access]\n[relay]\n",
		})
		cfg := mustLoad(t, row.s)
		if r := &cfg.Router; !slices.Equal(r.Listen, row.listen) || !slices.Equal(r.NATS.Listen, row.nats) || r.Opens() != (len(row.listen)+len(row.nats) > 0) {
			t.Errorf("%s: %q, %q, opens %v", row.name, r.Listen, r.NATS.Listen, r.Opens())
		}
		if !cfg.Demo && len(cfg.Relay.Listen) > 0 && row.s.TOML != "relay" && row.s.TOML != "access" {
			t.Errorf("%s: relay on %q", row.name, cfg.Relay.Listen)
		}
	}
	if r := Default().Router; r.Opens() {
		t.Errorf("the default listens on %q", r.Listen)
	}
}

func TestOwnSubject(t *testing.T) {
	r := defaultRouter()
	if got := r.OwnSubject("hub1", 77); got != "_hub1_77" {
		t.Error(got)
	}
	if r.UniqueSubject = "/_srv/%n"; r.OwnSubject("hub1", 77) != "/_srv/hub1" {
		t.Error(r.OwnSubject("hub1", 77))
	}
}

// TestRouterMistakes has one line of a TOML file per row.
func TestRouterMistakes(t *testing.T) {
	for _, row := range []struct{ toml, want string }{
		{`router.listen = ["hub1 5101"]`, `field "router.listen": value "hub1 5101": at most 1024 bytes without blanks and commas`},
		{`router.listen = ["tcp:5101"]`, `field "router.listen": value "tcp:5101": 5101 is a port, not a node; write tcp:_node:5101`},
		{`router.listen = ["hub1:x"]`, `"hub1" is no protocol`},
		{`router.listen = ["pgm"]`, `pgm is not supported`},
		{`router.listen = [":1", "tcp:_any:1"]`, `field "router.listen": value ":1": an address that router.listen does not have already`},
		{`router = {listen = [":1"], nats = {listen = [":1"]}}`, `field "router.nats.listen": value ":1": an address that router.listen does not have already`},
		{"[router]\nlisten = [\"tls\"]", `field "router.tls_cert": missing: the file of the certificate`},
		{"[router]\ntls_client_ca = \"ca\"", `field "router.tls_key": missing`},
		{`router.default_protocols = []`, `field "router.default_protocols": missing: at least one of local, tcp and tls`},
		{`router.default_protocols = ["pgm"]`, `field "router.default_protocols": value "pgm": local, tcp or tls`},
		{`router.unique_subject = ""`, `field "router.unique_subject": value "": a subject as /a/b; it is empty`},
		{`router.default_subject_prefix = "/a//b"`, `field "router.default_subject_prefix": value "/a//b": a subject as /a/b`},
		{`router.default_msg_priority = 32768`, `field "router.default_msg_priority": value "32768": -32768 to 32767`},
		{`router.max_message_size = 1023`, `1024 to 99999999`},
		{`router.max_message_size = 100000000`, `1024 to 99999999`},
		{`router.subject_cache_size = 15`, `16 to 16777216`},
		{`router.client.max_conns = -1`, `field "router.client.max_conns": value "-1": 0 to 1073741824`},
		{`router.client.connect_timeout = "0s"`, `field "router.client.connect_timeout": value "0s": a duration of more than 0s, at most 87600h`},
		{`router.client.drain_timeout = "61s"`, `field "router.client.drain_timeout": value "1m1s": a duration of 0s to 1m`},
		{`router.client.read_timeout = "-1s"`, `a duration of 0s to 87600h`},
		{`router.client.takeover = "x"`, `field "router.client.takeover": value "x": one of same_instance, never, always`},
		{`router.client.slow_warn_percent = 101`, `1 to 100`},
		{`router.nats.listen = ["4222"]`, `field "router.nats.listen": value "4222": an address as 127.0.0.1:4222 or :4222`},
		{`router.nats.project = "a b"`, `field "router.nats.project": value "a b": the name of a project`},
		{"[router.nats]\nlisten = [\":1\"]\ntls_first = true", `field "router.nats.tls_cert": missing`},
		{`router.nats.max_payload = 0`, `1 to 67108864`},
		{`router.nats.max_control_line = 255`, `256 to 1048576`},
		{`router.nats.ping_max = 0`, `1 to 1000`},
		{`router.nats = {no_auth_user = "x"}
[access]
driver = "basic"
user = [{name = "y"}]`, `field "router.nats.no_auth_user": value "x": the name of a user that is configured`},
		{`router.log.trace_level = "x"`, `one of never, error, `},
		{`router.log.in_client = "a\u0000"`, `without control characters`},
		{`router.server.names = ["cost=0:a"]`, `field "router.server.names": value "cost=0:a": a cost from 1`},
		{`router.server.proxy_password = "a\n"`, `field "router.server.proxy_password": value "***"`},
		{`router.gmd.store = "x"`, `one of memory, file`},
		{`router.subscription = [{}]`, `field "router.subscription.subject": missing: what to subscribe to`},
		{`router.subscription = [{project = "", subject = "/a"}]`, `field "router.subscription.project": value "": the name of a project`},
		{`router.subscription = [{subject = "/a//b"}]`, `field "router.subscription.subject": value "/a//b": a subject as /a/b`},
		{`router.alias = [{name = "quit", text = "echo"}]`, `field "router.alias.name": value "quit": a name that is not that of a command`},
		{`router.alias = [{name = "a", text = "echo"}, {name = "A", text = "echo"}]`, `field "router.alias.name": value "A": a name that no other alias has`},
		{`router.alias = [{name = "a"}]`, `field "router.alias.text": value "": one or more commands`},

		{`access.driver = "pam"`, `field "access.driver": value "pam": one of basic, or nothing`},
		{`access.driver = "basic"`, `field "access.directory": missing: nobody could come in`},
		{`access.reload_interval = "-1s"`, `a duration of 0s to 87600h`},
		{`access.admin_msg_types = ["x"]`, `field "access.admin_msg_types": value "x": numbers of types of messages, as -30`},
		{`access.admin_msg_types = ["2147483648"]`, `numbers of types of messages, as -30`},
		{`access.trace_level = ""`, `field "access.trace_level": value "": one of never, `},
		{`access.user = [{}]`, `field "access.user.name": missing: the name that he gives`},
		{`access.user = [{name = "a:b"}]`, `field "access.user.name": value "a:b": 1 to 255 bytes without blanks, colons, commas`},
		{`access.user = [{name = "*"}]`, `and not *`},
		{`access.user = [{name = "a"}, {name = "a"}]`, `field "access.user.name": value "a": a name that no other user has`},
		{`access.user = [{name = "a", password = "{pbkdf2-sha256}x"}]`, `field "access.user.password": value "***": a plain secret, or {pbkdf2-sha256}i=600000$SALT$HASH`},
		{`access.user = [{name = "a", token = "***"}]`, `field "access.user.token": value "***": the secret itself, not the mask of a dump`},
		{`access.user = [{name = "a", token = "t"}, {name = "b", token = "t"}]`, `field "access.user.token": value "***": a token that user "a" does not have already`},
		{`access.group = [{}]`, `field "access.group.name": missing: the name of the group`},
		{`access.group = [{name = "g"}, {name = "g"}]`, `a name that no other group has`},
		{`access.group = [{name = "g", members = ["x"]}]`, `field "access.group.members": value "x": names of users that are configured`},
		{`access.permission = [{}]`, `field "access.permission.who": missing: the name of a user or a group, or *`},
		{`access.permission = [{who = "x"}]`, `field "access.permission.who": value "x": the name of a user or a group that is configured, or *`},
		{`access.permission = [{who = "*", verb = "read"}]`, `field "access.permission.verb": value "read": one of publish, subscribe, connect, all`},
		{`access.permission = [{who = "*", project = "a/b"}]`, `field "access.permission.project": value "a/b": the name of a project`},
		{`access.permission = [{who = "*", subject = ""}]`, `field "access.permission.subject": value "": a subject as /a/b; it is empty`},
	} {
		_, _, err := loadTOML("relay.listen = [\":80\"]\n" + row.toml)
		if err == nil {
			t.Errorf("%s: accepted", row.toml)
		} else if !strings.Contains(withoutColumns(err), row.want) || !strings.HasPrefix(withoutColumns(err), "f.toml") {
			t.Errorf("%s:\ngot  %s\nwant %s", row.toml, err, row.want)
		}
	}
}

func TestRouterWarnings(t *testing.T) {
	const open = "without access.driver whoever reaches this listener may do everything"
	for _, row := range []struct{ toml, want string }{
		{`router.listen = ["tcp:127.0.0.1:1", "local", "[::1]:2", "localhost:3"]`, ""},
		{`router.listen = [":1"]`, `field "router.listen": ` + open},
		{`router.nats.listen = [":1"]`, `field "router.nats.listen": ` + open},
		{"router.listen = [\":1\"]\naccess = {driver = \"basic\", directory = \"/a\"}", ""},
		{`router = {listen = ["local"], client = {slow_policy = "block"}}`, `field "router.client.slow_policy": value "block": has no effect yet`},
		{`router = {listen = ["local"], enable_control_msgs = ["!sh", "sotopt", "_all"]}`, `field "router.enable_control_msgs": value "sotopt": no such command`},
		{`router = {listen = ["local"], enable_control_msgs = ["_all", "!quit"]}`, `value "!quit": has no effect behind _all: the first that fits holds`},
		{`router = {listen = ["local"], client = {keep_alive_timeout = "5s"}}`, `field "router.client.keep_alive_timeout": has no effect without client.read_timeout`},
		{`router = {listen = ["local"], gmd = {store = "file"}}`, `field "router.gmd.store": has no effect yet`},
		{`router = {listen = ["local"], group = {token_rate = 1}}`, `field "router.group.token_rate": has no effect`},
		{"router.listen = [\"local\"]\n[access]\ndirectory = \"/a\"", `field "access.driver": not set: nobody is asked who he is`},
		{"router.listen = [\"local\"]\naccess = {driver = \"basic\", user = [{name = \"a\", password = \"p\"}]}", `field "access.user.password": in clear text`},
	} {
		_, warnings, err := loadTOML(row.toml)
		got := strings.Join(texts(warnings), "\n")
		if err != nil || (row.want == "") != (got == "") || !strings.Contains(got, row.want) || len(warnings) > 1 {
			t.Errorf("%s: %v\ngot  %s\nwant %s", row.toml, err, got, row.want)
		}
	}
}

// TestTablesOfAccess reads what a dump writes.
func TestTablesOfAccess(t *testing.T) {
	const text = `[router]
listen = ["local"]
[[router.subscription]]
subject = "/a"
[[router.alias]]
name = "a"
text = "echo \"x\"; quit"
[access]
driver = "basic"
[[access.user]]
name = "ann"
password = "hunter2"
token = "hunter3"
[[access.user]]
name = "bob"
[[access.group]]
name = "admin"
members = ["ann"]
[[access.permission]]
allow = false
who = "bob"
verb = "publish"
project = "p"
subject = "/a/..."
[[access.permission]]
who = "admin"
`
	cfg, _, err := loadTOML(text)
	if err != nil {
		t.Fatal(err)
	}
	a := &cfg.Access
	if want := []AccessPermission{{false, "bob", "publish", "p", "/a/..."}, {true, "admin", "all", "*", "/..."}}; !slices.Equal(a.Permissions, want) {
		t.Errorf("got %v, want %v", a.Permissions, want)
	}
	if cfg.Router.Subscriptions[0].Project != DefaultProject || a.Users[0].Password != "hunter2" || len(a.Users) != 2 || a.Groups[0].Members[0] != "ann" {
		t.Errorf("got %+v, %+v", a, cfg.Router.Subscriptions)
	}
	var dump bytes.Buffer
	if err := Dump(&dump, cfg); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dump.String(), "hunter") || strings.Count(dump.String(), mask) != 2 {
		t.Errorf("secrets are not masked:\n%s", dump.String())
	}
	_, _, err = loadTOML(dump.String())
	if err == nil || strings.Count(withoutColumns(err), "the mask of a dump") != 2 {
		t.Errorf("got %v", err)
	}
	cfg.Access.Users = nil
	cfg.Access.Groups, cfg.Access.Permissions, cfg.Access.Directory = nil, nil, "/a"
	dump.Reset()
	if err := Dump(&dump, cfg); err != nil {
		t.Fatal(err)
	}
	again, _, err := loadTOML(dump.String())
	if err != nil || !slices.Equal(again.Router.Aliases, cfg.Router.Aliases) || !slices.Equal(again.Router.Subscriptions, cfg.Router.Subscriptions) {
		t.Errorf("got %+v, %v", again, err)
	}
}
