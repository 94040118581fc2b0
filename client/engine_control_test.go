package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestControl(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	c := dial(t, serve(t, func(p *peer) {
		p.want("-1^1^")
		p.send("00^*\xfdE1\xfdActive Asynchronous\xfe\xfdE2\xfdPhantom^")
		p.want("-1^1^")
		p.send("0^^") // without a prefix, and empty
		p.want("-1^")
		p.send("0^<table></table>^")
		p.want("-5^")
		p.send(timesReply)
		p.want("-5^")
		p.send("0^yesterday^")
		p.want("-2^pw^")
		p.send("0^Idle Engines shut down^")
		p.want("-3^pw^E1^*^")
		p.send("0^All Engines shut down^")
		p.want("-3^wrong^")
		p.send("1^Access Denied^")
		p.want("-10^pw^RECYCLE^E1^")
		p.send("0^recycled^")
		p.want("-4^1~u~p~A~3~~PROC~~~~^3~NIGHTLY~^19~yes~^")
		p.send("0^Phantom started^")
		p.want("-5^")
		cancel()
		p.send("0^late^") // no break: it is no call
		p.want("-5^")
		p.send("02^x^")
		p.wantEnd()
	}), Options{})
	rows, err := c.List(ctx)
	if fmt.Sprintf("%q", rows) != `[["*" "E1" "Active Asynchronous"] ["" "E2" "Phantom"]]` || err != nil {
		t.Errorf("%q, %v", rows, err)
	}
	if rows, err := c.List(ctx); rows != nil || err != nil {
		t.Errorf("%q, %v", rows, err)
	}
	if html, err := c.ListHTML(ctx); html != "<table></table>" || err != nil {
		t.Errorf("%q, %v", html, err)
	}
	if started, now, err := c.Times(ctx); started.String() != "2024-01-02 03:04:05 +0000 UTC" || now.Sub(started).String() != "1h1m1s" || err != nil {
		t.Errorf("%v, %v, %v", started, now, err)
	}
	if _, _, err := c.Times(ctx); err == nil {
		t.Error("yesterday is a time")
	}
	for _, row := range []struct {
		run  func() (string, error)
		want string
	}{
		{func() (string, error) { return c.StopIdle(ctx, "pw") }, "Idle Engines shut down"},
		{func() (string, error) { return c.StopAll(ctx, "pw", "E1", "*") }, "All Engines shut down"},
		{func() (string, error) {
			_, err := c.StopAll(ctx, "wrong")
			failedAs(t, err, "Access Denied")
			return c.Admin(ctx, "pw", "RECYCLE", "E1")
		}, "recycled"},
		{func() (string, error) {
			cr := creds(Char)
			cr.Procedure = "PROC"
			return c.Phantom(ctx, cr, Subcommand{3, []string{"NIGHTLY"}}, Subcommand{19, []string{"yes"}})
		}, "Phantom started"},
	} {
		if text, err := row.run(); text != row.want || err != nil {
			t.Errorf("%q, %v; want %q", text, err, row.want)
		}
	}
	if _, err := c.Phantom(ctx, creds(Char), Subcommand{3, []string{"a\x02b"}}); !errors.Is(err, ErrParameter) {
		t.Error(err)
	}
	if _, err := c.control(ctx, -5); err != nil && !errors.Is(err, context.Canceled) || c.Err() != nil { // nil: the reply was faster
		t.Errorf("%v, %v", err, c.Err())
	}
	if _, _, err := c.Times(testContext(t)); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
}

func TestVerb(t *testing.T) {
	c := logIn(t, JD3, Options{}, func(p *peer) {
		p.want("5^VOC^KEY^")
		p.send("0^record^")
	})
	if out, err := c.Verb(testContext(t), 5, "VOC", "KEY"); string(out) != "record" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	for _, code := range []int{-1, 0, 1, 2, 3, 4, 18, 19, 100, 101, 400} {
		if _, err := c.Verb(testContext(t), code); !errors.Is(err, ErrParameter) {
			t.Errorf("%d: %v", code, err)
		}
	}
}
