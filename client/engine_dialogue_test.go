package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/oes"
)

const timesReply = "0^Startup: 2024-01-02 03:04:05; Current 2024-01-02 04:05:06^"

// recorder notes the events of a call.
type recorder struct {
	strings.Builder
	answer string
}

func (r *recorder) events() Events {
	return Events{
		Output:  func(chunk []byte) error { fmt.Fprintf(r, "[%s]", chunk); return nil },
		Info:    func(text string) error { fmt.Fprintf(r, "{%s}", text); return nil },
		Working: func() error { r.WriteString("."); return nil },
		Ask: func(_ context.Context, prompt string) (string, error) {
			fmt.Fprintf(r, "<%s>", prompt)
			return r.answer, nil
		},
	}
}

func TestDialogue(t *testing.T) {
	for mode, row := range map[Mode]struct{ code, prefix string }{Char: {"4", "0"}, JD3: {"400", ""}} {
		c := logIn(t, mode, Options{}, func(p *peer) {
			p.want(row.code + "^ADD^2^")
			p.send(row.prefix + "2^line 1\r\n^")
			p.want("18^")
			p.send(row.prefix + "5^50%^")
			p.want("18^")
			p.send(row.prefix + "18^^")
			p.want("18^")
			p.send(row.prefix + "19^Name? ^")
			p.want("19^Bob^")
			p.send(row.prefix + "0^the rest^fine^")
		})
		r := recorder{answer: "Bob"}
		out, err := c.CallEvents(testContext(t), r.events(), "ADD", "2")
		if string(out) != wire("the rest^fine") || err != nil || r.String() != "[line 1\r\n]{50%}.<Name? >" {
			t.Errorf("%q, %v, %q", out, err, r.String())
		}
		if output, status := CutStatus(out); string(output) != "the rest" || string(status) != "fine" {
			t.Errorf("%q, %q", output, status)
		}
	}
	if output, status := CutStatus([]byte("x")); string(output) != "x" || status != nil {
		t.Errorf("%q, %q", output, status)
	}
}

// TestCollect has a dialogue without callbacks.
func TestCollect(t *testing.T) {
	c := logIn(t, Char, Options{MaxReply: 80}, func(p *peer) {
		p.want("3^A^")
		p.send("02^one ^")
		p.want("18^")
		p.send("018^^")
		p.want("18^")
		p.send("05^two ^")
		p.want("18^")
		p.send("019^Name? ^")
		p.want("19^^")
		p.send("00^three^")
		p.want("3^B^")
		p.send("02^half^")
		p.want("18^")
		p.send("11^No luck^ way^")
		p.want("3^C^")
		p.send("02^" + strings.Repeat("x", 50) + "^")
		p.want("18^")
		p.send("02^" + strings.Repeat("x", 50) + "^")
		p.want("100^") // too much
		p.send("02^more^")
		p.want("100^")
		p.send("11^Broken^")
		p.want("3^D^")
		p.send("02^" + strings.Repeat("x", 50) + "^")
		p.want("18^")
		p.send("00^" + strings.Repeat("x", 50) + "^")
		p.wantEnd()
	})
	ctx := testContext(t)
	if out, err := c.Execute(ctx, "A"); string(out) != "one two three" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	_, err := c.Execute(ctx, "B")
	failedAs(t, err, "No luck")
	if failed := new(ServerError); !errors.As(err, &failed) || string(failed.Output) != "half way" {
		t.Errorf("output %q", failed.Output)
	}
	for _, name := range []string{"C", "D"} {
		if out, err := c.Execute(ctx, name); !errors.Is(err, ErrTooLarge) || c.Err() != nil {
			t.Errorf("%q, %v, %v", out, err, c.Err())
		}
	}
}

