package farm

import (
	"testing"
	"time"
)

// reloaded is a roster of farm web under another rule, which inherits from r; each of the servers has one lane, 0.
func reloaded(t *testing.T, r *Roster[int], spec FarmSpec, servers ...ServerSpec) (*Table, *Roster[int]) {
	t.Helper()
	spec.ID, spec.Enable = "web", true
	table, err := NewTable([]FarmSpec{{ID: "first", Enable: true, EjectAfter: 1, EjectTime: time.Hour}, spec}, servers)
	if err != nil {
		t.Fatal(err)
	}
	q := NewRoster[int](table)
	q.Inherit(r)
	for _, s := range table.servers {
		q.Join(s, 0)
	}
	if err := q.CheckInvariants(); err != nil {
		t.Fatal(err)
	}
	return table, q
}

// TestInheritUnderAnotherRule ejects server 0 of three and has one failure of server 1; then the configuration changes.
func TestInheritUnderAnotherRule(t *testing.T) {
	start := time.Unix(1000, 0)
	web := func(id string) ServerSpec { return ServerSpec{Farm: "web", ID: id, Enable: true} }
	rows := []struct {
		name    string
		spec    FarmSpec
		servers []ServerSpec
		ejected time.Duration // how long server 0 is; 0: it is not
		next    bool          // whether one more failure ejects server 1
	}{
		{"the same", FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, []ServerSpec{web("0"), web("1")}, time.Minute, true},
		{"another order", FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, []ServerSpec{web("2"), web("1"), web("0")}, time.Minute, true},
		{"shorter", FarmSpec{EjectAfter: 2, EjectTime: time.Second}, []ServerSpec{web("0"), web("1")}, time.Second, true},
		{"longer", FarmSpec{EjectAfter: 2, EjectTime: time.Hour}, []ServerSpec{web("0"), web("1")}, time.Hour, true},
		{"fewer failures", FarmSpec{EjectAfter: 1, EjectTime: time.Minute}, []ServerSpec{web("0"), web("1")}, time.Minute, true},
		{"more failures", FarmSpec{EjectAfter: 3, EjectTime: time.Minute}, []ServerSpec{web("0"), web("1")}, time.Minute, false},
		{"never, by count", FarmSpec{EjectTime: time.Minute}, []ServerSpec{web("0"), web("1")}, 0, false},
		{"never, by time", FarmSpec{EjectAfter: 2}, []ServerSpec{web("0"), web("1")}, 0, false},
		{"of another farm", FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, []ServerSpec{{Farm: "first", ID: "0", Enable: true}, web("0"), web("1")}, time.Minute, true},
		{"disabled", FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, []ServerSpec{{Farm: "web", ID: "0"}, web("1")}, time.Minute, true},
		{"another priority", FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, []ServerSpec{{Farm: "web", ID: "0", Enable: true, Priority: 4}, web("1")}, time.Minute, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before, r := rosterOf(t, FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, 3, 1)
			r.Failed(before.servers[0], start)
			r.Failed(before.servers[0], start)
			r.Failed(before.servers[1], start)
			table, q := reloaded(t, r, row.spec, row.servers...)
			f := table.farms[1]
			if s := f.Server("0"); row.ejected == 0 && q.Ejected(s, start) ||
				row.ejected > 0 && (!q.Ejected(s, start.Add(row.ejected-1)) || q.Ejected(s, start.Add(row.ejected))) {
				t.Errorf("server 0 is not ejected for %v", row.ejected)
			}
			if other := table.farms[0].Server("0"); other != nil && q.Ejected(other, start) {
				t.Error("server 0 of the other farm is ejected")
			}
			if got := q.Failed(f.Server("1"), start); got != row.next {
				t.Errorf("one more failure ejects server 1: %v", got)
			}
			if err := q.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInheritAfterJoin tells the lanes first, as TestInheritUnderAnotherRule does not.
func TestInheritAfterJoin(t *testing.T) {
	now := time.Unix(1000, 0)
	table, old := rosterOf(t, FarmSpec{EjectAfter: 1, EjectTime: time.Minute}, 2, 1)
	old.Failed(table.servers[0], now)
	r := NewRoster[int](table) // a table as it was is another one, too
	r.Join(table.servers[0], 0)
	r.Join(table.servers[1], 0)
	r.Inherit(old)
	if err := r.CheckInvariants(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if s, _, _ := r.Pick(table.farms[0], Want{Now: now}); s != table.servers[1] {
			t.Fatalf("server %s is picked", s.ID)
		}
	}
}

// TestPickNotOfAnEarlierTable retries a request that began before a reload.
func TestPickNotOfAnEarlierTable(t *testing.T) {
	before, _ := fullRoster(t, 3, 1)
	table, r := fullRoster(t, 3, 1)
	for range 6 {
		if s, _, ok := r.Pick(table.farms[0], Want{Not: before.servers[1]}); !ok || s == table.servers[1] {
			t.Fatal("the retry goes back to the server that it comes from")
		}
	}
	r.SetUp(table.servers[0], false)
	r.SetUp(table.servers[2], false)
	if s, _, ok := r.Pick(table.farms[0], Want{Not: before.servers[1]}); !ok || s != table.servers[1] {
		t.Error("the only server is not asked again")
	}
}

// TestLaneBreaksWithRequests is what a relay tells when the lane of the only server breaks: it leaves first, then its requests fail
// and end; a new lane comes later.
func TestLaneBreaksWithRequests(t *testing.T) {
	now := time.Unix(1000, 0)
	table, r := rosterOf(t, FarmSpec{EjectAfter: 2, EjectTime: time.Minute}, 2, 1)
	f, s := table.farms[0], table.servers[0]
	check := func() {
		t.Helper()
		if err := r.CheckInvariants(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		r.Begin(s)
	}
	r.Leave(s, 0)
	for i := range 3 {
		if got := r.Failed(s, now); got != (i == 1) {
			t.Errorf("failure %d ejects: %v", i, got)
		}
		r.End(s)
		check()
		if other, _, ok := r.Pick(f, Want{Not: s, Now: now}); !ok || other == s {
			t.Error("the retry finds nobody else")
		}
	}
	if open, draining := r.Lanes(s); open+draining != 0 || r.InFlight(s) != 0 || r.Live(f) != 1 {
		t.Errorf("%d and %d lanes, %d in flight, %d live", open, draining, r.InFlight(s), r.Live(f))
	}
	if _, ok := r.PickServer(s); ok {
		t.Error("a lane that is gone is picked")
	}
	r.Join(s, 1)
	check()
	if lane, ok := r.PickServer(s); !ok || lane != 1 {
		t.Errorf("PickServer = %d %v", lane, ok)
	}
	if got, _, _ := r.Pick(f, Want{Now: now.Add(time.Second)}); got == s {
		t.Error("it is not ejected any more")
	}
	r.Leave(table.servers[1], 0)
	if got, _, _ := r.Pick(f, Want{Now: now.Add(time.Second)}); got != s {
		t.Error("it is not asked though there is no other")
	}
	r.Succeeded(s)
	r.Join(table.servers[1], 0)
	check()
	if a, b := pickID(r, f, now), pickID(r, f, now); a == b {
		t.Errorf("server %s is picked twice after both are well", a)
	}
}

func pickID(r *Roster[int], f *Farm, now time.Time) string {
	s, _, _ := r.Pick(f, Want{Now: now})
	return s.ID
}

// TestEmptyFarm has nobody to pick, to eject or to hash to.
func TestEmptyFarm(t *testing.T) {
	for b := range balances {
		table, r := rosterOf(t, FarmSpec{Balance: Balance(b), EjectAfter: 1, EjectTime: time.Minute}, 0, 0)
		if s, _, ok := r.Pick(table.farms[0], Want{Random: 1<<64 - 1}); ok || s != nil {
			t.Errorf("%v: %v is picked", Balance(b), s)
		}
		other, _ := fullRoster(t, 1, 1)
		if _, _, ok := r.Pick(table.farms[0], Want{Not: other.servers[0]}); ok || r.Live(table.farms[0]) != 0 {
			t.Errorf("%v: a server of another table is picked", Balance(b))
		}
	}
}

// TestTimeGoesBack has a clock that is set back: an ejection is over when its time comes again, and nothing breaks.
func TestTimeGoesBack(t *testing.T) {
	now := time.Unix(1000, 0)
	table, r := rosterOf(t, FarmSpec{EjectAfter: 1, EjectTime: time.Minute}, 2, 1)
	f, s := table.farms[0], table.servers[0]
	r.Failed(s, now)
	if r.Failed(s, now.Add(-time.Hour)) || !r.Ejected(s, now.Add(-time.Hour)) || pickID(r, f, now.Add(-time.Hour)) == s.ID {
		t.Error("the ejection ends when the clock is set back")
	}
	if r.Ejected(s, now.Add(time.Minute)) {
		t.Error("the ejection does not end")
	}
	if a, b := pickID(r, f, now.Add(time.Minute)), pickID(r, f, now.Add(time.Minute)); a == b {
		t.Errorf("server %s is picked twice", a)
	}
	if err := r.CheckInvariants(); err != nil {
		t.Error(err)
	}
}
