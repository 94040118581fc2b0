package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// The secrets sesame and ticket, hashed with few rounds: those of config.HashSecret take a quarter of a second.
const (
	hashedSesame = "{pbkdf2-sha256}i=1000$c2FsdHNhbHRzZXNhbWU$iN86nO8jSy2HZ1ubYhpcDKUUlcO8cztGUATiOUBSRNc"
	hashedTicket = "{pbkdf2-sha256}i=1000$c2FsdHNhbHR0aWNrZXQ$CEtZC/zM/dOI4x2fQl/AAeQy1FUXknZ7VLBEoyMIG1I"
)

// rules are those of these tests: ann may do everything below /a but for /a/secret, and reads /r; bob may enter only; boss gives orders.
func rules(cfg *config.Config) {
	permission := func(allow bool, who, verb, subject string) config.AccessPermission {
		return config.AccessPermission{Allow: allow, Who: who, Verb: verb, Project: "rtworks", Subject: subject}
	}
	a := &cfg.Access
	a.Driver = "basic"
	a.Users = []config.AccessUser{
		{Name: "ann", Password: hashedSesame, Token: hashedTicket}, {Name: "bob", Password: "plain"}, {Name: "boss", Password: hashedSesame},
	}
	a.Groups = []config.AccessGroup{{Name: "staff", Members: []string{"ann", "bob"}}, {Name: "admin", Members: []string{"boss"}}}
	a.Permissions = []config.AccessPermission{
		permission(false, "*", "all", "/a/secret"),
		permission(true, "staff", "connect", "/..."), permission(true, "boss", "all", "/..."),
		permission(true, "ann", "all", "/a/..."), permission(true, "ann", "subscribe", "/r"),
	}
	cfg.Router.Client.ConnectTimeout = time.Second // and so a look at everybody four times a second
	cfg.Router.EnableControlMsgs = []string{"_all"}
}

// ruleFiles are the same in files.
func ruleFiles(t testing.TB, dir string) func(*config.Config) {
	for name, text := range map[string]string{
		"users.cfg":       "# who\nann : " + hashedSesame + "\nbob : plain\nboss : " + hashedSesame + "\n",
		"groups.cfg":      "staff : ann, bob\nadmin : boss\n",
		"permissions.cfg": "deny * all rtworks /a/secret\nallow staff connect rtworks /...\nallow boss all rtworks /...\nallow ann all rtworks /a/...\nallow ann subscribe rtworks /r\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(cfg *config.Config) {
		rules(cfg)
		a := &cfg.Access
		a.Users, a.Groups, a.Permissions, a.Directory, a.ReloadInterval = nil, nil, nil, dir, 50*time.Millisecond
	}
}

// user connects as a user.
func (s *routerUnderTest) user(name, password string) *rtClient {
	s.t.Helper()
	return s.joinAs(&message.Hello{Unique: name, Policy: message.PolicyPassword, Username: name, Password: password})
}

func (s *routerUnderTest) joinAs(h *message.Hello) *rtClient {
	s.t.Helper()
	c := s.dialRT()
	c.join(h)
	return c
}

func (s *routerUnderTest) natsUser(name, password string) *natsClient {
	s.t.Helper()
	return s.joinNATS(`"user":"` + name + `","pass":"` + password + `"`)
}

// TestRouterAccess: who may come in, publish and subscribe, by the tables of a configuration and by files.
func TestRouterAccess(t *testing.T) {
	for name, configure := range map[string]func(*config.Config){"tables": rules, "files": ruleFiles(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			s := startRouter(t, configure)
			wantDoorkeeper(t, s)
			wantClientRules(t, s)
			wantNATSRules(t, s)
		})
	}
}

