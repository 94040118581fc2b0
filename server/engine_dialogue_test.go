package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// dialogues are the two kinds of dialogue: mode, code of the call, and what stands in front of replies.
var dialogues = []struct{ mode, code, ok, bad string }{{"1", "3", "0", "1"}, {"1", "4", "0", "1"}, {"-1", "400", "", ""}}

// eachDialogue runs f in both kinds of dialogue; change may be nil. p puts code and prefixes in: "!" begins a call, "+" is okcode and "-"
// errcode at the front of a reply.
func eachDialogue(t *testing.T, change func(*config.Config), f func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string)) {
	s := startEngines(t, change)
	for _, d := range dialogues {
		t.Run(d.mode+"/"+d.code, func(t *testing.T) {
			f(t, s, s.login(d.mode), func(text string) string {
				switch text[0] {
				case '!':
					return d.code + "^" + text[1:]
				case '+':
					return d.ok + text[1:]
				case '-':
					return d.bad + text[1:]
				}
				return text
			})
		})
	}
}

// says is talk with p.
func says(c *engineClient, p func(string) string, pairs ...string) {
	c.t.Helper()
	for i := range pairs {
		pairs[i] = p(pairs[i])
	}
	c.talk(pairs...)
}

// TestEngine08Dialogue has output, information, a question, and the end.
func TestEngine08Dialogue(t *testing.T) {
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		says(c, p, "!chat^", "+2^Welcome. Say bye to end.\r\n^", "18^", "+5^turn 1^", "18^", "+19^> ^", "18^", "+19^> ^", "19^hello^", "+2^You said: hello\r\n^",
			"19^early^", "-1^No input requested^", "18^", "+5^turn 2^", "18^", "+19^> ^", "19^bye^", "+0^Good bye.\r\n^2 turns^",
			"18^", "+0^", "100^", "+0^", "101^", "+0^", "19^x^", "-1^No input requested^")
		s.logged("a command was refused", c.address(), "No input requested")
		says(c, p, "!ask^", "+19^Name? ^", "19^", "+0^Hello ^", "!ask^", "+19^Name? ^", "19^a^b^", "+0^Hello a^", "!echo^^", "+0^", "!echo^x^y^", "+0^x^y^", "!fail^^", "-1^failed^")
		says(c, p, "!mixed^", "+2^one;^", "18^", "+5^two;^", "18^", "+19^three?^")
		says(c, p, "2^", "+0^")
	})
}

// TestEngine08Coalescing has output in small pieces: those that come at once are one reply.
func TestEngine08Coalescing(t *testing.T) {
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		c.send(p("!trickle^200^0s^"))
		replies, got := 0, ""
		for got = ""; !strings.HasSuffix(got, "piece 199;"); replies++ {
			got += strings.TrimSuffix(c.read()[len(p("+2^")):], "^")
			if !strings.HasSuffix(got, "piece 199;") {
				c.send("18^")
			}
		}
		if replies > 150 || strings.Count(got, ";") != 200 { // an engine that has to wait for a processor between two pieces sends less at once
			t.Errorf("%d pieces in %d replies", strings.Count(got, ";"), replies)
		}
		if reply := c.ask("18^"); reply != p("+0^") {
			t.Error(reply)
		}
		says(c, p, "!fail^before^", "-1^failed^before^")
		// Those that come late do not wait for each other. How many replies there are is a matter of time.
		reply, all := c.ask(p("!trickle^3^30ms^")), ""
		for ; strings.HasPrefix(reply, p("+2^")); reply = c.ask("18^") {
			all += strings.TrimSuffix(reply[len(p("+2^")):], "^")
		}
		if all += strings.TrimSuffix(strings.TrimPrefix(reply, p("+0^")), "^"); all != "piece 0;piece 1;piece 2;" {
			t.Errorf("%q", all)
		}
	})
}

