package router

import (
	"fmt"
	"math"
	"time"

	"roundhouse/codec/message"
)

// mostInterval is the longest that a client may be made to wait for tokens. Source: option Client_Burst_Interval.
const mostInterval = 600 // seconds

// parseRates reads ADMIN_SET_OUTBOUND_RATE_PARAMS: str connection, int4 token rate, int4 max tokens, real8 burst interval in seconds.
func parseRates(m *message.Message) (name string, r rates, err error) {
	b := m.Fields
	next := func() (f message.Field) {
		if err != nil {
			return f
		}
		var n int
		if f, n, err = message.NextField(b); err == nil && n == 0 {
			err = fmt.Errorf("router: %s: a field is missing: str connection, int4 rate, int4 most, real8 seconds", m.Type)
		}
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
			err = fmt.Errorf("router: %s: the %s is not a number from 0 to %d", m.Type, what, math.MaxInt32)
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
			return name, r, fmt.Errorf("router: %s: the interval is not 0 to %d seconds", m.Type, mostInterval)
		}
		r.interval = time.Duration(seconds * float64(time.Second))
	}
	return name, r, err
}