// wantDoorkeeper tries to come in.
func wantDoorkeeper(t *testing.T, s *routerUnderTest) {
	for _, h := range []message.Hello{
		{}, {Username: "ann"}, {Username: "ann", Password: "plain"}, {Username: "eve", Password: "sesame"}, {Project: "other", Username: "ann", Password: "sesame"},
	} {
		c := s.dialRT()
		c.hello(&h)
		if c.welcome.Code != message.CodeDenied || strings.Contains(c.welcome.Text, "password") {
			t.Errorf("%s: %v %q", &h, c.welcome.Code, c.welcome.Text)
		}
		if m, err := c.next(); err == nil {
			t.Errorf("%s: %v instead of the end", &h, m.Type)
		}
	}
	for _, who := range []string{"", `"user":"ann"`, `"user":"ann","pass":"plain"`, `"user":"eve","pass":"sesame"`, `"auth_token":"sesame"`} {
		n := s.dialNATS()
		if !strings.Contains(n.info, `"auth_required":true`) {
			t.Error(n.info)
		}
		n.send("CONNECT {" + who + "}|PING|")
		n.ends("-ERR 'Authorization Violation'|")
	}
	n := s.dialNATS()
	n.send("PUB a 1|x|")
	n.ends("-ERR 'Authorization Violation'|")
	if len(s.cfg.Access.Users) > 0 { // files have no tokens
		s.joinNATS(`"auth_token":"ticket"`).sync()
	}
	s.joinAs(&message.Hello{Username: "bob", Password: "plain"}).sync()
	s.logged("access denied", "user=eve")
	if s.log.has("sesame") || s.log.has("plain,") {
		t.Error("the log has a password")
	}
}

// wantClientRules publishes and subscribes by our own protocol.
func wantClientRules(t *testing.T, s *routerUnderTest) {
	boss, ann, bob := s.user("boss", "sesame"), s.user("ann", "sesame"), s.user("bob", "plain")
	boss.subscribe("/a/b", "/r", "/x")
	all := []message.SetSubscribe{}
	for _, name := range []string{"/a/b", "/a/secret", "/a/*", "/r", "/x", "/...", "/_all", "/_other", "//"} {
		all = append(all, message.SetSubscribe{Subject: []byte(name), Start: true, Balance: true})
	}
	ann.sendRaw(message.AppendBatchSubscribe(nil, all))
	results, err := message.ParseBatchResult(nil, ann.read())
	codes := []message.Code{}
	for _, r := range results {
		codes = append(codes, r.Code)
	}
	const no = message.CodeDenied
	// /_all is one of those that everybody may have as far as the rules allow, and they do not.
	if want := []message.Code{0, no, no, 0, no, no, no, no, message.CodeInvalid}; err != nil || !slices.Equal(codes, want) {
		t.Errorf("%v, %v; want %v", err, codes, want)
	}
	bob.subscribe("/a/b", "/x") // neither is answered, nor in force
	for _, p := range []*rtClient{ann, bob} {
		for _, name := range []string{"/a/b", "/r", "/x"} {
			p.publish(name, p.welcome.Unique)
		}
	}
	boss.want("/a/b", "/ann")
	ann.want("/a/b", "/ann")
	boss.publish("/r", "r")
	boss.want("/r", "r")
	ann.want("/r", "r")
	boss.publish("/bob", "own") // everybody has his own subject
	bob.want("/bob", "own")
	s.wantMetrics(map[string]string{`router_lost_total{reason="denied"}`: "5"})
	wantOrders(t, s, boss, ann)
}

