package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
)

// kinds of engines behave alike unless a test says otherwise.
var kinds = map[string]Engine{"plain": {}, "quick": {Quick: true}, "manual": {Manual: true}}

// eachKind runs f with every kind of engine, whose handler f sets.
func eachKind(t *testing.T, f func(t *testing.T, e Engine)) {
	for name, e := range kinds {
		t.Run(name, func(t *testing.T) {
			e.Name, e.Version = "tested", "1.2"
			f(t, e)
		})
	}
}

// begun reads the event by which a plain engine says that it has begun.
func (p *peer) begun(e Engine, rid uint64) {
	p.t.Helper()
	if !e.Quick && !e.Manual {
		p.want(revcap.Unprocessed, rid, "", "")
	}
}

func TestLifeOfAnEngine(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		var loggedOff atomic.Bool
		var who Login
		e.Ahead, e.Handler = 4, joined
		e.Login = func(l Login) error { who = l; return nil }
		e.Logoff = func() { loggedOff.Store(true) }
		p := start(t, t.Context(), e)
		if p.hello.Version != 1 || p.hello.Name != "tested" || p.hello.EngineVersion != "1.2" || p.hello.Ahead != 4 || p.hello.Token != "" {
			t.Errorf("hello: %+v", p.hello)
		}
		want := Login{"joe", "secret", "BOOKS", "2", "RUN", "1", "/srv"}
		p.write(revcap.AppendLogin(nil, 1, revcap.Login(want)))
		p.want(revcap.Completed, 1, "", "")
		p.write(call(2, "PROC", "a", "", "c"))
		p.begun(e, 2)
		p.want(revcap.Completed, 2, "", "a||c")
		p.write(call(3, "PROC"))
		p.begun(e, 3)
		p.want(revcap.Completed, 3, "", "")
		p.write(revcap.AppendOrder(nil, revcap.Logoff, 0))
		p.end(nil)
		if who != want || !loggedOff.Load() {
			t.Errorf("login %+v, want %+v; logged off: %v", who, want, loggedOff.Load())
		}
		if n, err := p.conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("the connection is still open")
		}
	})
}

func TestLoginRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = joined
		e.Login = func(l Login) error {
			if l.User == "panic" {
				panic("at login")
			}
			return &Error{"LOGIN", "not you"}
		}
		p := start(t, t.Context(), e)
		p.write(revcap.AppendLogin(nil, 1, revcap.Login{User: "joe"}))
		p.want(revcap.ProcError, 1, "LOGIN", "not you")
		p.write(revcap.AppendLogin(nil, 2, revcap.Login{User: "panic"}))
		p.want(revcap.ProcError, 2, "PANIC", "panic: at login")
		p.hangUp()
	})
}

func TestErrorsAndPanics(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = func(c *Context) ([]byte, error) {
			switch c.Arg(0) {
			case "coded":
				return []byte("unused"), fmt.Errorf("wrapped: %w", &Error{"SYS1", "wrong\x01way"})
			case "plain":
				return nil, errors.New("plain error")
			case "panic":
				panic("no idea")
			case "delimiter":
				return nil, &Error{"A\x01B", strings.Repeat("x", 100_000)}
			}
			c.SetStatus("fi\x01ne")
			return []byte("ok"), nil
		}
		p := start(t, t.Context(), e)
		for i, row := range []struct {
			arg        string
			status     revcap.Status
			text, body string
		}{
			{"coded", revcap.ProcError, "SYS1", "wrong\x01way"},
			{"plain", revcap.ProcError, "", "plain error"},
			{"panic", revcap.ProcError, "PANIC", "panic: no idea"},
			{"delimiter", revcap.ProcError, "A B", strings.Repeat("x", 100_000)},
			{"", revcap.Completed, "fi ne", "ok"},
		} {
			p.write(call(uint64(i+1), "", row.arg))
			p.begun(e, uint64(i+1))
			p.want(row.status, uint64(i+1), row.text, row.body)
		}
		p.hangUp()
	})
}

