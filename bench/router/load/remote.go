package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// order is what a Remote asks of its other process, one line of JSON each; the answer is one answer.
type order struct {
	Do       string // start, read, record, stop
	Address  string
	Scenario Scenario
	On       bool
}

type answer struct {
	Error   string
	Reading Reading
	Outcome Outcome
}

// Serve plays what a Remote in another process asks for, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, d Dialer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	var run *Run
	for {
		var o order
		if err := from.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("load: order: %w", err)
		}
		var a answer
		var err error
		switch {
		case o.Do == "start" && run == nil:
			run, err = Start(ctx, d, o.Address, o.Scenario)
		case run == nil:
			err = errors.New("load: nothing was started")
		case o.Do == "read":
			a.Reading, err = run.Read()
		case o.Do == "record":
			err = run.Record(o.On)
		case o.Do == "stop":
			a.Outcome, err = run.Stop()
			run = nil
		default:
			err = fmt.Errorf("load: order %q", o.Do)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := to.Encode(a); err != nil {
			return fmt.Errorf("load: answer: %w", err)
		}
	}
}

// Remote is a Player in another process.
type Remote struct {
	in   io.WriteCloser
	to   *json.Encoder
	from *json.Decoder
	wait func() error
}

// StartRemote starts a program that calls Serve with its standard input and output, and has it play a scenario.
func StartRemote(program string, arguments []string, stderr io.Writer, address string, s Scenario) (*Remote, error) {
	cmd := exec.Command(program, arguments...)
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // keeps the terminal's Ctrl-C from it: it ends with its input
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r := &Remote{in: in, to: json.NewEncoder(in), from: json.NewDecoder(out), wait: cmd.Wait}
	if _, err := r.ask(order{Do: "start", Address: address, Scenario: s}); err != nil {
		return nil, errors.Join(err, r.end())
	}
	return r, nil
}

func (r *Remote) ask(o order) (a answer, err error) {
	if err := r.to.Encode(o); err != nil {
		return a, fmt.Errorf("load: %s: %w", o.Do, err)
	}
	if err := r.from.Decode(&a); err != nil {
		return a, fmt.Errorf("load: %s: %w", o.Do, err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// end ends the process, which ends by itself when its input does.
func (r *Remote) end() error {
	_ = r.in.Close() // the process may be gone
	done := make(chan error, 1)
	go func() { done <- r.wait() }() // ends with the process
	select {
	case err := <-done:
		return err
	case <-time.After(drainLimit):
		return fmt.Errorf("load: the generator did not end within %v", drainLimit)
	}
}

// Read reads the counters.
func (r *Remote) Read() (Reading, error) {
	a, err := r.ask(order{Do: "read"})
	return a.Reading, err
}

// Record says whether latencies count.
func (r *Remote) Record(on bool) error {
	_, err := r.ask(order{Do: "record", On: on})
	return err
}

// Stop ends the run and the process.
func (r *Remote) Stop() (Outcome, error) {
	a, err := r.ask(order{Do: "stop"})
	return a.Outcome, errors.Join(err, r.end())
}
