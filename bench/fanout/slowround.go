package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"roundhouse/bench/harness"
)

const slowHeading = "## Router door: a subscriber that stops reading"

// slowSample is what one server did in one round.
type slowSample struct {
	p50, p99  [phases]time.Duration
	messages  int64 // that the others got, each
	cut       time.Duration
	limit     int // bytes that may wait
	words     lastWords
	log       string // line
	metrics   string
	cpu, load time.Duration // a second of the phase in which all read: of the server, of this program
	rss       int64         // of the server after the cut, in bytes
}

// measureSlow returns the report of all rounds.
func measureSlow(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error) {
	rows := newRows[slowSample](o.contenders())
	for round := range o.rounds {
		for i := range rows {
			r := &rows[i]
			one, err := slowRound(ctx, lab, o, r.contender)
			if ctx.Err() != nil {
				return "", 0, ctx.Err()
			}
			if r.add(err, one) {
				progress("slow, round %d: %-11s %-4s p99 %v, beside the slow one %v (x %s), cut after %v", round+1, r.server, r.protocol.name(),
					one.p99[phaseReading], one.p99[phaseBlocked], ratio(one.p99[phaseBlocked], one.p99[phaseReading]), one.cut)
			} else {
				failed++
				progress("slow, round %d: %-11s %-4s FAILED: %v", round+1, r.server, r.protocol.name(), err)
			}
		}
	}
	return slowReport(o, rows), failed, nil
}

// limit is what waits for the slow one when its phase is over.
func (o *options) limit() int {
	const overhead = 32 // bytes of a message around its payload, near enough
	return max(int(o.duration.Seconds()*float64(o.rate*(o.size+overhead))), 64<<10)
}

// slowRound starts a server and plays all phases.
func slowRound(ctx context.Context, lab *harness.Lab, o *options, who contender) (one slowSample, err error) {
	one.limit = o.limit()
	s, err := o.start(ctx, lab, who.server, one.limit)
	if err != nil {
		return one, err
	}
	defer s.stop()
	c, err := openCrowd(o, s, who.protocol)
	if err != nil {
		return one, err
	}
	err = one.play(ctx, o, s, c)
	err = errors.Join(err, c.stop(ctx))
	c.end(true)
	if err != nil {
		return one, err
	}
	one.messages = c.sent.Load()
	for in := phaseReading; in < phases; in++ {
		h := c.latencies(in)
		if h.Count() == 0 {
			return one, fmt.Errorf("no message came in phase %d", in)
		}
		one.p50[in], one.p99[in] = h.Quantile(0.5), h.Quantile(0.99)
	}
	return one, nil
}

// play goes through the phases.
func (one *slowSample) play(ctx context.Context, o *options, s *server, c *crowd) error {
	const warmup = time.Second
	if err := c.pause(ctx, warmup); err != nil {
		return err
	}
	c.phase.Store(uint32(phaseReading))
	if err := one.used(s, -1); err != nil {
		return err
	}
	if err := c.pause(ctx, o.duration); err != nil {
		return err
	}
	if err := one.used(s, 1); err != nil {
		return err
	}
	one.cpu, one.load = perSecond(one.cpu, o.duration), perSecond(one.load, o.duration)
	if err := c.block(ctx); err != nil {
		return err
	}
	begin := time.Now()
	err := harness.WaitFor(ctx, 6*o.duration+10*time.Second, "cut of the slow one", func() (err error) {
		if c.err() != nil {
			return nil // nothing more is to be waited for
		}
		if err := s.ended(); err != nil {
			return err
		}
		one.log, err = s.slowLine()
		return err
	})
	one.cut = time.Since(begin)
	if err := errors.Join(err, c.err()); err != nil {
		return err
	}
	c.phase.Store(uint32(phaseCut))
	if one.words, err = c.listen(); err != nil {
		return err
	}
	if one.rss, err = s.RSS(); err != nil {
		return err
	}
	if one.metrics, err = s.slowMetrics(ctx); err != nil {
		return err
	}
	return c.pause(ctx, o.duration)
}

