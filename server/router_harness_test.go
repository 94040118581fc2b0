package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server"
	"roundhouse/server/config"
)

// routerUnderTest is a real server whose router door is open for clients of both protocols, and what is needed to reach it.
type routerUnderTest struct {
	t      testing.TB
	server *server.Server
	cfg    *config.Config
	addr   string // for clients
	nats   string // for NATS clients
	log    *lines
	cancel context.CancelFunc
	done   chan error
}

// startRouter starts a server with a router door on free ports and four loops; change may be nil. When the test ends, the server is
// drained, and no goroutine or descriptor of it may be left.
func startRouter(t testing.TB, change func(*config.Config)) *routerUnderTest {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Listen, cfg.Engine.Listen, cfg.Admin.Listen = nil, nil, "127.0.0.1:0"
	cfg.Loops = 4
	cfg.DrainGrace = 0
	cfg.Router.Listen = []string{"tcp:127.0.0.1:0"}
	cfg.Router.NATS.Listen = []string{"127.0.0.1:0"}
	if change != nil {
		change(cfg)
	}
	checkNothingLeft(t)
	s := &routerUnderTest{t: t, cfg: cfg, log: &lines{}, done: make(chan error, 1)}
	var err error
	if s.server, err = server.New(cfg, s.log.logger()); err != nil {
		t.Fatal(err)
	}
	if all := s.server.RouterAddrs(); len(all) > 0 {
		s.addr = all[0].String()
	}
	if all := s.server.NATSAddrs(); len(all) > 0 {
		s.nats = all[0].String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.server.Run(ctx) }() // ends with ctx; stop waits for it
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error("the server ended with", err)
		}
		if s.log.has("panic") || s.log.has("BUG") {
			t.Errorf("the log has a panic or a BUG:\n%.20000s", s.log.text())
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("log:\n%s", tail(s.log.text()))
		}
	})
	return s
}

// stop drains the server and returns what Run said.
func (s *routerUnderTest) stop() error {
	s.cancel()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(2 * patience):
		s.t.Error("the server did not stop")
		return nil
	}
}

// logged waits until one line of the log has all of these words.
func (s *routerUnderTest) logged(words ...string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("a line of the log with %q", words), func() bool { return s.log.line(words...) != "" })
}

// publisher is a client of either protocol. publish sends a message whose payload is a text to a subject, as /a/b; sync waits until the
// server has taken it.
type publisher interface {
	publish(name, text string)
	sync()
}

// natsClient is a client of NATS that knows nothing but bytes. In the texts that it takes, | stands for CR LF. One goroutine may write
// while another one reads.
type natsClient struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	info string // the INFO that it got first, as JSON
}

var natsLines = strings.NewReplacer("|", "\r\n")

// dialNATS connects and reads INFO. The connection is closed when the test ends.
func (s *routerUnderTest) dialNATS() *natsClient {
	s.t.Helper()
	return dialNATS(s.t, s.nats)
}

func dialNATS(t testing.TB, addr string) *natsClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return greetNATS(t, conn)
}

// greetNATS reads INFO.
func greetNATS(t testing.TB, conn net.Conn) *natsClient {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	c := &natsClient{t: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	line, err := c.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "INFO {") {
		t.Fatalf("%q, %v instead of INFO", line, err)
	}
	c.info = strings.TrimSpace(strings.TrimPrefix(line, "INFO"))
	return c
}

// joinNATS connects as clients usually do: not verbose, with headers. More is added to the options, as `"echo":false`.
func (s *routerUnderTest) joinNATS(more ...string) *natsClient {
	s.t.Helper()
	c := s.dialNATS()
	c.connect(more...)
	return c
}

// connect sends CONNECT and waits for PONG.
func (c *natsClient) connect(more ...string) {
	c.t.Helper()
	options := append([]string{`"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1`}, more...)
	c.send("CONNECT {" + strings.Join(options, ",") + "}|")
	c.sync()
}

// write sends bytes as they are.
func (c *natsClient) write(b string) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience)) // fails as the write would
	_, err := io.WriteString(c.conn, b)
	return err
}

func (c *natsClient) send(text string) {
	c.t.Helper()
	if err := c.write(natsLines.Replace(text)); err != nil {
		c.t.Fatal(err)
	}
}

// publish sends a message to a subject in our own form.
func (c *natsClient) publish(name, text string) {
	c.t.Helper()
	c.send(fmt.Sprintf("PUB %s %d|", subject.ToNATS(nil, []byte(name)), len(text)))
	c.send(text + "|")
}

