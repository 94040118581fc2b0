package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/server/config"
)

// shared notes which messages have come to those who share them, each once.
type shared struct {
	ctx  context.Context // ends when everything has come
	done context.CancelFunc

	mu    sync.Mutex
	total int
	seen  map[stamp]string
}

func newShared(total int) *shared {
	o := &shared{total: total, seen: make(map[stamp]string, total)}
	o.ctx, o.done = context.WithCancel(context.Background())
	return o
}

func (o *shared) take(who string, payload []byte) error {
	m, err := parseStamp(payload)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if before := o.seen[m]; before != "" {
		return fmt.Errorf("%s got %v, which %s had before", who, m, before)
	}
	if o.seen[m] = who; len(o.seen) == o.total {
		o.done()
	}
	return nil
}

func (o *shared) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.seen)
}

// tryNATS connects, for goroutines.
func tryNATS(addr string) (*natsClient, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	n := &natsClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
	if _, err = n.in.ReadString('\n'); err != nil {
		conn.Close()
	}
	return n, err
}

// TestRouterLoadQueueGroups: members of queue groups come and go under load, in good order: of each group one member gets each message, once.
func TestRouterLoadQueueGroups(t *testing.T) {
	const groups, members = 2, 8
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(400_000, 40_000, 2_000_000), 100*groups, shortWindow)
	total := l.each * loadPublishers
	seen := [groups]*shared{newShared(total), newShared(total)}
	var joins atomic.Int64
	for g := range groups {
		for i := range members {
			l.all.Go(func() {
				for round := 0; seen[g].ctx.Err() == nil; round++ {
					who := fmt.Sprintf("member %d of group %d, round %d", i, g, round)
					n, err := tryNATS(s.nats)
					joins.Add(1)
					if err == nil {
						err = l.member(n, seen[g], who, fmt.Sprint("SUB q.* group", g, " 1|"), i)
					}
					if err != nil {
						l.fail("%s: %v", who, err)
						return
					}
				}
			})
		}
	}
	s.wantMetrics(map[string]string{"router_subscriptions": fmt.Sprint(groups * members)})
	l.startPublishers("/q", message.BalanceNone)
	l.all.Wait()
	t.Logf("%d sent, each to %d groups; group 0 has %d, group 1 has %d; members came %d times", total, groups, seen[0].len(), seen[1].len(), joins.Load())
	s.wantMetrics(map[string]string{`router_lost_total{reason="left"}`: "0", `router_messages_total{dir="out"}`: metricValue(int64(groups * total))})
}

// member subscribes, and reads until everything has come; all but the first leave before, in good order: what comes before the PONG they take,
// and nothing may come after it. Every other one has the server end its subscription after so many messages.
func (l *messageLoad) member(n *natsClient, seen *shared, who, subscribe string, which int) error {
	const most = 300
	if which%2 == 1 {
		subscribe += fmt.Sprint("UNSUB 1 ", most, "|")
	}
	defer n.conn.Close()
	if err := n.write(natsLines.Replace(plainConnect + subscribe)); err != nil {
		return err
	}
	leave := sync.OnceFunc(func() { _ = n.write("UNSUB 1\r\nPING\r\n") }) // the read fails, too
	stop := context.AfterFunc(seen.ctx, leave)
	defer stop()
	got, counted := 0, 0
	err := n.each(func(cmd *natswire.Command) error {
		switch cmd.Op {
		case natswire.OpPong:
			return errDone
		case natswire.OpMsg:
			if got++; got > most && which%2 == 1 {
				return fmt.Errorf("it was to be %d messages, and not more", most)
			}
			return seen.take(who, cmd.Payload)
		}
		return fmt.Errorf("op %v %q", cmd.Op, cmd.Arg)
	}, func() {
		l.arrived.Add(int64(got - counted))
		counted = got
		if which > 0 && got >= most {
			leave()
		}
	})
	l.arrived.Add(int64(got - counted))
	if err != nil {
		return fmt.Errorf("after %d messages of %d: %w", got, seen.len(), err)
	}
	return nil
}

