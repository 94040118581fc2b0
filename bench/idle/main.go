// Command idle tells how many bytes of memory an idle client connection costs.
//
//	go run ./bench/idle                                 19,000 connections with one request each, then 19,000 without
//	go run ./bench/idle -n 6000 -contender nginx        a peer, the same way (nginx and haproxy are set up for 8,000)
//	go run ./bench/idle -url http://127.0.0.1:8080/cli/iarelayserver/demo/ -pid 4711   a server that runs already
//
// It reads the server's PSS, opens the connections, waits until the PSS stands still, and divides the difference. Nothing is
// done to make the server collect its garbage, because nothing would in production. Memory of the kernel is not in it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

const (
	targetBytes = 2 << 10 // a connection
	spareFiles  = 500     // descriptors of this program, or of the server, that are not client connections
)

type options struct {
	n         int                 // connections
	modes     []bool              // with a request, without
	settle    harness.StillLimits // when the memory counts as still
	contender string              // name of a starter
	url       *url.URL            // of a server that runs already, nil: start one
	pid       int                 // of that server
	products  harness.Products
}

func main() {
	o, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fmt.Print("## Memory of an idle connection\n\n", harness.Machine(), "\n", tableHead)
	for _, request := range o.modes {
		r, err := run(ctx, o, request)
		if err != nil {
			fmt.Fprintln(os.Stderr, "idle:", err)
			os.Exit(1)
		}
		fmt.Print(r)
	}
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("idle", flag.ContinueOnError)
	fs.IntVar(&o.n, "n", 19000, "client connections")
	mode := fs.String("mode", "both", "request (one relayed request on each connection), bare (none), or both")
	fs.DurationVar(&o.settle.Deadline, "settle", time.Minute, "how long to wait at most until the memory stands still")
	fs.DurationVar(&o.settle.Still, "still", 2*time.Second, "how long it has to stand still")
	fs.StringVar(&o.contender, "contender", "roundhouse", "what to start")
	rawURL := fs.String("url", "", "URL that answers 200, of a server that runs already; needs -pid")
	fs.IntVar(&o.pid, "pid", 0, "process of that server")
	o.products.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	switch *mode {
	case "request":
		o.modes = []bool{true}
	case "bare":
		o.modes = []bool{false}
	case "both":
		o.modes = []bool{true, false}
	default:
		return nil, fmt.Errorf("-mode %q: want request, bare or both", *mode)
	}
	if (*rawURL == "") != (o.pid == 0) {
		return nil, errors.New("-url and -pid go together")
	}
	if *rawURL != "" {
		u, err := url.Parse(*rawURL)
		if err != nil || u.Scheme != "http" || u.Port() == "" {
			return nil, fmt.Errorf("-url %q: want http://host:port/path", *rawURL)
		}
		o.url = u
	}
	return o, o.checkCount()
}

func (o *options) checkCount() error {
	limit, err := harness.FileLimit()
	if err != nil {
		return err
	}
	if o.n < 1 || o.n > limit-spareFiles {
		return fmt.Errorf("-n %d: want 1 to %d, a process may have %d descriptors", o.n, limit-spareFiles, limit)
	}
	_, err = harness.FindStarter(&o.products, o.contender)
	return err
}

// result is one measurement.
type result struct {
	request     bool
	n, alive    int   // connections opened, and still open at the end
	descriptors int   // that the server had more at the end
	before      int64 // PSS of the server in bytes
	after       int64
	enabler     int64 // difference of the PSS of the enabler
	settled     bool
}

const tableHead = `| connections | request on each | open at the end | descriptors more | PSS before | PSS after | bytes/connection | target 2048 | enabler, bytes/connection |
|--:|---|--:|--:|--:|--:|--:|---|--:|
`

func (r result) String() string {
	bytes := (r.after - r.before) / int64(r.n)
	verdict := "met"
	if bytes > targetBytes {
		verdict = "missed"
	}
	var remarks []string
	if r.alive < r.n {
		remarks = append(remarks, "connections were lost")
	}
	if !r.settled {
		remarks = append(remarks, "not settled")
	}
	if len(remarks) > 0 {
		verdict += " (" + strings.Join(remarks, ", ") + ")"
	}
	return fmt.Sprintf("| %d | %t | %d | %d | %.1f MiB | %.1f MiB | %d | %s | %d |\n", r.n, r.request, r.alive, r.descriptors,
		float64(r.before)/(1<<20), float64(r.after)/(1<<20), bytes, verdict, r.enabler/int64(r.n))
}
