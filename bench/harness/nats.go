package harness

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// natsDir is the module with nats-server and the generator with nats.go, from the root of ours.
	natsDir = "bench/peers/nats"
	// natsServer is the main package of nats-server.
	natsServer = "github.com/nats-io/nats-server/v2"
)

// What is not named has its default.
const routerConf = `[router]
listen = ["tcp:127.0.0.1:%d"]
[router.nats]
listen = ["%s"]
[admin]
listen = "%s"
`

// NATSServer is a running server that NATS clients can connect to.
type NATSServer struct {
	Contender
	Address string // of the NATS door, host:port
	Router  string // of the door for Roundhouse's own clients; empty: none
}

// Ended tells that the server is gone, with the tail of its log; nil while it runs.
func (s *NATSServer) Ended() error { return s.Procs[0].Ended() }

// Stop ends the server.
func (s *NATSServer) Stop() { s.Procs[0].Stop() }

// PID is its process.
func (s *NATSServer) PID() int { return s.Procs[0].PID }

// NATSPrograms says which programs are measured.
type NATSPrograms struct {
	Products
	Server    string // path of nats-server; empty: built from its module
	Generator string // path of the generator with nats.go; empty: built likewise
}

// NATSStarter brings up one kind of server.
type NATSStarter struct {
	Name  string
	Own   bool // it has a door for Roundhouse's own clients, too
	Start func(ctx context.Context, l *Lab) (*NATSServer, error)
}

// NATSReference is the name of the server that the figures of the others are compared with.
const (
	NATSReference = "nats-server"
	// NATSControl is that server once more.
	NATSControl = "nats-server-again"
)

// NATSStarters returns all servers in the order of their turns. The last is the first once more: how far the two are apart is how far
// figures can be trusted.
func NATSStarters(p *NATSPrograms) []NATSStarter {
	return []NATSStarter{
		{NATSReference, false, p.startNATS(NATSReference)},
		{"roundhouse", true, p.startRouter},
		{NATSControl, false, p.startNATS(NATSControl)},
	}
}

func (p *NATSPrograms) startNATS(name string) func(context.Context, *Lab) (*NATSServer, error) {
	return func(ctx context.Context, l *Lab) (*NATSServer, error) {
		if err := buildNATS(ctx, l, "nats-server", natsServer, &p.Server); err != nil {
			return nil, err
		}
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		return startNATS(ctx, l, name, port, []string{p.Server, "-a", "127.0.0.1", "-p", fmt.Sprint(port)})
	}
}

func (p *NATSPrograms) startRouter(ctx context.Context, l *Lab) (*NATSServer, error) {
	if err := p.Build(ctx, l); err != nil {
		return nil, err
	}
	var ports [3]int
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		if slices.Contains(ports[:i], port) {
			return nil, fmt.Errorf("harness: port %d is free twice", port)
		}
		ports[i] = port
	}
	conf, err := l.WriteFile("router.toml", fmt.Sprintf(routerConf, ports[0], Address(ports[1]), Address(ports[2])))
	if err != nil {
		return nil, err
	}
	argv := []string{p.Roundhouse, "serve", "-c", conf}
	for _, set := range p.Set {
		argv = append(argv, "--set", set)
	}
	s, err := startNATS(ctx, l, "roundhouse", ports[1], argv)
	if err != nil {
		return nil, err
	}
	s.Router, s.URL = Address(ports[0]), "http://"+Address(ports[2])+"/"
	return s, nil
}

// startNATS starts a server and waits until it listens.
func startNATS(ctx context.Context, l *Lab, name string, port int, argv []string) (*NATSServer, error) {
	proc, err := l.Start(name, argv...)
	if err != nil {
		return nil, err
	}
	if err := WaitListening(ctx, proc, port); err != nil {
		proc.Stop()
		return nil, err
	}
	return &NATSServer{Contender: Contender{Name: name, Procs: []*Process{proc}}, Address: Address(port)}, nil
}

// BuildGenerator fills the path of the generator with nats.go, if it is empty.
func (p *NATSPrograms) BuildGenerator(ctx context.Context, l *Lab) error {
	return buildNATS(ctx, l, "nats-generator", ".", &p.Generator)
}

// buildNATS builds a program of the module for NATS into the lab's directory, if path is empty.
func buildNATS(ctx context.Context, l *Lab, name, source string, path *string) error {
	if *path != "" {
		abs, err := filepath.Abs(*path) // it is started in the lab's directory
		*path = abs
		return err
	}
	dir, err := moduleFile(ctx, natsDir)
	if err != nil {
		return err
	}
	out := filepath.Join(l.Dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, source)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("harness: build %s: %w: %s", name, err, strings.TrimSpace(string(text)))
	}
	*path = out
	return nil
}

// NATSMachine is Machine with the versions of the servers.
func NATSMachine(p *NATSPrograms) string {
	text := machine()
	if p.Server != "" {
		text = machine([]string{p.Server, "-v"})
	}
	return text + "- nats.go: 1.55.0\n"
}
