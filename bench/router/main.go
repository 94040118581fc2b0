// Command router measures the router door beside nats-server: messages through one server, with the same clients.
//
//	go run ./bench/router                                     every scenario: about 5 minutes
//	go run ./bench/router -quick                              one round of 1 s: does it work?
//	go run ./bench/router -lib                                with nats.go too, beside the generator that writes the wire itself
//	go run ./bench/router -scenarios 1-1-128,4-4 -only roundhouse,nats-server
//	go run ./bench/router -control                            nats-server beside itself too: the noise of the measurement
//	go run ./bench/router -idle                               memory of 19,000 idle clients instead
//	go run ./bench/router -results bench/RESULTS.md           write the report over its section of that file, with -idle too
//
// For each scenario every server is loaded once a round, A B A B, each time a new process of it, and the medians over the rounds are
// printed. What is sent, how it is checked, and what a latency is: package load. A round in which a client loses its connection, or
// a message is lost, doubled or out of order, is printed as failed, does not count, and makes this program end with 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/bench/router/load"
)

// scenarios are what is measured, in this order.
var scenarios = []load.Scenario{
	{Name: "1-1-16", Kind: load.Stream, Size: 16, Publishers: 1, FanOut: 1, Window: 16384},
	{Name: "1-1-128", Kind: load.Stream, Size: 128, Publishers: 1, FanOut: 1, Window: 16384},
	{Name: "1-1-1k", Kind: load.Stream, Size: 1024, Publishers: 1, FanOut: 1, Window: 4096},
	{Name: "1-10", Kind: load.Stream, Size: 128, Publishers: 1, FanOut: 10, Window: 16384},
	{Name: "4-4", Kind: load.Stream, Size: 128, Publishers: 4, FanOut: 1, Window: 8192},
	{Name: "request-64", Kind: load.Request, Size: 128, Publishers: 64},
	{Name: "random-100k", Kind: load.Random, Size: 128, Publishers: 2, Subscribers: 8, Subscriptions: 100_000, Window: 16384},
}

type options struct {
	warmup    time.Duration // load before a round's figures begin
	duration  time.Duration // of a round
	rounds    int
	scenarios []load.Scenario
	only      []string // names of servers; empty: all but the control
	control   bool
	lib       bool   // load with nats.go too
	client    bool   // load with client/pubsub too
	out       string // path of the report; empty: standard output only
	results   string // path of a file of which the report becomes a section; empty: none
	idle      bool   // measure idle clients instead
	clients   int    // how many
	settle    harness.StillLimits
	programs  harness.NATSPrograms
}

func main() { harness.Main("router", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("router", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "duration", 3*time.Second, "load of one server in one round of a scenario")
	fs.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "load before that, which is not counted")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of which the medians are taken")
	names := fs.String("scenarios", "", "scenarios to measure (default: all): "+strings.Join(scenarioNames(), ", "))
	only := fs.String("only", "", "names of the servers to measure (default: all)")
	fs.BoolVar(&o.control, "control", false, "measure nats-server a second time, beside itself")
	fs.BoolVar(&o.lib, "lib", false, "load with nats.go too")
	fs.BoolVar(&o.client, "client", true, "load the servers that understand it with client/pubsub too")
	fs.StringVar(&o.out, "out", "", "write the report to this file too")
	fs.StringVar(&o.results, "results", "", "write the report over its section of this file too")
	quick := fs.Bool("quick", false, "-rounds 1 -duration 1s")
	fs.BoolVar(&o.idle, "idle", false, "measure the memory of idle clients instead")
	fs.IntVar(&o.clients, "clients", 19_000, "with -idle: how many")
	fs.DurationVar(&o.settle.Deadline, "settle", time.Minute, "with -idle: how long to wait at most until the memory stands still")
	fs.DurationVar(&o.settle.Still, "still", 2*time.Second, "with -idle: how long it has to stand still")
	fs.StringVar(&o.programs.Server, "nats-server", "", "path of nats-server (default: build v2.15.2)")
	fs.StringVar(&o.programs.Generator, "generator", "", "with -lib: path of the generator with nats.go (default: build it)")
	o.programs.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *quick {
		o.rounds, o.duration = 1, time.Second
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.complete(*names)
}

// complete reads the lists and checks what was given.
func (o *options) complete(names string) error {
	if o.duration <= 0 || o.warmup < 0 || o.rounds < 1 {
		return errors.New("-duration must be above 0, -rounds 1 or more, -warmup not below 0")
	}
	o.scenarios = scenarios
	if names != "" {
		o.scenarios = nil
		for _, name := range strings.Split(names, ",") {
			i := slices.Index(scenarioNames(), name)
			if i < 0 {
				return fmt.Errorf("no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
			}
			o.scenarios = append(o.scenarios, scenarios[i])
		}
	}
	const spareFiles = 500 // descriptors that are not client connections
	if limit, err := harness.FileLimit(); err != nil || o.clients < 1 || o.clients > limit-spareFiles {
		return errors.Join(err, fmt.Errorf("-clients %d: want 1 to %d", o.clients, limit-spareFiles))
	}
	var servers []string
	for _, s := range harness.NATSStarters(&o.programs) {
		servers = append(servers, s.Name)
	}
	for _, name := range o.only {
		if !slices.Contains(servers, name) {
			return fmt.Errorf("no server %q; there are %s", name, strings.Join(servers, ", "))
		}
	}
	return nil
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return names
}

// starters returns the servers that are to be measured.
func (o *options) starters() []harness.NATSStarter {
	return slices.DeleteFunc(harness.NATSStarters(&o.programs), func(s harness.NATSStarter) bool {
		if len(o.only) > 0 {
			return !slices.Contains(o.only, s.Name)
		}
		return s.Name == harness.NATSControl && !o.control
	})
}

// run measures, and writes the report. What failed in some rounds is an error, once everything is written.
func run(ctx context.Context, o *options) error {
	lab, err := harness.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	measure, heading := measureScenarios, scenariosHeading
	if o.idle {
		measure, heading = measureIdle, idleHeading
	}
	text, failed, err := measure(ctx, lab, o)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(os.Stdout, text); err != nil {
		return err
	}
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if o.results != "" {
		if err := harness.WriteSection(o.results, heading, text); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d rounds failed", failed)
	}
	return nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