// used adds the CPU time that was used so far, with a sign.
func (one *slowSample) used(s *server, sign time.Duration) error {
	server, err := s.cpu()
	if err != nil {
		return err
	}
	own, err := ownCPU()
	one.cpu += sign * server
	one.load += sign * own
	return err
}

func perSecond(used, d time.Duration) time.Duration {
	return time.Duration(float64(used) / d.Seconds())
}

// slowReport writes the figures, and what was said of the slow one.
func slowReport(o *options, rows []row[slowSample]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- medians over %d rounds, servers in turns, a new process each time; 1 publisher, %d messages/s of %d B, %d subscribers of one subject\n",
		o.rounds, o.rate, o.size, o.subscribers)
	fmt.Fprintf(&b, "- %v in which all read; one stops reading until the server cuts it; %v after that; the limit of what may wait for a client is set to %d bytes\n",
		o.duration, o.duration, o.limit())
	b.WriteString("- p50, p99: of all others, from when a message was due to after the read that brought it; x: the ratio to when all read\n")
	b.WriteString("- cut after: from the stop to the line in the log: what fits in the buffers of the kernel comes before what waits in the server;\n  server CPU, load CPU: when all read, in parts of one core; RSS: after the cut\n\n")
	b.WriteString("| server | protocol | p50 | p99 | p50 beside the slow one | p99 | x | p99 after the cut | x | cut after | server CPU | load CPU | RSS | failed rounds |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		if len(r.rounds) == 0 {
			fmt.Fprintf(&b, "| %s | %s | - | - | - | - | - | - | - | - | - | - | - | %d |\n", r.server, r.protocol.name(), r.failed)
			continue
		}
		at := func(in phase) (p50, p99 time.Duration, x float64) {
			return harness.Median(r.rounds, func(s slowSample) time.Duration { return s.p50[in] }), harness.Median(r.rounds, func(s slowSample) time.Duration { return s.p99[in] }),
				harness.Median(r.rounds, func(s slowSample) float64 { return float64(s.p99[in]) / float64(max(s.p99[phaseReading], 1)) })
		}
		p50, p99, _ := at(phaseReading)
		p50Blocked, p99Blocked, xBlocked := at(phaseBlocked)
		_, p99Cut, xCut := at(phaseCut)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.2f | %s | %.2f | %s | %.0f %% | %.0f %% | %.1f MiB | %d |\n", r.server, r.protocol.name(),
			harness.TimeText(p50), harness.TimeText(p99), harness.TimeText(p50Blocked), harness.TimeText(p99Blocked), xBlocked, harness.TimeText(p99Cut), xCut,
			secondsText(harness.Median(r.rounds, func(s slowSample) time.Duration { return s.cut })),
			100*harness.Median(r.rounds, func(s slowSample) time.Duration { return s.cpu }).Seconds(),
			100*harness.Median(r.rounds, func(s slowSample) time.Duration { return s.load }).Seconds(),
			mebibytes(harness.Median(r.rounds, func(s slowSample) int64 { return s.rss })), r.failed)
	}
	b.WriteString("\nWhat is said of the slow one, in the last round:\n\n")
	for _, r := range rows {
		if len(r.rounds) == 0 {
			continue
		}
		s := r.rounds[len(r.rounds)-1]
		w := s.words
		reason := "nothing of why"
		if w.reason != "" {
			reason = "`" + w.reason + "`"
		}
		fmt.Fprintf(&b, "- %s, %s: each of the others got %d messages, none lost, none twice\n", r.server, r.protocol.name(), s.messages)
		fmt.Fprintf(&b, "  - it read %d more messages (%d bytes) in order, and %s; then `%s`\n", w.messages, w.bytes, reason, w.end)
		fmt.Fprintf(&b, "  - log: `%s`\n  - metrics: `%s`\n", s.log, s.metrics)
	}
	return b.String()
}
