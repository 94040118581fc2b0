package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roundhouse/client"
	"roundhouse/server/config"
)

// recording starts a server whose engines write into the returned file what the server runs on them.
func recording(t *testing.T, change func(*config.Config), options ...string) (*engineUnderTest, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "record")
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, recorderCommand(file, options...))
		cfg.Engine.Pool.MaxEngines = 1
		if change != nil {
			change(cfg)
		}
	})
	return s, file
}

// TestEngine07IdleTimeout ends an engine that idles, and not before its time.
func TestEngine07IdleTimeout(t *testing.T) {
	const idle = 150 * time.Millisecond
	s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Pool.IdleTimeout = idle })
	c := connect(t, s.addr, block)
	first := output(t, c, "pid")
	began := time.Now()
	eventually(t, "the engine ends", func() bool { return len(engineChildren(os.Getpid())) == 0 })
	if took := time.Since(began); took < idle {
		t.Errorf("it ended after %v", took)
	}
	if second := output(t, c, "pid"); second == first {
		t.Errorf("the process %s came back", first)
	}
}

// TestEngine07TimerProc runs a procedure on an idle engine, which does not keep it alive; one that fails ends the engine.
func TestEngine07TimerProc(t *testing.T) {
	timers := func(cfg *config.Config) {
		cfg.Engine.Defaults.TimerProc, cfg.Engine.Pool.IdleCheck, cfg.Engine.Pool.IdleTimeout = "TP", 20*time.Millisecond, 2*time.Second
	}
	t.Run("runs", func(t *testing.T) {
		s, file := recording(t, timers)
		answers(t, connect(t, s.addr, block), "a", "echo", "a")
		eventually(t, "the timer ran", func() bool { return len(noted(file)) >= 3 })
		eventually(t, "the engine ends nevertheless", func() bool { return len(engineChildren(os.Getpid())) == 0 })
		if lines := noted(file); slices.ContainsFunc(lines, func(l string) bool { return l != "timer_TP" }) {
			t.Error(lines)
		}
	})
	t.Run("fails", func(t *testing.T) {
		s, file := recording(t, timers, "fail-timer")
		c := connect(t, s.addr, block)
		old := output(t, c, "pid")
		eventually(t, "the timer ran", func() bool { return len(noted(file)) >= 1 })
		s.logged("a procedure failed", "kind=timer", "procedure=TP")
		eventually(t, "the engine ends", func() bool { return output(t, c, "pid") != old })
		began := time.Now()
		if err := s.stop(); err != nil || time.Since(began) > slack {
			t.Errorf("the server stopped after %v: %v", time.Since(began), err)
		}
	})
	t.Run("is slow", func(t *testing.T) {
		s, file := recording(t, timers, "slow-timer")
		c := connect(t, s.addr, block)
		answers(t, c, "a", "echo", "a")
		eventually(t, "the timer runs", func() bool { return len(noted(file)) >= 1 })
		answers(t, c, "a", "echo", "a") // waits for it
		if lines := noted(file); len(lines) > 2 {
			t.Errorf("it ran again beside itself: %v", lines)
		}
	})
}

// TestEngine07StartupProc runs a procedure before an engine serves, and one before it ends.
func TestEngine07StartupProc(t *testing.T) {
	procs := func(cfg *config.Config) {
		cfg.Engine.Defaults.StartupProc, cfg.Engine.Defaults.ShutdownProc = "SP", "DP"
		cfg.Engine.Pool.StartFailures, cfg.Engine.Pool.StartBackoff, cfg.Engine.Pool.StartBackoffMax = 2, 10*time.Millisecond, 20*time.Millisecond
		cfg.Engine.Process.StartTimeout = patience
	}
	t.Run("runs", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) { procs(cfg); cfg.Engine.Pool.IdleTimeout = 100 * time.Millisecond })
		c := connect(t, s.addr, block)
		eventuallyNoted(t, file, "startup SP")
		answers(t, c, "a", "echo", "a")
		eventuallyNoted(t, file, "startup SP", "shutdown DP")
		eventually(t, "the engine ends", func() bool { return len(engineChildren(os.Getpid())) == 0 })
	})
	t.Run("is not for char mode", func(t *testing.T) {
		s, file := recording(t, procs)
		c := s.login("1")
		c.talk("3^echo^a^", "00^a^")
		c.close()
		eventually(t, "the engine ends", func() bool { return len(engineChildren(os.Getpid())) == 0 })
		if lines := noted(file); len(lines) > 0 {
			t.Error(lines)
		}
	})
	t.Run("fails", func(t *testing.T) {
		s, file := recording(t, procs, "fail-startup")
		if _, err := tryConnect(s.addr, block); !isAnswer(err, "No engine available") {
			t.Error(err)
		}
		if n := len(noted(file)); n < 2 {
			t.Errorf("%d tries", n)
		}
	})
	t.Run("shutdown fails", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) { procs(cfg); cfg.Engine.Pool.MaxRequests = 1 }, "fail-shutdown")
		c := connect(t, s.addr, block)
		answers(t, c, "a", "echo", "a")
		answers(t, c, "b", "echo", "b")
		eventually(t, "it was tried", func() bool { return slices.Contains(noted(file), "shutdown_DP") })
	})
	t.Run("shutdown hangs", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) {
			procs(cfg)
			cfg.Engine.Pool.IdleTimeout, cfg.Engine.Process.StopTimeout = 20*time.Millisecond, 50*time.Millisecond
		}, "slow-shutdown")
		answers(t, connect(t, s.addr, block), "a", "echo", "a")
		eventually(t, "it was tried", func() bool { return slices.Contains(noted(file), "shutdown_DP") })
		eventually(t, "the engine ends", func() bool { return len(engineChildren(os.Getpid())) == 0 })
	})
}

