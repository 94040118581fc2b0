package enginepool

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "re-record the expected actions in testdata")

// TestScripts plays the blocks of testdata/*.txt: comments and events, a line "----", and the actions that are expected, with the time at
// which they happen. A blank line ends a block.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var recorded []string
	for block := range strings.SplitSeq(strings.Trim(string(text), "\n"), "\n\n") {
		events, want, _ := strings.Cut(block+"\n", "----\n")
		name, _, _ := strings.Cut(strings.TrimPrefix(events, "# "), "\n")
		t.Run(name, func(t *testing.T) {
			got := playScript(t, events)
			if got != want && !*update {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			recorded = append(recorded, events+"----\n"+got)
		})
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(file, []byte(strings.Join(recorded, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// script plays the events of one block.
type script struct {
	*world
	limits  Limits
	lines   map[string]*Line
	waiters map[string]*fakeWaiter
	next    habits // of engines that are still to start
	held    bool   // letters stay until "deliver"
}

func playScript(t *testing.T, events string) string {
	p := &script{lines: map[string]*Line{}, waiters: map[string]*fakeWaiter{}}
	p.limits = Limits{
		MaxEngines: 10, SpawnRate: 4, StartTimeout: 30 * time.Second, LoginTimeout: 30 * time.Second, StopTimeout: 10 * time.Second,
		BreakTimeout: 5 * time.Second, KillTimeout: 5 * time.Second,
		Starting: Backoff{First: 100 * time.Millisecond, Most: 30 * time.Second, Failures: 6},
	}
	ms := time.Millisecond
	p.next = habits{start: 10 * ms, login: ms, proc: ms, leave: ms, die: ms, lazy: true}
	p.world = newWorld(t, 1, &p.limits)
	p.world.habits = func(*Engine) habits { return p.next }
	for line := range strings.Lines(events) {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "#" {
			continue
		}
		p.play(w)
		if !p.held {
			p.run(p.now)
		}
	}
	return p.log.String()
}

// pairs sets what key=value says; a key alone is true.
func (p *script) pairs(words []string, set map[string]func(value string)) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if set[key] == nil {
			p.t.Fatalf("what is %q?", word)
		}
		set[key](value)
	}
}

func (p *script) number(to *int) func(string) {
	return func(v string) {
		n, err := strconv.Atoi(v)
		if err != nil {
			p.t.Fatal(err)
		}
		*to = n
	}
}

func (p *script) duration(to *time.Duration) func(string) {
	return func(v string) {
		d, err := time.ParseDuration(v)
		if v == "never" {
			d, err = -1, nil
		}
		if err != nil {
			p.t.Fatal(err)
		}
		*to = d
	}
}

func truth(to *bool) func(string)    { return func(v string) { *to = v != "no" } }
func text(to *string) func(string)   { return func(v string) { *to = v } }
func large(to *int64) func(string)   { return func(v string) { *to, _ = strconv.ParseInt(v, 10, 64) } }
func list(to *[]string) func(string) { return func(v string) { *to = strings.Split(v, ",") } }
func policy(to *Policy) func(string) {
	return func(v string) { *to = Policy(slices.Index([]string{"fifo", "priority", "lifo"}, v)) }
}

// set changes limits; those of a mode for all modes.
func (p *script) set(words []string) {
	l, m := p.limits, p.limits.Modes[0]
	stale := false
	p.pairs(words, map[string]func(string){
		"max": p.number(&l.MaxEngines), "sync": p.number(&l.MaxSync), "phantoms": p.number(&l.MaxPhantoms), "external": p.number(&l.MaxExternal),
		"spare": p.number(&l.SpareEngines), "rate": p.number(&l.SpawnRate), "policy": policy(&l.Policy), "steal": p.duration(&l.StealAfter),
		"idle": p.duration(&l.IdleTimeout), "uptime": p.duration(&l.MaxUpTime), "runtime": p.duration(&l.MaxRunTime),
		"check": p.duration(&l.IdleCheck), "requests": p.number(&l.MaxRequests), "memory": large(&l.MaxMemory), "hard": large(&l.MaxMemoryHard),
		"failures": p.number(&l.Starting.Failures), "startup": text(&m.StartupProc), "shutdown": text(&m.ShutdownProc),
		"timer": text(&m.TimerProc), "min": p.number(&m.MinEngines), "queue": p.number(&m.QueueMax), "wait": p.duration(&m.QueueTimeout),
		"task": p.duration(&m.TaskTimeout), "stale": truth(&stale),
	})
	for i := range l.Modes {
		l.Modes[i] = m
	}
	p.lowered = true
	p.limits = l
	p.pool.SetLimits(&l, stale)
	p.tickAll()
}

func (p *script) tickAll() {
	for i := range p.wakes {
		p.tick(i)
	}
}

func (p *script) line(name string) *Line {
	if p.lines[name] == nil {
		kind := "default"
		if strings.HasPrefix(name, "ext") { // nothing can be started for it
			kind = ""
		}
		p.lines[name] = p.pool.Line(Login{Application: name, Type: kind})
	}
	return p.lines[name]
}

func (p *script) engine(name string) *fakeEngine {
	for e, f := range p.engines {
		if e.Name == name {
			return f
		}
	}
	p.t.Fatalf("there is no engine %s", name)
	return nil
}

// engineHabits changes how an engine behaves.
func (p *script) engineHabits(h *habits, words []string) {
	good := func(v string) bool { return v != "bad" }
	p.pairs(words, map[string]func(string){
		"start": p.duration(&h.start), "proc": p.duration(&h.proc), "leave": p.duration(&h.leave), "die": p.duration(&h.die),
		"ahead": p.number(&h.ahead), "deaf": truth(&h.deaf),
		"login":   func(v string) { h.badLogin = !good(v) },
		"result":  func(v string) { h.badProc = !good(v) },
		"answers": func(v string) { h.lazy = false; p.duration(&h.run)(v) },
	})
}

func (p *script) play(w []string) {
	switch w[0] {
	case "shards":
		n, _ := strconv.Atoi(w[1])
		habits := p.world.habits
		p.world = newWorld(p.t, n, &p.limits)
		p.world.habits = habits
	case "limits":
		p.set(w[1:])
	case "habits":
		p.engineHabits(&p.next, w[1:])
	case "hold":
		p.held = true
	case "deliver": // one letter, or all
		if len(w) > 1 {
			p.deliver(0)
		} else {
			p.held = false
		}
	case "pass":
		d, err := time.ParseDuration(w[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.run(p.now + int64(d))
	case "recycle":
		p.pool.Recycle()
		p.tickAll()
	case "stop-pool":
		p.pool.Stop()
		p.tickAll()
	case "show":
		p.show()
	case "keep":
		p.line(w[1]).Keep(true)
		p.tickAll()
	case "free":
		p.line(w[1]).Release(p.pool)
		delete(p.lines, w[1])
	case "dial":
		ahead, shard, apps := 1, 0, []string(nil)
		p.pairs(w[2:], map[string]func(string){"ahead": p.number(&ahead), "shard": p.number(&shard), "apps": list(&apps)})
		if p.dial(p.pool.shards[shard], w[1], ahead, apps) == nil {
			p.say("too many")
		}
	case "start":
		p.startOwn(w[1])
	default:
		p.playRequest(w)
	}
}

// startOwn starts a bound engine or a phantom.
func (p *script) startOwn(class string) {
	l := p.pool.PrivateLine(Login{Application: "OWN", Type: "default", Mode: 1})
	if p.pool.shards[0].Start(Class(slices.Index([]string{"pooled", "bound", "phantom"}, class)), l, nil, p.now) == nil {
		p.say("too many")
	}
	l.Release(p.pool)
}

func (p *script) playRequest(w []string) {
	switch w[0] {
	case "acquire": // line, and the request's name
		r := &fakeWaiter{name: w[2]}
		r.Line = p.line(w[1])
		p.pairs(w[3:], map[string]func(string){"shard": p.number(&r.shard), "class": p.number(&r.Class), "reject": truth(&r.Reject)})
		p.waiters[w[2]] = r
		p.acquire(r)
	case "cancel":
		p.cancel(p.waiters[w[1]])
	case "done":
		f := p.waiters[w[1]].e
		if f == nil {
			p.t.Fatalf("%s runs nowhere, after\n%s", w[1], p.log.String())
		}
		p.answer(f, true)
	case "retry":
		p.again = func(*fakeWaiter) bool { return true }
	default:
		p.playEngine(w)
	}
}

func (p *script) playEngine(w []string) {
	if len(w) < 2 {
		p.t.Fatalf("what is %q?", w[0])
	}
	f := p.engine(w[1])
	s := p.shard(f)
	switch w[0] {
	case "habit":
		p.engineHabits(&f.habits, w[2:])
	case "crash":
		p.exit(f, "crashed")
	case "stop":
		s.Stop(f.e, WhyAdmin, p.now)
	case "force":
		s.Force(f.e, WhyForced, p.now)
	case "abandon":
		s.Abandon(f.e, p.now)
	case "suspend":
		s.Suspend(f.e, p.now)
	case "resume":
		s.Resume(f.e, p.now)
	case "begin":
		s.Begin(f.e, 1, p.now)
	case "release":
		s.Release(f.e, true, p.now)
	case "memory":
		n, _ := strconv.ParseInt(w[2], 10, 64)
		s.Memory(f.e, n, p.now)
	default:
		p.t.Fatalf("what is %q?", w[0])
	}
	p.check()
}

// show writes the tables.
func (p *script) show() {
	p.say("slots %d, lines %d", p.pool.Slots(), len(p.pool.Lines()))
	for _, e := range p.pool.Engines() {
		line := "-"
		if e.line != nil {
			line = e.line.Login.Application
		}
		fmt.Fprintf(&p.log, "  %s %s %s %s, shard %d, %d running, %d served\n", e.Name, e.Class, line, e.phase, e.Home(), e.running, e.term.served)
	}
}
