package outbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"roundhouse/codec"
	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// laneSpec is one lane to a relay server: its number, and how to get there.
type laneSpec struct {
	i       int // of the -cr that led there
	peer    peer
	number  int
	t       *transport
	refetch func() // has the list of relay servers fetched again
}

// maxOld is how many links of a lane may go on after the relay said that they will end, until their requests are done. The oldest
// of more is cut.
const maxOld = 4

// keepLane keeps a lane to a relay server open until ctx ends. When the relay says that a link of it will end, the next one is opened
// at once, and the old one serves on until it ends. The list of relay servers is fetched again whenever a lane has ended that
// was up: what comes back may be another relay server.
func (e *Enabler) keepLane(ctx context.Context, spec laneSpec) {
	var outliving sync.WaitGroup
	defer outliving.Wait()
	var old []*link
	pause := newBackoff(e.cfg.Retry)
	introduced := false // by the relay server, since a lane was up: it has named its process
	for {
		bell := spec.t.bell() // before: one that rings while this lane is refused counts
		k, beaten := openFirst(ctx, e, spec)
		if beaten != nil {
			outliving.Go(func() { beaten.outlive(ctx) })
		}
		var err error
		select {
		case err = <-k.gone:
			k.wasUp(pause)
		case <-k.goes:
			long := k.wasUp(pause)
			introduced = false
			e.log.Info("the relay ends a lane; opening another one", "relay", spec.peer.Host, "lane", spec.number)
			if old = append(old, k); len(old) > maxOld {
				old[0].s.loop.Post(old[0].cut)
				old = slices.Delete(old, 0, 1)
			}
			outliving.Go(func() { k.outlive(ctx) })
			if !long && !sleep(ctx, pause.next()) { // one that goes as soon as it is up is a failure, too
				return
			}
			continue
		case <-ctx.Done():
			k.s.loop.Post(k.retire)
			<-k.gone
			return
		}
		correctClock(e, err)
		e.showToken(err, e.cfg.Relays[spec.i].HTTPS)
		introduced = introduced && k.up.Load() == 0
		if spec.t.met(err) && !introduced {
			introduced = true
			continue
		}
		wait := pause.after(err)
		if next := spec.t.next(); next != k.form { // a refusal that stands does not stand for another form
			pause.reset()
			wait = pause.next()
		}
		e.log.Warn("lane down; opening it again", "relay", spec.peer.Host, "lane", spec.number, "transport", k.form.String(), "error", err, "after", wait, "advice", e.advice(err))
		if k.up.Load() != 0 { // it has rung itself, and one that breaks again and again must not have the others hurry
			bell = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-bell:
		case <-time.After(wait):
		}
	}
}

// wasUp follows a link that has ended, or will. It tells whether the link was up for a while.
func (k *link) wasUp(pause *backoff) (long bool) {
	up := k.up.Load()
	if up == 0 {
		return false
	}
	k.spec.refetch()
	if long = time.Now().UnixNano()-up > int64(k.s.e.cfg.Retry); long {
		pause.reset()
	}
	return long
}

// outlive waits for the end of a link that another one has replaced. When ctx ends it is retired.
func (k *link) outlive(ctx context.Context) {
	select {
	case err := <-k.gone:
		k.s.e.log.Info("old lane down", "relay", k.spec.peer.Host, "lane", k.spec.number, "error", err)
	case <-ctx.Done():
		k.s.loop.Post(k.retire)
		<-k.gone
	}
}

var errReplaced = errors.New("outbound: the lane has been replaced too often for its requests to go on")

// cut ends a link, whatever it carries. It runs on the loop.
func (k *link) cut() {
	if !k.isGone {
		k.end.Fail(errReplaced)
	}
}

// Packet handles what the relay sent.
func (k *link) Packet(p lane.Packet) error {
	if k.s.e.cfg.Verbosity >= showPackets {
		k.showPacket("up", p.Op, p.Stream, k.streams.Get(p.Stream), p.Data)
	}
	switch p.Op {
	case lane.OpHello:
		return k.hello(p.Data)
	case lane.OpRequest:
		if k.window == 0 {
			return fmt.Errorf("outbound: a request before the hello: %w", codec.ErrMalformed)
		}
		k.proves() // the relay has our hello
		return k.request(p)
	case lane.OpGoaway:
		k.relayGoes()
		return nil
	case lane.OpPeers:
		k.spec.refetch()
		return nil
	}
	s := k.streams.Get(p.Stream)
	if s == nil {
		return nil // it ended while this was on its way
	}
	if s.trace.verbosity >= showPackets && k.s.e.cfg.Verbosity < showPackets {
		k.showPacket("up", p.Op, p.Stream, s, p.Data)
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
	first := k.window == 0
	if k.window = h.Window; first { // above 0, ParseHello sees to it
		k.maybeUp()
	}
	return nil
}

// proves follows the first packet that the relay can only have sent because it got ours.
func (k *link) proves() {
	if !k.proved {
		k.proved = true
		k.spec.t.proved(k.form)
		k.maybeUp()
	}
}

// maybeUp counts the lane when it is whole: both halves are there, the relay has said hello, and it is proved that packets pass.
func (k *link) maybeUp() {
	if !k.end.Live() || k.window == 0 || !k.proved && k.mustProve || k.up.Load() != 0 || k.retiring {
		return
	}
	k.opening.Stop()
	k.up.Store(time.Now().UnixNano())
	close(k.whole)
	k.maybeTellJunctions()
	k.s.e.lanes.Add(1)
	k.spec.t.ring()
	k.s.e.ready()
	k.s.armSweep()
	k.s.e.log.Info("lane up", "relay", k.spec.peer.Host, "lane", k.spec.number, "transport", k.form.String())
}

// relayGoes follows the relay's word that the lane will end: another one is opened at once. This one serves on until the relay
// closes it.
func (k *link) relayGoes() {
	if !k.retiring && !k.replaced {
		k.replaced = true
		close(k.goes)
	}
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
	if k.up.Load() == 0 {
		k.retiring = true
		k.end.Fail(nil)
		return
	}
	k.leave()
}

// leave tells the relay that the lane wants no more requests, and ends it when what runs has ended.
func (k *link) leave() {
	k.retiring = true
	k.end.SetBuffer(lane.AppendUint32(k.end.Buffer(), lane.OpGoaway, 0, 0))
	heard := func() {
		k.heard = true
		k.opening.Stop()
		k.maybeClose()
	}
	k.end.Prove(func() { k.end.Prove(heard) }) // twice: the first answer may be to a ping before the goaway
}

// maybeClose closes a retiring lane that has nothing left to do: the relay has heard our goaway, and so sends no request any more.
func (k *link) maybeClose() {
	if k.heard && k.streams.Len() == 0 {
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
				loop.ResumeInTurn(s.b.conn)
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
	if k.mustProve && !k.proved && !k.retiring {
		k.spec.t.unproved(k.form, err)
	}
	k.gone <- err
}
