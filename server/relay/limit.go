package relay

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
)

// allowance is what a configuration lets the clients of a farm use: config.FarmLimits made ready. It is nil for a farm without
// limits.
type allowance struct {
	interval    time.Duration // between requests at max_rps; 0: no limit
	inFlight    int64         // 0: no limit
	bytes       int64         // of bodies a second, in each direction; 0: no limit
	body        int64         // of one request, in bytes; 0: no limit
	allow, deny []netip.Prefix
}

func newAllowance(l *config.FarmLimits) *allowance {
	if l.MaxRPS == 0 && l.MaxInflight == 0 && l.MaxBytesSec == 0 && l.MaxRequestBody == 0 && len(l.AllowIP) == 0 && len(l.DenyIP) == 0 {
		return nil
	}
	a := &allowance{inFlight: int64(l.MaxInflight), bytes: l.MaxBytesSec, body: l.MaxRequestBody, allow: l.AllowIP, deny: l.DenyIP}
	if l.MaxRPS > 0 {
		a.interval = max(1, time.Second/time.Duration(l.MaxRPS))
	}
	return a
}

// admits tells whether a client may come from an address; the zero Addr is one that nobody knows.
func (a *allowance) admits(from netip.Addr) bool {
	switch {
	case len(a.allow) == 0 && len(a.deny) == 0:
		return true
	case !from.IsValid():
		return false
	}
	from = from.Unmap().WithZone("")
	return !contains(a.deny, from) && (len(a.allow) == 0 || contains(a.allow, from))
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// limitReason says which limit was met.
type limitReason uint8

const (
	limitRate     limitReason = iota // max_rps
	limitInFlight                    // max_inflight
	limitRequests                    // limits.max_requests, of the whole relay
	limitBytesIn                     // max_bytes_sec, from clients: an upload waits
	limitBytesOut                    // max_bytes_sec, to clients: a download waits, or a request for its turn
	limitBody                        // max_request_body
	limitAddress                     // allow_ip, deny_ip
	limitReasons
)

// limitNames are the reasons as metrics and tables show them.
var limitNames = [limitReasons]string{"rate", "inflight", "requests", "bytes_in", "bytes_out", "body", "address"}

// usage is what the clients of a farm have used. It outlives reloads. Any goroutine.
type usage struct {
	requests bucket
	in, out  bucket // bytes of bodies, from and to clients
	inFlight atomic.Int64
	limited  [limitReasons]atomic.Int64 // how often each limit was met
}

// bucket is a rate: the time up to which what was taken is paid for, in nanoseconds since the relay began (the "theoretical arrival
// time" of the generic cell rate algorithm, ITU-T I.371). Any goroutine.
type bucket struct{ paid atomic.Int64 }

// rateBurst is how much of its rate of requests a farm may use at once; byteBurst is the same for bytes.
const (
	rateBurst = time.Second
	byteBurst = time.Second / 4
)

// take takes one of what comes every interval, when the burst allows it. Otherwise wait, which is above 0, is when it does.
func (b *bucket) take(now, interval, burst time.Duration) (wait time.Duration) {
	for {
		paid := b.paid.Load()
		next := max(time.Duration(paid), now) + interval
		if wait = next - now - burst; wait > 0 {
			return wait
		}
		if b.paid.CompareAndSwap(paid, int64(next)) {
			return 0
		}
	}
}

// longestDebt bounds what can be taken in advance, so that no sum overflows.
const longestDebt = time.Hour

// owe takes n of what comes at rate a second, as they have come already, and returns when they are paid but for the burst.
func (b *bucket) owe(now time.Duration, n, rate int64, burst time.Duration) (due time.Duration) {
	cost := longestDebt
	if n < int64(longestDebt/time.Second)*rate {
		cost = time.Duration(float64(n) / float64(rate) * float64(time.Second))
	}
	for {
		paid := b.paid.Load()
		next := min(max(time.Duration(paid), now)+cost, now+longestDebt)
		if b.paid.CompareAndSwap(paid, int64(next)) {
			return next - burst
		}
	}
}

// due is when all that was taken is paid but for the burst.
func (b *bucket) due(burst time.Duration) time.Duration { return time.Duration(b.paid.Load()) - burst }

// enter counts a request as in flight unless there are limit already.
func (u *usage) enter(limit int64) bool {
	if u.inFlight.Add(1) > limit {
		u.inFlight.Add(-1)
		return false
	}
	return true
}

// forwardedAddr is the client's address as the proxies in front of the relay have it, peer being one of them: the last address in
// X-Forwarded-For that is no trusted proxy, for each of them has appended whom it talked to. When all are proxies it is the first
// of them, and without the field the peer. It is not valid when the address cannot be told.
func forwardedAddr(fields []http1.Field, peer netip.Addr, trusts func(netip.Addr) bool) netip.Addr {
	addr := peer
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		if f.ID != http1.IDXForwardedFor || bytes.IndexByte(f.Name, '_') >= 0 { // as in what is sent on
			continue
		}
		for list := f.Value; len(list) > 0; {
			hop := list[bytes.LastIndexByte(list, ',')+1:]
			list = list[:max(len(list)-len(hop)-1, 0)]
			if hop = bytes.TrimSpace(hop); len(hop) == 0 {
				continue
			}
			if addr = parseHop(string(hop)); !addr.IsValid() || !trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

// parseHop reads an address, maybe with a port, as proxies write it; anything else is not valid.
func parseHop(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("")
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().Unmap().WithZone("")
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		a, _ := netip.ParseAddr(s[1 : n-1]) // the zero Addr is right
		return a.Unmap().WithZone("")
	}
	return netip.Addr{}
}
