package server_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// bystanders are two clients that talk while others misbehave.
type bystanders struct {
	c *rtClient
	n *natsClient
}

func (s *routerUnderTest) bystanders() *bystanders {
	b := &bystanders{s.joinRT(""), s.joinNATS()}
	b.c.subscribe("/by")
	b.n.send("SUB by 1|")
	b.n.sync()
	return b
}

// served wants both of them served as ever.
func (b *bystanders) served() {
	b.n.t.Helper()
	for _, p := range []publisher{b.c, b.n} {
		p.publish("/by", "hello")
		b.c.want("/by", "hello")
		b.n.want("MSG by 1 5|hello|")
	}
}

// whole puts a message into a frame.
func whole(m []byte) string { return string(append(frame.AppendHeader(nil, len(m)), m...)) }

func helloFrame(unique string) string {
	return whole(message.AppendHello(nil, &message.Hello{Version: 1, Unique: unique}))
}

// TestRouterBadInput sends what is no message, before and after the hello. The sender is told why, in a message of our own, and nobody else
// notices anything.
func TestRouterBadInput(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.MaxMessageSize = 100_000 })
	by := s.bystanders()
	hello := helloFrame("")
	publish := func(dest string) string { return whole(message.Append(nil, textMessage(dest, "x"))) }
	bent := func(change func(b []byte)) string {
		b := []byte(publish("/a"))
		change(b)
		return string(b)
	}
	for _, row := range []struct {
		name, sends string
		code        message.Code
		words       []string
	}{
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", message.CodeMessageInvalid, nil},
		{"NATS", "CONNECT {}\r\n", message.CodeMessageInvalid, nil},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", message.CodeMessageInvalid, nil},
		{"zeros", strings.Repeat("\x00", 100), message.CodeMessageInvalid, nil},
		{"a negative length", "-0000001x", message.CodeMessageInvalid, nil},
		{"an empty message", "00000000", message.CodeMessageInvalid, nil},
		{"a large hello", "00065537", message.CodeTooLarge, []string{"65537", "65536"}},
		{"an absurd hello", "99999999", message.CodeTooLarge, nil},
		{"another message first", publish("/a"), message.CodeMessageInvalid, []string{"connect_call"}},
		{"a hello without fields", whole(message.Append(nil, &message.Message{Type: message.TypeConnectCall})), message.CodeMessageInvalid, nil},
		{"a hello of version 0", whole(message.AppendHello(nil, &message.Hello{})), message.CodeProtocol, []string{"version 0"}},
		{"two hellos", hello + hello, message.CodeMessageInvalid, []string{"twice"}},
		{"garbage after the hello", hello + "garbage!", message.CodeMessageInvalid, nil},
		{"too large a message", hello + "00100001", message.CodeTooLarge, []string{"100001", "100000"}},
		{"unknown flags", hello + bent(func(b []byte) { b[8] = 0x80 }), message.CodeMessageInvalid, []string{"flags"}},
		{"unknown modes", hello + bent(func(b []byte) { b[9] = 0x77 }), message.CodeMessageInvalid, []string{"modes"}},
		{"a destination beyond the end", hello + bent(func(b []byte) { b[8+12] = 0xff }), message.CodeMessageInvalid, []string{"destination"}},
		{"properties beyond the end", hello + bent(func(b []byte) { b[8] = 4; b[8+14] = 2 }), message.CodeMessageInvalid, []string{"properties"}},
		{"no destination", hello + publish(""), message.CodeMessageInvalid, []string{"destination"}},
		{"an empty component", hello + publish("/a//b"), message.CodeMessageInvalid, []string{"/a//b"}},
		{"a control character", hello + publish("/a\r\nPUB"), message.CodeMessageInvalid, nil},
		{"no UTF-8", hello + publish("/\xff"), message.CodeMessageInvalid, nil},
		{"a long name", hello + publish("/"+strings.Repeat("x", 256)), message.CodeMessageInvalid, nil},
		{"many components", hello + publish(strings.Repeat("/x", 65)), message.CodeMessageInvalid, nil},
		{"a bad subscription", hello + whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("//"), Start: true})), message.CodeMessageInvalid, []string{"//"}},
		{"a subscription without fields", hello + whole(message.Append(nil, &message.Message{Type: message.TypeSubjectSetSubscribe})), message.CodeMessageInvalid, nil},
		{"leaving one's own subject", helloFrame("/own") + whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/own")})), message.CodeMessageInvalid, []string{"/own"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := s.dialRT()
			c.t = t
			if err := c.write([]byte(row.sends)); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(row.sends, hello) || strings.HasPrefix(row.sends, helloFrame("/own")) {
				if c.readWelcome(); c.welcome.Code != message.CodeOK {
					t.Fatalf("refused: %s", c.welcome.Text)
				}
			}
			c.ends(row.code, row.words...)
			by.served()
		})
	}
	s.logged("connection ended by the server", "kind=protocol")
	s.logged("connection ended by the server", "kind=limit")
}

