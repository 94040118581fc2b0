package router

import (
	"errors"
	"fmt"
	"time"

	"roundhouse/codec/natswire"
	"roundhouse/server/access"
	"roundhouse/server/loop"
)

// natsSession is a connection that speaks the protocol of NATS. It is owned by its loop.
type natsSession struct {
	peer

	// Fixed once the client has connected.
	name    string
	lang    string
	version string
	headers bool // it understands messages with headers

	state        natsState
	verbose      bool
	pedantic     bool
	noResponders bool
	subs         subs
	pings        int           // of ours, without an answer
	asked        time.Duration // when the last of them was sent, on the shard's clock
}

type natsState uint8

const (
	natsOpening  natsState = iota // has not said who it is, and must
	natsChecking                  // its credentials are being looked at; reading is paused
	natsOpen
)

func (d *Door) openNATS(conn *loop.Conn) loop.Session {
	s := d.shards[conn.Loop().Index()]
	n := &natsSession{peer: peer{id: conn.ID(), shard: s, conn: conn}}
	n.peer.nats = n
	n.verbose, n.pedantic = true, true // what a client has that does not connect
	set := d.settings.Load()
	n.maxBuffer = int(set.cfg.NATS.MaxPending)
	conn.SetBatch(true)
	s.adopt(&n.peer)
	open := int(s.door.natsOpen.Add(1))
	s.stats.natsClients.Add(1)
	if _, secured := conn.TLS(); !secured || set.cfg.NATS.TLSFirst { // otherwise the acceptor has sent it in clear
		conn.Write(d.info(conn.ID(), conn.Remote(), false))
	}
	switch most := set.cfg.NATS.MaxConnections; {
	case d.closing.Load():
		n.cut(cutStopping, "the server is stopping")
	case most > 0 && open > most:
		n.cut(cutLimit, fmt.Sprintf("%d clients of NATS are connected, at most %d may be", most, most))
	case !d.guard.Required():
		n.enter(nil)
	}
	return n
}

// enter lets the client publish and subscribe.
func (n *natsSession) enter(id *access.Identity) {
	set := n.shard.door.settings.Load()
	n.state, n.identity, n.view = natsOpen, id, set.natsProject.views[n.shard.index]
	n.setRates(set.rates)
}

// Data reads commands.
func (n *natsSession) Data(c *loop.Conn, in []byte) (int, error) {
	s := n.shard
	n.heard = s.clock
	lim := &s.door.settings.Load().natsLimits
	cmd := &s.command
	done := 0
	for done < len(in) {
		size, err := natswire.ParseClient(in[done:], cmd, lim)
		if err != nil {
			n.misunderstood(err)
			break
		}
		if size == 0 {
			break
		}
		done += size
		n.handle(cmd)
		if n.gone || n.state == natsChecking {
			break
		}
		if s.full && s.hold(&n.peer) {
			break
		}
	}
	s.endCallback()
	if n.gone {
		return len(in), nil
	}
	return done, nil
}

func (n *natsSession) handle(cmd *natswire.Command) {
	if n.state == natsOpening && cmd.Op != natswire.OpConnect && !n.enterUnnamed() {
		n.cut(cutDenied, "it has not said who it is")
		return
	}
	switch cmd.Op {
	case natswire.OpPub, natswire.OpHPub:
		n.publish(cmd)
	case natswire.OpSub:
		n.subscribe(cmd)
	case natswire.OpUnsub:
		n.unsubscribe(cmd)
	case natswire.OpPing:
		n.answer(n.pong)
	case natswire.OpPong:
		n.pings = 0
	case natswire.OpConnect:
		n.connect(cmd.Arg)
	case natswire.OpInfo: // of a server; a client has none
	default:
		n.ok()
	}
}

// ok answers a verbose client.
func (n *natsSession) ok() {
	if n.verbose {
		n.conn.SetBuffer(append(n.conn.Buffer(), natswire.OK...))
	}
}

// fail tells the client of an error that does not end the connection.
func (n *natsSession) fail(text string) {
	n.conn.SetBuffer(natswire.AppendErr(n.conn.Buffer(), text))
}

// misunderstood ends a connection that does not keep to the protocol.
func (n *natsSession) misunderstood(err error) {
	text := natswire.TextUnknownOperation
	var p *natswire.ProtocolError
	if errors.As(err, &p) {
		text = p.Text
	}
	if n.state == natsOpening && text == natswire.TextUnknownOperation {
		n.cut(cutDenied, "it has not said who it is")
		return
	}
	n.cut(cutProtocol, text)
}

// farewell says why the connection ends. The texts are those of NATS.
func (n *natsSession) farewell(why cutReason, reason string) {
	text := reason
	switch why {
	case cutSlow, cutStalled:
		text = natswire.TextSlow
	case cutSilent:
		text = natswire.TextStale
	case cutDenied:
		text = natswire.TextAuthorization
	case cutLate:
		text = natswire.TextAuthTimeout
	case cutLimit:
		text = natswire.TextMaxConnections
	case cutStopping:
		text = natswire.TextShutdown
	}
	n.fail(text)
}

// Drained is of no interest: what is too much is cut.
func (n *natsSession) Drained(*loop.Conn) {}

// Closed is the last call.
func (n *natsSession) Closed(_ *loop.Conn, err error) {
	if n.bury != nil {
		n.bury.Stop()
	}
	if !n.gone && err != nil {
		n.log().Debug("a NATS client has left", "error", err)
	}
	n.peer.leave()
	n.shard.stats.natsClients.Add(-1)
	n.shard.door.natsOpen.Add(-1)
}

// leave takes back the subscriptions.
func (n *natsSession) leave() {
	n.drain(n.subs)
	n.subs = subs{}
}
