package farm

// Balance is how a farm's servers share its requests. The package comment says what each does.
type Balance uint8

const (
	RoundRobin Balance = iota
	LeastConn
	P2C
	Hash
)

// balances are the names in the configuration.
var balances = [...]string{RoundRobin: "round_robin", LeastConn: "least_conn", P2C: "p2c", Hash: "hash"}

// ParseBalance returns the Balance of that name. hash may also be called hash:ip.
func ParseBalance(name string) (Balance, bool) {
	if name == "hash:ip" {
		return Hash, true
	}
	for b, n := range balances {
		if n == name {
			return Balance(b), true
		}
	}
	return RoundRobin, false
}

// String is the name in the configuration.
func (b Balance) String() string {
	if int(b) < len(balances) {
		return balances[b]
	}
	return "unknown"
}

// choose returns the server that takes a request; nil when none can.
func (m *members[L]) choose(b Balance, w *Want) *server[L] {
	for i := range m.groups {
		if st := pickFrom(&m.groups[i].well, b, w); st != nil {
			return st
		}
	}
	if m.ejected > 0 {
		for i := range m.groups {
			if st := pickFrom(&m.groups[i].ejected, b, w); st != nil {
				return st
			}
		}
	}
	if w.Not == nil {
		return nil
	}
	for i := range m.groups { // who is in a queue still is w.Not
		g := &m.groups[i]
		if g.well.len() > 0 {
			return g.well.first()
		}
		if g.ejected.len() > 0 {
			return g.ejected.first()
		}
	}
	return nil
}

// pickFrom chooses one of q that is not w.Not; nil when there is none.
func pickFrom[L comparable](q *queue[*server[L]], b Balance, w *Want) *server[L] {
	if n := q.len(); n == 0 || n == 1 && q.first().is(w.Not) {
		return nil
	}
	switch b {
	case LeastConn:
		return leastConn(q, w.Not)
	case P2C:
		return lesserOfTwo(q, w)
	case Hash:
		return highestScore(q, w)
	}
	if q.first().is(w.Not) {
		q.swap()
	}
	return q.take()
}

// leastConn looks at the servers in the order of their turns, so that equals take turns.
func leastConn[L comparable](q *queue[*server[L]], not *Server) *server[L] {
	best, least := -1, 0
	for n, i := 0, q.next; n < len(q.items); n++ {
		if st := q.items[i]; !st.is(not) && (best < 0 || st.inFlight < least) {
			best, least = i, st.inFlight
		}
		i = q.after(i)
	}
	return q.takeAt(best)
}

// lesserOfTwo draws two different servers, each pair with the same chance, from the two halves of w.Random.
func lesserOfTwo[L comparable](q *queue[*server[L]], w *Want) *server[L] {
	n, skip := len(q.items), len(q.items)
	if w.Not != nil {
		for i, st := range q.items {
			if st.is(w.Not) {
				n, skip = n-1, i
				break
			}
		}
	}
	at := func(i int) *server[L] { // the i-th of those that are not w.Not
		if i >= skip {
			i++
		}
		return q.items[i]
	}
	first := below(uint32(w.Random>>32), n)
	if n == 1 {
		return at(first)
	}
	second := below(uint32(w.Random), n-1)
	if second >= first {
		second++
	}
	if at(second).inFlight < at(first).inFlight {
		return at(second)
	}
	return at(first)
}

// below maps a random number evenly to 0 <= i < n.
func below(random uint32, n int) int {
	return int(uint64(random) * uint64(n) >> 32)
}

// highestScore is rendezvous hashing: each client gives each server a score that depends on nothing else, and takes the highest.
// So a server that goes leaves everybody else where they are, and every relay chooses the same.
func highestScore[L comparable](q *queue[*server[L]], w *Want) *server[L] {
	var best *server[L]
	var highest uint64
	client := mix(w.Hash)
	for _, st := range q.items {
		if st.is(w.Not) {
			continue
		}
		if score := mix(client ^ st.conf.Key); best == nil || score > highest || score == highest && st.conf.Key < best.conf.Key {
			best, highest = st, score
		}
	}
	return best
}

// mix makes every bit of the result depend on every bit of x: the finalizer of SplitMix64, which is a bijection (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014, with the constants of Stafford's variant 13).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// is tells whether s, which may be nil or of an earlier table, is this server.
func (st *server[L]) is(s *Server) bool { return s != nil && s.Key == st.conf.Key }
