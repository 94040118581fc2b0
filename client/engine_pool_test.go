package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echo plays a server that logs in and sends parameters back until the client goes.
func echo(p *peer) {
	p.login("0")
	for {
		payload, err := readFrame(p.r, 1<<20)
		if err != nil {
			return
		}
		p.send("00^" + strings.TrimPrefix(string(payload), "3\x01"))
	}
}

func newPool(t *testing.T, addr string, o PoolOptions) *Pool {
	t.Helper()
	o.Credentials = creds(Block)
	p := NewPool(addr, o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// TestPoolIsBounded has more callers than connections, and as many connections as allowed.
func TestPoolIsBounded(t *testing.T) {
	var open, most atomic.Int32
	script := func(p *peer) {
		n := open.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		defer open.Add(-1)
		echo(p)
	}
	held := newPool(t, serve(t, script, script, script), PoolOptions{Max: 3})
	var conns []*Conn
	for range 3 {
		c, err := held.Get(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	ctx, cancel := context.WithTimeout(testContext(t), time.Millisecond)
	defer cancel()
	if _, err := held.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, c := range conns {
		held.Put(c)
		held.Put(c) // nothing happens
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for j := range 5 {
				name := fmt.Sprint(i, ".", j)
				if out, err := held.Execute(testContext(t), name); string(out) != name || err != nil {
					t.Errorf("%s: %q, %v", name, out, err)
				}
			}
		})
	}
	all.Wait()
	if most.Load() != 3 {
		t.Errorf("%d connections, want 3", most.Load())
	}
}

// TestPoolDropsBroken has a connection that ends during a call, one that ends between calls, and one that works.
func TestPoolDropsBroken(t *testing.T) {
	p := newPool(t, serve(t, func(p *peer) {
		p.login("0")
		p.want("4^A^")
	}, func(p *peer) {
		p.login("0")
		p.want("4^B^")
		p.send("00^b^")
	}, func(p *peer) {
		p.login("0")
		p.want("4^C^")
		p.send("00^c^")
		p.wantEnd()
	}), PoolOptions{Max: 1})
	ctx := testContext(t)
	if _, err := p.Call(ctx, "A"); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
	c, err := p.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.Call(ctx, "B"); string(out) != "b" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	p.Put(c)
	<-c.readDone // the server has closed it
	if out, err := p.CallEvents(ctx, Events{}, "C"); string(out) != "c" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// TestPoolLogin has a login that is refused: the slot is free again.
func TestPoolLogin(t *testing.T) {
	p := newPool(t, serve(t, func(p *peer) {
		p.want("1^u^p^A^0^^^^^^")
		p.send("11^Login failed: locked^")
		p.wantEnd()
	}, echo), PoolOptions{Max: 1})
	_, err := p.Execute(testContext(t), "A")
	failedAs(t, err, "Login failed: locked")
	if out, err := p.Execute(testContext(t), "A"); string(out) != "A" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

func TestPoolKeeps(t *testing.T) {
	for name, row := range map[string]struct {
		o     PoolOptions
		conns int
	}{
		"all":     {PoolOptions{}, 1},
		"none":    {PoolOptions{MaxIdle: -1}, 2},
		"for now": {PoolOptions{IdleTime: time.Nanosecond}, 2},
		"longer":  {PoolOptions{IdleTime: time.Hour}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			scripts := []func(*peer){echo, echo}[:row.conns]
			p := newPool(t, serve(t, scripts...), row.o)
			for range 2 {
				if _, err := p.Execute(testContext(t), "A"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestPoolClose(t *testing.T) {
	p := newPool(t, serve(t, echo, echo), PoolOptions{Max: 2})
	ctx := testContext(t)
	first, err := p.Get(ctx)
	second, err2 := p.Get(ctx)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	p.Put(first)
	waited := make(chan error)
	third, err := p.Get(ctx) // first, again
	if err != nil || third != first {
		t.Fatal(err)
	}
	go func() { // ends when the pool is closed
		_, err := p.Get(ctx)
		waited <- err
	}()
	_ = p.Close()
	_ = p.Close()
	if err := <-waited; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if out, err := second.Execute(ctx, "A"); string(out) != "A" || err != nil { // lent ones work on
		t.Errorf("%q, %v", out, err)
	}
	p.Put(second)
	p.Put(third)
	if !errors.Is(second.Err(), ErrClosed) || !errors.Is(third.Err(), ErrClosed) {
		t.Error(second.Err(), third.Err())
	}
	if _, err := p.Execute(ctx, "A"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Get(cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
