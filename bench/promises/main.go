// Command promises runs the tests of promises at full length and keeps the figures that they tell.
//
//	go run ./bench/promises                               all that there are, one after the other: hours
//	go run ./bench/promises -only 4,26                    some of them
//	go run ./bench/promises -only 24 -soak 8h             the soak for as long as it is promised; else it lasts 3 minutes
//	go run ./bench/promises -short                        as the ordinary test suite runs them: minutes
//	go run ./bench/promises -results bench/RESULTS.md     write the report over its section of that file
//
// Promise NN is held by the tests TestPromiseNN... of ./server. The exit code is 1 if one fails, or if one of -only has no test.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

const (
	heading = "## Promises of the relay door, at full length"
	fullEnv = "ROUNDHOUSE_TEST_FULL=1"
	soakEnv = "ROUNDHOUSE_TEST_SOAK="
)

// titles are what is promised.
var titles = map[int]string{
	1: "an upgrade of the binary loses nothing", 2: "a reload loses nothing and leaks nothing", 3: "lanes move at an upgrade",
	4: "SIGTERM drains", 5: "a back end that dies in mid-body is seen", 6: "descriptor exhaustion is survived", 7: "memory has a ceiling",
	8: "slow attackers are cut", 9: "overload degrades", 10: "no request smuggling", 12: "identity cannot be forged",
	24: "soak", 25: "certificates rotate", 26: "it works behind a load balancer", 27: "looking costs little",
}

// defaults are the promises of the relay door, less 27, which is a benchmark's: go run ./bench/relay -looking.
var defaults = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24, 25, 26}

type options struct {
	only    []int // empty: defaults, as far as there are tests
	short   bool
	timeout time.Duration // of one promise, besides the soak
	soak    time.Duration
	results string
}

func main() { harness.Main("promises", parseFlags, run) }

func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("promises", flag.ContinueOnError)
	only := fs.String("only", "", "numbers of promises, with commas between them (default: all of the relay door)")
	fs.BoolVar(&o.short, "short", false, "the short runs")
	fs.DurationVar(&o.timeout, "timeout", time.Hour, "longest time for one promise, besides -soak")
	fs.DurationVar(&o.soak, "soak", 3*time.Minute, "how long the soak of promise 24 lasts; 8h is what is promised")
	fs.StringVar(&o.results, "results", "", "write the report over its section of this file")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.short && o.results != "" {
		return nil, errors.New("-results is for full runs: not with -short")
	}
	if fs.NArg() > 0 || o.timeout <= 0 || o.soak <= 0 {
		return nil, errors.New("there are no arguments, and -timeout and -soak must be above 0")
	}
	if *only == "" {
		return o, nil
	}
	for _, s := range strings.Split(*only, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 99 {
			return nil, fmt.Errorf("-only %q: want numbers of promises", *only)
		}
		o.only = append(o.only, n)
	}
	return o, nil
}

func run(ctx context.Context, o *options) error {
	there, err := listTests(ctx)
	if err != nil {
		return err
	}
	wanted := o.only
	if len(wanted) == 0 {
		for _, n := range defaults {
			if slices.Contains(there, n) {
				wanted = append(wanted, n)
			} else {
				fmt.Fprintf(os.Stderr, "promise %d has no test\n", n)
			}
		}
	}
	var outcomes []*outcome
	failed := 0
	for _, n := range wanted {
		out := &outcome{promise: n}
		if err := out.run(ctx, o); err != nil {
			return err
		}
		if !out.holds() {
			failed++
		}
		fmt.Fprint(os.Stderr, out.report())
		outcomes = append(outcomes, out)
	}
	text := report(o, outcomes)
	if _, err := io.WriteString(os.Stdout, text); err != nil {
		return err
	}
	if o.results != "" {
		if err := harness.WriteSection(o.results, heading, text); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d promises do not hold", failed)
	}
	return nil
}

