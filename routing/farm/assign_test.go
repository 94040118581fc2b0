package farm

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "re-record the expected actions in testdata")

// CheckInvariants returns the first of the roster's invariants that does not hold.
func (r *Roster[L]) CheckInvariants() error {
	for i := range r.farms {
		if err := r.farms[i].checkInvariants(); err != nil {
			return fmt.Errorf("farm %d: %w", i, err)
		}
	}
	for i := range r.servers {
		if err := r.checkServer(&r.servers[i]); err != nil {
			return fmt.Errorf("server %d: %w", i, err)
		}
	}
	return nil
}

// checkInvariants sees that the groups stand in order and have nobody but their own servers, who know that they are there.
func (m *members[L]) checkInvariants() error {
	for i := range m.groups {
		g := &m.groups[i]
		if i > 0 && m.groups[i-1].priority >= g.priority {
			return fmt.Errorf("priority %d comes after %d", g.priority, m.groups[i-1].priority)
		}
		for _, q := range []*queue[*server[L]]{&g.well, &g.ejected} {
			if err := q.checkInvariants(); err != nil {
				return err
			}
			for _, st := range q.items {
				if st.group != g || st.in != q || st.conf.Priority != g.priority {
					return fmt.Errorf("server %s stands in a queue that is not its own", st.conf.ID)
				}
			}
		}
	}
	return nil
}

func (r *Roster[L]) checkServer(st *server[L]) error {
	if err := st.open.checkInvariants(); err != nil {
		return err
	}
	for j, lane := range st.draining {
		if slices.Contains(st.open.items, lane) || slices.Contains(st.draining[:j], lane) {
			return fmt.Errorf("lane %v drains and is elsewhere too", lane)
		}
	}
	can := st.conf.Enable && st.conf.Farm.Enable && !st.down && st.open.len() > 0
	well, out := slices.Contains(st.group.well.items, st), slices.Contains(st.group.ejected.items, st)
	if well != (can && !st.isEjected()) || out != (can && st.isEjected()) || (st.in != nil) != can {
		return fmt.Errorf("able %v, ejected %v, queued %v %v %v", can, st.isEjected(), st.in != nil, well, out)
	}
	ejected := 0
	for _, s := range st.conf.Farm.Servers {
		if r.servers[s.Index].isEjected() {
			ejected++
		}
	}
	if m := &r.farms[st.conf.Farm.Index]; m.ejected != ejected {
		return fmt.Errorf("%d servers of its farm are ejected, counted are %d", ejected, m.ejected)
	}
	if st.inFlight < 0 || st.failures < 0 || st.failures > max(0, st.conf.Farm.EjectAfter) {
		return fmt.Errorf("%d in flight, %d failures", st.inFlight, st.failures)
	}
	return nil
}

func (q *queue[T]) checkInvariants() error {
	if q.next < 0 || q.next > 0 && q.next >= len(q.items) {
		return fmt.Errorf("next = %d of %d", q.next, len(q.items))
	}
	for i, item := range q.items {
		if slices.Contains(q.items[:i], item) {
			return fmt.Errorf("%v is queued twice", item)
		}
	}
	return nil
}

