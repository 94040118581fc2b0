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
%[4]s[[relay.backend]]
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

// noSessions has the relay do no more than its peers do. A build from before there were sessions does not know the keys.
const noSessions = "active_cookie = false\nactive_header = false\n"

// Products says which programs are measured, and how they are started.
type Products struct {
	Roundhouse string   // path; empty: built from the tree
	Enabler    string   // path of rsoe; empty: built from the tree
	Set        []string // key=value, each handed on as --set
	Sessions   bool     // each answer gives the client a session id, in a cookie and in a field, as a farm does unless told otherwise
}

// AddFlags adds -roundhouse, -rsoe and -set to fs.
func (o *Products) AddFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.Roundhouse, "roundhouse", "", "path of roundhouse (default: build it)")
	fs.StringVar(&o.Enabler, "rsoe", "", "path of rsoe (default: build it)")
	fs.BoolVar(&o.Sessions, "sessions", false, "have the relay bind clients to back-end servers, which its peers do not")
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

// Variant is a way to start roundhouse with its enabler.
type Variant struct {
	Name      string
	TLS       bool // clients speak TLS
	AccessLog bool // each request is written to a file
	Metrics   bool // the load is to fetch the metrics now and then
}

// roundhouseName is the variant without anything, whose processes have the names of the programs.
const roundhouseName = "roundhouse"

// Starter returns the starter of roundhouse with its enabler.
func (o *Products) Starter() Starter { return o.Variant(Variant{Name: roundhouseName}) }

// Variant returns the starter of a variant.
func (o *Products) Variant(v Variant) Starter {
	return Starter{Name: v.Name, Start: func(ctx context.Context, l *Lab, originPort int) (*Contender, error) {
		if err := o.Build(ctx, l); err != nil {
			return nil, err
		}
		return o.start(ctx, l, v, originPort)
	}}
}

func (o *Products) start(ctx context.Context, l *Lab, v Variant, originPort int) (*Contender, error) {
	var ports [3]int
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		ports[i] = port
	}
	port, admin := ports[0], "http://"+Address(ports[1])+"/"
	c := &Contender{Name: v.Name, URL: "http://" + Address(port) + "/cli/iarelayserver/bench/"}
	sessions := noSessions
	if o.Sessions {
		sessions = ""
	}
	text := fmt.Sprintf(roundhouseConf, Address(port), port, Address(ports[1]), sessions)
	if conf, err := l.WriteFile(v.Name+".toml", text); err != nil {
		return nil, err
	} else if exec.CommandContext(ctx, o.Roundhouse, "check", "-c", conf).Run() != nil {
		text = fmt.Sprintf(roundhouseConf, Address(port), port, Address(ports[1]), "")
	}
	if v.TLS {
		cert, err := l.Certificate()
		if err != nil {
			return nil, err
		}
		text += fmt.Sprintf("[relay.tls]\nlisten = [%q]\ncert = %q\nkey = %q\n", Address(ports[2]), cert.Cert, cert.Key)
		c.URL = "https://" + Address(ports[2]) + "/cli/iarelayserver/bench/"
	}
	conf, err := l.WriteFile(v.Name+".toml", text)
	if err != nil {
		return nil, err
	}
	argv := []string{o.Roundhouse, "serve", "-c", conf}
	if v.AccessLog {
		argv = append(argv, "--set", "relay.access_log="+filepath.Join(l.Dir, v.Name+".access"))
	}
	for _, s := range o.Set {
		argv = append(argv, "--set", s)
	}
	if v.Metrics {
		c.Metrics = admin + "metrics"
	}
	prefix := ""
	if v.Name != roundhouseName {
		prefix = v.Name + "-"
	}
	server, err := l.Start(prefix+"roundhouse", argv...)
	if err != nil {
		return nil, err
	}
	if err := WaitListening(ctx, server, port); err != nil {
		return nil, err
	}
	enabler, err := l.Start(prefix+"rsoe", o.Enabler, "-f", "bench", "-id", "b1", "-t", "secret",
		"-cr", fmt.Sprintf("host=127.0.0.1;port=%d", port), "-cs", fmt.Sprintf("host=127.0.0.1;port=%d", originPort))
	if err != nil {
		return nil, err
	}
	c.Procs = []*Process{server, enabler}
	return c, nil
}