// TestEngine07MaxUpTime ends an engine that is old: an idle one at once, a busy one after its request.
func TestEngine07MaxUpTime(t *testing.T) {
	const age = 300 * time.Millisecond
	s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxUpTime = age })
	c := connect(t, s.addr, block)
	output(t, c, "pid")
	eventually(t, "the idle engine ends", func() bool { return len(engineChildren(os.Getpid())) == 0 })
	old := output(t, c, "pid")
	answers(t, c, "slept 600ms", "slow", "600ms")
	if next := output(t, c, "pid"); next == old {
		t.Errorf("process %s is older than %v", old, age)
	}
}

// TestEngine07MaxRunTime ends requests that take too long, with all steps of the ladder.
func TestEngine07MaxRunTime(t *testing.T) {
	short := func(cfg *config.Config) {
		cfg.Engine.Pool.MaxRunTime = time.Second
		cfg.Engine.Process.BreakTimeout, cfg.Engine.Process.KillTimeout = 100*time.Millisecond, time.Second
	}
	dir := t.TempDir()
	const text = "Maximum run time exceeded"
	for _, row := range []struct {
		name   string
		params []string
		exit   string
	}{
		{"obeys SIGTERM", []string{"hang"}, "signal: terminated"},
		{"obeys nothing", []string{"hang", "term"}, "signal: killed"},
		{"has a child", []string{"spawn", filepath.Join(dir, "child")}, "signal: terminated"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := recording(t, short)
			c := connect(t, s.addr, block)
			old := output(t, c, "pid")
			began := time.Now()
			fails(t, c, text, row.params...)
			if took := time.Since(began); took < time.Second || took > time.Second+slack {
				t.Errorf("it took %v", took)
			}
			if next := output(t, c, "pid"); next == old {
				t.Error("the engine lives on")
			}
			s.logged("an engine has ended", "pid="+old, row.exit)
			if row.params[0] == "spawn" {
				child, err := strconv.Atoi(noted(filepath.Join(dir, "child"))[0])
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the engine's child has ended", func() bool { return !running(child) })
			}
		})
	}
}

// TestEngine07MaxRunTimeBroken ends a request of an engine that knows no deadline and obeys a break: it leaves in good order.
func TestEngine07MaxRunTimeBroken(t *testing.T) {
	script := filepath.Join(t.TempDir(), "engine.sh")
	rewrite(t, script, example(t, "sh"))
	s := startEngines(t, func(cfg *config.Config) {
		withEngine(cfg, "sh "+script)
		cfg.Engine.Defaults.Procedure = "SLOW"
		cfg.Engine.Pool.MaxRunTime, cfg.Engine.Pool.MaxEngines = 1500*time.Millisecond, 1
	})
	c := connect(t, s.addr, block)
	answers(t, c, "slept", "0")
	old := engineChildren(os.Getpid())
	fails(t, c, "Maximum run time exceeded", "60")
	answers(t, c, "slept", "0")
	if now := engineChildren(os.Getpid()); len(now) != 1 || now[0] == old[0] {
		t.Errorf("processes %v, then %v", old, now)
	}
	if s.log.has("signal:") {
		t.Error("the engine was killed")
	}
}

// TestEngine07Deadline has an engine that keeps to the deadline it is told: it lives on, whoever of the two tells the client first.
func TestEngine07Deadline(t *testing.T) {
	s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxRunTime = 700 * time.Millisecond })
	c := connect(t, s.addr, block)
	for range 3 {
		if _, err := execute(c, "slow", "1h"); !isAnswer(err, "Deadline exceeded") && !isAnswer(err, "Maximum run time exceeded") {
			t.Error(err)
		}
	}
	answers(t, c, "well", "echo", "well")
}

