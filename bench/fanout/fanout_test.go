package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
)

func TestParseFlags(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-scenarios", "slow,returns", "-only", "roundhouse"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 1 || len(o.scenarios) != 2 || len(o.servers()) != 1 || len(o.contenders()) != 2 {
		t.Errorf("%+v", o)
	}
	if o, err = parseFlags(nil); err != nil || len(o.scenarios) != 3 || len(o.contenders()) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range []string{"-rounds 0", "-duration 0s", "-down -1s", "-jitter 100ms", "-scenarios fast", "-only nginx", "-clients 0", "-clients 10000000",
		"-subscribers 1", "-rate 0", "-size 16", "-subscriptions 1500", "more", "-x"} {
		if _, err := parseFlags(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

// TestEvents has what servers send read whole, in pieces, and with the meaning that it has.
func TestEvents(t *testing.T) {
	const payload = "0123456789"
	own := func(m message.Message) string { return string(message.AppendFrame(nil, &m)) }
	for name, row := range map[string]struct {
		protocol protocol
		sent     string
		want     event
	}{
		"message":     {natsProtocol{}, string(natswire.AppendMsg(nil, []byte("a.b"), []byte("1"), nil, []byte(payload))), event{kind: eventMessage, payload: []byte(payload)}},
		"ping":        {natsProtocol{}, natswire.Ping, event{kind: eventPing}},
		"pong":        {natsProtocol{}, natswire.Pong, event{kind: eventPong}},
		"info":        {natsProtocol{}, "INFO {}\r\n", event{}},
		"end":         {natsProtocol{}, string(natswire.AppendErr(nil, "Slow Consumer")), event{kind: eventEnd, text: "'Slow Consumer'"}},
		"own message": {ownProtocol{}, string(ownProtocol{}.publish(nil, "a.b", []byte(payload))), event{kind: eventMessage, payload: []byte(payload)}},
		"own ping":    {ownProtocol{}, string(ownProtocol{}.ping(nil)), event{kind: eventPing}},
		"own pong":    {ownProtocol{}, string(ownProtocol{}.pong(nil)), event{kind: eventPong}},
		"own end": {ownProtocol{}, own(message.Message{Type: message.TypeClientCloseCall, Fields: message.AppendStr(nil, "too slow")}),
			event{kind: eventEnd, text: "too slow"}},
		"refusal": {ownProtocol{}, string(appendFrame(nil, func(dst []byte) []byte {
			return message.AppendWelcome(dst, &message.Welcome{Code: message.CodeDenied, Text: "no"})
		})), event{kind: eventEnd, text: "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			var e event
			for i := range len(row.sent) {
				if n, err := row.protocol.next([]byte(row.sent[:i]), &e); n != 0 || err != nil {
					t.Fatalf("%d bytes: %d, %v", i, n, err)
				}
			}
			n, err := row.protocol.next([]byte(row.sent), &e)
			if n != len(row.sent) || err != nil || e.kind != row.want.kind || string(e.payload) != string(row.want.payload) || e.text != row.want.text {
				t.Errorf("%d, %v, %+v", n, err, e)
			}
		})
	}
}

// crowdForTest is a crowd at a broker.
func crowdForTest(t *testing.T, b *broker) *crowd {
	t.Helper()
	o := &options{subscribers: 6, rate: 1000, size: 64}
	at, err := netip.ParseAddrPort(b.address)
	if err != nil {
		t.Fatal(err)
	}
	lab, err := harness.NewLab()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.Close)
	p, err := lab.Start("server", "sleep", "600") // what is looked at to know whether the server lives
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCrowd(o, &server{Contender: harness.Contender{Procs: []*harness.Process{p}}, ports: [3]int{int(at.Port())}}, natsProtocol{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until waits until the others have got so many messages more, or something is wrong.
func (c *crowd) until(t *testing.T, more int64) {
	t.Helper()
	want := c.received.Load() + more
	err := harness.WaitFor(t.Context(), time.Minute, "messages", func() error {
		if c.err() == nil && c.received.Load() < want {
			return errors.New("too few")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCrowd(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0")
	c := crowdForTest(t, b)
	c.phase.Store(uint32(phaseReading))
	c.until(t, 100)
	if err := c.block(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.until(t, 100)
	b.cutFirst(slowSubject, "Slow Consumer")
	c.phase.Store(uint32(phaseCut))
	w, err := c.listen()
	if err != nil || w.messages == 0 || w.bytes < w.messages*64 || w.reason != "'Slow Consumer'" || w.end != "EOF" {
		t.Errorf("%+v, %v", w, err)
	}
	c.until(t, 100)
	err = c.stop(t.Context())
	c.end(true)
	if err != nil {
		t.Fatal(err)
	}
	for in := phaseReading; in < phases; in++ {
		if h := c.latencies(in); h.Count() == 0 || h.Quantile(0.5) <= 0 {
			t.Errorf("phase %d: %d latencies, %v", in, h.Count(), h.Quantile(0.5))
		}
	}
}

func TestCrowdNoticesLoss(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0")
	b.lose = 100
	c := crowdForTest(t, b)
	c.until(t, 200)
	err := c.stop(t.Context())
	c.end(true)
	if err == nil || !strings.Contains(err.Error(), "came, want") {
		t.Errorf("err = %v", err)
	}
}

func TestCheck(t *testing.T) {
	same := load.NewPayload(64)[phaseAt+1:]
	good := load.NewPayload(64)
	load.PutStamp(good, 5, 7)
	good[phaseAt] = byte(phaseCut)
	s := &subscriber{next: 7}
	if sent, in, err := s.check(good, same); sent != 5 || in != phaseCut || err != nil || s.next != 8 {
		t.Errorf("%v, %v, %v", sent, in, err)
	}
	if _, _, err := s.check(good, same); err == nil {
		t.Error("the same once more is taken")
	}
	for _, at := range []int{phaseAt, 63} {
		bad := append([]byte(nil), good...)
		bad[at] = 0xff
		if _, _, err := (&subscriber{next: 7}).check(bad, same); err == nil {
			t.Errorf("a wrong byte %d is taken", at)
		}
	}
}

func TestFlock(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	alive := func() error { return nil }
	f := startFlock(ctx, &options{clients: 20, jitter: leastJitter + 50*time.Millisecond}, b.address, natsProtocol{})
	if err := f.wait(ctx, alive, "all", &f.open); err != nil {
		t.Fatal(err)
	}
	f.dead.Store(true)
	b.stop()
	err := harness.WaitFor(ctx, time.Minute, "a refusal", func() error {
		if f.refused.Load() == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.listen(b.address)
	if err := f.wait(ctx, alive, "return", &f.returned); err != nil {
		t.Fatal(err)
	}
	if err := f.probe(ctx, alive); err != nil {
		t.Error(err)
	}
	end()
	f.group.Wait()
	if err := f.err(); err != nil || f.got.Load() != 20 || f.attempts.Load() < 21 {
		t.Errorf("%v, %d messages, %d attempts", err, f.got.Load(), f.attempts.Load())
	}
}

func TestFlockNoticesLoss(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	f := startFlock(ctx, &options{clients: 3, jitter: leastJitter + time.Millisecond}, b.address, natsProtocol{})
	if err := f.wait(ctx, func() error { return nil }, "all", &f.open); err != nil {
		t.Fatal(err)
	}
	b.stop() // nobody has said that the server would be killed
	f.group.Wait()
	if err := f.err(); err == nil || !strings.Contains(err.Error(), "LOST") {
		t.Errorf("err = %v", err)
	}
}

func TestReports(t *testing.T) {
	o := &options{rounds: 3, duration: time.Second, rate: 100, size: 1024, subscribers: 1000, subscriptions: 1_000_000, clients: 10_000, jitter: 2 * time.Second}
	slow := slowSample{cut: 2 * time.Second, log: "a line", metrics: "a metric", words: lastWords{messages: 3, bytes: 99, reason: "why", end: "EOF"}}
	slow.p50, slow.p99 = [phases]time.Duration{0, 1e6, 2e6, 1e6}, [phases]time.Duration{0, 10e6, 11e6, 10e6}
	of := contender{roundhouse, natsProtocol{}}
	million := millionSample{settled: true, subscribe: 5 * time.Microsecond, before: memory{1 << 20, 1 << 20}, after: memory{1<<20 + 400e6, 1<<20 + 100e6}, delivered: 1000}
	back := returnsSample{all: 2 * time.Second, sinceKill: 3 * time.Second, refused: 5, other: 1, otherError: "reset"}
	text := slowReport(o, []row[slowSample]{{of, []slowSample{slow, slow}, 1}, {contender: of, failed: 3}}) +
		millionReport(o, []row[millionSample]{{of, []millionSample{million}, 2}}) + returnsReport(o, []row[returnsSample]{{of, []returnsSample{back}, 0}})
	for _, want := range []string{
		"| roundhouse | NATS | 1.00 ms | 10.0 ms | 2.00 ms | 11.0 ms | 1.10 | 10.0 ms | 1.00 | 2.00 s |", "| - | 3 |\n",
		"it read 3 more messages (99 bytes) in order, and `why`; then `EOF`", "log: `a line`", "metrics: `a metric`",
		"| roundhouse | 5.000 | - |", "| 400 | - |", "| 100 | - |",
		"| roundhouse | NATS | 2.00 s |", "| 3.00 s |", "first of 1 other errors: reset",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
