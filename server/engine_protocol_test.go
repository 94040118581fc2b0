package server_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"roundhouse/server/config"
)

// modes are all that a client can log in with, and what stands in front of its replies when all is well, and when not.
var modes = []struct{ mode, ok, bad string }{{"-1", "", ""}, {"0", "0", "1"}, {"1", "0", "1"}, {"2", "0", "1"}}

// TestEngine01Vectors sends the requests of the specification, byte for byte, and compares the replies. Frames are written as they are on
// the wire but for ^ and ~.
func TestEngine01Vectors(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.ControlPassword = "REVSOFT"
		cfg.Engine.Process.Env = append(cfg.Engine.Process.Env, "LAB_ECHO=1") // the vectors call what no engine knows
	})
	loginReply := regexp.MustCompile(`^0\d{7}(0?)0\^\S+ MAIN\^(engine=E\d+;pid=\d+;resume=[A-Z2-7]+;)?resumed=0;mode=(-1|1|2);charset=8859_1\^\^$`)
	for _, vector := range [][]string{
		{
			"000000281^guest^pw^EXAMPLES^-1^^^^^^", "login", "000000113^LIST VOC^", "000000130^3^LIST VOC^", "      113^LIST VOC^", "000000130^3^LIST VOC^",
			"11      3^LIST VOC^", "000000130^3^LIST VOC^", "\x00\x00\x00\x00\x00\x00113^LIST VOC^", "000000130^3^LIST VOC^",
			"11\x00\x00\x00\x00\x00\x003^LIST VOC^", "000000130^3^LIST VOC^", "\x00 11 \x00 \x003^LIST VOC^", "000000130^3^LIST VOC^",
			"000000083^ADD^2^", "000000100^3^ADD^2^", "000000022^", "000000020^",
		},
		{
			"000000271^guest^pw^EXAMPLES^1^^^^^^", "login", "000000083^mixed^", "0000000802^one;^", "0000000318^", "0000000805^two;^", "0000000318^",
			"00000011019^three?^", "0000000219", "",
		},
		{
			"000000271^guest^pw^EXAMPLES^1^^^^^^", "login", "000000063^ask^", "00000011019^Name? ^", "0000000719^Bob^", "0000001300^Hello Bob^",
			"0000000318^", "0000000300^", "000000103^work^10^", "00000005018^^", "0000000318^", "0000001000^worked^",
			"000000063^ask^", "00000011019^Name? ^", "00000004100^", "0000002411^Broken by the client^",
		},
		{"000000281^guest^pw^EXAMPLES^-1^^^^^^", "login", "000000073^fail^", "000000091^failed^", "000000022^", "000000020^"},
		{"000000271^guest^pw^EXAMPLES^1^^^^^^", "login", "000000083^fail^^", "0000001011^failed^", "000000022^", "0000000300^"},
		{
			"000000441^guest^pw^EXAMPLES^2^^RUN_OECGI_REQUEST^^^^", "login", "000000083^HELLO^", "0000000900^HELLO^", "0000000318^", "0000000300^",
			"00000004100^", "0000000300^", "00000004101^", "0000000300^",
		},
		{"000000301^refused^pw^EXAMPLES^-1^^^^^^", "000000401^Login failed: user refused is refused^"},
		{"000000461^refused^pw^EXAMPLES^2^^RUN_OECGI_REQUEST^^^^", "0000004111^Login failed: user refused is refused^"},
		{"00000011-2^REVSOFT^", "000000250^Idle Engines shut down^", "00000011-3^REVSOFT^", "000000240^All Engines shut down^"},
		{"00000046-4^1~guest~pw~EXAMPLES~3~~PROC~~~~^3~NIGHTLY~^", "000000180^Phantom started^"},
	} {
		c := s.dial()
		for i := 0; i < len(vector); i += 2 {
			if vector[i+1] == "" {
				break
			}
			c.write(toWire.Replace(vector[i]))
			header, payload, err := c.rawFrame()
			got := header + fromWire.Replace(payload)
			if vector[i+1] == "login" && loginReply.MatchString(got) {
				continue
			}
			if err != nil || got != vector[i+1] {
				t.Fatalf("%q is answered with %q, %v; want %q", vector[i], got, err, vector[i+1])
			}
		}
		c.close()
	}
	c := s.dial()
	if got := c.ask("-5^"); !regexp.MustCompile(`^0\^Startup: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; Current \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\^$`).MatchString(got) {
		t.Errorf("-5: %q", got)
	}
	if got := c.ask("-1^"); !strings.HasPrefix(got, "0^<table>") || !strings.HasSuffix(got, "</table>^") {
		t.Errorf("-1: %q", got)
	}
	c.mustLogin("1^guest^pw^EXAMPLES^-1^^^^^^")
	if rows := engineRows(t, c.ask("-1^1^")); len(rows) == 0 || rows[0].application != "EXAMPLES" || rows[0].user != "guest" {
		t.Errorf("%+v", rows)
	}
}

