package server_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roundhouse/server/config"
)

// control sends a control command with the right password.
func (s *engineUnderTest) control(code, selectors string) {
	s.t.Helper()
	want := map[string]string{"-2": "0^Idle Engines shut down^", "-3": "0^All Engines shut down^"}[code]
	c := s.dial()
	defer c.close()
	c.talk(code+"^"+controlPassword+"^"+selectors, want)
}

// TestEngine12Stop has idle and busy engines, and commands that stop them.
func TestEngine12Stop(t *testing.T) {
	s := startEngines(t, nil)
	stop := filepath.Join(t.TempDir(), "stop")
	idle, busy := s.login("0"), s.login("0")
	busy.send("3^until^" + stop + "^")
	s.eventuallyRows("one is busy", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
	idle.talk("3^echo^a^", "00^a^")
	before := s.rows()
	s.control("-2", "")
	s.eventuallyRows("only the busy one is left", func(rows []engineRow) bool { return len(rows) == 1 && rows[0].state == "active" })
	if len(before) != 2 {
		t.Errorf("%+v", before)
	}
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy.want("00^seen^")
	idle.talk("3^echo^b^", "00^b^")
	s.logged("engines are stopped", "force=false")
}

// TestEngine12Force ends busy engines. Their clients are told, and served by others; requests that wait get fresh ones.
func TestEngine12Force(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 1 })
	busy, queued, char := s.login("2"), s.login("2"), s.login("1")
	first := strings.TrimSuffix(busy.ask("3^pid^")[3:], "^")
	busy.send("3^slow^1h^")
	s.eventuallyRows("one is busy", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
	queued.send("3^pid^")
	char.talk("3^ask^", "019^Name? ^")
	s.control("-3", "")
	busy.want("11^Engine was shut down^")
	if second := strings.TrimSuffix(queued.read()[3:], "^"); second == first {
		t.Errorf("process %s again", second)
	}
	busy.talk("3^echo^a^", "00^a^")
	char.talk("19^still here^", "00^Hello still here^") // it is not of the pool
	char.talk("3^ask^", "019^Name? ^")
	s.control("-3", "U^")
	char.talk("18^", "11^Engine was shut down^")
	s.eventuallyRows("no engine of a client's own", func(rows []engineRow) bool {
		return len(rows) == 0 || len(rows) == 1 && rows[0].category != "Synchronous"
	})
	char.talk("3^echo^", "11^Not logged in^")
	char.mustLogin("1^u^p^APP^1^^^^^^")
	char.talk("3^echo^x^", "00^x^")
	s.logged("engines are stopped", "force=true", "wide=true")
}

// TestEngine12ForceDeaf ends an engine that listens to nothing.
func TestEngine12ForceDeaf(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Process.BreakTimeout, cfg.Engine.Process.KillTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	for _, m := range modes {
		c := s.login(m.mode)
		c.send("3^hang^term^")
		s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "active")+enginesIn(rows, "running") == 1 })
		s.control("-3", "*^")
		c.want(m.bad + "1^Engine was shut down^")
		s.eventuallyRows("it is gone", func(rows []engineRow) bool { return len(rows) == 0 })
	}
}

// TestEngine12Selectors picks engines.
func TestEngine12Selectors(t *testing.T) {
	s := startEngines(t, nil)
	open := func() map[string]string { // what each engine is called
		names := map[string]string{}
		for _, login := range []string{"1^ann^p^SALES^0^^PROC^^^^", "1^bob^p^SALES^0^^OTHER^^^^", "1^bob^p^STOCK^0^^PROC^^^^", "1^ann^p^STOCK^1^^^^^^"} {
			s.dial().mustLogin(login)
		}
		s.eventuallyRows("four engines", func(rows []engineRow) bool {
			return len(rows) == 4 && enginesIn(rows, "available") == 3 && enginesIn(rows, "bound") == 1
		})
		for _, r := range s.rows() {
			names[r.user+"@"+r.application] = r.name
		}
		return names
	}
	for _, row := range []struct{ selectors, left string }{
		{"", "ann@STOCK"},
		{"*^", ""},
		{"U^", ""},
		{"u^^", ""},
		{"sales^", "bob@STOCK ann@STOCK"},
		{"Ann@Sales^", "bob@SALES bob@STOCK ann@STOCK"},
		{"proc^", "bob@SALES ann@STOCK"},
		{"STOCK^", "ann@SALES bob@SALES ann@STOCK"},
		{"STOCK^U^", "ann@SALES bob@SALES"},
		{"U^STOCK^", "ann@SALES bob@SALES"},
		{"SALES^STOCK^", "ann@STOCK"},
		{"nobody^", "ann@SALES bob@SALES bob@STOCK ann@STOCK"},
		{"ann^", "ann@SALES bob@SALES bob@STOCK ann@STOCK"},
		{"E", "ann@SALES bob@SALES bob@STOCK ann@STOCK"},
		{"name:bob@STOCK", "ann@SALES bob@SALES ann@STOCK"},
	} {
		names := open()
		if who, ok := strings.CutPrefix(row.selectors, "name:"); ok {
			row.selectors = strings.ToLower(names[who]) + "^"
		}
		code := "-2"
		if len(row.selectors)%2 == 0 {
			code = "-3" // with idle engines it is the same
		}
		s.control(code, row.selectors)
		want := strings.Fields(row.left)
		s.eventuallyRows("left with "+row.selectors+": "+row.left, func(rows []engineRow) bool {
			for _, who := range want {
				found := false
				for _, r := range rows {
					found = found || r.name == names[who]
				}
				if !found {
					return false
				}
			}
			return len(rows) == len(want)
		})
		s.control("-3", "*^")
		s.eventuallyRows("none", func(rows []engineRow) bool { return len(rows) == 0 })
	}
}

