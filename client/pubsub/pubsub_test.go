package pubsub

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

// TestPublish has messages in every form that a publisher can give them.
func TestPublish(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	s, err := c.SubscribeChan(ctx, "/a/...")
	must(t, err)
	must(t, c.Flush(ctx))
	fields := message.AppendNamed(message.AppendInt4(nil, 7), "n", message.AppendStr(nil, "x"))
	for _, m := range []*Msg{
		{Subject: "a/b", Data: []byte("data")},
		{Subject: "/a"},
		{Subject: "/a/b/", Reply: "answers", Data: []byte{0, 1, 255}, Priority: -3, Balance: message.RoundRobin, Delivery: message.Ordered},
		{Subject: "/a/*", Type: 100, Fields: fields},
		{Subject: "/a/n", Header: []byte("NATS/1.0\r\nk: v\r\n\r\n"), Data: []byte("x")},
		{Subject: "/a/p", Props: message.AppendTextProperty(nil, message.TagCorrelationID, "id"), Reply: "/r"},
		{Subject: "/a/f", Fields: []byte{}},
		{Subject: "/a/big", Data: make([]byte, 200_000)},
	} {
		must(t, c.PublishMsg(ctx, m))
		got, err := s.Next(ctx)
		must(t, err)
		want := *m
		want.Subject = "/" + strings.Trim(m.Subject, "/")
		if want.Reply == "answers" {
			want.Reply = "/answers"
		}
		if want.Type == 0 {
			want.Type = message.TypeJMSBytes
		}
		if want.Fields == nil {
			want.Fields = message.AppendFromNATS(nil, m.Header, m.Data)
		} else {
			want.Data = want.Fields
		}
		if describe(got) != describe(&want) || got.Subscription() != s {
			t.Errorf("got  %s\nwant %s", describe(got), describe(&want))
		}
		if clone := got.Clone(); describe(clone) != describe(got) {
			t.Errorf("clone %s", describe(clone))
		}
	}
	if s.Delivered() != 8 || s.Pending() != 0 || s.Dropped() != 0 || s.Subject() != "/a/..." {
		t.Errorf("%d, %d, %d, %s", s.Delivered(), s.Pending(), s.Dropped(), s.Subject())
	}
	if n := c.Stats(); n.OutMsgs != 8 || n.InMsgs < 8 || n.OutBytes < 200_000 || n.InBytes < 200_000 {
		t.Errorf("%+v", n)
	}
}

func describe(m *Msg) string {
	text := fmt.Sprintf("%s reply=%s type=%s balance=%d delivery=%d priority=%d data=%q header=%q fields=%q props=%q",
		m.Subject, m.Reply, m.Type, m.Balance, m.Delivery, m.Priority, m.Data, m.Header, m.Fields, m.Props)
	return text[:min(len(text), 400)]
}

func TestPublishRefused(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	for name, row := range map[string]struct {
		m    Msg
		want error
	}{
		"no subject":    {Msg{}, subject.ErrName},
		"bad subject":   {Msg{Subject: "/a//b"}, subject.ErrName},
		"bad reply":     {Msg{Subject: "/a", Reply: "b\n"}, subject.ErrName},
		"internal type": {Msg{Subject: "/a", Type: message.TypeDisconnect}, ErrMessage},
		"guaranteed":    {Msg{Subject: "/a", Delivery: message.All}, ErrMessage},
		"weighted":      {Msg{Subject: "/a", Balance: message.Weighted}, ErrMessage},
		"balance":       {Msg{Subject: "/a", Balance: 9}, ErrMessage},
		"header":        {Msg{Subject: "/a", Header: []byte("NATS/1.0\r\n")}, ErrMessage},
		"properties":    {Msg{Subject: "/a", Props: make([]byte, 70_000)}, ErrMessage},
		"too large":     {Msg{Subject: "/a", Data: make([]byte, 1<<20)}, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) { wantErr(t, c.PublishMsg(ctx, &row.m), row.want) })
	}
	if n := c.Stats().OutMsgs; n != 0 {
		t.Errorf("%d were published", n)
	}
	must(t, c.Flush(ctx))
}

