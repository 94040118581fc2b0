package ntf

import (
	"errors"
	"strings"
	"testing"
)

func TestTOML(t *testing.T) {
	const head = "drain_timeout = \"0s\"\ndrain_grace = \"0s\"\n[admin]\nlisten = \"127.0.0.1:2\"\n[router.nats]\nlisten = [\"127.0.0.1:1\"]\n"
	right := func(allow, verb, subject string) string {
		return "[[access.permission]]\nallow = " + allow + "\nwho = \"derek\"\nverb = \"" + verb + "\"\nsubject = \"" + subject + "\"\n"
	}
	user := "[access]\ndriver = \"basic\"\n[[access.user]]\nname = \"derek\"\npassword = \"pork\"\n" + right("true", "connect", "/...")
	for name, c := range map[string]struct {
		text, want string
		tls        *tlsSettings
	}{
		"nothing":  {text: "# nothing", want: head},
		"limit":    {text: "max_connections: 2", want: head + "max_connections = 2\n"},
		"one user": {text: "authorization { user: derek, password: pork, timeout: 1 }", want: head + "auth_timeout = \"1s\"\n" + user + right("true", "publish", "/...") + right("true", "subscribe", "/...")},
		"account":  {text: "accounts: { A { users: [{ user: derek, password: pork }] } }", want: head + user + right("true", "publish", "/...") + right("true", "subscribe", "/...")},
		"token": {text: "authorization { token: \"s3cret\" }", want: head + strings.ReplaceAll(strings.Replace(user, "password = \"pork\"", "token = \"s3cret\"", 1), "derek", "natsgo") +
			strings.ReplaceAll(right("true", "publish", "/...")+right("true", "subscribe", "/..."), "derek", "natsgo")},
		"allow": {text: "authorization { users = [ { user: derek, password: pork, permissions: { publish: \"a.*\", subscribe: { allow: [b, \"c.>\"] } } } ] }",
			want: head + user + right("true", "publish", "/a/*") + right("true", "subscribe", "/b") + right("true", "subscribe", "/c/*/...")},
		"deny": {text: "authorization { users = [ { user: derek, password: pork, permissions: { subscribe: { deny: foo } } } ] }",
			want: head + user + right("true", "publish", "/...") + right("false", "subscribe", "/foo") + right("true", "subscribe", "/...")},
		"TLS": {tls: &tlsSettings{first: true}, want: head + "tls_cert = \"/d/server-cert.pem\"\ntls_key = \"/d/server-key.pem\"\ntls_client_ca = \"/d/ca.pem\"\ntls_first = true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := toml(&node{dir: "/d", port: 1, admin: 2, settings: settings{texts: []string{c.text}, tls: c.tls}})
			if err != nil || got != c.want {
				t.Errorf("error %v, got:\n%s\nwant:\n%s", err, got, c.want)
			}
		})
	}
}

func TestTOMLHasNoCounterpart(t *testing.T) {
	for _, text := range []string{
		"no_header_support: true",
		"system_account: SYS",
		"accounts: { A { users: [] }, B { users: [] } }",
		"accounts: { A { users: [{ user: a }], limits: { max_conn: 1 } } }",
		"authorization { users: [ { nkey: UA } ] }",
	} {
		if _, err := toml(&node{settings: settings{texts: []string{text}}}); !errors.Is(err, errNoCounterpart) {
			t.Errorf("%s: error %v, want %v", text, err, errNoCounterpart)
		}
	}
}