// TestEngine08Break breaks a call in each state of the dialogue.
func TestEngine08Break(t *testing.T) {
	eachDialogue(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 1 }, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		const broken = "-1^Broken by the client^"
		// Run: the break has no reply of its own.
		c.write(framed(p("!slow^1h^")) + framed("100^"))
		c.want(p(broken))
		c.send(p("!slow^1h^"))
		s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "running")+enginesIn(rows, "active") == 1 })
		c.send("100^")
		c.want(p(broken))
		// Turn, after a question and after output.
		says(c, p, "!ask^", "+19^Name? ^")
		s.eventuallyRows("it waits for input", func(rows []engineRow) bool { return enginesIn(rows, "wait-input") == 1 })
		says(c, p, "100^", broken, "!chat^", "+2^Welcome. Say bye to end.\r\n^")
		s.eventuallyRows("it waits for its turn", func(rows []engineRow) bool { return enginesIn(rows, "wait-continue") == 1 })
		c.send("100^")
		for got := c.read(); got != p(broken); got = c.read() {
			if got != p("+5^turn 1^") && got != p("+19^> ^") {
				t.Fatal(got)
			}
			c.send("18^")
		}
		// After the end, known to the client or not.
		says(c, p, "100^", "+0^", "!echo^a^", "+0^a^", "100^", "+0^", "101^", "+0^")
		says(c, p, "!work^10^", "+18^^")
		s.eventuallyRows("it has ended", func(rows []engineRow) bool { return enginesIn(rows, "bound")+enginesIn(rows, "available") == 1 })
		says(c, p, "100^", "+0^worked^", "100^", "+0^")
		// The debugger.
		c.write(framed(p("!debug^")) + framed("101^"))
		c.want(p("+0^debugging^"))
		says(c, p, "2^", "+0^")
		c.close()
		s.eventuallyRows("nobody has an engine", func(rows []engineRow) bool { return len(rows) == enginesIn(rows, "available") })
	})
}

// TestEngine08EndInTurn has a call that ends, without a word or with one, while it is its client's turn.
func TestEngine08EndInTurn(t *testing.T) {
	stop := filepath.Join(t.TempDir(), "stop")
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Client.PollInterval, cfg.Engine.Client.ProcessingPolls = 5*time.Millisecond, 4
	})
	c := s.login("1")
	c.talk("3^until^"+stop+"^", "018^^", "18^", "018^^") // told by the clock
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.eventuallyRows("it has ended", func(rows []engineRow) bool { return enginesIn(rows, "bound") == 1 })
	c.talk("18^", "00^seen^", "18^", "00^", "3^work^4^", "018^^")
	s.eventuallyRows("it has ended", func(rows []engineRow) bool { return enginesIn(rows, "bound") == 1 })
	c.talk("18^", "00^worked^")
	c.send("3^busy^1s^")
	n := 0
	for got := c.read(); got != "00^was busy^"; got = c.read() {
		if n++; got != "018^^" {
			t.Fatal(got)
		}
		c.send("18^")
	}
	if n == 0 {
		t.Error("no sign of work in a second")
	}
}

// TestEngine08Working has signs of work: the client hears of every tenth.
func TestEngine08Working(t *testing.T) {
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		says(c, p, "!work^9^", "+0^worked^", "!work^10^", "+18^^", "18^", "+0^worked^")
		// In a block mode nobody hears of it.
		s.login("2").talk("3^work^25^", "00^worked^")
	})
}

// TestEngine08Busy sends other commands during a call.
func TestEngine08Busy(t *testing.T) {
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		says(c, p, "!ask^", "+19^Name? ^")
		for _, code := range []string{"1", "3", "4", "400", "5", "77", "999"} {
			says(c, p, code+"^x^", "-1^Busy^")
		}
		s.logged("a command was refused", c.address(), "reply=Busy")
		if got := c.ask("-5^"); !strings.HasPrefix(got, "0^Startup") {
			t.Error(got)
		}
		says(c, p, "19^still^", "+0^Hello still^")
		// Frames behind one that is owed a reply wait for it.
		c.write(framed(p("!slow^20ms^")) + framed(p("!echo^second^")) + framed("18^"))
		c.want(p("+0^slept 20ms^"), p("+0^second^"), p("+0^"))
	})
}

// TestEngine08Logoff logs off in the middle of a call, which is broken.
func TestEngine08Logoff(t *testing.T) {
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		says(c, p, "!ask^", "+19^Name? ^", "2^", "+0^")
		c.close()
		s.eventuallyRows("its engine is free or gone", func(rows []engineRow) bool { return len(rows) == enginesIn(rows, "available") })
	})
}