// TestEngine01Split sends a whole session byte by byte.
func TestEngine01Split(t *testing.T) {
	s := startEngines(t, nil)
	c := s.dial()
	if err := c.conn.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	session := framed("1^u^p^APP^2^^^^^^") + framed("3^echo^a^^b^") + "        "[:6] + "10" + toWire.Replace("3^echo^ab^") + framed("") + framed("2^")
	for i := range len(session) {
		c.write(session[i : i+1])
	}
	if got := c.read(); !strings.HasPrefix(got, "00^") {
		t.Fatal(got)
	}
	c.want("00^a^^b^", "00^ab^", "00^")
}

// TestEngine01Pipelining sends many frames at once. They are answered in their order, whatever kind they are.
func TestEngine01Pipelining(t *testing.T) {
	s := startEngines(t, nil)
	for _, m := range modes[1:] {
		c := s.dial()
		all, want := framed("1^u^p^APP^"+m.mode+"^^^^^^"), []string{}
		for i := range 40 { // more than may wait: the rest is not read until there is room
			switch i % 5 {
			case 0:
				all, want = all+framed(fmt.Sprintf("3^echo^%d^", i)), append(want, fmt.Sprintf("00^%d^", i))
			case 1:
				all, want = all+framed("18^"), append(want, "00^")
			case 2:
				all, want = all+framed("1^u^p^APP^9^^^^^^"), append(want, "11^Invalid mode 9^")
			case 3:
				all, want = all+framed("-4^x^"), append(want, "1^a phantom is a login of mode 3, and then Execute, Call and Input^")
			case 4:
				all, want = all+framed("")+framed("4^upper^x^"), append(want, "00^X^")
			}
		}
		c.write(all + framed("2^"))
		if got := c.read(); !strings.HasPrefix(got, "00^") {
			t.Fatal(got)
		}
		c.want(append(want, "00^")...)
	}
}

// TestEngine01HeldLogins has logins that fail wait behind a request: each is answered once.
func TestEngine01HeldLogins(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("0")
	c.write(framed("3^slow^20ms^") + framed("1^u^p^APP^0^^^x^^^") + framed("1^u^p^APP^0^^^x^^^") + framed("3^echo^a^") + framed("3^echo^b^"))
	c.want("00^slept 20ms^", "11^Invalid start-up flags x^", "11^Invalid start-up flags x^", "00^a^", "00^b^")
	s.logged("a login failed", c.address(), "bad login")
}

// TestEngine02Prefixes has what stands in front of replies in each mode.
func TestEngine02Prefixes(t *testing.T) {
	s := startEngines(t, nil)
	for _, m := range modes {
		c := s.dial()
		c.talk(
			"1^refused^p^APP^"+m.mode+"^^^^^^", m.bad+"1^Login failed: user refused is refused^",
			"3^echo^a^", "1^Not logged in^", // that of no login
		)
		s.logged("a login failed", c.address(), "user=refused")
		if got := c.ask("1^u^p^APP^" + m.mode + "^^^^^^"); !strings.HasPrefix(got, m.ok+"0^") {
			t.Fatalf("mode %s: %q", m.mode, got)
		}
		c.talk(
			"3^echo^a^", m.ok+"0^a^", "3^fail^^", m.bad+"1^failed^", "18^", m.ok+"0^", "100^", m.ok+"0^", "101^", m.ok+"0^",
			"-4^2~^", "1^a phantom is a login of mode 3, and then Execute, Call and Input^",
			"555^", m.bad+"1^Unknown command 555^",
		)
		if got := c.ask("-5^"); !strings.HasPrefix(got, "0^Startup") {
			t.Error(got)
		}
		if got := c.ask("-1^"); !strings.HasPrefix(got, "0^<table>") {
			t.Error(got)
		}
		list := c.ask("-1^1^")
		if m.mode == "1" { // the one mode in which a list is asked for with charflag
			if !strings.HasPrefix(list, "00^") {
				t.Errorf("list: %q", list)
			}
			mine := 0
			for _, row := range engineArray(t, list[3:len(list)-1]) {
				if row.mine == "*" {
					mine++
				}
			}
			if mine != 1 {
				t.Errorf("%d engines are mine: %q", mine, list)
			}
		} else if !strings.HasPrefix(list, "0^") {
			t.Errorf("list: %q", list)
		}
		c.talk("2^", m.ok+"0^")
	}
}