// running tells whether a process runs: nobody may have reaped it yet.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// TestEngine07TaskTimeout has a limit for web mode alone.
func TestEngine07TaskTimeout(t *testing.T) {
	s, _ := recording(t, func(cfg *config.Config) {
		cfg.Engine.Pool.MaxEngines = 2
		cfg.Engine.Modes = []config.EngineMode{{Mode: "2", TaskTimeout: 200 * time.Millisecond}}
		cfg.Engine.Process.BreakTimeout = 100 * time.Millisecond
	})
	web := block
	web.Mode = client.Web
	fails(t, connect(t, s.addr, web), "Maximum run time exceeded", "hang")
	answers(t, connect(t, s.addr, block), "slept 300ms", "slow", "300ms")
}

// TestEngine07Runs has the server run procedures of its own: before it listens, at the first connection, and again and again.
func TestEngine07Runs(t *testing.T) {
	run := func(when, procedure string, every time.Duration) config.EngineRun {
		return config.EngineRun{When: when, Procedure: procedure, Application: "APP", UserName: "u", Every: every}
	}
	t.Run("auto and first", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) {
			cfg.Engine.Runs = []config.EngineRun{run("auto", "ONE", 0), run("auto", "TWO", 0), run("first", "THREE", 0)}
		}, "slow-autorun")
		lines := noted(file)
		slices.Sort(lines)
		if strings.Join(lines, " ") != "autorun_ONE autorun_TWO" {
			t.Errorf("it listens when these have run: %v", lines)
		}
		answers(t, connect(t, s.addr, block), "a", "echo", "a")
		answers(t, connect(t, s.addr, block), "a", "echo", "a")
		eventually(t, "the engines of the server have ended", func() bool { return len(noted(file)) == 3 && len(engineChildren(os.Getpid())) == 1 })
		if lines := noted(file); lines[2] != "autorun_THREE" {
			t.Error(lines)
		}
	})
	t.Run("auto fails", func(t *testing.T) {
		s, _ := recording(t, func(cfg *config.Config) { cfg.Engine.Runs = []config.EngineRun{run("auto", "ONE", 0)} }, "fail-autorun")
		s.logged("a procedure of the server failed", "when=auto", "procedure=ONE", "it failed")
		answers(t, connect(t, s.addr, block), "a", "echo", "a")
	})
	t.Run("monitor", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) {
			cfg.Engine.Runs = []config.EngineRun{run("monitor", "M", 20*time.Millisecond)}
		})
		eventually(t, "it runs", func() bool { return len(noted(file)) >= 2 })
		pid := engineChildren(os.Getpid())
		n := len(noted(file))
		eventually(t, "it runs on", func() bool { return len(noted(file)) >= n+3 })
		if now := engineChildren(os.Getpid()); len(now) != 1 || now[0] != pid[0] {
			t.Errorf("processes %v, then %v", pid, now)
		}
		kill(t, pid[0])
		n = len(noted(file))
		eventually(t, "it runs on another engine", func() bool { return len(noted(file)) >= n+2 })
		_ = s
	})
	t.Run("monitor is slow", func(t *testing.T) {
		s, file := recording(t, func(cfg *config.Config) {
			cfg.Engine.Runs = []config.EngineRun{run("monitor", "M", 50*time.Millisecond)}
		}, "slow-monitor")
		s.logged("a monitor still runs", "procedure=M")
		eventually(t, "it runs again", func() bool { return len(noted(file)) >= 2 })
		if n := len(engineChildren(os.Getpid())); n != 1 {
			t.Errorf("%d engines", n)
		}
	})
}

// TestEngineDescriptors looks at what an engine has inherited: nothing but 0 to 3, of a server that has itself inherited more and that has
// many clients.
func TestEngineDescriptors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "fds.sh")
	// The list is read by the shell itself, which opens the directory for it and nothing else.
	text := strings.Replace(example(t, "sh"), "  ECHO)", "  FDS) list=; for fd in /proc/$$/fd/*; do [ -e \"$fd\" ] && list=\"$list ${fd##*/}\"; done; send 3 \"$rid\" '' \"$list\" ;;\n  ECHO)", 1)
	rewrite(t, script, text)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	file := filepath.Join(t.TempDir(), "roundhouse.toml")
	rewrite(t, file, engineFile("sh "+script, "[engine.defaults]\nprocedure = \"FDS\"\n"))
	cmd := exec.Command(binary(t, "roundhouse"), "serve", "-c", file)
	cmd.ExtraFiles = []*os.File{r, w, r}
	c := startCommand(t, cmd)
	addr := c.listens("engine")
	for range 50 {
		dialEngines(t, addr)
	}
	for range 3 {
		connect(t, addr, client.Credentials{User: "other", Mode: client.Block})
	}
	e := connect(t, addr, block)
	got := strings.Fields(output(t, e))
	got = slices.DeleteFunc(got, func(fd string) bool { return fd == "10" }) // where dash keeps the script that it reads
	if strings.Join(got, " ") != "0 1 2 3" {
		t.Errorf("an engine has the descriptors %v", got)
	}
}

