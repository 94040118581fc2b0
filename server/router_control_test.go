package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// withCommands enables commands for control messages.
func withCommands(names ...string) func(*config.Config) {
	return func(cfg *config.Config) { cfg.Router.EnableControlMsgs = names }
}

// order sends commands to a subject, with a reply subject unless that is empty.
func (c *rtClient) order(dest, reply, text string) {
	c.t.Helper()
	m := &message.Message{Type: message.TypeControl, Dest: []byte(dest), Fields: message.AppendStr(nil, text)}
	if reply != "" {
		m.Props = message.AppendTextProperty(nil, message.TagReplyTo, reply)
	}
	c.send(m)
}

// control has the server carry out commands and returns their output.
func (c *rtClient) control(text string) string {
	c.t.Helper()
	c.order("_server", c.welcome.Unique, text)
	return c.output()
}

// output reads the answer to commands.
func (c *rtClient) output() string {
	c.t.Helper()
	m := c.read()
	out, n, err := message.NextField(m.Fields)
	if m.Type != message.TypeInfo || err != nil || n != len(m.Fields) || out.Kind != message.Str {
		c.t.Fatalf("%v to %q: %q is no answer to a command: %v", m.Type, m.Dest, m.Fields, err)
	}
	if sender, _ := m.Property(message.TagSender); string(sender) != c.welcome.Server || string(m.Dest) != c.welcome.Unique {
		c.t.Fatalf("an answer from %q to %q", sender, m.Dest)
	}
	return string(out.Value)
}

// wantControl has the output be one of exactly these lines.
func (c *rtClient) wantControl(text, want string) {
	c.t.Helper()
	if got := c.control(text); got != want {
		c.t.Errorf("%s:\n got %q\nwant %q", text, got, want)
	}
}

// hasControl wants the output to have these words.
func (c *rtClient) hasControl(text string, words ...string) {
	c.t.Helper()
	got := c.control(text)
	for _, w := range words {
		if !strings.Contains(got, w) {
			c.t.Errorf("%s: %q has no %q", text, got, w)
		}
	}
}

// TestRouterControlDestination: commands to _server and to the server's own subject are carried out by it, all others are messages to clients.
func TestRouterControlDestination(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) { cfg.Router.DefaultMsgPriority = -7 })
	c, other, n := s.joinRT("me"), s.joinRT("other"), s.joinNATS()
	other.subscribe("/_all", "/...")
	for _, dest := range []string{"_server", "/_server", c.welcome.Server, strings.TrimPrefix(c.welcome.Server, "/")} {
		c.order(dest, "/me", "echo a,b  c")
		m := c.want("/me", "a, b c")
		if m.Priority != -7 {
			t.Errorf("priority %d", m.Priority)
		}
		other.want("/me", "a, b c")
	}
	other.nothing(n)
	n.send("SUB other o|SUB * x|")
	n.sync()
	for _, dest := range []string{"/other", "/_all", "/_nobody", "/_server/x"} {
		c.order(dest, "/me", "echo b")
		if m := other.want(dest, "echo b"); m.Type != message.TypeControl {
			t.Errorf("%s: %v", dest, m.Type)
		}
	}
	n.want("MSG other o me 6|echo b|MSG other x me 6|echo b|MSG _all x me 6|echo b|MSG _nobody x me 6|echo b|")
	c.order("_server", "", "echo nobody sees it; nothing")
	s.logged("control message", "nobody sees it", "client=/me")
	s.logged("level=WARN", "command=nothing", "not enabled", "client=/me")
	n.send("UNSUB x|UNSUB o|")
	n.sync()
	c.nothing(n)
	n.send("SUB * x|")
	n.sync()
	c.order("_server", "//", "echo nowhere")
	s.logged("level=WARN", "no answer", "reply_to=//")
	n.send("SUB answers 1|")
	n.sync()
	c.order("_server", "/answers", "echo to NATS")
	n.want("MSG answers x 7|to NATS|MSG answers 1 7|to NATS|")
	c.sendRaw(message.AppendInt4(message.Append(nil, &message.Message{Type: message.TypeControl, Dest: []byte("_server")}), 1))
	c.ends(message.CodeMessageInvalid)
}