// TestSeveralSubscriptions has one copy of a message for several subscriptions, and subscriptions with the same name.
func TestSeveralSubscriptions(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	got := make(chan string, 100)
	var subs []*Subscription
	for i, name := range []string{"/a/b", "/a/b", "/a/*", "/...", "/c"} {
		s, err := c.Subscribe(ctx, name, func(m *Msg) { got <- fmt.Sprint(i, m.Subject) })
		must(t, err)
		subs = append(subs, s)
	}
	must(t, c.Publish(ctx, "/a/b", nil))
	seen := map[string]bool{}
	for range 4 {
		seen[await(t, "message", got)] = true
	}
	for i := range 4 {
		if !seen[fmt.Sprint(i, "/a/b")] {
			t.Errorf("%d: %v", i, seen)
		}
	}
	must(t, subs[0].Unsubscribe())
	wantErr(t, subs[0].Unsubscribe(), ErrClosed)
	must(t, c.Flush(ctx))
	if there, _ := f.subscribed("/a/b"); !there {
		t.Error("the server has no /a/b, although there is one")
	}
	must(t, subs[1].Unsubscribe())
	must(t, subs[2].Unsubscribe())
	must(t, c.Flush(ctx))
	if there, _ := f.subscribed("/a/b"); there {
		t.Error("the server still has /a/b")
	}
	must(t, c.Publish(ctx, "/a/b", nil))
	must(t, subs[3].Drain(ctx))
	wantErr(t, subs[3].Drain(ctx), ErrClosed)
	if s := await(t, "message", got); s != "3/a/b" || len(got) > 0 {
		t.Errorf("%s, and %d more", s, len(got))
	}
}

func TestNoBalancing(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	c := f.connect(Options{})
	want := func(there, balanced bool) {
		t.Helper()
		must(t, c.Flush(ctx))
		if has, b := f.subscribed("/a"); has != there || b != balanced {
			t.Errorf("%v, %v; want %v, %v", has, b, there, balanced)
		}
	}
	_, err := c.Subscribe(ctx, "/a", func(*Msg) {})
	must(t, err)
	want(true, true)
	s, err := c.Subscribe(ctx, "/a", func(*Msg) {}, NoBalancing())
	must(t, err)
	want(true, false)
	must(t, s.Unsubscribe())
	want(true, true)
}

// TestDirect has messages for the client itself.
func TestDirect(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	got := make(chan string, 10)
	c := f.connect(Options{Subject: "me", Direct: func(m *Msg) {
		got <- m.Subject
		if m.Subscription() != nil {
			t.Error("a subscription that nobody made")
		}
	}})
	node := "/_" + f.helloNo(0).Node
	for _, name := range []string{"me", "_all", node} {
		must(t, c.Publish(ctx, name, nil))
	}
	if all := []string{await(t, "first", got), await(t, "second", got), await(t, "third", got)}; strings.Join(all, " ") != "/me /_all "+node {
		t.Error(all)
	}
	if c.Subject() != "/me" {
		t.Error(c.Subject())
	}
	_ = f.connect(Options{Subject: "other", NoStandardSubjects: true})
	other := f.connect(Options{Subject: "third"}) // nobody looks at what comes
	must(t, other.Flush(ctx))
	must(t, c.Publish(ctx, "_all", nil))
	eventually(t, "a message that nobody wants", func() bool { return other.Stats().Unmatched == 1 })
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.peers {
		if _, has := p.subs["/_all"]; has == (p.unique == "/other") {
			t.Errorf("%s: _all: %v", p.unique, has)
		}
	}
}

