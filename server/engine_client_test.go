package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"roundhouse/client"
	"roundhouse/server/config"
)

// dialClient connects with package client and logs in.
func (s *engineUnderTest) dialClient(mode client.Mode) *client.Conn {
	s.t.Helper()
	c, err := client.Dial(s.t.Context(), s.addr, client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // some tests have closed it
	if _, err := c.Login(s.t.Context(), client.Credentials{User: "guest", Password: "pw", Application: "EXAMPLES", Mode: mode}); err != nil {
		s.t.Fatalf("login in mode %q: %v", mode, err)
	}
	return c
}

// TestEngineClientModes makes calls in every mode with package client.
func TestEngineClientModes(t *testing.T) {
	s := startEngines(t, nil)
	for _, mode := range []client.Mode{client.JD3, client.Block, client.Char, client.Web, client.JD3Push, client.CharPush} {
		c := s.dialClient(mode)
		for _, call := range []func(context.Context, ...string) ([]byte, error){c.Execute, c.Call} {
			if got, err := call(t.Context(), "upper", "hello"); err != nil || string(got) != "HELLO" {
				t.Errorf("mode %q: %q, %v", mode, got, err)
			}
		}
		var failed *client.ServerError
		if _, err := c.Execute(t.Context(), "crash", "late"); !errors.As(err, &failed) || !strings.Contains(failed.Text, "Engine ended unexpectedly") {
			t.Errorf("mode %q: a crash: %v", mode, err)
		}
		if mode == client.Char || mode == client.CharPush { // it has lost its engine
			continue
		}
		if err := c.Logoff(t.Context()); err != nil {
			t.Errorf("mode %q: logoff: %v", mode, err)
		}
	}
}

// TestEngineClientDialogue answers a question and takes output in pieces with package client.
func TestEngineClientDialogue(t *testing.T) {
	s := startEngines(t, nil)
	for _, mode := range []client.Mode{client.JD3, client.Char, client.JD3Push, client.CharPush} {
		c := s.dialClient(mode)
		asked := ""
		got, err := c.CallEvents(t.Context(), client.Events{Ask: func(_ context.Context, prompt string) (string, error) {
			asked = prompt
			return "Bob", nil
		}}, "ask")
		if err != nil || string(got) != "Hello Bob" || asked != "Name? " {
			t.Errorf("mode %q: asked %q, got %q, %v", mode, asked, got, err)
		}
		const size = 1 << 20
		n := 0
		rest, err := c.CallEvents(t.Context(), client.Events{Output: func(chunk []byte) error {
			n += len(chunk)
			return nil
		}}, "flood", fmt.Sprint(size))
		if n += len(rest); err != nil || n != size {
			t.Errorf("mode %q: %d of %d bytes, %v", mode, n, size, err)
		}
	}
}

// TestEngineClientCancel breaks a call by ending its context, and goes on with the connection.
func TestEngineClientCancel(t *testing.T) {
	s := startEngines(t, nil)
	for _, mode := range []client.Mode{client.JD3, client.Block, client.Char, client.Web, client.CharPush} {
		c := s.dialClient(mode)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { // ends with the call, which is waited for
			_, err := c.Execute(ctx, "slow", "1m")
			done <- err
		}()
		s.eventuallyRows("a call that runs", func(rows []engineRow) bool {
			return enginesIn(rows, "active")+enginesIn(rows, "running")+enginesIn(rows, "wait-continue") > 0
		})
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("mode %q: %v, want context.Canceled", mode, err)
		}
		if got, err := c.Execute(t.Context(), "upper", "again"); err != nil || string(got) != "AGAIN" {
			t.Errorf("mode %q: after the break %q, %v", mode, got, err)
		}
	}
}

// TestEngineClientPool has many goroutines share a few connections.
func TestEngineClientPool(t *testing.T) {
	s := startEngines(t, func(cfg *config.Config) { cfg.Engine.Pool.MaxEngines = 2 })
	p := client.NewPool(s.addr, client.PoolOptions{Max: 3, Credentials: client.Credentials{User: "guest", Mode: client.Block}})
	defer p.Close()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 10 {
				want := fmt.Sprintf("request %d of %d", j, i)
				got, err := p.Execute(t.Context(), "echo", want)
				if err != nil || !bytes.HasSuffix(got, []byte(want)) {
					t.Errorf("%q, %v, want %q", got, err, want)
				}
			}
		})
	}
	all.Wait()
}
