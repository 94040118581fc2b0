package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"os"

	"roundhouse/client"
	"roundhouse/server/config"
)

// TestEngine04MaxEngines has a thousand clients come at once: there are never more than four engines, and everybody is answered.
func TestEngine04MaxEngines(t *testing.T) {
	const clients, most = 1000, 4
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		cfg.Engine.Pool.MaxEngines = most
	})
	var worst, samples atomic.Int64
	stop := sample(time.Millisecond, func() {
		samples.Add(1)
		worst.Store(max(worst.Load(), int64(len(engineChildren(os.Getpid())))))
	})
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { // ends with its answer
			<-begin
			c, err := tryConnect(s.addr, block)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			text := fmt.Sprint("client ", i)
			if got, err := execute(c, "echo", text); err != nil || got != text {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			if got, err := execute(c, "slow", "1ms"); err != nil || got != "slept 1ms" {
				t.Errorf("slow: %q, %v", got, err)
			}
		})
	}
	close(begin)
	all.Wait()
	stop()
	t.Logf("%d clients, at most %d engines in %d samples", clients, worst.Load(), samples.Load())
	if n := worst.Load(); n == 0 || n > most {
		t.Errorf("%d engines, at most %d allowed", n, most)
	}
}

// TestEngine04FIFO has requests on connections of both loops wait for one engine: they are served in the order in which they came.
func TestEngine04FIFO(t *testing.T) {
	const requests = 30
	dir := t.TempDir()
	gate, order := filepath.Join(dir, "gate"), filepath.Join(dir, "order")
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 1 })
	probes := s.probes()
	var all []*engineClient
	for range requests {
		all = append(all, s.login("0"))
	}
	first := s.login("0")
	first.send("3^until^" + gate + "^")
	s.flush(probes)
	var want []string
	for i, c := range all {
		c.send(fmt.Sprintf("3^note^%s^%d^", order, i))
		s.flush(probes)
		idleFor(2 * time.Millisecond)
		want = append(want, strconv.Itoa(i))
	}
	rewrite(t, gate, "")
	first.want("00^seen^")
	for _, c := range all {
		c.want("00^^")
	}
	if got := noted(order); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("served in the order %v", got)
	}
}

// TestEngine06Signatures has clients with six logins share engines of which there are fewer: nobody ever meets another one's engine.
func TestEngine06Signatures(t *testing.T) {
	for _, row := range []struct {
		name       string
		most       int
		stealAfter time.Duration
	}{{"an engine for each", 10, 0}, {"eviction", 3, 50 * time.Millisecond}, {"one for all", 1, 20 * time.Millisecond}} {
		t.Run(row.name, func(t *testing.T) {
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, recorderCommand(filepath.Join(t.TempDir(), "record")))
				cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.StealAfter = row.most, row.stealAfter
				cfg.Engine.Client.LazyLogin = true
			})
			signatures(t, s, 2*row.most)
		})
	}
}

