package router

import (
	"fmt"
	"strings"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server/access"
)

// hello handles CONNECT_CALL, the first message of a client.
func (c *client) hello(m *message.Message) {
	h := new(message.Hello)
	if err := message.ParseHello(m, h); err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	if log := c.shard.logIn; log != nil {
		shown := *h
		shown.Password = "" // no secret gets into a file
		log.note(message.AppendHello(nil, &shown), &c.peer)
	}
	if h.Version < 1 {
		c.refuseAndCut(cutProtocol, message.CodeProtocol, fmt.Sprintf("protocol version %d: %d or later is needed", h.Version, message.ProtocolVersion))
		return
	}
	d := c.shard.door
	if !d.guard.Required() {
		c.welcome(h, nil)
		return
	}
	given := access.Credentials{User: h.Username, Password: h.Password}
	if state, ok := c.conn.TLS(); ok && len(state.PeerCertificates) > 0 {
		given.Certificate = state.PeerCertificates[0]
	}
	c.state = clientChecking
	c.conn.Pause()
	d.checking.Go(func() { // ends with the check; Close waits for it
		id, err := d.guard.Authenticate(given)
		c.shard.loop.Post(func() { c.checked(h, id, err) })
	})
}

func (c *client) checked(h *message.Hello, id *access.Identity, err error) {
	if c.gone {
		return
	}
	c.state = clientOpening
	c.conn.Resume()
	if err == nil && !id.May(access.Connect, projectOf(h), "/...") {
		err = fmt.Errorf("user %s may not connect to project %s", id.Name(), clip(projectOf(h)))
	}
	if err != nil {
		c.refuseAndCut(cutDenied, message.CodeDenied, err.Error())
		return
	}
	c.welcome(h, id)
	c.shard.endCallback()
}

func projectOf(h *message.Hello) string {
	if h.Project == "" {
		return defaultProject
	}
	return h.Project
}

// defaultProject is that of clients that name none. Source: option Project.
const defaultProject = "rtworks"

// welcome registers the client, which may then publish and subscribe.
func (c *client) welcome(h *message.Hello, id *access.Identity) {
	d := c.shard.door
	set := d.settings.Load()
	p, err := d.project(projectOf(h))
	if err != nil {
		c.refuseAndCut(cutLimit, message.CodeInvalid, err.Error())
		return
	}
	if c.unique, err = d.uniqueName(h, c.id); err != nil {
		c.refuseAndCut(cutProtocol, message.CodeInvalid, err.Error())
		return
	}
	c.instance, c.mode, c.identity = h.Instance, h.DisconnectMode, id
	c.noResponders = h.Features&message.FeatureNoResponders != 0
	c.about = about{clip(h.Ident), clip(h.User), clip(h.Node), clip(h.Arch), h.PID}
	if holder := p.claim(c, set.cfg.Client.Takeover); holder != nil {
		c.refuseAndCut(cutDenied, message.CodeAlreadyExists, fmt.Sprintf("the unique subject %s is in use in project %s", c.unique, p.name))
		return
	}
	c.view = p.views[c.shard.index]
	c.state = clientOpen
	c.add([]byte(c.unique), true)
	c.send(func(dst []byte) []byte {
		return message.AppendWelcome(dst, &message.Welcome{
			Text: "Connection established.", Server: d.unique, Prefix: set.cfg.DefaultSubjectPrefix, ServerID: d.epoch,
			KeepAlive: set.cfg.Client.ReadTimeout, MaxMessageSize: set.cfg.MaxMessageSize, Unique: c.unique,
		})
	})
	c.setRates(set.rates)
}

// uniqueName is the subject that a client alone gets: what it asks for, or one of ours.
func (d *Door) uniqueName(h *message.Hello, id uint64) (string, error) {
	name := h.Unique
	if name == "" {
		name = fmt.Sprintf("_%s_%d_%x", strings.Map(plain, h.Node), h.PID, id)
	}
	b, err := subject.Canonical(nil, d.settings.Load().cfg.DefaultSubjectPrefix, []byte(name))
	if err != nil {
		return "", fmt.Errorf("unique subject %q: %w", clip(name), err)
	}
	if subject.IsWild(string(b)) {
		return "", fmt.Errorf("unique subject %q: it must not have wildcards", clip(name))
	}
	if string(b) == serverSubject || string(b) == d.unique {
		return "", fmt.Errorf("unique subject %q: it is that of the server", clip(name))
	}
	return string(b), nil
}

// plain leaves of a host's name what is part of a subject's component without question.
func plain(r rune) rune {
	if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// refuse answers a hello with a code.
func (c *client) refuse(code message.Code, text string) {
	d := c.shard.door
	c.send(func(dst []byte) []byte {
		return message.AppendWelcome(dst, &message.Welcome{Code: code, Text: text, Server: d.unique})
	})
}

// refuseAndCut answers a hello with a code of its own and ends the connection.
func (c *client) refuseAndCut(why cutReason, code message.Code, text string) {
	c.code = code
	c.cut(why, text)
}

// claim gives the client its unique subject. It returns who has it instead, unless the rule lets the newcomer take it over: then the old
// connection is ended.
func (p *project) claim(c *client, rule string) (holder *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.clients[c.unique]
	switch {
	case old == nil:
	case rule == takeAlways, rule == takeSame && old.instance == c.instance && old.instance != [16]byte{}:
		old.shard.loop.Post(func() { old.cut(cutReplaced, "its unique subject "+old.unique+" was taken over by a new connection") })
	default:
		return old
	}
	p.clients[c.unique] = c
	return nil
}

// Rules of Unique_Subject_Takeover.
const (
	takeSame   = "same_instance"
	takeAlways = "always"
)

// release gives the unique subject back.
func (p *project) release(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[c.unique] == c {
		delete(p.clients, c.unique)
	}
}
