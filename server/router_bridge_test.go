package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server/config"
)

// bridgeNames are subjects as NATS clients and as our clients know them.
var bridgeNames = []struct{ nats, ours string }{
	{"a.b", "/a/b"},
	{"a", "/a"},
	{"a*b", "/a%2Ab"},
	{"a.>b", "/a/%3Eb"},
	{"a/b.c", "/a%2Fb/c"},
	{"100%", "/100%25"},
	{"%2F", "/%252F"},
	{"Ünïcode.…", "/Ünïcode/…"},
	{"bell\x07", "/bell%07"},
	{"raw\xff", "/raw%FF"},
	{"x%2Ey", "/x.y"},
	{"two%20words", "/two words"},
	{strings.Repeat("long", 100), "/" + strings.Repeat("long", 100)}, // too long a component for us, not for NATS
}

// TestBridgeSubjects has what one side publishes come under the right name to the other side.
func TestBridgeSubjects(t *testing.T) {
	s := startRouter(t, nil)
	c := s.joinRT("/watcher")
	c.subscribe("/...")
	for i, row := range bridgeNames {
		t.Run(fmt.Sprintf("%q", row.nats), func(t *testing.T) {
			n := s.joinNATS()
			n.t, c.t = t, t
			n.send(fmt.Sprintf("SUB %s %d|PING|PUB %s 1|x|", row.nats, i, row.nats))
			n.want(fmt.Sprintf("PONG|MSG %s %d 1|x|", row.nats, i))
			c.want(row.ours, "x")
			if len(row.ours) > 256 {
				return // no client can publish to it
			}
			c.publish(row.ours, "back")
			n.want(fmt.Sprintf("MSG %s %d 4|back|", row.nats, i))
			c.want(row.ours, "back")
			n.conn.Close()
		})
	}
}

// TestBridgeWildcards has a wildcard of one side be a literal where the other side has none.
func TestBridgeWildcards(t *testing.T) {
	s := startRouter(t, nil)
	c, n := s.joinRT(""), s.joinNATS()
	c.subscribe("/lit/*", "/deep/...")
	n.send("SUB lit.* 1|SUB lit.a 2|SUB deep.> 3|SUB p.* 4|")
	n.sync()
	n.send("PUB lit.* 1|a|PUB lit.> 1|b|PUB lit.a.b 1|-|")
	c.want("/lit/%2A", "a")
	c.want("/lit/%3E", "b")
	n.want("MSG lit.* 1 1|a|MSG lit.> 1 1|b|")
	c.publish("/lit/*", "wild") // this one is a wildcard: everybody who could get a name that fits
	c.want("/lit/*", "wild")
	n.want("MSG lit.* 1 4|wild|MSG lit.* 2 4|wild|")
	n.send("PUB deep 1|1|PUB deep.a 1|2|PUB deep.a.b 1|3|")
	for i, name := range []string{"/deep", "/deep/a", "/deep/a/b"} {
		c.want(name, fmt.Sprint(i+1))
	}
	n.want("MSG deep.a 3 1|2|MSG deep.a.b 3 1|3|") // > is one or more levels, ... zero or more
	c.publish("/deep", "no")
	c.publish("/deep/x", "y")
	n.want("MSG deep.x 3 1|y|")
	c.want("/deep", "no")
	c.want("/deep/x", "y")
	c.publish("/p/.../q", "w") // meets p.*, though NATS has no word for it
	n.want("MSG p.%2E%2E%2E.q 4 1|w|")
	c.nothing(n)
	n.nothing(c)
}

// TestBridgeReply has requests answered by the other side.
func TestBridgeReply(t *testing.T) {
	s := startRouter(t, nil)
	c, n := s.joinRT("/station/1"), s.joinNATS()
	c.subscribe("/service")
	n.send("SUB service.n 1|SUB _INBOX.abc.* 2|")
	n.sync()
	n.send("PUB service _INBOX.abc.7 8|question|")
	m := c.want("/service", "question")
	reply, ok := m.Property(message.TagReplyTo)
	if !ok || string(reply) != "/_INBOX/abc/7" {
		t.Fatalf("reply to %q, %v", reply, ok)
	}
	c.publish(string(reply), "answer")
	n.want("MSG _INBOX.abc.7 2 6|answer|")

	q := textMessage("/service/n", "question")
	q.Props = message.AppendTextProperty(nil, message.TagReplyTo, "/station/1")
	c.send(q)
	n.want("MSG service.n 1 station.1 8|question|")
	n.send("PUB station.1 6|answer|")
	c.want("/station/1", "answer")
	// A reply with odd bytes comes back as it was.
	n.send("PUB service in/b*ox.% 1|x|")
	reply, _ = c.want("/service", "x").Property(message.TagReplyTo)
	n.send("SUB in/b*ox.% 3|")
	n.sync()
	c.publish(string(reply), "odd")
	n.want("MSG in/b*ox.% 3 3|odd|")
}

