package handover

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

const (
	// modeEnv makes the test binary a server, or a program that fails to be one: see child.
	modeEnv = "HANDOVER_TEST_MODE"
	// listenEnv are the addresses that it listens on: network and address, separated by commas.
	listenEnv = "HANDOVER_TEST_LISTEN"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeEnv); mode != "" {
		child(mode)
		return
	}
	goleak.VerifyTestMain(m)
}

// child is what a new process does.
func child(mode string) {
	Inherit()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch mode {
	case "die":
		os.Exit(7)
	case "leave": // somebody who has the pipe
		fd := process.tell.Fd()
		cmd := exec.Command("sleep", "20")
		cmd.ExtraFiles = []*os.File{os.NewFile(fd, "pipe")}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		os.Exit(8)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fallthrough
	case "hang":
		hang := make(chan os.Signal, 1)
		signal.Notify(hang, syscall.SIGUSR1)
		<-hang
	case "serve":
		childServe(log)
	}
}

// childServe answers each connection with the number of its listener, its process and the variables that should not be there,
// until it reads quit.
func childServe(log *slog.Logger) {
	quit := make(chan struct{})
	var all []net.Listener
	for i, at := range strings.Split(os.Getenv(listenEnv), ",") {
		if at == "" {
			break
		}
		network, addr, _ := strings.Cut(at, " ")
		ln, err := Listen(network, addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
		all = append(all, ln)
		go func() { // ends with the process
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%d %d %d %x\n", i, os.Getpid(), leftEnv(), Key())
				go func() { // ends with the connection, or the process
					defer c.Close()
					if line, _ := bufio.NewReader(c).ReadString('\n'); line == "quit\n" {
						close(quit)
						select {} // the connection ends with the process
					}
				}()
			}
		}()
	}
	Ready(log)
	<-quit
	for _, ln := range all {
		ln.Close()
	}
}

func leftEnv() (n int) {
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "LISTEN_") || strings.HasPrefix(entry, "ROUNDHOUSE_LISTEN") {
			n++
		}
	}
	return n
}