// signatures has clients of six logins ask who their engine is, rounds times each.
func signatures(t *testing.T, s *engineUnderTest, rounds int) {
	logins := []client.Credentials{
		{User: "ann", Password: "p", Application: "A", Procedure: "P"},
		{User: "bob", Password: "p", Application: "A", Procedure: "P"},
		{User: "ann", Password: "q", Application: "A", Procedure: "P"},
		{User: "ann", Password: "p", Application: "B", Procedure: "P"},
		{User: "ann", Password: "p", Application: "A", Procedure: "Q"},
		{User: "p", Password: "ann", Application: "A", Procedure: "P"},
	}
	pids := make([]map[string]bool, len(logins))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 2 * len(logins) {
		cr := logins[i%len(logins)]
		cr.Mode = []client.Mode{client.Block, client.Web}[i/len(logins)]
		want := strings.Join([]string{cr.User, cr.Password, cr.Application, cr.Procedure}, "|") + "|"
		all.Go(func() { // ends after its requests
			c, err := tryConnect(s.addr, cr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range rounds {
				got, err := execute(c, "who")
				if err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("%q on the engine of %q, %v", want, got, err)
					return
				}
				mu.Lock()
				if pids[i%len(logins)] == nil {
					pids[i%len(logins)] = map[string]bool{}
				}
				pids[i%len(logins)][strings.TrimPrefix(got, want)] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	owner, engines := map[string]int{}, 0
	for i := range pids {
		engines += len(pids[i])
		for pid := range pids[i] {
			if other, ok := owner[pid]; ok {
				t.Errorf("process %s worked for login %d and %d", pid, other, i)
			}
			owner[pid] = i
		}
	}
	t.Logf("%d engines in all", engines)
}

// TestEngine06SecondLogin logs in anew on a connection: the signature is another one from then on.
func TestEngine06SecondLogin(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, recorderCommand(filepath.Join(t.TempDir(), "record")))
		cfg.Engine.Pool.MaxEngines = 1
	})
	c := s.dial()
	for _, user := range []string{"ann", "bob", "ann"} {
		c.mustLogin("1^" + user + "^p^A^0^^P^^^^")
		if got := c.ask("3^who^"); !strings.HasPrefix(got, "00^"+user+"|p|A|P|") {
			t.Errorf("%s has the engine of %q", user, got)
		}
	}
}

// TestEngine06StealAfter keeps the only engine busy with one login without a pause: another login gets its turn nevertheless.
func TestEngine06StealAfter(t *testing.T) {
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.StealAfter = 1, 100*time.Millisecond
		cfg.Engine.Client.LazyLogin = true
	})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		c := connect(t, s.addr, block)
		busy.Go(func() { // ends with stop
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := execute(c, "slow", "5ms"); err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
			}
		})
	}
	eventually(t, "the engine is busy", func() bool { return served.Load() > 10 })
	other := block
	other.User = "other"
	c := connect(t, s.addr, other)
	began := time.Now()
	answers(t, c, "mine", "echo", "mine")
	t.Logf("the other login was served after %v", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took < 100*time.Millisecond || took > 100*time.Millisecond+slack {
		t.Errorf("it was served after %v, StealAfter is 100ms", took)
	}
	from := served.Load()
	eventually(t, "the first login goes on", func() bool { return served.Load() > from+5 })
	close(stop)
	busy.Wait()
}

// TestEngine07QueueLimits has requests wait for a busy engine: too many, and too long.
func TestEngine07QueueLimits(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Pool.MaxEngines = 1
		cfg.Engine.Modes = []config.EngineMode{{Mode: "0", QueueMax: 2}, {Mode: "2", QueueTimeout: 100 * time.Millisecond}}
	})
	probes := s.probes()
	first, second, third, fourth, slow := s.login("0"), s.login("0"), s.login("0"), s.login("0"), s.login("2")
	first.send("3^until^" + gate + "^")
	s.flush(probes)
	began := time.Now()
	slow.talk("3^echo^a^", "11^Timed out waiting for an engine^")
	if took := time.Since(began); took < 100*time.Millisecond || took > 100*time.Millisecond+slack {
		t.Errorf("the wait of at most 100ms took %v", took)
	}
	second.send("3^echo^second^")
	s.flush(probes)
	third.send("3^echo^third^")
	s.flush(probes)
	fourth.talk("3^echo^fourth^", "11^No engine available^")
	rewrite(t, gate, "")
	first.want("00^seen^")
	second.want("00^second^")
	third.want("00^third^")
	fourth.talk("3^echo^again^", "00^again^")
}

// TestEngine07MinEngines wants engines before anybody comes, and after one was killed.
func TestEngine07MinEngines(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Defaults.Application, cfg.Engine.Defaults.UserName = "APP", "u"
		cfg.Engine.Modes = []config.EngineMode{{Mode: "0", MinEngines: 2}}
		cfg.Engine.Pool.IdleTimeout = 50 * time.Millisecond
	})
	two := func(rows []engineRow) bool { return enginesIn(rows, "available") == 2 && len(rows) == 2 }
	s.eventuallyRows("two engines", two)
	before := s.rows()
	idleFor(200 * time.Millisecond)
	if after := s.rows(); !two(after) || after[0].pid != before[0].pid || after[1].pid != before[1].pid {
		t.Errorf("they did not stay: %+v, then %+v", before, after)
	}
	kill(t, before[0].pid)
	s.eventuallyRows("two engines again", func(rows []engineRow) bool {
		return two(rows) && rows[0].pid != before[0].pid && rows[1].pid != before[0].pid
	})
}

// TestEngine07SpareEngines has one engine more than is busy.
func TestEngine07SpareEngines(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.SpareEngines, cfg.Engine.Pool.MaxEngines = 1, 3 })
	for busy := 1; busy <= 3; busy++ {
		c := s.login("0")
		c.send("3^until^" + gate + "^")
		s.eventuallyRows("a spare engine, if there may be", func(rows []engineRow) bool {
			return enginesIn(rows, "active") == busy && enginesIn(rows, "available") == min(1, 3-busy)
		})
	}
	rewrite(t, gate, "")
}