// TestEngine08Window has more output than the server keeps, for a client that takes its time: nothing is lost, and the engine waits.
func TestEngine08Window(t *testing.T) {
	const size = 3_000_000
	eachDialogue(t, nil, func(t *testing.T, s *engineUnderTest, c *engineClient, p func(string) string) {
		got := 0
		reply := c.ask(p(fmt.Sprintf("!flood^%d^", size)))
		for first := true; ; first = false {
			body, more := strings.CutPrefix(reply, p("+2^"))
			if !more {
				body = strings.TrimPrefix(reply, p("+0^"))
			}
			body = strings.TrimSuffix(body, "^")
			for i := range len(body) {
				if want := 'a' + byte((got+i)%65536%26); body[i] != want {
					t.Fatalf("byte %d is %q, want %q", got+i, body[i], want)
				}
			}
			got += len(body)
			if !more {
				break
			}
			if first {
				s.eventuallyRows("it waits", func(rows []engineRow) bool { return enginesIn(rows, "wait-continue") == 1 })
			}
			reply = c.ask("18^")
		}
		if got != size {
			t.Fatalf("%d bytes, want %d", got, size)
		}
		says(c, p, "!echo^a^", "+0^a^")
	})
}

// TestEngine08Push has clients that get everything unasked.
func TestEngine08Push(t *testing.T) {
	s := startEngines(t, nil)
	for _, d := range []struct{ mode, code, ok, bad string }{{"1+", "3", "0", "1"}, {"-1+", "400", "", ""}} {
		c := s.login(d.mode)
		c.send(d.code + "^mixed^")
		c.want(d.ok+"2^one;^", d.ok+"5^two;^", d.ok+"19^three?^")
		c.send("19^yes^")
		if got, _ := pushed(c, d.ok); got != "answer=yes;end^status" {
			t.Errorf("%q", got)
		}
		c.send(d.code + "^flood^2000000^")
		if got, replies := pushed(c, d.ok); got != flooded(2_000_000) {
			t.Errorf("%d bytes in %d replies", len(got), replies)
		}
		c.send(d.code + "^work^20^")
		c.want(d.ok+"18^^", d.ok+"18^^", d.ok+"0^worked^")
		c.write(framed(d.code+"^slow^1h^") + framed("100^"))
		c.want(d.bad + "1^Broken by the client^")
		c.talk(d.code+"^echo^a^", d.ok+"0^a^", "18^", d.ok+"0^")
	}
}

// pushed collects the output of a call until its end.
func pushed(c *engineClient, ok string) (all string, replies int) {
	c.t.Helper()
	for {
		reply := c.read()
		replies++
		text, isOutput := strings.CutPrefix(reply, ok+"2^")
		end, isEnd := strings.CutPrefix(reply, ok+"0^")
		switch {
		case isEnd:
			return all + strings.TrimSuffix(end, "^"), replies
		case !isOutput:
			c.t.Fatalf("%.100q", reply)
		}
		all += strings.TrimSuffix(text, "^")
	}
}

// TestEngine08ClientWait has a client that does not take its turn.
func TestEngine08ClientWait(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Client.Wait = 2 * time.Second })
	c := s.login("1")
	c.talk("3^ask^", "019^Name? ^", "19^quick^", "00^Hello quick^", "3^ask^", "019^Name? ^")
	c.ended()
	c.close()
	s.logged("a client does not go on with its call", c.address())
	s.eventuallyRows("its engine ends", func(rows []engineRow) bool { return len(rows) == 0 })
}

// TestEngine08QueuedBreak breaks a request that waits for an engine.
func TestEngine08QueuedBreak(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 1 })
	stop := filepath.Join(t.TempDir(), "stop")
	first, block, events := s.login("0"), s.login("0"), s.login("-1")
	first.send("3^until^" + stop + "^")
	s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
	block.write(framed("3^echo^never^") + framed("100^"))
	block.want("11^Broken by the client^")
	events.write(framed("400^echo^never^") + framed("100^"))
	events.want("1^Broken by the client^")
	block.send("3^echo^a^")
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first.want("00^seen^")
	block.want("00^a^")
	events.talk("400^echo^b^", "0^b^")
}