func TestContext(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = func(c *Context) ([]byte, error) {
			until, limited := c.Deadline()
			near := !limited || time.Until(until) > 50*time.Second && time.Until(until) < 61*time.Second
			return fmt.Appendf(nil, "%d %s %s %s %s %v %v", c.Code, c.Kind, c.Procedure, c.Arg(0), c.Arg(7), limited, near), c.Err()
		}
		p := start(t, t.Context(), e)
		p.write(callUntil(1, 60_000, "P1", "x"))
		p.begun(e, 1)
		p.want(revcap.Completed, 1, "", "4 client P1 x  true true")
		p.write(append(revcap.AppendCallHead(nil, 400, 2, revcap.KindStartup, "P2", 0, 1), 'y'))
		p.begun(e, 2)
		p.want(revcap.Completed, 2, "", "400 startup P2 y  false true")
		p.write(revcap.AppendCallHead(nil, 17, 3, "later", "P2", 0, 0))
		p.begun(e, 3)
		p.want(revcap.Completed, 3, "", "17 later P2   false true")
		p.hangUp()
	})
}

func TestDialogue(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Ahead = 3
		e.Handler = func(c *Context) ([]byte, error) {
			before := c.Arg(0)
			answer, err := c.Ask("Name? ")
			if err != nil {
				return nil, err
			}
			version, err := c.Command(4)
			if err != nil {
				return nil, err
			}
			phantom, err := c.Command(3, "1", "x")
			if err := errors.Join(err, c.Data([]byte("d\x01")), c.Info("i"), c.Processing(40), c.Processing(-1)); err != nil {
				return nil, err
			}
			return []byte(before + c.Arg(0) + answer + version + phantom), err
		}
		p := start(t, t.Context(), e)
		p.write(append(call(7, "", "a"), call(8, "", "b")...)) // the second waits
		for _, row := range []struct {
			rid uint64
			arg string
		}{{7, "aa"}, {8, "bb"}} {
			p.begun(e, row.rid)
			p.want(revcap.InfoRequest, row.rid, "", "Name? ")
			p.write(revcap.AppendInput(nil, 99, []byte("not this one")))
			p.write(revcap.AppendInput(nil, row.rid, []byte(strings.Repeat("long\x01", 40_000))))
			p.want(revcap.InfoRequest, row.rid, "", "\x064")
			p.write(revcap.AppendInput(nil, row.rid, []byte("1.0 main")))
			p.want(revcap.InfoRequest, row.rid, "", "\x0631\x01x\x01")
			p.write(revcap.AppendInput(nil, row.rid, nil))
			p.want(revcap.Data, row.rid, "", "d\x01")
			p.want(revcap.Info, row.rid, "", "i")
			p.want(revcap.Processing, row.rid, "40", "")
			p.want(revcap.Processing, row.rid, "", "")
			p.want(revcap.Completed, row.rid, "", row.arg+strings.Repeat("long\x01", 40_000)+"1.0 main")
		}
		p.hangUp()
	})
}

func TestBreakWhileAsking(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = func(c *Context) ([]byte, error) {
			_, err := c.Ask("Name? ")
			_, again := c.Ask("And now? ")
			return nil, errors.Join(err, again)
		}
		p := start(t, t.Context(), e)
		p.write(call(1, ""))
		p.begun(e, 1)
		p.want(revcap.InfoRequest, 1, "", "Name? ")
		p.write(append(revcap.AppendOrder(nil, revcap.Debug, 1), revcap.AppendOrder(nil, revcap.Break, 1)...))
		p.want(revcap.ProcError, 1, "BREAK", "Broken by the client")
		p.hangUp()
	})
}

func TestBreakWhileRunning(t *testing.T) {
	e := Engine{Ahead: 2, Handler: func(c *Context) ([]byte, error) {
		<-c.Done()
		<-c.Done() // stays so
		if !c.Broken() {
			return nil, errors.New("done, and not broken")
		}
		return nil, c.Err()
	}}
	p := start(t, t.Context(), e)
	p.write(append(call(1, ""), call(2, "")...))
	p.want(revcap.Unprocessed, 1, "", "")
	p.write(revcap.AppendOrder(nil, revcap.Break, 2)) // has not begun: its handler never runs
	p.write(revcap.AppendOrder(nil, revcap.Break, 1))
	p.want(revcap.ProcError, 1, "BREAK", "Broken by the client")
	p.want(revcap.ProcError, 2, "BREAK", "Broken by the client")
	p.write(callUntil(3, 20, ""))
	p.want(revcap.Unprocessed, 3, "", "")
	p.want(revcap.ProcError, 3, "TIMEOUT", "Deadline exceeded")
	p.hangUp()
}

