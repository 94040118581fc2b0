package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"roundhouse/bench/harness"
)

// phases runs the three of them and prints each as it ends.
func phases(ctx context.Context, o *options, c *harness.Contender) error {
	want, err := harness.BodySum(o.large.Size) // now, not beside a measurement: it takes a second a GiB
	if err != nil {
		return err
	}
	fmt.Print("| phase | requests/s | p50 | p99 | x baseline | highest RSS |\n|---|--:|--:|--:|--:|--:|\n")
	baseline, err := fastPhase{name: "fast clients alone"}.run(ctx, o, c)
	if err != nil {
		return err
	}
	readers := startReaders(ctx, o, c.URL+o.slowBody.Name)
	defer readers.stop()
	if err := harness.WaitFor(ctx, readersLimit, "every slow reader has bytes", readers.allBegan); err != nil {
		return err
	}
	if err := c.Settle(ctx); err != nil { // until the windows and the buffers of the kernel are full
		return err
	}
	if _, err := (fastPhase{"beside slow readers", &baseline}).run(ctx, o, c); err != nil {
		return err
	}
	for _, t := range []transfer{{"down", download}, {"up", upload}} {
		if err := t.run(ctx, o, c, want); err != nil {
			return err
		}
	}
	return readers.finish(os.Stdout)
}

// fastPhase loads the contender with the fast clients.
type fastPhase struct {
	name     string
	baseline *latencies // nil in the phase that is the baseline
}

func (p fastPhase) run(ctx context.Context, o *options, c *harness.Contender) (latencies, error) {
	watch := watchRSS(c)
	l, err := runFast(ctx, c.URL+fastBody.Name, o.fast, o.duration)
	highest, watchErr := watch.stop()
	if err != nil {
		return l, err
	}
	if watchErr != nil {
		return l, watchErr
	}
	ratio := "1.00"
	if p.baseline != nil {
		ratio = fmt.Sprintf("%.2f", float64(l.p99)/float64(p.baseline.p99))
	}
	fmt.Printf("| %s | %.0f | %v | %v | %s | %s |\n", p.name, l.perSecond, l.p50.Round(time.Microsecond), l.p99.Round(time.Microsecond),
		ratio, mebibytes(highest))
	return l, nil
}

// transfer is one large body in one direction; move returns the SHA-256 that the receiving end saw.
type transfer struct {
	name string
	move func(ctx context.Context, base string, body harness.Body) (sum string, err error)
}

func (t transfer) run(ctx context.Context, o *options, c *harness.Contender, want string) error {
	watch := watchRSS(c)
	begin := time.Now()
	sum, err := t.move(ctx, c.URL, o.large)
	took := time.Since(begin)
	highest, watchErr := watch.stop()
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.large.Name, t.name, err)
	}
	if watchErr != nil {
		return watchErr
	}
	if sum != want {
		return fmt.Errorf("%s %s: SHA-256 %s, want %s", o.large.Name, t.name, sum, want)
	}
	fmt.Printf("| %s %s beside slow readers, SHA-256 right: %.0f MiB/s | - | - | - | - | %s |\n", o.large.Name, t.name,
		float64(o.large.Size)/(1<<20)/took.Seconds(), mebibytes(highest))
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// rssWatch reads the RSS of a contender now and then and keeps the highest.
type rssWatch struct {
	quit, done chan struct{}
	// Owned by the goroutine until done is closed.
	highest int64 // bytes
	err     error
}

func watchRSS(c *harness.Contender) *rssWatch {
	const pause = 100 * time.Millisecond
	w := &rssWatch{quit: make(chan struct{}), done: make(chan struct{})}
	// Ends with stop, which waits for it, or when a reading fails.
	go func() {
		defer close(w.done)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			rss, err := c.RSS()
			if err != nil {
				w.err = err
				return
			}
			w.highest = max(w.highest, rss)
			select {
			case <-w.quit:
				return
			case <-tick.C:
			}
		}
	}()
	return w
}

// stop ends the readings. Call it once.
func (w *rssWatch) stop() (highest int64, err error) {
	close(w.quit)
	<-w.done
	return w.highest, w.err
}
