package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roundhouse/client/pubsub"
	"roundhouse/cmd/process"
	"roundhouse/codec/message"
	"roundhouse/server"
	"roundhouse/server/config"
)

// serveRouter runs a server with a router door and returns its address.
func serveRouter(t *testing.T) string {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Listen, cfg.Engine.Listen, cfg.Admin.Listen = nil, nil, ""
	cfg.Router.Listen = []string{"tcp:127.0.0.1:0"}
	cfg.Router.EnableControlMsgs = []string{"_all"}
	cfg.Loops, cfg.DrainGrace = 2, 0
	s, err := server.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.RouterAddrs()[0].String()
}

// runCommand is run, with an input and a context.
func runCommand(ctx context.Context, in io.Reader, out io.Writer, args ...string) (code int, errOut string) {
	root := newRoot([]string{"ROUNDHOUSE_PASSWORD=p"})
	var e bytes.Buffer
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(&e)
	err := root.ExecuteContext(ctx)
	var ended *exitError
	switch {
	case errors.As(err, &ended):
		if code = ended.code; ended.err != nil {
			fmt.Fprintln(&e, ended.err)
		}
	case err != nil:
		code = process.ExitUsage
		fmt.Fprintln(&e, err)
	}
	return code, e.String()
}

func routerClient(t *testing.T, addr string) *pubsub.Conn {
	t.Helper()
	c, err := pubsub.Connect(t.Context(), pubsub.Options{Servers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPub(t *testing.T) {
	addr := serveRouter(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := routerClient(t, addr)
	sub, err := c.SubscribeChan(ctx, "/...")
	if err != nil || c.Flush(ctx) != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		args string // by blanks, a _ stands for one
		in   string
		got  string // what comes, by semicolons
		code int
		err  string
	}{
		"data":          {args: "/a x y_z", got: "/a x;/a y z"},
		"lines":         {args: "b/c", in: "1\n\n2", got: "/b/c 1;/b/c ;/b/c 2"},
		"no lines":      {args: "/a"},
		"typed":         {args: "--type Numeric_Data /a {_temp_88.5_}", got: "numeric_data /a temp 88.5"},
		"number":        {args: "--type 100 /a {_int4_7_}", got: "100 /a { int4 7 }"},
		"count":         {args: "--count 3 --rate 1000 /a x", got: "/a x;/a x;/a x"},
		"reply":         {args: "--reply /r --balance sorted /a x", got: "/a x reply=/r balance=3"},
		"bad subject":   {args: "a//b x", code: 1, err: "a component is empty"},
		"bad fields":    {args: "--type info /a {", code: 2, err: "data of type info, str"},
		"two messages":  {args: "--type info /a \"x\"_info_/b_\"y\"", code: 2, err: "more than one message"},
		"bad type":      {args: "--type nothing /a x", code: 2, err: "no such type"},
		"bad balance":   {args: "--balance weighted /a x", code: 2, err: "round_robin or sorted"},
		"bad count":     {args: "--count 0 /a x", code: 2, err: "at least 1"},
		"internal type": {args: "--type disconnect /a \"x\"", code: 1, err: "between a client and its server"},
		"no subject":    {code: 2, err: "at least 1 arg"},
		"no server":     {args: "--server tcp:x:y /a x", code: 1, err: "is not a number"},
		"no authority":  {args: "--ca /none /a x", code: 1, err: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(row.args)
			for i := range args {
				if args[i] != "nothing" && !strings.HasPrefix(args[i], "--") && !strings.EqualFold(args[i], "numeric_data") && args[i] != "round_robin" {
					args[i] = strings.ReplaceAll(args[i], "_", " ")
				}
			}
			code, errOut := runCommand(ctx, strings.NewReader(row.in), io.Discard, append([]string{"pub", "--server", addr}, args...)...)
			if code != row.code || !strings.Contains(errOut, row.err) || row.err == "" && errOut != "" {
				t.Errorf("exit code %d, %q", code, errOut)
			}
			for want := range strings.SplitSeq(row.got, ";") {
				if row.got == "" {
					break
				}
				m, err := sub.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if got := shown(m); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func shown(m *pubsub.Msg) string {
	s := payload(m)
	if isData(m) {
		s = m.Subject + " " + s
	}
	if m.Reply != "" || m.Balance != message.BalanceNone {
		s += fmt.Sprintf(" reply=%s balance=%d", m.Reply, m.Balance)
	}
	return s
}

func TestSub(t *testing.T) {
	addr := serveRouter(t)
	c := routerClient(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, row := range map[string]struct {
		args  []string
		names int
		out   string
	}{
		"printed": {[]string{"--count", "4", "/a/...", "/a/b"}, 2, "/a/b\ttext é\n/a/c\tb\\x01\\xff\\u200b\n/a/d\tinfo /a/d \"x\"\n/a/e\t\n"},
		"raw":     {[]string{"--count", "2", "--raw", "--no-balancing", "/a/*"}, 1, "text é\nb\x01\xff\u200b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			want := subscriptions(ctx, t, c) + 3 + row.names // its own, _all, that of its host, and these
			ended := make(chan int, 1)
			go func() { // ends with the messages
				code, errOut := runCommand(ctx, nil, &out, append([]string{"sub", "--server", addr}, row.args...)...)
				if errOut != "" {
					t.Error(errOut)
				}
				ended <- code
			}()
			publish := func() {
				for _, m := range []pubsub.Msg{
					{Subject: "/a/b", Data: []byte("text é")}, {Subject: "/a/c", Data: []byte("b\x01\xff\u200b")},
					{Subject: "/a/d", Type: message.TypeInfo, Fields: message.AppendStr(nil, "x")}, {Subject: "/a/e"},
				} {
					if err := c.PublishMsg(ctx, &m); err != nil {
						t.Error(err)
					}
				}
			}
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for subscriptions(ctx, t, c) < want {
				<-tick.C
			}
			publish()
			if code := <-ended; code != 0 || out.String() != row.out {
				t.Errorf("exit code %d, %q", code, out.String())
			}
		})
	}
	if code, errOut := runCommand(ctx, nil, io.Discard, "sub", "--server", addr, "/a//b"); code != 1 || !strings.Contains(errOut, "a component is empty") {
		t.Errorf("exit code %d, %q", code, errOut)
	}
	over, stop := context.WithCancel(ctx)
	stop()
	if code, _ := runCommand(over, nil, io.Discard, "sub", "--server", addr, "/a"); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// subscriptions is how many there are.
func subscriptions(ctx context.Context, t *testing.T, c *pubsub.Conn) (n int) {
	t.Helper()
	text, err := c.Command(ctx, pubsub.OwnServer, "stats")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "\nsubscriptions ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

func TestRequestCommand(t *testing.T) {
	addr := serveRouter(t)
	c := routerClient(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Subscribe(ctx, "/echo", func(m *pubsub.Msg) {
		if err := m.Respond(ctx, append([]byte("re "), m.Data...)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Subscribe(ctx, "/silent", func(*pubsub.Msg) {}); err != nil || c.Flush(ctx) != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{args: []string{"/echo", "hi"}, out: "re hi\n"},
		{args: []string{"--raw", "/echo"}, out: "re "},
		{args: []string{"--timeout", "30ms", "/silent"}, code: 1, err: "no answer in time: 30ms\n"},
		{args: []string{"/none"}, code: 1, err: "nobody answers requests to /none\n"},
		{args: []string{"--type", "control", "_server", `"echo hi"`}, out: `"hi"`},
		{args: []string{"--type", "control", "_server", `x`}, code: 2, err: "data of type control"},
		{args: []string{"a", "b", "c"}, code: 2, err: "accepts between 1 and 2 arg"},
	} {
		var out bytes.Buffer
		code, errOut := runCommand(ctx, nil, &out, append([]string{"request", "--server", addr}, row.args...)...)
		if code != row.code || !strings.Contains(out.String(), row.out) || !strings.Contains(errOut, row.err) || row.err == "" && errOut != "" {
			t.Errorf("%v: exit code %d, %q, %q", row.args, code, out.String(), errOut)
		}
	}
}
