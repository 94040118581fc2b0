package relay

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/config"
)

// TestBucketRate takes from a bucket as fast as it can, and at times: a second's worth at once, then one each interval.
func TestBucketRate(t *testing.T) {
	for _, rps := range []int{1, 2, 10, 999, 100_000} {
		a := newAllowance(&config.FarmLimits{MaxRPS: rps})
		var b bucket
		take := func(now time.Duration) (n int) {
			for b.take(now, a.interval, rateBurst) == 0 {
				n++
			}
			return n
		}
		start := time.Hour // the relay has been idle for long: that saves nothing up
		if n := take(start); n != rps {
			t.Errorf("%d a second: %d at once", rps, n)
		}
		wait := b.take(start, a.interval, rateBurst)
		if wait <= 0 || wait > time.Second {
			t.Errorf("%d a second: the next one after %v", rps, wait)
		}
		if n := take(start + a.interval); n != 1 {
			t.Errorf("%d a second: %d after an interval", rps, n)
		}
		if n := take(start + 10*time.Second); n != rps {
			t.Errorf("%d a second: %d after ten seconds", rps, n)
		}
	}
}

// TestBucketShared has eight loops take at the same time: together they get what one would.
func TestBucketShared(t *testing.T) {
	const rps = 1000
	a := newAllowance(&config.FarmLimits{MaxRPS: rps})
	var b bucket
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range rps {
				if b.take(time.Minute, a.interval, rateBurst) == 0 {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != rps {
		t.Errorf("%d were let through, want %d", got.Load(), rps)
	}
}

// TestBucketBytes checks when bytes that have come are paid.
func TestBucketBytes(t *testing.T) {
	var b bucket
	now := time.Minute
	if due := b.owe(now, 250, 1000, byteBurst); due > now {
		t.Errorf("a burst has to wait for %v", due-now)
	}
	if due := b.owe(now, 1000, 1000, byteBurst); due != now+time.Second {
		t.Errorf("a second's worth on top is due after %v", due-now)
	}
	if due := b.due(byteBurst); due != now+time.Second {
		t.Errorf("due after %v", due-now)
	}
	for range 3 { // no sum may overflow
		if due := b.owe(now, 1<<62, 1, byteBurst); due > now+longestDebt {
			t.Errorf("too much is due after %v", due-now)
		}
	}
	now += 2 * longestDebt
	if due := b.owe(now, 1000, 1000, byteBurst); due != now+time.Second-byteBurst {
		t.Errorf("after a long rest a second's worth is due after %v", due-now)
	}
}

// TestAllowance checks the lists of addresses, and that no limits are none.
func TestAllowance(t *testing.T) {
	if newAllowance(&config.FarmLimits{}) != nil {
		t.Error("no limits are an allowance")
	}
	nets := func(all ...string) (list []netip.Prefix) {
		for _, s := range all {
			list = append(list, netip.MustParsePrefix(s))
		}
		return list
	}
	both := &allowance{allow: nets("10.0.0.0/8", "2001:db8::/32"), deny: nets("10.1.0.0/16")}
	onlyDeny := &allowance{deny: nets("10.1.0.0/16")}
	for _, row := range []struct {
		a    *allowance
		from string
		want bool
	}{
		{&allowance{}, "", true}, {&allowance{}, "192.0.2.1", true},
		{both, "10.2.0.1", true}, {both, "10.1.0.1", false}, {both, "192.0.2.1", false}, {both, "", false},
		{both, "::ffff:10.2.0.1", true}, {both, "::ffff:10.1.0.1", false}, {both, "2001:db8::1", true}, {both, "fe80::1%eth0", false},
		{onlyDeny, "192.0.2.1", true}, {onlyDeny, "10.1.2.3", false}, {onlyDeny, "::ffff:10.1.2.3", false}, {onlyDeny, "", false},
	} {
		var from netip.Addr
		if row.from != "" {
			from = netip.MustParseAddr(row.from)
		}
		if got := row.a.admits(from); got != row.want {
			t.Errorf("%+v, %q: %v", row.a, row.from, got)
		}
	}
}

// TestLimitsReload has a configuration give a farm other limits: what was used under those before counts.
func TestLimitsReload(t *testing.T) {
	viewOf := func(before *view, most int) *view {
		cfg := config.Default()
		f := config.DefaultFarm()
		f.ID, f.Limits.MaxInflight = "f", most
		cfg.Relay.Farms = []config.Farm{f}
		v, err := newView(cfg, before, 1<<30, &dynamics{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := viewOf(nil, 2)
	if again, err := newView(before.given, before, 1<<30, &dynamics{}); err != nil || again.farms[0].state != before.farms[0].state {
		t.Error("what auto_config changes loses the state of a farm:", err)
	}
	var first, second, third quota
	if f := before.farm([]byte("f")); !first.begin(f) || !second.begin(f) || third.begin(f) {
		t.Fatal("not as many as allowed")
	}
	after := viewOf(before, 3)
	f := after.farm([]byte("f"))
	if !third.begin(f) || new(quota).begin(f) {
		t.Error("after the reload, not as many as allowed")
	}
	for _, q := range []*quota{&first, &second, &third, &third} { // a second end does nothing
		q.end()
	}
	if n := f.state.use.inFlight.Load(); n != 0 {
		t.Errorf("%d are left in flight", n)
	}
	if none := viewOf(after, 0).farm([]byte("f")); none.limits != nil || !new(quota).begin(none) {
		t.Error("a farm without limits has some")
	}
	if n := f.state.use.limited[limitInFlight].Load(); n != 2 {
		t.Errorf("%d were counted", n)
	}
}

// TestForwardedAddr checks whom the proxies in front of the relay say a request comes from.
func TestForwardedAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	trusts := func(a netip.Addr) bool { return contains(proxies, a) }
	peer := netip.MustParseAddr("10.0.0.1")
	field := func(name, value string) http1.Field {
		id := http1.IDXForwardedFor
		if name == "Other" {
			id = http1.IDOther
		}
		return http1.Field{Name: []byte(name), Value: []byte(value), ID: id}
	}
	one := func(values ...string) (fields []http1.Field) {
		for _, v := range values {
			fields = append(fields, field("X-Forwarded-For", v))
		}
		return fields
	}
	for _, row := range []struct {
		fields []http1.Field
		want   string // empty: not valid
	}{
		{nil, "10.0.0.1"}, {one(""), "10.0.0.1"}, {one(" , ,"), "10.0.0.1"},
		{one("192.0.2.1"), "192.0.2.1"},
		{one("192.0.2.66, 192.0.2.1"), "192.0.2.1"},                      // what stands before the client's own address is the client's word
		{one("192.0.2.66", "192.0.2.1"), "192.0.2.1"},                    // the same in two fields
		{one("192.0.2.1, 10.0.0.7,10.0.0.9"), "192.0.2.1"},               // three proxies
		{one("192.0.2.66,192.0.2.1", "10.0.0.7, 10.9.9.9"), "192.0.2.1"}, // in two fields
		{one("10.0.0.7, 10.0.0.9"), "10.0.0.7"},                          // all are proxies
		{one("192.0.2.1:4711"), "192.0.2.1"}, {one("[2001:db8::1]:80"), "2001:db8::1"}, {one("[2001:db8::1]"), "2001:db8::1"},
		{one("::ffff:192.0.2.1"), "192.0.2.1"}, {one("192.0.2.1, ::ffff:10.0.0.3"), "192.0.2.1"}, {one("2001:db8::1, fd00::2"), "2001:db8::1"},
		{one("192.0.2.1, unknown"), ""}, {one("192.0.2.1, _hidden"), ""}, {one("[]"), ""}, {one("192.0.2.1.5"), ""},
		{[]http1.Field{field("X_Forwarded_For", "192.0.2.66"), field("Other", "192.0.2.67")}, "10.0.0.1"},
	} {
		got := forwardedAddr(row.fields, peer, trusts)
		if row.want == "" && got.IsValid() || row.want != "" && got != netip.MustParseAddr(row.want) {
			t.Errorf("%q: %v, want %s", row.fields, got, row.want)
		}
	}
}