// TestRouterControlPrefix: _server is the same under every prefix.
func TestRouterControlPrefix(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) { cfg.Router.DefaultSubjectPrefix = "/app" })
	c := s.joinRT("me")
	for _, dest := range []string{"_server", "/_server", c.welcome.Server} {
		c.order(dest, "me", "echo "+dest)
		c.want("/app/me", dest)
	}
}

// TestRouterEnableControl: what may be run.
func TestRouterEnableControl(t *testing.T) {
	const all = "echo a; stats; setopt verbose; nosuch"
	for name, row := range map[string]struct {
		enabled []string
		wants   []string // what the four lines begin with
	}{
		"by itself": {config.Default().Router.EnableControlMsgs, []string{"a", "stats: not enabled", "setopt: not enabled", "nosuch: not enabled"}},
		"all":       {[]string{"_ALL"}, []string{"a", "clients 1", "Verbose FALSE", "nosuch: no such command"}},
		"negated":   {[]string{"!setopt", "_all"}, []string{"a", "clients 1", "setopt: not enabled", "nosuch: no such command"}},
		"named":     {[]string{"Stats", "SETOPT"}, []string{"echo: not enabled", "clients 1", "Verbose FALSE", "nosuch: not enabled"}},
		"none":      {nil, []string{"echo: not enabled", "stats: not enabled", "setopt: not enabled", "nosuch: not enabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startRouter(t, withCommands(row.enabled...))
			out := s.joinRT("").control(all)
			at := 0
			for _, want := range row.wants {
				i := strings.Index(out[at:], want)
				if i < 0 || at+i > 0 && out[at+i-1] != '\n' {
					t.Fatalf("no line %q behind byte %d of\n%s", want, at, out)
				}
				at += i + len(want)
			}
			if refused := strings.Count(s.log.text(), "a command was refused"); refused != strings.Count(out, "not enabled")+strings.Count(out, "no such") {
				t.Errorf("%d refusals were logged, output\n%s", refused, out)
			}
		})
	}
}

// TestRouterCommands: each command, and what it says when it is used wrongly.
func TestRouterCommands(t *testing.T) {
	s := startRouter(t, withCommands("_all"))
	c := s.joinRT("")
	c.hasControl("help", "alias [name", "version", "unsubscribe")
	c.hasControl("version", "roundhouse ", "NATS 2.15.2")
	c.hasControl("STATS", "clients 1\n", "nats clients 0\n", "subscriptions 1\n", "\nlost: slow 0", "\ncut: protocol 0")
	c.hasControl("setopt", "Client_Max_Buffer 10000000 (integer, default 10000000, required)\n", "\nProxy_Password UNKNOWN", "\nLog_In_Client UNKNOWN")
	c.hasControl("helpopt client_token_rate", "Client_Token_Rate: integer, default 0", "range 0 to 2147483647; holds at once", "router.client.token_rate")
	c.hasControl("helpopt conn_names", "required; is read at the start only")
	for text, want := range map[string]string{
		`echo a; echo "b;c" // d`:     "a\nb;c",
		"":                            "",
		" ; ;":                        "",
		"echo":                        "",
		"helpopt":                     "helpopt: the name of one option is needed",
		"helpopt x":                   `helpopt: "x": no such option`,
		"connect":                     "connect: links to other servers are still to come",
		"disconnect tcp:a:1":          "disconnect: links to other servers are still to come",
		"route":                       "route: links to other servers are still to come",
		"sh ls":                       "sh: no such command; help lists them",
		`echo "a`:                     "1:6: a quoted text that does not end in its line",
		"echo a\necho \"b\necho c":    "2:6: a quoted text that does not end in its line\na\nc",
		"setopt nothing 1":            `setopt: option "nothing": no such option`,
		"setopt verbose maybe":        `setopt: option "Verbose": value "maybe": TRUE or FALSE`,
		"setopt conn_names local":     "setopt: Conn_Names: it is read at the start only: set it in a file",
		"setopt unique_subject x":     "setopt: Unique_Subject: it is read at the start only: set it in a file",
		"unsetopt":                    "unsetopt: the name of an option is needed",
		"unsetopt client_max_buffer":  `unsetopt: option "Client_Max_Buffer": required: it cannot be unset`,
		"setopt server_names tcp:a:1": `option "Server_Names": has no effect yet`,
		"setopt proxy_password hunter2; setopt proxy_password": `option "Proxy_Password": has no effect yet` + "\nProxy_Password *** (string, default UNKNOWN)",
	} {
		c.wantControl(text, want)
	}
	if s.log.has("hunter2") {
		t.Error("the log has a password")
	}
	c.hasControl("echo "+strings.Repeat("x", 64<<10), "65541 bytes of commands, at most 65536")
}

