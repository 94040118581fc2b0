package server_test

import (
	"fmt"
	"testing"

	"roundhouse/codec/message"
	"roundhouse/server/config"
)

// TestRouterPrefix has names without a leading slash completed.
func TestRouterPrefix(t *testing.T) {
	for _, prefix := range []string{"/", "/a", "/a/"} {
		t.Run(prefix, func(t *testing.T) {
			s := startRouter(t, func(c *config.Config) { c.Router.DefaultSubjectPrefix = prefix })
			whole := "/eps"
			if prefix != "/" {
				whole = "/a/eps"
			}
			absolute, relative, p := s.joinRT(""), s.joinRT("me"), s.joinRT("")
			if p.welcome.Prefix != prefix {
				t.Errorf("the clients are told of the prefix %q", p.welcome.Prefix)
			}
			absolute.subscribe(whole)
			relative.subscribe("eps")
			for _, name := range []string{"eps", whole, "eps/", whole + "/"} {
				p.publish(name, name)
				absolute.want(whole, name)
				relative.want(whole, name)
			}
			p.publish("/eps/x", "no")
			p.publish("me", "unique subjects have it, too")
			relative.want(relative.welcome.Unique, "unique subjects have it, too")
			absolute.nothing(p)
		})
	}
}

// wildcardRows say which subscriptions get what is published to a name; both may be a pattern.
var wildcardRows = []struct {
	pattern, name string
	matches       bool
}{
	{"/foo/b*/baz", "/foo/bar/baz", true},
	{"/foo/b*/baz", "/foo/box/baz", true},
	{"/foo/b*/baz", "/foo/b/baz", true},
	{"/foo/b*/baz", "/foo/far/baz", false},
	{"/foo/b*/baz", "/foo/bar/x/baz", false},
	{"/foo/bar*", "/foo/bar", true},
	{"/foo/*a*r", "/foo/bar", true},
	{"/foo/*a*r", "/foo/bor", false},
	{"/*", "/a", true},
	{"/*", "/a/b", false},
	{"/*/b", "/a/b", true},
	{"/...", "/a", true},
	{"/...", "/a/b/c", true},
	{"/a/...", "/a", true},
	{"/a/...", "/a/b", true},
	{"/a/...", "/a/b/c", true},
	{"/a/...", "/ab", false},
	{"/.../ibm", "/ibm", true},
	{"/.../ibm", "/nyse/tech/ibm", true},
	{"/.../ibm", "/nyse/ibm/x", false},
	{"/a/.../z*", "/a/z", true},
	{"/a/.../z*", "/a/b/c/zz", true},
	{"/a/.../z*", "/a/b/c/y", false},
	{"/a...b", "/a...b", true},
	{"/a...b", "/a/b", false},
	// Publishing to a wildcard reaches everybody who could get a name that fits it.
	{"/a/b", "/a/*", true},
	{"/a/...", "/a/*", true},
	{"/x", "/a/*", false},
	{"/a/b/c", "/a/*", false},
	{"/a/b/c", "/a/...", true},
	{"/a", "/a/...", true},
	{"/*/b", "/a/*", true},
	{"/a/x*", "/a/*y", true},
	{"/a/x*", "/b/...", false},
	{"/...", "/a/...", true},
}

// TestRouterWildcards tries patterns in subscriptions and in what is published to: before the first message to a name, and after one, when
// who gets it is remembered.
func TestRouterWildcards(t *testing.T) {
	s := startRouter(t, nil)
	p := s.joinRT("")
	for i, row := range wildcardRows {
		t.Run(fmt.Sprint(row.pattern, " ", row.name), func(t *testing.T) {
			c := s.joinRT("")
			c.t = t
			for round, text := range []string{"cold", "warm"} {
				p.publish(row.name, fmt.Sprint("before ", i, text))
				c.nothing(p)
				c.subscribe(row.pattern)
				p.publish(row.name, fmt.Sprint(i, text))
				if row.matches {
					c.want(row.name, fmt.Sprint(i, text))
				}
				c.nothing(p)
				c.setSubscribe(row.pattern, false, true)
				if c.sync(); round == 1 {
					c.sendRaw(message.AppendDisconnect(nil, "gmd_failure"))
				}
			}
		})
	}
}

