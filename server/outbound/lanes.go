package outbound

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// keepLane keeps lane n to a relay server open until ctx ends. It calls refetch when a lane has ended that was up: what comes
// back may be another relay server.
func (e *Enabler) keepLane(ctx context.Context, i int, p peer, n int, refetch func()) {
	pause := newBackoff(e.cfg.Retry)
	for {
		k := e.openLane(i, p, n, refetch)
		var err error
		select {
		case err = <-k.gone:
		case <-ctx.Done():
			k.s.loop.Post(k.retire)
			<-k.gone
			return
		}
		if up := k.up.Load(); up != 0 {
			refetch()
			if time.Now().UnixNano()-up > int64(e.cfg.Retry) { // one that is closed as soon as it is up is a failure, too
				pause.reset()
			}
		}
		e.correctClock(err)
		wait := pause.after(err)
		e.log.Warn("lane down; opening it again", "relay", p.Host, "lane", n, "error", err, "after", wait, "advice", advice(err))
		if !sleep(ctx, wait) {
			return
		}
	}
}

// openLane begins to open a lane. Its gone channel tells when it has ended.
func (e *Enabler) openLane(i int, p peer, n int, refetch func()) *link {
	s := e.shards[n%len(e.shards)]
	k := &link{s: s, number: n, host: p.Host, refetch: refetch, began: time.Now().UnixNano(), gone: make(chan error, 1)}
	k.route = e.ways[i].to(p.Host, p.port(e.cfg.Relays[i].HTTPS))
	if !s.loop.Post(k.open) {
		k.gone <- errors.New("outbound: the loops have ended")
	}
	return k
}

// open runs on the loop.
func (k *link) open() {
	k.end = laneio.New(k.s.loop, heartbeat, k)
	k.s.links[k] = struct{}{}
	k.opening.Init(k.s.loop, func() { k.end.Fail(fmt.Errorf("outbound: the relay did not say hello within %v", openingTime)) })
	k.opening.Arm(openingTime)
	k.s.loop.Dial(k.route.dial, func(c *loop.Conn, err error) loop.Session {
		if err != nil || k.isGone {
			k.end.Fail(err)
			return nil
		}
		c.Write(k.callHead("GET", "up", "\r\n"))
		k.calling = c
		return &upHead{k: k}
	})
}

const (
	heartbeat   = 15 * time.Second
	openingTime = 15 * time.Second
)

// callHead is the head of a request to the server URL.
func (k *link) callHead(method, op, rest string) []byte {
	return k.s.e.head(k.route, method, op, "Ias-Rs-Lane: ", k.run(), "/", strconv.Itoa(k.number), "\r\n", rest)
}

// run names this opening of the lane: a new one must not be taken for the half of an old one.
func (k *link) run() string { return k.s.e.run + "." + strconv.FormatInt(k.began, 36) }

// upHead is the session of the up channel until the relay has accepted it.
type upHead struct{ k *link }

func (h *upHead) Data(c *loop.Conn, in []byte) (int, error) {
	var resp http1.Response
	n, err := resp.Parse(in, &h.k.s.e.answers, false)
	if err != nil || n == 0 {
		return 0, err
	}
	if resp.Status != 200 || resp.Body != http1.BodyChunked {
		h.k.end.Fail(newRefusal(&resp, in[n:]))
		return len(in), nil
	}
	h.k.calling = nil
	h.k.end.SetIn(c)
	h.k.openDown()
	return n, nil
}

func (h *upHead) Drained(*loop.Conn) {}
func (h *upHead) Closed(_ *loop.Conn, err error) {
	if err == nil {
		err = errors.New("outbound: the relay closed the up channel")
	}
	h.k.end.Fail(err)
}

