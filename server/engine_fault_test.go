package server_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/server/config"
)

const lost = "Engine ended unexpectedly"

// TestEngine13Crash has engines end in the middle of a request: one that was not begun is run again, once.
func TestEngine13Crash(t *testing.T) {
	dir := t.TempDir()
	s, _ := recording(t, nil)
	c := connect(t, s.addr, block)
	answers(t, c, "again", "once", filepath.Join(dir, "once"))
	answers(t, c, "well", "echo", "well")
	fails(t, c, lost, "crash")
	answers(t, c, "well", "echo", "well")
	fails(t, c, lost, "count", filepath.Join(dir, "count"))
	answers(t, c, "well", "echo", "well")
	if lines := noted(filepath.Join(dir, "count")); len(lines) != 1 {
		t.Errorf("a request that had been begun ran %d times", len(lines))
	}
	fails(t, c, lost, "garbage")
	s.logged("an engine broke the protocol", "Warning: this is no frame")
	answers(t, c, "well", "echo", "well")
}

// TestEngine13NoRetry turns the second try off.
func TestEngine13NoRetry(t *testing.T) {
	s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Pool.RetryUnstarted = false })
	c := connect(t, s.addr, block)
	fails(t, c, lost, "once", filepath.Join(t.TempDir(), "once"))
	answers(t, c, "well", "echo", "well")
}

// TestEngine13CrashBound ends the engine of a client in char mode: the client is told, and may log in again.
func TestEngine13CrashBound(t *testing.T) {
	s, _ := recording(t, nil)
	c := s.login("1")
	c.talk("3^crash^", "11^"+lost+"^")
	c.talk("3^echo^a^", "11^Not logged in^")
	c.mustLogin("1^u^p^APP^1^^^^^^")
	c.talk("3^echo^a^", "00^a^")
	for _, row := range s.rows() {
		kill(t, row.pid)
	}
	eventually(t, "the engine is gone", func() bool { return len(s.rows()) == 0 })
	c.talk("3^echo^a^", "11^Not logged in^")
}

// TestEngine13EndsAfterLogin has engines end right after they have taken the login: every client gets a reply.
func TestEngine13EndsAfterLogin(t *testing.T) {
	frames := filepath.Join(t.TempDir(), "frames")
	rewrite(t, frames, framed("HELLO^0^1^short^1^1^")+framed("3^1^^"))
	s := startEngines(t, func(cfg *config.Config) { withEngine(cfg, "sh -c 'cat "+frames+" >&3'") })
	for range 100 {
		c := s.dial()
		if got := c.ask("1^u^p^APP^1^^^^^^"); !strings.HasPrefix(got, "00^") && !strings.HasPrefix(got, "11^Login failed: ") {
			t.Fatalf("%q", got)
		}
		if got := c.ask("3^echo^a^"); !strings.HasSuffix(got, "1^Not logged in^") && got != "11^"+lost+"^" {
			t.Fatalf("%q", got)
		}
		c.close()
	}
}

// TestEngine13Ahead has an engine end that has taken eight requests: nothing is lost but what it had begun.
func TestEngine13Ahead(t *testing.T) {
	for _, row := range []struct {
		name, poison string
		at           int
	}{{"unbegun", "crash", 3}, {"begun", "crash^late", 3}, {"garbage", "garbage", 0}, {"first", "crash", 0}} {
		t.Run(row.name, func(t *testing.T) {
			command := programCommand(t, "mix --ahead 8")
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, command)
				cfg.Engine.Pool.MaxEngines = 1
			})
			probes := s.probes()
			first := s.login("0")
			var all []*engineClient
			for range 8 {
				all = append(all, s.login("0"))
			}
			first.send("3^slow^150ms^")
			s.flush(probes)
			for i, c := range all {
				if i == row.at {
					c.send("3^" + row.poison + "^")
				} else {
					c.send(fmt.Sprintf("3^echo^%d^", i))
				}
				s.flush(probes)
			}
			// The answer of the first may have waited for those behind it when the engine ended: it had been begun, so it is lost then.
			if got := first.read(); got != "00^slept 150ms^" && got != "11^"+lost+"^" {
				t.Errorf("%q", got)
			}
			for i, c := range all {
				if i == row.at {
					c.want("11^" + lost + "^")
				} else {
					c.want(fmt.Sprintf("00^%d^", i))
				}
			}
		})
	}
}

