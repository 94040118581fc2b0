package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
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

// TestRouterConnectTimeout ends connections on which nobody introduces himself.
func TestRouterConnectTimeout(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.ConnectTimeout = 500 * time.Millisecond })
	silent, half, known := s.dialRT(), s.dialRT(), s.joinRT("")
	if err := half.write([]byte(helloFrame("")[:20])); err != nil {
		t.Fatal(err)
	}
	silent.ends(message.CodeTimeout, "introduced", "500ms")
	half.ends(message.CodeTimeout)
	s.logged("connection ended by the server", "kind=late")
	s.wantMetrics(map[string]string{`router_cuts_total{reason="late"}`: "2"})
	known.sync() // as often as it likes
	nats := s.dialNATS()
	idleFor(700 * time.Millisecond)
	known.sync()
	nats.sync() // of a NATS client nothing is asked here
}

// TestRouterKeepAlive asks silent clients whether they live, and ends those that do not answer.
func TestRouterKeepAlive(t *testing.T) {
	s := startRouter(t, func(c *config.Config) {
		c.Router.Client.ReadTimeout, c.Router.Client.KeepAliveTimeout = 50*time.Millisecond, time.Second
	})
	lives, talks, mute := s.joinRT(""), s.joinRT(""), s.joinRT("")
	if lives.welcome.KeepAlive != 50*time.Millisecond {
		t.Errorf("the clients are told %v", lives.welcome.KeepAlive)
	}
	done := make(chan struct{})
	go func() { // ends with its connection
		defer close(done)
		for {
			m, err := lives.next()
			if err != nil {
				return
			}
			if m.Type == message.TypeKeepAliveCall && lives.write([]byte(whole(message.Append(nil, &message.Message{Type: message.TypeKeepAliveResult})))) != nil {
				return
			}
		}
	}()
	if m := mute.read(); m.Type != message.TypeKeepAliveCall {
		t.Fatalf("%v", m.Type)
	}
	mute.ends(message.CodeTimeout, "keep-alive")
	s.wantMetrics(map[string]string{`router_cuts_total{reason="silent"}`: "2"}) // talks has not answered either
	if m := talks.read(); m.Type != message.TypeKeepAliveCall {
		t.Fatalf("%v", m.Type)
	}
	idleFor(1500 * time.Millisecond)
	select {
	case <-done:
		t.Error("the one that answers was cut")
	default:
	}
	s.wantMetrics(map[string]string{`router_cuts_total{reason="silent"}`: "2"})
	lives.conn.Close()
	<-done
}

// TestNATSStale pings silent NATS clients, and ends those that do not answer.
func TestNATSStale(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.NATS.PingInterval, c.Router.NATS.PingMax = 400*time.Millisecond, 2 })
	lives, mute := s.joinNATS(), s.joinNATS()
	for range 6 { // three times as long as the other one may
		lives.want("PING|")
		lives.send("PONG|")
	}
	mute.ends("PING|PING|-ERR 'Stale Connection'|")
	s.logged("connection ended by the server", "kind=silent", "pings")
	lives.want("PING|")
	lives.send("PONG|")
}

// TestRouterMaxConns refuses one client too many, and says so; when one has left there is room again.
func TestRouterMaxConns(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxConns, c.Router.NATS.MaxConnections = 2, 2 })
	first := s.joinRT("")
	s.joinRT("").sync()
	third := s.dialRT()
	third.hello(&message.Hello{})
	if third.welcome.Code != message.CodeInUse || !strings.Contains(third.welcome.Text, "max_client_conns") {
		t.Errorf("%d %s", third.welcome.Code, third.welcome.Text)
	}
	third.conn.Close()
	n := s.joinNATS()
	s.joinNATS().sync()
	s.dialNATS().ends("-ERR 'maximum connections exceeded'|")
	s.wantMetrics(map[string]string{`router_cuts_total{reason="limit"}`: "2"})
	first.conn.Close()
	n.conn.Close()
	eventually(t, "there is room", func() bool {
		c := s.dialRT()
		defer c.conn.Close()
		c.hello(&message.Hello{})
		return c.welcome.Code == message.CodeOK
	})
	eventually(t, "there is room", func() bool {
		c := s.dialNATS()
		defer c.conn.Close()
		return c.write("PING\r\n") == nil && c.expect("PONG|") == nil
	})
}

