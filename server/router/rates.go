package router

import (
	"fmt"
	"math"
	"time"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

// mostInterval is the longest that a client may be made to wait for tokens. Source: option Client_Burst_Interval.
const mostInterval = 600 // seconds

// setRates is ADMIN_SET_OUTBOUND_RATE_PARAMS: the limits of one connection, whatever the options say. Source: spec of RTserver, "ADMIN_SET".
func (o *order) setRates(m *message.Message) func() {
	name, r, err := parseRates(m)
	return func() {
		if err != nil {
			o.refuse(err.Error())
			return
		}
		canonical, err := subject.Canonical(nil, o.door.settings.Load().cfg.DefaultSubjectPrefix, []byte(name))
		if err != nil {
			o.refuse(fmt.Sprintf("%q: %v", clip(name), err))
			return
		}
		o.project.mu.Lock()
		to := o.project.clients[string(canonical)]
		o.project.mu.Unlock()
		if to == nil {
			o.refuse(fmt.Sprintf("%s: no such client in project %s", canonical, o.project.name))
			return
		}
		to.shard.loop.Post(func() { // a loop that is stopping has no clients left
			if to.gone {
				o.refuse(fmt.Sprintf("%s: the client has left", canonical))
				return
			}
			to.ownRates = true
			to.setRates(r)
			o.answer(fmt.Sprintf("%s: %s", canonical, r))
		})
	}
}

// String describes the limits for people.
func (r rates) String() string {
	if r.rate == 0 {
		return "no limit"
	}
	most := "any number"
	if r.most > 0 {
		most = fmt.Sprint(r.most)
	}
	return fmt.Sprintf("%d bytes a second, %s at once, looked at every %v", r.rate, most, r.interval)
}

// parseRates reads ADMIN_SET_OUTBOUND_RATE_PARAMS: str connection, int4 token rate, int4 max tokens, real8 burst interval in seconds.
func parseRates(m *message.Message) (name string, r rates, err error) {
	b := m.Fields
	next := func() (f message.Field) {
		if err != nil {
			return f
		}
		if len(b) == 0 {
			err = fmt.Errorf("%s: a field is missing: str connection, int4 rate, int4 most, real8 seconds", m.Type)
			return f
		}
		var n int
		f, n, err = message.NextField(b)
		b = b[n:]
		return f
	}
	number := func(what string) int {
		f := next()
		if err != nil {
			return 0
		}
		v, wrong := f.Int()
		if wrong != nil || v < 0 || v > math.MaxInt32 {
			err = fmt.Errorf("%s: the %s is not a number from 0 to %d", m.Type, what, math.MaxInt32)
		}
		return int(v)
	}
	if f := next(); err == nil {
		name, err = f.Text()
	}
	r.rate = number("rate")
	r.most = number("most tokens")
	if f := next(); err == nil {
		seconds, wrong := f.Real()
		if wrong != nil || !(seconds >= 0 && seconds <= mostInterval) {
			return name, r, fmt.Errorf("%s: the interval is not 0 to %d seconds", m.Type, mostInterval)
		}
		r.interval = time.Duration(seconds * float64(time.Second))
	}
	if err == nil && len(b) > 0 {
		err = fmt.Errorf("%s: more than four fields", m.Type)
	}
	return name, r, err
}