// TestRouterOneCopy has a client with several subscriptions that match get one copy, as long as one of them is left.
func TestRouterOneCopy(t *testing.T) {
	s := startRouter(t, nil)
	everywhere(t, s, func(t *testing.T, p publisher) {
		c := s.joinRT("")
		c.t = t
		patterns := []string{"/a/b", "/a/*", "/a/...", "/...", "/*/b", "/a/b*"}
		c.subscribe(patterns...)
		for i, pattern := range patterns {
			p.publish("/a/b", fmt.Sprint(i))
			c.want("/a/b", fmt.Sprint(i))
			c.nothing(p)
			c.setSubscribe(pattern, false, true)
			c.sync()
		}
		p.publish("/a/b", "nobody")
		p.publish("/a/b/c", "nobody")
		c.nothing(p)
	})
}

// TestRouterUnsubscribeTwice has ending and beginning a subscription twice be as once.
func TestRouterUnsubscribeTwice(t *testing.T) {
	s := startRouter(t, nil)
	c, p := s.joinRT(""), s.joinRT("")
	c.subscribe("/a", "/a")
	p.publish("/a", "1")
	c.want("/a", "1")
	c.setSubscribe("/a", false, true)
	c.sync()
	p.publish("/a", "2")
	c.nothing(p)
	c.setSubscribe("/a", false, true)
	c.subscribe("/a")
	p.publish("/a", "3")
	c.want("/a", "3")
	c.nothing(p)
}

// TestRouterBatchSubscribe has a code for each subject.
func TestRouterBatchSubscribe(t *testing.T) {
	s := startRouter(t, nil)
	c, p := s.joinRT("own"), s.joinRT("")
	c.sendRaw(message.AppendBatchSubscribe(nil, []message.SetSubscribe{
		{Subject: []byte("/a"), Start: true, Balance: true}, {Subject: []byte("b/*"), Start: true},
		{Subject: []byte("//"), Start: true}, {Subject: []byte("/c")}, {Subject: []byte("/a"), Start: true, Balance: true}, {Subject: []byte("own")},
	}))
	got, err := message.ParseBatchResult(nil, c.read())
	if err != nil {
		t.Fatal(err)
	}
	want := []message.Code{message.CodeOK, message.CodeOK, message.CodeInvalid, message.CodeDoesNotExist, message.CodeOK, message.CodeInvalid}
	for i, r := range got {
		if r.Code != want[i] {
			t.Errorf("%s: %v, want %v", r.Subject, r.Code, want[i])
		}
	}
	p.publish("/a", "1")
	p.publish("/b/x", "2")
	p.publish("own", "3")
	c.want("/a", "1")
	c.want("/b/x", "2")
	c.want("/own", "3")
}

// TestRouterProjects has no message cross from one project to another one, with the same subjects and the same unique subjects.
func TestRouterProjects(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.NATS.Project = "blue" })
	join := func(project string) *rtClient {
		c := s.dialRT()
		c.join(&message.Hello{Project: project, Unique: "same"})
		c.subscribe("/a/...", "/...")
		return c
	}
	red, blue, usual := join("red"), join("blue"), join("")
	nats := s.joinNATS()
	nats.send("SUB > 1|")
	nats.sync()
	red.publish("/a/b", "red")
	blue.publish("/a/b", "blue")
	usual.publish("/a/b", "usual")
	red.want("/a/b", "red")
	blue.want("/a/b", "blue")
	nats.want("MSG a.b 1 4|blue|")
	usual.want("/a/b", "usual")
	nats.publish("/n", "nats")
	blue.want("/n", "nats")
	nats.want("MSG n 1 4|nats|")
	for _, c := range []*rtClient{red, blue, usual} {
		c.publish("same", "to myself")
		c.want("/same", "to myself")
		if c == blue {
			nats.want("MSG same 1 9|to myself|")
		}
		c.sync()
	}
	nats.sync()
	c := s.dialRT()
	if c.hello(&message.Hello{Project: "not an identifier"}); c.welcome.Code != message.CodeInvalid {
		t.Errorf("a bad project: %v %s", c.welcome.Code, c.welcome.Text)
	}
}

