package server_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/server/config"
)

// narrow makes the kernel take little for a connection that does not read.
func narrow(t testing.TB, conn net.Conn) {
	t.Helper()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
}

// bulk is a payload of some size that begins with a stamp.
func bulk(seq, size int) string {
	return string(stamp{0, 0, uint32(seq)}.append(nil)) + strings.Repeat("x", size-stampLen)
}

// TestRouterSlowConsumer: one of 50 subscribers stops reading. It is cut at its limit and told why; the others get everything, and the
// publisher never waits for it.
func TestRouterSlowConsumer(t *testing.T) {
	t.Run("a client", func(t *testing.T) { testSlowConsumer(t, true) })
	t.Run("a NATS client", func(t *testing.T) { testSlowConsumer(t, false) })
}

func testSlowConsumer(t *testing.T, isClient bool) {
	const limit, size, subscribers = 512 << 10, 4 << 10, 50
	messages := loadMessages(2000, 1500, 20_000) // the kernel takes some 4 MB for the slow one
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxBuffer, c.Router.NATS.MaxPending = limit, limit })
	slowRT, slowNATS := s.joinRT(""), s.joinNATS()
	if isClient {
		slowRT.subscribe("/bulk")
	} else {
		slowNATS.send("SUB bulk 1|")
		slowNATS.sync()
	}
	l := s.newLoad(messages, 100*(subscribers-1), 16*(subscribers-1)) // the others are never behind by more than a fraction of their limit
	for i := range subscribers - 1 {
		take, all := orderOf(messages), fmt.Sprint("subscriber ", i)
		if i%2 == 0 {
			c := s.joinRT("")
			c.subscribe("/bulk")
			l.all.Go(func() {
				err := c.each(func(m *message.Message) error {
					_, payload := message.NATSPayload(m)
					l.arrived.Add(1)
					return take(payload)
				}, func() {})
				if err != nil {
					l.fail("%s: %v", all, err)
				}
			})
			continue
		}
		n := s.joinNATS()
		n.send("SUB bulk 1|")
		n.sync()
		l.all.Go(func() {
			if err := n.each(func(cmd *natswire.Command) error { l.arrived.Add(1); return take(cmd.Payload) }, func() {}); err != nil {
				l.fail("%s: %v", all, err)
			}
		})
	}
	told := make(chan string, 1)
	l.all.Go(func() { // it wakes up when it is too late
		eventually(t, "it is cut", func() bool { return s.log.has("slow consumer") })
		if isClient {
			told <- slowRT.readBulk()
		} else {
			told <- slowNATS.readBulk()
		}
	})
	p := s.joinNATS()
	for i := range messages {
		if !l.room() {
			break
		}
		l.published.Add(1)
		if err := p.write(fmt.Sprintf("PUB bulk %d\r\n%s\r\n", size, bulk(i, size))); err != nil {
			t.Fatal(err)
		}
	}
	p.sync()
	l.all.Wait()
	s.logged("connection ended by the server", "kind=slow", "slow consumer", fmt.Sprint("at most ", limit))
	s.wantMetrics(map[string]string{`router_cuts_total{reason="slow"}`: "1", `router_lost_total{reason="slow"}`: "1", `router_publishers_held_total`: "0"})
	var waited, most int
	line := s.log.line("slow consumer")
	if _, err := fmt.Sscanf(line[strings.Index(line, "slow consumer"):], "slow consumer: %d bytes wait for it, at most %d may", &waited, &most); err != nil {
		t.Fatal(line, err)
	}
	if waited <= limit || waited > limit+size+100 {
		t.Errorf("it was cut when %d bytes waited, at most %d may", waited, limit)
	}
	want := natswire.TextSlow
	if isClient {
		want = fmt.Sprint(message.CodeFailure, ": slow consumer: ", waited, " bytes")
	}
	if text := <-told; !strings.HasPrefix(text, want) {
		t.Errorf("it is told %q, want %q", text, want)
	}
	t.Logf("%d sent to each; the slow one was cut when %d bytes waited; the others have got %d of %d",
		messages, waited, l.arrived.Load(), messages*(subscribers-1))
}

// readBulk reads what a client that was cut is still owed, without a gap, and returns what it is told then.
func (c *rtClient) readBulk() (told string) {
	take := orderOf(-1)
	err := c.each(func(m *message.Message) error {
		if m.Type != message.TypeJMSBytes {
			code, text := reasonOf(c.t, m)
			told = fmt.Sprint(code, ": ", text)
			return errDone
		}
		_, payload := message.NATSPayload(m)
		return take(payload)
	}, func() {})
	if err != nil {
		return err.Error()
	}
	return told
}

