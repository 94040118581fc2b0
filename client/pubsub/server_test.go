package pubsub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/server"
	"roundhouse/server/config"
)

// realServer is a server with a router door.
type realServer struct {
	t          testing.TB
	addr, nats string
	stop       func() // may be called twice
}

// startServer starts one on four loops; change may be nil.
func startServer(t testing.TB, change func(*config.Config)) *realServer {
	t.Helper()
	cfg := config.Default()
	cfg.Relay.Listen, cfg.Engine.Listen, cfg.Admin.Listen = nil, nil, ""
	cfg.Router.Listen = []string{"tcp:127.0.0.1:0"}
	cfg.Router.NATS.Listen = []string{"127.0.0.1:0"}
	cfg.Router.EnableControlMsgs = []string{"_all"}
	cfg.Loops, cfg.DrainGrace = 4, 0
	if change != nil {
		change(cfg)
	}
	s, err := server.New(cfg, slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // ends with ctx
	r := &realServer{t: t, addr: s.RouterAddrs()[0].String(), nats: s.NATSAddrs()[0].String()}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := await(t, "the end of the server", done); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// connect connects to the server; the connection is closed at the end of the test.
func (r *realServer) connect(o Options) *Conn {
	r.t.Helper()
	o.Servers = []string{r.addr}
	c, err := Connect(testContext(r.t), o)
	must(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestServerOrder has several publishers and subscribers on all loops: nothing is lost, doubled or out of order.
func TestServerOrder(t *testing.T) {
	const publishers, subscribers, each = 4, 6, 5000
	ctx := testContext(t)
	s := startServer(t, nil)
	var done sync.WaitGroup
	done.Add(subscribers)
	for i := range subscribers {
		c := s.connect(Options{})
		next, left := map[string]int{}, publishers*each
		name := []string{"/order/*/x", "/order/...", "/.../x"}[i%3]
		_, err := c.Subscribe(ctx, name, func(m *Msg) {
			n, err := strconv.Atoi(string(m.Data))
			if err != nil || n != next[m.Subject] {
				t.Errorf("%s: %q where %d should be", m.Subject, m.Data, next[m.Subject])
			}
			next[m.Subject] = n + 1
			if left--; left == 0 {
				done.Done()
			}
		}, Queue(publishers*each, 0))
		must(t, err)
		_, err = c.Subscribe(ctx, "/order/never", func(*Msg) { t.Error("it came") })
		must(t, err)
		must(t, c.Flush(ctx))
	}
	for i := range publishers {
		c := s.connect(Options{})
		done.Go(func() {
			for n := range each {
				if err := c.Publish(ctx, fmt.Sprint("/order/", i, "/x"), strconv.AppendInt(nil, int64(n), 10)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := c.Flush(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	finished := make(chan bool, 1)
	go func() { done.Wait(); finished <- true }() // ends with the messages
	await(t, "all messages", finished)
}

// TestServerBalancing counts who gets balanced messages.
func TestServerBalancing(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, nil)
	var counts [4]atomic.Int64
	var conns []*Conn
	for i := range counts {
		c := s.connect(Options{Subject: fmt.Sprint("client", i)})
		var options []SubscribeOption
		if i == 3 {
			options = append(options, NoBalancing())
		}
		_, err := c.Subscribe(ctx, "/work/*", func(*Msg) { counts[i].Add(1) }, options...)
		must(t, err)
		must(t, c.Flush(ctx))
		conns = append(conns, c)
	}
	read := func() (all [4]int64) {
		for i := range counts {
			all[i] = counts[i].Load()
		}
		return all
	}
	publisher := s.connect(Options{})
	for _, row := range []struct {
		balance message.Balance
		want    [4]int64
	}{
		{message.BalanceNone, [4]int64{90, 90, 90, 90}},
		{message.RoundRobin, [4]int64{120, 120, 120, 180}},
		{message.Sorted, [4]int64{210, 120, 120, 270}},
	} {
		for range 90 {
			must(t, publisher.PublishMsg(ctx, &Msg{Subject: "/work/a", Balance: row.balance}))
		}
		eventually(t, fmt.Sprint(row.want), func() bool { return read() == row.want })
	}
	must(t, conns[0].Close())
	eventually(t, "the next in order takes over", func() bool {
		must(t, publisher.PublishMsg(ctx, &Msg{Subject: "/work/a", Balance: message.Sorted}))
		return counts[1].Load() > 120
	})
}

// TestServerRestart has clients that find the next server.
func TestServerRestart(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, nil)
	w := newTold()
	o := Options{MaxReconnectDelay: 20 * time.Millisecond, Callbacks: w.callbacks()}
	a, b := s.connect(o), s.connect(quick)
	sub, err := a.SubscribeChan(ctx, "/a/...")
	must(t, err)
	must(t, a.Flush(ctx))
	must(t, b.Publish(ctx, "/a/0", nil))
	_, err = sub.Next(ctx)
	must(t, err)
	s.stop()
	await(t, "disconnect", w.disconnect)
	again := startServer(t, func(cfg *config.Config) { cfg.Router.Listen = []string{"tcp:" + s.addr} })
	await(t, "reconnect", w.reconnect)
	must(t, a.Flush(ctx))
	must(t, b.Publish(ctx, "/a/1", nil)) // whether it is there again or not
	if m, err := sub.Next(ctx); err != nil || m.Subject != "/a/1" {
		t.Errorf("%v, %v", m, err)
	}
	must(t, a.Close())
	must(t, b.Close())
	again.stop()
}

// TestServerDrain drains a subscriber while messages come: it has handled every one up to some point.
func TestServerDrain(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, nil)
	publisher := s.connect(Options{})
	for range 5 {
		c := s.connect(Options{})
		var got []string
		first := make(chan bool, 1)
		_, err := c.Subscribe(ctx, "/drain", func(m *Msg) {
			got = append(got, string(m.Data))
			note(first)
		})
		must(t, err)
		must(t, c.Flush(ctx))
		published := make(chan int)
		end := make(chan bool)
		go func() { // ends with end
			n := 0
			for ; ; n++ {
				select {
				case <-end:
					published <- n
					return
				default:
					if err := publisher.Publish(ctx, "/drain", fmt.Append(nil, n)); err != nil {
						t.Error(err)
					}
				}
			}
		}()
		await(t, "the first message", first)
		must(t, c.Drain(ctx))
		close(end)
		n := <-published
		for i := range got {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("%s at %d of %d, %d were published", got[i], i, len(got), n)
			}
		}
		must(t, publisher.Flush(ctx))
	}
}

// TestServerRefuses has what the real server says against a client.
func TestServerRefuses(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, func(cfg *config.Config) {
		cfg.Router.Client.MaxBuffer = 100_000
		cfg.Router.EnableStopMsgs = false
	})
	_ = s.connect(Options{Subject: "taken"})
	var said *ServerError
	if _, err := Connect(ctx, Options{Servers: []string{s.addr}, Subject: "taken"}); !errors.As(err, &said) || said.Code != message.CodeAlreadyExists {
		t.Error(err)
	}
	if _, err := Connect(ctx, Options{Servers: []string{s.addr}, Project: "no project"}); !errors.As(err, &said) || said.Code != message.CodeInvalid {
		t.Error(err)
	}
	c := s.connect(Options{})
	if err := c.StopServer(ctx, message.StopNormal); !errors.As(err, &said) || said.Code != message.CodeControlRejected {
		t.Error(err)
	}
	if out, err := c.Command(ctx, "_server", "echo hello"); err != nil || !strings.Contains(out, "hello") {
		t.Errorf("%q, %v", out, err)
	}
	w := newTold()
	slow := s.connect(Options{MaxReconnectDelay: quick.MaxReconnectDelay, Callbacks: w.callbacks()})
	gate := make(chan bool)
	_, err := slow.Subscribe(ctx, "/flood", func(*Msg) { <-gate }, Inline())
	must(t, err)
	must(t, slow.Flush(ctx))
	for range 400 {
		must(t, c.Publish(ctx, "/flood", make([]byte, 50_000)))
	}
	must(t, c.Flush(ctx))
	close(gate)
	wantErr(t, await(t, "disconnect", w.disconnect), ErrDisconnected)
	await(t, "reconnect", w.reconnect)
}

// TestServerNATS has requests between clients of both protocols.
// TestServerNoResponders asks a subject that nobody has subscribed to: the server says so at once, and not when somebody has.
func TestServerNoResponders(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, nil)
	c := s.connect(Options{})
	if _, err := c.Request(ctx, "/nobody/here", []byte("?")); !errors.Is(err, ErrNoResponders) {
		t.Fatalf("asked nobody: %v, want ErrNoResponders", err)
	}
	_, err := c.Subscribe(ctx, "/nobody/here", func(m *Msg) { must(t, m.Respond(ctx, []byte("!"))) })
	must(t, err)
	must(t, c.Flush(ctx))
	if m, err := c.Request(ctx, "/nobody/here", []byte("?")); err != nil || string(m.Data) != "!" {
		t.Fatalf("asked somebody: %v, %v", m, err)
	}
}

func TestServerNATS(t *testing.T) {
	ctx := testContext(t)
	s := startServer(t, nil)
	c := s.connect(Options{})
	_, err := c.Subscribe(ctx, "/svc/*", func(m *Msg) {
		if err := m.Respond(ctx, append([]byte(m.Subject+" "), m.Data...)); err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	must(t, c.Flush(ctx))
	nc, err := net.Dial("tcp", s.nats)
	must(t, err)
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(testTime))
	r := bufio.NewReader(nc)
	line := func() string {
		t.Helper()
		text, err := r.ReadString('\n')
		must(t, err)
		return strings.TrimSpace(text)
	}
	line() // INFO
	_, err = io.WriteString(nc, "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB _INBOX.x 1\r\nSUB nats.svc 2\r\nPUB svc.a _INBOX.x 5\r\nhello\r\nPING\r\n")
	must(t, err)
	var got []string
	for range 3 {
		got = append(got, line())
	}
	if slices.Sort(got); strings.Join(got, "|") != "/svc/a hello|MSG _INBOX.x 1 12|PONG" {
		t.Error(got)
	}
	answers := make(chan error, 1)
	go func() { // ends with the answer
		m, err := c.Request(ctx, "/nats/svc", []byte("question"))
		if err == nil && (string(m.Data) != "fine" || !strings.HasPrefix(string(m.Header), "NATS/1.0\r\nA: b")) {
			err = fmt.Errorf("%q, %q", m.Header, m.Data)
		}
		answers <- err
	}()
	head := strings.Fields(line())
	if len(head) != 5 || head[1] != "nats.svc" || line() != "question" {
		t.Fatal(head)
	}
	_, err = fmt.Fprintf(nc, "HPUB %s 18 22\r\nNATS/1.0\r\nA: b\r\n\r\nfine\r\n", head[3])
	must(t, err)
	must(t, await(t, "answer", answers))
}

func BenchmarkServer(b *testing.B) {
	ctx := context.Background()
	s := startServer(b, func(cfg *config.Config) { cfg.Router.Client.MaxBuffer = 1 << 30 }) // else who is too slow is cut
	for _, options := range [][]SubscribeOption{nil, {Inline()}} {
		b.Run(fmt.Sprint("inline=", options != nil), func(b *testing.B) {
			from, to := s.connect(Options{}), s.connect(Options{})
			defer func() { _, _ = from.Close(), to.Close() }() // always nil
			n, done := 0, make(chan bool)
			_, err := to.Subscribe(ctx, "/bench", func(*Msg) {
				if n++; n == b.N {
					close(done)
				}
			}, append(options, Queue(1<<30, 1<<50))...)
			must(b, err)
			must(b, to.Flush(ctx))
			data := make([]byte, 128)
			b.SetBytes(128)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := from.Publish(ctx, "/bench", data); err != nil {
					b.Fatal(err)
				}
			}
			select {
			case <-done:
			case <-time.After(testTime):
				b.Fatal(n, "of", b.N)
			}
		})
	}
	b.Run("request", func(b *testing.B) {
		asker, server := s.connect(Options{}), s.connect(Options{})
		defer func() { _, _ = asker.Close(), server.Close() }() // always nil
		_, err := server.Subscribe(ctx, "/echo", func(m *Msg) { _ = m.Respond(ctx, m.Data) }, Inline())
		must(b, err)
		must(b, server.Flush(ctx))
		b.ReportAllocs()
		b.SetParallelism(32) // 64 requesters on two processors
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := asker.Request(ctx, "/echo", nil); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