// TestEngine14CrashLoop has an engine that does not come up until a file is there: clients are told, starts become rare, and then all
// is well without a new start of the server.
func TestEngine14CrashLoop(t *testing.T) {
	dir := t.TempDir()
	script, starts, cure := filepath.Join(dir, "engine.sh"), filepath.Join(dir, "starts"), filepath.Join(dir, "cure")
	rewrite(t, script, fmt.Sprintf("echo start >> %q; [ -e %q ] || { echo broken >&2; exit 3; }; exec %s\n", starts, cure, programCommand(t, "echo")))
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, "sh "+script)
		p := &cfg.Engine.Pool
		p.StartBackoff, p.StartBackoffMax, p.StartFailures = 20*time.Millisecond, 300*time.Millisecond, 4
		cfg.Engine.Client.LazyLogin = true
	})
	c, other := connect(t, s.addr, block), connect(t, s.addr, block)
	fails(t, c, "No engine available", "a")
	if n := len(noted(starts)); n < 4 {
		t.Errorf("a client is told after %d starts", n)
	}
	before := len(noted(starts))
	began, refused := time.Now(), 0
	for time.Since(began) < time.Second {
		fails(t, other, "No engine available", "a")
		refused++
	}
	more := len(noted(starts)) - before
	t.Logf("%d starts until the client was told, %d in the second after it, %d requests refused meanwhile", before, more, refused)
	if took := time.Since(began); more > 4+int(took/(150*time.Millisecond)) {
		t.Errorf("%d starts in %v, with a pause of 300ms between them", more, took)
	}
	s.logged("engines do not come up")
	s.logged("an engine has ended", "exit status 3", "broken")
	rewrite(t, cure, "")
	began = time.Now()
	eventually(t, "engines come up", func() bool { got, err := execute(c, "a"); return err == nil && got == "a" })
	if took := time.Since(began); took > slack {
		t.Errorf("it took %v", took)
	}
	answers(t, other, "b", "b")
}

// TestEngine14BadCommand has a command line that cannot be started, and an engine that says nothing.
func TestEngine14BadCommand(t *testing.T) {
	for _, row := range []struct{ name, command, logged string }{
		{"no such program", "/no/such/program", "an engine cannot be started"},
		{"not an engine", "true", "an engine has ended"},
		{"silent", "sleep 60", "engines do not come up"},
		{"not a frame", "sh -c 'echo nonsense >&3; sleep 60'", "an engine broke the protocol"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, row.command)
				cfg.Engine.Pool.StartFailures, cfg.Engine.Pool.StartBackoff = 2, 10*time.Millisecond
				cfg.Engine.Process.StartTimeout = 200 * time.Millisecond
			})
			if _, err := tryConnect(s.addr, block); !isAnswer(err, "No engine available") {
				t.Error(err)
			}
			char := block
			char.Mode = client.Char
			if _, err := tryConnect(s.addr, char); err == nil || !strings.HasPrefix(err.Error(), "Login failed: ") {
				t.Error(err)
			}
			if row.logged != "an engine has ended" { // with exit status 0, which is no news
				s.logged(row.logged)
			}
		})
	}
}

// TestEngine17Storm has a thousand clients connect, ask, and leave at once.
func TestEngine17Storm(t *testing.T) {
	const clients = 1000
	for _, row := range []struct {
		onDisconnect, request string
		ahead                 int
	}{{"break", "slow^1h", 1}, {"break", "hang", 1}, {"break", "slow^1h", 8}, {"kill", "slow^1h", 1}, {"finish", "slow^2ms", 1}} {
		t.Run(fmt.Sprint(row.onDisconnect, " ", row.request, " ", row.ahead), func(t *testing.T) {
			command := programCommand(t, fmt.Sprint("mix --ahead ", row.ahead))
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, command)
				cfg.Engine.Pool.MaxEngines = 4
				cfg.Engine.Client.OnDisconnect, cfg.Engine.Client.LazyLogin = row.onDisconnect, true
				cfg.Engine.Process.BreakTimeout, cfg.Engine.Process.KillTimeout = 300*time.Millisecond, 200*time.Millisecond
			})
			answers(t, connect(t, s.addr, block), "well", "echo", "well")
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() { // ends with its clients
					for range clients / 10 {
						c := s.dial()
						c.write(framed("1^u^p^APP^0^^^^^^") + framed("3^"+row.request+"^"))
						c.close()
					}
				})
			}
			all.Wait()
			began := time.Now()
			eventually(t, "nobody waits and no engine is busy", func() bool {
				rows := s.rows()
				for _, r := range rows {
					if r.state != "available" {
						return false
					}
				}
				return true
			})
			t.Logf("all quiet %v after the last one had gone", time.Since(began).Round(time.Millisecond))
			answers(t, connect(t, s.addr, block), "well", "echo", "well")
		})
	}
}