// TestRouterAliases: an alias stands for commands, each of which has to be enabled.
func TestRouterAliases(t *testing.T) {
	s := startRouter(t, withCommands("alias", "unalias", "echo"))
	c := s.joinRT("")
	c.wantControl("alias", "")
	c.wantControl(`alias Hi echo hello; alias both "hi; stats; echo last"`, "")
	c.wantControl("hi there", "hello there")
	c.wantControl("BOTH one", "hello\nstats: not enabled (enable_control_msgs)\nlast one")
	c.wantControl("alias", "Hi echo hello\nboth hi; stats; echo last")
	c.wantControl("alias hi", "Hi echo hello")
	c.wantControl("alias none", `alias: no alias "none"`)
	c.hasControl("alias echo stats", "alias: alias: name", "a name that is not that of a command")
	c.wantControl("alias loop loop; loop", "loop: alias loop: at most 16 aliases deep and 1000 commands")
	c.hasControl("unalias hi none", `no alias "none"`)
	c.hasControl("hi", "hi: not enabled")
	c.wantControl("alias", "both hi; stats; echo last\nloop loop")
}

// TestRouterServerSubscriptions: what the server itself subscribes to.
func TestRouterServerSubscriptions(t *testing.T) {
	s := startRouter(t, withCommands("_all"))
	c := s.joinRT("")
	const idle = "has no effect until there are links to other servers"
	c.wantControl("subscribe", "")
	c.wantControl("subscribe p /a /b/...; subscribe q /a; subscribe p /a", idle+"\n"+idle+"\n"+idle)
	c.wantControl("subscribe", "p /a\np /b/...\nq /a")
	c.wantControl("unsubscribe p /a; unsubscribe p /a; subscribe", idle+"\nunsubscribe: nothing is subscribed to \"/a\" in project \"p\"\np /b/...\nq /a")
	c.hasControl("subscribe p", "write subscribe PROJECT SUBJECT")
	c.hasControl("subscribe p //", "subscribe: ", "write subscribe PROJECT SUBJECT")
}