// TestHello has what the server is told, and a prefix that it sets.
func TestHello(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	f.set(func() { f.welcome.Prefix = "/demo" })
	c := f.connect(Options{Project: "p", User: "u", Password: "s", Ident: "test"})
	h := f.helloNo(0)
	if h.Project != "p" || h.Ident != "test" || h.Username != "u" || h.Password != "s" || h.Policy != message.PolicyPassword || h.HasPrefix ||
		h.PID != int32(os.Getpid()) || h.Version != message.ProtocolVersion || !strings.HasPrefix(h.Unique, fmt.Sprintf("_%s_%d", h.Node, h.PID)) {
		t.Errorf("%+v", h)
	}
	s, err := c.SubscribeChan(ctx, "x")
	must(t, err)
	must(t, c.Publish(ctx, "x", nil))
	if m, err := s.Next(ctx); err != nil || m.Subject != "/demo/x" {
		t.Errorf("%v, %v", m, err)
	}
	d := f.connect(Options{Prefix: "/mine"})
	if h := f.helloNo(1); h.Prefix != "/mine" || h.Unique == f.helloNo(0).Unique || h.Policy != message.PolicyNone || h.Instance == f.helloNo(0).Instance {
		t.Errorf("%+v", h)
	}
	if s, err = d.SubscribeChan(ctx, "x"); err != nil || s.Subject() != "/mine/x" {
		t.Errorf("%v", err)
	}
	if name, unique := c.Server(); name != "tcp:"+f.addr || unique != "/_server_1" {
		t.Errorf("%s, %s", name, unique)
	}
}

func TestConnectRefused(t *testing.T) {
	ctx := testContext(t)
	f := newFake(t)
	f.set(func() { f.welcome.Code, f.welcome.Text = message.CodeAlreadyExists, "in use" })
	gone := newFake(t)
	_ = gone.l.Close()
	_, err := Connect(ctx, Options{Servers: []string{gone.addr, f.addr}})
	var refused *ServerError
	if !errors.As(err, &refused) || refused.Code != message.CodeAlreadyExists || refused.Text != "in use" || !strings.Contains(err.Error(), gone.addr) {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{Servers: []string{"tcp:x:y"}}, {Servers: []string{"proxy:x"}}} {
		if _, err := Connect(ctx, o); err == nil {
			t.Errorf("%v: no error", o.Servers)
		}
	}
	fine := newFake(t)
	c, err := Connect(ctx, Options{InOrder: true, Servers: []string{gone.addr, f.addr, "tcp:" + fine.addr}})
	must(t, err)
	defer c.Close()
	if name, _ := c.Server(); name != "tcp:"+fine.addr {
		t.Error(name)
	}
}

func TestParseServers(t *testing.T) {
	t.Setenv("RTSERVER_SOCKET_DIR", "/run/rt")
	for in, want := range map[string]string{
		"":                          "tcp:localhost:5101",
		"tcp":                       "tcp:localhost:5101",
		"tcp:h":                     "tcp:h:5101",
		"tcp:h:1":                   "tcp:h:1",
		"tcp:_node:1":               "tcp:localhost:1",
		"h":                         "tcp:h:5101",
		"h:5102":                    "tcp:h:5102",
		"[::1]:5102":                "tcp:[::1]:5102",
		"tcp:[::1]":                 "tcp:[::1]:5101",
		"tls:h:5103":                "tls:h:5103",
		"start_never:tcp:h:1":       "tcp:h:1",
		"local":                     "local:_node:/run/rt/RTSERVER",
		"local:_node:/tmp/s":        "local:_node:/tmp/s",
		"tcp:a:1, tcp:b:2,_random,": "tcp:a:1 tcp:b:2 random",
		"tcp:h:0":                   "error",
		"tcp:h:x":                   "error",
		"h:70000":                   "error",
		"::1":                       "error",
		"pgm:h":                     "error",
	} {
		all, shuffle, err := parseServers([]string{in})
		var got []string
		for _, a := range all {
			got = append(got, a.name)
		}
		if shuffle {
			got = append(got, "random")
		}
		if err != nil {
			got = []string{"error"}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", in, s, want)
		}
	}
}
