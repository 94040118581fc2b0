// Command fanout measures what the router door does with many: subscribers of one subject, subscriptions, clients that come back at once.
//
//	go run ./bench/fanout                              all three, about 10 minutes
//	go run ./bench/fanout -quick                       one short round of each: does it work?
//	go run ./bench/fanout -scenarios slow -duration 60s -only roundhouse
//	go run ./bench/fanout -results bench/RESULTS.md    write each report over its section of that file
//
//	slow      a publisher at a fixed rate and 1,000 subscribers of its subject; one of them stops reading: what the others notice, when
//	          the server cuts it, and what it, the log and the metrics say of that
//	million   1,000,000 subscriptions: time, memory, and then messages with random subjects
//	returns   10,000 clients whose server is killed and started again
//
// In each round every server has its turn, with a new process; medians over the rounds are printed. Clients write and read the protocol
// themselves: that of NATS and, where the server has it, Roundhouse's own. A round in which a message is lost, doubled or out of order,
// or a client loses its connection that should not, is printed as failed, does not count, and makes this program end with 1.
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
)

// scenario is one thing to measure, with a section of its own in the results.
type scenario struct {
	name, heading string
	// measure returns the report, and how many rounds failed.
	measure func(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error)
}

var scenarios = []scenario{
	{"slow", slowHeading, measureSlow},
	{"million", millionHeading, measureMillion},
	{"returns", returnsHeading, measureReturns},
}

type options struct {
	rounds    int
	scenarios []scenario
	only      []string // names of servers; empty: all
	out       string   // path of the reports; empty: standard output only
	results   string   // path of a file of which each report becomes a section; empty: none
	programs  harness.NATSPrograms
	duration  time.Duration // slow: of each phase; million: of the publishing
	// Of slow.
	subscribers, rate, size int
	// Of million.
	subscriptions int
	settle        harness.StillLimits
	// Of returns.
	clients      int
	down, jitter time.Duration
}

func main() { harness.Main("fanout", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("fanout", flag.ContinueOnError)
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of which the medians are taken")
	names := fs.String("scenarios", "", "what to measure (default: all): "+strings.Join(scenarioNames(), ", "))
	only := fs.String("only", "", "names of the servers to measure (default: all)")
	fs.StringVar(&o.out, "out", "", "write the reports to this file too")
	fs.StringVar(&o.results, "results", "", "write each report over its section of this file too")
	quick := fs.Bool("quick", false, "-rounds 1 -duration 3s -still 1s")
	fs.DurationVar(&o.duration, "duration", 10*time.Second, "slow: of each phase; million: of the publishing, a third of it")
	fs.IntVar(&o.subscribers, "subscribers", 1000, "slow: connections that subscribe, the slow one included")
	fs.IntVar(&o.rate, "rate", 100, "slow: messages published a second; each goes to all subscribers")
	fs.IntVar(&o.size, "size", 1024, "slow: payload in bytes")
	fs.IntVar(&o.subscriptions, "subscriptions", 1_000_000, "million: how many, in thousands")
	fs.DurationVar(&o.settle.Deadline, "settle", 20*time.Second, "million: how long to wait at most until the memory stands still")
	fs.DurationVar(&o.settle.Still, "still", 2*time.Second, "million: how long it has to stand still")
	fs.IntVar(&o.clients, "clients", 10_000, "returns: how many")
	fs.DurationVar(&o.down, "down", time.Second, "returns: from the kill of the server until it is started again")
	fs.DurationVar(&o.jitter, "jitter", 2*time.Second, "returns: how long a client waits at most before an attempt; 100ms at least")
	fs.StringVar(&o.programs.Server, "nats-server", "", "path of nats-server (default: build v2.15.2)")
	o.programs.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *quick {
		o.rounds, o.duration, o.settle.Still = 1, 3*time.Second, time.Second
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.complete(*names)
}

// complete reads the list of scenarios and checks what was given.
func (o *options) complete(names string) error {
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
	for _, name := range o.only {
		if !slices.Contains(serverNames, name) {
			return fmt.Errorf("no server %q; there are %s", name, strings.Join(serverNames, ", "))
		}
	}
	const spareFiles = 500 // descriptors that are not client connections
	limit, err := harness.FileLimit()
	if most := limit - spareFiles; err != nil || o.clients < 1 || o.clients > most || o.subscribers < 2 || o.subscribers > most {
		return errors.Join(err, fmt.Errorf("-clients %d, -subscribers %d: want 1 and 2, to %d", o.clients, o.subscribers, most))
	}
	switch {
	case o.rounds < 1 || o.duration <= 0 || o.down < 0 || o.jitter <= leastJitter:
		return fmt.Errorf("-duration must be above 0, -rounds 1 or more, -down not below 0, -jitter above %v", leastJitter)
	case o.rate < 1 || o.rate > 100_000 || o.size <= phaseAt || o.size > 1<<20:
		return fmt.Errorf("-rate %d, -size %d: want 1 to 100000, and %d to 1 MiB", o.rate, o.size, phaseAt+1)
	case o.subscriptions < 1000 || o.subscriptions%1000 != 0:
		return fmt.Errorf("-subscriptions %d: want thousands", o.subscriptions)
	}
	return nil
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// run measures, and writes each report when it is there. What failed in some rounds is an error, once everything is written.
func run(ctx context.Context, o *options) error {
	lab, err := harness.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	if err := o.prepare(ctx, lab); err != nil {
		return err
	}
	var all strings.Builder
	failures := 0
	for _, s := range o.scenarios {
		text, failed, err := s.measure(ctx, lab, o)
		if err != nil {
			return err
		}
		failures += failed
		text = s.heading + "\n\n" + harness.NATSMachine(&o.programs) + text + "\n"
		all.WriteString(text)
		if _, err := io.WriteString(os.Stdout, text); err != nil {
			return err
		}
		if o.results != "" {
			if err := harness.WriteSection(o.results, s.heading, text); err != nil {
				return err
			}
		}
	}
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(all.String()), 0o644); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d rounds failed", failures)
	}
	return nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