func (c *natsClient) readBulk() (told string) {
	take := orderOf(-1)
	err := c.each(func(cmd *natswire.Command) error {
		if cmd.Op != natswire.OpMsg {
			told = strings.Trim(string(cmd.Arg), "'")
			return errDone
		}
		return take(cmd.Payload)
	}, func() {})
	if err != nil {
		return err.Error()
	}
	return told
}

// orderOf returns a function that takes the payloads of so many bulk messages in their order, and then says that it is done.
func orderOf(messages int) func(payload []byte) error {
	next := 0
	return func(payload []byte) error {
		m, err := parseStamp(payload[:min(stampLen, len(payload))])
		switch {
		case err != nil:
			return err
		case int(m.seq) != next:
			return fmt.Errorf("message %d instead of %d", m.seq, next)
		}
		if next++; next == messages {
			return errDone
		}
		return nil
	}
}

// TestRouterStalled cuts a client that takes nothing of what waits, though that is within its limit.
func TestRouterStalled(t *testing.T) {
	s := startRouter(t, func(c *config.Config) {
		c.Router.NATS.WriteDeadline, c.Router.Client.SendTimeout = 200*time.Millisecond, 200*time.Millisecond
		c.Router.Client.MaxBuffer, c.Router.NATS.MaxPending = 64<<20, 64<<20
	})
	c, n, p := s.joinRT(""), s.joinNATS(), s.joinNATS()
	narrow(t, c.conn)
	narrow(t, n.conn)
	c.subscribe("/bulk")
	n.send("SUB bulk 1|")
	n.sync()
	text := strings.Repeat("x", 1<<20)
	for range 12 {
		p.publish("/bulk", text)
	}
	p.sync()
	s.logged("kind=stalled", fmt.Sprint("client=", c.welcome.Unique))
	s.wantMetrics(map[string]string{`router_cuts_total{reason="stalled"}`: "2"})
	idleFor(250 * time.Millisecond)
	p.sync() // nothing waits for this one
}

// TestRouterReloadBuffer has a lower limit hold for a connection that is there.
func TestRouterReloadBuffer(t *testing.T) {
	s := startRouter(t, func(c *config.Config) { c.Router.Client.MaxBuffer, c.Router.NATS.MaxPending = 64<<20, 64<<20 })
	c, n, p := s.joinRT(""), s.joinNATS(), s.joinNATS()
	narrow(t, c.conn)
	narrow(t, n.conn)
	c.subscribe("/bulk")
	n.send("SUB bulk 1|")
	n.sync()
	text := strings.Repeat("x", 1<<20)
	for range 10 {
		p.publish("/bulk", text)
	}
	p.sync()
	s.wantMetrics(map[string]string{`router_inflight_bytes`: "0", `router_cuts_total{reason="slow"}`: "0"})
	next := *s.cfg
	next.Router.Client.MaxBuffer, next.Router.NATS.MaxPending = 1<<20, 1<<20
	if _, err := s.server.Reload(&next); err != nil {
		t.Fatal(err)
	}
	p.publish("/bulk", text)
	s.wantMetrics(map[string]string{`router_cuts_total{reason="slow"}`: "2"})
}

// TestRouterTokenRate sends more than a client's rate allows: what arrives in about a second is what the rate says.
func TestRouterTokenRate(t *testing.T) {
	const rate, size, messages = 400_000, 1000, 450
	s := startRouter(t, func(c *config.Config) {
		c.Router.Client.TokenRate, c.Router.Client.MaxTokens, c.Router.Client.BurstInterval = rate, rate/10, 10*time.Millisecond
	})
	c, n, p := s.joinRT(""), s.joinNATS(), s.joinRT("")
	c.subscribe("/bulk")
	n.send("SUB bulk 1|")
	n.sync()
	began := time.Now()
	for i := range messages {
		p.publish("/bulk", bulk(i, size))
	}
	s.wantMetrics(map[string]string{`router_messages_total{dir="out"}`: metricValue(2 * messages)}) // given to them, and held back
	n.send("PING|")                                                                                 // comes back behind all of it
	took := make(chan time.Duration, 2)
	take := orderOf(messages)
	go func() { // ends with the last message; it is waited for
		err := c.each(func(m *message.Message) error { _, payload := message.NATSPayload(m); return take(payload) }, func() {})
		if err != nil {
			t.Error(err)
		}
		took <- time.Since(began)
	}()
	for i := range messages {
		n.want(fmt.Sprintf("MSG bulk 1 %d|%s|", size, bulk(i, size)))
	}
	took <- time.Since(began)
	for range 2 {
		d := <-took
		t.Logf("%d bytes and their heads in %v: %.0f a second of %d", messages*size, d.Round(time.Millisecond), float64(messages*size)/d.Seconds(), rate)
		if want := time.Duration(float64(messages*size) / rate * float64(time.Second)); d < want/2 || d > want+slack {
			t.Errorf("it took %v, %v was to be expected", d, want)
		}
	}
	n.want("PONG|")
	c.sync()
}
