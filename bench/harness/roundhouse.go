package harness

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

const roundhouseConf = `[relay]
listen = ["%[1]s"]
[[relay.farm]]
id = "bench"
[[relay.backend]]
farm = "bench"
id = "b1"
token = "secret"
[[relay.server]]
host = "127.0.0.1"
http_port = %[2]d
https_port = 0
[admin]
listen = "%[3]s"
`

// Products says which programs are measured, and how they are started.
type Products struct {
	Roundhouse string   // path; empty: built from the tree
	Enabler    string   // path of rsoe; empty: built from the tree
	Set        []string // key=value, each handed on as --set
}

// AddFlags adds -roundhouse, -rsoe and -set to fs.
func (o *Products) AddFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.Roundhouse, "roundhouse", "", "path of roundhouse (default: build it)")
	fs.StringVar(&o.Enabler, "rsoe", "", "path of rsoe (default: build it)")
	fs.Func("set", "key=value handed on to roundhouse as --set; may be repeated", func(s string) error {
		o.Set = append(o.Set, s)
		return nil
	})
}

// Build fills the paths that are empty with programs built into the lab's directory, not into bin/, where somebody may be
// building something else meanwhile.
func (o *Products) Build(ctx context.Context, l *Lab) error {
	for name, path := range map[string]*string{"roundhouse": &o.Roundhouse, "rsoe": &o.Enabler} {
		if *path != "" {
			abs, err := filepath.Abs(*path) // it is started in the lab's directory
			if err != nil {
				return fmt.Errorf("harness: %w", err)
			}
			*path = abs
			continue
		}
		out := filepath.Join(l.Dir, name)
		text, err := exec.CommandContext(ctx, "go", "build", "-o", out, "roundhouse/cmd/"+name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("harness: build %s: %w: %s", name, err, strings.TrimSpace(string(text)))
		}
		*path = out
	}
	return nil
}

// Starter returns the starter of roundhouse with its enabler.
func (o *Products) Starter() Starter {
	return Starter{Name: "roundhouse", Start: o.start}
}

func (o *Products) start(ctx context.Context, l *Lab, originPort int) (*Contender, error) {
	if err := o.Build(ctx, l); err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	adminPort, err := FreePort()
	if err != nil {
		return nil, err
	}
	conf, err := l.WriteFile("bench.toml", fmt.Sprintf(roundhouseConf, Address(port), port, Address(adminPort)))
	if err != nil {
		return nil, err
	}
	argv := []string{o.Roundhouse, "serve", "-c", conf}
	for _, s := range o.Set {
		argv = append(argv, "--set", s)
	}
	server, err := l.Start("roundhouse", argv...)
	if err != nil {
		return nil, err
	}
	if err := WaitListening(ctx, server, port); err != nil {
		return nil, err
	}
	enabler, err := l.Start("rsoe", o.Enabler, "-f", "bench", "-id", "b1", "-t", "secret",
		"-cr", fmt.Sprintf("host=127.0.0.1;port=%d", port), "-cs", fmt.Sprintf("host=127.0.0.1;port=%d", originPort))
	if err != nil {
		return nil, err
	}
	base := "http://" + Address(port) + "/cli/iarelayserver/bench/"
	return &Contender{Name: "roundhouse", URL: base, Procs: []*Process{server, enabler}}, nil
}
