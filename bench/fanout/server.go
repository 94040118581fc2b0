package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

const roundhouse = "roundhouse"

// serverNames are the servers in the order of their turns.
var serverNames = []string{harness.NATSReference, roundhouse}

// prepare has the harness start each server once, which builds what is not there.
func (o *options) prepare(ctx context.Context, lab *harness.Lab) error {
	for _, starter := range harness.NATSStarters(&o.programs) {
		if !slices.Contains(o.servers(), starter.Name) {
			continue
		}
		progress("building %s", starter.Name)
		s, err := starter.Start(ctx, lab)
		if err != nil {
			return err
		}
		s.Stop()
	}
	return nil
}

// servers returns those that are to be measured.
func (o *options) servers() []string {
	return slices.DeleteFunc(slices.Clone(serverNames), func(name string) bool {
		return len(o.only) > 0 && !slices.Contains(o.only, name)
	})
}

// contender is a server and how clients talk to it.
type contender struct {
	server   string
	protocol protocol
}

func (o *options) contenders() (all []contender) {
	for _, name := range o.servers() {
		all = append(all, contender{name, natsProtocol{}})
		if name == roundhouse {
			all = append(all, contender{name, ownProtocol{}})
		}
	}
	return all
}

// server is a running one. It may be killed and started again, on the same ports.
type server struct {
	harness.Contender
	lab   *harness.Lab
	argv  []string
	ports [3]int // of the doors for NATS, for Roundhouse's own clients, and of what tells of the server by HTTP
	prof  int    // port of the profiles, which is the last of ports where it can be
	log   string // path
}

// What is not named has its default. Who takes nothing of what waits for it is not cut before its limit.
const (
	roundhouseConf = `[router]
listen = ["tcp:127.0.0.1:%[2]d"]
[router.client]
max_conns = 0
%[5]s
[router.nats]
listen = ["127.0.0.1:%[1]d"]
%[6]s
[admin]
listen = "127.0.0.1:%[3]d"
`
	natsConf = `host: 127.0.0.1
port: %[1]d
http: "127.0.0.1:%[3]d"
prof_port: %[4]d
%[5]s
`
)

// start starts a server. limit is how many bytes may wait for a client; 0: the default.
func (o *options) start(ctx context.Context, lab *harness.Lab, name string, limit int) (*server, error) {
	s := &server{lab: lab, Contender: harness.Contender{Name: name}}
	var ports [4]int
	for i := range ports {
		port, err := harness.FreePort()
		if err != nil {
			return nil, err
		}
		if slices.Contains(ports[:i], port) {
			return nil, fmt.Errorf("port %d is free twice", port)
		}
		ports[i] = port
	}
	s.ports, s.prof = [3]int(ports[:3]), ports[3]
	text, limits := natsConf, [2]string{}
	if name == roundhouse {
		s.prof = s.ports[2]
		text = roundhouseConf
	}
	switch {
	case limit > 0 && name == roundhouse:
		limits = [2]string{fmt.Sprintf("max_buffer = %d", limit), fmt.Sprintf("max_pending = %d\nwrite_deadline = \"1h\"", limit)}
	case limit > 0:
		limits[0] = fmt.Sprintf("max_pending: %d\nmax_payload: %d\nwrite_deadline: \"1h\"", limit, min(limit, 1<<20)) // it takes no payload above the limit
	}
	text = fmt.Sprintf(text, ports[0], ports[1], ports[2], ports[3], limits[0], limits[1])
	conf, err := lab.WriteFile(name+".conf", text)
	if err != nil {
		return nil, err
	}
	if name == roundhouse {
		s.argv = []string{o.programs.Roundhouse, "serve", "-c", conf}
		for _, set := range o.programs.Set {
			s.argv = append(s.argv, "--set", set)
		}
	} else {
		s.argv = []string{o.programs.Server, "-c", conf}
	}
	s.URL = "http://" + harness.Address(ports[2]) + "/"
	return s, s.launch(ctx, name)
}

// launch starts the process; name is that of its log. It returns when the server listens.
func (s *server) launch(ctx context.Context, name string) error {
	p, err := s.lab.Start(name, s.argv...)
	if err != nil {
		return err
	}
	s.Procs = []*harness.Process{p}
	s.log = filepath.Join(s.lab.Dir, name+".log")
	err = harness.WaitFor(ctx, 20*time.Second, s.Name+" listening", func() error {
		if err := p.Ended(); err != nil {
			return err
		}
		c, err := net.DialTimeout("tcp", harness.Address(s.ports[0]), time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err != nil {
		p.Stop()
	}
	return err
}

// kill ends the server without giving it a chance to say anything, and waits until it has ended.
func (s *server) kill(ctx context.Context) error {
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", s.Name, err)
	}
	err := harness.WaitFor(ctx, 10*time.Second, "end of "+s.Name, func() error {
		if s.ended() == nil {
			return errors.New("it runs")
		}
		return nil
	})
	return err
}

func (s *server) pid() int     { return s.Procs[0].PID }
func (s *server) ended() error { return s.Procs[0].Ended() }
func (s *server) stop()        { s.Procs[0].Stop() }

// address is where clients with that protocol connect.
func (s *server) address(p protocol) string {
	if p.name() == (ownProtocol{}).name() {
		return harness.Address(s.ports[1])
	}
	return harness.Address(s.ports[0])
}

// cpu returns the CPU time that the server has used.
func (s *server) cpu() (time.Duration, error) {
	used, err := s.CPU()
	return harness.CPUBetween(nil, used), err
}

// slowLine returns the line of the log that tells of a slow consumer.
func (s *server) slowLine() (string, error) {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(strings.ToLower(line), "slow consumer") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", errors.New("the log tells of no slow consumer")
}

var (
	slowMetric = regexp.MustCompile(`(?m)^\S*router_cuts_total\{reason="slow"\} \S+$`)
	lostMetric = regexp.MustCompile(`(?m)^\S*router_lost_total\{reason="slow"\} \S+$`)
	slowVarz   = regexp.MustCompile(`"slow_consumers": *\d+`)
	heapLine   = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)
)

// slowMetrics returns what the server counts of slow consumers.
func (s *server) slowMetrics(ctx context.Context) (string, error) {
	page, lines := "varz", []*regexp.Regexp{slowVarz}
	if s.Name == roundhouse {
		page, lines = "metrics", []*regexp.Regexp{slowMetric, lostMetric}
	}
	text, err := get(ctx, s.URL+page)
	if err != nil {
		return "", err
	}
	var found []string
	for _, line := range lines {
		m := line.FindString(text)
		if m == "" {
			return "", fmt.Errorf("%s: no line like %s", page, line)
		}
		found = append(found, m)
	}
	return strings.Join(found, ", "), nil
}

// heap has the server collect its garbage and returns the bytes that are left.
func (s *server) heap(ctx context.Context) (int64, error) {
	var text string
	for range 2 { // what lies in a sync.Pool lives through one collection
		var err error
		if text, err = get(ctx, "http://"+harness.Address(s.prof)+"/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return 0, err
		}
	}
	m := heapLine.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("the profile does not tell of the heap")
	}
	return strconv.ParseInt(m[1], 10, 64)
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// ownCPU returns the CPU time that this program has used.
func ownCPU() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
