package server_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// natsServerEnv names a program of nats-server v2.15.2: when it is set, the conversations below are held with it, too.
const natsServerEnv = "ROUNDHOUSE_TEST_NATS_SERVER"

// conversation is what a NATS client says, and everything that it hears after INFO until the connection ends or, when it does not, until
// the server is silent. It is the same with nats-server v2.15.2, unless other says what that one answers.
type conversation struct {
	name  string
	says  string // | stands for CR LF
	hears string // as well; it ends with END when the connection does
	other string
}

const (
	quietConnect = `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}|`
	plainConnect = `CONNECT {"verbose":false,"pedantic":false}|`
)

// natsConversations are for a server that asks nobody who he is, with a max_payload of 1000, a max_control_line of 1024 and at most 5
// subscriptions of a client.
var natsConversations = []conversation{
	{name: "verbose is the default", says: "PING|SUB a 1|PUB a 1|x|UNSUB 1|", hears: "PONG|+OK|+OK|MSG a 1 1|x|+OK|"},
	{name: "verbose", says: `CONNECT {"verbose":true}|PING|PONG|SUB a 1|PUB a 1|x|UNSUB 1 5|UNSUB 1|UNSUB 9|`,
		hears: "+OK|PONG|+OK|+OK|MSG a 1 1|x|+OK|+OK|+OK|"},
	{name: "quiet", says: plainConnect + "SUB a 1|PUB a 1|x|UNSUB 1|PUB a 1|y|PING|", hears: "MSG a 1 1|x|PONG|"},
	{name: "connect twice", says: plainConnect + `CONNECT {"verbose":true}|SUB a 1|`, hears: "+OK|+OK|"},
	{name: "lower case and blanks", says: "connect {\"verbose\":false}|sub \t a  1 |pub  a \t1|x|ping|Unsub  1|pinG|", hears: "MSG a 1 1|x|PONG|PONG|"},
	{name: "reply", says: plainConnect + "SUB a.b 1|PUB a.b in.box 3|abc|PING|", hears: "MSG a.b 1 in.box 3|abc|PONG|"},
	{name: "empty payload", says: plainConnect + "SUB a 1|PUB a 0||PING|", hears: "MSG a 1 0||PONG|"},
	{name: "payload with lines", says: plainConnect + "SUB a 1|PUB a 8|PING|||PING|", hears: "MSG a 1 8|PING|||PONG|"},
	{name: "a copy for each subscription", says: plainConnect + "SUB a.* 1|PING|PUB a.b 1|x|PING|UNSUB 1|SUB a.> 2|PUB a.b 1|y|PING|",
		hears: "PONG|MSG a.b 1 1|x|PONG|MSG a.b 2 1|y|PONG|"},
	{name: "wildcards", says: plainConnect + "SUB a.*.c 1|SUB x.> 2|PUB a.b.c 1|1|PUB a.b 1|2|PUB a.b.c.d 1|3|PUB x 1|4|PUB x.y 1|5|PUB x.y.z 1|6|PING|",
		hears: "MSG a.b.c 1 1|1|MSG x.y 2 1|5|MSG x.y.z 2 1|6|PONG|"},
	{name: "everything", says: plainConnect + "SUB > 1|PUB a 1|1|PUB a.b 1|2|PING|", hears: "MSG a 1 1|1|MSG a.b 1 1|2|PONG|"},
	{name: "literal wildcards", says: plainConnect + "SUB a.b 1|SUB a.* 2|PUB a.* 1|x|PUB a.> 1|y|PING|", hears: "MSG a.* 2 1|x|MSG a.> 2 1|y|PONG|"},
	{name: "wildcards within tokens", says: plainConnect + "SUB a*.b 1|SUB a.>b 2|SUB a.>.c 3|PUB ax.b 1|x|PUB a*.b 1|1|PUB a.>b 1|2|PING|",
		hears: "-ERR 'Invalid Subject'|MSG a*.b 1 1|1|MSG a.>b 2 1|2|PONG|"},
	{name: "odd bytes", says: plainConnect + "SUB /a/%2F.…\x01\xff 1|PUB /a/%2F.…\x01\xff 1|x|PING|", hears: "MSG /a/%2F.…\x01\xff 1 1|x|PONG|"},
	{name: "empty tokens", says: plainConnect + "SUB a..b 1|SUB .a 2|SUB a. 3|PUB a..b 1|x|PUB .a 1|x|PUB a. 1|x|PING|",
		hears: "-ERR 'Invalid Subject'|-ERR 'Invalid Subject'|-ERR 'Invalid Subject'|PONG|"},
	{name: "the same sid again", says: plainConnect + "SUB a 1|SUB b 1|PUB a 1|x|PUB b 1|y|PING|", hears: "MSG a 1 1|x|PONG|"},
	{name: "a sid of letters", says: plainConnect + "SUB a q foo-1|PUB a 1|x|PING|", hears: "MSG a foo-1 1|x|PONG|"},
	{name: "unsub max", says: plainConnect + "SUB a 1|UNSUB 1 2|PUB a 1|1|PUB a 1|2|PUB a 1|3|PING|", hears: "MSG a 1 1|1|MSG a 1 1|2|PONG|"},
	{name: "unsub max counts what has come", says: plainConnect + "SUB a 1|PUB a 1|1|PUB a 1|2|UNSUB 1 3|PUB a 1|3|PUB a 1|4|PING|",
		hears: "MSG a 1 1|1|MSG a 1 1|2|MSG a 1 1|3|PONG|"},
	{name: "unsub max that is passed", says: plainConnect + "SUB a 1|PUB a 1|1|PUB a 1|2|UNSUB 1 2|PUB a 1|3|PING|", hears: "MSG a 1 1|1|MSG a 1 1|2|PONG|"},
	{name: "unsub max, then raised", says: plainConnect + "SUB a 1|UNSUB 1 1|UNSUB 1 2|PUB a 1|1|PUB a 1|2|PUB a 1|3|PING|", hears: "MSG a 1 1|1|MSG a 1 1|2|PONG|"},
	{name: "no echo", says: `CONNECT {"verbose":false,"echo":false}|SUB a 1|PUB a 1|x|PING|`, hears: "PONG|"},
	{name: "a queue group", says: plainConnect + "SUB a g 1|SUB a g 2|UNSUB 1|PUB a 1|x|PING|", hears: "MSG a 2 1|x|PONG|"},
	{name: "two queue groups", says: plainConnect + "SUB a g 1|SUB a h 1h|UNSUB 1h|PUB a 1|x|PING|", hears: "MSG a 1 1|x|PONG|"},
	{name: "header", says: quietConnect + "SUB a 1|HPUB a 18 20|NATS/1.0|A: b||hi|PING|", hears: "HMSG a 1 18 20|NATS/1.0|A: b||hi|PONG|"},
	{name: "header and reply", says: quietConnect + "SUB a 1|HPUB a r 18 18|NATS/1.0|A: b|||PING|", hears: "HMSG a 1 r 18 18|NATS/1.0|A: b|||PONG|"},
	{name: "nobody answers", says: quietConnect + "SUB in.box 1|PUB nobody in.box 1|x|PING|",
		hears: "HMSG in.box 1 38 38|NATS/1.0 503|Nats-Subject: nobody|||PONG|"},
	{name: "nobody answers on a wildcard", says: quietConnect + "SUB in.* 1|PUB nobody in.box 1|x|PING|",
		hears: "HMSG in.box 1 38 38|NATS/1.0 503|Nats-Subject: nobody|||PONG|"},
	{name: "nobody answers and nobody is told", says: plainConnect + "SUB in.box 1|PUB nobody in.box 1|x|PING|", hears: "PONG|"},
	{name: "nobody answers, and a maximum", says: quietConnect + "SUB in 1|UNSUB 1 1|PUB nobody in 1|x|PUB in 1|y|PUB in 1|z|PING|",
		hears: "HMSG in 1 38 38|NATS/1.0 503|Nats-Subject: nobody|||MSG in 1 1|y|PONG|"},
	{name: "nobody answers, the others have unsubscribed", says: quietConnect + "SUB in 1|SUB a q 2|UNSUB 2|PUB a in 1|x|PING|",
		hears: "HMSG in 1 33 33|NATS/1.0 503|Nats-Subject: a|||PONG|"},
	{name: "somebody answers", says: quietConnect + "SUB in.box 1|SUB a 2|PUB a in.box 1|x|PUB in.box 1|y|PING|", hears: "MSG a 2 in.box 1|x|MSG in.box 1 1|y|PONG|"},
	{name: "no responders without headers", says: `CONNECT {"verbose":false,"no_responders":true}|PING|`, hears: "-ERR 'no responders requires headers support'|END"},
	{name: "headers that were not announced", says: plainConnect + "SUB a 1|HPUB a 12 12|NATS/1.0|||PING|", hears: "-ERR 'message headers not supported'|END", other: "END"},
	{name: "pedantic", says: `CONNECT {"verbose":false,"pedantic":true}|SUB a.* 1|PUB a.* 1|x|PUB a..b 1|y|PING|`,
		hears: "-ERR 'Invalid Publish Subject'|MSG a.* 1 1|x|-ERR 'Invalid Publish Subject'|PONG|"},
	{name: "protocol 2", says: `CONNECT {"verbose":false,"protocol":2}|PING|`, hears: "-ERR 'invalid client protocol'|END"},
	{name: "bad JSON", says: `CONNECT {"verbose":|PING|`, hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "garbage", says: "garbage|PING|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "HTTP", says: "GET / HTTP/1.1|Host: x||", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "TLS", says: "\x16\x03\x01\x02\x00\x01\x00|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "an unknown operation after others", says: plainConnect + "PING|PANG|PING|", hears: "PONG|-ERR 'Unknown Protocol Operation'|END"},
	{name: "what only servers say", says: plainConnect + "MSG a 1 1|x|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "sub without arguments", says: plainConnect + "SUB |PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "sub with too many arguments", says: plainConnect + "SUB a b c d|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "pub without a size", says: plainConnect + "PUB a|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "pub with a negative size", says: plainConnect + "PUB a -1|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "pub with a size of letters", says: plainConnect + "PUB a xy|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "a payload without its end", says: plainConnect + "SUB a 1|PUB a 1|xy|PING|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "hpub with more header than message", says: quietConnect + "HPUB a 12 5|NATS/1.0|||", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "unsub without a sid", says: plainConnect + "UNSUB |PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "largest payload", says: plainConnect + "SUB a 1|PUB a 1000|" + strings.Repeat("x", 1000) + "|PING|", hears: "MSG a 1 1000|" + strings.Repeat("x", 1000) + "|PONG|"},
	{name: "payload too large", says: plainConnect + "PUB a 1001|", hears: "-ERR 'Maximum Payload Violation'|END"},
	{name: "header and payload too large", says: quietConnect + "HPUB a 12 1001|NATS/1.0|||", hears: "-ERR 'Maximum Payload Violation'|END"},
	{name: "absurd payload", says: plainConnect + "PUB a 99999999999999999999|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "longest line", says: plainConnect + "SUB " + strings.Repeat("x", 1000) + " 1|PING|", hears: "PONG|"},
	{name: "line too long", says: plainConnect + "SUB " + strings.Repeat("x", 1100) + " 1|PING|", hears: "-ERR 'maximum control line exceeded'|END"},
	{name: "line too long and without an end", says: plainConnect + "PUB " + strings.Repeat("x", 2000), hears: "-ERR 'maximum control line exceeded'|END"},
	{name: "most subscriptions", says: plainConnect + "SUB a 1|SUB a 2|SUB a 3|SUB a 4|SUB a 5|SUB b 6|PING|UNSUB 1|SUB b 7|PUB b 1|x|PING|",
		hears: "-ERR 'maximum subscriptions exceeded'|PONG|MSG b 7 1|x|PONG|"},
	{name: "most subscriptions, verbose", says: `CONNECT {"verbose":true}|SUB a 1|SUB a 2|SUB a 3|SUB a 4|SUB a 5|SUB b 6|PING|`,
		hears: "+OK|+OK|+OK|+OK|+OK|+OK|-ERR 'maximum subscriptions exceeded'|PONG|"},
	{name: "errors, verbose", says: `CONNECT {"verbose":true,"pedantic":true}|SUB a..b 1|PUB a.* 1|x|PING|`,
		hears: "+OK|-ERR 'Invalid Subject'|-ERR 'Invalid Publish Subject'|+OK|PONG|"},
	{name: "unsub with a maximum of 0", says: plainConnect + "SUB a 1|UNSUB 1 0|PUB a 1|x|PING|", hears: "PONG|"},
	{name: "unsub with a negative maximum", says: plainConnect + "SUB a 1|UNSUB 1 -1|PUB a 1|x|PING|", hears: "PONG|"},
	{name: "unsub with a maximum of letters", says: plainConnect + "SUB a 1|UNSUB 1 x|PUB a 1|x|PING|", hears: "PONG|"},
	{name: "unsub with too many arguments", says: plainConnect + "SUB a 1|UNSUB 1 1 1|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "unsub with an absurd maximum", says: plainConnect + "SUB a 1|UNSUB 1 99999999999|PUB a 1|x|PING|", hears: "PONG|"},
	{name: "lines that end with LF", says: plainConnect + "SUB a 1\nPING\nPUB a 1\nx|PING|", hears: "PONG|MSG a 1 1|x|PONG|"},
	{name: "an empty line first", says: "|PING|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "blanks at the end", says: plainConnect + "SUB a 1 |PUB a 1 |x|PING |", hears: "MSG a 1 1|x|PONG|"},
	{name: "a size with zeros in front", says: plainConnect + "SUB a 1|PUB a 0001|x|PING|", hears: "MSG a 1 1|x|PONG|", other: "MSG a 1 0001|x|PONG|"},
	{name: "a size with a sign", says: plainConnect + "PUB a +1|x|PING|", hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "connect with unknown options", says: `CONNECT {"verbose":false,"colour":"red","lang":7}|PING|`, hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "connect with nothing", says: `CONNECT |PING|`, hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "connect in capitals", says: `CONNECT {"VERBOSE":false,"Echo":false}|SUB a 1|PUB a 1|x|PING|`, hears: "PONG|"},
	{name: "connect with more behind it", says: `CONNECT {"verbose":false} x|PING|`, hears: "-ERR 'Parser Error'|END", other: "END"},
	{name: "an empty header", says: quietConnect + "SUB a 1|HPUB a 0 2|hi|PING|", hears: "MSG a 1 2|hi|PONG|"},
	{name: "a header that is none", says: quietConnect + "SUB a 1|HPUB a 4 6|abcdhi|PING|", hears: "HMSG a 1 4 6|abcdhi|PONG|"},
	{name: "pub to a wildcard with a reply", says: quietConnect + "SUB a.> 1|PUB a.* r.* 1|x|PING|", hears: "MSG a.* 1 r.* 1|x|PONG|"},
	{name: "an empty reply", says: quietConnect + "SUB a 1|PUB a . 1|x|PING|", hears: "MSG a 1 . 1|x|PONG|"},
	{name: "a queue group with odd bytes", says: plainConnect + "SUB a g.* 1|SUB a * 2|UNSUB 2|PUB a 1|x|PING|", hears: "MSG a 1 1|x|PONG|"},
	{name: "the same sid in a queue group", says: plainConnect + "SUB a 1|SUB a q 1|PUB a 1|x|PING|", hears: "MSG a 1 1|x|PONG|"},
	{name: "no echo and nobody answers", says: `CONNECT {"verbose":false,"echo":false,"headers":true,"no_responders":true}|SUB r 1|SUB a 2|PUB a r 1|x|PING|`,
		hears: "HMSG r 1 33 33|NATS/1.0 503|Nats-Subject: a|||PONG|"},
	{name: "pongs that nobody asked for", says: plainConnect + "PONG|PONG|PONG|PING|", hears: "PONG|"},
	{name: "ping with more", says: plainConnect + "PING x|PING|", hears: "PONG|PONG|"},
	{name: "an operation cut short", says: plainConnect + "PUBLISH a 1|x|", hears: "-ERR 'Unknown Protocol Operation'|END"},
	{name: "sub to nothing but dots", says: plainConnect + "SUB . 1|SUB ... 2|PUB ... 1|x|PING|", hears: "-ERR 'Invalid Subject'|-ERR 'Invalid Subject'|PONG|"},
	{name: "sub to > in the middle", says: plainConnect + "SUB >.a 1|SUB >> 2|SUB ** 3|PUB >> 1|x|PUB ** 1|y|PING|", hears: "-ERR 'Invalid Subject'|MSG >> 2 1|x|MSG ** 3 1|y|PONG|"},
	{name: "INFO of a client", says: `CONNECT {"verbose":true}|INFO {}|PING|`, hears: "+OK|PONG|"},
	{name: "+OK and -ERR of a client", says: plainConnect + "+OK|PING|", hears: "PONG|"},
}

// authConversations are for a server with the user alice, password secret, the user bot with the token t0ken, who may publish to pub.> and
// subscribe to sub.>, and an auth timeout of a second.
var authConversations = []conversation{
	{name: "password", says: `CONNECT {"verbose":false,"user":"alice","pass":"secret"}|PING|`, hears: "PONG|"},
	{name: "password, verbose", says: `CONNECT {"verbose":true,"user":"alice","pass":"secret"}|PING|`, hears: "+OK|PONG|"},
	{name: "wrong password", says: `CONNECT {"verbose":false,"user":"alice","pass":"wrong"}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
	{name: "nobody", says: `CONNECT {"verbose":false}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
	{name: "unknown user", says: `CONNECT {"verbose":false,"user":"eve","pass":"secret"}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
	{name: "subscribe first", says: "SUB a 1|PING|", hears: "-ERR 'Authorization Violation'|END"},
	{name: "ping first", says: "PING|", hears: "-ERR 'Authorization Violation'|END"},
	{name: "garbage first", says: "garbage|", hears: "-ERR 'Authorization Violation'|END"},
	{name: "too late", says: "", hears: "-ERR 'Authentication Timeout'|END"},
	{name: "permissions", says: `CONNECT {"verbose":false,"user":"bot","pass":"t0ken"}|SUB sub.a 1|SUB other 2|SUB > 3|SUB other q 4|PUB pub.a 1|x|PUB other 1|x|PING|`,
		hears: `-ERR 'Permissions Violation for Subscription to "other"'|-ERR 'Permissions Violation for Subscription to ">"'|` +
			`-ERR 'Permissions Violation for Subscription to "other" using queue "q"'|-ERR 'Permissions Violation for Publish to "other"'|PONG|`},
	{name: "permissions, verbose", says: `CONNECT {"verbose":true,"user":"bot","pass":"t0ken"}|SUB other 2|PUB other 1|x|PING|`,
		hears: `+OK|-ERR 'Permissions Violation for Subscription to "other"'|-ERR 'Permissions Violation for Publish to "other"'|PONG|`},
}

// hold has a conversation and returns what was heard.
func hold(t *testing.T, addr string, c conversation) string {
	t.Helper()
	n := dialNATS(t, addr)
	defer n.conn.Close()
	n.send(c.says)
	want := natsLines.Replace(strings.TrimSuffix(c.hears, "END"))
	ends := strings.HasSuffix(c.hears, "END")
	_ = n.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	got := make([]byte, len(want))
	size, err := io.ReadFull(n.in, got)
	got = got[:size]
	if err == nil {
		if !ends {
			_ = n.write("PING\r\n") // the end of the connection says more
		}
		more := make([]byte, 4096)
		var extra int
		for err == nil && !strings.Contains(string(more[:extra]), "PONG\r\n") {
			size, err = n.in.Read(more[extra:])
			extra += size
		}
		if got = append(got, more[:extra]...); !ends {
			got = []byte(strings.TrimSuffix(string(got), "PONG\r\n"))
		}
	}
	text := strings.ReplaceAll(string(got), "\r\n", "|")
	if err != nil && !isTimeout(err) {
		text += "END"
	}
	return text
}

func holdAll(t *testing.T, addr string, real bool, all []conversation) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if real && c.other != "" {
				c.hears = c.other
			}
			if got := hold(t, addr, c); got != c.hears {
				t.Errorf("\nsays  %q\nhears %q\nwant  %q", c.says, got, c.hears)
			}
		})
	}
}

// TestNATSConversations holds all of them.
func TestNATSConversations(t *testing.T) {
	s := startRouter(t, func(c *config.Config) {
		c.Router.NATS.MaxPayload, c.Router.NATS.MaxControlLine, c.Router.NATS.MaxSubscriptions = 1000, 1024, 5
	})
	holdAll(t, s.nats, false, natsConversations)
	compareNATS(t, "max_payload: 1000\nmax_control_line: 1024\nmax_subscriptions: 5\n", natsConversations)
}

// withAccess has the server ask who comes: see authConversations.
func withAccess(c *config.Config) {
	c.Router.NATS.AuthTimeout = time.Second
	c.Access.Driver = "basic"
	c.Access.Users = []config.AccessUser{
		{Name: "alice", Password: "secret"}, {Name: "bot", Password: "t0ken", Token: "token of bot"}, {Name: "outsider", Password: "secret"},
	}
	allow := func(who, verb, subject string) {
		c.Access.Permissions = append(c.Access.Permissions, config.AccessPermission{Allow: true, Who: who, Verb: verb, Project: "*", Subject: subject})
	}
	allow("alice", "all", "/...")
	allow("bot", "connect", "/...")
	allow("bot", "publish", "/pub/...")
	allow("bot", "subscribe", "/sub/...")
}

// TestNATSAuthorization holds the conversations in which it is asked who comes.
func TestNATSAuthorization(t *testing.T) {
	s := startRouter(t, withAccess)
	holdAll(t, s.nats, false, authConversations)
	compareNATS(t, `authorization { timeout: 1, users: [ {user: alice, password: secret},
		{user: bot, password: t0ken, permissions: {publish: "pub.>", subscribe: "sub.>"}} ] }
`, authConversations)
	holdAll(t, s.nats, false, []conversation{ // nats-server has tokens or users, not both
		{name: "token", says: `CONNECT {"verbose":false,"auth_token":"token of bot"}|SUB sub.a 1|PUB pub.a 1|x|PING|`, hears: "PONG|"},
		{name: "wrong token", says: `CONNECT {"verbose":false,"auth_token":"wrong"}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
		{name: "may not connect", says: `CONNECT {"verbose":false,"user":"outsider","pass":"secret"}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
	})
	s.logged("connection ended by the server", "kind=denied")
	s.logged("connection ended by the server", "kind=late")
}

// TestNATSNoAuthUser has a user for those who do not say who they are.
func TestNATSNoAuthUser(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { withAccess(c); c.Router.NATS.NoAuthUser = "bot" })
	holdAll(t, s.nats, false, []conversation{
		{name: "nobody", says: `CONNECT {"verbose":false}|SUB other 1|PING|`, hears: `-ERR 'Permissions Violation for Subscription to "other"'|PONG|`},
		{name: "alice", says: `CONNECT {"verbose":false,"user":"alice","pass":"secret"}|SUB other 1|PING|`, hears: "PONG|"},
		{name: "wrong password", says: `CONNECT {"verbose":false,"user":"alice","pass":"wrong"}|PING|`, hears: "-ERR 'Authorization Violation'|END"},
		{name: "ping first", says: "PING|", hears: "PONG|"},
		{name: "subscribe first", says: "SUB sub.a 1|PING|", hears: "+OK|PONG|"},
	})
	compareNATS(t, `no_auth_user: bot
authorization { timeout: 1, users: [ {user: alice, password: secret}, {user: bot, password: t0ken, permissions: {publish: "pub.>", subscribe: "sub.>"}} ] }
`, []conversation{
		{name: "ping first", says: "PING|", hears: "PONG|"},
		{name: "subscribe first", says: "SUB sub.a 1|PING|", hears: "+OK|PONG|"},
	})
}

// compareNATS holds conversations with the real nats-server.
func compareNATS(t *testing.T, configuration string, all []conversation) {
	program := os.Getenv(natsServerEnv)
	if program == "" {
		return
	}
	addr := freeAddr(t)
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("listen: %q\n%s", addr, configuration)), 0o600); err != nil {
		t.Fatal(err)
	}
	startCommand(t, exec.Command(program, "-c", file))
	eventually(t, "nats-server listens", func() bool {
		c, err := net.Dial("tcp", addr)
		return err == nil && c.Close() == nil
	})
	t.Run("nats-server", func(t *testing.T) { holdAll(t, addr, true, all) })
}
