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
// the link that is up first, and ends the other; while none is, the one that has not failed.
func (e *Enabler) openFirst(ctx context.Context, spec laneSpec) *link {
	k := e.openLane(spec, spec.t.next())
	patience := time.NewTimer(raceTime)
	defer patience.Stop()
	select {
	case <-k.whole:
		return k
	case err := <-k.gone:
		k.gone <- err // for who called; there is room for it
		return k
	case <-ctx.Done():
		return k
	case <-patience.C:
	}
	f, may := spec.t.rival(k.form)
	if !may {
		return k
	}
	e.log.Info("a lane is not up yet; trying another transport beside it", "relay", spec.peer.Host, "lane", spec.number, "transport", k.form.String(), "other", f.String())
	return k.race(ctx, e.openLane(spec, f))
}

// race returns which of two links is up first, or the one that is left.
func (k *link) race(ctx context.Context, other *link) *link {
	first, last := k, other
	select {
	case <-k.whole:
	case <-ctx.Done():
	case err := <-other.gone:
		other.gone <- err // for below
	case <-other.whole:
		first, last = other, k
	case err := <-k.gone:
		k.gone <- err
		first, last = other, k
	}
	last.s.loop.Post(last.outrun)
	err := <-last.gone
	k.s.e.log.Info("one of two transports is given up", "relay", last.spec.peer.Host, "lane", last.spec.number, "transport", last.form.String(),
		"error", err, "advice", k.s.e.advice(err))
	return first
}

var errOutrun = errors.New("outbound: the lane came up over another transport first")

// outrun ends a link that has lost the race. It runs on the loop.
func (k *link) outrun() {
	if !k.isGone {
		k.end.Fail(errOutrun)
	}
}