// TestEngine09Block has questions where nobody can be asked: the answer is empty.
func TestEngine09Block(t *testing.T) {
	s := startEngines(t, nil)
	for _, m := range []struct{ mode, ok, tail string }{{"-1", "", "status^"}, {"0", "0", ""}, {"2", "0", ""}} {
		c := s.login(m.mode)
		c.talk("3^ask^", m.ok+"0^Hello ^", "3^mixed^", m.ok+"0^one;two;answer=;end^"+m.tail, "3^flood^70000^", m.ok+"0^"+flooded(70000)+"^")
		if got := c.ask("3^chat^"); !strings.HasPrefix(got, m.ok+"0^Welcome. Say bye to end.\r\nturn 1Good bye.\r\n^") {
			t.Errorf("%q", got)
		}
		c.write(framed("3^slow^1h^") + framed("100^"))
		c.want(map[string]string{"": "", "0": "1"}[m.ok] + "1^Broken by the client^")
	}
}

// flooded is what the engine flood sends.
func flooded(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%65536%26)
	}
	return string(b)
}

// TestEngine09Phantom has phantoms: what they run, what a question does to them, and what makes none.
func TestEngine09Phantom(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Locations = []string{os.TempDir()} })
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	c := s.dial()
	const login = "1~u~p~APP~3~~PROC~~~~^"
	ok := func(commands string) {
		t.Helper()
		c.talk("-4^"+login+commands, "0^Phantom started^")
	}
	ok("3~note~" + file("a") + "~one~^4~note~" + file("a") + "~two~^3~fail~~^3~note~" + file("a") + "~three~^")
	eventuallyNoted(t, file("a"), "one", "two", "three")
	s.logged("a command of a phantom failed", "failed")
	ok("3~noteask~" + file("b") + "~why?~^3~note~" + file("b") + "~not any more~^")
	s.logged("a phantom asks, and nobody answers", "why?")
	ok("19~because~^19~so~^3~noteask~" + file("c") + "~why?~^3~noteask~" + file("c") + "~what?~^3~noteask~" + file("c") + "~who?~^3~note~" + file("c") + "~no~^")
	eventuallyNoted(t, file("c"), "because", "so")
	s.logged("a phantom asks, and nobody answers", "who?")
	ok("3~flood~3000000~^3~work~30~^3~note~" + file("d") + "~end~^") // its output is dropped
	eventuallyNoted(t, file("d"), "end")
	c.talk("-4^1~u~p~APP~~~~~~"+os.TempDir()+"~^3~note~"+file("e")+"~end~^", "0^Phantom started^")
	eventuallyNoted(t, file("e"), "end")
	s.eventuallyRows("all phantoms end", func(rows []engineRow) bool { return len(rows) == 0 })
	if _, err := os.Stat(file("b")); err == nil {
		t.Error("a phantom went on after a question")
	}
	const usage = "1^a phantom is a login of mode 3, and then Execute, Call and Input^"
	for in, want := range map[string]string{
		"-4^": usage, "-4^3~x~^": usage, "-4^" + login + login: usage, "-4^" + login + "5~x~^": usage, "-4^" + login + "400~x~^": usage, "-4^x^": usage,
		"-4^" + login + "2~^": usage, "-4^1~u~p~APP~1~~~~~~^": usage, "-4^1~u~p~APP~-1~~~~~~^": usage, "-4^1~u~p~APP~9~~~~~~^": usage,
		"-4^1~refused~p~APP~3~~~~~~^": "1^Login failed: user refused is refused^", "-4^1~u~p~APP~3~~~x~~~^": "1^Invalid start-up flags x^",
		"-4^1~u~p~APP~3~~~~~/nowhere~^": "1^Location not allowed^", "-4^1~u~p~APP~3~~~~~..~^": "1^Location not allowed^",
	} {
		c.talk(in, want)
	}
	s.logged("a phantom was refused", c.address(), "Location not allowed")
	s.logged("a phantom was refused", c.address(), "user refused is refused")
}

