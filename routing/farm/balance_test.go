package farm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestParseBalance(t *testing.T) {
	for name, want := range map[string]Balance{"round_robin": RoundRobin, "least_conn": LeastConn, "p2c": P2C, "hash": Hash, "hash:ip": Hash} {
		if b, ok := ParseBalance(name); b != want || !ok {
			t.Errorf("ParseBalance(%s) = %v %v", name, b, ok)
		}
	}
	for _, name := range []string{"", "Round_Robin", "hash:", "hash:url", "p2c ", "unknown"} {
		if b, ok := ParseBalance(name); ok {
			t.Errorf("ParseBalance(%q) = %v", name, b)
		}
	}
	for b := range balances {
		if got, ok := ParseBalance(Balance(b).String()); int(got) != b || !ok {
			t.Errorf("%v is not read again", Balance(b))
		}
	}
	if name := Balance(99).String(); name != "unknown" {
		t.Errorf("Balance 99 is called %s", name)
	}
}

// shares counts how often each server is picked.
func shares(t *testing.T, r *Roster[int], f *Farm, wants int, want func(i int) Want) map[*Server]int {
	t.Helper()
	count := map[*Server]int{}
	for i := range wants {
		s, _, ok := r.Pick(f, want(i))
		if !ok {
			t.Fatal("nobody is picked")
		}
		count[s]++
	}
	return count
}

// even sees that each of the servers has its share, give or take so many hundredths of it, and nobody else has any.
func even(t *testing.T, what string, count map[*Server]int, servers []*Server, hundredths int) {
	t.Helper()
	all := 0
	for _, n := range count {
		all += n
	}
	share := all / len(servers)
	for _, s := range servers {
		if n := count[s]; n < share-share*hundredths/100 || n > share+share*hundredths/100 {
			t.Errorf("%s: server %s has %d, its share is %d", what, s.ID, n, share)
		}
		all -= count[s]
	}
	if all != 0 {
		t.Errorf("%s: %d go to others", what, all)
	}
}

func without(servers []*Server, s *Server) []*Server {
	return slices.DeleteFunc(slices.Clone(servers), func(other *Server) bool { return other == s })
}

// TestP2CIsEven draws among servers that are equal, in each place of the queue one that is passed over.
func TestP2CIsEven(t *testing.T) {
	table, r := rosterOf(t, FarmSpec{Balance: P2C}, 10, 1)
	f, rng := table.farms[0], rand.New(rand.NewPCG(1, 1))
	even(t, "all", shares(t, r, f, 100000, func(int) Want { return Want{Random: rng.Uint64()} }), f.Servers, 5)
	for _, not := range f.Servers {
		count := shares(t, r, f, 40000, func(int) Want { return Want{Not: not, Random: rng.Uint64()} })
		even(t, "not "+not.ID, count, without(f.Servers, not), 10)
	}
	busy := f.Servers[4]
	r.Begin(busy)
	count := shares(t, r, f, 40000, func(int) Want { return Want{Random: rng.Uint64()} })
	even(t, "one is busier", count, without(f.Servers, busy), 10)
	for n := 3; n > 1; n-- { // few servers: every pair is drawn
		table, r := rosterOf(t, FarmSpec{Balance: P2C}, n, 1)
		even(t, fmt.Sprint("of ", n), shares(t, r, table.farms[0], 40000, func(int) Want { return Want{Random: rng.Uint64()} }), table.servers, 10)
	}
}

// TestLoadIsLevel lets requests begin and end at random: P2C keeps the servers close to each other (chance alone: about 45 apart),
// and LeastConn puts none on a server while another has less.
func TestLoadIsLevel(t *testing.T) {
	for balance, spread := range map[Balance]int{LeastConn: 1, P2C: 12} {
		table, r := rosterOf(t, FarmSpec{Balance: balance}, 64, 1)
		f, rng := table.farms[0], rand.New(rand.NewPCG(2, 2))
		for range 6400 {
			s, _, _ := r.Pick(f, Want{Random: rng.Uint64()})
			r.Begin(s)
			low, high := levels(r, f)
			if high-low > spread {
				t.Fatalf("%v: from %d to %d requests in flight", balance, low, high)
			}
		}
		for range 20000 {
			if s := f.Servers[rng.IntN(64)]; r.InFlight(s) > 0 {
				r.End(s)
			}
			low, _ := levels(r, f)
			s, _, _ := r.Pick(f, Want{Random: rng.Uint64()})
			if balance == LeastConn && r.InFlight(s) != low {
				t.Fatalf("least_conn: a server with %d requests, another has %d", r.InFlight(s), low)
			}
			r.Begin(s)
		}
	}
}