var testName = regexp.MustCompile(`^TestPromise(\d\d)`)

// listTests returns the numbers of the promises that have tests.
func listTests(ctx context.Context) (all []int, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "roundhouse/server", "-list", "^TestPromise[0-9][0-9]")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -list: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if m := testName.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1]) // two digits
			all = append(all, n)
		}
	}
	return all, nil
}

// outcome is what came of the tests of a promise.
type outcome struct {
	promise              int
	took                 time.Duration
	passed, bad, skipped []string // names of tests
	figures              []string // lines of their logs
	broken               []string // the last lines of those that failed
}

func (out *outcome) holds() bool { return len(out.passed) > 0 && len(out.bad) == 0 }

// event is a line of go test -json.
type event struct{ Action, Test, Output string }

// run runs the tests of a promise. The error is not about them.
func (out *outcome) run(ctx context.Context, o *options) error {
	cmd := exec.CommandContext(ctx, "go", "test", "roundhouse/server", "-json", "-v", "-count=1",
		"-run", fmt.Sprintf("^TestPromise%02d", out.promise), "-timeout", (o.timeout + o.soak).String())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its tests, and they their programs
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), soakEnv+o.soak.String())
	if !o.short {
		cmd.Env = append(cmd.Env, fullEnv)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	in := bufio.NewScanner(pipe)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) == nil {
			out.take(e)
		}
	}
	err = cmd.Wait()
	out.took = time.Since(began)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(out.bad) == 0 { // it did not come to a test, or not to its end
		out.bad = append(out.bad, "go test")
		out.broken = append(out.broken, strings.TrimSpace(err.Error()+" "+complaints.String()))
	}
	return in.Err()
}

var (
	logLine = regexp.MustCompile(`^\s+\w+_test\.go:\d+: (.*)$`)
	figures = regexp.MustCompile(`\d.*\b(sent|answered|lost|refused|broken|drains|upgrades|reloads|rotations|slope|cases|rows|connections|RSS|p99|per cent|%)`)
)

// take notes what an event says.
func (out *outcome) take(e event) {
	const most = 20 // lines about failures
	switch e.Action {
	case "output":
		m := logLine.FindStringSubmatch(strings.TrimRight(e.Output, "\n"))
		switch {
		case m != nil && figures.MatchString(m[1]):
			out.figures = append(out.figures, m[1])
		case m != nil && len(out.broken) < most:
			out.broken = append(out.broken, m[1])
		}
	case "pass", "fail", "skip":
		if e.Test == "" || strings.Contains(e.Test, "/") {
			return
		}
		to := map[string]*[]string{"pass": &out.passed, "fail": &out.bad, "skip": &out.skipped}[e.Action]
		*to = append(*to, e.Test)
	}
}

// report writes the lines about a promise.
func (out *outcome) report() string {
	var b strings.Builder
	verdict := "holds"
	if !out.holds() {
		verdict = "DOES NOT HOLD"
	}
	fmt.Fprintf(&b, "- **%d, %s**: %s, %v; %s\n", out.promise, titles[out.promise], verdict, out.took.Round(time.Second),
		strings.Join(slices.Concat(out.passed, out.bad), ", "))
	for _, line := range out.figures {
		fmt.Fprintf(&b, "  - %s\n", line)
	}
	for _, name := range out.skipped {
		fmt.Fprintf(&b, "  - skipped: %s\n", name)
	}
	if !out.holds() {
		for _, line := range out.broken {
			fmt.Fprintf(&b, "  - %s\n", line)
		}
	}
	return b.String()
}

func report(o *options, outcomes []*outcome) string {
	var b strings.Builder
	length := "at full length"
	if o.short {
		length = "in the short form of the test suite"
	}
	fmt.Fprintf(&b, "%s\n\n%s- each promise by its tests in server, %s\n\n", heading, harness.ServerMachine(), length)
	for _, out := range outcomes {
		b.WriteString(out.report())
	}
	return b.String()
}
