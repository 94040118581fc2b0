package router

import (
	"fmt"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

// serverSubject is the destination that the server that a client is connected to takes itself. Source: seed, "Processing CONTROL Messages".
const serverSubject = "/_server"

// forServer tells that a message is for this server and not for clients.
func (c *client) forServer(m *message.Message) bool {
	name, err := subject.Canonical(nil, c.shard.door.settings.Load().cfg.DefaultSubjectPrefix, m.Dest)
	return err == nil && (string(name) == serverSubject || string(name) == c.shard.door.unique)
}

// control handles CONTROL and ADMIN_SET_OUTBOUND_RATE_PARAMS for this server.
func (c *client) control(m *message.Message) {
	reply, _ := m.Property(message.TagReplyTo)
	answer := c.answerTo(string(reply))
	if !c.identity.MayAdmin(int32(m.Type)) {
		answer(fmt.Sprintf("%s: only users in the group admin may send it", m.Type))
		return
	}
	if m.Type == message.TypeAdminSetOutboundRateParams {
		c.shard.door.orders.add(c.rateOrder(m, answer), answer)
		return
	}
	text, err := message.ParseControl(m)
	if err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	d := c.shard.door
	c.log().Info("control message", "command", clip(text))
	d.orders.add(func() { answer(d.command(text, true)) }, answer)
}

// answerTo returns what tells the sender of a control message what came of it: an INFO to its reply subject, and a line in the log where it
// was refused. Any goroutine may call it.
func (c *client) answerTo(reply string) func(text string) {
	p, d, log := c.view.project, c.shard.door, c.log()
	return func(text string) {
		log.Debug("control message done", "output", clip(text))
		if reply == "" {
			return
		}
		d.publishOwn(p, message.Append(nil, &message.Message{
			Type: message.TypeInfo, Dest: []byte(reply), Fields: message.AppendStr(nil, text),
			Props: message.AppendTextProperty(nil, message.TagSender, d.unique),
		}))
	}
}

// publishOwn publishes a message of the server's own. Any goroutine may call it.
func (d *Door) publishOwn(p *project, whole []byte) {
	framed := append(message.BeginFrame(nil), whole...)
	framed = message.EndFrame(framed, 0)
	s := d.shards[0]
	s.loop.Post(func() {
		var m message.Message
		if message.Parse(whole, &m) != nil {
			return // not possible: it was made here
		}
		pl, err := p.views[s.index].clientPlan(new(recent), m.Dest)
		if err != nil {
			d.log.Warn("an answer has no destination", "destination", clip(string(m.Dest)), "error", err)
			return
		}
		if string(m.Dest) != pl.name {
			m.Dest = []byte(pl.name)
			framed = message.AppendFrame(framed[:0], &m)
		}
		s.parcel.reset(pl, nil)
		s.parcel.frame = framed
		s.publish()
		s.endCallback()
	})
}

// rateOrder is ADMIN_SET_OUTBOUND_RATE_PARAMS: the limits of one connection. Source: spec of RTserver, "ADMIN_SET".
func (c *client) rateOrder(m *message.Message, answer func(string)) func() {
	name, r, err := parseRates(m)
	p, d := c.view.project, c.shard.door
	return func() {
		if err != nil {
			answer(err.Error())
			return
		}
		canonical, err := subject.Canonical(nil, d.settings.Load().cfg.DefaultSubjectPrefix, []byte(name))
		if err != nil {
			answer(fmt.Sprintf("%q: %v", clip(name), err))
			return
		}
		p.mu.Lock()
		to := p.clients[string(canonical)]
		p.mu.Unlock()
		if to == nil {
			answer(fmt.Sprintf("%s: no such client in project %s", canonical, p.name))
			return
		}
		to.shard.loop.Post(func() {
			if !to.gone {
				to.ownRates = true
				to.setRates(r)
			}
		})
		answer(fmt.Sprintf("%s: %d bytes a second, at most %d at once, looked at every %v", canonical, r.rate, r.most, r.interval))
	}
}

// stopServer handles SERVER_STOP_CALL.
func (c *client) stopServer(m *message.Message) {
	d := c.shard.door
	stop, err := message.ParseStopCall(m)
	result := message.StopResult{Text: "The server stops.", Code: message.CodeOK}
	switch {
	case err != nil:
		result = message.StopResult{Text: err.Error(), Code: message.CodeInvalid}
	case !d.settings.Load().cfg.EnableStopMsgs:
		result = message.StopResult{Text: "stop messages are not enabled (enable_stop_msgs)", Code: message.CodeControlRejected}
	case !c.identity.MayAdmin(int32(m.Type)):
		result = message.StopResult{Text: "only users in the group admin may stop the server", Code: message.CodeDenied}
	}
	c.send(func(dst []byte) []byte { return message.AppendStopResult(dst, &result) })
	if result.Code != message.CodeOK {
		c.log().Warn("a stop message was refused", "reason", result.Text)
		return
	}
	c.log().Info("a client stops the server", "type", stop)
	d.orders.add(func() { d.stop(stop) }, func(string) {})
}

// stop ends the server, after its clients where that is asked for. Other servers of the cloud will be told here.
func (d *Door) stop(stop message.StopType) {
	if stop == message.StopClients || stop == message.StopAll {
		for _, p := range d.list() {
			d.publishOwn(p, message.AppendControl(nil, "/_all", "quit force"))
		}
	}
	d.quit()
}

// quit ends the server in good order.
func (d *Door) quit() {
	if h := d.hooks.Load(); h != nil && h.Drain != nil {
		h.Drain()
	}
}