// TestEngine02CollectedWithFailure has output before an error: it goes along, but in web mode.
func TestEngine02CollectedWithFailure(t *testing.T) {
	s := startEngines(t, nil)
	for mode, want := range map[string]string{"-1": "1^failed^some^", "0": "11^failed^some^", "2": "11^failed^"} {
		s.login(mode).talk("3^fail^some^", want)
	}
	s.login("-1").talk("3^status^out^text^", "0^out^text^")
	s.login("2").talk("3^status^out^text^", "00^out^") // nothing may stand behind it
}

// TestEngine03BeforeLogin has commands of a client that has not logged in.
func TestEngine03BeforeLogin(t *testing.T) {
	s := startEngines(t, nil)
	c := s.dial()
	for _, code := range []string{"2", "3", "4", "5", "17", "18", "19", "20", "99", "100", "101", "400", "102", "999"} {
		c.talk(code+"^x^", "1^Not logged in^")
	}
	s.logged("a command was refused", c.address(), "before login")
	c.talk("0^", "1^Unknown command 0^", "-6^", "1^Unknown command -6^", "-999^", "1^Unknown command -999^", "hello", "1^Unknown command hello^",
		"^", "1^Unknown command  ^", "1000^", "1^Unknown command 1000 ^", "-3^"+controlPassword+"^", "0^All Engines shut down^")
	s.logged("a command was refused", c.address(), "unknown command", "-6")
}

// TestEngine03DefaultMode has a configured mode: it holds for those who have not logged in, and for logins without one.
func TestEngine03DefaultMode(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Defaults.Mode = "2"
		cfg.Engine.Defaults.UserName, cfg.Engine.Defaults.Password, cfg.Engine.Defaults.Application = "du", "dp", "DA"
		cfg.Engine.Modes = []config.EngineMode{{Mode: "2", Procedure: "P2", StartupFlags: -7}, {Mode: "1", Procedure: "P1", UserName: "u1"}}
	})
	c := s.dial()
	c.talk("3^", "11^Not logged in^")
	if got := c.ask("1"); !strings.HasPrefix(got, "00^") {
		t.Fatal(got)
	}
	c.talk("3^who^", "00^3|client|P2|du|dp|DA|2|P2|7|^")
	c = s.dial()
	if got := c.ask("1^^^^1^"); !strings.HasPrefix(got, "00^") {
		t.Fatal(got)
	}
	c.talk("4^who^", "00^4|client|P1|u1|dp|DA|1|P1|65|^")
	c = s.dial()
	if got := c.ask("1^me^my^MINE^0^^PROC^-3^^"); !strings.HasPrefix(got, "00^") {
		t.Fatal(got)
	}
	c.talk("4^who^", "00^4|client|PROC|me|my|MINE|0|PROC|3|^")
}

// TestEngine03Verbs sends the verbs of JD3 files.
func TestEngine03Verbs(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("-1")
	for _, code := range []int{5, 11, 17, 20, 99} {
		c.talk(fmt.Sprintf("%d^echo^x^^", code), "0^x^^")
		c.talk(fmt.Sprintf("%d^raw^x^^y^", code), fmt.Sprintf("0^%d^raw^x^^y^^", code))
	}
	c.talk("3^raw^a^", "0^3^raw^a^^", "4^raw^a", "0^4^raw^a^^", "400^raw^a^", "0^400^raw^a^^", "3", "1^no engine of this name: ask, chat, commands, crash, echo, flood, garbage, hang, leak, mix, print, slow, upper^")
	c.talk("0^x^", "1^Unknown command 0^", "102^", "1^Unknown command 102^", "399^", "1^Unknown command 399^", "401^", "1^Unknown command 401^", "19^x^", "1^No input requested^")
	for _, m := range modes[1:] {
		c := s.login(m.mode)
		for _, code := range []string{"0", "5", "17", "20", "99", "999"} {
			c.talk(code+"^x^", "11^Unknown command "+code+"^")
		}
		c.talk("400^x^", "11^Command 400 needs JD3 mode^", "19^x^", "11^No input requested^", "3^raw^a^^b^^", "00^raw^a^^b^^^", "3^raw^a", "00^raw^a^^")
		s.logged("a command was refused", c.address(), "wrong mode")
		s.logged("a command was refused", c.address(), "input without a question")
	}
}

