package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"roundhouse/bench/harness"
)

// target is the server under test.
type target struct {
	pids   []int // the process whose connections they are, and its workers
	others []int // the rest of the contender: the enabler
	url    *url.URL
}

func run(ctx context.Context, o *options, request bool) (result, error) {
	lab, err := harness.NewLab()
	if err != nil {
		return result{}, err
	}
	defer lab.Close()
	t := target{pids: []int{o.pid}, url: o.url}
	if t.url == nil {
		if t, err = start(ctx, lab, o); err != nil {
			return result{}, err
		}
	}
	return measure(ctx, o, t, request)
}

func start(ctx context.Context, lab *harness.Lab, o *options) (t target, err error) {
	body, err := harness.ParseBody("100")
	if err != nil {
		return t, err
	}
	_, port, err := harness.StartOrigin(ctx, lab, 1, []harness.Body{body})
	if err != nil {
		return t, err
	}
	starter, err := harness.FindStarter(&o.products, o.contender)
	if err != nil {
		return t, err
	}
	c, err := starter.Run(ctx, lab, port, body)
	if err != nil {
		return t, err
	}
	if t.url, err = url.Parse(c.URL + body.Name); err != nil {
		return t, err
	}
	for i, p := range c.Procs {
		tree, err := harness.Descendants(p.PID)
		if err != nil {
			return t, err
		}
		for _, id := range tree {
			if i == 0 {
				t.pids = append(t.pids, id.PID)
			} else {
				t.others = append(t.others, id.PID)
			}
		}
	}
	return t, nil
}

// warmRequests are sent over a few connections first, so that what the first requests cost once is not counted.
const warmRequests = 200

func measure(ctx context.Context, o *options, t target, request bool) (r result, err error) {
	r = result{request: request, n: o.n}
	if err := warmUp(ctx, t.url, warmRequests); err != nil {
		return r, err
	}
	if r.before, _, err = harness.StillPSS(ctx, t.pids, o.settle); err != nil {
		return r, err
	}
	othersBefore, err := harness.SumPSS(t.others)
	if err != nil {
		return r, err
	}
	filesBefore, err := countDescriptors(t.pids)
	if err != nil {
		return r, err
	}
	begin := time.Now()
	conns, err := openInBatches(ctx, o.n, t, request)
	defer conns.close()
	if err != nil {
		return r, err
	}
	fmt.Fprintf(os.Stderr, "%d connections opened in %v\n", o.n, time.Since(begin).Round(time.Millisecond))
	if r.after, r.settled, err = harness.StillPSS(ctx, t.pids, o.settle); err != nil {
		return r, err
	}
	othersAfter, err := harness.SumPSS(t.others)
	if err != nil {
		return r, err
	}
	filesAfter, err := countDescriptors(t.pids)
	if err != nil {
		return r, err
	}
	r.descriptors, r.enabler = filesAfter-filesBefore, othersAfter-othersBefore
	r.alive, err = conns.countAlive()
	return r, err
}

// openInBatches opens n connections, no more at a time than the server's backlog holds: what it drops is tried again by the
// kernel only after a second.
func openInBatches(ctx context.Context, n int, t target, request bool) (clients, error) {
	const batch, slack, limit = 1000, 100, 30 * time.Second
	base, err := countDescriptors(t.pids)
	if err != nil {
		return nil, err
	}
	conns := make(clients, 0, n)
	for len(conns) < n {
		more, err := openAll(ctx, t.url, len(conns), min(batch, n-len(conns)), request)
		conns = append(conns, more...)
		if err != nil {
			return conns, err
		}
		err = harness.WaitFor(ctx, limit, "the server to accept", func() error {
			now, err := countDescriptors(t.pids)
			if err == nil && now-base < len(conns)-slack { // slack: connections to the origin that it closed meanwhile
				err = fmt.Errorf("%d more descriptors for %d connections", now-base, len(conns))
			}
			return err
		})
		if err != nil {
			return conns, err
		}
	}
	return conns, nil
}

func countDescriptors(pids []int) (sum int, err error) {
	for _, pid := range pids {
		n, err := harness.CountDescriptors(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
