package server_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
)

const (
	loadPublishers = 8
	loadSubjects   = 16
	loadWindow     = 100_000 // copies that may be on their way to all subscribers together: no limit of a subscriber is ever reached
	shortWindow    = 4_000   // likewise, where subscribers are to change something while messages come
)

// loadMessages is how many messages a test under load sends.
func loadMessages(plain, race, full int) int {
	switch {
	case isFull():
		return full
	case racing:
		return race
	}
	return plain
}

// stamp is the payload of a message under load: who sent it, to which subject, and which one of those it is.
type stamp struct {
	publisher, subject byte
	seq                uint32
}

const stampLen = 12

func (m stamp) append(dst []byte) []byte {
	return hex.AppendEncode(dst, []byte{m.publisher, m.subject, byte(m.seq >> 24), byte(m.seq >> 16), byte(m.seq >> 8), byte(m.seq)})
}

func parseStamp(b []byte) (m stamp, err error) {
	var raw [stampLen / 2]byte
	if len(b) != stampLen {
		return m, fmt.Errorf("a payload of %d bytes: %.100q", len(b), b)
	}
	if _, err := hex.Decode(raw[:], b); err != nil {
		return m, fmt.Errorf("payload %q", b)
	}
	return stamp{raw[0], raw[1], uint32(raw[2])<<24 | uint32(raw[3])<<16 | uint32(raw[4])<<8 | uint32(raw[5])}, nil
}

// stream reads what comes on a connection, as fast as it can. What one of its methods hands over is valid during the call only.
type stream struct {
	conn net.Conn
	buf  []byte
	got  int // bytes in buf
}

func newStream(conn net.Conn, left []byte) *stream {
	s := &stream{conn: conn, buf: make([]byte, 64<<10)}
	s.got = copy(s.buf, left)
	return s
}

// each takes pieces off the front of the input by cut, which says how long one is, 0: not all is there, until cut or the connection ends.
func (s *stream) each(cut func(b []byte) (int, error), batch func()) error {
	for {
		done := 0
		for done < s.got {
			n, err := cut(s.buf[done:s.got])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			done += n
		}
		batch()
		s.got = copy(s.buf, s.buf[done:s.got])
		_ = s.conn.SetReadDeadline(time.Now().Add(patience)) // fails as the read would
		n, err := s.conn.Read(s.buf[s.got:])
		if err != nil {
			return err
		}
		s.got += n
	}
}

// each hands over every command. errDone ends it without an error.
func (c *natsClient) each(f func(cmd *natswire.Command) error, batch func()) error {
	left, _ := c.in.Peek(c.in.Buffered()) // what there is
	var cmd natswire.Command
	lim := &natswire.Limits{Line: 4096, Payload: 1 << 20}
	return notDone(newStream(c.conn, left).each(func(b []byte) (int, error) {
		n, err := natswire.ParseServer(b, &cmd, lim)
		if err == nil && n > 0 {
			err = f(&cmd)
		}
		return n, err
	}, batch))
}

// each hands over every message. errDone ends it without an error.
func (c *rtClient) each(f func(m *message.Message) error, batch func()) error {
	left, _ := c.in.Peek(c.in.Buffered()) // what there is
	var m message.Message
	return notDone(newStream(c.conn, left).each(func(b []byte) (int, error) {
		size, n, err := frame.ParseHeader(b, 200_000)
		if err != nil || n == 0 || len(b) < n+size {
			return 0, err
		}
		if err := message.Parse(b[n:n+size], &m); err != nil {
			return 0, err
		}
		return n + size, f(&m)
	}, batch))
}

var errDone = errors.New("done")

