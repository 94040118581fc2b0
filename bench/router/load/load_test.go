package load

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// small are scenarios of every kind.
var small = []Scenario{
	{Name: "1-1", Kind: Stream, Size: 16, Publishers: 1, FanOut: 1, Window: 64},
	{Name: "2-6", Kind: Stream, Size: 1000, Publishers: 2, FanOut: 3, Window: 8},
	{Name: "request", Kind: Request, Size: 128, Publishers: 5},
	{Name: "random", Kind: Random, Size: 32, Publishers: 2, Subscribers: 3, Subscriptions: 1000, Window: 64},
}

// start begins to play against a broker.
func start(t *testing.T, b *broker, s Scenario) *Run {
	t.Helper()
	r, err := Start(t.Context(), NATSWire{}, b.address(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// await reads until so many deliveries were made, or it fails.
func await(t *testing.T, p Player, delivered int64) (Reading, error) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		reading, err := p.Read()
		if err != nil || reading.Delivered >= delivered {
			return reading, err
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want %d deliveries", reading, delivered)
		}
	}
}

func TestPlay(t *testing.T) {
	for _, s := range small {
		t.Run(s.Name, func(t *testing.T) {
			r := start(t, startBroker(t, nil), s)
			play(t, r)
		})
		t.Run(s.Name+"/hub", func(t *testing.T) {
			hub, err := NewNATSHub()
			if err != nil {
				t.Fatal(err)
			}
			r, err := Start(t.Context(), hub, startBroker(t, nil).address(), s)
			if err != nil {
				t.Fatal(err)
			}
			play(t, r)
		})
	}
}

// play reads, records and stops.
func play(t *testing.T, p Player) {
	t.Helper()
	first, err := await(t, p, 500)
	if err != nil || first.Sent == 0 || first.CPU == 0 || first.At == 0 {
		t.Errorf("%+v, %v", first, err)
	}
	if err := p.Record(true); err != nil {
		t.Error(err)
	}
	if _, err := await(t, p, first.Delivered+1000); err != nil {
		t.Error(err)
	}
	o, err := p.Stop()
	if err != nil || o.Samples == 0 || o.P50 == 0 || o.P99 < o.P50 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestRemote(t *testing.T) {
	b := startBroker(t, nil)
	orders, in := io.Pipe()
	out, answers := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(t.Context(), orders, answers, NATSWire{}) }() // ends when in is closed; waited for below
	r := &Remote{in: in, to: json.NewEncoder(in), from: json.NewDecoder(out), wait: func() error { return <-served }}
	if _, err := r.Read(); err == nil || !strings.Contains(err.Error(), "nothing was started") {
		t.Errorf("a read before the start: %v", err)
	}
	if _, err := r.ask(order{Do: "start", Address: b.address(), Scenario: Scenario{Name: "bad"}}); err == nil {
		t.Error("a bad scenario is played")
	}
	if _, err := r.ask(order{Do: "start", Address: b.address(), Scenario: small[0]}); err != nil {
		t.Fatal(err)
	}
	play(t, r)
}

// TestFaults has a broker that loses or doubles one delivery.
func TestFaults(t *testing.T) {
	for _, s := range small {
		for _, test := range []struct {
			name   string
			copies int
		}{{"lost", 0}, {"doubled", 2}} {
			t.Run(s.Name+"/"+test.name, func(t *testing.T) {
				b := startBroker(t, func(delivery int) int {
					if delivery == 100 {
						return test.copies
					}
					return 1
				})
				r, err := Start(t.Context(), NATSWire{}, b.address(), s)
				if err != nil {
					return // it was seen at once
				}
				r.patience = 200 * time.Millisecond
				if _, err := await(t, r, 300); err == nil && s.Kind == Stream {
					t.Error("not seen while it plays")
				}
				if _, err := r.Stop(); err == nil {
					t.Error("not seen at the end")
				}
			})
		}
	}
}

func TestLostConnection(t *testing.T) {
	for _, s := range small {
		t.Run(s.Name, func(t *testing.T) {
			b := startBroker(t, nil)
			r := start(t, b, s)
			if _, err := await(t, r, 100); err != nil {
				t.Fatal(err)
			}
			b.cut()
			if _, err := await(t, r, 1<<40); err == nil {
				t.Error("Read does not fail")
			}
			if _, err := r.Stop(); err == nil {
				t.Error("Stop does not fail")
			}
		})
	}
}

func TestHubLosesConnections(t *testing.T) {
	hub, err := NewNATSHub()
	if err != nil {
		t.Fatal(err)
	}
	b := startBroker(t, nil)
	r, err := Start(t.Context(), hub, b.address(), small[2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := await(t, r, 100); err != nil {
		t.Fatal(err)
	}
	b.cut()
	if _, err := await(t, r, 1<<40); err == nil {
		t.Error("Read does not fail")
	}
	if _, err := r.Stop(); err == nil {
		t.Error("Stop does not fail")
	}
	if c, err := hub.Dial(t.Context(), b.address(), r.fail); err == nil {
		c.Close() // its thread had not ended yet: it takes the connection
	}
}

func TestStartFails(t *testing.T) {
	b := startBroker(t, nil)
	b.close()
	if _, err := Start(t.Context(), NATSWire{}, b.address(), small[0]); err == nil {
		t.Error("there is no server")
	}
}

func TestValidate(t *testing.T) {
	for _, s := range small {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, change := range []func(*Scenario){
		func(s *Scenario) { s.Size = StampLen - 1 },
		func(s *Scenario) { s.Size = 1<<20 + 1 },
		func(s *Scenario) { s.Publishers = 0 },
		func(s *Scenario) { s.Window = 0 },
		func(s *Scenario) { s.FanOut = 0 },
		func(s *Scenario) { s.Kind = "" },
		func(s *Scenario) { s.Kind = Random },
	} {
		s := small[0]
		if change(&s); s.Validate() == nil {
			t.Errorf("%+v is valid", s)
		}
	}
}

// TestRandomDeliveries compares what is expected with a naive count.
func TestRandomDeliveries(t *testing.T) {
	const subscriptions = 1000
	wild := 0
	var patterns []string
	for i := range subscriptions {
		if patterns = append(patterns, randomPattern(i)); strings.ContainsAny(patterns[i], "*>") {
			wild++
		}
	}
	for i := range subscriptions {
		subject := randomSubject(i)
		var n int64
		for _, pattern := range patterns {
			if pattern == subject || strings.ContainsAny(pattern, "*>") && matches(pattern, subject) {
				n++
			}
		}
		if n != randomDeliveries(i) {
			t.Errorf("%s is delivered %d times, not %d", randomSubject(i), randomDeliveries(i), n)
		}
	}
	if wild != subscriptions/10 {
		t.Errorf("%d of %d have wildcards", wild, subscriptions)
	}
	g := newRing(0, subscriptions, NATSWire{}.Name)
	if g.deliveries(0) != 0 || g.deliveries(ringLen) != g.sums[ringLen] || g.deliveries(2*ringLen+1) != 2*g.sums[ringLen]+g.sums[1] {
		t.Error("the sums of a ring do not go on")
	}
}

func TestNumber(t *testing.T) {
	payload, want := NewPayload(StampLen+2), NewPayload(StampLen+2)
	PutStamp(payload, 12345, Number(7, 1<<40))
	sent, publisher, count, err := stamp(payload, want)
	if sent != 12345 || publisher != 7 || count != 1<<40 || err != nil || Count(Number(7, 9)) != 9 {
		t.Errorf("%d, %d, %d, %v", sent, publisher, count, err)
	}
	if _, _, _, err := stamp(payload[:StampLen-1], want); err == nil {
		t.Error("a short payload has a stamp")
	}
	payload[StampLen+1]++
	if _, _, _, err := stamp(payload, want); err == nil {
		t.Error("a wrong payload has a stamp")
	}
}
