package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roundhouse/server/config"
)

// keepZombies has a server keep calls whose client is lost.
func keepZombies(cfg *config.Config) { cfg.Engine.Zombies.Keep = true }

// zombies are the engines of rows that have lost their client.
func zombies(rows []engineRow) (n int) {
	for _, r := range rows {
		if r.category == "Abandoned" && r.state == "zombie" {
			n++
		}
	}
	return n
}

// drop loses the connection, with or without a reset, and waits until n calls are kept.
func (c *engineClient) drop(s *engineUnderTest, reset bool, n int) {
	c.t.Helper()
	if reset {
		if err := c.conn.SetLinger(0); err != nil {
			c.t.Fatal(err)
		}
	}
	c.close()
	s.eventuallyRows(fmt.Sprintf("%d zombies", n), func(rows []engineRow) bool { return zombies(rows) == n })
}

// lostDialogue logs in in character mode, is asked a question, and loses its connection.
func (s *engineUnderTest) lostDialogue(reset bool) map[string]string {
	s.t.Helper()
	c := s.dial()
	d := c.mustLogin("1^u^p^APP^1^^^^^^")
	c.talk("3^ask^", "019^Name? ^")
	before := zombies(s.rows())
	c.drop(s, reset, before+1)
	return d
}

// TestEngine11Resume loses the connection in the middle of a call, and comes back to it: by name, by name and token, on the same loop and on
// another one.
func TestEngine11Resume(t *testing.T) {
	s := startEngines(t, keepZombies)
	for i := range 8 { // connections go to the loops in turn
		d := s.lostDialogue(i%2 == 0)
		if i%4 < 2 {
			s.dial().ask("-5^")
		}
		c := s.dial()
		handle := d["engine"]
		if i%3 > 0 {
			handle += "#" + d["resume"]
		}
		again := c.mustLogin("1^u^p^APP^1^" + handle + "^^^^^")
		if again["resumed"] != "1" || again["engine"] != d["engine"] || again["pid"] != d["pid"] || again["resume"] != d["resume"] || again["charset"] != "8859_1" {
			t.Fatalf("%v, then %v", d, again)
		}
		s.eventuallyRows("it waits for input again", func(rows []engineRow) bool {
			for _, r := range rows {
				if r.name == d["engine"] {
					return r.state == "wait-input" && r.category == "Synchronous" && r.client == c.address()
				}
			}
			return false
		})
		c.talk("18^", "019^Name? ^", "19^Ann^", "00^Hello Ann^", "3^pid^", "00^"+d["pid"]+"^", "18^", "00^", "2^", "00^")
	}
	if n := strings.Count(s.log.text(), "was not given"); n > 0 {
		t.Errorf("%d refused", n)
	}
}

// TestEngine11KeptOutput has output, information and the end kept while there is no client.
func TestEngine11KeptOutput(t *testing.T) {
	s := startEngines(t, keepZombies)
	for _, d := range dialogues {
		c := s.dial()
		details := c.mustLogin("1^u^p^APP^" + d.mode + "^^^^^^")
		c.send(d.code + "^trickle^4^30ms^")
		c.drop(s, true, 1)
		if d.mode == "-1" {
			list := s.dial().mustLogin("1^u^p^APP^-1^?^^^^^")
			if details["engine"] = list["zombies"]; details["engine"] == "" {
				t.Fatal(list)
			}
		}
		c = s.dial()
		again := c.mustLogin("1^u^p^APP^" + d.mode + "^" + details["engine"] + "^^^^^")
		if again["resumed"] != "1" || again["dropped"] != "" {
			t.Fatal(again)
		}
		c.send("18^")
		got := ""
		for {
			text := strings.TrimPrefix(c.read(), d.ok)
			got += strings.TrimSuffix(text[2:], "^")
			if text[0] == '0' {
				break
			}
			c.send("18^")
		}
		if got != "piece 0;piece 1;piece 2;piece 3;" {
			t.Errorf("mode %s: %q", d.mode, got)
		}
		c.talk(d.code+"^echo^a^", d.ok+"0^a^")
	}
}

// TestEngine11Refused has logins for an engine that is not theirs: they get one of their own.
func TestEngine11Refused(t *testing.T) {
	s := startEngines(t, keepZombies)
	d := s.lostDialogue(false)
	for _, login := range []string{
		"1^v^p^APP^1^" + d["engine"] + "^^^^^", "1^u^wrong^APP^1^" + d["engine"] + "^^^^^", "1^u^p^OTHER^1^" + d["engine"] + "^^^^^",
		"1^u^p^APP^0^" + d["engine"] + "^^^^^", "1^u^p^APP^1^" + d["engine"] + "#WRONG^^^^^", "1^u^p^APP^1^" + d["engine"] + "^OTHERPROC^^^^",
		"1^v^p^APP^1^" + d["engine"] + "#" + d["resume"] + "^^^^^",
	} {
		c := s.dial()
		if got := c.mustLogin(login); got["resumed"] != "0" || got["engine"] == d["engine"] {
			t.Errorf("%q: %v", login, got)
		}
		s.logged("was not given to another", c.address(), d["engine"])
		c.talk("3^echo^a^", "00^a^")
	}
	c := s.dial()
	if got := c.mustLogin("1^u^p^APP^1^E9999^^^^^"); got["resumed"] != "0" {
		t.Error(got)
	}
	if got := s.dial().mustLogin("1^u^p^APP^1^" + d["engine"] + "#" + d["resume"] + "^^^^^"); got["resumed"] != "1" {
		t.Error(got)
	}
}