// TestEngine17HalfClosed ends the client's side in the middle of a request: when no reply comes for a while, it counts as gone.
func TestEngine17HalfClosed(t *testing.T) {
	s, _ := recording(t, nil)
	probes := s.probes()
	short, long := s.login("0"), s.login("0")
	short.send("3^slow^100ms^")
	s.flush(probes)
	long.send("3^slow^1h^")
	for _, c := range []*engineClient{short, long} {
		if err := c.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	short.want("00^slept 100ms^")
	answers(t, connect(t, s.addr, block), "well", "echo", "well")
}

// TestEngine17OnDisconnect leaves in the middle of a request: it is broken, finished, or its engine killed.
func TestEngine17OnDisconnect(t *testing.T) {
	for _, row := range []struct {
		on             string
		finishes, dies bool
	}{{"finish", true, false}, {"break", false, false}, {"kill", false, true}} {
		t.Run(row.on, func(t *testing.T) {
			s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Client.OnDisconnect = row.on })
			probes := s.probes()
			stays := connect(t, s.addr, block)
			old := output(t, stays, "pid")
			c := s.login("0")
			c.send("3^slow^3s^")
			s.flush(probes)
			s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
			if err := c.conn.SetLinger(0); err != nil { // a mere end of its side may mean that it waits for the reply
				t.Fatal(err)
			}
			c.close()
			began := time.Now()
			pid := output(t, stays, "pid")
			took := time.Since(began)
			if (pid != old) != row.dies || (took > 2*time.Second) != row.finishes {
				t.Errorf("process %s, then %s; free after %v", old, pid, took)
			}
		})
	}
}

// TestEngine21Soak kills engines at random while clients ask: every request is answered right or with the one error, and nothing is left.
func TestEngine21Soak(t *testing.T) {
	long := 8 * time.Second
	if isFull() {
		long = 3 * time.Minute
	}
	if testing.Short() {
		long = time.Second
	}
	s, _ := recording(t, func(cfg *config.Config) {
		cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.MaxSync = 4, 2
		cfg.Engine.Pool.StartBackoff, cfg.Engine.Pool.StartBackoffMax, cfg.Engine.Pool.StartFailures = 10*time.Millisecond, 50*time.Millisecond, 1000
	})
	before := len(openDescriptors(t))
	end := time.Now().Add(long)
	var right, gone, kills atomic.Int64
	stop := sample(40*time.Millisecond, func() {
		if pids := engineChildren(os.Getpid()); len(pids) > 0 {
			if syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL) == nil { // it may have ended by itself
				kills.Add(1)
			}
		}
		if n := len(engineChildren(os.Getpid())); n > 4+2 {
			t.Errorf("%d engines", n)
		}
	})
	var all sync.WaitGroup
	for i := range 10 {
		cr := block
		cr.User = []string{"ann", "bob"}[i%2]
		cr.Mode = []client.Mode{client.Block, client.Web, client.JD3}[i%3]
		if i < 2 {
			cr.Mode = client.Char
		}
		all.Go(func() { // ends with the time
			for n := 0; time.Now().Before(end); n++ {
				soak(t, s.addr, cr, fmt.Sprint(i, "/", n), &right, &gone)
			}
		})
	}
	all.Wait()
	stop()
	t.Logf("%v: %d requests answered right, %d lost with their engine, %d engines killed", long, right.Load(), gone.Load(), kills.Load())
	if right.Load() == 0 {
		t.Error("the test shows nothing")
	}
	s.eventuallyRows("no engine is busy", func(rows []engineRow) bool { return enginesIn(rows, "available") == len(rows) && len(rows) <= 4 })
	eventually(t, "no descriptor is left but those of engines", func() bool { return len(openDescriptors(t)) <= before+3*4 })
	answers(t, connect(t, s.addr, block), "well", "echo", "well")
}

// soak connects and asks some times.
func soak(t *testing.T, addr string, cr client.Credentials, text string, right, gone *atomic.Int64) {
	c, err := tryConnect(addr, cr)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "Login failed: ") && !isAnswer(err, "No engine available") || cr.Mode != client.Char {
			t.Errorf("login: %v", err)
		}
		return
	}
	defer c.Close()
	for n := range 20 {
		params := []string{"echo", text}
		if n%4 == 3 {
			params = []string{"slow", "3ms"}
		}
		want := map[string]string{"echo": text, "slow": "slept 3ms"}[params[0]]
		got, err := execute(c, append([]string{}, params...)...)
		if cr.Mode == client.JD3 { // its procedures see the code of the command first
			want, err = got, ignoreUnknown(err)
		}
		switch {
		case err == nil && got == want:
			right.Add(1)
		case isAnswer(err, lost):
			gone.Add(1)
			if cr.Mode == client.Char {
				return
			}
		case cr.Mode == client.Char && isAnswer(err, "Not logged in"): // killed between two requests
			return
		default:
			t.Errorf("%q: %q, %v", params, got, err)
		}
	}
}