// TestRouterLoadBalanced: clients take part in round robin and stop to do so, under load: one of them gets each message, once.
func TestRouterLoadBalanced(t *testing.T) {
	const members = 8
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(400_000, 40_000, 2_000_000), 100, shortWindow)
	total := l.each * loadPublishers
	seen := newShared(total)
	var turns atomic.Int64
	for i := range members {
		c := s.joinRT("")
		c.subscribe("/b/*")
		who := fmt.Sprint("client ", i)
		set := func(start bool) {
			_ = c.write([]byte(whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/b/*"), Start: start, Balance: true})))) // the read fails, too
		}
		l.all.Go(func() {
			stop := context.AfterFunc(seen.ctx, func() { c.conn.Close() })
			defer stop()
			got, counted := 0, 0
			err := c.each(func(m *message.Message) error {
				got++
				_, payload := message.NATSPayload(m)
				return seen.take(who, payload)
			}, func() {
				l.arrived.Add(int64(got - counted))
				if i > 0 && got/500 != counted/500 { // stops, and begins again
					set(false)
					set(true)
					turns.Add(1)
				}
				counted = got
			})
			l.arrived.Add(int64(got - counted))
			if err != nil && seen.ctx.Err() == nil {
				l.fail("%s: after %d messages of %d: %v", who, got, seen.len(), err)
			}
		})
	}
	l.startPublishers("/b", message.RoundRobin)
	l.all.Wait()
	t.Logf("%d sent, %d arrived; clients stopped and began again %d times", total, seen.len(), turns.Load())
	s.wantMetrics(map[string]string{`router_lost_total{reason="left"}`: "0", `router_messages_total{dir="out"}`: metricValue(int64(total))})
}

// TestRouterLoadChanges: clients change their subscriptions under load, and always have one that matches: they get each message once.
func TestRouterLoadChanges(t *testing.T) {
	const clients = 8
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(200_000, 20_000, 1_000_000), 100*clients, shortWindow)
	total := l.each * loadPublishers
	var changes atomic.Int64
	for i := range clients {
		c := s.joinRT("")
		c.subscribe("/c/*")
		patterns := []string{"/c/...", "/c/*", "/...", "/c/*"}
		at := 0
		l.readRT(fmt.Sprint("client ", i), c, total, func() {
			// The next one begins, then the last one ends; and a change of mind about balancing in between.
			last, next := patterns[at%len(patterns)], patterns[(at+1)%len(patterns)]
			at++
			changes.Add(1)
			var b []byte
			for _, set := range []message.SetSubscribe{
				{Subject: []byte(next), Start: true, Balance: at%2 == 0}, {Subject: []byte(last)}, {Subject: []byte(next), Start: true, Balance: at%2 != 0},
			} {
				b = append(b, whole(message.AppendSetSubscribe(nil, &set))...)
			}
			_ = c.write(b) // the read fails, too
		})
	}
	l.startPublishers("/c", message.BalanceNone)
	l.all.Wait()
	t.Logf("%d sent, %d copies arrived of %d; %d changes of subscriptions", total, l.arrived.Load(), total*clients, changes.Load())
	s.wantMetrics(map[string]string{`router_lost_total{reason="left"}`: "0", `router_messages_total{dir="out"}`: metricValue(int64(total * clients))})
}

// TestRouterUnsubscribeThenPong: after the PONG that follows an UNSUB nothing comes any more, from whatever loop, under load.
func TestRouterUnsubscribeThenPong(t *testing.T) {
	const clients = 8
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(400_000, 40_000, 2_000_000), 100, shortWindow)
	total := l.each * loadPublishers
	last := s.joinNATS() // gets everything, and ends the test
	last.send("SUB u.* 1|")
	last.sync()
	l.readNATS("the one that stays", last, total)
	var rounds atomic.Int64
	end := make(chan struct{})
	var restless sync.WaitGroup
	for i := range clients - 1 {
		n := s.joinNATS()
		restless.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-end:
					return
				default:
				}
				if err := n.unsubscribes(round); err != nil {
					l.fail("client %d, round %d: %v", i, round, err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	l.startPublishers("/u", message.BalanceNone)
	l.all.Wait()
	close(end)
	restless.Wait()
	t.Logf("%d sent; %d subscriptions began and ended", total, rounds.Load())
	s.wantMetrics(map[string]string{`router_lost_total{reason="left"}`: "0"})
}

// unsubscribes begins two subscriptions and ends them, one after the other, each with a PING behind it; it reads until the second PONG.
func (n *natsClient) unsubscribes(round int) error {
	a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
	if err := n.write(natsLines.Replace("SUB u.1 " + a + "|SUB u.* " + b + "|PING|")); err != nil {
		return err
	}
	pongs := 0
	for pongs < 3 {
		_ = n.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
		line, err := n.in.ReadString('\n')
		if err != nil {
			return err
		}
		if line == natswire.Pong {
			if pongs++; pongs == 1 {
				err = n.write(natsLines.Replace("UNSUB " + a + "|PING|UNSUB " + b + "|PING|"))
			}
		} else {
			var name, sid string
			var size int
			if _, err = fmt.Sscanf(line, "MSG %s %s %d", &name, &sid, &size); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			if sid != a && sid != b || sid == a && pongs > 1 {
				return fmt.Errorf("%q after its PONG", line)
			}
			_, err = n.in.Discard(size + 2)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRouterUnsubscribeDuringPublish: the PONG after an UNSUB waits for a loop that is in the middle of publishing.
func TestRouterUnsubscribeDuringPublish(t *testing.T) {
	const copies, rounds = 20_000, 20 // copies on the publisher's loop, which come first
	s := startRouter(t, nil)
	many := s.joinNATS()
	s.joinNATS()
	late := s.joinNATS() // on a later loop than many
	s.joinNATS()
	p := s.joinNATS() // on the same as many
	rows, _ := s.table("clients")
	if rows[0]["loop"] != rows[4]["loop"] || rows[2]["loop"] == rows[4]["loop"] {
		t.Fatalf("loops %v", rows)
	}
	var begin, all strings.Builder
	for i := range copies {
		fmt.Fprintf(&begin, "SUB m %d\r\n", i)
		fmt.Fprintf(&all, "MSG m %d 1\r\nx\r\n", i)
	}
	if err := many.write(begin.String()); err != nil {
		t.Fatal(err)
	}
	many.sync()
	came := 0
	for round := range rounds {
		late.send(fmt.Sprint("SUB m ", round, "|"))
		late.sync()
		p.send("PUB m 1|x|")
		if _, err := many.in.Peek(1); err != nil { // some are out: it is in the middle
			t.Fatal(err)
		}
		late.send(fmt.Sprint("UNSUB ", round, "|PING|"))
		if b, err := late.in.Peek(4); err != nil {
			t.Fatal(err)
		} else if string(b) == "MSG " {
			came++
			late.want(fmt.Sprint("MSG m ", round, " 1|x|"))
		}
		late.want("PONG|")
		if err := many.expectRaw(all.String()); err != nil {
			t.Fatal(err)
		}
		late.sync()
	}
	t.Logf("in %d of %d rounds the message came before the PONG", came, rounds)
}

// TestRouterHeldPublisher: who publishes faster than another loop delivers is held until that one has caught up; nothing is lost.
func TestRouterHeldPublisher(t *testing.T) {
	const size, messages, subscribers = 32 << 10, 1200, 12
	s := startRouter(t, func(c *config.Config) { c.Router.NATS.MaxPending = 1 << 30 })
	l := s.newLoad(messages, 0, 1)
	p := s.joinNATS()
	for i := range subscribers * 4 {
		n := s.joinNATS()
		if i%4 != 0 { // they are dealt out to the loops in turn: all subscribers are on the one behind the publisher's
			continue
		}
		n.send("SUB held 1|")
		n.sync()
		take := orderOf(messages)
		l.all.Go(func() {
			if err := n.each(func(cmd *natswire.Command) error { return take(cmd.Payload) }, func() {}); err != nil {
				l.fail("subscriber %d: %v", i, err)
			}
		})
	}
	for i := range messages {
		if err := p.write(fmt.Sprintf("PUB held %d\r\n%s\r\n", size, bulk(i, size))); err != nil {
			t.Fatal(err)
		}
	}
	p.sync()
	l.all.Wait()
	s.wantMetrics(map[string]string{`router_lost_total{reason="slow"}`: "0", `router_inflight_bytes`: "0", `router_cuts_total{reason="slow"}`: "0"})
	_, text := s.adminGet("/metrics")
	if strings.Contains(text, "\nrouter_publishers_held_total 0\n") {
		t.Error("the publisher was never held")
	}
}

// TestRouterSubscribeThenPublish: what is published after the answer to the subscriber comes, whatever loops the two are on.
func TestRouterSubscribeThenPublish(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxConns = 0 })
	var rt []*rtClient
	var nats []*natsClient
	for range 5 { // one more than loops
		rt, nats = append(rt, s.joinRT("")), append(nats, s.joinNATS())
	}
	for round := range 40 {
		name, text := fmt.Sprint("/new/", round), fmt.Sprint(round)
		c, n := rt[round%len(rt)], nats[round*3%len(nats)]
		publishers := []publisher{rt[(round+1+round/5)%len(rt)], nats[(round+2+round/7)%len(nats)]}
		for _, p := range publishers { // so that the loops remember that nobody wants it
			p.publish(name, "nobody")
			p.sync()
		}
		c.subscribe(name)
		n.send(fmt.Sprintf("SUB new.%d %d|", round, round))
		n.sync()
		for _, p := range publishers {
			p.publish(name, text)
			c.want(name, text)
			n.want(fmt.Sprintf("MSG new.%d %d %d|%s|", round, round, len(text), text))
		}
	}
}

// TestRouterLoadAbrupt: connections break in the midst of what they get and what they send; those that stay get everything, and nothing stays
// behind.
func TestRouterLoadAbrupt(t *testing.T) {
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(300_000, 30_000, 1_000_000), 200, shortWindow)
	total := l.each * loadPublishers
	c, n := s.joinRT(""), s.joinNATS()
	c.subscribe("/x/*")
	l.readRT("the client that stays", c, total, func() {})
	n.send("SUB x.> 1|")
	n.sync()
	l.readNATS("the NATS client that stays", n, total)
	var broken atomic.Int64
	end := make(chan struct{})
	var restless sync.WaitGroup
	natsSays := natsLines.Replace(quietConnect + "SUB x.* 1|SUB x.> q 2|SUB > 3|UNSUB 3 10|PUB y.1 r 5|hello|HPUB y 12 12|NATS/1.0|||PUB y.2 100000|half")
	rtSays := helloFrame("") + whole(message.AppendSetSubscribe(nil, &message.SetSubscribe{Subject: []byte("/..."), Start: true, Balance: true})) +
		whole(message.Append(nil, textMessage("/y/...", "hello"))) + "00001000half"
	for i := range 6 {
		addr, says := s.nats, natsSays
		if i%2 == 0 {
			addr, says = s.addr, rtSays
		}
		restless.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-end:
					return
				default:
				}
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					l.fail("%v", err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(patience)) // fails as what follows would
				_, _ = conn.Write([]byte(says))                // it breaks in any case
				_, _ = conn.Read(make([]byte, 1+round%5*5000))
				if round%3 > 0 {
					_ = conn.(*net.TCPConn).SetLinger(0) // the server sees a reset
				}
				conn.Close()
				broken.Add(1)
			}
		})
	}
	l.startPublishers("/x", message.BalanceNone)
	l.all.Wait()
	close(end)
	restless.Wait()
	t.Logf("%d sent, %d copies arrived of %d; %d connections broke", total, l.arrived.Load(), 2*total, broken.Load())
	s.wantMetrics(map[string]string{
		"router_subscriptions": fmt.Sprint(3 + loadPublishers/2), `router_inflight_bytes`: "0",
		`router_connections{protocol="nats"}`: fmt.Sprint(1 + loadPublishers/2), `router_connections{protocol="client"}`: fmt.Sprint(1 + loadPublishers/2),
		`router_lost_total{reason="slow"}`: "0",
	})
}
