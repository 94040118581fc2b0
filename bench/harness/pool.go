package harness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Protocol is what the clients of a Pool speak. In all of them one request is answered by one reply that holds the same payload.
type Protocol int

const (
	ProtocolHTTP   Protocol = iota // HTTP/1.1: POST with a Content-Length over a kept connection
	ProtocolFrames                 // 8 digits of length, payload; the same back
	ProtocolEngine                 // the engine door: log in once, then frames with an execute command each
)

// Pool is a contender that hands requests to processes.
type Pool struct {
	Contender
	Protocol Protocol
	Port     int
	// front has, with everything that it forked, the server's share of the CPU, and the other processes have the engines'. It is nil
	// where the engines are forked by the server: then the server's share is that of the processes in Procs without their children.
	front *Process
}

// Ended tells which of the started processes is gone, with the tail of its log; nil while all run.
func (p *Pool) Ended() error {
	for _, proc := range p.Procs {
		if err := proc.Ended(); err != nil {
			return err
		}
	}
	return nil
}

// CPUReading is the CPU time used so far by each process, by pid.
type CPUReading struct{ server, engines map[int]time.Duration }

// ReadCPU returns the CPU time used so far.
func (p *Pool) ReadCPU() (r CPUReading, err error) {
	server, engines, err := p.PIDs()
	if err != nil {
		return r, err
	}
	if r.server, err = readEachCPU(server); err != nil {
		return r, err
	}
	r.engines, err = readEachCPU(engines)
	return r, err
}

func readEachCPU(pids []int) (map[int]time.Duration, error) {
	used := make(map[int]time.Duration)
	for _, pid := range pids {
		d, err := readCPU(pid)
		if err != nil {
			return nil, err
		}
		used[pid] = d
	}
	return used, nil
}

// PIDs returns the processes of the server and those that work.
func (p *Pool) PIDs() (server, engines []int, err error) {
	for _, proc := range p.Procs {
		tree, err := Descendants(proc.PID)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range tree {
			if proc == p.front || p.front == nil && id.PID == proc.PID {
				server = append(server, id.PID)
			} else {
				engines = append(engines, id.PID)
			}
		}
	}
	return server, engines, nil
}

// Since returns what was used since an earlier reading.
func (r CPUReading) Since(before CPUReading) (server, engines time.Duration) {
	return CPUBetween(before.server, r.server), CPUBetween(before.engines, r.engines)
}

// PoolOptions says how the pools are started.
type PoolOptions struct {
	Products
	Engines int  // processes that work
	Hold    bool // the engines never answer
}

// PoolStarter brings up one kind of pool.
type PoolStarter struct {
	Name      string
	Reference string // name of the pool that its figures are compared with
	Start     func(ctx context.Context, l *Lab) (*Pool, error)
}

const (
	roadRunnerGo     = "roadrunner-go"
	roadRunnerPython = "roadrunner-python"
)

// PoolStarters returns all pools in the order of their turns.
func PoolStarters(o *PoolOptions) []PoolStarter {
	rr := &roadRunner{options: o}
	return []PoolStarter{
		{"roundhouse-go", roadRunnerGo, o.door("roundhouse-go", engineGo, 1)},
		{"roundhouse-go-ahead8", roadRunnerGo, o.door("roundhouse-go-ahead8", engineGo, 8)},
		{roadRunnerGo, roadRunnerGo, rr.start(roadRunnerGo, false)},
		{"nginx-php-fpm", roadRunnerGo, o.startPHP},
		{"roundhouse-python", roadRunnerPython, o.door("roundhouse-python", enginePython, 1)},
		{roadRunnerPython, roadRunnerPython, rr.start(roadRunnerPython, true)},
		{"nginx-uwsgi-python", roadRunnerPython, o.startUWSGI},
	}
}

// HoldStarters returns those of the pools whose engines can be told not to answer.
func HoldStarters(o *PoolOptions) []PoolStarter {
	o.Hold = true
	var some []PoolStarter
	for _, s := range PoolStarters(o) {
		if s.Name == "roundhouse-go" || s.Name == roadRunnerGo {
			some = append(some, s)
		}
	}
	return some
}

// PoolMachine is Machine with the versions of the pools.
func PoolMachine() string {
	tools := [][]string{{"nginx", "-v"}}
	if php, err := findPHP(); err == nil {
		tools = append(tools, []string{php, "-v"})
	}
	if uwsgi, err := findUWSGI(); err == nil {
		tools = append(tools, []string{uwsgi, "--version"})
	}
	if python, err := findPython(); err == nil {
		tools = append(tools, []string{python, "--version"})
	}
	return machine(tools...) + "- RoadRunner: pool 1.1.3, goridge 3.8.3\n"
}

// moduleFile returns the path of a file of this module.
func moduleFile(ctx context.Context, name string) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "roundhouse").Output()
	if err != nil {
		return "", fmt.Errorf("harness: where is the module: %w", err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("harness: %w", err)
	}
	return path, nil
}

// findProgram returns the first program of the patterns that is there: names looked up on the PATH, or paths, which may have
// wildcards; the last match of these is taken, the newest version. Error: ErrMissing.
func findProgram(patterns ...string) (string, error) {
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			if path, err := exec.LookPath(pattern); err == nil {
				return path, nil
			}
			continue
		}
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("harness: %w", err)
		}
		if len(paths) > 0 {
			return paths[len(paths)-1], nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrMissing, patterns[0])
}

// findPython prefers the interpreter of the distribution: uWSGI's plugin has that one too.
func findPython() (string, error) { return findProgram("/usr/bin/python3", "python3") }

func findPHP() (string, error) { return findProgram("php-fpm", "/usr/sbin/php-fpm*") }

func findUWSGI() (string, error) { return findProgram("uwsgi", "uwsgi_python3", "uwsgi-core") }

// waitSocket waits until the process listens on the Unix socket.
func waitSocket(ctx context.Context, p *Process, path string) error {
	return WaitFor(ctx, 10*time.Second, p.Name+" listening", func() error {
		if err := p.Ended(); err != nil {
			return err
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return err
		} else if err != nil {
			return fmt.Errorf("harness: %w", err)
		}
		return nil
	})
}
