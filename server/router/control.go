package router

import (
	"fmt"
	"log/slog"
	"strings"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
	"roundhouse/server/access"
	"roundhouse/server/loop"
)

// serverSubject is the destination that the server that a client is connected to takes itself. Source: seed, "Processing CONTROL Messages".
const serverSubject = "/_server"

// everyClient is the subject that all clients which want it have subscribed to.
const everyClient = "/_all"

// forServer tells that a message is for this server and not for clients. _server is the same under every prefix.
func (c *client) forServer(m *message.Message) bool {
	if string(m.Dest) == serverSubject[1:] {
		return true
	}
	name, err := subject.Canonical(nil, c.shard.door.settings.Load().cfg.DefaultSubjectPrefix, m.Dest)
	return err == nil && (string(name) == serverSubject || string(name) == c.shard.door.unique)
}

// maxControlText is the longest text of commands in a control message, in bytes.
const maxControlText = 64 << 10

// order is a message to the server itself. Any goroutine may use it.
type order struct {
	door    *Door
	log     *slog.Logger // of the client that has sent it
	project *project
	reply   string // where the answer goes; empty: nowhere
}

// order takes a message for one to the server. Its answer goes only where the client may publish itself.
func (c *client) order(m *message.Message) *order {
	o := &order{door: c.shard.door, log: c.log(), project: c.view.project}
	reply, _ := m.Property(message.TagReplyTo)
	if len(reply) == 0 {
		return o
	}
	name, err := subject.Canonical(nil, o.door.settings.Load().cfg.DefaultSubjectPrefix, reply)
	switch {
	case err != nil:
		o.log.Warn("a message to the server has no answer", "reply_to", clip(string(reply)), "error", err)
	case string(name) != c.unique && !c.may(access.Publish, string(name)):
		o.log.Warn("a message to the server has no answer: the client may not publish there", "reply_to", clip(string(name)))
	default:
		o.reply = string(name)
	}
	return o
}

// answer sends INFO to who has asked, if it wants that.
func (o *order) answer(text string) {
	o.log.Debug("a message to the server was carried out", "output", clip(veil(text)))
	if o.reply != "" {
		o.door.publishOwn(o.project, &message.Message{Type: message.TypeInfo, Dest: []byte(o.reply), Fields: message.AppendStr(nil, text)})
	}
}

// refuse is answer for what is not carried out.
func (o *order) refuse(reason string) {
	o.log.Warn("a message to the server was refused", "reason", reason)
	o.answer(reason)
}

// control handles CONTROL and ADMIN_SET_OUTBOUND_RATE_PARAMS for this server.
func (c *client) control(m *message.Message) {
	o, d := c.order(m), c.shard.door
	if !c.identity.MayAdmin(int32(m.Type)) {
		o.refuse(fmt.Sprintf("%s: only users in the group admin may send it", m.Type))
		return
	}
	if m.Type == message.TypeAdminSetOutboundRateParams {
		d.orders.add(o.setRates(m), o.refuse)
		return
	}
	text, err := message.ParseControl(m)
	if err != nil {
		c.cut(cutProtocol, err.Error())
		return
	}
	o.log.Info("control message", "command", clip(veil(text)))
	if len(text) > maxControlText {
		o.refuse(fmt.Sprintf("%d bytes of commands, at most %d; use source for more", len(text), maxControlText))
		return
	}
	d.orders.add(func() {
		r := &run{door: d, log: o.log}
		o.answer(r.obey(text))
		if r.quits {
			d.quit()
		}
	}, o.refuse)
}

// veil hides a text that may have a password in it.
func veil(text string) string {
	if strings.Contains(strings.ToLower(text), "password") {
		return "(hidden: there is a password in it)"
	}
	return text
}

// publishOwn publishes a message of the server's own. Any goroutine may call it; the server keeps m.
func (d *Door) publishOwn(p *project, m *message.Message) {
	m.Priority = int16(d.settings.Load().cfg.DefaultMsgPriority)
	m.Props = message.AppendTextProperty(m.Props, message.TagSender, d.unique)
	s := d.shards[0]
	s.loop.Post(func() { // a loop that is stopping has nobody left
		pl, err := p.views[s.index].clientPlan(new(recent), m.Dest)
		if err != nil {
			d.log.Warn("a message of the server's own has no destination", "destination", clip(string(m.Dest)), "error", err)
			return
		}
		m.Dest = []byte(pl.name)
		s.parcel.reset(pl, nil)
		s.parcel.frame = message.AppendFrame(nil, m)
		s.publish()
		s.endCallback()
	})
}

// arrive waits until what was published before has come to the output of those who get it. It is never called on a loop.
func (d *Door) arrive() {
	d.group.Each(func(l *loop.Loop) { d.shards[l.Index()].postAll() })
	d.group.Each(func(*loop.Loop) {})
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
	d.orders.add(func() { d.stop(stop) }, func(string) { d.stop(stop) })
}

// stop ends the server, after its clients where that is asked for. Other servers of the cloud will be told here.
func (d *Door) stop(stop message.StopType) {
	if stop == message.StopClients || stop == message.StopAll {
		for _, p := range d.list() {
			d.publishOwn(p, &message.Message{Type: message.TypeControl, Dest: []byte(everyClient), Fields: message.AppendStr(nil, "quit force")})
		}
	}
	d.quit()
}

// quit ends the server in good order, once everybody has been given what was published before.
func (d *Door) quit() {
	d.arrive()
	if h := d.hooks.Load(); h != nil && h.Drain != nil {
		h.Drain()
	}
}
