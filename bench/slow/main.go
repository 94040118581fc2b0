// Command slow tells what slow readers do to fast clients, and to the server's memory.
//
//	go run ./bench/slow                        100 readers of 100 MiB at 10 KB/s beside 32 fast clients: about a minute
//	go run ./bench/slow -contender nginx       a peer, the same way
//
// Phases: fast clients alone; the same beside the slow readers; then, with the slow readers still there, one large body down
// and one up. Every byte is checked: the slow readers compare theirs as they come, the large bodies are compared by SHA-256.
// The exit code is 1 if a byte differs, a slow reader is cut off, or a request fails. The latencies decide nothing.
//
// The origin is in this process and shares its CPU with the clients, so only the ratio of the two phases means something.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"roundhouse/bench/harness"
)

type options struct {
	duration  time.Duration // of each of the first two phases
	fast      int           // clients in a closed loop
	slow      int           // readers
	slowBody  harness.Body
	slowRate  int          // bytes a second of each
	large     harness.Body // down and up
	contender string       // name of a starter
	products  harness.Products
}

// fastBody is what the fast clients get, and what tells that a contender is ready.
var fastBody = harness.Body{Name: "100b.bin", Size: 100}

func main() { harness.Main("slow", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("slow", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "duration", 10*time.Second, "of the phase without and the phase with slow readers")
	fs.IntVar(&o.fast, "fast", 32, "fast clients")
	fs.IntVar(&o.slow, "slow", 100, "slow readers")
	slowBody := fs.String("slow-body", "100m", "size of the body that each slow reader gets")
	fs.IntVar(&o.slowRate, "slow-rate", 10_000, "bytes a second that a slow reader takes")
	large := fs.String("large", "1g", "size of the body that goes down and up while the slow readers read")
	fs.StringVar(&o.contender, "contender", "roundhouse", "what to start")
	o.products.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.duration <= 0 || o.fast < 1 || o.slow < 1 || o.slowRate < ticksPerSecond {
		return nil, fmt.Errorf("-duration must be above 0, -fast and -slow 1 or more, -slow-rate %d or more", ticksPerSecond)
	}
	var err error
	if o.slowBody, err = harness.ParseBody(*slowBody); err != nil {
		return nil, err
	}
	if o.large, err = harness.ParseBody(*large); err != nil {
		return nil, err
	}
	_, err = harness.FindStarter(&o.products, o.contender)
	return o, err
}

func run(ctx context.Context, o *options) error {
	lab, err := harness.NewLab()
	if err != nil {
		return err
	}
	defer lab.Close()
	port, closeOrigin, err := startOrigin()
	if err != nil {
		return err
	}
	defer closeOrigin()
	starter, err := harness.FindStarter(&o.products, o.contender)
	if err != nil {
		return err
	}
	c, err := starter.Run(ctx, lab, port, fastBody)
	if err != nil {
		return err
	}
	fmt.Printf("## Slow readers beside fast clients: %s\n\n%s", c.Name, harness.Machine())
	fmt.Printf("- %d fast clients, GET of %d B in a closed loop, %v a phase; %d slow readers of %s at %d B/s; large body %s\n\n",
		o.fast, fastBody.Size, o.duration, o.slow, o.slowBody.Name, o.slowRate, o.large.Name)
	return phases(ctx, o, c)
}