// TestRouterTruncatedInput ends connections in the middle of what they say, at every byte. Nobody else notices anything, and nothing of what
// was not whole is delivered.
func TestRouterTruncatedInput(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxConns = 0 })
	by := s.bystanders()
	script := helloFrame("") + whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/x"), Start: true})) +
		whole(message.Append(nil, textMessage("/by", "truncated")))
	for i := range len(script) {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, script[:i]); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	script = "CONNECT {\"verbose\":false}\r\nSUB x 1\r\nPUB by 9\r\ntruncated\r\n"
	for i := range len(script) {
		conn, err := net.Dial("tcp", s.nats)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, script[:i]); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	eventually(t, "all are gone", func() bool {
		_, text := s.adminGet("/metrics")
		return strings.Contains(text, `router_connections{protocol="nats"} 1`) && strings.Contains(text, `router_connections{protocol="client"} 1`)
	})
	by.served()
}

// TestRouterSlowInput sends everything byte by byte: it is taken as if it came at once.
func TestRouterSlowInput(t *testing.T) {
	s := startRouter(t, nil)
	by := s.bystanders()
	c := s.dialRT()
	trickle := func(conn net.Conn, text string) {
		t.Helper()
		for i := range len(text) {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.conn.(*net.TCPConn).SetNoDelay(true) // it is the default; each byte is a segment of its own
	trickle(c.conn, helloFrame("/slow"))
	c.readWelcome()
	trickle(c.conn, whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/x"), Start: true})))
	trickle(c.conn, whole(message.Append(nil, textMessage("/x", "slow")))+whole(message.Append(nil, textMessage("/by", "slow"))))
	c.want("/x", "slow")
	by.c.want("/by", "slow")
	by.n.want("MSG by 1 4|slow|")
	n := s.dialNATS()
	trickle(n.conn, natsLines.Replace(quietConnect+"SUB x.* 1|HPUB x.y 12 16|NATS/1.0||slow|PUB by 0||PING|"))
	n.want("HMSG x.y 1 12 16|NATS/1.0||slow|PONG|")
	by.c.want("/by", "")
	by.n.want("MSG by 1 0||")
	c.nothing(n)
}

// TestRouterNoise sends bytes without sense, made of pieces that have some, to both ports. Nobody else notices anything.
func TestRouterNoise(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxConns = 0 })
	by := s.bystanders()
	r := rand.New(rand.NewPCG(4, 2))
	pieces := map[string][]string{
		s.addr: {
			helloFrame(""), helloFrame("/a"), whole(message.Append(nil, textMessage("/noise/*", "x"))), whole(message.Append(nil, textMessage("/...x", ""))),
			whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/noise/..."), Start: true, Balance: true})),
			whole(message.AppendBatchSubscribe(nil, []message.SetSubscribe{{Subject: []byte("x"), Start: true}, {Subject: []byte("/noise/y")}})),
			whole(message.AppendControl(nil, "_server", "echo x")), whole(message.AppendControl(nil, "_server", "nonsense \"")),
			whole(message.Append(nil, &message.Message{Type: -414, Dest: []byte("x")})), whole(message.AppendDisconnect(nil, "warm")), "00000016", "99999999", "\x00\x01",
		},
		s.nats: {
			quietConnect, "CONNECT {}|", "CONNECT {", "SUB noise.> 1|", "SUB > q 2|", "UNSUB 1|", "UNSUB 1 1|", "PUB noise.a 1|x|", "PUB noise.* r 0||", "HPUB noise.h 12 13|NATS/1.0|||x|",
			"PING|", "PONG|", "+OK|", "-ERR 'x'|", "INFO {}|", "PUB noise.b 5|", "x", "|", " ", "\x00", "SUB \xff 9|", "HPUB a 4 2|",
		},
	}
	for round := range 300 {
		for addr, all := range pieces {
			var b bytes.Buffer
			for range 1 + r.IntN(12) {
				p := natsLines.Replace(all[r.IntN(len(all))])
				switch r.IntN(10) {
				case 0:
					p = p[:r.IntN(len(p)+1)]
				case 1:
					if len(p) > 0 {
						q := []byte(p)
						q[r.IntN(len(q))] ^= byte(1 << r.IntN(8))
						p = string(q)
					}
				}
				b.WriteString(p)
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(b.Bytes()) // the server may have closed
			if round%2 == 0 {
				_ = conn.(*net.TCPConn).CloseWrite() // likewise
				_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1000))
			}
			conn.Close()
		}
		if round%50 == 0 {
			by.served()
		}
	}
	eventually(t, "all are gone", func() bool {
		_, text := s.adminGet("/metrics")
		return strings.Contains(text, `router_connections{protocol="nats"} 1`) && strings.Contains(text, `router_connections{protocol="client"} 1`) &&
			strings.Contains(text, fmt.Sprintf("\nrouter_subscriptions %d\n", 3))
	})
	by.served()
}
