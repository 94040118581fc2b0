package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

const returnsHeading = "## Router door: ten thousand clients come back"

// returnsSample is what one server did in one round.
type returnsSample struct {
	all, p50, p99, sinceKill time.Duration // from when it listens; the last from the kill on, until the last one was back
	refused, other, attempts int64
	cpu                      time.Duration // of the server, from its start until all were back
	rss                      int64         // bytes
	otherError               string        // the first of other
}

// measureReturns returns the report of all rounds.
func measureReturns(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error) {
	rows := newRows[returnsSample](o.contenders())
	for round := range o.rounds {
		for i := range rows {
			r := &rows[i]
			one, err := returnsRound(ctx, lab, o, r.contender)
			if ctx.Err() != nil {
				return "", 0, ctx.Err()
			}
			if r.add(err, one) {
				progress("returns, round %d: %-11s %-4s all back %v after it listened, %d refused, %d other errors %s", round+1, r.server, r.protocol.name(),
					one.all, one.refused, one.other, one.otherError)
			} else {
				failed++
				progress("returns, round %d: %-11s %-4s FAILED: %v", round+1, r.server, r.protocol.name(), err)
			}
		}
	}
	return returnsReport(o, rows), failed, nil
}

func returnsRound(ctx context.Context, lab *harness.Lab, o *options, who contender) (one returnsSample, err error) {
	s, err := o.start(ctx, lab, who.server, 0)
	if err != nil {
		return one, err
	}
	defer func() { s.stop() }() // the process is another one by then
	lives, end := context.WithCancel(ctx)
	f := startFlock(lives, o, s.address(who.protocol), who.protocol)
	err = one.play(ctx, o, s, f)
	end()
	f.group.Wait()
	return one, errors.Join(err, f.err())
}

// play kills the server when all are there, and starts it again.
func (one *returnsSample) play(ctx context.Context, o *options, s *server, f *flock) error {
	if err := f.wait(ctx, s.ended, "all clients", &f.open); err != nil {
		return err
	}
	f.dead.Store(true)
	killed := time.Since(f.began)
	if err := s.kill(ctx); err != nil {
		return err
	}
	if err := pause(ctx, o.down); err != nil {
		return err
	}
	if err := s.launch(ctx, s.Name+"-again"); err != nil {
		return err
	}
	listens := time.Since(f.began)
	if err := f.wait(ctx, s.ended, "return of all clients", &f.returned); err != nil {
		return err
	}
	var err error
	if one.cpu, err = s.cpu(); err != nil {
		return err
	}
	if one.rss, err = s.RSS(); err != nil {
		return err
	}
	slices.Sort(f.back)
	n := len(f.back)
	since := func(i int) time.Duration { return max(f.back[i]-listens, 0) } // the first may be quicker than who looks whether it listens
	one.p50, one.p99, one.all = since(n/2), since(n*99/100), since(n-1)
	one.sinceKill = f.back[n-1] - killed
	one.refused, one.other, one.attempts = f.refused.Load(), f.other.Load(), f.attempts.Load()
	if f.otherError != nil { // nobody connects any more
		one.otherError = f.otherError.Error()
	}
	return f.probe(ctx, s.ended)
}

func returnsReport(o *options, rows []row[returnsSample]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- medians over %d rounds, servers in turns; %d clients with a subscription each; SIGKILL, %v later the server is started again on the same port\n",
		o.rounds, o.clients, o.down)
	fmt.Fprintf(&b, "- each client waits %v to %v, at random, before each attempt; back: it has the answer to a ping behind its subscription\n", leastJitter, o.jitter)
	b.WriteString("- all, p50, p99: from when the server listens; since the kill: until the last was back; then each got one message, which is checked\n")
	b.WriteString("- refused: attempts while nobody listened; other errors: what else did not work, as attempts while the server was dying; server CPU: from its start until all were back\n\n")
	b.WriteString("| server | protocol | all back | p50 | p99 | since the kill | attempts | refused | other errors | server CPU | us a client | RSS | failed rounds |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		cpu := harness.Median(r.rounds, func(s returnsSample) time.Duration { return s.cpu })
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d | %d | %d | %s | %s | %.1f MiB | %d |\n", r.server, r.protocol.name(),
			secondsText(harness.Median(r.rounds, func(s returnsSample) time.Duration { return s.all })),
			secondsText(harness.Median(r.rounds, func(s returnsSample) time.Duration { return s.p50 })),
			secondsText(harness.Median(r.rounds, func(s returnsSample) time.Duration { return s.p99 })),
			secondsText(harness.Median(r.rounds, func(s returnsSample) time.Duration { return s.sinceKill })),
			harness.Median(r.rounds, func(s returnsSample) int64 { return s.attempts }),
			harness.Median(r.rounds, func(s returnsSample) int64 { return s.refused }),
			harness.Median(r.rounds, func(s returnsSample) int64 { return s.other }),
			secondsText(cpu), microText(cpu/time.Duration(o.clients)), mebibytes(harness.Median(r.rounds, func(s returnsSample) int64 { return s.rss })), r.failed)
	}
	for _, r := range rows {
		for i, s := range r.rounds {
			if s.otherError != "" {
				fmt.Fprintf(&b, "\n%s, %s, round %d: the first of %d other errors: %s\n", r.server, r.protocol.name(), i+1, s.other, s.otherError)
			}
		}
	}
	return b.String()
}
