package relay

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"roundhouse/server/config"
	"roundhouse/server/loop"
)

// dynamicRelay starts a relay with two loops that lets farms g* in, and has the farm "f" with the server "s".
func dynamicRelay(t *testing.T, bounds dynamicBounds) (*Relay, *config.Config) {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Trust.AutoConfig = "g*=secret"
	f, b := config.DefaultFarm(), config.DefaultBackend()
	f.ID, b.Farm, b.ID = "f", "f", "s"
	cfg.Relay.Farms, cfg.Relay.Backends = []config.Farm{f}, []config.Backend{b}
	log := slog.New(slog.DiscardHandler)
	g, err := loop.New(loop.Options{Loops: 2, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(cfg, g, log, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	r.dynamics.bounds = bounds
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, cfg
}

// has tells whether a server is part of the configuration in force.
func has(r *Relay, farm, server string) bool {
	_, b := r.view.Load().server(farm, server)
	return b != nil
}

// TestDynamicsGo: a server stays for its time after its enabler, counted anew each time that one was there, and takes its farm along.
func TestDynamicsGo(t *testing.T) {
	r, _ := dynamicRelay(t, dynamicBounds{most: 10, life: usualDynamics.life, look: time.Hour})
	served, left := serverName{"g1", "a"}, serverName{"g1", "b"}
	for _, name := range []serverName{served, left} {
		if no := r.dynamics.add(r, name); no.failure != nil {
			t.Fatal(no.text)
		}
		r.gate.claims.joined(name, "run")
	}
	start := time.Now()
	for _, row := range []struct {
		after       time.Duration
		come, leave serverName
		left        bool // is there
	}{
		{after: time.Hour, left: true},
		{after: 0, leave: left, left: true},
		{after: usualDynamics.life - time.Second, left: true},
		{after: time.Second, come: left, left: true}, // in time
		{after: time.Hour, leave: left, left: true},  // nobody has seen it leave until now
		{after: usualDynamics.life - time.Second, left: true},
		{after: time.Second, left: false},
	} {
		start = start.Add(row.after)
		if row.come != (serverName{}) {
			r.gate.claims.joined(row.come, "again")
		}
		if row.leave != (serverName{}) {
			r.gate.claims.left(row.leave, "run")
			r.gate.claims.left(row.leave, "again")
		}
		if some := r.dynamics.sweep(r, start); !some || has(r, "g1", "b") != row.left || !has(r, "g1", "a") {
			t.Errorf("%+v: %v, %v", row, some, has(r, "g1", "b"))
		}
	}
	r.gate.claims.left(served, "run")
	r.dynamics.sweep(r, start)
	if some := r.dynamics.sweep(r, start.Add(usualDynamics.life)); some || has(r, "g1", "a") || r.view.Load().farm([]byte("g1")) != nil || !has(r, "f", "s") {
		t.Error("the farm has not gone, or more than it")
	}
}

// TestDynamicsTimer: it is looked at by itself, also after a time without any.
func TestDynamicsTimer(t *testing.T) {
	r, _ := dynamicRelay(t, dynamicBounds{most: 10, life: time.Nanosecond, look: time.Millisecond})
	for i := range 3 {
		if no := r.dynamics.add(r, serverName{"g", fmt.Sprint(i)}); no.failure != nil {
			t.Fatal(no.text)
		}
		tick := time.NewTicker(time.Millisecond)
		for end := time.Now().Add(20 * time.Second); has(r, "g", fmt.Sprint(i)); <-tick.C {
			if time.Now().After(end) {
				t.Fatal("it stays")
			}
		}
		tick.Stop()
	}
}

// TestDynamicsBound adds more than there is room for, many at a time.
func TestDynamicsBound(t *testing.T) {
	const most, more = 100, 20
	r, _ := dynamicRelay(t, dynamicBounds{most: most, life: time.Hour, look: time.Hour})
	var all sync.WaitGroup
	refused := make(chan string, most+more)
	for i := range most + more {
		all.Go(func() {
			if no := r.dynamics.add(r, serverName{fmt.Sprint("g", i), "s"}); no.failure != nil {
				refused <- no.text
			}
		})
	}
	all.Wait()
	if len(refused) != more || len(r.view.Load().farms) != 1+most {
		t.Errorf("%d refused, %d farms", len(refused), len(r.view.Load().farms))
	}
	if no := r.dynamics.add(r, serverName{"g", "late"}); no.failure != failBusy {
		t.Error("one too many is let in")
	}
	if no := r.dynamics.add(r, serverName{"g\n", "s"}); no.failure != failOERequest {
		t.Error("any name will do")
	}
}

// TestDynamicsReload: those that auto_config would not let in any more go at once, and those that the configuration now names become its own.
func TestDynamicsReload(t *testing.T) {
	r, cfg := dynamicRelay(t, dynamicBounds{most: 10, life: time.Hour, look: time.Hour})
	for _, farm := range []string{"g1", "g2"} {
		if no := r.dynamics.add(r, serverName{farm, "s"}); no.failure != nil {
			t.Fatal(no.text)
		}
	}
	for _, row := range r.Servers() {
		if row.Dynamic != (row.Farm != "f") || row.Token != row.Dynamic {
			t.Errorf("%+v", row)
		}
	}
	_, _, page := r.Render(ParseReportQuery("", ForAdmin), "1", 1, nil)
	if bytes.Count(page, []byte("dynamic: by auto_config")) < 2 {
		t.Errorf("the status page does not tell who is dynamic:\n%s", page)
	}
	next := *cfg
	f, b := config.DefaultFarm(), config.DefaultBackend()
	f.ID, b.Farm, b.ID = "g1", "g1", "s"
	next.Relay.Farms, next.Relay.Backends = append(next.Relay.Farms, f), append(next.Relay.Backends, b)
	next.Relay.Trust.AutoConfig = "other*=secret"
	if err := r.Reconfigure(&next); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.view.Load().server("g1", "s"); s == nil || r.view.Load().dynamic(s) || has(r, "g2", "s") {
		t.Error("g1 is dynamic or gone, or g2 is there")
	}
}