func TestDebug(t *testing.T) {
	e := Engine{Handler: func(c *Context) ([]byte, error) {
		_, err := c.Ask("?")
		return fmt.Appendf(nil, "%v", c.Debugging()), err
	}}
	p := start(t, t.Context(), e)
	p.write(call(1, ""))
	p.want(revcap.Unprocessed, 1, "", "")
	p.want(revcap.InfoRequest, 1, "", "?")
	p.write(append(revcap.AppendOrder(nil, revcap.Debug, 1), revcap.AppendInput(nil, 1, nil)...))
	p.want(revcap.Completed, 1, "", "true")
	p.hangUp()
}

// TestServerGoes: a handler that waits learns of it, and nobody is left.
func TestServerGoes(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		waits := make(chan error, 1)
		e.Handler = func(c *Context) ([]byte, error) {
			_, err := c.Ask("?")
			<-c.Gone()
			waits <- err
			return nil, err
		}
		p := start(t, t.Context(), e)
		p.write(call(1, ""))
		p.begun(e, 1)
		p.want(revcap.InfoRequest, 1, "", "?")
		if err := p.conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-waits; !errors.Is(err, ErrGone) {
			t.Errorf("Ask: %v, want %v", err, ErrGone)
		}
		<-p.ended // the answer had nowhere to go: an error or not
	})
}

func TestContextEnds(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		running := make(chan struct{})
		e.Handler = func(c *Context) ([]byte, error) {
			close(running)
			<-c.Done()
			return []byte("finished"), nil
		}
		p := start(t, ctx, e)
		p.write(call(1, ""))
		<-running
		why := errors.New("service ends")
		cancel(why)
		p.begun(e, 1)
		for _, ev := range []revcap.Event{p.event(), p.event()} { // in either order
			bye := ev.Status == revcap.Bye && string(ev.Text) == "service ends"
			finished := ev.Status == revcap.Completed && string(ev.Body) == "finished"
			if !bye && !finished {
				t.Errorf("%v %q %q", ev.Status, ev.Text, ev.Body)
			}
		}
		p.end(why)
	})
}

func TestContextEndsAnIdleEngine(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.Handler = joined
		p := start(t, ctx, e)
		cancel()
		p.want(revcap.Bye, 0, "context canceled", "")
		p.end(context.Canceled)
	})
}

func TestLeave(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = func(c *Context) ([]byte, error) { c.Leave("worn out"); return nil, nil }
		p := start(t, t.Context(), e)
		p.write(call(1, ""))
		p.begun(e, 1)
		p.want(revcap.Completed, 1, "", "")
		p.want(revcap.Bye, 0, "worn out", "")
		p.hangUp()
	})
}

func TestServersMistakes(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		for _, wrong := range []string{"garbage!", "00000002xx", "000000042\x01x\x01", "0000000518\x011\x01"} {
			e.Handler = joined
			p := start(t, t.Context(), e)
			p.write([]byte(wrong))
			if err := <-p.ended; err == nil || !strings.HasPrefix(err.Error(), "sdk: ") {
				t.Errorf("%q: serve returned %v", wrong, err)
			}
		}
	})
	e := Engine{Ahead: 1, Handler: func(c *Context) ([]byte, error) { <-c.Gone(); return nil, nil }}
	p := start(t, t.Context(), e)
	p.write(bytes.Repeat(call(1, ""), 10))
	if err := <-p.ended; err == nil || !strings.Contains(err.Error(), "requests ahead") {
		t.Errorf("10 requests at once: %v", err)
	}
}