// ignoreUnknown takes the error of an engine that knows no such name for an answer.
func ignoreUnknown(err error) error {
	if err != nil && strings.HasPrefix(err.Error(), "no engine of this name") {
		return nil
	}
	return err
}

// TestEngineFaults sends bad requests among many good ones: they harm nobody else, and their engines are replaced at once.
func TestEngineFaults(t *testing.T) {
	requests := 3000
	if isFull() {
		requests = 100_000
	}
	const clients, slots = 16, 4
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		p := &cfg.Engine.Pool
		p.MaxEngines, p.MaxRunTime, p.MaxMemory, p.IdleCheck = slots, 2*time.Second, 100<<20, 50*time.Millisecond
		cfg.Engine.Process.BreakTimeout, cfg.Engine.Process.KillTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	bad := []struct {
		params []string
		ok     func(got string, err error) bool
	}{
		{[]string{"crash"}, func(_ string, err error) bool { return isAnswer(err, lost) }},
		{[]string{"crash", "late"}, func(_ string, err error) bool { return isAnswer(err, lost) }},
		{[]string{"garbage"}, func(_ string, err error) bool { return isAnswer(err, lost) }},
		{[]string{"leak", "60"}, func(got string, err error) bool { return strings.HasSuffix(got, " MiB") && err == nil }},
		{[]string{"hang"}, func(_ string, err error) bool { return isAnswer(err, "Maximum run time exceeded") }},
		{[]string{"hang", "term"}, func(_ string, err error) bool { return isAnswer(err, "Maximum run time exceeded") }},
	}
	var next, right, wrong atomic.Int64
	var all sync.WaitGroup
	for range clients {
		c := connect(t, s.addr, block)
		all.Go(func() { // ends when all requests have been sent
			for {
				n := int(next.Add(1))
				if n > requests {
					return
				}
				if n%100 == 50 {
					b := bad[n/100%len(bad)]
					if got, err := execute(c, b.params...); !b.ok(got, err) {
						t.Errorf("bad request %d, %q: %.100q, %v", n, b.params, got, err)
					}
					wrong.Add(1)
					continue
				}
				text := fmt.Sprint("request ", n)
				if got, err := execute(c, "echo", text); err != nil || got != text {
					t.Errorf("request %d: %.100q, %v", n, got, err)
					continue
				}
				right.Add(1)
			}
		})
	}
	began := time.Now()
	all.Wait()
	took := time.Since(began)
	t.Logf("%d requests in %v: %d bad, all others answered right: %d", requests, took.Round(time.Millisecond), wrong.Load(), right.Load())
	if right.Load()+wrong.Load() != int64(requests) {
		t.Errorf("%d requests have no answer", int64(requests)-right.Load()-wrong.Load())
	}
	s.eventuallyRows("no engine is busy", func(rows []engineRow) bool { return enginesIn(rows, "available") == len(rows) && len(rows) <= slots })
}

// TestEngineReplaced measures how long requests wait for the successor of the only engine: from its end, which one client sees, to the
// answer of another client.
func TestEngineReplaced(t *testing.T) {
	command := programCommand(t, "mix")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, command)
		cfg.Engine.Pool.MaxEngines = 1
		cfg.Engine.Pool.RetryUnstarted = false // the engine may be killed before it has begun: then it is lost, too
	})
	probes := s.probes()
	bad, good := s.login("0"), s.login("0")
	var took []time.Duration
	for range 20 {
		bad.talk("3^echo^served^", "00^served^") // one that ends before it has served counts as one that does not come up
		bad.send("3^hang^")
		s.flush(probes)
		good.send("3^echo^good^")
		s.flush(probes)
		pid := s.rows()[0].pid
		began := time.Now()
		kill(t, pid)
		good.want("00^good^")
		took = append(took, time.Since(began))
		bad.want("11^" + lost + "^")
	}
	slices.Sort(took)
	t.Logf("an engine is replaced after %v (median), %v at most, of %d", took[len(took)/2], took[len(took)-1], len(took))
	if took[len(took)/2] > slack {
		t.Error("that is too long; 200ms are promised on a machine with nothing else to do")
	}
}
