package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

const (
	relays   = 3
	backends = 2
)

// cast are all processes of a farm: a balancer, relays, and back ends with their enablers.
//
//	clients -> HAProxy -> relay1..3 == lanes of each enabler to each relay == enabler1..2 -> backend1..2
type cast struct {
	clock
	o   *options
	lab *harness.Lab
	// Fixed at the start.
	rsConfig  string // path; the same for all relays
	relay     [relays]ports
	balancer  int // port
	backend   [backends]int
	ledgers   [backends]*ledger
	ledgerAt  [backends]string
	generated int // processes started so far: the logs have numbers
	// What runs now.
	procs map[string]*harness.Process
}

// ports of a relay server.
type ports struct{ relay, admin int }

const farmID = "bench"

func relayName(i int) string   { return fmt.Sprintf("relay%d", i+1) }
func backendName(i int) string { return fmt.Sprintf("backend%d", i+1) }
func enablerName(i int) string { return fmt.Sprintf("enabler%d", i+1) }

// rsFarm is the end of the rs.config, in which all relay servers stand.
const rsFarm = `
[backend_farm]
id                      = %[1]s
active_cookie           = yes
active_header           = no
renew_overlapped_cookie = yes
`

// haproxyConf retries what is safe to be sent again: a request whose connection could not be made, and a GET that got no answer. Clients go
// to relays that can serve the farm, enablers to any that runs: otherwise no relay could ever serve the farm.
const haproxyConf = `global
	nbthread 1
	maxconn 8000
defaults
	mode http
	http-reuse safe
	timeout connect 500ms
	timeout client 60s
	timeout server 60s
	timeout check 500ms
	balance roundrobin
	retries 3
	option redispatch 1
	retry-on conn-failure empty-response
	default-server inter 200ms fastinter 50ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
frontend in
	bind %[1]s
	use_backend for_enablers if { path_beg /srv/ }
	default_backend for_clients
backend for_enablers
	option httpchk GET /readyz
	http-request disable-l7-retry unless METH_GET
%[3]s
backend for_clients
	option httpchk GET /readyz?farm=%[2]s
	http-request disable-l7-retry unless METH_GET
%[3]s`