// TestEngine09TooManyPhantoms has one phantom more than may be, and stops those that there are.
func TestEngine09TooManyPhantoms(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxPhantoms = 2 })
	note := filepath.Join(t.TempDir(), "note")
	c := s.dial()
	for range 2 {
		c.talk("-4^1~u~p~APP~3~~~~~~^3~slow~1h~^3~note~"+note+"~never~^", "0^Phantom started^")
	}
	c.talk("-4^1~u~p~APP~3~~~~~~^", "1^No engine available^")
	s.logged("a phantom was refused", c.address(), "No engine available")
	s.eventuallyRows("two phantoms", func(rows []engineRow) bool {
		return len(rows) == 2 && rows[0].category == "Phantom" && rows[0].mode == "3"
	})
	c.talk("-3^"+controlPassword+"^", "0^All Engines shut down^")
	if rows := s.rows(); len(rows) != 2 {
		t.Errorf("phantoms were stopped without U: %+v", rows)
	}
	c.talk("-3^"+controlPassword+"^U^", "0^All Engines shut down^")
	s.eventuallyRows("no phantom", func(rows []engineRow) bool { return len(rows) == 0 })
	if _, err := os.Stat(note); err == nil {
		t.Error("a phantom that was stopped went on")
	}
}

// TestEngine10Commands has the commands of engines, which the client never sees.
func TestEngine10Commands(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.SerialNumbers = []string{"S1", "S2"}
		cfg.Engine.ServerName = "HERE"
	})
	dir := t.TempDir()
	stamps := regexp.MustCompile(`^Startup: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; Current: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
	check := func(n int, got, phantom string) {
		t.Helper()
		ok := false
		switch n {
		case 1:
			ok = got == "S1\xfeS2"
		case 2:
			ok = len(engineArray(t, got)) > 0
		case 4:
			ok = strings.HasSuffix(got, " HERE")
		case 5:
			ok = !strings.Contains(got, "\x06")
		case 6:
			ok = got == phantom
		case 7:
			ok = stamps.MatchString(got)
		case 0, 8, 9:
			ok = got == ""
		}
		if !ok {
			t.Errorf("command %d is answered with %q", n, got)
		}
	}
	for _, m := range modes {
		c := s.login(m.mode)
		for _, n := range []int{1, 2, 4, 5, 6, 7, 0, 8, 9} {
			got := strings.TrimPrefix(c.ask(fmt.Sprintf("3^commands^%d^", n)), m.ok+"0^")
			check(n, strings.TrimSuffix(got, "^"), "0")
		}
		note := filepath.Join(dir, "from"+m.mode)
		c.talk("3^commands^3^1~u~p~APP~3~~~~~~^3~note~"+note+"~here~^", m.ok+"0^Phantom started^")
		eventuallyNoted(t, note, "here")
		c.talk("3^commands^3^nonsense^", m.ok+"0^a phantom is a login of mode 3, and then Execute, Call and Input^",
			"3^commands^3^1~refused~p~APP~3~~~~~~^", m.ok+"0^Login failed: user refused is refused^")
		list := strings.TrimPrefix(c.ask("3^commands^2^"), m.ok+"0^")
		mine := 0
		for _, row := range engineArray(t, strings.TrimSuffix(list, "^")) {
			if row.mine == "*" && row.client == c.address() {
				mine++
			}
		}
		if mine != 1 {
			t.Errorf("mode %s: %d engines are the client's own in %q", m.mode, mine, list)
		}
	}
	events := s.login("-1")
	events.talk("400^commands^6^", "0^0^", "400^commands^8^", "0^")
	for _, n := range []int{1, 2, 4, 6, 7} {
		note := filepath.Join(dir, fmt.Sprint("phantom", n))
		events.talk(fmt.Sprintf("-4^1~u~p~APP~3~~~~~~^3~commandinto~%s~%d~^", note, n), "0^Phantom started^")
		var b []byte
		eventually(t, "the phantom has its answer", func() bool { b, _ = os.ReadFile(note); return strings.HasSuffix(string(b), "\n") })
		check(n, strings.TrimSuffix(string(b), "\n"), "1")
	}
}
