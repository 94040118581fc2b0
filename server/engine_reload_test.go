package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/server/config"
)

// load is clients that ask without a pause to think, about perSecond times in all.
type load struct {
	t        *testing.T
	addr     string
	answered atomic.Int64
	failed   atomic.Int64
	renewed  atomic.Int64 // connections that the server had closed in good order
	end      chan struct{}
	all      sync.WaitGroup
}

const loadClients = 10

// startLoad starts clients; check judges each answer. A connection that has ended without a word of a reply to what was sent is renewed, and
// the request sent again, if again says so.
func startLoad(t *testing.T, addr string, perSecond int, again bool, check func(got string) bool, params ...string) *load {
	t.Helper()
	l := &load{t: t, addr: addr, end: make(chan struct{})}
	for range loadClients {
		c, err := tryConnect(addr, block)
		if err != nil {
			t.Fatal(err)
		}
		l.all.Go(func() { // ends with stop, which waits for it
			tick := time.NewTicker(time.Second * loadClients / time.Duration(perSecond))
			defer tick.Stop()
			defer func() { c.Close() }()
			for {
				select {
				case <-l.end:
					return
				case <-tick.C:
				}
				got, err := execute(c, params...)
				for again && errors.Is(err, client.ErrBroken) {
					c.Close()
					if c, err = tryConnect(addr, block); err != nil {
						if errors.Is(err, client.ErrBroken) { // the same, during the login
							continue
						}
						break
					}
					l.renewed.Add(1)
					got, err = execute(c, params...)
				}
				if err != nil || !check(got) {
					t.Errorf("%q, %v", got, err)
					l.failed.Add(1)
					return
				}
				l.answered.Add(1)
			}
		})
	}
	return l
}

// more waits until n more requests have been answered.
func (l *load) more(n int64) {
	l.t.Helper()
	from := l.answered.Load()
	eventually(l.t, "requests are answered", func() bool { return l.answered.Load() >= from+n || l.failed.Load() > 0 })
}

func (l *load) stop() {
	close(l.end)
	l.all.Wait()
}

// TestEngine15Reload changes the command of the engines in the file of a real server under load.
func TestEngine15Reload(t *testing.T) {
	dir := t.TempDir()
	command := func(version string) string { return recorderCommand(filepath.Join(dir, "record"), version) }
	s := startEngineChild(t, command("version-one"), "[engine.pool]\nmax_engines = 4\nmax_requests = 0\n")
	pid := s.cmd.Process.Pid
	var old, young atomic.Int64
	l := startLoad(t, s.addr, 500, false, func(got string) bool {
		switch {
		case strings.Contains(got, "version-one"):
			old.Add(1)
		case strings.Contains(got, "version-two"):
			young.Add(1)
		default:
			return false
		}
		return true
	}, "environment")
	l.more(300)
	began := time.Now()
	var most atomic.Int64
	stop := sample(2*time.Millisecond, func() { most.Store(max(most.Load(), int64(len(engineChildren(pid))))) })
	rewrite(t, s.file, engineFile(command("version-two"), "[engine.pool]\nmax_engines = 4\nmax_requests = 0\n"))
	s.signal(syscall.SIGHUP)
	eventually(t, "it says so", func() bool { return len(s.records("the configuration was read again")) == 1 })
	commands := func() (olds, youngs int) {
		for _, pid := range engineChildren(pid) {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended
			olds += strings.Count(string(b), "version-one")
			youngs += strings.Count(string(b), "version-two")
		}
		return olds, youngs
	}
	eventually(t, "all engines are new", func() bool { olds, youngs := commands(); return olds == 0 && youngs > 0 })
	t.Logf("all engines were new after %v", time.Since(began).Round(time.Millisecond))
	l.more(300)
	stop()
	if most.Load() > 4 {
		t.Errorf("%d engines, 4 allowed", most.Load())
	}

	rewrite(t, s.file, "nonsense = 1\n")
	s.signal(syscall.SIGHUP)
	eventually(t, "it says why not", func() bool { return len(s.records("the configuration was not read again: it has mistakes")) == 1 })
	why, _ := s.records("the configuration was not read again: it has mistakes")[0]["error"].(string)
	if !strings.Contains(why, "nonsense") {
		t.Errorf("it says %q", why)
	}
	l.more(300)
	rewrite(t, s.file, engineFile("", ""))
	s.signal(syscall.SIGHUP)
	eventually(t, "it says why not", func() bool { return len(s.records("the configuration was not read again: it has mistakes")) == 2 })
	l.more(300)

	rewrite(t, s.file, engineFile(command("version-two"), "[engine.pool]\nmax_engines = 1\n"))
	s.signal(syscall.SIGHUP)
	eventually(t, "it says so", func() bool { return len(s.records("the configuration was read again")) == 2 })
	eventually(t, "there is one engine", func() bool { return len(engineChildren(pid)) == 1 })
	l.more(300)
	l.stop()
	t.Logf("%d requests answered by old engines, %d by new ones, %d failed; at most %d engines while they were replaced", old.Load(), young.Load(), l.failed.Load(), most.Load())
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "no engine is left", func() bool { return len(engineChildren(pid)) == 0 })
}

