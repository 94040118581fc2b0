package ntf

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
)

// roundhouse is the path of our own program.
type roundhouse string

func (r roundhouse) argv(n *node) []string {
	return []string{string(r), "serve", "-c", n.file("roundhouse.toml")}
}

func (r roundhouse) configure(n *node) error {
	text, err := toml(n)
	if err != nil {
		return err
	}
	return os.WriteFile(n.file("roundhouse.toml"), []byte(text), 0o600)
}

// probe asks a server's admin listener. It keeps no connection, and so no goroutine: some tests count them.
var probe = http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (r roundhouse) ready(n *node) bool {
	answer, err := probe.Get("http://" + n.adminAddr() + "/readyz")
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

func (r roundhouse) reloads(n *node) (int, error) {
	log := n.log()
	if bytes.Contains(log, []byte("the configuration was not read again")) {
		return 0, errors.New("it refused")
	}
	return bytes.Count(log, []byte("the configuration was read again")), nil
}

func (r roundhouse) lameDuck() os.Signal { return syscall.SIGTERM }

// toml translates what a test asks for. What has no counterpart is an error: such a test does not apply.
func toml(n *node) (string, error) {
	wishes, err := conf.Parse(strings.Join(n.settings.texts, "\n"))
	if err != nil {
		return "", fmt.Errorf("natsgo: settings of a test: %w", err)
	}
	var t translation
	for _, key := range slices.Sorted(maps.Keys(wishes)) {
		if err := t.top(key, wishes[key]); err != nil {
			return "", fmt.Errorf("natsgo: settings of a test: %q: %w", key, err)
		}
	}
	return t.text(n), nil
}

// translation gathers the parts of a TOML file.
type translation struct {
	nats   []string // lines of [router.nats]
	users  []string // tables
	rights []string // tables, of users and in the order in which they are tried
}

func (t *translation) text(n *node) string {
	timeout, grace := 0, 0 // tests stop a server in order to see it gone
	if n.settings.slow {
		timeout, grace = 20, 2
	}
	lines := []string{
		fmt.Sprintf("drain_timeout = \"%ds\"", timeout), fmt.Sprintf("drain_grace = \"%ds\"", grace),
		"[admin]", fmt.Sprintf("listen = %q", n.adminAddr()),
		"[router.nats]", fmt.Sprintf("listen = [%q]", n.listen()),
	}
	if s := n.settings.tls; s != nil {
		lines = append(lines, fmt.Sprintf("tls_cert = %q", n.file(serverCertFile)), fmt.Sprintf("tls_key = %q", n.file(serverKeyFile)))
		if !s.serverOnly {
			lines = append(lines, fmt.Sprintf("tls_client_ca = %q", n.file(caFile)))
		}
		if s.first {
			lines = append(lines, "tls_first = true")
		}
	}
	lines = append(lines, t.nats...)
	if len(t.users) > 0 {
		lines = append(lines, "[access]", "driver = \"basic\"")
	}
	lines = append(append(lines, t.users...), t.rights...)
	return strings.Join(lines, "\n") + "\n"
}

var errNoCounterpart = errors.New("has no counterpart")

// numbers are settings of nats-server that have a counterpart in [router.nats].
var numbers = map[string]string{
	"max_connections":   "max_connections",
	"max_payload":       "max_payload",
	"max_subscriptions": "max_subscriptions",
	"max_control_line":  "max_control_line",
	"max_pending":       "max_pending",
}

func (t *translation) top(key string, value any) error {
	if name, ok := numbers[key]; ok {
		t.nats = append(t.nats, fmt.Sprintf("%s = %d", name, value))
		return nil
	}
	block, _ := value.(map[string]any)
	switch {
	case key == "authorization":
		return t.authorization(block)
	case key == "accounts" && len(block) == 1:
		for _, account := range block {
			account, _ := account.(map[string]any)
			return t.authorization(account)
		}
	}
	return errNoCounterpart
}

// authorization translates a block that has one user, or a token, or a list of users.
func (t *translation) authorization(block map[string]any) error {
	user := map[string]any{}
	for key, value := range block {
		switch key {
		case "user", "password", "token":
			user[key] = value
		case "timeout":
			t.nats = append(t.nats, fmt.Sprintf("auth_timeout = \"%vs\"", value))
		case "users":
			list, _ := value.([]any)
			for _, user := range list {
				user, _ := user.(map[string]any)
				if err := t.user(user); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("%q: %w", key, errNoCounterpart)
		}
	}
	if len(user) > 0 {
		return t.user(user)
	}
	return nil
}

func (t *translation) user(user map[string]any) error {
	name, lines := "natsgo", []string{}
	var rights map[string]any
	for key, value := range user {
		switch key {
		case "user":
			name = fmt.Sprint(value)
		case "password", "token":
			lines = append(lines, fmt.Sprintf("%s = %q", key, fmt.Sprint(value)))
		case "permissions":
			rights, _ = value.(map[string]any)
		default:
			return fmt.Errorf("a user's %q: %w", key, errNoCounterpart)
		}
	}
	t.users = append(t.users, "[[access.user]]", fmt.Sprintf("name = %q", name))
	t.users = append(t.users, lines...)
	t.right(true, name, "connect", ">")
	for _, verb := range []string{"publish", "subscribe"} {
		t.permission(name, verb, rights[verb])
	}
	return nil
}

// permission translates what a user may do: subjects, or a block of those allowed and of those denied, which go first.
func (t *translation) permission(user, verb string, value any) {
	allow, deny := []string{">"}, []string(nil)
	switch value := value.(type) {
	case nil:
	case map[string]any:
		deny = subjects(value["deny"])
		if value["allow"] != nil {
			allow = subjects(value["allow"])
		}
	default:
		allow = subjects(value)
	}
	for _, subject := range deny {
		t.right(false, user, verb, subject)
	}
	for _, subject := range allow {
		t.right(true, user, verb, subject)
	}
}

func (t *translation) right(allow bool, user, verb, subject string) {
	t.rights = append(t.rights, "[[access.permission]]", fmt.Sprintf("allow = %v", allow), fmt.Sprintf("who = %q", user),
		fmt.Sprintf("verb = %q", verb), fmt.Sprintf("subject = %q", path(subject)))
}

// subjects returns what is one subject, a list of them, or nil: none.
func subjects(value any) []string {
	if value == nil {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var all []string
	for _, subject := range list {
		all = append(all, fmt.Sprint(subject))
	}
	return all
}

// path returns a subject of NATS in our own notation.
func path(subject string) string {
	if subject == ">" {
		return "/..."
	}
	name := "/" + strings.ReplaceAll(subject, ".", "/")
	if rest, ok := strings.CutSuffix(name, "/>"); ok {
		return rest + "/*/..."
	}
	return name
}
