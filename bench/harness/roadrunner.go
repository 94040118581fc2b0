package harness

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// roadRunnerDir is the module with RoadRunner's pool, from the root of ours.
const roadRunnerDir = "bench/peers/roadrunner"

// roadRunner starts RoadRunner's pool behind a door of its own.
type roadRunner struct {
	options *PoolOptions
	program string // path, empty until it is built
}

func (rr *roadRunner) build(ctx context.Context, l *Lab, source string) error {
	if rr.program != "" {
		return nil
	}
	program := filepath.Join(l.Dir, "rr-door")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = source // a module of its own
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("harness: build %s: %w: %s", roadRunnerDir, err, strings.TrimSpace(string(text)))
	}
	rr.program = program
	return nil
}

func (rr *roadRunner) start(name string, inPython bool) func(context.Context, *Lab) (*Pool, error) {
	return func(ctx context.Context, l *Lab) (*Pool, error) {
		source, err := moduleFile(ctx, roadRunnerDir)
		if err != nil {
			return nil, err
		}
		if err := rr.build(ctx, l, source); err != nil {
			return nil, err
		}
		worker := []string{rr.program, "worker"}
		switch {
		case rr.options.Hold:
			worker = append(worker, "-delay", "1h")
		case inPython:
			python, err := findPython()
			if err != nil {
				return nil, err
			}
			worker = []string{python, filepath.Join(source, "worker.py")}
		}
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		argv := []string{rr.program, "serve", "-listen", Address(port), "-workers", strconv.Itoa(rr.options.Engines)}
		p, err := l.Start(name, append(argv, worker...)...)
		if err != nil {
			return nil, err
		}
		c := Contender{Name: name, Procs: []*Process{p}}
		return &Pool{Contender: c, Protocol: ProtocolFrames, Port: port}, WaitListening(ctx, p, port)
	}
}