// routerFile is a configuration with a router door; more is added to its end.
func routerFile(more string) string {
	return "loops = 4\ndrain_grace = \"200ms\"\n[log]\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nlisten = []\n[engine]\nlisten = []\n" +
		"[router]\nlisten = [\"tcp:127.0.0.1:0\"]\n" + more + "\n[router.nats]\nlisten = [\"127.0.0.1:0\"]\n"
}

// startRouterChild starts a server with a router door in a process of its own.
func startRouterChild(t *testing.T, more string) (s *routerUnderTest, c *child, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "roundhouse.toml")
	rewrite(t, file, routerFile(more))
	c = start(t, binary(t, "roundhouse"), "serve", "-c", file)
	s = &routerUnderTest{t: t}
	c.listens("admin") // the last one
	for _, r := range c.records("listening") {
		addr, _ := r["addr"].(string)
		switch {
		case r["protocol"] == "nats":
			s.nats = addr
		case r["door"] == "router":
			s.addr = addr
		}
	}
	return s, c, file
}

// TestRouterDrain sends SIGTERM: NATS clients are told, nobody new comes in, everybody gets what he is owed and the reason.
func TestRouterDrain(t *testing.T) {
	s, process, _ := startRouterChild(t, "")
	c, n, p := s.joinRT(""), s.joinNATS(), s.joinNATS()
	c.subscribe("/last")
	n.send("SUB last 1|")
	n.sync()
	process.signal(syscall.SIGTERM)
	for _, nc := range []*natsClient{n, p} {
		line, err := nc.in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "INFO {") || !strings.Contains(line, `"ldm":true`) {
			t.Fatalf("%q, %v instead of INFO", line, err)
		}
	}
	if conn, err := net.Dial("tcp", s.nats); err == nil {
		conn.Close()
		t.Error("somebody new came in")
	}
	p.publish("/last", "words")
	n.want("MSG last 1 5|words|")
	c.want("/last", "words")
	c.ends(message.CodeFailure, "stopping")
	n.ends("")
	if code := process.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRouterDrainOwed has a client that is behind its rate get all that was published before the end.
func TestRouterDrainOwed(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.TokenRate = 1000 })
	c, n, p := s.joinRT(""), s.joinNATS(), s.joinRT("")
	c.subscribe("/a")
	n.send("SUB a 1|")
	n.sync()
	text := strings.Repeat("x", 500)
	const all = 100
	for range all {
		p.publish("/a", text)
	}
	p.sync()
	c.want("/a", text)
	n.want("MSG a 1 500|" + text + "|")
	s.cancel()
	for range all - 1 {
		c.want("/a", text)
	}
	c.ends(message.CodeFailure, "stopping")
	for line := ""; line != "INFO "; { // it comes at once, between two messages
		b, err := n.in.Peek(5)
		if err != nil {
			t.Fatal(err)
		}
		if line = string(b); line != "INFO " {
			n.want("MSG a 1 500|" + text + "|")
		} else if _, err := n.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	n.conn.Close()
	p.conn.Close()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestRouterReload changes limits of connections that are there.
func TestRouterReload(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.NATS.AuthTimeout = 40 * time.Millisecond }) // so it looks often
	c, n := s.joinRT(""), s.joinNATS()
	reload := func(change func(c *config.Config)) {
		t.Helper()
		next := *s.cfg
		change(&next)
		if _, err := s.server.Reload(&next); err != nil {
			t.Fatal(err)
		}
	}
	n.send("PUB a 2000|" + strings.Repeat("x", 2000) + "|")
	n.sync()
	c.publish("/a", strings.Repeat("x", 5000))
	c.sync()
	reload(func(next *config.Config) {
		next.Router.NATS.MaxPayload, next.Router.MaxMessageSize, next.Router.NATS.MaxSubscriptions = 1000, 4000, 1
		next.Router.NATS.Listen = []string{"127.0.0.1:1"}
		next.Router.DefaultSubjectPrefix = "/new"
	})
	s.logged("the configuration was read again", "router.nats.listen")
	n.send("SUB a 1|SUB b 2|PUB a 1000|" + strings.Repeat("x", 1000) + "|")
	n.want("-ERR 'maximum subscriptions exceeded'|MSG a 1 1000|" + strings.Repeat("x", 1000) + "|")
	c.subscribe("rel")
	c.publish("rel", "x")
	c.want("/new/rel", "x")
	n.send("PUB a 1001|")
	n.ends("-ERR 'Maximum Payload Violation'|")
	c.publish("/a", strings.Repeat("x", 5000))
	c.ends(message.CodeTooLarge, "4000")
	// A question that waits for its answer keeps its time when looks become rare.
	reload(func(next *config.Config) {
		next.Router.Client.ReadTimeout, next.Router.Client.KeepAliveTimeout = 40*time.Millisecond, time.Minute
	})
	asked := s.joinRT("")
	if m := asked.read(); m.Type != message.TypeKeepAliveCall {
		t.Fatalf("%v", m.Type)
	}
	idleFor(800 * time.Millisecond) // 80 looks: in seconds more than a minute
	reload(func(next *config.Config) {
		next.Router.NATS.AuthTimeout = time.Minute
		next.Router.Client.ReadTimeout, next.Router.Client.KeepAliveTimeout = time.Minute, time.Minute
	})
	idleFor(1200 * time.Millisecond)
	asked.sync()
	bad := *s.cfg
	bad.Access.Driver, bad.Access.Directory = "basic", "/nonexistent/directory/of/files"
	bad.Access.Permissions = []config.AccessPermission{{Allow: true, Who: "*", Verb: "dance", Project: "*", Subject: "/..."}}
	if _, err := s.server.Reload(&bad); err == nil {
		t.Error("a bad configuration was taken")
	}
	asked.sync()
}