// TestBridgeBadReply has no reply subject of a client break the stream of a NATS client.
func TestBridgeBadReply(t *testing.T) {
	s := startRouter(t, nil)
	for _, bad := range []string{"/x 1\r\nz\r\nPING", "/a\tb", "\r\n", "/a\nb", "", "/", "//", "a b", " ", "\x00", "/\xff", strings.Repeat("/long", 3000)} {
		t.Run(fmt.Sprintf("%.20q", bad), func(t *testing.T) {
			c, n := s.joinRT(""), s.joinNATS()
			c.t, n.t = t, t
			n.send("SUB a 1|")
			n.sync()
			m := textMessage("/a", "payload")
			m.Props = message.AppendTextProperty(nil, message.TagReplyTo, bad)
			c.send(m)
			line, err := n.in.ReadString('\n')
			if f := strings.Fields(line); err != nil || !strings.HasPrefix(line, "MSG a 1 ") || f[len(f)-1] != "7" || len(f) > 5 || len(f) < 4 {
				t.Fatalf("%.200q, %v", line, err)
			}
			n.want("payload|")
			n.sync()
		})
	}
}

// TestBridgeHeaders has header blocks of NATS pass through a client's message and back.
func TestBridgeHeaders(t *testing.T) {
	s := startRouter(t, nil)
	c, n := s.joinRT(""), s.joinNATS()
	c.subscribe("/h")
	n.send("SUB h2 2|")
	n.sync()
	block := "NATS/1.0\r\nA: b\r\nA: c\r\n\r\n"
	n.send(fmt.Sprintf("HPUB h r.s %d %d|%shello|", len(block), len(block)+5, block))
	m := c.want("/h", "hello")
	if header, _ := message.NATSPayload(m); string(header) != block {
		t.Fatalf("header %q", header)
	}
	if m.Type != message.TypeJMSBytes {
		t.Errorf("type %v", m.Type)
	}
	m.Dest = []byte("/h2")
	c.send(m) // as it is: its fields hold the header, its properties the reply
	n.want(fmt.Sprintf("HMSG h2 2 r.s %d %d|%shello|", len(block), len(block)+5, block))
	// Who has not said that he knows headers gets the payload alone.
	plain := s.dialNATS()
	plain.send(`CONNECT {"verbose":false}|SUB h* 1|SUB h 2|SUB h2 3|`)
	plain.sync()
	n.send(fmt.Sprintf("HPUB h %d %d|%shello|", len(block), len(block)+5, block))
	plain.want("MSG h 2 5|hello|")
	c.want("/h", "hello")
	c.send(m)
	plain.want("MSG h2 3 r.s 5|hello|")
	n.want(fmt.Sprintf("HMSG h2 2 r.s %d %d|%shello|", len(block), len(block)+5, block))
	// A header block that is none stays part of the message.
	m.Fields = message.AppendFromNATS(nil, []byte("NATS/1.0\r\nA: b\r\n"), []byte("x"))
	c.send(m)
	n.want(fmt.Sprintf("MSG h2 2 r.s %d|%s|", len(m.Fields), m.Fields))
}

