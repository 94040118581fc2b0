package router

import (
	"encoding/json"
	"net/netip"
	"runtime"
	"strconv"

	"roundhouse/codec/natswire"
	"roundhouse/server/access"
)

// natsVersion is the version of nats-server whose protocol and texts this door follows: clients choose features by it.
const natsVersion = "2.15.2"

// natsInfo is what a server says about itself. Source: NATS client protocol, INFO.
type natsInfo struct {
	ID           string `json:"server_id"`
	Name         string `json:"server_name"`
	Version      string `json:"version"`
	Proto        int    `json:"proto"`
	Go           string `json:"go"`
	Host         string `json:"host"`
	Port         int    `json:"port"`
	Headers      bool   `json:"headers"`
	AuthRequired bool   `json:"auth_required,omitempty"`
	TLSRequired  bool   `json:"tls_required,omitempty"`
	TLSVerify    bool   `json:"tls_verify,omitempty"`
	MaxPayload   int    `json:"max_payload"`
	ClientID     uint64 `json:"client_id"`
	ClientIP     string `json:"client_ip,omitempty"`
	LameDuck     bool   `json:"ldm,omitempty"`
}

// info is the line that a NATS client gets first, and again when the server is about to stop.
func (d *Door) info(id uint64, remote netip.AddrPort, lameDuck bool) []byte {
	cfg := &d.settings.Load().cfg.NATS
	i := natsInfo{
		ID: d.serverID, Name: d.unique, Version: natsVersion, Proto: 1, Go: runtime.Version(),
		Headers: true, AuthRequired: d.guard.Required() && cfg.NoAuthUser == "",
		TLSRequired: cfg.TLSCert != "", TLSVerify: cfg.TLSClientCA != "",
		MaxPayload: cfg.MaxPayload, ClientID: id, LameDuck: lameDuck,
	}
	if a := d.natsAddr.Load(); a != nil {
		i.Host, i.Port = a.Addr().String(), int(a.Port())
	}
	if remote.IsValid() {
		i.ClientIP = remote.Addr().Unmap().String()
	}
	text, err := json.Marshal(i)
	if err != nil {
		panic("BUG: router: INFO: " + err.Error()) // it holds plain values only
	}
	return natswire.AppendInfo(nil, text)
}

// natsOptions are those of CONNECT that have a meaning here. Source: NATS client protocol, CONNECT.
type natsOptions struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
	Protocol     int    `json:"protocol"`
	User         string `json:"user"`
	Pass         string `json:"pass"`
	Token        string `json:"auth_token"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
}

// connect handles CONNECT.
func (n *natsSession) connect(arg []byte) {
	o := natsOptions{Verbose: true, Pedantic: true, Echo: true}
	if err := json.Unmarshal(arg, &o); err != nil {
		n.cut(cutProtocol, natswire.TextParser)
		return
	}
	if o.Protocol < 0 || o.Protocol > 1 {
		n.cut(cutProtocol, natswire.TextClientProtocol)
		return
	}
	if o.NoResponders && !o.Headers {
		n.cut(cutProtocol, natswire.TextNoRespondersNeeds)
		return
	}
	n.verbose, n.pedantic, n.noEcho = o.Verbose, o.Pedantic, !o.Echo
	n.headers, n.noResponders = o.Headers, o.NoResponders
	n.name, n.lang, n.version = clip(o.Name), clip(o.Lang), clip(o.Version)
	if n.state == natsOpen || !n.shard.door.guard.Required() {
		n.ok()
		return
	}
	n.check(&o)
}

// enterUnnamed lets a client in that begins without CONNECT, where there is a user for such clients.
func (n *natsSession) enterUnnamed() bool {
	set := n.shard.door.settings.Load()
	id, known := n.shard.door.guard.Identity(set.cfg.NATS.NoAuthUser)
	if !known || !id.May(access.Connect, set.natsProject.name, "/...") {
		return false
	}
	n.enter(id)
	return true
}

// check has the credentials looked at, which may take a second: in a goroutine.
func (n *natsSession) check(o *natsOptions) {
	d := n.shard.door
	given := access.Credentials{User: o.User, Password: o.Pass, Token: o.Token}
	if state, ok := n.conn.TLS(); ok && len(state.PeerCertificates) > 0 {
		given.Certificate = state.PeerCertificates[0]
	}
	user := d.settings.Load().cfg.NATS.NoAuthUser
	n.state = natsChecking
	n.conn.Pause()
	d.checking.Go(func() { // ends with the check; Close waits for it
		var id *access.Identity
		var err error
		if user != "" && given == (access.Credentials{}) {
			var known bool
			if id, known = d.guard.Identity(user); !known {
				err = access.ErrDenied
			}
		} else {
			id, err = d.guard.Authenticate(given)
		}
		n.shard.loop.Post(func() { n.checked(id, err) })
	})
}

func (n *natsSession) checked(id *access.Identity, err error) {
	if n.gone {
		return
	}
	n.conn.Resume()
	project := n.shard.door.settings.Load().natsProject.name
	if err == nil && !id.May(access.Connect, project, "/...") {
		err = access.ErrDenied
	}
	if err != nil {
		n.state = natsOpening
		n.cut(cutDenied, "authorization: "+err.Error())
		return
	}
	n.enter(id)
	n.ok()
}

// pong puts a pong behind all messages, those that are held back as well.
func (n *natsSession) pong() {
	if n.gate != nil && n.gate.size() > 0 {
		n.gate.add(append(n.gate.buffer(), natswire.Pong...))
		return
	}
	n.conn.SetBuffer(append(n.conn.Buffer(), natswire.Pong...))
}

// look is part of a sweep.
func (n *natsSession) look(set *settings) {
	cfg := &set.cfg.NATS
	if n.stalled(cfg.WriteDeadline) {
		return
	}
	switch {
	case n.state == natsOpening && n.shard.since(n.opened) > cfg.AuthTimeout:
		n.cut(cutLate, "it has not said who it is in "+cfg.AuthTimeout.String())
	case n.held: // it cannot answer
	case n.shard.since(max(n.heard, n.asked)) < cfg.PingInterval:
	case n.pings >= cfg.PingMax:
		n.cut(cutSilent, "no answer to "+strconv.Itoa(n.pings)+" pings")
	default:
		n.pings++
		n.asked = n.shard.clock
		n.conn.SetBuffer(append(n.conn.Buffer(), natswire.Ping...))
	}
}

// lameDuck tells the client that the server is about to stop.
func (n *natsSession) lameDuck() {
	if !n.gone {
		n.conn.Write(n.shard.door.info(n.id, n.conn.Remote(), true))
	}
}