// TestEngine03InvalidLogins has logins that no engine sees.
func TestEngine03InvalidLogins(t *testing.T) {
	s := startEngines(t, nil)
	c := s.dial()
	for _, mode := range []string{"3", "4", "-2", "x", "01", "1++", "0+", "2+", "\x7f"} {
		c.talk("1^u^p^APP^"+mode+"^^^^^^", "1^Invalid mode "+strings.Replace(mode, "\x7f", " ", 1)+"^")
	}
	s.logged("a command was refused", c.address(), "wrong mode")
	c.talk("1^u^p^APP^0^^^up^^^", "11^Invalid start-up flags up^", "1^u^p^APP^0^^^^down^^", "11^Invalid shut-down flags down^",
		"1^u^p^APP^0^^^99999999999999999999^^^", "11^Invalid start-up flags 99999999999999999999^",
		"1^u~^p^APP^0^^^^^^", "11^Login failed: a field has more than 1024 bytes, or a delimiter in it^",
		"1^"+strings.Repeat("u", 1025)+"^p^APP^2^^^^^^", "11^Login failed: a field has more than 1024 bytes, or a delimiter in it^",
		"3^", "1^Not logged in^")
	s.logged("a login failed", c.address(), "bad login")
}

// TestEngine05Hasty has negative start-up flags: who does not want to wait is told at once.
func TestEngine05Hasty(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines, cfg.Engine.Pool.SpawnRate = 4, 4 })
	stop := filepath.Join(t.TempDir(), "stop")
	hasty := func() *engineClient {
		c := s.dial()
		c.mustLogin("1^u^p^APP^0^^^-65^^^")
		return c
	}
	fifth := hasty()
	var busy []*engineClient
	for range 4 {
		c := s.login("0")
		c.send("3^until^" + stop + "^")
		busy = append(busy, c)
	}
	s.eventuallyRows("four busy engines", func(rows []engineRow) bool { return enginesIn(rows, "active") == 4 })
	// All that follows is answered before an engine comes free: they wait for a file.
	began := time.Now()
	fifth.talk("3^echo^x^", "11^No engine available^")
	other := s.dial()
	other.talk("1^other^p^APP^0^^^-65^^^", "11^No engine available^", "3^echo^", "1^Not logged in^")
	hasty() // the signature has engines: a login needs none of its own
	if took := time.Since(began); took > slack {
		t.Errorf("refused after %v", took)
	}
	s.logged("a command was refused", fifth.address(), "No engine available")
	s.logged("a login failed", other.address(), "user=other")
	patient := s.login("0")
	patient.send("3^echo^patient^")
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range busy {
		c.want("00^seen^")
	}
	patient.want("00^patient^")
	fifth.talk("3^echo^x^", "00^x^")
}

// TestEngineMalformedFrames has what is no frame: the client is told, and cut off.
func TestEngineMalformedFrames(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.Client.MaxFrame = 2000
		cfg.Engine.Client.ReadTimeout = 50 * time.Millisecond
	})
	const long, large, slow = "Protocol error: bad length", "Protocol error: frame too large", "Protocol error: frame not complete in time"
	for in, why := range map[string]string{
		"abcdefgh": long, "-0000001": long, "+0000001": long, "        ": long, "\x00\x00\x00\x00\x00\x00\x00\x00": long, "1 1     ": long, "0x000001": long,
		"GET / HTTP/1.1\r\n\r\n": long, "00002001": large, "99999999": large, "0000000": slow, "00000001": slow, "000000053^": slow,
		framed("-5^") + "0": "", framed("-2^x^") + "zzzzzzzz": "",
	} {
		c := s.dial()
		c.write(in)
		if why == "" {
			c.read()
			why = long
			if in[len(in)-1] == '0' {
				why = slow
			}
		}
		c.want("1^" + why + "^")
		c.ended()
		s.logged("a client broke the protocol", c.address())
	}
	c := s.login("2")
	c.write("x3^echo^a^")
	c.want("11^" + long + "^")
	c.ended()
	c = s.login("0")
	exact := "3^echo^" + strings.Repeat("x", 2000-8) + "^"
	c.talk(exact, "00^"+exact[7:])
	c.write("00002001")
	c.want("11^" + large + "^")
	c.ended()
}

