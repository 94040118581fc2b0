package relay

import (
	"fmt"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/lane"
	"roundhouse/routing/farm"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// laneKey identifies a lane: an enabler's run, whom it serves, and which of its lanes it is.
type laneKey struct {
	farm, server, run string
	number            int
}

// link is the relay's end of one lane.
type link struct {
	s       *shard
	key     laneKey
	as      credential
	server  *farm.Server // of the shard's view; nil when that has it no more
	end     *laneio.End
	streams laneio.Table[exchange]
	waiters []*exchange // wait until the lane takes bodies again
	opening loop.Timer  // until both halves have arrived and the enabler has said hello
	remote  string

	window    uint32 // what the enabler takes of a request body without credit, in bytes; 0 until its hello
	each      allotment
	requests  int64
	up        bool     // that half has come
	down      halfKind // how the packets of the enabler come; halfUp: not yet
	joined    bool     // it is whole
	draining  bool     // the enabler wants no more requests
	said      bool     // the enabler has told how its back end is: backUp
	backUp    bool
	verbosity int  // what of it is shown
	claims    bool // it counts among those of its run
	pool      pool
	leaving   bool // the configuration has no place for it any more: it takes no requests, and ends when it has none
}

// pool is what an enabler has said of its connections to the back end, over one of its lanes.
type pool struct {
	lane.Junctions
	at time.Time // zero: it has said nothing
}

// How the troubles begin that a lane tells of.
const (
	laneBroke     = "a lane broke: "
	backendIsDown = "the back end is down: "
)

// Packet handles what the enabler sent.
func (l *link) Packet(p lane.Packet) error {
	if l.verbosity >= showPackets {
		l.showIncoming(p)
	}
	switch p.Op {
	case lane.OpHello:
		return l.hailed(p.Data)
	case lane.OpStatus:
		return l.status(p.Data)
	case lane.OpJunctions:
		j, err := lane.ParseJunctions(p.Data)
		l.pool = pool{Junctions: j, at: l.s.loop.Now()}
		return err
	case lane.OpGoaway:
		l.draining = true
		l.release()
		if l.server != nil {
			l.s.roster.SetDraining(l.server, l, true)
		}
		l.goAway() // tells the enabler that no request follows
		l.tell("enabler goes away", "lane", l.key.number)
		return nil
	}
	x := l.streams.Get(p.Stream)
	if x == nil {
		return nil // it ended while this was on its way
	}
	if x.trace.asks(l.verbosity, showPackets) {
		l.showIncoming(p)
	}
	switch p.Op {
	case lane.OpResponse:
		return x.resp.begin(p)
	case lane.OpData:
		return x.resp.body(p)
	case lane.OpTrailer:
		return x.resp.trailers(p)
	case lane.OpCredit:
		n, err := lane.ParseUint32(p.Op, p.Data)
		if err != nil {
			return err
		}
		return x.req.granted(n)
	case lane.OpReset:
		code, text, err := lane.ParseReset(p.Data)
		if err != nil {
			return err
		}
		x.lost(failureOf(code), string(text), p.Flags&lane.FlagUnseen != 0)
		return nil
	case lane.OpUpgraded:
		return nil
	default:
		return fmt.Errorf("relay: %v from an enabler: %w", p.Op, codec.ErrMalformed)
	}
}

// goAway tells the enabler that the lane will end, or, when the enabler has said so itself, that no request follows.
func (l *link) goAway() {
	if l.end.Live() {
		l.end.SetBuffer(lane.AppendUint32(l.end.Buffer(), lane.OpGoaway, 0, 0))
	}
}

// began counts a request that was sent over the lane.
func (l *link) began() {
	l.requests++
	if l.server != nil {
		l.s.roster.Begin(l.server)
	}
}

// ended follows the end of a stream.
func (l *link) ended() {
	if l.server != nil {
		l.s.roster.End(l.server)
	}
	if l.leaving && l.streams.Len() == 0 {
		l.end.Close()
	}
}

// leaveTime is how long the requests of a lane may go on that the configuration has no place for any more.
const leaveTime = 30 * time.Second

// retire ends the lane as soon as it carries no request.
func (l *link) retire(why string) {
	if l.leaving {
		return
	}
	l.leaving = true
	l.release()
	l.tell("lane is closed", "lane", l.key.number, "reason", why)
	if l.server != nil {
		l.s.roster.SetDraining(l.server, l, true)
	}
	l.goAway()
	if l.streams.Len() == 0 {
		l.end.Close()
		return
	}
	l.opening.Init(l.s.loop, func() { l.end.Fail(errLeft) })
	l.opening.Arm(leaveTime)
}

var errLeft = fmt.Errorf("relay: the configuration has no such lane any more, and its requests did not end within %v", leaveTime)

// hailed handles the enabler's hello.
func (l *link) hailed(b []byte) error {
	h, err := lane.ParseHello(b)
	if err != nil {
		return err
	}
	if l.window != 0 {
		return fmt.Errorf("relay: a second hello: %w", codec.ErrMalformed)
	}
	l.window = h.Window // above 0, ParseHello sees to it
	l.maybeJoin()
	return nil
}

// maybeJoin lets the lane take requests when it is whole: both halves are there, and the enabler has said hello. The hello may
// come before the up half does, which then has still to change loops.
func (l *link) maybeJoin() {
	if !l.end.Live() || l.window == 0 {
		return
	}
	l.opening.Stop()
	l.joined = true
	l.s.stats.lanes.Add(1)
	l.s.relay.watch.ring()
	l.tell("lane up", "lane", l.key.number, "remote", l.remote, "form", l.down.String())
	if l.server != nil {
		l.join()
	}
}

// join puts the lane, which is whole and has a server, into the roster of its shard.
func (l *link) join() {
	s := l.s
	s.roster.Join(l.server, l)
	if l.rests() {
		s.roster.SetDraining(l.server, l, true)
		return
	}
	s.local[l.server.Farm.Index].hadLane = true
	name := serverName{l.key.farm, l.key.server}
	if _, was := s.gone[name]; was {
		delete(s.gone, name)
		s.roster.Succeeded(l.server) // what it failed at was before it went
	}
	s.wake(l.server.Farm)
}

func (l *link) status(b []byte) error {
	up, text, err := lane.ParseStatus(b)
	if err != nil {
		return err
	}
	back := up && l.said && !l.backUp
	l.backUp, l.said = up, true
	if l.server != nil {
		if back { // what it failed at was before
			l.s.roster.Succeeded(l.server)
		}
		l.s.roster.SetUp(l.server, up)
		if up {
			l.s.wake(l.server.Farm)
		}
	}
	if !up {
		l.s.troubled(l.key.farm, l.key.server, backendIsDown+string(text))
	}
	l.s.relay.watch.ring()
	l.tell("back end", "up", up, "reason", string(text))
	return nil
}

// Writable wakes the clients whose bodies wait for the lane.
func (l *link) Writable() {
	waiters := l.waiters
	l.waiters = nil
	for _, x := range waiters {
		if x.req.waiting && x.link == l {
			x.req.waiting = false
			if x.client != nil {
				x.client.readOn()
			}
		}
	}
}

// Gone ends every stream of the lane.
func (l *link) Gone(err error) {
	delete(l.s.lanes, l.key)
	l.release()
	l.opening.Stop()
	if l.joined {
		l.s.stats.lanes.Add(-1)
	}
	if l.joined && l.server != nil {
		l.s.roster.Leave(l.server, l)
		if open, draining := l.s.roster.Lanes(l.server); open+draining == 0 {
			l.s.gone[serverName{l.key.farm, l.key.server}] = l.s.loop.Now()
		}
	}
	if err != nil && !l.s.relay.draining.Load() {
		l.s.troubled(l.key.farm, l.key.server, laneBroke+err.Error())
	}
	l.s.relay.watch.ring()
	l.tell("lane down", "lane", l.key.number, "streams", l.streams.Len(), "error", err)
	l.streams.Each(func(_ uint32, x *exchange) {
		x.lost(failChannelLost, "The connection to the back-end server's enabler broke.", false)
	})
}