// TestEngine12Denied has wrong passwords, and none: each is answered after a second.
func TestEngine12Denied(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		denied(t, startEngines(t, nil), "wrong", "", strings.ToUpper(controlPassword), controlPassword+"x", controlPassword[:3], strings.Repeat("x", 10_000))
	})
	t.Run("none configured", func(t *testing.T) {
		denied(t, startEngines(t, func(cfg *config.Config) { cfg.Engine.ControlPassword = "" }), "", "x")
	})
	t.Run("not from here", func(t *testing.T) {
		denied(t, startEngines(t, func(cfg *config.Config) {
			cfg.Engine.ControlAllow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}), controlPassword)
	})
}

// denied sends passwords, all at the same time, none of which opens anything.
func denied(t *testing.T, s *engineUnderTest, passwords ...string) {
	t.Helper()
	s.login("0")
	var all []*engineClient
	began := time.Now()
	for _, password := range passwords {
		for _, code := range []string{"-2", "-3", "-10"} {
			c := s.dial()
			c.write(framed(code+"^"+password+"^LIST^") + framed("-77^"))
			all = append(all, c)
		}
	}
	c := s.dial()
	c.send("-3")
	for _, c := range append(all, c) {
		c.want("1^Access Denied^")
		s.logged("a control command was denied", c.address(), "reason=")
	}
	if took := time.Since(began); took < time.Second || took > time.Second+slack {
		t.Errorf("after %v", took)
	}
	for _, c := range all {
		c.want("1^Unknown command -77^")
	}
	if rows := s.rows(); len(rows) != 1 {
		t.Errorf("%+v", rows)
	}
}

// TestEngine12Allowed has an address that may send control commands.
func TestEngine12Allowed(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.ControlAllow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.0/8")}
	})
	s.login("0")
	s.control("-2", "")
	s.eventuallyRows("no engine", func(rows []engineRow) bool { return len(rows) == 0 })
}

// TestEngine12ListAccess has who may list the engines.
func TestEngine12ListAccess(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.ListAccess = "password" })
	c := s.login("0")
	c.write(framed("-1^1^"+controlPassword+"^") + framed("3^echo^a^")) // the second waits for the first
	if rows := engineRows(t, c.read()); len(rows) != 1 || rows[0].user != "u" {
		t.Errorf("%+v", rows)
	}
	c.want("00^a^")
	if got := c.ask("-1^" + controlPassword + "^"); !strings.HasPrefix(got, "0^<table>") {
		t.Error(got)
	}
	if got := c.ask("-1^0^" + controlPassword + "^"); !strings.HasPrefix(got, "0^<table>") {
		t.Error(got)
	}
	c.write(framed("-1^") + framed("3^echo^b^"))
	c.want("1^Access Denied^", "00^b^")
	s.logged("a control command was denied", c.address())

	s = startEngines(t, func(cfg *config.Config) {
		cfg.Engine.ListAccess = "loopback"
		cfg.Engine.Listen = []string{"0.0.0.0:0"}
	})
	_, port := split(t, s.addr)
	s.addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)).String()
	s.rows()
	there := dialEngines(t, netip.AddrPortFrom(netip.MustParseAddr(outerAddress(t)), uint16(port)).String())
	there.talk("-1^1^", "1^Access Denied^", "-1^", "1^Access Denied^")
	s.logged("a control command was denied", there.address(), "the list of engines from elsewhere")
}

// TestEngine12ListEscapes has words of a login that would be marks of a list.
func TestEngine12ListEscapes(t *testing.T) {
	s := startEngines(t, nil)
	c := s.dial()
	c.mustLogin("1^<b>&^p^A\"P'^1^^^^^^")
	got := c.ask("-1^")
	if strings.Contains(got, "<b>") || !strings.Contains(got, "&lt;b&gt;&amp;") {
		t.Error(got)
	}
}