// TestBridgePayload has payloads of both sides come out as they went in.
func TestBridgePayload(t *testing.T) {
	s := startRouter(t, nil)
	c, n := s.joinRT(""), s.joinNATS()
	c.subscribe("/to/client")
	n.send("SUB to.nats 1|")
	n.sync()
	big := strings.Repeat("0123456789abcdef", 1<<16) // the most that NATS clients may publish
	for _, payload := range []string{"", "x", "line\r\nPING\r\n", "\x00\xff", big} {
		n.send(fmt.Sprintf("PUB to.client %d|", len(payload)))
		if err := n.write(payload + "\r\n"); err != nil {
			t.Fatal(err)
		}
		m := c.want("/to/client", payload)
		if f, size, err := message.NextField(m.Fields); err != nil || size != len(m.Fields) || f.Kind != message.Binary || len(f.Name) > 0 {
			t.Errorf("field %v, %d of %d bytes, %v", f.Kind, size, len(m.Fields), err)
		}
		for _, fields := range [][]byte{message.AppendBinary(nil, []byte(payload)), message.AppendStr(nil, payload)} {
			c.send(&message.Message{Type: 5, Dest: []byte("/to/nats"), Fields: fields})
			if err := n.expectRaw(fmt.Sprintf("MSG to.nats 1 %d\r\n%s\r\n", len(payload), payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A message with other fields is its whole field block to NATS.
	for _, fields := range [][]byte{
		nil,
		message.AppendInt4(nil, 7),
		message.AppendInt4(message.AppendStr(nil, "ibm"), 99),
		message.AppendStr(message.AppendStr(nil, "two"), "texts"),
	} {
		c.send(&message.Message{Type: 5, Dest: []byte("/to/nats"), Fields: fields})
		if err := n.expectRaw(fmt.Sprintf("MSG to.nats 1 %d\r\n%s\r\n", len(fields), fields)); err != nil {
			t.Error(err)
		}
	}
}

// TestBridgeUntouched has everything of a client's message arrive as it was sent, on its own loop and on others: flags, modes, priority, type,
// sequence, properties, fields that are no fields at all.
func TestBridgeUntouched(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.DefaultSubjectPrefix = "/pre" })
	p := s.joinRT("")
	var all []*rtClient
	for range 4 {
		c := s.joinRT("")
		c.subscribe("/pre/x")
		all = append(all, c)
	}
	props := message.AppendTextProperty(message.AppendIntProperty(nil, message.TagUserProp, -5), 200, "tag that nobody knows")
	for _, m := range []message.Message{
		{Type: 1, Dest: []byte("/pre/x")},
		{Flags: message.FlagResend | message.FlagCompressed, Delivery: message.All, Priority: -300, Type: 123456, Seq: 1 << 31, Dest: []byte("x"), Props: props, Fields: []byte("\xff\xffnot fields")},
		{Type: -40, Priority: 32767, Delivery: message.Ordered, Dest: []byte("x/"), Fields: make([]byte, 300_000)},
	} {
		p.send(&m)
		want := m
		want.Dest = []byte("/pre/x")
		for i, c := range all {
			got := c.read()
			if string(message.Append(nil, got)) != string(message.Append(nil, &want)) {
				t.Errorf("client %d: %.300v, want %.300v", i, got, want)
			}
		}
	}
}

// TestNATSInfo looks at what a client is told first.
func TestNATSInfo(t *testing.T) {
	s := startRouter(t, withAccess)
	a, b := s.dialNATS(), s.dialNATS()
	info := func(c *natsClient) (m map[string]any) {
		if err := json.Unmarshal([]byte(c.info), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	one, two := info(a), info(b)
	_, port := split(t, s.nats)
	for key, want := range map[string]any{
		"version": "2.15.2", "proto": 1.0, "headers": true, "auth_required": true, "max_payload": float64(1 << 20), "port": float64(port),
		"host": "127.0.0.1", "client_ip": "127.0.0.1", "tls_required": nil, "tls_available": nil, "tls_verify": nil, "ldm": nil, "jetstream": nil,
	} {
		if one[key] != want {
			t.Errorf("%s: %v, want %v", key, one[key], want)
		}
	}
	if one["client_id"] == two["client_id"] || one["server_id"] != two["server_id"] || one["server_id"] == "" || one["server_name"] == "" || one["go"] == "" {
		t.Errorf("%v\n%v", one, two)
	}
}

// TestNATSLongSubject has subjects of NATS clients that are longer or deeper than a message of ours can name.
func TestNATSLongSubject(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.NATS.MaxControlLine = 1 << 20 })
	c, n := s.joinRT(""), s.joinNATS()
	c.subscribe("/...")
	n.send("SUB > 1|")
	n.sync()
	for _, name := range []string{
		strings.Repeat("x", 65_534), strings.Repeat("x", 65_535), strings.Repeat("x", 70_000), strings.Repeat("*", 30_000), strings.Repeat("x.", 100_000) + "x",
		strings.Repeat("a.", 60) + "b", strings.Repeat("/", 300_000),
	} {
		n.send("PUB " + name + " reply." + name + " 1|x|PUB after 0||")
		n.want("MSG " + name + " 1 reply." + name + " 1|x|MSG after 1 0||")
		m := c.read()
		if string(m.Dest) != "/after" {
			if want, err := subject.FromNATS(nil, []byte(name), false); err != nil || string(m.Dest) != string(want) {
				t.Fatalf("%.100q for %.100q, %v", m.Dest, name, err)
			}
			m = c.read()
		}
		if string(m.Dest) != "/after" {
			t.Fatalf("%.100q", m.Dest)
		}
		n.send("SUB " + name + " 2|UNSUB 2|PING|")
		if line, err := n.in.ReadString('\n'); err != nil || line == "-ERR 'Invalid Subject'\r\n" { // it may be too long for a subscription
			n.want("PONG|")
		} else if line != "PONG\r\n" {
			t.Fatalf("%q", line)
		}
	}
}
