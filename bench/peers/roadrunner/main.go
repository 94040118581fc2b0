// Command roadrunner puts RoadRunner's worker pool behind the kind of door that Roundhouse has: TCP connections with frames of an
// 8-digit length and a payload, each answered by one frame. It is what bench/engine measures beside Roundhouse.
//
//	roadrunner serve -listen 127.0.0.1:9000 -workers 4 COMMAND ARG...   the door; COMMAND is a worker on pipes
//	roadrunner worker                                                   a worker in Go: answers with what it got
//
// It is a module of its own, so that none of RoadRunner's modules becomes one of the server's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"
)

// workerGCPercent suits a process with a heap of few megabytes, for which goridge makes a slice or more for each frame: with Go's 100 a
// third of the worker's time on big frames is the collector's.
const workerGCPercent = 400

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "roadrunner:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want serve or worker")
	}
	fs := flag.NewFlagSet("roadrunner "+args[0], flag.ContinueOnError)
	switch args[0] {
	case "serve":
		listen := fs.String("listen", "127.0.0.1:0", "host:port of the door")
		workers := fs.Uint64("workers", 4, "processes")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		if fs.NArg() == 0 {
			return errors.New("serve: no command of a worker")
		}
		p, err := newPool(*workers, fs.Args())
		if err != nil {
			return err
		}
		ln, err := net.Listen("tcp", *listen)
		if err != nil {
			return err
		}
		return serve(ln, p)
	case "worker":
		delay := fs.Duration("delay", 0, "how long to think about each request")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		debug.SetGCPercent(workerGCPercent)
		return work(os.Stdin, os.Stdout, func() { time.Sleep(*delay) })
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}