func notDone(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// messageLoad is a number of messages on their way from publishers to subscribers.
type messageLoad struct {
	s         *routerUnderTest
	each      int           // messages of a publisher; a multiple of loadSubjects
	fan       int           // copies of 100 messages
	window    int64         // copies that may be on their way
	published atomic.Int64  // messages
	arrived   atomic.Int64  // copies
	failed    chan struct{} // closed at the first failure
	once      sync.Once
	all       sync.WaitGroup // of publishers and subscribers
}

func (s *routerUnderTest) newLoad(messages, fan int, window int64) *messageLoad {
	each := messages / loadPublishers / loadSubjects * loadSubjects
	return &messageLoad{s: s, each: each, fan: fan, window: window, failed: make(chan struct{})}
}

// fail says what went wrong and stops the publishers.
func (l *messageLoad) fail(format string, args ...any) {
	l.s.t.Errorf(format, args...)
	l.once.Do(func() { close(l.failed) })
}

// room waits until the subscribers have nearly caught up; false: something has failed.
func (l *messageLoad) room() bool {
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	deadline := time.After(2 * patience)
	for l.published.Load()*int64(l.fan)/100-l.arrived.Load() > l.window {
		select {
		case <-l.failed:
			return false
		case <-deadline:
			l.fail("the subscribers have got %d copies of %d messages, and no more for a long time", l.arrived.Load(), l.published.Load())
			return false
		case <-tick.C:
		}
	}
	return true
}

// publish sends the messages of a publisher in turn to all subjects; encode appends one.
func (l *messageLoad) publish(publisher int, write func(b string) error, encode func(dst []byte, m stamp) []byte) {
	const chunk = 4 * loadSubjects
	var b []byte
	for i := 0; i < l.each; i += chunk {
		if !l.room() {
			return
		}
		b = b[:0]
		n := min(chunk, l.each-i)
		for k := i; k < i+n; k++ {
			b = encode(b, stamp{byte(publisher), byte(k % loadSubjects), uint32(k / loadSubjects)})
		}
		l.published.Add(int64(n))
		if err := write(string(b)); err != nil {
			l.fail("publisher %d: %v", publisher, err)
			return
		}
	}
}

// startPublishers has every other publisher be a NATS client.
func (l *messageLoad) startPublishers(prefix string, balance message.Balance) {
	names := make([][]byte, loadSubjects)
	nats := make([][]byte, loadSubjects)
	for i := range names {
		names[i] = fmt.Appendf(nil, "%s/%d", prefix, i)
		nats[i] = subject.ToNATS(nil, names[i])
	}
	for i := range loadPublishers {
		if i%2 == 0 && balance == message.BalanceNone {
			n := l.s.joinNATS()
			l.all.Go(func() {
				l.publish(i, n.write, func(dst []byte, m stamp) []byte { return natswire.AppendPub(dst, nats[m.subject], nil, m.append(nil)) })
			})
			continue
		}
		c := l.s.joinRT("")
		l.all.Go(func() {
			l.publish(i, func(b string) error { return c.write([]byte(b)) }, func(dst []byte, m stamp) []byte {
				return message.AppendFrame(dst, &message.Message{Type: 1, Balance: balance, Dest: names[m.subject], Fields: message.AppendBinary(nil, m.append(nil))})
			})
		})
	}
}

// account checks the order in which a subscriber gets messages, and that it gets each once.
type account struct {
	next [loadPublishers][loadSubjects]uint32
	n    int
}

// take enters a message; gaps: some may be missing.
func (a *account) take(payload []byte, gaps bool) (stamp, error) {
	m, err := parseStamp(payload)
	if err != nil {
		return m, err
	}
	next := &a.next[m.publisher][m.subject]
	if m.seq < *next || m.seq > *next && !gaps {
		return m, fmt.Errorf("message %d of publisher %d to subject %d instead of %d", m.seq, m.publisher, m.subject, *next)
	}
	*next = m.seq + 1
	a.n++
	return m, nil
}

// read enters everything that comes until all of it is there.
func (l *messageLoad) read(who string, total int, batch func(), each func(take func(payload []byte) error, batch func()) error) {
	var a account
	counted := 0
	err := each(func(payload []byte) error {
		if _, err := a.take(payload, false); err != nil {
			return err
		}
		if a.n == total {
			return errDone
		}
		return nil
	}, func() {
		l.arrived.Add(int64(a.n - counted))
		counted = a.n
		batch()
	})
	l.arrived.Add(int64(a.n - counted))
	if err != nil {
		l.fail("%s has %d of %d messages: %v", who, a.n, total, err)
	}
}

// readRT has a client enter everything that comes; batch is called after each piece of it.
func (l *messageLoad) readRT(who string, c *rtClient, total int, batch func()) {
	l.all.Go(func() {
		l.read(who, total, batch, func(take func([]byte) error, batch func()) error {
			return c.each(func(m *message.Message) error { _, payload := message.NATSPayload(m); return take(payload) }, batch)
		})
	})
}

func (l *messageLoad) readNATS(who string, n *natsClient, total int) {
	l.all.Go(func() {
		l.read(who, total, func() {}, func(take func([]byte) error, batch func()) error {
			return n.each(func(cmd *natswire.Command) error {
				if cmd.Op != natswire.OpMsg {
					return fmt.Errorf("op %v %q", cmd.Op, cmd.Arg)
				}
				return take(cmd.Payload)
			}, batch)
		})
	})
}

// TestRouterLoad: 8 publishers, 64 subscribers of both protocols on all loops: no message twice, none lost, the order of a publisher and
// subject kept.
func TestRouterLoad(t *testing.T) {
	const subscribers, wild = 64, 4
	s := startRouter(t, nil)
	l := s.newLoad(loadMessages(1_000_000, 100_000, 1_000_000), 100*wild+100*(subscribers-wild)/loadSubjects, loadWindow)
	began := time.Now()
	copies := 0
	for i := range subscribers {
		name, total := fmt.Sprintf("/load/%d", i%loadSubjects), l.each*loadPublishers/loadSubjects
		if i >= subscribers-wild {
			name, total = "/load/...", l.each*loadPublishers
		}
		copies += total
		if i%2 == 0 {
			c := s.joinRT("")
			c.subscribe(name)
			l.readRT(fmt.Sprint("client ", i, " ", name), c, total, func() {})
			continue
		}
		n := s.joinNATS()
		n.send(fmt.Sprintf("SUB %s 1|", strings.ReplaceAll(strings.ReplaceAll(name[1:], "...", ">"), "/", ".")))
		n.sync()
		l.readNATS(fmt.Sprint("NATS client ", i, " ", name), n, total)
	}
	l.startPublishers("/load", message.BalanceNone)
	l.all.Wait()
	took := time.Since(began)
	t.Logf("%d sent, %d copies wanted, %d arrived in %v: %.0f a second", l.published.Load(), copies, l.arrived.Load(), took.Round(time.Millisecond), float64(copies)/took.Seconds())
	s.wantMetrics(map[string]string{
		`router_messages_total{dir="in"}`: metricValue(l.published.Load()), `router_messages_total{dir="out"}`: metricValue(int64(copies)),
		`router_lost_total{reason="slow"}`: "0", `router_lost_total{reason="left"}`: "0", `router_inflight_bytes`: "0",
	})
}

// metricValue is a number as the metrics have it.
func metricValue(n int64) string { return strconv.FormatFloat(float64(n), 'g', -1, 64) }
