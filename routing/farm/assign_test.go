package farm

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
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

// script is the state of a block that is played.
type script struct {
	farms   []FarmSpec
	servers []ServerSpec
	table   *Table
	roster  *Roster[string]
	now     time.Time
	out     strings.Builder
}

// runScript plays the events of one block and returns the actions. Lines that declare farms and servers stand before the others.
func runScript(t *testing.T, name, text string) string {
	p := &script{now: time.Unix(1000, 0)}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "#" || p.declare(t, w) {
			continue
		}
		if p.roster == nil {
			p.build(t)
		}
		if w[0] == "reload" {
			old := p.roster
			p.build(t)
			p.roster.Inherit(old)
		} else if !p.tell(t, w) {
			p.ask(t, w)
		}
		if err := p.roster.CheckInvariants(); err != nil {
			t.Fatalf("%s: after %q: %v", name, strings.TrimSpace(line), err)
		}
	}
	return p.out.String()
}

func (p *script) build(t *testing.T) {
	var err error
	if p.table, err = NewTable(p.farms, p.servers); err != nil {
		t.Fatal(err)
	}
	p.roster = NewRoster[string](p.table)
}

// declare takes "farm ID [off] [BALANCE] [eject=N/TIME]" and "server FARM ID [off] [priority=N]".
func (p *script) declare(t *testing.T, w []string) bool {
	var err error
	switch w[0] {
	case "farm":
		f := FarmSpec{ID: w[1], Enable: true}
		for _, o := range w[2:] {
			if text, ok := strings.CutPrefix(o, "eject="); ok {
				after, during, _ := strings.Cut(text, "/")
				if f.EjectAfter, err = strconv.Atoi(after); err == nil {
					f.EjectTime, err = time.ParseDuration(during)
				}
			} else if o == "off" {
				f.Enable = false
			} else if f.Balance, ok = ParseBalance(o); !ok {
				t.Fatalf("unknown option %q", o)
			}
		}
		p.farms = append(p.farms, f)
	case "server":
		s := ServerSpec{Farm: w[1], ID: w[2], Enable: true}
		for _, o := range w[3:] {
			if text, ok := strings.CutPrefix(o, "priority="); ok {
				s.Priority, err = strconv.Atoi(text)
			} else if s.Enable = o != "off"; s.Enable {
				t.Fatalf("unknown option %q", o)
			}
		}
		p.servers = append(p.servers, s)
	default:
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// find returns what FARM or FARM/SERVER names.
func (p *script) find(name string) (*Farm, *Server) {
	farmID, id, _ := strings.Cut(name, "/")
	f := p.table.Farm([]byte(farmID))
	return f, f.Server(id)
}

// tell plays an event that has no answer, or only sometimes.
func (p *script) tell(t *testing.T, w []string) bool {
	if w[0] == "wait" {
		d, err := time.ParseDuration(w[1])
		if err != nil {
			t.Fatal(err)
		}
		p.now = p.now.Add(d)
		return true
	}
	r := p.roster
	_, s := p.find(w[1])
	switch w[0] {
	case "join":
		r.Join(s, w[2])
	case "leave":
		r.Leave(s, w[2])
	case "drain", "undrain":
		r.SetDraining(s, w[2], w[0] == "drain")
	case "up", "down":
		r.SetUp(s, w[0] == "up")
	case "begin":
		r.Begin(s)
	case "end":
		r.End(s)
	case "ok":
		r.Succeeded(s)
	case "fail":
		if r.Failed(s, p.now) {
			fmt.Fprintf(&p.out, "%s is ejected\n", w[1])
		}
	default:
		return false
	}
	return true
}

// ask plays an event that has an answer. pick takes "not SERVER", "hash N" and "random N".
func (p *script) ask(t *testing.T, w []string) {
	r := p.roster
	f, s := p.find(w[1])
	switch w[0] {
	case "live":
		fmt.Fprintf(&p.out, "live %d\n", r.Live(f))
	case "lanes":
		open, draining := r.Lanes(s)
		fmt.Fprintf(&p.out, "lanes %d open, %d draining\n", open, draining)
	case "inflight":
		fmt.Fprintf(&p.out, "in flight %d\n", r.InFlight(s))
	case "ejected":
		fmt.Fprintf(&p.out, "ejected %v\n", r.Ejected(s, p.now))
	case "lane":
		if lane, ok := r.PickServer(s); ok {
			fmt.Fprintf(&p.out, "lane %s\n", lane)
		} else {
			fmt.Fprintln(&p.out, "none")
		}
	case "pick":
		if s, lane, ok := r.Pick(f, p.want(t, f, w[2:])); ok {
			fmt.Fprintf(&p.out, "%s/%s lane %s\n", s.Farm.ID, s.ID, lane)
		} else {
			fmt.Fprintln(&p.out, "none")
		}
	default:
		t.Fatalf("unknown event %q", w)
	}
}

func (p *script) want(t *testing.T, f *Farm, options []string) Want {
	want := Want{Now: p.now}
	var err error
	for ; len(options) >= 2; options = options[2:] {
		switch options[0] {
		case "not":
			want.Not = f.Server(options[1])
		case "hash":
			want.Hash, err = strconv.ParseUint(options[1], 0, 64)
		case "random":
			want.Random, err = strconv.ParseUint(options[1], 0, 64)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return want
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
	now := time.Unix(1000, 0)
	for b := range balances {
		table, r := rosterOf(t, FarmSpec{Balance: Balance(b), EjectAfter: 2, EjectTime: time.Second}, 8, 4)
		f := table.farms[0]
		s := f.Servers[2]
		n := testing.AllocsPerRun(100, func() {
			now = now.Add(400 * time.Millisecond)
			w := Want{Now: now, Random: uint64(now.UnixNano()), Hash: 7}
			r.Pick(f, w)
			w.Not = s
			r.Pick(f, w)
			r.SetUp(s, false)
			r.SetDraining(s, 1, true)
			r.Pick(f, w)
			r.SetDraining(s, 1, false)
			r.SetUp(s, true)
			r.Leave(s, 3)
			r.Join(s, 3)
			r.PickServer(s)
			r.Begin(s)
			r.Failed(s, now)
			r.Failed(f.Servers[4], now)
			r.Pick(f, w)
			r.Succeeded(f.Servers[4])
			r.End(s)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", Balance(b), n)
		}
	}
}

func TestEndWithoutBegin(t *testing.T) {
	table, r := fullRoster(t, 1, 1)
	r.Begin(table.servers[0])
	r.End(table.servers[0])
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.End(table.servers[0])
}

// fullRoster has one farm of servers that take turns, each with as many lanes, numbered from 0.
func fullRoster(t testing.TB, servers, lanes int) (*Table, *Roster[int]) {
	return rosterOf(t, FarmSpec{}, servers, lanes)
}

// rosterOf is fullRoster with another rule for the farm.
func rosterOf(t testing.TB, spec FarmSpec, servers, lanes int) (*Table, *Roster[int]) {
	spec.ID, spec.Enable = "web", true
	var specs []ServerSpec
	for i := range servers {
		specs = append(specs, ServerSpec{Farm: "web", ID: fmt.Sprint(i), Enable: true})
	}
	table, err := NewTable([]FarmSpec{spec}, specs)
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
	for balance := range balances {
		for _, servers := range []int{1, 8, 256} {
			b.Run(fmt.Sprintf("balance=%v/servers=%d", Balance(balance), servers), func(b *testing.B) {
				table, r := rosterOf(b, FarmSpec{Balance: Balance(balance)}, servers, 2)
				benchmarkPick(b, table, r)
			})
		}
	}
	b.Run("one ejected/servers=8", func(b *testing.B) {
		table, r := rosterOf(b, FarmSpec{EjectAfter: 1, EjectTime: time.Hour}, 8, 2)
		r.Failed(table.servers[3], time.Unix(1000, 0))
		benchmarkPick(b, table, r)
	})
}

func benchmarkPick(b *testing.B, table *Table, r *Roster[int]) {
	f := table.farms[0]
	now := time.Unix(1000, 0)
	random := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		random += 0x9e3779b97f4a7c15
		s, _, ok := r.Pick(f, Want{Now: now, Random: random, Hash: random})
		if !ok {
			b.Fatal("nobody")
		}
		r.Begin(s)
		r.End(s)
	}
}

func BenchmarkPickServer(b *testing.B) {
	table, r := fullRoster(b, 8, 4)
	s := table.servers[3]
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.PickServer(s); !ok {
			b.Fatal("no lane")
		}
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
