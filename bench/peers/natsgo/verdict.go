package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// testLimit is how long the tests of a package may take.
const testLimit = 15 * time.Minute

// verdicts counts what became of the tests.
type verdicts struct {
	passed, failed, skipped int
	output                  map[string]*strings.Builder // of what runs, by id
	details                 strings.Builder             // of failures
}

// test runs the suite against the server and prints a line for each test. The error says how many failed.
func (s *suite) test(ctx context.Context, o options, dir string) error {
	v := &verdicts{output: map[string]*strings.Builder{}}
	for _, pkg := range packages {
		if err := s.testPackage(ctx, o, dir, pkg, v); err != nil {
			return err
		}
	}
	_, not := s.count()
	if v.details.Len() > 0 {
		fmt.Printf("\n%s", v.details.String())
	}
	fmt.Printf("\n%d tests cannot apply: list.txt says why\n%d passed, %d failed, %d skipped\n", not, v.passed, v.failed, v.skipped)
	if v.failed > 0 {
		return fmt.Errorf("%d tests failed", v.failed)
	}
	if v.passed == 0 {
		return errors.New("no test was run")
	}
	return nil
}

// testPackage compiles and runs the tests of one package.
func (s *suite) testPackage(ctx context.Context, o options, dir, pkg string, v *verdicts) error {
	program := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	args := []string{"test", "-c", "-tags", tags, "-o", program}
	if o.race {
		args = append(args, "-race")
	}
	compile := exec.CommandContext(ctx, "go", append(args, module+"/"+pkg)...)
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", compile.Args, err, bytes.TrimSpace(out))
	}
	where, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"/"+pkg).Output()
	if err != nil {
		return fmt.Errorf("find %s: %w", pkg, err)
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", program, "-test.v=test2json", fmt.Sprintf("-test.timeout=%v", testLimit),
		fmt.Sprintf("-test.count=%d", o.count), "-test.run="+o.pattern, "-test.skip="+s.skipped(pkg))
	cmd.Dir = strings.TrimSpace(string(where)) // files that tests open are beside them
	cmd.Env = append(os.Environ(), "TESTER_NATS_URL=", "GITHUB_ACTIONS=", "NATSGO_SERVER=", "NATSGO_NATS_SERVER=", o.variable()+"="+o.server,
		"TMPDIR="+dir) // directories of servers are removed even when the tests are interrupted
	cmd.Stderr = os.Stderr
	// The servers are killed when the program ends that started them. So an interrupt goes to all of this group, and nothing is left.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := v.read(out, pkg)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	case err != nil && v.failed == 0:
		return fmt.Errorf("the tests of %s: %w", pkg, err)
	}
	return nil
}

// variable is how the shim is told of the server.
func (o options) variable() string {
	if o.nats {
		return "NATSGO_NATS_SERVER"
	}
	return "NATSGO_SERVER"
}

// event is what go test says: see go doc test2json.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// read prints a line for each test that ends and keeps what failed ones have said.
func (v *verdicts) read(in io.Reader, pkg string) error {
	for events := json.NewDecoder(in); ; {
		var e event
		switch err := events.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("output of the tests: %w", err)
		}
		v.take(pkg, e)
	}
}

func (v *verdicts) take(pkg string, e event) {
	name, _, part := strings.Cut(e.Test, "/")
	id := pkg + "/" + name
	said := v.output[id]
	if said == nil {
		said = &strings.Builder{}
		v.output[id] = said
	}
	said.WriteString(e.Output)
	verdict := ""
	switch {
	case part:
		return
	case e.Test == "": // the package
		if e.Action == "fail" && v.failed == 0 { // not because of a test
			v.failed++
			fmt.Fprintf(&v.details, "== %s\n%s\n", pkg, said.String())
		}
		return
	case e.Action == "pass":
		v.passed++
		verdict = "pass"
	case e.Action == "skip":
		v.skipped++
		verdict = "skip"
	case e.Action == "fail":
		v.failed++
		verdict = "FAIL"
		fmt.Fprintf(&v.details, "== %s\n%s\n", id, said.String())
	default:
		return
	}
	fmt.Printf("%s  %s (%.2f s)%s\n", verdict, id, e.Elapsed, v.why(e, said.String()))
	delete(v.output, id)
}

// why returns the reason that a test gave for skipping itself.
func (v *verdicts) why(e event, said string) string {
	if e.Action != "skip" {
		return ""
	}
	for line := range strings.SplitSeq(said, "\n") {
		if strings.Contains(line, "_test.go:") {
			return ": " + strings.TrimSpace(line)
		}
	}
	return ""
}
