// Command relay measures the HTTP relay beside its peers: the same bodies from the same origin, loaded by the same wrk, in
// turns within one run.
//
//	go run ./bench/relay                                   everything: near 20 minutes
//	go run ./bench/relay -quick                            one round of 1 s: does it work?
//	go run ./bench/relay -only nginx,roundhouse -conns 64 -bodies 100 -out file.md
//	go run ./bench/relay -results bench/RESULTS.md         write the report over its section of that file, with any of these too
//	go run ./bench/relay -tls                              nginx and roundhouse, both with clients that speak TLS
//	go run ./bench/relay -against DIR                      this tree beside the roundhouse and rsoe in DIR, with an access log
//	go run ./bench/relay -looking                          what metrics every second and an access log cost
//
// The last three load 64 connections with 100 B, six rounds, unless told otherwise. For -against, build the programs of another commit:
// git worktree add DIR COMMIT; cd DIR; go build -o . ./cmd/roundhouse ./cmd/rsoe.
//
// A cell is one body size with one count of connections. For each cell every contender is loaded once a round, A B C A B C,
// and the medians over the rounds are printed. Before that each body is fetched once through each contender and its SHA-256
// compared: a contender that answers wrongly is not measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

// bigBody is the size in bytes from which a body is loaded by fewer connections and counted by bytes.
const bigBody = 1 << 20

type options struct {
	duration      time.Duration // a round of a cell; whole seconds
	rounds        int
	conns         []int // for bodies below bigBody
	bigConns      []int // for the others
	bodies        []harness.Body
	only          []string // names of contenders; empty: all
	out           string   // path of the report; empty: standard output only
	results       string   // path of a file of which the report becomes a section; empty: none
	originWorkers int
	metricsEvery  time.Duration // how often metrics are fetched, where they are
	what          *comparison
	products      harness.Products
}

func main() { harness.Main("relay", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("relay", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "load of one contender in one round of a cell, in whole seconds")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of which the medians are taken")
	conns := fs.String("conns", "1,64,256", "connections, for bodies below 1 MiB")
	bigConns := fs.String("big-conns", "1,16,64", "connections, for bodies of 1 MiB and more")
	bodies := fs.String("bodies", "100,64k,10m", "sizes of the bodies, in bytes or with k, m")
	only := fs.String("only", "", "names of the contenders to measure (default: all)")
	fs.StringVar(&o.out, "out", "", "write the report to this file too")
	fs.IntVar(&o.originWorkers, "origin-workers", 2, "worker processes of the origin")
	fs.StringVar(&o.results, "results", "", "write the report over its section of this file")
	tls := fs.Bool("tls", false, "compare with nginx where clients speak TLS")
	look := fs.Bool("looking", false, "compare with itself, with metrics fetched and an access log written")
	against := fs.String("against", "", "compare with the roundhouse and rsoe in this directory")
	accessLog := fs.Bool("access-log", true, "-against: both write an access log")
	fs.DurationVar(&o.metricsEvery, "metrics-every", time.Second, "-looking: how often the metrics are fetched")
	quick := fs.Bool("quick", false, "one round of 1 s; -conns 64 and -big-conns 16 unless given")
	o.products.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *tls || *look || *against != "" {
		setUnless(given["conns"], conns, "64")
		setUnless(given["bodies"], bodies, "100")
		setUnless(given["rounds"], &o.rounds, 6)
	}
	if *quick {
		setUnless(given["duration"], &o.duration, time.Second)
		setUnless(given["rounds"], &o.rounds, 1)
		setUnless(given["conns"], conns, "64")
		setUnless(given["big-conns"], bigConns, "16")
	}
	if o.duration < time.Second || o.rounds < 1 || o.originWorkers < 1 {
		return nil, errors.New("-duration must be 1s or more, -rounds and -origin-workers 1 or more")
	}
	if o.metricsEvery <= 0 {
		return nil, errors.New("-metrics-every must be above 0")
	}
	if err := o.choose(*tls, *look, *against, *accessLog); err != nil {
		return nil, err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.parseLists(*conns, *bigConns, *bodies)
}

// setUnless sets what was not given.
func setUnless[T any](given bool, to *T, value T) {
	if !given {
		*to = value
	}
}

func (o *options) parseLists(conns, bigConns, bodies string) (err error) {
	if o.conns, err = parseInts(conns); err != nil {
		return err
	}
	if o.bigConns, err = parseInts(bigConns); err != nil {
		return err
	}
	for _, s := range strings.Split(bodies, ",") {
		b, err := harness.ParseBody(s)
		if err != nil {
			return err
		}
		o.bodies = append(o.bodies, b)
	}
	return o.checkNames()
}

func parseInts(list string) ([]int, error) {
	var ns []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("connections %q: want numbers above 0", list)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// directName is the origin without anything before it.
const directName = "direct"

func (o *options) checkNames() error {
	for _, name := range o.only {
		if name == directName {
			continue
		}
		if err := o.what.starter(name); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) wants(name string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, name)
}

func run(ctx context.Context, o *options) error {
	lab, err := harness.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	contenders, skipped, err := startAll(ctx, lab, o)
	if err != nil {
		return err
	}
	cells, err := measureAll(ctx, o, contenders)
	if err != nil {
		return err
	}
	text := report(o, cells, skipped)
	if _, err := io.WriteString(os.Stdout, text); err != nil {
		return err
	}
	if o.results != "" {
		if err := harness.WriteSection(o.results, o.what.heading, text); err != nil {
			return err
		}
	}
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

// startAll starts the origin and the contenders and checks each body through each. skipped tells of those that are not
// measured, and why.
func startAll(ctx context.Context, lab *harness.Lab, o *options) (cs []*harness.Contender, skipped []string, err error) {
	origin, port, err := harness.StartOrigin(ctx, lab, o.originWorkers, o.bodies)
	if err != nil {
		return nil, nil, err
	}
	if o.wants(directName) {
		cs = append(cs, origin)
	}
	for _, s := range o.what.starters {
		if !o.wants(s.Name) {
			continue
		}
		progress("starting %s", s.Name)
		c, err := s.Run(ctx, lab, port, o.bodies[0])
		for i := 0; i < len(o.bodies) && err == nil; i++ {
			err = harness.Verify(ctx, c.URL, o.bodies[i])
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("%s: %v", s.Name, err))
			progress("skipped %s", skipped[len(skipped)-1])
			continue
		}
		cs = append(cs, c)
	}
	if len(cs) == 0 {
		return nil, nil, errors.New("no contender could be started")
	}
	return cs, skipped, nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