// TestEngine07MaxRequests replaces engines after five requests.
func TestEngine07MaxRequests(t *testing.T) {
	for _, row := range []struct {
		name        string
		engines     int
		jitter      int
		least, most int
		differ      bool
	}{
		{"one slot", 1, 0, 5, 5, false},
		{"successor first", 2, 0, 5, 100_000, false}, // the old one serves until then
		{"jitter", 1, 100, 5, 10, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startEngines(t, func(cfg *config.Config) {
				cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.MaxRequests, cfg.Engine.Pool.MaxRequestsJitter = row.engines, 5, row.jitter
			})
			c := connect(t, s.addr, block)
			served, order := map[string]int{}, []string{}
			for began := time.Now(); len(order) < 5 && time.Since(began) < patience; {
				pid := output(t, c, "pid")
				if served[pid]++; served[pid] == 1 {
					order = append(order, pid)
				}
			}
			differ := false
			for i, pid := range order {
				n := served[pid]
				if last := i == len(order)-1; n > row.most || !last && n < row.least {
					t.Errorf("engine %d of %d served %d, want %d to %d", i, len(order), n, row.least, row.most)
				}
				differ = differ || i < len(order)-1 && n != served[order[0]]
			}
			if len(order) < 5 || row.name != "successor first" && differ != row.differ {
				t.Errorf("served: %v", served)
			}
			eventually(t, "engines that are replaced end", func() bool { return len(engineChildren(os.Getpid())) <= 1 })
		})
	}
}

// TestEngine07MaxMemory replaces an engine that holds much, after its request.
func TestEngine07MaxMemory(t *testing.T) {
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.MaxMemory = 1, 150<<20
		cfg.Engine.Pool.IdleCheck = 20 * time.Millisecond
	})
	c := connect(t, s.addr, block)
	pid := func() int {
		var one []engineRow
		s.eventuallyRows("one engine", func(rows []engineRow) bool { one = rows; return enginesIn(rows, "available") == 1 && len(rows) == 1 })
		return one[0].pid
	}
	answers(t, c, "5 MiB", "leak", "5")
	old := pid()
	idleFor(100 * time.Millisecond)
	if got := pid(); got != old {
		t.Errorf("a small engine was replaced: %d, %d", old, got)
	}
	answers(t, c, "205 MiB", "leak", "200")
	eventually(t, "the engine has ended", func() bool { return !alive(old) })
	answers(t, c, "5 MiB", "leak", "5")
}

// TestEngine07MaxMemoryHard kills an engine that holds too much, whatever it does.
func TestEngine07MaxMemoryHard(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, recorderCommand(filepath.Join(t.TempDir(), "record")))
		cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.MaxMemoryHard = 1, 400<<20
		cfg.Engine.Pool.IdleCheck = 20 * time.Millisecond
	})
	c := connect(t, s.addr, block)
	answers(t, c, "well", "echo", "well")
	fails(t, c, "Engine ended unexpectedly", "hold", "450")
	answers(t, c, "well", "echo", "well")
}

// TestEngine07MaxSync limits the engines of char mode, which are their clients' own.
func TestEngine07MaxSync(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxSync = 2 })
	char := client.Credentials{User: "u", Password: "p", Application: "APP", Mode: client.Char}
	first, second := connect(t, s.addr, char), connect(t, s.addr, char)
	if _, err := tryConnect(s.addr, char); !isAnswer(err, "No engine available") {
		t.Errorf("the third has an engine: %v", err)
	}
	answers(t, second, "two", "echo", "two")
	if err := first.Logoff(context.Background()); err != nil {
		t.Error(err)
	}
	eventually(t, "there is room again", func() bool {
		c, err := tryConnect(s.addr, char)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// TestEngine07AutoRunHangs has a procedure of the start hang: the door opens all the same.
func TestEngine07AutoRunHangs(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.DrainTimeout = time.Second
		cfg.Engine.Types = []config.EngineType{{Name: "default", Command: engineCommand("hang")}}
		cfg.Engine.Process.StartTimeout, cfg.Engine.Process.LoginTimeout = 2*time.Second, time.Second
		cfg.Engine.Runs = []config.EngineRun{{When: "auto", Procedure: "COLDSTART"}}
	})
	s.logged("has not ended", "opens all the same")
	s.eventuallyRows("the engine of the procedure", func(rows []engineRow) bool { return enginesIn(rows, "running") == 1 })
}
