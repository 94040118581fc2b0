package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"roundhouse/bench/harness"
)

const queueHeading = "## Memory of a waiting request"

// waitingSize is the payload of a waiting request in bytes.
const waitingSize = 100

// memory is what the server uses at one moment, in bytes.
type memory struct {
	pss  int64 // as it is: nothing makes the server collect its garbage
	heap int64 // live, after a collection; 0 for a peer that does not tell
}

// waitResult is what one contender needed for the same connections, first idle and then with a request each.
type waitResult struct {
	name                 string
	n                    int
	none, idle, waiting  memory
	settled              bool
	answered, lost, held int // clients that got a reply, whose connection was closed, that wait
}

// runQueue measures each contender and returns the report.
func runQueue(ctx context.Context, o *options) (string, error) {
	var b strings.Builder
	b.WriteString(queueHeading + "\n\n")
	b.WriteString(harness.PoolMachine())
	fmt.Fprintf(&b, "- %d clients, %d engines that never answer; first all clients are idle, then each sends a request of %d bytes\n",
		o.waiting, o.pools.Engines, waitingSize)
	b.WriteString("- PSS: of the server without the engines, when it has stood still; heap: live bytes, after a collection\n")
	b.WriteString("- where a heap is told it is the figure: what its collection frees is used again by what comes next, and hides it from the PSS\n")
	b.WriteString("- a client is logged in where the door has a login; bytes of the kernel are not counted\n\n")
	b.WriteString("| contender | clients | waiting | answered | lost | PSS before | PSS idle | PSS waiting | bytes/idle client | more if it waits | heap: bytes/idle client | more if it waits |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range o.starters() {
		if !o.wants(s.Name) {
			continue
		}
		progress("starting %s", s.Name)
		r, err := measureWaiting(ctx, o, s)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			progress("skipped %s: %v", s.Name, err)
			fmt.Fprintf(&b, "| %s | skipped: %v |\n", s.Name, err)
			continue
		}
		b.WriteString(r.String())
	}
	return b.String(), nil
}

func (r waitResult) String() string {
	name := r.name
	if !r.settled {
		name += " (not settled)"
	}
	n := int64(r.n)
	heap := "- | -"
	if r.none.heap > 0 {
		heap = fmt.Sprintf("%d | %d", (r.idle.heap-r.none.heap)/n, (r.waiting.heap-r.idle.heap)/n)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %.1f MiB | %.1f MiB | %.1f MiB | %d | %d | %s |\n", name, r.n, r.held, r.answered, r.lost,
		mebibytes(r.none.pss), mebibytes(r.idle.pss), mebibytes(r.waiting.pss),
		(r.idle.pss-r.none.pss)/n, (r.waiting.pss-r.idle.pss)/n, heap)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// measureWaiting runs one contender in a lab of its own.
func measureWaiting(ctx context.Context, o *options, s harness.PoolStarter) (r waitResult, err error) {
	lab, err := harness.NewLab()
	if err != nil {
		return r, err
	}
	defer lab.Close()
	p, err := s.Start(ctx, lab)
	if err != nil {
		return r, err
	}
	r = waitResult{name: s.Name, n: o.waiting, settled: true}
	// All engines are busy from here on, and what they cost once is not counted.
	busy, err := openClients(ctx, p, o.pools.Engines)
	defer busy.close()
	if err == nil {
		err = busy.send(p)
	}
	if err == nil {
		err = r.read(ctx, o, p, &r.none)
	}
	if err != nil {
		return r, err
	}
	clients, err := openClients(ctx, p, o.waiting)
	defer clients.close()
	if err == nil {
		err = r.read(ctx, o, p, &r.idle)
	}
	if err == nil {
		err = clients.send(p)
	}
	if err == nil {
		err = r.read(ctx, o, p, &r.waiting)
	}
	if err != nil {
		return r, err
	}
	r.held, r.answered, r.lost, err = clients.count()
	return r, err
}

// read reads the memory when it stands still.
func (r *waitResult) read(ctx context.Context, o *options, p *harness.Pool, m *memory) error {
	server, _, err := p.PIDs()
	if err != nil {
		return err
	}
	pss, still, err := harness.StillPSS(ctx, server, o.settle)
	if err != nil {
		return err
	}
	r.settled = r.settled && still
	m.pss = pss
	if p.URL != "" {
		m.heap, err = harness.LiveHeap(ctx, p.URL)
	}
	return err
}

// waiters are open connections.
type waiters []*net.TCPConn

// openClients opens n connections one after the other. On an error it returns those that are open.
func openClients(ctx context.Context, p *harness.Pool, n int) (waiters, error) {
	all := make(waiters, 0, n)
	for range n {
		c, err := dial(ctx, p)
		if err != nil {
			return all, fmt.Errorf("client %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// send sends a request on each connection.
func (ws waiters) send(p *harness.Pool) error {
	w, err := newWire(p.Protocol, waitingSize)
	if err != nil {
		return err
	}
	request := w.newRequest()
	for i, c := range ws {
		request.setStamp(uint64(i))
		if _, err := c.Write(request.first); err != nil { // small, so it is in one piece
			return err
		}
	}
	return nil
}

// count tells how many clients still wait, how many were answered and how many were closed.
func (ws waiters) count() (held, answered, lost int, err error) {
	for _, c := range ws {
		raw, err := c.SyscallConn()
		if err != nil {
			return 0, 0, 0, err
		}
		var n int
		var peekErr error
		err = raw.Control(func(fd uintptr) {
			var one [1]byte
			n, _, peekErr = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
		if err != nil {
			return 0, 0, 0, err
		}
		switch {
		case errors.Is(peekErr, syscall.EAGAIN):
			held++
		case peekErr == nil && n > 0:
			answered++
		default:
			lost++
		}
	}
	return held, answered, lost, nil
}

func (ws waiters) close() {
	for _, c := range ws {
		_ = c.Close() // nothing was left to be sent
	}
}