// TestRouterUniqueSubject has a second client with a unique subject refused as long as the first one is there.
func TestRouterUniqueSubject(t *testing.T) {
	s := startRouter(t, nil)
	first, p := s.joinRT("/station/1"), s.joinRT("")
	for _, same := range []string{"/station/1", "station/1", "station/1/"} {
		c := s.dialRT()
		if c.hello(&message.Hello{Unique: same}); c.welcome.Code != message.CodeAlreadyExists {
			t.Errorf("%s: %v %s", same, c.welcome.Code, c.welcome.Text)
		}
		if _, err := c.next(); err == nil {
			t.Error("it is still connected")
		}
	}
	for _, bad := range []string{"/station/*", "/...", "//x", "/a\x01", "_server"} {
		c := s.dialRT()
		if c.hello(&message.Hello{Unique: bad}); c.welcome.Code != message.CodeInvalid {
			t.Errorf("%q: %v %s", bad, c.welcome.Code, c.welcome.Text)
		}
	}
	p.publish("/station/1", "still there")
	first.want("/station/1", "still there")
	first.conn.Close()
	var second *rtClient
	eventually(t, "the name is free", func() bool {
		second = s.dialRT()
		second.hello(&message.Hello{Unique: "/station/1"})
		return second.welcome.Code == message.CodeOK
	})
	p.publish("/station/1", "new")
	second.want("/station/1", "new")
	a, b := s.joinRT(""), s.joinRT("")
	if a.welcome.Unique == b.welcome.Unique || a.welcome.Unique == "" {
		t.Errorf("unique subjects %q and %q", a.welcome.Unique, b.welcome.Unique)
	}
}

// TestRouterTakeover has the same client come back while its old connection is still there, on whatever loop.
func TestRouterTakeover(t *testing.T) {
	for _, row := range []struct {
		rule        string
		same, other message.Code
	}{
		{"same_instance", message.CodeOK, message.CodeAlreadyExists},
		{"never", message.CodeAlreadyExists, message.CodeAlreadyExists},
		{"always", message.CodeOK, message.CodeOK},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := startRouter(t, func(c *config.Config) { c.Router.Client.Takeover = row.rule })
			p := s.joinRT("")
			for round := range 6 {
				unique := fmt.Sprint("u", round)
				old := s.dialRT()
				old.join(&message.Hello{Unique: unique, Instance: [16]byte{1}})
				old.subscribe("/a")
				for range round % 4 { // so that the next one comes to another loop
					s.joinNATS()
				}
				instance, want := [16]byte{1}, row.same
				if round%2 == 1 {
					instance, want = [16]byte{2}, row.other
				}
				c := s.dialRT()
				if c.hello(&message.Hello{Unique: unique, Instance: instance}); c.welcome.Code != want {
					t.Fatalf("round %d: %v %s, want %v", round, c.welcome.Code, c.welcome.Text, want)
				}
				if want == message.CodeOK {
					old.ends(message.CodeInUse, "taken over")
					p.publish(unique, "for the new one")
					c.want("/"+unique, "for the new one")
					c.nothing(p) // subscriptions are not inherited
					continue
				}
				p.publish(unique, "for the old one")
				old.want("/"+unique, "for the old one")
			}
			none := s.dialRT()
			none.join(&message.Hello{Unique: "without"})
			c := s.dialRT() // an instance of zeros is none
			if c.hello(&message.Hello{Unique: "without"}); (c.welcome.Code == message.CodeOK) != (row.rule == "always") {
				t.Errorf("without an instance: %v %s", c.welcome.Code, c.welcome.Text)
			}
		})
	}
}

// TestRouterDisconnect has a client that leaves in good order gone for the others.
func TestRouterDisconnect(t *testing.T) {
	s := startRouter(t, nil)
	c, p := s.joinRT("leaver"), s.joinRT("")
	c.subscribe("/a")
	c.sendRaw(message.AppendDisconnect(nil, "gmd_failure"))
	if m, err := c.next(); err == nil {
		t.Fatalf("%v to %s", m.Type, m.Dest)
	}
	p.publish("/a", "nobody")
	p.publish("leaver", "nobody")
	p.sync()
	again := s.joinRT("leaver") // at once: the name was given back before the connection was closed
	again.nothing(p)
}