// TestPush has a server that does not wait, but for the answer to a question.
func TestPush(t *testing.T) {
	c := logIn(t, CharPush, Options{}, func(p *peer) {
		p.want("3^A^")
		p.send("02^1^", "05^2^", "018^^", "02^3^", "019^Name? ^")
		p.want("19^Bob^")
		p.send("02^4^", "00^5^")
		p.want("3^B^")
		p.send("02^1^", "02^2^", "02^3^")
		p.want("100^")
		p.send("02^4^", "019^Name? ^")
		p.want("100^")
		p.send("11^Broken^", "00^") // the second break came after the end
		p.want("-5^")
		p.send(timesReply)
		p.want("3^C^")
		p.send("00^^")
	})
	r := recorder{answer: "Bob"}
	if out, err := c.ExecuteEvents(testContext(t), r.events(), "A"); string(out) != "5" || err != nil || r.String() != "[1]{2}.[3]<Name? >[4]" {
		t.Errorf("%q, %v, %q", out, err, r.String())
	}
	why, seen := errors.New("enough"), 0
	_, err := c.ExecuteEvents(testContext(t), Events{Output: func([]byte) error { seen++; return why }}, "B")
	if !errors.Is(err, why) || seen != 1 || c.Err() != nil {
		t.Errorf("%v, %d chunks, %v", err, seen, c.Err())
	}
	if _, err := c.Execute(testContext(t), "C"); err != nil {
		t.Error(err)
	}
}