// TestScripts replays testdata/*.txt: comment, event lines, "----", expected actions, blank line.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, block := range strings.Split(strings.TrimSpace(string(old)), "\n\n") {
				head, want, _ := strings.Cut(block+"\n", "----\n")
				name, _, _ := strings.Cut(strings.TrimPrefix(head, "# "), "\n")
				got := runScript(t, name, head)
				if got != want && !*update {
					t.Errorf("%s\ngot\n%swant\n%s", name, got, want)
				}
				fmt.Fprintf(&all, "%s----\n%s\n", head, got)
			}
			if *update {
				if err := os.WriteFile(file, bytes.TrimSuffix(all.Bytes(), []byte("\n")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// runScript plays the events of one block and returns the actions. Lines that declare farms and servers stand before the others.
func runScript(t *testing.T, name, script string) string {
	var (
		farms   []FarmSpec
		servers []ServerSpec
		table   *Table
		roster  *Roster[string]
		out     strings.Builder
	)
	for line := range strings.Lines(script) {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "#" {
			continue
		}
		enable := w[len(w)-1] != "off"
		switch w[0] {
		case "farm":
			farms = append(farms, FarmSpec{ID: w[1], Enable: enable})
			continue
		case "server":
			servers = append(servers, ServerSpec{Farm: w[1], ID: w[2], Enable: enable})
			continue
		}
		if table == nil {
			var err error
			if table, err = NewTable(farms, servers); err != nil {
				t.Fatal(err)
			}
			roster = NewRoster[string](table)
		}
		playEvent(t, table, roster, w, &out)
		if err := roster.CheckInvariants(); err != nil {
			t.Fatalf("%s: after %q: %v", name, strings.TrimSpace(line), err)
		}
	}
	return out.String()
}

func playEvent(t *testing.T, table *Table, r *Roster[string], w []string, out *strings.Builder) {
	farmID, id, _ := strings.Cut(w[1], "/")
	f := table.Farm([]byte(farmID))
	s := f.Server(id)
	switch w[0] {
	case "join":
		r.Join(s, w[2])
	case "leave":
		r.Leave(s, w[2])
	case "drain", "undrain":
		r.SetDraining(s, w[2], w[0] == "drain")
	case "up", "down":
		r.SetUp(s, w[0] == "up")
	case "live":
		fmt.Fprintf(out, "live %d\n", r.Live(f))
	case "pick":
		var not *Server
		if len(w) == 4 {
			not = f.Server(w[3])
		}
		if s, lane, ok := r.Pick(f, Want{Not: not}); ok {
			fmt.Fprintf(out, "%s/%s lane %s\n", s.Farm.ID, s.ID, lane)
		} else {
			fmt.Fprintln(out, "none")
		}
	default:
		t.Fatalf("unknown event %q", w)
	}
}

// model is a roster that is slow and plain: who can be picked is worked out anew, the turn is a time.
type model struct {
	clock   int
	lanes   map[*Server]map[int]*modelLane
	down    map[*Server]bool
	waiting map[*Server]int // since when it has been able to be picked, and was not
}

type modelLane struct {
	waiting  int
	draining bool
}

func (m *model) able(s *Server) bool {
	for _, l := range m.lanes[s] {
		if !l.draining {
			return s.Enable && s.Farm.Enable && !m.down[s]
		}
	}
	return false
}

// settle notes since when servers wait.
func (m *model) settle(s *Server) {
	if !m.able(s) {
		delete(m.waiting, s)
	} else if m.waiting[s] == 0 {
		m.waiting[s] = m.clock
	}
}

func (m *model) pick(f *Farm, not *Server) (best *Server, lane int) {
	for _, s := range f.Servers {
		if m.able(s) && (best == nil || best == not || s != not && m.waiting[s] < m.waiting[best]) {
			best = s
		}
	}
	if best == nil {
		return nil, 0
	}
	lane = -1
	for n, l := range m.lanes[best] {
		if !l.draining && (lane < 0 || l.waiting < m.lanes[best][lane].waiting) {
			lane = n
		}
	}
	m.waiting[best], m.lanes[best][lane].waiting = m.clock, m.clock
	return best, lane
}

// event plays a random event on the model and on the roster; a pick must be the same.
func (m *model) event(t *testing.T, rng *rand.Rand, r *Roster[int], f *Farm) {
	s, n := f.Servers[rng.IntN(len(f.Servers))], rng.IntN(4)
	lane := m.lanes[s][n]
	m.clock++
	switch e := rng.IntN(20); {
	case e < 4:
		r.Join(s, n)
		if lane == nil {
			m.lanes[s][n] = &modelLane{waiting: m.clock}
		}
	case e < 6:
		r.Leave(s, n)
		if delete(m.lanes[s], n); lane != nil && len(m.lanes[s]) == 0 {
			m.down[s] = false
		}
	case e < 9:
		on := rng.IntN(2) == 0
		r.SetDraining(s, n, on)
		if lane != nil && lane.draining != on {
			lane.draining, lane.waiting = on, m.clock
		}
	case e < 11:
		m.down[s] = rng.IntN(3) == 0
		r.SetUp(s, !m.down[s])
	default:
		var not *Server
		if rng.IntN(3) == 0 {
			not = s
		}
		want, wantLane := m.pick(f, not)
		got, gotLane, ok := r.Pick(f, Want{Not: not})
		if got != want || gotLane != wantLane || ok != (want != nil) {
			t.Fatalf("Pick(%s, %v) = %v %d %v, want %v %d", f.ID, not, got, gotLane, ok, want, wantLane)
		}
		return
	}
	m.settle(s)
}

func TestRosterAgreesWithModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		farms := []FarmSpec{{ID: "a", Enable: true}, {ID: "b", Enable: true}, {ID: "c"}}
		var servers []ServerSpec
		for i := range 12 {
			servers = append(servers, ServerSpec{Farm: farms[i%3].ID, ID: fmt.Sprint(i), Enable: i < 10})
		}
		table, err := NewTable(farms, servers)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRoster[int](table)
		m := &model{clock: 1, lanes: map[*Server]map[int]*modelLane{}, down: map[*Server]bool{}, waiting: map[*Server]int{}}
		for _, s := range table.servers {
			m.lanes[s] = map[int]*modelLane{}
		}
		for range 2000 {
			f := table.farms[rng.IntN(3)]
			m.event(t, rng, r, f)
			if err := r.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			able := 0
			for _, s := range f.Servers {
				if m.able(s) {
					able++
				}
				if r.Up(s) == m.down[s] {
					t.Fatalf("Up(%s) = %v", s.ID, r.Up(s))
				}
			}
			if r.Live(f) != able {
				t.Fatalf("Live = %d, want %d", r.Live(f), able)
			}
		}
	}
}

// TestPickIsFair lets servers come and go at random: one that stays is picked before any other is picked twice, retries aside.
func TestPickIsFair(t *testing.T) {
	table, r := fullRoster(t, 8, 2)
	f, rng := table.farms[0], rand.New(rand.NewPCG(7, 7))
	stays := f.Servers[3]
	since := map[*Server]int{}
	for range 20000 {
		if s := f.Servers[rng.IntN(8)]; s != stays {
			for lane := range 2 {
				if rng.IntN(2) == 0 {
					r.Join(s, lane)
				} else {
					r.Leave(s, lane)
				}
			}
		}
		s, _, _ := r.Pick(f, Want{})
		if since[s]++; s == stays {
			clear(since)
		} else if since[s] > 1 {
			t.Fatalf("server %s is picked %d times while server %s waits", s.ID, since[s], stays.ID)
		}
	}
}

func TestRosterOfAnotherTable(t *testing.T) {
	table, _ := fullRoster(t, 2, 1)
	_, r := fullRoster(t, 2, 1)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.SetUp(table.servers[0], true)
}

func TestPickAllocatesNothing(t *testing.T) {
	table, r := fullRoster(t, 8, 4)
	f := table.farms[0]
	s := f.Servers[2]
	n := testing.AllocsPerRun(100, func() {
		r.Pick(f, Want{})
		r.Pick(f, Want{Not: s})
		r.SetUp(s, false)
		r.SetDraining(s, 1, true)
		r.Pick(f, Want{Not: s})
		r.SetDraining(s, 1, false)
		r.SetUp(s, true)
		r.Leave(s, 3)
		r.Join(s, 3)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// fullRoster has one farm of servers, each with as many lanes, numbered from 0.
func fullRoster(t testing.TB, servers, lanes int) (*Table, *Roster[int]) {
	var specs []ServerSpec
	for i := range servers {
		specs = append(specs, ServerSpec{Farm: "web", ID: fmt.Sprint(i), Enable: true})
	}
	table, err := NewTable([]FarmSpec{{ID: "web", Enable: true}}, specs)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRoster[int](table)
	for _, s := range table.servers {
		for lane := range lanes {
			r.Join(s, lane)
		}
	}
	return table, r
}

func BenchmarkPick(b *testing.B) {
	for _, servers := range []int{1, 8, 256} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			table, r := fullRoster(b, servers, 2)
			f := table.farms[0]
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := r.Pick(f, Want{}); !ok {
					b.Fatal("nobody")
				}
			}
		})
	}
}

// BenchmarkChurn is a server that goes and comes back between two requests.
func BenchmarkChurn(b *testing.B) {
	for _, servers := range []int{8, 256} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			table, r := fullRoster(b, servers, 1)
			f := table.farms[0]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := f.Servers[i%servers]
				r.Leave(s, 0)
				r.Pick(f, Want{})
				r.Join(s, 0)
			}
		})
	}
}

func BenchmarkFarm(b *testing.B) {
	table, _ := fullRoster(b, 1, 1)
	id := []byte("web")
	b.ReportAllocs()
	for b.Loop() {
		if table.Farm(id) == nil {
			b.Fatal("unknown")
		}
	}
}
