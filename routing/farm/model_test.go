package farm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// model is a roster that is slow and plain: who can be picked is worked out anew, a turn is a number that grows.
type model struct {
	last    int // turn that was given
	now     time.Time
	servers map[*Server]*modelServer
}

type modelServer struct {
	lanes    map[int]*modelLane
	down     bool
	inFlight int
	failures int
	until    time.Time // zero: not ejected
	turn     int       // 0: it cannot be picked
}

type modelLane struct {
	turn     int
	draining bool
}

func (m *model) turn() int { m.last++; return m.last }

func (m *model) able(s *Server) bool {
	for _, l := range m.servers[s].lanes {
		if !l.draining {
			return s.Enable && s.Farm.Enable && !m.servers[s].down
		}
	}
	return false
}

// settle gives a turn to a server that has become able, or has moved between those that are ejected and those that are not.
func (m *model) settle(s *Server, moved bool) {
	if ms := m.servers[s]; !m.able(s) {
		ms.turn = 0
	} else if ms.turn == 0 || moved {
		ms.turn = m.turn()
	}
}

// class is the order in which servers are asked; within one the farm's balance decides.
func (m *model) class(s, not *Server) (class [3]int) {
	if s == not {
		class[0] = 1
	}
	if !m.servers[s].until.IsZero() {
		class[1] = 1
	}
	class[2] = s.Priority
	return class
}

// candidates are the servers of the first class that has one.
func (m *model) candidates(f *Farm, not *Server) (best []*Server) {
	for _, s := range f.Servers {
		if !m.able(s) {
			continue
		}
		if len(best) > 0 {
			a, b := m.class(s, not), m.class(best[0], not)
			if a != b {
				if a[0] < b[0] || a[0] == b[0] && (a[1] < b[1] || a[1] == b[1] && a[2] < b[2]) {
					best = []*Server{s}
				}
				continue
			}
		}
		best = append(best, s)
	}
	return best
}

// better tells whether a is to be chosen rather than b.
func (m *model) better(f *Farm, w Want, a, b *Server) bool {
	x, y := m.servers[a], m.servers[b]
	switch {
	case f.Balance == Hash:
		return mix(mix(w.Hash)^a.Key) > mix(mix(w.Hash)^b.Key)
	case f.Balance == LeastConn && x.inFlight != y.inFlight:
		return x.inFlight < y.inFlight
	}
	return x.turn < y.turn
}

// pick is what Pick has to return; got is what it has returned, for P2C, where the model leaves the choice to it.
func (m *model) pick(t *testing.T, f *Farm, w Want, got *Server) (best *Server, lane int) {
	for _, s := range f.Servers {
		if ms := m.servers[s]; !ms.until.IsZero() && !m.now.Before(ms.until) {
			ms.until = time.Time{}
			m.settle(s, true)
		}
	}
	all := m.candidates(f, w.Not)
	if len(all) == 0 {
		return nil, 0
	}
	most := 0 // how many of the others have less in flight
	for i, s := range all {
		if i == 0 || m.better(f, w, s, best) {
			best = s
		}
		if f.Balance == P2C && got != nil && m.servers[s].inFlight < m.servers[got].inFlight {
			most++
		}
	}
	if f.Balance == P2C && got != nil {
		if len(all) > 1 && most == len(all)-1 {
			t.Fatalf("Pick chooses server %s, which has the most requests of %d", got.ID, len(all))
		}
		for _, s := range all {
			if s == got {
				best = got
			}
		}
	}
	if f.Balance == RoundRobin || f.Balance == LeastConn {
		m.servers[best].turn = m.turn()
	}
	return best, m.lane(best)
}

// lane takes the lane of s whose turn it is.
func (m *model) lane(s *Server) int {
	lane := -1
	lanes := m.servers[s].lanes
	for n, l := range lanes {
		if !l.draining && (lane < 0 || l.turn < lanes[lane].turn) {
			lane = n
		}
	}
	lanes[lane].turn = m.turn()
	return lane
}

// fail is a request that fails on s; it tells whether s is ejected for that.
func (m *model) fail(s *Server) bool {
	ms, f := m.servers[s], s.Farm
	if f.EjectAfter == 0 || f.EjectTime == 0 {
		return false
	}
	if !ms.until.IsZero() {
		if m.now.Before(ms.until) {
			return false
		}
		ms.until = time.Time{}
		m.settle(s, true)
	}
	if ms.failures++; ms.failures < f.EjectAfter {
		return false
	}
	ms.until = m.now.Add(f.EjectTime)
	m.settle(s, true)
	return true
}