// openDown opens the other half.
func (k *link) openDown() {
	k.s.loop.Dial(k.route.dial, func(c *loop.Conn, err error) loop.Session {
		if err != nil || k.isGone {
			k.end.Fail(err)
			return nil
		}
		c.Write(k.callHead("POST", "down", "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
		k.end.SetOut(c)
		k.maybeUp()
		up, reason := k.s.e.monitor.state()
		b := lane.AppendHello(k.end.Buffer(), lane.Hello{
			Version: lane.Version, Lane: uint16(k.number), Window: uint32(k.s.e.window),
			Heartbeat: uint32(heartbeat / time.Millisecond), MaxHead: uint32(k.s.e.answers.Head),
		})
		// Always: another enabler of this server may have said something else, and be gone.
		k.end.SetBuffer(lane.AppendStatus(b, up, reason))
		return c.Session()
	})
}

// Packet handles what the relay sent.
func (k *link) Packet(p lane.Packet) error {
	switch p.Op {
	case lane.OpHello:
		return k.hello(p.Data)
	case lane.OpRequest:
		if k.window == 0 {
			return fmt.Errorf("outbound: a request before the hello: %w", codec.ErrMalformed)
		}
		return k.request(p)
	case lane.OpPeers:
		k.refetch()
		return nil
	case lane.OpGoaway:
		k.relayGoes = true
		k.maybeClose()
		return nil
	}
	s := k.streams.Get(p.Stream)
	if s == nil {
		return nil // it ended while this was on its way
	}
	switch p.Op {
	case lane.OpData:
		return s.body(p)
	case lane.OpTrailer:
		return s.trailers(p)
	case lane.OpCredit:
		n, err := lane.ParseUint32(p.Op, p.Data)
		if err != nil {
			return err
		}
		return s.granted(n)
	case lane.OpReset:
		s.fail(lane.CodeCancelled, "", 0)
		return nil
	default:
		return fmt.Errorf("outbound: %v from a relay: %w", p.Op, codec.ErrMalformed)
	}
}

func (k *link) hello(b []byte) error {
	h, err := lane.ParseHello(b)
	if err != nil {
		return err
	}
	if k.window != 0 {
		return fmt.Errorf("outbound: a second hello: %w", codec.ErrMalformed)
	}
	k.window = h.Window // above 0, ParseHello sees to it
	k.maybeUp()
	return nil
}

// maybeUp counts the lane when it is whole: both halves are there, and the relay has said hello.
func (k *link) maybeUp() {
	if !k.end.Live() || k.window == 0 {
		return
	}
	k.opening.Stop()
	k.up.Store(time.Now().UnixNano())
	k.s.e.lanes.Add(1)
	k.s.e.ready()
	k.s.e.log.Info("lane up", "relay", k.host, "lane", k.number)
}

// tell reports the state of the back end.
func (k *link) tell(up bool, text string) {
	if k.end.Live() {
		k.end.SetBuffer(lane.AppendStatus(k.end.Buffer(), up, text))
	}
}

// retire ends the lane when the relay sends nothing more on it and what runs has ended.
func (k *link) retire() {
	if k.isGone || k.retiring {
		return
	}
	k.retiring = true
	if k.up.Load() == 0 {
		k.end.Fail(nil)
		return
	}
	k.end.SetBuffer(lane.AppendUint32(k.end.Buffer(), lane.OpGoaway, 0, 0))
	k.maybeClose()
}

// maybeClose closes a retiring lane that has nothing left to do: the relay has answered our goaway with its own, and so sends
// no request after it.
func (k *link) maybeClose() {
	if k.retiring && k.relayGoes && k.streams.Len() == 0 {
		k.end.Close()
	}
}

// Writable wakes the answers that wait for the lane, in turn.
func (k *link) Writable() {
	waiters := k.waiters
	k.waiters = nil
	for _, s := range waiters {
		if s.waiting && s.k == k {
			s.waiting = false
			if s.b != nil {
				s.b.conn.Resume()
			}
		}
	}
}

// Gone ends every stream of the lane.
func (k *link) Gone(err error) {
	k.isGone = true
	k.opening.Stop()
	delete(k.s.links, k)
	if k.calling != nil {
		k.calling.Abort(err)
	}
	if k.up.Load() != 0 {
		if k.s.e.lanes.Add(-1) == 0 {
			k.s.e.newEpoch()
		}
	}
	k.streams.Each(func(_ uint32, s *stream) { s.drop() })
	k.gone <- err
}