// TestEngineFramesInTime has many frames, none of which is ever unread for long: no time runs from one to the next.
func TestEngineFramesInTime(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Client.ReadTimeout = 2 * time.Second })
	c := s.dial()
	half := framed("-5^")
	c.write(half[:5])
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 2500*time.Millisecond; <-tick.C { // each write ends a frame and begins another
		c.write(half[5:] + half[:5])
		if got := c.read(); !strings.HasPrefix(got, "0^Startup") {
			t.Fatal(got)
		}
	}
}

// TestEngineSmallThings has frames without content, fields without an end, and commands without fields.
func TestEngineSmallThings(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("0")
	c.write(strings.Repeat("00000000", 50))
	c.talk("3^echo^^^", "00^^^", "3^echo^^a^^", "00^^a^^", "3^echo^a", "00^a^", "3^raw", "00^raw^^", "4^raw^^^^", "00^raw^^^^^", "18", "00^", "3^echo^a~b^", "00^a~b^")
	c.write(framed("3^slow^10ms^") + strings.Repeat("00000000", 50) + framed("3^echo^z^"))
	c.want("00^slept 10ms^", "00^z^")
	c.talk("2", "00^")
}

// TestEngineHalfClose has clients that end their side when they have sent everything.
func TestEngineHalfClose(t *testing.T) {
	s := startEngines(t, nil)
	for _, m := range modes {
		c := s.dial()
		c.write(framed("1^u^p^APP^"+m.mode+"^^^^^^") + framed("3^echo^a^") + framed("3^slow^50ms^") + framed("3^echo^b^"))
		if err := c.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := c.read(); !strings.HasPrefix(got, m.ok+"0^") {
			t.Fatalf("mode %s: %q", m.mode, got)
		}
		c.want(m.ok+"0^a^", m.ok+"0^slept 50ms^", m.ok+"0^b^")
		c.ended()
	}
	c := s.dial()
	c.write(framed("-2^wrong^") + framed("-5^") + "0000")
	if err := c.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want("1^Access Denied^")
	c.read()
	c.ended()
}

