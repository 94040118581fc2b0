// Command natsgo runs the tests that nats.go brings along against a server program of our choice: Roundhouse, or nats-server to prove
// that what fails there is the fault of the server and not of this harness.
//
// The tests are compiled from the module cache, unchanged. Since nats.go v1.55.0 they ask a package for their servers, and a replace
// directive puts ours in its place, which starts a process of the program under test: see shim/ntf-client. Tests that cannot apply are
// named in list.txt with the reason; every other one has to pass, and one that skips itself is counted and shown.
//
// With -npm it runs npm/check.mjs against servers of several kinds: with users, a token, TLS and so on.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "natsgo:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	server  string // program
	nats    bool   // it is nats-server, made from this module when server is empty
	pattern string // of names of tests
	race    bool
	count   int
	doc     bool // write the page and do nothing else
	npm     bool // check with the npm package instead
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("natsgo", flag.ContinueOnError)
	flags.StringVar(&o.server, "server", os.Getenv("NATSGO_SERVER"), "the server `program`; made from the sources when empty")
	flags.BoolVar(&o.nats, "nats-server", false, "the program is nats-server")
	flags.StringVar(&o.pattern, "run", "", "only tests that this regular `expression` fits")
	flags.BoolVar(&o.race, "race", false, "with the race detector, in the client")
	flags.IntVar(&o.count, "count", 1, "how often to run each test")
	flags.BoolVar(&o.doc, "doc", false, "write docs/nats-conformance.md and end")
	flags.BoolVar(&o.npm, "npm", false, "check with the npm package nats instead")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.doc {
		suite, err := readSuite()
		if err != nil {
			return err
		}
		return os.WriteFile(docFile, suite.document(), 0o644)
	}
	dir, err := os.MkdirTemp("", "natsgo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what is left of it does no harm
	if o.server == "" {
		if o.server, err = build(ctx, o, dir); err != nil {
			return err
		}
	}
	if o.server, err = filepath.Abs(o.server); err != nil {
		return err
	}
	if o.npm {
		return checkNPM(ctx, o, dir)
	}
	return testSuite(ctx, o, dir)
}

// testSuite runs nats.go's tests.
func testSuite(ctx context.Context, o options, dir string) error {
	suite, err := readSuite()
	if err != nil {
		return err
	}
	if err := requireFreePorts(); err != nil {
		return err
	}
	return suite.test(ctx, o, dir)
}

// ownPorts are the ports of this machine that the tests name and expect to find closed.
var ownPorts = []int{4222, 4223, 8080, 9999, 11221, 11222, 11223, 11224, 11225, 11226, 11227, 11228}

func requireFreePorts() error {
	for _, port := range ownPorts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return fmt.Errorf("the tests need port %d to be free: %w", port, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// build makes the server program and returns its path.
func build(ctx context.Context, o options, dir string) (string, error) {
	program := filepath.Join(dir, "server")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/roundhouse")
	cmd.Dir = filepath.FromSlash("../../..")
	if o.nats {
		cmd = exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, bytes.TrimSpace(out))
	}
	return program, nil
}