// startCast starts everything and waits until each relay has lanes to each back end.
func startCast(ctx context.Context, o *options, lab *harness.Lab) (*cast, error) {
	c := &cast{clock: clock{begin: time.Now()}, o: o, lab: lab, procs: make(map[string]*harness.Process)}
	if err := o.products.Build(ctx, lab); err != nil {
		return nil, err
	}
	if err := c.takePorts(); err != nil {
		return nil, err
	}
	if err := c.writeFiles(); err != nil {
		return nil, err
	}
	for i := range relays {
		if err := c.startRelay(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := c.startBalancer(ctx); err != nil {
		return nil, err
	}
	for i := range backends {
		if err := c.startBackend(ctx, i); err != nil {
			return nil, err
		}
		if err := c.startEnabler(i); err != nil {
			return nil, err
		}
	}
	for r := range relays {
		for b := range backends {
			if err := c.waitServes(ctx, r, b); err != nil {
				return nil, err
			}
		}
	}
	return c, c.waitBalanced(ctx)
}

// waitBalanced waits until the balancer has seen that each relay can serve the farm.
func (c *cast) waitBalanced(ctx context.Context) error {
	probe := newClient(c, address(c.balancer), probeKind)
	defer probe.hangUp()
	answered := 0
	return harness.WaitFor(ctx, serveLimit, "answers through the balancer", func() error {
		if r := probe.exchange(); r.status != 200 {
			answered = 0
			return fmt.Errorf("status %d", r.status)
		}
		if answered++; answered < checked {
			return fmt.Errorf("%d answers in a row", answered)
		}
		return nil
	})
}

// checked is how many answers in a row take longer than a health check.
const checked = 50

func (c *cast) takePorts() error {
	wanted := []*int{&c.balancer}
	for i := range relays {
		wanted = append(wanted, &c.relay[i].relay, &c.relay[i].admin)
	}
	for i := range backends {
		wanted = append(wanted, &c.backend[i])
	}
	taken := make(map[int]bool)
	for _, p := range wanted {
		for *p == 0 || taken[*p] {
			var err error
			if *p, err = harness.FreePort(); err != nil {
				return err
			}
		}
		taken[*p] = true
	}
	return nil
}

// writeFiles writes the rs.config and makes the ledgers.
func (c *cast) writeFiles() (err error) {
	var b strings.Builder
	for _, p := range c.relay {
		fmt.Fprintf(&b, "[relay_server]\nhost = 127.0.0.1\nhttp_port = %d\nhttps_port = off\n", p.relay)
	}
	fmt.Fprintf(&b, rsFarm, farmID)
	for i := range backends {
		fmt.Fprintf(&b, "[backend_server]\nfarm = %s\nid = %s\ntoken = secret of %[2]s\n", farmID, backendName(i))
	}
	if c.rsConfig, err = c.lab.WriteFile("rs.config", b.String()); err != nil {
		return err
	}
	for i := range backends {
		c.ledgerAt[i] = filepath.Join(c.lab.Dir, backendName(i)+".ledger")
		if c.ledgers[i], err = openLedger(c.ledgerAt[i], c.o.requests); err != nil {
			return err
		}
	}
	return nil
}

// start starts a process under a name, with a log of its own.
func (c *cast) start(name string, argv ...string) (*harness.Process, error) {
	c.generated++
	p, err := c.lab.Start(fmt.Sprintf("%s-%d", name, c.generated), argv...)
	if err == nil {
		c.procs[name] = p
	}
	return p, err
}

func (c *cast) startRelay(ctx context.Context, i int) error {
	p := c.relay[i]
	argv := []string{c.o.products.Roundhouse, "serve", "--rs-config", c.rsConfig,
		"--set", "relay.listen=" + address(p.relay), "--set", "admin.listen=" + address(p.admin),
		"--set", "relay.access_log=" + filepath.Join(c.lab.Dir, relayName(i)+".access")}
	for _, s := range c.o.products.Set {
		argv = append(argv, "--set", s)
	}
	proc, err := c.start(relayName(i), argv...)
	if err != nil {
		return err
	}
	return harness.WaitListening(ctx, proc, p.relay)
}

func (c *cast) startBalancer(ctx context.Context) error {
	var b strings.Builder
	for i, p := range c.relay {
		fmt.Fprintf(&b, "\tserver %s %s check port %d\n", relayName(i), address(p.relay), p.admin)
	}
	conf, err := c.lab.WriteFile("haproxy.cfg", fmt.Sprintf(haproxyConf, address(c.balancer), farmID, b.String()))
	if err != nil {
		return err
	}
	proc, err := c.start("haproxy", "haproxy", "-db", "-f", conf)
	if err != nil {
		return err
	}
	return harness.WaitListening(ctx, proc, c.balancer)
}

func (c *cast) startBackend(ctx context.Context, i int) error {
	path, err := self()
	if err != nil {
		return err
	}
	proc, err := c.start(backendName(i), path, backendCommand, backendName(i), strconv.Itoa(c.backend[i]), c.ledgerAt[i],
		strconv.Itoa(c.o.requests), c.o.work.String())
	if err != nil {
		return err
	}
	return harness.WaitListening(ctx, proc, c.backend[i])
}

// startEnabler starts an enabler, which asks the balancer for the list of relays.
func (c *cast) startEnabler(i int) error {
	_, err := c.start(enablerName(i), c.o.products.Enabler, "-f", farmID, "-id", backendName(i), "-t", "secret of "+backendName(i), "-d", "1",
		"-cr", fmt.Sprintf("host=127.0.0.1;port=%d", c.balancer), "-cs", fmt.Sprintf("host=127.0.0.1;port=%d", c.backend[i]))
	return err
}

// serveLimit is how long anything may take to serve.
const serveLimit = 60 * time.Second

// waitServes waits until a back end answers a request that is sent to a relay without the balancer.
func (c *cast) waitServes(ctx context.Context, relay, backend int) error {
	what := fmt.Sprintf("%s serves through %s", backendName(backend), relayName(relay))
	probe := newClient(c, address(c.relay[relay].relay), probeKind)
	defer probe.hangUp()
	return harness.WaitFor(ctx, serveLimit, what, func() error {
		for _, p := range c.procs {
			if err := p.Ended(); err != nil {
				return err
			}
		}
		for range 2 * backends { // they take turns
			r := probe.exchange()
			if r.status == 200 && r.server == backend {
				return nil
			}
			if r.status != 200 {
				return fmt.Errorf("status %d", r.status)
			}
		}
		return fmt.Errorf("others answer")
	})
}