// TestEngineGone has clients that go in the middle of a call: the call is broken, let go on, or killed, as configured.
func TestEngineGone(t *testing.T) {
	for act, exits := range map[string]bool{"break": false, "finish": false, "kill": true} {
		t.Run(act, func(t *testing.T) {
			s := startEngines(t, func(cfg *config.Config) {
				cfg.Engine.Client.OnDisconnect = act
				cfg.Engine.Pool.MaxEngines = 1
				cfg.Engine.Pool.RetryUnstarted = false
			})
			stop := filepath.Join(t.TempDir(), "stop")
			c, queued, after := s.login("0"), s.login("0"), s.login("0")
			pid := c.ask("3^pid^")
			if act == "finish" {
				c.send("3^until^" + stop + "^")
			} else {
				c.send("3^slow^1h^")
			}
			s.eventuallyRows("it runs", func(rows []engineRow) bool { return enginesIn(rows, "active") == 1 })
			queued.send("3^note^" + stop + "2^never^")
			after.send("3^pid^")
			const waiting = `oes_queue_length{app="APP",mode="0"}`
			s.wantMetrics(map[string]string{waiting: "2"})
			if err := queued.conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			queued.close()
			s.wantMetrics(map[string]string{waiting: "1"}) // its connection may belong to another loop than the one that comes next
			if err := c.conn.SetLinger(0); err != nil {    // a reset: it is known at once
				t.Fatal(err)
			}
			c.close()
			if act == "finish" {
				if err := os.WriteFile(stop, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := after.read()
			if same := got == pid; same == exits {
				t.Errorf("%s before, %s after", pid, got)
			}
			if _, err := os.Stat(stop + "2"); err == nil {
				t.Error("the request of a client that had gone was run")
			}
		})
	}
}

// TestEngineCharacters has the port whose lengths count characters.
func TestEngineCharacters(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) {
		cfg.Engine.ListenUTF8 = []string{"127.0.0.1:0"}
		cfg.Engine.Client.UTFLength = "chars"
		cfg.Engine.Client.LengthPad = "space"
		cfg.Engine.Client.MaxFrame = 1 << 20
	})
	utf := s.server.EngineAddrs()[1].String()
	chars := func(text string) string {
		text = toWire.Replace(text)
		return fmt.Sprintf("%08d", utf8.RuneCountInString(text)) + text
	}
	wantRaw := func(c *engineClient, raw string) {
		t.Helper()
		b := make([]byte, len(raw))
		_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
		for n := 0; n < len(b); {
			k, err := c.in.Read(b[n:])
			if err != nil {
				t.Fatalf("%q, %v", b[:n], err)
			}
			n += k
		}
		if string(b) != raw {
			t.Fatalf("%.300q, want %.300q", b, raw)
		}
	}
	spaced := func(text string) string {
		text = toWire.Replace(text)
		return fmt.Sprintf("%8d", utf8.RuneCountInString(text)) + text
	}
	const word = "Grüße, 世界 😀"
	for _, m := range modes {
		c := dialEngines(t, utf)
		c.write(chars("1^ü^p^APP^" + m.mode + "^^^^^^"))
		header, _, err := c.rawFrame() // ASCII
		if err != nil || header[0] != ' ' {
			t.Fatal(header, err)
		}
		all := chars("3^echo^" + word + "^")
		for i := range len(all) {
			c.write(all[i : i+1])
		}
		wantRaw(c, spaced(m.ok+"0^"+word+"^"))
		c.write(chars("3^echo^\xff\xc3^x^") + chars("3^fail^^")) // bytes that are no characters count as one each
		wantRaw(c, spaced(m.ok+"0^\xff\xc3^x^")+spaced(m.bad+"1^failed^"))
		long := strings.Repeat(word, 10_000)
		if m.mode != "1" { // where it comes in pieces
			c.write(chars("4^echo^" + long + "^"))
			wantRaw(c, spaced(m.ok+"0^"+long+"^"))
		}
	}
	c := s.dial() // counts bytes
	c.write(framed("1^u^p^APP^2^^^^^^"))
	if header, _, err := c.rawFrame(); err != nil || strings.TrimLeft(header, " ") == header {
		t.Fatal(header, err)
	}
	c.talk("3^echo^"+word+"^", "00^"+word+"^")
}

// TestEngineCharset has what clients are told of their character set.
func TestEngineCharset(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.ListenUTF8 = []string{"127.0.0.1:0"} })
	if d := s.dial().mustLogin("1^u^p^APP^0^^^^^^"); d["charset"] != "8859_1" {
		t.Error(d)
	}
	c := dialEngines(t, s.server.EngineAddrs()[1].String())
	if d := c.mustLogin("1^u^p^APP^1^^^^^^"); d["charset"] != "utf-8" {
		t.Error(d)
	}
	c.talk("3^echo^ü^", "00^ü^")
}

// TestEngineTooManyConnections has one connection more than may be.
func TestEngineTooManyConnections(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Client.MaxConnections = 3 })
	first := s.login("0")
	s.login("0")
	s.login("0")
	c := s.dial()
	c.want("1^Too many connections^")
	c.ended()
	c.close()
	s.logged("a client was refused", c.address(), "too many connections")
	first.talk("3^echo^a^", "00^a^", "2^", "00^")
	first.close()
	eventually(t, "there is room again", func() bool {
		c := s.dial()
		defer c.close()
		c.send("-5^")
		return strings.HasPrefix(c.read(), "0^Startup")
	})
}

