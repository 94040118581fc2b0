package outbound

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"roundhouse/codec/http1"
	"roundhouse/server/laneio"
)

// form is how the packets of a lane travel.
type form uint8

const (
	formChunked form = iota // two HTTP exchanges that never end, both chunked
	formLength              // the same, with a body of a given length towards the relay
	formSocket              // one WebSocket connection
)

func (f form) String() string { return [...]string{"http", "http with length", "websocket"}[f] }

// transport is what is known of the way to one relay server: in which form lanes get through. Proxies in between may refuse one form,
// or hold back what never ends, and nothing but trying tells. Any goroutine may use it.
type transport struct {
	// Fixed at start.
	log   *slog.Logger
	relay string
	wish  string // auto, http or ws, as -transport says

	mu     sync.Mutex // guards all below
	form   form       // of the next lane that is opened
	worked bool       // a lane of this form has been proved
	failed int        // lanes of this form that were not proved, in a row
	offer  offer
	meet   string        // the process of the relay server, by its own name; empty: unknown
	rung   chan struct{} // closed when the next lane is up; nil: nobody waits for it
}

// offer is what the list of relay servers says that these can do.
type offer struct {
	length, socket bool
	junctions      bool   // they want to know how many connections to the back end there are
	pad            int    // bytes after each burst over HTTP; 0: none
	instance       string // of who has made the offer: one of the relay servers
}

// patient is how many lanes may fail, for reasons that are rather not the form's, in a form that has worked before.
const patient = 3

func newTransport(relay, wish string, log *slog.Logger) *transport {
	t := &transport{log: log, relay: relay, wish: wish}
	if wish == "ws" {
		t.form = formSocket
	}
	return t
}

// offered takes what the relay server can do.
func (t *transport) offered(o offer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.offer = o
	if t.meet == "" { // a guess, and right when there is one relay server
		t.meet = o.instance
	}
	if t.form == formLength && !o.length || t.form == formSocket && !o.socket && t.wish != "ws" {
		t.form, t.worked, t.failed = formChunked, false, 0
	}
}

// instance is the process of the relay server that calls are for, as far as it is known.
func (t *transport) instance() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.meet
}

// met takes the name that a relay server gives itself when it refuses a call for another process than it is. False: err is something else.
func (t *transport) met(err error) bool {
	r, ok := refused(err)
	if !ok || r.number != numberStale || r.instance == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meet = r.instance
	return true
}

// bell is closed when the next lane to the relay server is up: whatever keeps others from opening is over, and none should wait for long.
func (t *transport) bell() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rung == nil {
		t.rung = make(chan struct{})
	}
	return t.rung
}

// ring tells that a lane is up.
func (t *transport) ring() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rung != nil {
		close(t.rung)
		t.rung = nil
	}
}

// next says in which form a lane is to be opened.
func (t *transport) next() form {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.form
}

// needs says how much padding a lane needs, in bytes, and whether it has to be proved: where the relay server knows one form only, there is
// nothing to choose.
func (t *transport) needs() (pad int, prove bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.offer.pad, t.offer.length || t.offer.socket
}

// counts tells whether the relay server wants to know how many connections to the back end there are.
func (t *transport) counts() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.offer.junctions
}

// rival is the form that may be tried beside a lane of form f, which is not up yet; false: none, since f is the only one, or has worked before.
func (t *transport) rival(f form) (form, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to := t.other(f, nil)
	return to, to != f && !t.worked
}

// proved tells that a lane of that form passes packets on in both directions.
func (t *transport) proved(f form) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f != t.form && t.worked {
		return // a lane that was opened before the form changed
	}
	t.form, t.failed = f, 0
	if !t.worked {
		t.worked = true
		t.log.Info("transport chosen", "relay", t.relay, "transport", f.String())
	}
}

// unproved tells why a lane of that form has ended before it was proved, and chooses the form of the next one.
func (t *transport) unproved(f form, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	guilt := judge(f, err)
	if f != t.form || guilt == notForm {
		return
	}
	if t.failed++; guilt == maybeForm && t.worked && t.failed < patient {
		return
	}
	to := t.other(f, err)
	if to == f {
		return
	}
	t.form, t.worked, t.failed = to, false, 0
	t.log.Warn("the next lanes go over another transport", "relay", t.relay, "transport", to.String(), "before", f.String(), "because", err)
}

// other is the form to try after f has failed.
func (t *transport) other(f form, err error) form {
	mayHTTP, maySocket := t.wish != "ws", t.offer.socket && t.wish != "http"
	switch {
	case f == formChunked && t.offer.length && mayHTTP && wantsLength(err):
		return formLength
	case f != formSocket && maySocket:
		return formSocket
	case f == formSocket && mayHTTP, f == formLength && mayHTTP:
		return formChunked
	}
	return f
}

// guilt says whether a form is to blame for a failure.
type guilt uint8

const (
	notForm   guilt = iota // it would have happened in any form
	maybeForm              // the connection broke
	isForm                 // something in between does not pass it on
)

var (
	errUnproved = errors.New("outbound: no packet came back from the relay")
	errOpening  = errors.New("outbound: the relay did not say hello")
	errNoLane   = errors.New("outbound: connect") // a connection could not be had
)

// judge finds out what a failure says of a form.
func judge(f form, err error) guilt {
	switch {
	case err == nil, errors.Is(err, errNoLane), errors.Is(err, errCut), errors.Is(err, errOutrun):
		return notForm
	case errors.Is(err, errUnproved), errors.Is(err, errOpening):
		return isForm
	}
	r, ok := refused(err)
	switch {
	case !ok && errors.As(err, new(*laneio.StrayError)):
		return isForm
	case !ok:
		return maybeForm
	case r.number == numberRequest: // what came to the relay is not what we sent
		return isForm
	case r.number != 0: // the relay itself does not want us
		return notForm
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return notForm
	}
	return isForm
}

// numberRequest is the number of the relay's error for a call that it does not understand.
const numberRequest = 2008

// wantsLength tells whether a proxy has refused a body because it was chunked.
func wantsLength(err error) bool {
	r, ok := refused(err)
	if !ok || !errors.As(err, new(*laneio.StrayError)) {
		return false
	}
	switch r.status {
	case http.StatusLengthRequired, http.StatusNotImplemented, http.StatusBadRequest:
		return true
	}
	return false
}

// refused finds a refusal in an error, also one that came while our body was still on its way.
func refused(err error) (r *refusal, ok bool) {
	var stray *laneio.StrayError
	switch {
	case errors.As(err, &r):
		return r, true
	case errors.As(err, &stray):
		r = refusalIn(stray)
	}
	return r, r != nil
}

// refusalIn reads an answer that came too early; nil when it is none.
func refusalIn(e *laneio.StrayError) *refusal {
	var resp http1.Response
	lim := http1.DefaultLimits()
	n, err := resp.Parse(e.Head, &lim, false)
	if err != nil || n == 0 {
		return nil
	}
	return newRefusal(&resp, e.Head[n:])
}