// event plays a random event on the model and on the roster.
func (m *model) event(t *testing.T, rng *rand.Rand, r *Roster[int], f *Farm) {
	s := f.Servers[rng.IntN(len(f.Servers))]
	ms := m.servers[s]
	m.now = m.now.Add(time.Duration(rng.IntN(3)) * time.Second)
	switch e := rng.IntN(40); {
	case e < 14:
		m.laneEvent(rng, r, s)
	case e < 17:
		ms.down = rng.IntN(3) == 0
		r.SetUp(s, !ms.down)
		m.settle(s, false)
	case e < 21:
		ms.inFlight++
		r.Begin(s)
	case e < 24:
		if ms.inFlight > 0 {
			ms.inFlight--
			r.End(s)
		}
	case e < 28:
		if want, got := m.fail(s), r.Failed(s, m.now); got != want {
			t.Fatalf("Failed(%s/%s) = %v, want %v", f.ID, s.ID, got, want)
		}
	case e < 29:
		moved := !ms.until.IsZero()
		ms.failures, ms.until = 0, time.Time{}
		m.settle(s, moved)
		r.Succeeded(s)
	case e < 31:
		want, able := 0, m.able(s)
		if able {
			want = m.lane(s)
		}
		if got, ok := r.PickServer(s); got != want || ok != able {
			t.Fatalf("PickServer(%s/%s) = %d %v, want %d %v", f.ID, s.ID, got, ok, want, able)
		}
	default:
		w := Want{Now: m.now, Hash: rng.Uint64N(50), Random: rng.Uint64()}
		if rng.IntN(3) == 0 {
			w.Not = s
		}
		got, gotLane, ok := r.Pick(f, w)
		want, wantLane := m.pick(t, f, w, got)
		if got != want || gotLane != wantLane || ok != (want != nil) {
			t.Fatalf("Pick(%s, %+v) = %v %d %v, want %v %d", f.ID, w, got, gotLane, ok, want, wantLane)
		}
	}
}

func (m *model) laneEvent(rng *rand.Rand, r *Roster[int], s *Server) {
	lanes, n := m.servers[s].lanes, rng.IntN(4)
	lane := lanes[n]
	switch e := rng.IntN(9); {
	case e < 4:
		r.Join(s, n)
		if lane == nil {
			lanes[n] = &modelLane{turn: m.turn()}
		}
	case e < 6:
		r.Leave(s, n)
		if delete(lanes, n); lane != nil && len(lanes) == 0 {
			m.servers[s].down = false
		}
	default:
		on := rng.IntN(2) == 0
		r.SetDraining(s, n, on)
		if lane != nil && lane.draining != on {
			lane.draining, lane.turn = on, m.turn()
		}
	}
	m.settle(s, false)
}

// check compares what can be seen of a farm.
func (m *model) check(t *testing.T, r *Roster[int], f *Farm) {
	able := 0
	for _, s := range f.Servers {
		ms := m.servers[s]
		if m.able(s) {
			able++
		}
		draining := 0
		for _, l := range ms.lanes {
			if l.draining {
				draining++
			}
		}
		gotOpen, gotDraining := r.Lanes(s)
		if gotOpen != len(ms.lanes)-draining || gotDraining != draining {
			t.Fatalf("Lanes(%s/%s) = %d %d, want %d %d", f.ID, s.ID, gotOpen, gotDraining, len(ms.lanes)-draining, draining)
		}
		ejected := !ms.until.IsZero() && m.now.Before(ms.until)
		if r.Up(s) == ms.down || r.InFlight(s) != ms.inFlight || r.Ejected(s, m.now) != ejected {
			t.Fatalf("%s/%s: up %v, in flight %d, ejected %v, want %+v", f.ID, s.ID, r.Up(s), r.InFlight(s), r.Ejected(s, m.now), ms)
		}
	}
	if r.Live(f) != able {
		t.Fatalf("Live(%s) = %d, want %d", f.ID, r.Live(f), able)
	}
}

// reload goes on with a roster of an equal table: it is told the lanes and requests anew, and inherits the rest.
func (m *model) reload(table *Table, old *Roster[int]) *Roster[int] {
	r := NewRoster[int](table)
	for _, s := range table.servers {
		ms := m.servers[s]
		ms.turn = 0
		for n, l := range ms.lanes {
			l.turn = m.turn()
			r.Join(s, n)
			r.SetDraining(s, n, l.draining)
		}
		r.SetUp(s, !ms.down)
		for range ms.inFlight {
			r.Begin(s)
		}
		m.settle(s, true)
	}
	r.Inherit(old)
	for _, s := range table.servers { // those who are ejected move, each in its turn
		if !m.servers[s].until.IsZero() {
			m.settle(s, true)
		}
	}
	return r
}

func TestRosterAgreesWithModel(t *testing.T) {
	farms := []FarmSpec{
		{ID: "turns", Enable: true},
		{ID: "turns out", Enable: true, EjectAfter: 3, EjectTime: 20 * time.Second},
		{ID: "least", Enable: true, Balance: LeastConn, EjectAfter: 1, EjectTime: 5 * time.Second},
		{ID: "two", Enable: true, Balance: P2C, EjectAfter: 2, EjectTime: 10 * time.Second},
		{ID: "hash", Enable: true, Balance: Hash, EjectAfter: 2, EjectTime: 10 * time.Second},
		{ID: "off", EjectAfter: 1, EjectTime: time.Second},
	}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var servers []ServerSpec
		for i := range 36 {
			servers = append(servers, ServerSpec{Farm: farms[i%6].ID, ID: fmt.Sprint(i), Enable: rng.IntN(7) > 0, Priority: int(seed%2) * rng.IntN(3)})
		}
		table, err := NewTable(farms, servers)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRoster[int](table)
		m := &model{now: time.Unix(1000, 0), servers: map[*Server]*modelServer{}}
		for _, s := range table.servers {
			m.servers[s] = &modelServer{lanes: map[int]*modelLane{}}
		}
		for i := range 3000 {
			f := table.farms[rng.IntN(len(farms))]
			m.event(t, rng, r, f)
			if err := r.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			m.check(t, r, f)
			if i%1000 == 999 {
				r = m.reload(table, r)
			}
		}
	}
}