// TestEngineLargeRequest has a request and a reply of 13 MB.
func TestEngineLargeRequest(t *testing.T) {
	s := startEngines(t, nil)
	gone := s.login("0")
	gone.talk("2^", "00^")
	defer gone.ended() // five seconds after the logoff
	large := strings.Repeat("0123456789abc", 1_000_000)
	for _, m := range modes[:3] {
		c := s.login(m.mode)
		sent := make(chan error, 1)
		go func() { // ends with the request; waited for below
			_, err := c.conn.Write([]byte(framed("3^echo^" + large + "^")))
			sent <- err
		}()
		var got strings.Builder
		code := m.ok + "2^"
		for code == m.ok+"2^" {
			_, payload, err := c.rawFrame()
			if err != nil {
				t.Fatal(err)
			}
			text := strings.TrimPrefix(payload, m.ok)
			code = m.ok + text[:1] + "^"
			if body := text[2:]; body != "" {
				got.WriteString(body[:len(body)-1])
			}
			if code == m.ok+"2^" {
				c.send("18^")
			}
		}
		if code != m.ok+"0^" || got.String() != large {
			t.Errorf("mode %s: code %q, %d bytes: %.100q", m.mode, code, got.Len(), got.String())
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// TestEngineReplyTooLarge has more output than a frame can hold, in pieces and as one.
func TestEngineReplyTooLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 100 MB")
	}
	s := startEngines(t, nil)
	c := s.login("2")
	c.talk("3^flood^99999990^", "11^Reply too large^")
	s.logged("a command was refused", c.address(), "Reply too large")
	c.talk("3^echo^a^", "00^a^")
}

// TestEngineLocations has logins that ask for a directory.
func TestEngineLocations(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"allowed", "allowed/sub", "other", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"into": "allowed", "allowed/out": "../other", "moving": "allowed", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(rel string) string { return dir + "/" + rel }
	start := func(allowed ...string) *engineUnderTest {
		return startEngines(t, func(cfg *config.Config) {
			cfg.Engine.Process.Dir = at("home")
			cfg.Engine.Locations = allowed
		})
	}
	s := start(at("allowed"), at("moving"), at("file"), at("missing"))
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	try := func(s *engineUnderTest, loc, want string) {
		t.Helper()
		c := s.dial()
		defer c.close()
		got := c.ask("1^u^p^APP^2^^^^^" + loc + "^")
		if want == "" {
			if got != "11^Location not allowed^" {
				t.Errorf("%s: %q", loc, got)
			}
			s.logged("a login failed", c.address(), "location ")
			return
		}
		if !strings.HasPrefix(got, "00^") {
			t.Errorf("%s: %q", loc, got)
			return
		}
		c.talk("3^who^", "00^3|client||u|p|APP|2||65|"+real+"/"+want+"^")
	}
	for loc, want := range map[string]string{
		at("allowed"): "allowed", at("allowed/"): "allowed", at("allowed//"): "allowed", at("./allowed/."): "allowed", at("allowed/sub/.."): "allowed",
		at("other/../allowed"): "allowed", at("into"): "allowed", at("into/sub/.."): "allowed", at("moving"): "allowed", at("home"): "home",
		at("ALLOWED"): "", at("allowed/sub"): "", at("allowed/.."): "", at("allowed/../other"): "", at("allowed/out"): "", at("other"): "", at("into/out"): "",
		"allowed": "", ".": "", "~": "", at("missing"): "", at("file"): "", at("loop"): "", "/": "", " " + at("allowed"): "", at("allowed\x00"): "",
	} {
		try(s, loc, want)
	}
	if err := os.Remove(at("moving")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", at("moving")); err != nil {
		t.Fatal(err)
	}
	try(s, at("other"), "other") // where the configured link leads now
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = start("*")
	try(s, at("other"), "other")
	try(s, at("allowed/out"), "other")
	try(s, "other", "")
	try(s, at("missing"), "")
	try(s, at("file"), "")
}

// TestEngineSharedUser has the user *, who is taken from this machine only.
func TestEngineSharedUser(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Listen = []string{"0.0.0.0:0"} })
	_, port := split(t, s.addr)
	here := dialEngines(t, fmt.Sprintf("127.0.0.1:%d", port))
	here.mustLogin("1^*^*^APP^2^^^^^^")
	here.talk("3^who^", "00^3|client||*|*|APP|2||65|^", "-4^1~*~*~APP~3~~~~~~^", "0^Phantom started^")
	there := dialEngines(t, fmt.Sprintf("%s:%d", outerAddress(t), port))
	there.talk("1^*^p^APP^2^^^^^^", "11^Access Denied^", "1^u^*^APP^1^^^^^^", "11^Access Denied^", "-4^1~*~p~APP~3~~~~~~^", "1^Access Denied^")
	s.logged("a login failed", there.address(), "*")
	s.logged("a phantom was refused", there.address())
	there.mustLogin("1^u^p^APP^2^^^^^^")
}

// outerAddress is an address of this machine that is not a loopback one.
func outerAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no other address")
	return ""
}