// expect reads exactly what text says, and returns an error as soon as something else comes.
func (c *natsClient) expect(text string) error { return c.expectRaw(natsLines.Replace(text)) }

// expectRaw is expect for bytes as they are.
func (c *natsClient) expectRaw(want string) error {
	got := make([]byte, 0, len(want))
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	for len(got) < len(want) {
		if _, err := c.in.Peek(1); err != nil {
			return fmt.Errorf("%.300q, then %w; want %.300q", got, err, want)
		}
		b, _ := c.in.Peek(min(c.in.Buffered(), len(want)-len(got))) // it is there
		if string(b) != want[len(got):len(got)+len(b)] {
			return fmt.Errorf("%.300q, then %.300q; want %.300q", got, b, want)
		}
		got = append(got, b...)
		_, _ = c.in.Discard(len(b)) // likewise
	}
	return nil
}

// want reads exactly what text says.
func (c *natsClient) want(text string) {
	c.t.Helper()
	if err := c.expect(text); err != nil {
		c.t.Fatal(err)
	}
}

// sync has the server answer: nothing else may have come before.
func (c *natsClient) sync() {
	c.t.Helper()
	c.send("PING|")
	c.want("PONG|")
}

// ends reads what text says and then the end of the connection.
func (c *natsClient) ends(text string) {
	c.t.Helper()
	c.want(text)
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	if b, err := io.ReadAll(c.in); isTimeout(err) || len(b) > 0 {
		c.t.Fatalf("%.300q, %v instead of the end", b, err)
	}
	c.conn.Close()
}

// nothing wants that nothing has come of what p has published before: messages of one publisher come in their order.
func (c *natsClient) nothing(p publisher) {
	c.t.Helper()
	c.send("SUB marker.of.nothing marker|")
	c.sync()
	p.publish("/marker/of/nothing", "m")
	c.want("MSG marker.of.nothing marker 1|m|")
	c.send("UNSUB marker|")
	c.sync()
}

// rtClient is a client of our own protocol that knows nothing but messages. One goroutine may write while another one reads.
type rtClient struct {
	t       testing.TB
	conn    net.Conn
	in      *bufio.Reader
	welcome message.Welcome
}

// dialRT connects. The connection is closed when the test ends.
func (s *routerUnderTest) dialRT() *rtClient {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	return newRT(s.t, conn)
}

func newRT(t testing.TB, conn net.Conn) *rtClient {
	t.Cleanup(func() { conn.Close() })
	return &rtClient{t: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

// joinRT connects and introduces itself; unique may be empty.
func (s *routerUnderTest) joinRT(unique string) *rtClient {
	s.t.Helper()
	c := s.dialRT()
	c.join(&message.Hello{Unique: unique})
	return c
}

// join says hello and must be welcome.
func (c *rtClient) join(h *message.Hello) {
	c.t.Helper()
	if c.hello(h); c.welcome.Code != message.CodeOK {
		c.t.Fatalf("refused: %v %s", c.welcome.Code, c.welcome.Text)
	}
}

// hello says hello and reads the answer.
func (c *rtClient) hello(h *message.Hello) {
	c.t.Helper()
	h.Version = message.ProtocolVersion
	c.sendRaw(message.AppendHello(nil, h))
	c.readWelcome()
}

func (c *rtClient) readWelcome() {
	c.t.Helper()
	m := c.read()
	if err := message.ParseWelcome(m, &c.welcome); err != nil {
		c.t.Fatalf("%v: %v", m.Type, err)
	}
}

// write sends bytes as they are.
func (c *rtClient) write(b []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience)) // fails as the write would
	_, err := c.conn.Write(b)
	return err
}

// sendRaw puts a message into a frame and sends it.
func (c *rtClient) sendRaw(whole []byte) {
	c.t.Helper()
	if err := c.write(append(frame.AppendHeader(nil, len(whole)), whole...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rtClient) send(m *message.Message) { c.t.Helper(); c.sendRaw(message.Append(nil, m)) }

// textMessage is a message whose only field is a text.
func textMessage(dest, text string) *message.Message {
	return &message.Message{Type: message.TypeInfo, Dest: []byte(dest), Fields: message.AppendStr(nil, text)}
}

// publish sends a message to a subject.
func (c *rtClient) publish(name, text string) { c.t.Helper(); c.send(textMessage(name, text)) }

// subscribe begins subscriptions; when it returns they are in force.
func (c *rtClient) subscribe(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.setSubscribe(name, true, true)
	}
	c.sync()
}

func (c *rtClient) setSubscribe(name string, start, balance bool) {
	c.t.Helper()
	c.sendRaw(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte(name), Start: start, Balance: balance}))
}

