// Command nats is the generator of bench/router with nats.go: it plays the same scenarios, with that library's connections.
//
// It is started by bench/router -lib and talks to it by its standard input and output (see load.Serve). It is a module of its own, so that
// none of the modules of NATS becomes one of the server's. nats-server itself, which is a tool of this module, is built as it is.
package main

import (
	"context"
	"fmt"
	"os"

	"roundhouse/bench/router/load"
)

func main() {
	if err := load.Serve(context.Background(), os.Stdin, os.Stdout, library{}); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}