func TestMistakesOfTheAuthor(t *testing.T) {
	for name, e := range map[string]Engine{
		"no handler":        {},
		"ahead negative":    {Handler: joined, Ahead: -1},
		"ahead over":        {Handler: joined, Ahead: revcap.MaxAhead + 1},
		"name with a field": {Handler: joined, Name: "a\x01b"},
	} {
		server, engine := net.Pipe()
		if err := ServeConn(t.Context(), engine, e); err == nil {
			t.Errorf("%s: no error", name)
		}
		_ = server.Close() // a pipe
	}
}

// TestLargeAndSplit sends calls byte by byte, and of every size around those of the buffers.
func TestLargeAndSplit(t *testing.T) {
	eachKind(t, func(t *testing.T, e Engine) {
		e.Handler = func(c *Context) ([]byte, error) { return bytes.TrimSuffix(c.Args, []byte{frame.Delimiter}), nil }
		p := start(t, t.Context(), e)
		for _, b := range call(1, "P", "by", "tes") {
			p.write([]byte{b})
		}
		p.begun(e, 1)
		p.want(revcap.Completed, 1, "", "by\x01tes")
		for i, size := range []int{largeBody - 1, largeBody, minBuffer - 60, minBuffer, minBuffer + 1, keepBuffer, 3*keepBuffer + 1, 10} {
			rid := uint64(i + 2)
			arg := strings.Repeat("0123456789", size/10+1)[:size]
			go p.conn.Write(call(rid, "P", arg)) // ended by the engine, which takes all of it before it answers
			p.begun(e, rid)
			p.want(revcap.Completed, rid, "", arg)
		}
		p.hangUp()
	})
}

// counted counts what would be system calls.
type counted struct {
	net.Conn
	reads, writes atomic.Int64
}

func (c *counted) Read(b []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(b) }
func (c *counted) Write(b []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(b) }

// TestQuickSystemCalls: eight requests that come together cost one read and one write.
func TestQuickSystemCalls(t *testing.T) {
	server, fd := socketpair(t)
	file := os.NewFile(uintptr(fd), "engine")
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	engine := &counted{Conn: conn}
	p := startChannel(t, t.Context(), server, ofConn(engine), Engine{Quick: true, Ahead: 8, Handler: joined})
	var eight []byte
	for rid := uint64(1); rid <= 8; rid++ {
		eight = append(eight, call(rid, "P", "a")...)
	}
	const rounds = 100
	for range rounds {
		p.write(eight)
		for rid := uint64(1); rid <= 8; rid++ {
			p.want(revcap.Completed, rid, "", "a")
		}
	}
	p.hangUp()
	// One more write is the hello, one more read the end. A read may find a part only when the writer was cut short: it is not.
	if r, w := engine.reads.Load(), engine.writes.Load(); r != rounds+1 || w != rounds+1 {
		t.Errorf("%d reads and %d writes for %d rounds", r, w, rounds)
	}
}

func TestInherited(t *testing.T) {
	for value, want := range map[string]string{"": "ENGINE_FD is not set", "x": "number of a descriptor", "-3": "number of a descriptor"} {
		_, err := inherited(func(name string) string {
			if name == "ENGINE_FD" {
				return value
			}
			return ""
		}, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ENGINE_FD=%s: %v", value, err)
		}
	}
}

// TestProcess is this program run again as an engine, in each way in which the server starts one.
func TestProcess(t *testing.T) {
	if os.Getenv("SDK_TEST_ENGINE") == "1" {
		err := Serve(context.Background(), Engine{Name: "child", Handler: func(c *Context) ([]byte, error) {
			fmt.Println("stray")
			return joined(c)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, way := range []string{"ENGINE_FD=3", "ENGINE_STDIO=1", "pipes"} {
		t.Run(way, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestProcess$")
			p := startProcess(t, cmd, way)
			p.write(call(1, "", "a", "b"))
			p.want(revcap.Unprocessed, 1, "", "")
			p.want(revcap.Completed, 1, "", "a|b")
			p.write(revcap.AppendOrder(nil, revcap.Logoff, 0))
			p.end(nil)
		})
	}
}