// TestCancel has the cancelled call of a block mode: the connection stays usable, whether the break met the running call or came late.
func TestCancel(t *testing.T) {
	for name, late := range map[string][]string{"in time": {timesReply}, "late": {"00^", timesReply}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(testContext(t))
			c := logIn(t, Block, Options{}, func(p *peer) {
				p.want("3^A^")
				cancel()
				p.want("100^")
				p.send("00^done all the same^")
				p.want("-5^")
				p.send(late...)
				p.want("3^B^")
				p.send("00^next^")
			})
			if _, err := c.Execute(ctx, "A"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if out, err := c.Execute(testContext(t), "B"); string(out) != "next" || err != nil {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// TestCancelDialogue has a call that is cancelled while the server owes a reply, in a callback, and while the answer is awaited.
func TestCancelDialogue(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	c := logIn(t, Char, Options{}, func(p *peer) {
		p.want("3^A^")
		cancel()
		p.want("100^")
		p.send("02^was on its way^")
		p.want("100^")
		p.send("019^Really? ^")
		p.want("100^")
		p.send("11^Broken^")
		p.want("-5^")
		p.send("00^", "00^", timesReply)
		p.want("3^B^")
		p.send("02^x^")
		p.want("100^")
		p.send("11^Broken^") // in turn: nothing to find out
		p.want("3^C^")
		p.send("019^Name? ^")
		p.want("100^")
		p.send("11^Broken^")
		p.wantEnd()
	})
	r := recorder{}
	if _, err := c.ExecuteEvents(ctx, r.events(), "A"); !errors.Is(err, context.Canceled) || r.Len() > 0 {
		t.Errorf("%v, %q", err, r.String())
	}
	ctx, cancel = context.WithCancel(testContext(t))
	if _, err := c.ExecuteEvents(ctx, Events{Output: func([]byte) error { cancel(); return nil }}, "B"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(testContext(t))
	ask := func(ctx context.Context, _ string) (string, error) {
		cancel()
		<-ctx.Done()
		return "", ctx.Err()
	}
	if _, err := c.ExecuteEvents(ctx, Events{Ask: ask}, "C"); !errors.Is(err, context.Canceled) || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestCancelIsBounded has servers that do not end the call, or answer nonsense after it.
func TestCancelIsBounded(t *testing.T) {
	for name, row := range map[string]struct {
		wait   time.Duration
		script func(*peer)
	}{
		"no end":      {300 * time.Millisecond, func(p *peer) { p.want("100^"); p.wantEnd() }},
		"no wait":     {-1, func(p *peer) { p.wantEnd() }},
		"no times":    {2 * time.Second, func(p *peer) { p.want("100^"); p.send("00^A^"); p.want("-5^"); p.wantEnd() }},
		"out of step": {testTime, func(p *peer) { p.want("100^"); p.send("00^A^"); p.want("-5^"); p.send("00^B^"); p.wantEnd() }},
		"too many": {testTime, func(p *peer) {
			p.want("100^")
			p.send("00^A^")
			p.want("-5^")
			p.send("00^", "00^", timesReply)
			p.wantEnd()
		}},
		"no more times": {testTime, func(p *peer) {
			p.want("100^")
			p.send("00^A^")
			p.want("-5^")
			p.send("1^Unknown command -5^")
			p.wantEnd()
		}},
		"lost": {testTime, func(p *peer) { p.want("100^"); p.send("00^A^") }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(testContext(t))
			c := logIn(t, Block, Options{BreakWait: row.wait}, func(p *peer) {
				p.want("3^A^")
				cancel()
				row.script(p)
			})
			if _, err := c.Execute(ctx, "A"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if err := c.Err(); !errors.Is(err, ErrBroken) {
				t.Error(err)
			}
		})
	}
}

// TestBreakInTurn gives orders in a dialogue: they take the place of the client's answers.
func TestBreakInTurn(t *testing.T) {
	var c *Conn
	orders := func(order func(context.Context) error) { // in a callback, and twice
		for range 2 {
			if err := order(testContext(t)); err != nil {
				t.Error(err)
			}
		}
	}
	c = logIn(t, Char, Options{}, func(p *peer) {
		p.want("3^A^")
		p.send("02^x^")
		p.want("101^")
		p.send("019^Debug? ^")
		p.want("100^")
		p.send("019^Really? ^")
		p.want("19^yes^")
		p.send("11^Broken^")
		p.want("100^")
		p.send("00^") // nothing runs
		p.wantEnd()
	})
	_, err := c.ExecuteEvents(testContext(t), Events{
		Output: func([]byte) error { orders(c.Debug); return nil },
		Ask: func(ctx context.Context, prompt string) (string, error) {
			if prompt == "Debug? " {
				orders(c.Break)
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "yes", ctx.Err()
		},
	}, "A")
	failedAs(t, err, "Broken")
	if err := c.Break(testContext(t)); err != nil || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestBreakWaitsForTheTurn has orders that come while the engine computes: they wait for the turn, for a while.
func TestBreakWaitsForTheTurn(t *testing.T) {
	var c *Conn
	ready := make(chan struct{})
	c = logIn(t, Char, Options{}, func(p *peer) {
		<-ready
		p.want("3^A^")
		if err := c.Break(testContext(t)); err != nil {
			t.Error(err)
		}
		p.send("018^^")
		p.want("100^")
		p.send("11^Broken^")

		p.want("3^B^")
		c.turnWait = time.Millisecond // the call's goroutine reads it after the order
		if err := c.Break(testContext(t)); err != nil {
			t.Error(err)
		}
		p.want("100^") // out of turn
		p.send("02^last words^")
		p.want("18^")
		p.send("11^Broken^")
		p.want("-5^")
		p.send(timesReply)
		p.want("3^C^")
		p.send("00^^")
	})
	c.turnWait = testTime
	close(ready)
	_, err := c.Execute(testContext(t), "A")
	failedAs(t, err, "Broken")
	_, err = c.Execute(testContext(t), "B")
	failedAs(t, err, "Broken")
	if _, err := c.Execute(testContext(t), "C"); err != nil {
		t.Error(err)
	}
}

// TestBreakOutOfTurn has an order for the call of a block mode, which has no turns.
func TestBreakOutOfTurn(t *testing.T) {
	var c *Conn
	ready := make(chan struct{})
	c = logIn(t, Web, Options{}, func(p *peer) {
		<-ready
		p.want("3^A^")
		if err := c.Break(testContext(t)); err != nil {
			t.Error(err)
		}
		p.want("100^")
		p.send("11^Broken^half^")
		p.want("-5^")
		p.send(timesReply)
		p.wantEnd()
	})
	close(ready)
	_, err := c.Execute(testContext(t), "A")
	failedAs(t, err, "Broken")
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

// TestDebugGivesWay has both orders before the call takes one: the break wins.
func TestDebugGivesWay(t *testing.T) {
	for _, orders := range [][]int{{oes.Break, oes.Debug}, {oes.Debug, oes.Break}} {
		x := &call{orders: make(chan int, 1)}
		c := &Conn{call: x}
		for _, order := range orders {
			if !c.orderCall(order) {
				t.Error("no call")
			}
		}
		if got := <-x.orders; got != oes.Break {
			t.Errorf("%v: %d", orders, got)
		}
	}
}

// TestCallbackFails has callbacks that return an error or panic, and answers that cannot be sent.
func TestCallbackFails(t *testing.T) {
	c := logIn(t, Char, Options{}, func(p *peer) {
		for _, code := range []string{"02^a^", "05^a^", "018^^", "019^a^", "019^b^"} {
			p.want("3^A^")
			p.send(code)
			p.want("100^")
			p.send("11^Broken^")
		}
		p.want("3^B^")
		p.send("019^" + strings.Repeat("long", 10) + "^")
		p.want("19^" + strings.Repeat("long", 10_000) + "^")
		p.send("02^" + "panic" + "^")
		p.wantEnd()
	})
	why := errors.New("enough")
	for range 4 {
		e := Events{
			Output: func([]byte) error { return why }, Info: func(string) error { return why },
			Working: func() error { return why }, Ask: func(context.Context, string) (string, error) { return "x", why },
		}
		if _, err := c.ExecuteEvents(testContext(t), e, "A"); !errors.Is(err, why) {
			t.Error(err)
		}
	}
	e := Events{
		Ask:    func(_ context.Context, prompt string) (string, error) { return strings.Repeat(prompt, 1000), nil },
		Output: func([]byte) error { panic(why) },
	}
	delimiter := Events{Ask: func(context.Context, string) (string, error) { return "\x01", nil }}
	if _, err := c.ExecuteEvents(testContext(t), delimiter, "A"); !errors.Is(err, ErrParameter) || c.Err() != nil {
		t.Errorf("%v, %v", err, c.Err())
	}
	func() {
		defer func() {
			if r := recover(); r != why {
				t.Errorf("panic %v", r)
			}
		}()
		_, _ = c.ExecuteEvents(testContext(t), e, "B")
	}()
	if !errors.Is(c.Err(), ErrBroken) || len(c.turn) > 0 {
		t.Errorf("%v, turn %d", c.Err(), len(c.turn))
	}
}

func TestResume(t *testing.T) {
	c := dial(t, serve(t, func(p *peer) {
		p.want("1^u^p^A^1^E1#tok^^^^^")
		p.send("00^oed 1.0 MAIN^engine=E1;mode=1;resumed=1^2026-12-31^")
		p.want("18^")
		p.send("02^kept^")
		p.want("18^")
		p.send("00^end^")
	}), Options{})
	cr := creds(Char)
	cr.Server = "E1#tok"
	if s, err := c.Login(testContext(t), cr); !s.Resumed || s.Resume != "E1" || s.Expires != "2026-12-31" || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
	r := recorder{}
	if out, err := c.Resume(testContext(t), r.events()); string(out) != "end" || r.String() != "[kept]" || err != nil {
		t.Errorf("%q, %q, %v", out, r.String(), err)
	}
}

// TestLoginIsCancelled: the server may be waiting for an engine, and sees that nobody waits with it.
func TestLoginIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	c := dial(t, serve(t, func(p *peer) {
		p.want("1^u^p^A^1^^^^^^")
		cancel()
		p.wantEnd()
	}), Options{})
	if _, err := c.Login(ctx, creds(Char)); !errors.Is(err, context.Canceled) || !errors.Is(c.Err(), ErrBroken) {
		t.Errorf("%v, %v", err, c.Err())
	}
}