// TestEngine15ReloadInProcess replaces engines by Server.Reload, idle ones and one that works, one by one.
func TestEngine15ReloadInProcess(t *testing.T) {
	dir := t.TempDir()
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, recorderCommand(filepath.Join(dir, "record"), "version-0"))
		cfg.Engine.Pool.MaxEngines = 3
		cfg.Engine.Defaults.UserName, cfg.Engine.Defaults.Application, cfg.Engine.Defaults.Password = "u", "APP", "p"
	})
	l := startLoad(t, s.addr, 500, false, func(got string) bool { return strings.Contains(got, "version-") }, "environment")
	works := connect(t, s.addr, block)
	probes := s.probes()
	for version := 1; version <= 3; version++ {
		done := make(chan struct{})
		go func() { // ends with its request, which is waited for
			defer close(done)
			answers(t, works, "slept 200ms", "slow", "200ms")
		}()
		s.flush(probes)
		next := *s.cfg
		withEngine(&next, recorderCommand(filepath.Join(dir, "record"), fmt.Sprint("version-", version)))
		if _, err := s.server.Reload(&next); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all engines are new", func() bool {
			for _, pid := range engineChildren(os.Getpid()) {
				if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && !strings.Contains(string(b), fmt.Sprint("version-", version)) {
					return false
				}
			}
			return true
		})
		<-done
		l.more(50)
	}
	next := *s.cfg
	next.Engine.Defaults.MinEngines, next.Engine.Listen = 2, []string{"127.0.0.1:1"}
	if _, err := s.server.Reload(&next); err != nil {
		t.Fatal(err)
	}
	s.logged("the configuration was read again", "[engine.listen]")
	l.stop()
	idle := *s.cfg
	idle.Engine.Pool.IdleTimeout, idle.Engine.Defaults.MinEngines = 50*time.Millisecond, 2
	if _, err := s.server.Reload(&idle); err != nil {
		t.Fatal(err)
	}
	s.eventuallyRows("two engines are kept", func(rows []engineRow) bool { return len(rows) == 2 && enginesIn(rows, "available") == 2 })
	none := *s.cfg
	none.Engine.Pool.IdleTimeout = 50 * time.Millisecond
	if _, err := s.server.Reload(&none); err != nil {
		t.Fatal(err)
	}
	s.eventuallyRows("no engine is kept", func(rows []engineRow) bool { return len(rows) == 0 })
}

// TestEngine16Replace replaces the server twice under load: no connection is refused, and no request fails of clients that connect anew when
// their connection was closed.
func TestEngine16Replace(t *testing.T) {
	path, file := filepath.Join(t.TempDir(), "roundhouse"), filepath.Join(t.TempDir(), "roundhouse.toml")
	copyFile(t, binary(t, "roundhouse"), path)
	rewrite(t, file, engineFile(programCommand(t, "mix"), ""))
	g := startGenerations(t, path, "serve", "-c", file)
	var addr string
	eventually(t, "it listens", func() bool {
		for _, r := range g.records("listening") {
			if r["door"] == "engine" {
				addr, _ = r["addr"].(string)
			}
		}
		return addr != ""
	})
	kept := startLoad(t, addr, 300, true, func(got string) bool { return got == "kept" }, "echo", "kept")
	slow := startLoad(t, addr, 100, true, func(got string) bool { return got == "slept 30ms" }, "slow", "30ms")
	var fresh, freshAgain atomic.Int64
	var all sync.WaitGroup
	end := make(chan struct{})
	all.Go(func() { // ends with end
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			all.Go(func() { // ends with its answer
				for {
					c, err := tryConnect(addr, block)
					var got string
					if err == nil {
						got, err = execute(c, "echo", "fresh")
						c.Close()
					}
					if errors.Is(err, client.ErrBroken) { // accepted by the process that was about to end, and closed
						freshAgain.Add(1)
						continue
					}
					if err != nil || got != "fresh" {
						t.Errorf("a fresh connection: %q, %v", got, err)
					}
					fresh.Add(1)
					return
				}
			})
		}
	})
	for range 2 {
		kept.more(200)
		if code := g.replace(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	kept.more(200)
	slow.more(20)
	close(end)
	all.Wait()
	kept.stop()
	slow.stop()
	t.Logf("%d and %d requests on kept connections answered, %d and %d of these connected anew; %d on fresh connections, %d of them tried again; 0 failed",
		kept.answered.Load(), slow.answered.Load(), kept.renewed.Load(), slow.renewed.Load(), fresh.Load(), freshAgain.Load())
	last := len(g.pids) - 1
	if err := syscall.Kill(g.pids[last], syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if code := g.exit(last); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestEngine16Drain ends a server under load: who has sent a request before its connection is closed gets the answer, or no word at all.
func TestEngine16Drain(t *testing.T) {
	s := startEngineChild(t, programCommand(t, "mix"), "[engine.pool]\nmax_engines = 2\n")
	pid := s.cmd.Process.Pid
	var running []*engineClient
	for range 10 {
		c := dialEngines(t, s.addr)
		c.mustLogin("1^u^p^APP^0^^^^^^")
		running = append(running, c)
	}
	var answered, closed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		c := dialEngines(t, s.addr)
		c.mustLogin("1^u^p^APP^0^^^^^^")
		all.Go(func() { // ends with its connection
			for {
				_ = c.conn.SetWriteDeadline(time.Now().Add(patience)) // fails as the write would
				_, werr := c.conn.Write([]byte(framed("3^slow^5ms^")))
				_, got, err := c.rawFrame()
				switch {
				case err != nil && isTimeout(err):
					t.Errorf("no answer: %v", err)
				case err != nil || werr != nil:
					closed.Add(1)
				case fromWire.Replace(got) == "00^slept 5ms^":
					answered.Add(1)
					continue
				default:
					t.Errorf("%q", got)
				}
				return
			}
		})
	}
	for _, c := range running {
		c.send("3^slow^300ms^")
	}
	eventually(t, "it is under load", func() bool { return answered.Load() > 20 })
	s.signal(syscall.SIGTERM)
	for _, c := range running {
		c.want("00^slept 300ms^")
		c.ended()
	}
	all.Wait()
	t.Logf("%d answered, %d connections closed without a word", answered.Load(), closed.Load())
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(engineChildren(pid)); n > 0 {
		t.Errorf("%d engines are left", n)
	}
}