// wantOrders has users give orders to the server.
func wantOrders(t *testing.T, s *routerUnderTest, boss, ann *rtClient) {
	ann.wantControl("echo a", "control: only users in the group admin may send it")
	if got := ann.setRates("_server", rateFields("boss", 1, 1, 1)); got != "admin_set_outbound_rate_params: only users in the group admin may send it" {
		t.Error(got)
	}
	s.logged("level=WARN", "a message to the server was refused", "client=/ann", "only users in the group admin")
	for stop := range message.StopAll + 1 {
		ann.wantStop(stop, message.CodeDenied, "only users in the group admin")
	}
	boss.wantControl("echo a", "a")
	if got := boss.setRates("_server", rateFields("ann", 0, 1, 1)); got != "/ann: no limit" {
		t.Error(got)
	}
	boss.hasControl("setopt sm_security_driver UNKNOWN", "Sm_Security_Driver: it is read at the start only")
	ann.publish("/x", "denied")
	ann.sync()
	boss.wantControl("setopt authorize_publish FALSE; setopt authorize_publish", "Authorize_Publish FALSE (boolean, default TRUE)")
	ann.publish("/x", "allowed")
	boss.want("/x", "allowed")
	boss.wantControl("unsetopt authorize_publish; setopt sd_basic_admin_msg_types -4", "")
	ann.wantControl("echo a", "a") // control messages are for everybody now
	ann.order("_server", "/a/b", "echo to /a/b")
	ann.want("/a/b", "to /a/b")
	boss.want("/a/b", "to /a/b")
	ann.order("_server", "/x", "echo to /x") // where ann may not publish
	s.logged("level=WARN", "no answer", "reply_to=/x")
	boss.nothing(boss)
	boss.wantControl("setopt sd_basic_admin_msg_types -4, -30, -11700", "")
	ann.wantControl("echo a", "control: only users in the group admin may send it")
}

// wantNATSRules publishes and subscribes by the protocol of NATS.
func wantNATSRules(t *testing.T, s *routerUnderTest) {
	boss, ann, bob := s.natsUser("boss", "sesame"), s.natsUser("ann", "sesame"), s.natsUser("bob", "plain")
	boss.send("SUB a.> 1|SUB x 2|SUB a.secret 3|")
	boss.want("-ERR 'Permissions Violation for Subscription to \"a.>\"'|-ERR 'Permissions Violation for Subscription to \"a.secret\"'|")
	boss.send("SUB a.b 1|")
	boss.sync()
	ann.send("SUB a.b 1|SUB a.b q 2|SUB a.secret 3|SUB x q 4|SUB > 5|SUB r 6|")
	ann.want("-ERR 'Permissions Violation for Subscription to \"a.secret\"'|-ERR 'Permissions Violation for Subscription to \"x\" using queue \"q\"'|" +
		"-ERR 'Permissions Violation for Subscription to \">\"'|")
	ann.send("PUB a.secret 1|s|PUB x 1|x|PUB r 1|r|PUB a.b 1|b|")
	ann.want("-ERR 'Permissions Violation for Publish to \"a.secret\"'|-ERR 'Permissions Violation for Publish to \"x\"'|" +
		"-ERR 'Permissions Violation for Publish to \"r\"'|MSG a.b 1 1|b|MSG a.b 2 1|b|")
	boss.want("MSG a.b 1 1|b|")
	bob.send("SUB a.b 1|PUB a.b 1|x|")
	bob.want("-ERR 'Permissions Violation for Subscription to \"a.b\"'|-ERR 'Permissions Violation for Publish to \"a.b\"'|")
	bob.sync()
	boss.publish("/r", "r")
	ann.want("MSG r 6 1|r|")
	ann.sync()
	boss.sync()
}