// levels is how few and how many requests a server of f has.
func levels(r *Roster[int], f *Farm) (low, high int) {
	low = r.InFlight(f.Servers[0])
	for _, s := range f.Servers {
		low, high = min(low, r.InFlight(s)), max(high, r.InFlight(s))
	}
	return low, high
}

// homes is which server each client goes to; the clients' hashes are small numbers in a row, which is the worst that may come.
func homes(t *testing.T, r *Roster[int], f *Farm, not *Server) []string {
	t.Helper()
	var all []string
	for client := range uint64(20000) {
		s, _, ok := r.Pick(f, Want{Hash: client, Not: not})
		if !ok {
			t.Fatal("nobody is picked")
		}
		all = append(all, s.ID)
	}
	return all
}

// TestHashMovesOnlyTheClientsOfWhoIsGone takes each server away in every way there is: it has no lane, it is down, it drains, it is
// ejected, the request comes back from it.
func TestHashMovesOnlyTheClientsOfWhoIsGone(t *testing.T) {
	table, r := rosterOf(t, FarmSpec{Balance: Hash, EjectAfter: 1, EjectTime: time.Hour}, 10, 1)
	f := table.farms[0]
	before := homes(t, r, f, nil)
	ways := []struct {
		name       string
		take, give func(s *Server)
	}{
		{"no lane", func(s *Server) { r.Leave(s, 0) }, func(s *Server) { r.Join(s, 0) }},
		{"down", func(s *Server) { r.SetUp(s, false) }, func(s *Server) { r.SetUp(s, true) }},
		{"drains", func(s *Server) { r.SetDraining(s, 0, true) }, func(s *Server) { r.SetDraining(s, 0, false) }},
		{"ejected", func(s *Server) { r.Failed(s, time.Unix(1000, 0)) }, func(s *Server) { r.Succeeded(s) }},
		{"not", func(s *Server) {}, func(s *Server) {}},
	}
	for i, s := range f.Servers {
		way := ways[i%len(ways)]
		var not *Server
		if way.name == "not" {
			not = s
		}
		way.take(s)
		count := map[*Server]int{}
		for client, home := range homes(t, r, f, not) {
			switch was := before[client]; {
			case was != s.ID && home != was:
				t.Fatalf("%s: client %d of server %s moves to %s, though %s is gone", way.name, client, was, home, s.ID)
			case was == s.ID:
				count[f.Server(home)]++
			}
		}
		even(t, way.name, count, without(f.Servers, s), 30)
		way.give(s)
	}
	if !slices.Equal(homes(t, r, f, nil), before) {
		t.Error("when all are back not every client is where it was")
	}
}

func TestHashIsEven(t *testing.T) {
	for _, servers := range []int{2, 10} {
		table, r := rosterOf(t, FarmSpec{Balance: Hash}, servers, 1)
		for name, stretch := range map[string]uint64{"in a row": 1, "high bits": 1 << 48, "odd": 0x9e3779b97f4a7c15} {
			count := shares(t, r, table.farms[0], 40000, func(i int) Want { return Want{Hash: uint64(i) * stretch} })
			even(t, fmt.Sprint(servers, " ", name), count, table.servers, 8)
		}
	}
}

// TestHashIsTheSameEverywhere has a second relay, which has the servers in another order, has seen others come first, and has
// answered other clients.
func TestHashIsTheSameEverywhere(t *testing.T) {
	one, r := rosterOf(t, FarmSpec{Balance: Hash}, 10, 1)
	specs := []ServerSpec{{Farm: "other", ID: "0", Enable: true}}
	for i := 9; i >= 0; i-- {
		specs = append(specs, ServerSpec{Farm: "web", ID: fmt.Sprint(i), Enable: true})
	}
	two, err := NewTable([]FarmSpec{{ID: "other"}, {ID: "web", Enable: true, Balance: Hash}}, specs)
	if err != nil {
		t.Fatal(err)
	}
	q, rng := NewRoster[int](two), rand.New(rand.NewPCG(3, 3))
	for _, i := range rng.Perm(10) {
		q.Join(two.farms[1].Servers[i], 0)
		q.Pick(two.farms[1], Want{Hash: rng.Uint64()})
	}
	if !slices.Equal(homes(t, r, one.farms[0], nil), homes(t, q, two.farms[1], nil)) {
		t.Error("two relays send a client to different servers")
	}
}
