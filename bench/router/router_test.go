package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
	"roundhouse/codec/natswire"
)

func TestParseFlags(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-scenarios", "4-4,1-10", "-lib", "-only", "roundhouse,nats-server"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 1 || o.duration != time.Second || len(o.scenarios) != 2 || o.scenarios[0].Name != "4-4" || len(o.generators()) != 3 || len(o.pairs()) != 5 || len(o.starters()) != 2 {
		t.Errorf("%+v", o)
	}
	if o, err = parseFlags(nil); err != nil || len(o.scenarios) != len(scenarios) || len(o.generators()) != 2 || len(o.pairs()) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, s := range o.starters() {
		if s.Name == harness.NATSControl {
			t.Error("the control is measured unasked")
		}
	}
	for _, args := range []string{"-rounds 0", "-duration 0s", "-warmup -1s", "-scenarios 1-2", "-only nginx", "-clients 0", "-clients 10000000", "more", "-x"} {
		if _, err := parseFlags(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

func TestScenarios(t *testing.T) {
	var names []string
	for _, s := range scenarios {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		if slices.Contains(names, s.Name) || title(s) == "" {
			t.Errorf("%s, %q", s.Name, title(s))
		}
		names = append(names, s.Name)
	}
}

func TestReport(t *testing.T) {
	ref := sample{sent: 100, delivered: 1000, p50: time.Millisecond, p99: 10 * time.Millisecond, server: 2 * time.Microsecond, load: time.Microsecond, rss: 100 << 20}
	ours := sample{sent: 200, delivered: 2500, p50: time.Millisecond, p99: 5 * time.Millisecond, server: time.Microsecond, load: time.Microsecond, rss: 25 << 20}
	worse := ours
	worse.delivered = 1
	c := cell{scenario: scenarios[3], rows: []row{
		{server: harness.NATSReference, generator: wireName, reference: wireName, rounds: []sample{ref, ref, ref}},
		{server: "roundhouse", generator: wireName, reference: wireName, rounds: []sample{ours, worse, ours}, failed: 1},
		{server: "roundhouse", generator: "other", reference: "other", failed: 3},
	}}
	text := report(&options{rounds: 3, duration: time.Second}, []cell{c})
	for _, want := range []string{
		scenariosHeading + "\n",
		"### 1 to 10, 128 B, window 16384\n",
		"| nats-server | wire | 1000 | 1.00 | 100 | 0.1 | 1.00 ms | 10.0 ms | 1.00 | 2.000 | 1.00 | 1.000 | 100.0 | 1.00 | 0 |\n",
		"| roundhouse | wire | 2500 | 2.50 | 200 | 0.3 | 1.00 ms | 5.00 ms | 0.50 | 1.000 | 0.50 | 1.000 | 25.0 | 0.25 | 1 |\n",
		"| roundhouse | other | 0 | - | 0 | 0.0 | 0.00 ms | 0.00 ms | - | 0.000 | - | 0.000 | 0.0 | - | 3 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestIdleText(t *testing.T) {
	r := idleResult{server: "roundhouse", clients: 100, before: memory{1 << 20, 1 << 20, 1000}, after: memory{1<<20 + 102_400, 1<<20 + 51_200, 101_000}, lost: 2}
	if got, want := r.text(2048), "| roundhouse (not settled) | 100 | 2 | 1.0 MiB | 1.1 MiB | 1024 | 0.50 | 512 | 1000 |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestOpenClients has a server that says what idle clients wait for, and tells when it has ended some of them.
func TestOpenClients(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan net.Conn, 8)
	go serveIdle(ln, conns) // ends when the listener is closed
	all, err := openClients(t.Context(), ln.Addr().String(), 5)
	defer all.close()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := all.alive(); n != 5 || err != nil {
		t.Errorf("%d are alive, %v", n, err)
	}
	for range 2 {
		(<-conns).Close()
	}
	deadline := time.Now().Add(time.Minute)
	for n := 5; n != 3; { // the ends arrive one by one
		if n, err = all.alive(); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d are alive, %v", n, err)
		}
	}
	ln.Close()
	if _, err := openClients(t.Context(), ln.Addr().String(), 1); err == nil {
		t.Error("a client without a server")
	}
}

func TestExchangeFails(t *testing.T) {
	for _, answer := range []string{"-ERR 'maximum connections exceeded'\r\n", "HTTP/1.1 400 Bad Request\r\n", "INFO " + strings.Repeat("x", 5000), ""} {
		ours, theirs := net.Pipe()
		go func() { // ends with the pipe
			defer theirs.Close()
			buf := make([]byte, 100)
			if _, err := theirs.Read(buf); err == nil {
				_, _ = io.WriteString(theirs, answer) // nobody reads all of a long one
			}
		}()
		if err := exchange(ours, []byte(natswire.Ping)); err == nil {
			t.Errorf("%.20q is taken", answer)
		}
		ours.Close()
	}
}

// serveIdle answers each PING, in pieces.
func serveIdle(ln net.Listener, conns chan<- net.Conn) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection
			_, _ = io.WriteString(nc, "INFO {}\r\n") // the client tells of what goes wrong
			buf := make([]byte, 4096)
			for pongs := 0; ; {
				n, err := nc.Read(buf)
				if err != nil {
					return
				}
				for range strings.Count(string(buf[:n]), natswire.Ping) {
					_, _ = io.WriteString(nc, "PO")
					_, _ = io.WriteString(nc, "NG\r\n")
					if pongs++; pongs == 2 {
						conns <- nc
					}
				}
			}
		}()
	}
}

var _ load.Player = (*load.Run)(nil)