// TestEngineSecondLogin has clients that log in again.
func TestEngineSecondLogin(t *testing.T) {
	s := startEngines(t, nil)
	who := func(c *engineClient, want string) {
		t.Helper()
		if got := c.ask("3^who^"); strings.TrimPrefix(got, "00^") != "3|client|"+want+"^" && got != "0^3|client|"+want+"^" {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	c := s.login("0")
	who(c, "|u|p|APP|0||65|")
	c.mustLogin("1^v^q^OTHER^2^^PROC^^^^")
	who(c, "PROC|v|q|OTHER|2|PROC|65|")
	c.talk("1^refused^q^OTHER^2^^PROC^^^^", "11^Login failed: user refused is refused^")
	who(c, "PROC|v|q|OTHER|2|PROC|65|") // it stays who it was
	c.talk("1^refused^q^OTHER^1^^^^^^", "11^Login failed: user refused is refused^")
	who(c, "PROC|v|q|OTHER|2|PROC|65|")
	own := c.mustLogin("1^w^r^THIRD^1^^^^^^") // an engine of its own
	who(c, "|w|r|THIRD|1||65|")
	c.talk("3^pid^", "00^"+own["pid"]+"^")
	c.mustLogin("1^x^r^FOURTH^-1^^^^^^") // it gives that back
	who(c, "|x|r|FOURTH|-1||65|")
	s.eventuallyRows("its own engine ends", func(rows []engineRow) bool {
		for _, r := range rows {
			if r.name == own["engine"] {
				return false
			}
		}
		return true
	})
	c.mustLogin("1^w^r^THIRD^1^^^^^^")
	who(c, "|w|r|THIRD|1||65|")
}

// TestEngineLogTo has the second login of a client with an engine of its own.
func TestEngineLogTo(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Locations = []string{os.TempDir()} })
	c := s.dial()
	first := c.mustLogin("1^u^p^APP^1^^PROC^^^^")
	second := c.mustLogin("1^v^q^OTHER^1^^ELSE^^^^")
	if second["engine"] != first["engine"] || second["pid"] != first["pid"] || second["resumed"] != "0" {
		t.Errorf("%v, then %v", first, second)
	}
	c.talk("3^who^", "00^3|client|ELSE|v|q|OTHER|1|ELSE|65|^", "4^pid^", "00^"+first["pid"]+"^")
	s.eventuallyRows("as it has logged in now", func(rows []engineRow) bool {
		return len(rows) == 1 && rows[0].application == "OTHER" && rows[0].user == "v" && rows[0].procedure == "ELSE"
	})
	there := c.mustLogin("1^v^q^OTHER^1^^ELSE^^^" + os.TempDir() + "^") // no engine can go elsewhere
	if there["pid"] == first["pid"] {
		t.Errorf("the same engine in another directory: %v", there)
	}
	c.talk("1^refused^q^OTHER^1^^ELSE^^^"+os.TempDir()+"^", "11^Login failed: user refused is refused^", "3^who^", "11^Not logged in^")
	s.logged("a login failed", c.address(), "user=refused")
	s.eventuallyRows("its engine ends", func(rows []engineRow) bool { return len(rows) == 0 })
	c.mustLogin("1^u^p^APP^1^^^^^^")
	c.talk("3^echo^again^", "00^again^")
}

// TestEngineLostInControl has an engine that ends while its client has a control command running.
func TestEngineLostInControl(t *testing.T) {
	s := startEngines(t, nil)
	c := s.login("1")
	c.send("-2^wrong^") // takes a second
	c.send("3^echo^a^")
	other := s.dial()
	other.talk("-3^"+controlPassword+"^U^", "0^All Engines shut down^")
	s.eventuallyRows("the engine ends", func(rows []engineRow) bool { return len(rows) == 0 })
	c.want("1^Access Denied^", "11^Not logged in^")
}

// TestEngine01NamedEngine checks that clients which name an engine share that one, and no other client gets it.
func TestEngine01NamedEngine(t *testing.T) {
	s := startEngines(t, nil)
	for _, name := range []string{"DEBUG", "DEBUG", "OTHER", "DEBUG", ""} {
		c := s.dial()
		defer c.close()
		c.mustLogin("1^guest^pw^EXAMPLES^0^" + name + "^^^^^")
	}
	names := map[string]int{}
	for _, row := range s.rows() {
		names[row.name]++
	}
	if len(names) != 3 || names["DEBUG"] != 1 || names["OTHER"] != 1 {
		t.Errorf("engines %v, want DEBUG, OTHER and one that the server has named", names)
	}
}