// TestRouterSource: files of commands, relative to each other, with bounds on all that could go on for ever.
func TestRouterSource(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := startRouter(t, withCommands("source", "echo", "alias"))
	c := s.joinRT("")
	main := file("main.cm", "\xef\xbb\xbfecho one\nsource sub/inner.cm // relative\nstats\necho last\n")
	file("sub/inner.cm", "echo two; source other.cm\n")
	file("sub/other.cm", "echo \xe4\n") // ISO 8859-1
	c.wantControl("source "+main+"; echo end", "one\ntwo\nä\nstats: not enabled (enable_control_msgs)\nlast\nend")
	loop := file("loop.cm", "echo in\nsource sub/back.cm\n")
	file("sub/back.cm", "source ../loop.cm\necho out\n")
	c.wantControl("source "+loop, "in\nsource: "+loop+": that file names this one\nout")
	for i := range 20 {
		file(fmt.Sprintf("deep%d.cm", i), fmt.Sprintf("echo %d\nsource deep%d.cm\n", i, i+1))
	}
	c.hasControl("source "+filepath.Join(dir, "deep0.cm"), "0\n1\n", "\n9\nsource: "+filepath.Join(dir, "deep10.cm")+": at most 10 files deep")
	file("wide.cm", "")
	wide := file("many.cm", strings.Repeat("source wide.cm\n", 200))
	c.hasControl("source "+wide, "at most 100 files in all")
	c.hasControl("source "+file("bomb.cm", `alias e "`+strings.Repeat("echo;", 999)+"\"\n"+strings.Repeat("e\n", 20)), ": more than 10000 commands")
	if out := c.control("source " + file("loud.cm", strings.Repeat("echo "+strings.Repeat("x", 8000)+"\n", 100))); len(out) > 300<<10 || !strings.Contains(out, "(and more)") {
		t.Errorf("%d bytes of output", len(out))
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c.wantControl("source "+fifo, "source: "+fifo+": it is not a file")
	c.wantControl("source /dev/zero", "source: /dev/zero: it is not a file")
	c.wantControl("source "+dir, "source: "+dir+": it is not a file")
	c.wantControl("source "+dir+"/none", "source: open "+dir+"/none: no such file or directory")
	c.wantControl("source "+file("big.cm", strings.Repeat(" ", 1<<20+1)), "source: "+dir+"/big.cm: more than 1048576 bytes")
	c.wantControl("source", "source: the name of one file is needed")
}

// TestRouterSetOption: options take effect while the server runs, for those that are connected, too.
func TestRouterSetOption(t *testing.T) {
	s := startRouter(t, withCommands("_all"))
	c, slow, n := s.joinRT("boss"), s.joinRT("slow"), s.joinNATS()
	slow.subscribe("/big")
	c.wantControl("setopt client_max_buffer 1024; setopt client_max_buffer", "Client_Max_Buffer 1024 (integer, default 10000000, required)")
	for range 64 { // more than sockets take
		n.publish("/big", strings.Repeat("x", 256<<10))
	}
	s.logged("connection ended", "slow consumer", "at most 1024 may", "client=/slow")
	slow.conn.Close()
	s.wantMetrics(map[string]string{`router_connections{protocol="client"}`: "1"})
	c.wantControl("unsetopt client_send_timeout; setopt client_max_buffer 10000000; setopt client_send_timeout", "Client_Send_Timeout 0 (real, default 0)")
	c.wantControl("setopt enable_control_msgs echo, setopt; stats; setopt enable_control_msgs", "stats: not enabled (enable_control_msgs)\nEnable_Control_Msgs echo, setopt (string list, default echo, quit)")
	c.wantControl(`setopt enable_control_msgs "!stats,_all"; stats; unsetopt enforce_expiration`, "stats: not enabled (enable_control_msgs)")
	c.wantControl("setopt max_client_conns 2; setopt enforce_expiration TRUE; setopt enforce_expiration", "Enforce_Expiration TRUE (boolean, default FALSE)")
	first := s.joinRT("first")
	one := s.dialRT()
	one.ends(message.CodeInUse, "at most 2 may be")
	m := textMessage("/first", "late")
	m.Props = message.AppendRealProperty(message.AppendRealProperty(nil, message.TagExpiration, 1), message.TagSenderTimestamp, 1)
	c.send(m)
	first.nothing(c)
	s.wantMetrics(map[string]string{`router_lost_total{reason="expired"}`: "1"})
	c.wantControl("unsetopt enable_control_msgs", "")
	c.wantControl("echo a", "echo: not enabled (enable_control_msgs)")
}

// TestRouterSetTimeouts: those that are connected are looked at by the new times.
func TestRouterSetTimeouts(t *testing.T) {
	s := startRouter(t, withCommands("setopt"))
	quiet, c := s.joinRT(""), s.joinRT("")
	c.wantControl("setopt client_keep_alive_timeout 0.2; setopt client_read_timeout 0.2", "")
	if m := quiet.read(); m.Type != message.TypeKeepAliveCall {
		t.Errorf("%v", m.Type)
	}
	quiet.ends(message.CodeTimeout, "no answer to a keep-alive in 200ms")
}

// TestRouterQuit: the server ends by a command, and who has asked gets the answer before.
func TestRouterQuit(t *testing.T) {
	for _, command := range []string{"quit", "echo a; QUIT force; echo b"} {
		s := startRouter(t, nil)
		c := s.joinRT("")
		c.hasControl(command, "the server stops")
		c.ends(message.CodeFailure, "stopping")
		c.conn.Close()
		if err := <-s.done; err != nil {
			t.Error(err)
		}
		s.done <- nil
	}
}

// TestRouterStop: SERVER_STOP_CALL.
func TestRouterStop(t *testing.T) {
	for stop, told := range map[message.StopType]bool{
		message.StopNormal: false, message.StopClients: true, message.StopServers: false, message.StopAll: true,
	} {
		t.Run(fmt.Sprint(stop), func(t *testing.T) {
			s := startRouter(t, func(cfg *config.Config) { cfg.Router.EnableStopMsgs = false })
			c := s.joinRT("")
			c.wantStop(stop, message.CodeControlRejected, "enable_stop_msgs")
			s.logged("level=WARN", "a stop message was refused")

			s = startRouter(t, nil)
			c = s.joinRT("")
			c.sendRaw(message.AppendStopCall(nil, 7))
			c.wantStopResult(message.CodeInvalid, "stop type 7")
			var clients []*rtClient // on all loops, and in two projects
			for i := range 8 {
				other := s.dialRT()
				other.join(&message.Hello{Project: []string{"", "p"}[i%2]})
				other.subscribe("/_all", "/last")
				clients = append(clients, other)
			}
			n := s.joinNATS()
			n.send("SUB last 1|")
			n.sync()
			big := strings.Repeat("x", 1<<20)
			c.publish("/last", big) // more than a socket takes at once
			c.wantStop(stop, message.CodeOK, "stops")
			for i, other := range clients {
				if i%2 == 0 {
					other.want("/last", big)
				}
				if told {
					if m := other.want("/_all", "quit force"); m.Type != message.TypeControl {
						t.Errorf("%v", m.Type)
					}
				}
				other.ends(message.CodeFailure, "stopping")
				other.conn.Close()
			}
			n.want("MSG last 1 1048576|" + big + "|INFO {")
			c.ends(message.CodeFailure, "stopping")
			c.conn.Close()
			n.conn.Close()
			if err := <-s.done; err != nil {
				t.Error(err)
			}
			s.done <- nil
		})
	}
}

// TestRouterStopStuck: a client that takes nothing does not hold up the end for long, and gets what it was owed when it does.
func TestRouterStopStuck(t *testing.T) {
	s := startRouter(t, nil)
	p, stuck, slow := s.joinRT(""), s.joinRT(""), s.joinRT("")
	stuck.subscribe("/a")
	slow.subscribe("/a")
	big := strings.Repeat("x", 1<<20)
	for range 8 {
		p.publish("/a", big)
	}
	p.sync()
	p.wantStop(message.StopNormal, message.CodeOK, "stops")
	p.conn.Close()
	began := time.Now()
	idleFor(500 * time.Millisecond)
	for range 8 {
		slow.want("/a", big)
	}
	slow.ends(message.CodeFailure, "stopping")
	slow.conn.Close()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done <- nil
	if took := time.Since(began); took > slack {
		t.Errorf("it took %v", took)
	}
}

func (c *rtClient) wantStop(stop message.StopType, code message.Code, words string) {
	c.t.Helper()
	c.sendRaw(message.AppendStopCall(nil, stop))
	c.wantStopResult(code, words)
}

func (c *rtClient) wantStopResult(code message.Code, words string) {
	c.t.Helper()
	var r message.StopResult
	m := c.read()
	if err := message.ParseStopResult(m, &r); err != nil || r.Code != code || !strings.Contains(r.Text, words) {
		c.t.Errorf("%v: %v, %v %q; want %v %q", m.Type, err, r.Code, r.Text, code, words)
	}
}

// TestRouterQuitFlushesGate: what a gate holds back goes out before the end.
func TestRouterQuitFlushesGate(t *testing.T) {
	s := startRouter(t, func(cfg *config.Config) {
		cfg.Router.Client.TokenRate, cfg.Router.Client.MaxTokens = 1, 1
	})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, p := newRT(t, conn), s.joinRT("")
	c.join(&message.Hello{})
	c.subscribe("/a")
	for i := range 100 {
		p.publish("/a", fmt.Sprint(i))
	}
	p.sync()
	p.wantStop(message.StopNormal, message.CodeOK, "stops")
	for i := range 100 {
		c.want("/a", fmt.Sprint(i))
	}
	c.ends(message.CodeFailure, "stopping")
	_, _ = io.Copy(io.Discard, bufio.NewReader(conn)) // the end
}