// next reads a message, whose slices are its own.
func (c *rtClient) next() (*message.Message, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	header := make([]byte, frame.HeaderLen)
	if _, err := io.ReadFull(c.in, header); err != nil {
		return nil, err
	}
	size, _, err := frame.ParseHeader(header, frame.MaxSize)
	if err != nil {
		return nil, err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return nil, err
	}
	m := new(message.Message)
	return m, message.Parse(body, m)
}

func (c *rtClient) read() *message.Message {
	c.t.Helper()
	m, err := c.next()
	if err != nil {
		c.t.Fatalf("no message: %v", err)
	}
	return m
}

// want reads a message, whose destination and payload must be as given.
func (c *rtClient) want(dest, text string) *message.Message {
	c.t.Helper()
	m := c.read()
	if _, payload := message.NATSPayload(m); string(m.Dest) != dest || string(payload) != text {
		c.t.Fatalf("%v to %q: %.300q; want %.300q to %q", m.Type, m.Dest, payload, text, dest)
	}
	return m
}

// sync has the server answer: nothing else may have come before.
func (c *rtClient) sync() {
	c.t.Helper()
	c.send(&message.Message{Type: message.TypeKeepAliveCall})
	if m := c.read(); m.Type != message.TypeKeepAliveResult {
		c.t.Fatalf("%v to %q: %.300q instead of the answer to a keep-alive", m.Type, m.Dest, m.Fields)
	}
}

// ends reads the reason why the server ends the connection, and its end.
func (c *rtClient) ends(code message.Code, words ...string) {
	c.t.Helper()
	m := c.read()
	gotCode, text := reasonOf(c.t, m)
	for _, w := range words {
		if !strings.Contains(text, w) {
			c.t.Errorf("the reason %q has no %q", text, w)
		}
	}
	if gotCode != code {
		c.t.Errorf("code %d (%s), want %d", gotCode, text, code)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	if b, err := io.ReadAll(c.in); isTimeout(err) || len(b) > 0 {
		c.t.Fatalf("%.300q, %v instead of the end", b, err)
	}
	c.conn.Close()
}

// reasonOf is what a refusal or a farewell says.
func reasonOf(t testing.TB, m *message.Message) (message.Code, string) {
	t.Helper()
	if m.Type == message.TypeConnectResult {
		var w message.Welcome
		if err := message.ParseWelcome(m, &w); err != nil {
			t.Fatal(err)
		}
		return w.Code, w.Text
	}
	if m.Type != message.TypeClientCloseCall {
		t.Fatalf("%v to %q: %.300q instead of a reason", m.Type, m.Dest, m.Fields)
	}
	text, n, err := message.NextField(m.Fields)
	if err != nil {
		t.Fatal(err)
	}
	number, _, err := message.NextField(m.Fields[n:])
	if err != nil {
		t.Fatal(err)
	}
	code, err := number.Int()
	if err != nil {
		t.Fatal(err)
	}
	return message.Code(code), string(text.Value)
}

// nothing wants that nothing has come of what p has published before: messages of one publisher come in their order.
func (c *rtClient) nothing(p publisher) {
	c.t.Helper()
	p.publish(c.welcome.Unique, "marker")
	c.want(c.welcome.Unique, "marker")
}

// everywhere calls f with a client of either protocol.
func everywhere(t *testing.T, s *routerUnderTest, f func(t *testing.T, p publisher)) {
	t.Run("from a client", func(t *testing.T) { c := s.joinRT(""); c.t = t; f(t, c) })
	t.Run("from a NATS client", func(t *testing.T) { c := s.joinNATS(); c.t = t; f(t, c) })
}

// TestRouterHarness has the harness at work: every client reaches every other one, on all loops.
func TestRouterHarness(t *testing.T) {
	s := startRouter(t, nil)
	var rt []*rtClient
	var nats []*natsClient
	for range 4 {
		c, n := s.joinRT(""), s.joinNATS()
		c.subscribe("/a/b")
		n.send("SUB a.b 1|")
		n.sync()
		rt, nats = append(rt, c), append(nats, n)
	}
	for i := range 4 {
		text := strings.Repeat("x", i)
		for _, p := range []publisher{rt[i], nats[i]} {
			p.publish("/a/b", text)
			for j := range 4 {
				rt[j].want("/a/b", text)
				nats[j].want(fmt.Sprintf("MSG a.b 1 %d|%s|", len(text), text))
			}
		}
	}
	for i := range 4 {
		rt[i].nothing(nats[i])
		nats[i].nothing(rt[i])
	}
}