// TestEngine11OtherAddress comes back from another address: it needs the token.
func TestEngine11OtherAddress(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { keepZombies(cfg); cfg.Engine.Listen = []string{"0.0.0.0:0"} })
	_, port := split(t, s.addr)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	d := s.lostDialogue(false)
	outer := fmt.Sprintf("%s:%d", outerAddress(t), port)
	if got := dialEngines(t, outer).mustLogin("1^u^p^APP^1^" + d["engine"] + "^^^^^"); got["resumed"] != "0" {
		t.Error(got)
	}
	if got := dialEngines(t, outer).mustLogin("1^u^p^APP^1^" + d["engine"] + "#" + d["resume"] + "^^^^^"); got["resumed"] != "1" {
		t.Error(got)
	}
}

// TestEngine11List asks which engines wait.
func TestEngine11List(t *testing.T) {
	s := startEngines(t, keepZombies)
	want := map[string]bool{}
	for range 3 {
		want[s.lostDialogue(true)["engine"]] = true
	}
	c := s.login("-1")
	got := c.mustLogin("1^u^p^APP^1^?^^^^^")["zombies"]
	names := strings.Split(got, ",")
	for _, name := range names {
		if !want[name] {
			t.Errorf("%s is none of %v", name, want)
		}
	}
	if len(names) != 3 {
		t.Errorf("%q, want %v", got, want)
	}
	c.talk("3^echo^a^", "0^a^") // it is who it was
	if got := c.mustLogin("1^other^p^APP^1^?^^^^^")["zombies"]; got != "" {
		t.Errorf("another user sees %q", got)
	}
}

// TestEngine11OwnAndOther has a client with an engine of its own that comes back to another one.
func TestEngine11OwnAndOther(t *testing.T) {
	s := startEngines(t, keepZombies)
	for range 4 {
		d := s.lostDialogue(true)
		c := s.login("1")
		if got := c.mustLogin("1^u^p^APP^1^" + d["engine"] + "^^^^^"); got["resumed"] != "1" {
			t.Fatal(got)
		}
		c.talk("18^", "019^Name? ^", "100^", "11^Broken by the client^", "3^pid^", "00^"+d["pid"]+"^")
		c.close()
		s.eventuallyRows("both engines end", func(rows []engineRow) bool { return len(rows) == 0 })
	}
}

// TestEngine11Window drops a client for which the engine is held: the engine goes on, and the oldest output is lost.
func TestEngine11Window(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { keepZombies(cfg); cfg.Engine.Zombies.Buffer = 100_000 })
	c := s.dial()
	d := c.mustLogin("1^u^p^APP^1^^^^^^")
	if got := c.ask("3^flood^2000000^"); !strings.HasPrefix(got, "02^a") {
		t.Fatalf("%.100q", got)
	}
	c.drop(s, true, 1)
	s.eventuallyRows("the call ends", func(rows []engineRow) bool { return len(rows) == 1 && rows[0].requests == "1" })
	c = s.dial()
	if got := c.mustLogin("1^u^p^APP^1^" + d["engine"] + "^^^^^"); got["dropped"] != "1" {
		t.Error(got)
	}
	c.send("18^")
	kept := 0
	for {
		got := c.read()
		kept += len(got) - len("02^^")
		if got[:2] == "00" {
			break
		}
		c.send("18^")
	}
	if kept > 100_000 || kept < 20_000 {
		t.Errorf("%d bytes were kept", kept)
	}
	c.talk("3^echo^a^", "00^a^")
}

// TestEngine11Limits has zombies end by time and by number.
func TestEngine11Limits(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { keepZombies(cfg); cfg.Engine.Zombies.Timeout = 50 * time.Millisecond })
	c := s.login("1")
	c.talk("3^ask^", "019^Name? ^")
	c.close()
	s.eventuallyRows("its time is over", func(rows []engineRow) bool { return len(rows) == 0 })

	s = startEngines(t, func(cfg *config.Config) { keepZombies(cfg); cfg.Engine.Zombies.Max = 2; cfg.Loops = 1 })
	first, second := s.lostDialogue(true), s.lostDialogue(true)
	c = s.dial()
	third := c.mustLogin("1^u^p^APP^1^^^^^^")
	c.talk("3^ask^", "019^Name? ^")
	c.close()
	s.eventuallyRows("the oldest goes", func(rows []engineRow) bool {
		return len(rows) == 2 && zombies(rows) == 2 && rows[0].name == second["engine"] && rows[1].name == third["engine"]
	})
	if got := s.dial().mustLogin("1^u^p^APP^1^" + first["engine"] + "^^^^^"); got["resumed"] != "0" {
		t.Error(got)
	}
}