// TestRouterAccessChanges: new rules hold for those that are connected.
func TestRouterAccessChanges(t *testing.T) {
	s := startRouter(t, rules)
	ann, bob, boss := s.user("ann", "sesame"), s.user("bob", "plain"), s.user("boss", "sesame")
	annNATS, bobNATS, bossNATS := s.natsUser("ann", "sesame"), s.natsUser("bob", "plain"), s.natsUser("boss", "sesame")
	ann.subscribe("/a/b", "/r")
	annNATS.send("SUB a.b 1|SUB r q 2|")
	annNATS.sync()
	reload := func(change func(a *config.Access)) {
		t.Helper()
		cfg := *s.cfg
		a := &cfg.Access
		a.Users, a.Groups, a.Permissions = slices.Clone(a.Users), slices.Clone(a.Groups), slices.Clone(a.Permissions)
		change(a)
		if _, err := s.server.Reload(&cfg); err != nil {
			t.Fatal(err)
		}
		s.cfg = &cfg
	}
	reload(func(a *config.Access) { a.Permissions = a.Permissions[:4] }) // ann may not read /r any more
	annNATS.want("-ERR 'Permissions Violation for Subscription to \"r\" using queue \"q\"'|")
	s.logged("a subscription was ended", "subject=/r", "client=/ann")
	boss.publish("/r", "nobody")
	boss.publish("/a/b", "ann")
	ann.want("/a/b", "ann")
	annNATS.want("MSG a.b 1 3|ann|")
	ann.setSubscribe("/r", true, true)
	boss.publish("/r", "nobody")
	boss.sync()
	ann.sync()

	reload(func(a *config.Access) { a.Groups[0].Members = []string{"ann"} }) // bob may not enter any more
	bob.ends(message.CodeDenied, "user bob may not be in project rtworks any more")
	bobNATS.ends("-ERR 'Authorization Violation'|")
	reload(func(a *config.Access) {
		a.Users = a.Users[1:]
		a.Groups = a.Groups[1:]
		a.Permissions = a.Permissions[2:3]
	}) // nobody knows ann any more
	ann.ends(message.CodeDenied, "user ann is not known any more")
	annNATS.ends("-ERR 'Authorization Violation'|")
	boss.sync()
	bossNATS.sync()

	reload(func(a *config.Access) { a.Driver = "" }) // nobody is asked any more
	boss.subscribe("/a/secret")
	anybody := s.joinRT("anybody")
	anyNATS := s.joinNATS()
	anybody.publish("/a/secret", "told")
	boss.want("/a/secret", "told")
	reload(func(a *config.Access) { a.Driver = "basic" })
	anybody.ends(message.CodeDenied, "nobody was asked who he is")
	anyNATS.ends("-ERR 'Authorization Violation'|")
	boss.sync()
	bossNATS.sync()
}

// TestRouterAccessFilesChange: files of rules are looked at again without being asked.
func TestRouterAccessFilesChange(t *testing.T) {
	dir := t.TempDir()
	s := startRouter(t, ruleFiles(t, dir))
	ann, boss, n := s.user("ann", "sesame"), s.user("boss", "sesame"), s.natsUser("ann", "sesame")
	ann.subscribe("/a/b")
	n.send("SUB a.b 1|")
	n.sync()
	put := func(name, text string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put("permissions.cfg", "allow nonsense\n")
	s.logged("level=ERROR", "the old rules stay in force", "permissions.cfg:1")
	boss.publish("/a/b", "still")
	ann.want("/a/b", "still")
	n.want("MSG a.b 1 5|still|")
	put("permissions.cfg", "allow * connect rtworks /...\nallow boss all rtworks /...\n")
	n.want("-ERR 'Permissions Violation for Subscription to \"a.b\"'|")
	s.logged("a subscription was ended", "subject=/a/b", "client=/ann")
	boss.publish("/a/b", "nobody")
	ann.nothing(boss)
	put("users.cfg", "boss : "+hashedSesame+"\n")
	put("groups.cfg", "admin : boss\n")
	ann.ends(message.CodeDenied, "not known any more")
	boss.sync()
}

// TestRouterNoAuthUser: NATS clients that do not say who they are may be a user.
func TestRouterNoAuthUser(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) { rules(cfg); cfg.Router.NATS.NoAuthUser = "ann" })
	for _, hello := range []string{"", "CONNECT {\"verbose\":false,\"pedantic\":false}|"} {
		n := s.dialNATS()
		n.send(hello + "SUB x 1|SUB a.b 2|PUB a.b 1|b|")
		if hello == "" {
			n.want("-ERR 'Permissions Violation for Subscription to \"x\"'|+OK|+OK|MSG a.b 2 1|b|")
		} else {
			n.want("-ERR 'Permissions Violation for Subscription to \"x\"'|MSG a.b 2 1|b|")
		}
	}
	n := s.dialNATS()
	n.send("CONNECT {\"user\":\"ann\",\"pass\":\"wrong\"}|")
	n.ends("-ERR 'Authorization Violation'|")
}
