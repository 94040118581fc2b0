// Command farm kills every process of a relay farm under load, one after the other, and tells what the clients saw of it.
//
//	go run ./bench/farm                                     each victim once: about a minute
//	go run ./bench/farm -full                               each five times, with more load: about a quarter of an hour
//	go run ./bench/farm -only "relay1,enabler2 alone"       some of the victims
//	go run ./bench/farm -results bench/RESULTS.md           write the report over its section of that file
//
// A farm is HAProxy, three relay servers, two back ends, and an enabler for each of them with lanes to all relays. A back end notes
// each request in memory that outlives it, so that of each request that failed is known whether a back end had seen it.
//
// The exit code is 1 if a request that had not reached a back end was not answered with 200, a POST was sent twice, a body was wrong, a
// sticky client moved from a back end that was alive, or a client waited longer than -wait. A POST that was on its way at the kill may
// fail: whether a back end has it, nobody knows who is left.
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
	"sync/atomic"
	"time"

	"roundhouse/bench/harness"
)

type options struct {
	clients  int
	rate     int           // requests a second of all clients together; 0: as many as they can
	work     time.Duration // that a back end has with a request, on the average
	before   time.Duration // of load before a kill
	dead     time.Duration // from a kill until the start
	after    time.Duration // of load after the victim serves again
	wait     time.Duration // the longest that a client may wait
	rounds   int
	requests int // most in a run: the size of the ledgers
	only     []string
	keepLogs string // directory that the logs are copied to; empty: none
	results  string
	products harness.Products
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == backendCommand {
		if err := serveAsBackend(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "farm:", err)
			os.Exit(1)
		}
		return
	}
	harness.Main("farm", parseFlags, run)
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("farm", flag.ContinueOnError)
	full := fs.Bool("full", false, "the run that the results are of: -clients 128 -rate 3000 -before 4s -dead 5s -after 3s -rounds 5, unless given")
	fs.IntVar(&o.clients, "clients", 64, "clients, half of them sticky")
	fs.IntVar(&o.rate, "rate", 1500, "requests a second of all clients together; 0: as many as they can")
	fs.DurationVar(&o.work, "work", 4*time.Millisecond, "how long a back end takes for an answer, on the average")
	fs.DurationVar(&o.before, "before", time.Second, "load before a kill")
	fs.DurationVar(&o.dead, "dead", 2*time.Second, "how long a victim is dead")
	fs.DurationVar(&o.after, "after", time.Second, "load after the victim serves again")
	fs.DurationVar(&o.wait, "wait", time.Second, "the longest that a client may wait")
	fs.IntVar(&o.rounds, "rounds", 1, "how often each victim is killed")
	fs.IntVar(&o.requests, "requests", 1<<24, "most requests of a run")
	only := fs.String("only", "", "names of the victims, with commas between them (default: all)")
	fs.StringVar(&o.keepLogs, "logs", "", "copy the logs of all processes to this directory")
	fs.StringVar(&o.results, "results", "", "write the report over its section of this file")
	o.products.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *full {
		o.setFull(fs)
	}
	if o.clients < 2 || o.rate < 0 || o.rounds < 1 || o.requests < 1000 || min(o.work, o.before, o.dead, o.after) < 0 {
		return nil, errors.New("-clients must be 2 or more, -rounds 1, -requests 1000, nothing below 0")
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.checkNames()
}

// setFull sets what was not given to the values of a full run.
func (o *options) setFull(fs *flag.FlagSet) {
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"clients": "128", "rate": "3000", "before": "4s", "dead": "5s", "after": "3s", "rounds": "5"} {
		if !given[name] {
			if err := fs.Set(name, value); err != nil {
				panic("BUG: " + err.Error())
			}
		}
	}
}

func (o *options) checkNames() error {
	var names []string
	for _, v := range victims() {
		names = append(names, v.name)
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no victim %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func run(ctx context.Context, o *options) error {
	lab, err := harness.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	if o.keepLogs != "" {
		defer copyLogs(lab.Dir, o.keepLogs)
	}
	c, err := startCast(ctx, o, lab)
	if err != nil {
		return err
	}
	phases, all, err := c.runAll(ctx)
	if err != nil {
		return err
	}
	if err := writeFailed(lab, phases, all); err != nil {
		return err
	}
	var tallies []*tally
	var broken []string
	for _, p := range phases {
		t := count(p, all)
		tallies = append(tallies, t)
		broken = append(broken, t.broken(o.wait)...)
	}
	text := report(o, tallies, broken)
	if _, err := io.WriteString(os.Stdout, text); err != nil {
		return err
	}
	if o.results != "" {
		if err := harness.WriteSection(o.results, heading, text); err != nil {
			return err
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d requirements are broken", len(broken))
	}
	return nil
}

// runAll kills all victims under load.
func (c *cast) runAll(ctx context.Context) ([]phase, []record, error) {
	l := startLoad(ctx, c)
	var phases []phase
	for range c.o.rounds {
		for _, v := range victims() {
			if len(c.o.only) > 0 && !slices.Contains(c.o.only, v.name) {
				continue
			}
			p, err := c.run(ctx, v)
			if err != nil {
				l.stop(c)
				return nil, nil, fmt.Errorf("%s: %w", v.name, err)
			}
			progress("%s: dead for %v, serves again %v after its start", v.name, (p.started - p.killed).Round(time.Millisecond),
				(p.serving - p.started).Round(time.Millisecond))
			phases = append(phases, p)
		}
	}
	all := l.stop(c)
	if int(c.ids.Load()) >= c.o.requests {
		return nil, nil, fmt.Errorf("more than %d requests: raise -requests", c.o.requests)
	}
	return phases, all, nil
}

// clock numbers requests and tells the time of a run. Any goroutine may use it.
type clock struct {
	ids   atomic.Int64
	begin time.Time
}

func (k *clock) nextID() int          { return int(k.ids.Add(1)) - 1 }
func (k *clock) since() time.Duration { return time.Since(k.begin) }

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// writeFailed lists the requests that were not answered with 200, for who wants to look for them in the logs.
func writeFailed(lab *harness.Lab, phases []phase, all []record) error {
	var b strings.Builder
	for _, p := range phases {
		for _, r := range all {
			if r.begin >= p.begin && r.begin < p.end && (r.status != 200 || r.moved >= 0) {
				fmt.Fprintf(&b, "%s: request %d, post %t, status %d, came %d times, moved from %d; began %v after the kill and took %v; serving %v after it\n",
					p.victim.name, r.id, r.post, r.status, r.came, r.moved, r.begin-p.killing, r.end-r.begin, p.serving-p.killing)
			}
		}
	}
	_, err := lab.WriteFile("failed.txt", b.String())
	return err
}

// copyLogs copies what the processes have written.
func copyLogs(from, to string) {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		progress("%v", err)
	}
}