// TestEngine11Stop ends zombies with a control command.
func TestEngine11Stop(t *testing.T) {
	s := startEngines(t, keepZombies)
	d := s.lostDialogue(true)
	s.lostDialogue(true)
	c := s.dial()
	c.talk("-2^"+controlPassword+"^"+d["engine"]+"^", "0^Idle Engines shut down^")
	s.eventuallyRows("one zombie", func(rows []engineRow) bool { return len(rows) == 1 && zombies(rows) == 1 })
	c.talk("-2^"+controlPassword+"^", "0^Idle Engines shut down^")
	s.eventuallyRows("no engine", func(rows []engineRow) bool { return len(rows) == 0 })
}

// TestEngine11PooledZombie has a call with events that ends while nobody is there: its engine works for others, and the time of the zombie
// ends without harm to them.
func TestEngine11PooledZombie(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		keepZombies(cfg)
		cfg.Engine.Zombies.Timeout = time.Second
		cfg.Engine.Pool.MaxEngines = 1
	})
	stop := filepath.Join(t.TempDir(), "stop")
	c := s.login("-1")
	c.send("400^until^" + stop + "1^")
	c.drop(s, true, 1)
	if err := os.WriteFile(stop+"1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := s.login("-1")
	other.send("3^until^" + stop + "2^")
	s.eventuallyRows("its engine works for another", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 && zombies(rows) == 0 })
	s.eventuallyRows("the zombie's time is over", func([]engineRow) bool {
		return s.dial().mustLogin("1^u^p^APP^-1^?^^^^^")["zombies"] == ""
	})
	if err := os.WriteFile(stop+"2", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other.want("0^seen^")
}

// TestEngine11NotKept has no zombies: with the client goes the engine, and its process.
func TestEngine11NotKept(t *testing.T) {
	s := startEngines(t, nil)
	for _, reset := range []bool{true, false} {
		c := s.dial()
		d := c.mustLogin("1^u^p^APP^1^^^^^^")
		c.talk("3^ask^", "019^Name? ^")
		if reset {
			if err := c.conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
		}
		c.close()
		s.eventuallyRows("its engine has gone", func(rows []engineRow) bool { return len(rows) == 0 })
		var pid int
		if _, err := fmt.Sscan(d["pid"], &pid); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is there", pid)
		}
		if got := s.dial().mustLogin("1^u^p^APP^1^" + d["engine"] + "#" + d["resume"] + "^^^^^"); got["resumed"] != "0" {
			t.Error(got)
		}
		s.eventuallyRows("that of the second login", func(rows []engineRow) bool { return len(rows) <= 1 })
		s.dial().talk("-3^"+controlPassword+"^*^", "0^All Engines shut down^")
		s.eventuallyRows("none", func(rows []engineRow) bool { return len(rows) == 0 })
	}
}

// TestEngine11IdleKept has shut-down flags 0: an engine with nothing to do stays when its client leaves, by a logoff or not.
func TestEngine11IdleKept(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.IdleTimeout = time.Second })
	c := s.dial()
	d := c.mustLogin("1^u^p^APP^1^^^^0^^")
	for i := range 4 {
		if i%2 == 0 {
			c.talk("2^", "00^")
		}
		c.close()
		eventually(t, "it waits", func() bool { return s.dial().mustLogin("1^u^p^APP^1^?^^^^^")["zombies"] == d["engine"] })
		c = s.dial()
		if got := c.mustLogin("1^u^p^APP^1^" + d["engine"] + "^^^0^^"); got["resumed"] != "1" || got["pid"] != d["pid"] {
			t.Fatal(got)
		}
		c.talk("18^", "00^", "3^pid^", "00^"+d["pid"]+"^")
	}
	c.talk("3^ask^", "019^Name? ^") // in the middle of a call it does not stay
	c.close()
	s.eventuallyRows("its engine ends", func(rows []engineRow) bool { return len(rows) == 0 })
	c = s.dial()
	c.mustLogin("1^u^p^APP^1^^^^0^^")
	c.close()
	s.eventuallyRows("its time is over", func(rows []engineRow) bool { return len(rows) == 0 })
	c = s.dial()
	c.mustLogin("1^u^p^APP^1^^^^1^^")
	c.close()
	s.eventuallyRows("it does not stay", func(rows []engineRow) bool { return len(rows) == 0 })
}

// TestEngine11Drain stops a server that keeps a call.
func TestEngine11Drain(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { keepZombies(cfg); cfg.DrainTimeout = 10 * time.Second })
	s.lostDialogue(true)
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %v", took)
	}
}
