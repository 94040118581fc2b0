package harness

import (
	"context"
	"time"
)

// Contender is a running server, or several in a row, through which the origin is reached.
type Contender struct {
	Name  string
	URL   string     // base, with a slash at its end
	Procs []*Process // counted for it; empty for the origin itself
	// Metrics is the URL of the metrics that are to be fetched while it is loaded; empty: none are.
	Metrics string
}

// waitReady waits until the contender answers probe, or one of its processes ended.
func (c *Contender) waitReady(ctx context.Context, probe Body) error {
	const limit = 20 * time.Second
	return WaitFor(ctx, limit, "first answer of "+c.Name, func() error {
		for _, p := range c.Procs {
			if err := p.Ended(); err != nil {
				return err
			}
		}
		return Verify(ctx, c.URL, probe)
	})
}

// Proc returns the process of that name, nil if the contender has none.
func (c *Contender) Proc(name string) *Process {
	for _, p := range c.Procs {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// CPU returns the CPU time used so far by each process of the contender, workers included, by pid.
func (c *Contender) CPU() (map[int]time.Duration, error) {
	used := make(map[int]time.Duration)
	err := c.each(func(pid int) error {
		d, err := readCPU(pid)
		used[pid] = d
		return err
	})
	return used, err
}

// CPUBetween returns what was used from one reading of CPU to a later one. What a process that ended meanwhile used since the
// first reading is lost.
func CPUBetween(before, after map[int]time.Duration) time.Duration {
	var sum time.Duration
	for pid, used := range after {
		sum += used - before[pid]
	}
	return sum
}

// Memory returns RSS and PSS of all processes of the contender together, in bytes.
func (c *Contender) Memory() (rss, pss int64, err error) {
	err = c.each(func(pid int) error {
		r, err := ReadRSS(pid)
		if err != nil {
			return err
		}
		p, err := ReadPSS(pid)
		rss, pss = rss+r, pss+p
		return err
	})
	return rss, pss, err
}

// RSS is the cheap half of Memory, for readings in quick succession.
func (c *Contender) RSS() (rss int64, err error) {
	err = c.each(func(pid int) error {
		r, err := ReadRSS(pid)
		rss += r
		return err
	})
	return rss, err
}

func (c *Contender) each(f func(pid int) error) error {
	for _, p := range c.Procs {
		tree, err := Descendants(p.PID)
		if err != nil {
			return err
		}
		for _, id := range tree {
			if err := f(id.PID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Settle waits until the contender uses less than a tenth of a CPU, so that what one measurement left behind is not counted
// in the next. It gives up silently: a contender that never rests shows it in its figures.
func (c *Contender) Settle(ctx context.Context) error {
	const limit, pause, quiet = 3 * time.Second, 20 * time.Millisecond, 2 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	before, err := c.CPU()
	if err != nil {
		return err
	}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		after, err := c.CPU()
		if err != nil {
			return err
		}
		if CPUBetween(before, after) < quiet {
			return nil
		}
		before = after
	}
	return nil
}
