// Command engine measures the engine door beside its peers: clients that each send one request at a time to a pool of processes
// that answer with what they got.
//
//	go run ./bench/engine                                  everything: near 15 minutes
//	go run ./bench/engine -quick                           one round of 1 s with 64 clients: does it work?
//	go run ./bench/engine -only roundhouse-go,roadrunner-go -clients 64 -sizes 100 -out file.md
//	go run ./bench/engine -queue                           memory of requests that wait, 10,000 of them
//	go run ./bench/engine -results bench/RESULTS.md        write the report over its section of that file, with -queue too
//
// A cell is one size of payload, the same each way, with one number of clients. For each cell every contender is loaded once a
// round, A B C A B C, and the medians over the rounds are printed. Every reply is compared byte by byte with its request, each of
// which is different: a contender that answers wrongly before the first round is not measured, and later its errors are counted.
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

type options struct {
	warmup   time.Duration // load before a round's figures begin
	duration time.Duration // of a round of a cell
	rounds   int
	clients  []int
	sizes    []int    // of payloads, in bytes
	threads  int      // of the load; 0: one for 256 clients
	only     []string // names of contenders; empty: all
	out      string   // path of the report; empty: standard output only
	results  string   // path of a file of which the report becomes a section; empty: none
	queue    bool     // measure waiting requests instead
	waiting  int      // how many
	settle   harness.StillLimits
	pools    harness.PoolOptions
}

func main() { harness.Main("engine", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("engine", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "load of one contender in one round of a cell")
	fs.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "load before that, which is not counted")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of which the medians are taken")
	clients := fs.String("clients", "1,64,512", "numbers of clients")
	sizes := fs.String("sizes", "100,64k", "sizes of the payload, in bytes or with k, m")
	fs.IntVar(&o.threads, "threads", 0, "threads of the load (default: one for 256 clients)")
	fs.IntVar(&o.pools.Engines, "engines", 4, "engines, or workers, of each contender")
	only := fs.String("only", "", "names of the contenders to measure (default: all)")
	fs.StringVar(&o.out, "out", "", "write the report to this file too")
	fs.StringVar(&o.results, "results", "", "write the report over its section of this file too")
	quick := fs.Bool("quick", false, "-rounds 1 -duration 1s -clients 64, those that are not given")
	fs.BoolVar(&o.queue, "queue", false, "measure the memory of waiting requests instead")
	fs.IntVar(&o.waiting, "waiting", 10_000, "with -queue: how many")
	fs.DurationVar(&o.settle.Deadline, "settle", time.Minute, "with -queue: how long to wait at most until the memory stands still")
	fs.DurationVar(&o.settle.Still, "still", 2*time.Second, "with -queue: how long it has to stand still")
	o.pools.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *quick {
		given := make(map[string]bool)
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["duration"] {
			o.duration = time.Second
		}
		if !given["rounds"] {
			o.rounds = 1
		}
		if !given["clients"] {
			*clients = "64"
		}
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return o, o.complete(*clients, *sizes)
}

// complete reads the lists and checks what was given.
func (o *options) complete(clients, sizes string) error {
	if o.duration <= 0 || o.warmup < 0 || o.rounds < 1 || o.threads < 0 || o.pools.Engines < 1 {
		return errors.New("-duration must be above 0, -rounds and -engines 1 or more, -warmup and -threads not below 0")
	}
	for _, s := range strings.Split(clients, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("-clients %q: want numbers above 0", clients)
		}
		o.clients = append(o.clients, n)
	}
	for _, s := range strings.Split(sizes, ",") {
		n, err := harness.ParseSize(s)
		if err != nil {
			return err
		}
		if n < stampLen || n > maxSize {
			return fmt.Errorf("-sizes %q: want %d to %d bytes", sizes, stampLen, maxSize)
		}
		o.sizes = append(o.sizes, int(n))
	}
	const spareFiles = 500 // descriptors that are not client connections
	if limit, err := harness.FileLimit(); err != nil || o.waiting < 1 || o.waiting > limit-spareFiles {
		return errors.Join(err, fmt.Errorf("-waiting %d: want 1 to %d", o.waiting, limit-spareFiles))
	}
	return o.checkNames()
}

// starters returns all contenders of the chosen measurement.
func (o *options) starters() []harness.PoolStarter {
	if o.queue {
		return harness.HoldStarters(&o.pools)
	}
	return harness.PoolStarters(&o.pools)
}

func (o *options) checkNames() error {
	var names []string
	for _, s := range o.starters() {
		names = append(names, s.Name)
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no contender %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func (o *options) wants(name string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, name)
}

func run(ctx context.Context, o *options) error {
	measure, heading := runCells, cellsHeading
	if o.queue {
		measure, heading = runQueue, queueHeading
	}
	text, err := measure(ctx, o)
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
		return harness.WriteSection(o.results, heading, text)
	}
	return nil
}

// runCells starts the contenders, measures all cells and returns the report.
func runCells(ctx context.Context, o *options) (string, error) {
	lab, err := harness.NewLab()
	if err != nil {
		return "", err
	}
	defer lab.Close()
	contenders, skipped, err := startAll(ctx, lab, o)
	if err != nil {
		return "", err
	}
	cells, err := measureAll(ctx, o, contenders)
	if err != nil {
		return "", err
	}
	return report(o, cells, skipped), nil
}

// contender is a running pool, and the name of the one that it is compared with.
type contender struct {
	*harness.Pool
	reference string
}

// startAll starts the contenders and checks each size of payload through each. skipped tells of those that are not measured, and why.
func startAll(ctx context.Context, lab *harness.Lab, o *options) (cs []contender, skipped []string, err error) {
	for _, s := range o.starters() {
		if !o.wants(s.Name) {
			continue
		}
		progress("starting %s", s.Name)
		p, err := s.Start(ctx, lab)
		for i := 0; i < len(o.sizes) && err == nil; i++ {
			err = verify(ctx, p, o.sizes[i])
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("%s: %v", s.Name, err))
			progress("skipped %s", skipped[len(skipped)-1])
			continue
		}
		cs = append(cs, contender{p, s.Reference})
	}
	if len(cs) == 0 {
		return nil, nil, errors.New("no contender could be started")
	}
	return cs, skipped, nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
