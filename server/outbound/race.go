package outbound

import (
	"context"
	"errors"
	"time"
)

// raceTime is how long a lane may take to come up, where no form has worked yet, before another form is tried beside it: what gathers
// bodies that never end says nothing.
const raceTime = time.Second

// openFirst opens a lane in the form that its transport says, and, when that takes long and may be in vain, in another one beside it. It returns
// the link that is up first, or is left when the other has failed; beaten is one that is up too late and will end, or nil.
func openFirst(ctx context.Context, e *Enabler, spec laneSpec) (first, beaten *link) {
	k := e.openLane(spec, spec.t.next())
	patience := time.NewTimer(raceTime)
	defer patience.Stop()
	select {
	case <-k.whole:
		return k, nil
	case err := <-k.gone:
		k.gone <- err // for who called; there is room for it
		return k, nil
	case <-ctx.Done():
		return k, nil
	case <-patience.C:
	}
	f, may := spec.t.rival(k.form)
	if !may {
		return k, nil
	}
	e.log.Info("a lane is not up yet; trying another transport beside it", "relay", spec.peer.Host, "lane", spec.number, "transport", k.form.String(), "other", f.String())
	return race(ctx, k, e.openLane(spec, f))
}

// race returns which of two links is up first, or the one that is left. beaten is the other one, unless that has ended.
func race(ctx context.Context, k, other *link) (first, beaten *link) {
	select {
	case <-k.whole:
		first, beaten = k, other
	case <-ctx.Done():
		first, beaten = k, other
	case <-other.whole:
		first, beaten = other, k
	case err := <-other.gone:
		return k, failed(other, err)
	case err := <-k.gone:
		return other, failed(k, err)
	}
	k.s.e.log.Info("a transport is given up: another one was first", "relay", k.spec.peer.Host, "lane", k.spec.number,
		"transport", beaten.form.String(), "first", first.form.String())
	beaten.s.loop.Post(beaten.outrun)
	return first, beaten
}

// failed says why a link has ended while the other one goes on. It returns nil: no link.
func failed(k *link, err error) *link {
	k.s.e.log.Info("one of two transports has failed", "relay", k.spec.peer.Host, "lane", k.spec.number, "transport", k.form.String(),
		"error", err, "advice", k.s.e.advice(err))
	return nil
}

var errOutrun = errors.New("outbound: the lane came up over another transport first")

// outrun ends a link that has lost the race. The relay may think that it is up, and have sent a request. It runs on the loop.
func (k *link) outrun() {
	switch k.slow = errOutrun; { // of the timer, which is armed until a packet has come back
	case k.isGone:
	case k.end.Live():
		k.leave()
	default:
		k.end.Fail(errOutrun)
	}
}