// TestEngineSecrets looks for passwords where other users of the machine may see them.
func TestEngineSecrets(t *testing.T) {
	t.Setenv("ROUNDHOUSE_ENGINE_CONTROL_PASSWORD", "not-for-engines")
	t.Setenv("NOTIFY_SOCKET", "/not/for/engines")
	s, _ := recording(t, func(cfg *config.Config) {
		cfg.Engine.Types[0].Command += ` --user={user} --app={app} --engine={engine} "--loc={loc}"`
		cfg.Engine.Process.Env = []string{"MINE=yes", "HOME=/elsewhere"}
		cfg.Engine.Process.Nice = 3
	})
	c := connect(t, s.addr, client.Credentials{User: "joe smith", Password: "wordpass", Application: "A;PP", Mode: client.Block})
	got := output(t, c, "environment")
	for _, secret := range []string{"wordpass", "not-for-engines", "not/for/engines", controlPassword} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in the arguments or the environment of an engine", secret)
		}
	}
	for _, want := range []string{"--user=joe smith\n", "--app=A;PP\n", "--engine=E0001\n", "\nMINE=yes", "\nHOME=/elsewhere", "\nENGINE_FD=3"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if who := output(t, c, "who"); !strings.HasPrefix(who, "joe smith|wordpass|A;PP|") {
		t.Errorf("the login has %q", who)
	}
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	answers(t, c, strconv.Itoa(20-own+3), "nice")
}

// TestEngineUser starts engines as another user, which only root may.
func TestEngineUser(t *testing.T) {
	if os.Geteuid() == 0 {
		sh := filepath.Join(t.TempDir(), "id.sh")
		rewrite(t, sh, strings.Replace(example(t, "sh"), "  ECHO)", "  WHO) send 3 \"$rid\" '' \"$(id -u):$(id -g)\" ;;\n  ECHO)", 1))
		for dir := filepath.Dir(sh); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(sh, 0o644); err != nil {
			t.Fatal(err)
		}
		s := startEngines(t, func(cfg *config.Config) {
			withEngine(cfg, "sh "+sh)
			cfg.Engine.Process.User, cfg.Engine.Defaults.Procedure = "65534:65534", "WHO"
			cfg.Engine.Process.Dir = "/"
		})
		answers(t, connect(t, s.addr, block), "65534:65534")
	}
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Process.User = "nobody-of-this-name"
		cfg.Engine.Pool.StartFailures = 1
	})
	if _, err := tryConnect(s.addr, block); !isAnswer(err, "No engine available") {
		t.Error(err)
	}
	s.logged("an engine cannot be started", "user nobody-of-this-name: no such user")
}

// TestEngineExamples runs the engines in other languages in a real pool.
func TestEngineExamples(t *testing.T) {
	for _, row := range []struct{ program, suffix string }{{"python3", "py"}, {"php", "php"}, {"sh", "sh"}} {
		t.Run(row.program, func(t *testing.T) {
			program, err := exec.LookPath(row.program)
			switch {
			case err != nil && os.Getenv("CI") != "":
				t.Fatal(err)
			case err != nil:
				t.Skip(err)
			}
			file := filepath.Join(t.TempDir(), "engine."+row.suffix)
			rewrite(t, file, example(t, row.suffix))
			s := startEngines(t, func(cfg *config.Config) {
				withEngine(cfg, fmt.Sprintf("%q %q", program, file))
				cfg.Engine.Pool.MaxEngines = 2
			})
			as := func(procedure string, mode client.Mode) *client.Conn {
				return connect(t, s.addr, client.Credentials{User: "u", Application: "APP", Procedure: procedure, Mode: mode})
			}
			echo := as("ECHO", client.Block)
			for range 5 {
				answers(t, echo, "a\x01\x01c", "a", "", "c")
			}
			answers(t, as("UPPER", client.Web), "ABC XYZ", "abc xyz")
			answers(t, as("ASK", client.Block), "Hello ")
			c := s.dial()
			c.mustLogin("1^u^^APP^1^^ASK^^^^")
			c.talk("3^", "019^Name? ^", "19^Ann^", "00^Hello Ann^")
			c.mustLogin("1^u^^APP^1^^SLOW^^^^")
			c.send("3^60^")
			c.send("100^")
			if got := c.read(); !strings.HasPrefix(got, "01^") && !strings.HasPrefix(got, "11^") {
				t.Errorf("a break is answered with %q", got)
			}
		})
	}
}

// example is the source of an example of an engine.
func example(t testing.TB, suffix string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "enginepool", "sdk", "examples", "engine."+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