// TestRouterTLS has both protocols over TLS: NATS clients get INFO in clear first, unless TLS is to come first.
func TestRouterTLS(t *testing.T) {
	cert, key := selfSigned(t)
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprint("first=", first), func(t *testing.T) {
			s := startRouter(t, func(c *config.Config) {
				c.Router.Listen = []string{"tls:127.0.0.1:0", "tcp:127.0.0.1:0"}
				c.Router.TLSCert, c.Router.TLSKey = cert, key
				c.Router.NATS.TLSCert, c.Router.NATS.TLSKey, c.Router.NATS.TLSFirst = cert, key, first
			})
			conn, err := tls.Dial("tcp", s.addr, client)
			if err != nil {
				t.Fatal(err)
			}
			c := newRT(t, conn)
			c.join(&message.Hello{Unique: "/tls"})
			s.addr = s.server.RouterAddrs()[1].String()
			plain := s.joinRT("")

			raw, err := net.Dial("tcp", s.nats)
			if err != nil {
				t.Fatal(err)
			}
			var n *natsClient
			if first {
				n = greetNATS(t, tls.Client(raw, client))
			} else {
				n = greetNATS(t, raw)
				n.conn = tls.Client(raw, client)
				n.in.Reset(n.conn)
			}
			if !strings.Contains(n.info, `"tls_required":true`) {
				t.Errorf("INFO %s", n.info)
			}
			n.connect()
			n.send("SUB a 1|")
			n.sync()
			for _, other := range []*rtClient{c, plain} {
				other.subscribe("/a")
			}
			big := strings.Repeat("0123456789", 50_000)
			for _, p := range []publisher{c, plain, n} {
				p.publish("/a", big)
				c.want("/a", big)
				plain.want("/a", big)
				n.want(fmt.Sprintf("MSG a 1 %d|%s|", len(big), big))
			}
			s.logged("listening", s.nats)
			wrong, err := net.Dial("tcp", s.nats) // it speaks no TLS: it is closed, and nobody else notices anything
			if err != nil {
				t.Fatal(err)
			}
			defer wrong.Close()
			if _, err := wrong.Write([]byte("CONNECT {}\r\nPING\r\n")); err != nil {
				t.Fatal(err)
			}
			w := &natsClient{t: t, conn: wrong}
			eventually(t, "it is closed", func() bool {
				_ = w.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // fails as the read would
				_, err := w.conn.Read(make([]byte, 1000))
				return err != nil && !isTimeout(err)
			})
			n.sync()
		})
	}
}

// TestRouterLocal has a client come through a socket file, which a server that was killed has left behind.
func TestRouterLocal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "rh.sock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	s := startRouter(t, func(c *config.Config) { c.Router.Listen = []string{"local:_node:" + path, "tcp:127.0.0.1:0"} })
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := newRT(t, conn)
	c.join(&message.Hello{})
	s.addr = s.server.RouterAddrs()[1].String()
	other := s.joinRT("")
	c.subscribe("/a")
	other.publish("/a", "over the wall")
	c.want("/a", "over the wall")
	c.publish(other.welcome.Unique, "and back")
	other.want(other.welcome.Unique, "and back")
}
