package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"roundhouse/bench/harness"
	"roundhouse/codec/natswire"
)

const (
	idleHeading = "## Memory of an idle client of the router door"

	openers       = 16     // goroutines that open connections
	perSource     = 10_000 // connections from one address: the kernel has near 28,000 ports for each
	exchangeLimit = 30 * time.Second
)

// idleResult is what one server needed for clients that do nothing.
type idleResult struct {
	server        string
	clients       int
	before, after memory
	settled       bool
	lost          int
}

// memory is what a server uses at one moment, in bytes.
type memory struct {
	rss, pss int64
	heap     int64 // live, after a collection; 0 for a server that does not tell
}

// measureIdle measures each server and returns the report, and how many of them failed.
func measureIdle(ctx context.Context, lab *harness.Lab, o *options) (text string, failed int, err error) {
	var rows strings.Builder
	var reference int64
	for _, starter := range o.starters() {
		progress("starting %s", starter.Name)
		r, err := idle(ctx, lab, o, starter)
		if ctx.Err() != nil {
			return "", 0, ctx.Err()
		}
		if err != nil {
			failed++
			progress("%s: FAILED: %v", starter.Name, err)
			fmt.Fprintf(&rows, "| %s | failed: %v |\n", starter.Name, err)
			continue
		}
		if starter.Name == harness.NATSReference {
			reference = r.perClient()
		}
		failed += min(r.lost, 1)
		rows.WriteString(r.text(reference))
	}
	var b strings.Builder
	b.WriteString(idleHeading + "\n\n")
	b.WriteString(harness.NATSMachine(&o.programs))
	fmt.Fprintf(&b, "- %d clients: CONNECT, PING, PONG, a subscription each, another PING and PONG, then nothing; each reading when the memory has stood still for %v\n",
		o.clients, o.settle.Still)
	b.WriteString("- bytes/client: by RSS, as it is: nothing makes the server collect its garbage; heap: live bytes after a collection, where the server tells;\n" +
		"  memory of the kernel is not counted; x: the ratio to nats-server\n\n")
	b.WriteString("| server | clients | lost | RSS before | RSS after | bytes/client | x | by PSS | heap: bytes/client |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	return b.String() + rows.String(), failed, nil
}

func (r idleResult) perClient() int64 { return (r.after.rss - r.before.rss) / int64(r.clients) }

func (r idleResult) text(reference int64) string {
	name := r.server
	if !r.settled {
		name += " (not settled)"
	}
	heap := "-"
	if r.before.heap > 0 {
		heap = fmt.Sprint((r.after.heap - r.before.heap) / int64(r.clients))
	}
	return fmt.Sprintf("| %s | %d | %d | %.1f MiB | %.1f MiB | %d | %s | %d | %s |\n", name, r.clients, r.lost, mebibytes(r.before.rss), mebibytes(r.after.rss),
		r.perClient(), ratio(r.perClient(), reference), (r.after.pss-r.before.pss)/int64(r.clients), heap)
}

// idle runs one server.
func idle(ctx context.Context, lab *harness.Lab, o *options, starter harness.NATSStarter) (r idleResult, err error) {
	s, err := starter.Start(ctx, lab)
	if err != nil {
		return r, err
	}
	defer s.Stop()
	r = idleResult{server: s.Name, clients: o.clients, settled: true}
	warm, err := openClients(ctx, s.Address, openers) // what the first clients cost once is not counted
	if err != nil {
		return r, errors.Join(err, warm.close(), s.Ended())
	}
	if err := warm.close(); err != nil {
		return r, err
	}
	if err := r.read(ctx, o, s, &r.before); err != nil {
		return r, err
	}
	all, err := openClients(ctx, s.Address, o.clients)
	defer all.close()
	if err == nil {
		err = r.read(ctx, o, s, &r.after)
	}
	if err != nil {
		return r, errors.Join(err, s.Ended())
	}
	alive, err := all.alive()
	r.lost = o.clients - alive
	if r.lost > 0 {
		progress("%s: %d of %d clients LOST their connection", s.Name, r.lost, o.clients)
	}
	return r, err
}

// read reads the memory when it stands still.
func (r *idleResult) read(ctx context.Context, o *options, s *harness.NATSServer, m *memory) error {
	pss, still, err := harness.StillPSS(ctx, []int{s.PID()}, o.settle)
	if err != nil {
		return err
	}
	r.settled, m.pss = r.settled && still, pss
	if m.rss, err = harness.ReadRSS(s.PID()); err != nil || s.URL == "" {
		return err
	}
	m.heap, err = harness.LiveHeap(ctx, s.URL)
	return err
}

// clients are open connections; one that could not be opened is nil.
type clients []*net.TCPConn

// openClients opens n clients. On an error it returns those that are open.
func openClients(ctx context.Context, address string, n int) (clients, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all, errs := make(clients, n), make([]error, openers)
	var group sync.WaitGroup
	for w := range openers {
		group.Go(func() { // ends when its share is open or something failed; waited for below
			for i := w; i < n && errs[w] == nil; i += openers {
				all[i], errs[w] = openClient(ctx, address, i)
			}
			if errs[w] != nil {
				cancel() // the others need not go on
			}
		})
	}
	group.Wait()
	return all, errors.Join(errs...)
}

// openClient opens client number i, from a loopback address that follows from its number.
func openClient(ctx context.Context, address string, i int) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: exchangeLimit, KeepAlive: -1, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i/perSource))}}
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("client %d: %w", i+1, err)
	}
	c := nc.(*net.TCPConn) // the network is tcp
	err = c.SetDeadline(time.Now().Add(exchangeLimit))
	if err == nil {
		err = exchange(c, fmt.Appendf(nil, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n%s", natswire.Ping))
	}
	if err == nil {
		err = exchange(c, fmt.Appendf(nil, "SUB idle.%d 1\r\n%s", i, natswire.Ping))
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close() // the first error counts
		return nil, fmt.Errorf("client %d: %w", i+1, err)
	}
	return c, nil
}

// exchange writes commands that end with a PING, and reads until its PONG. What comes behind that is left.
func exchange(c net.Conn, out []byte) error {
	if _, err := c.Write(out); err != nil {
		return err
	}
	lim := natswire.Limits{Payload: natswire.DefaultPayload}
	buf, have := make([]byte, 4<<10), 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return err
		}
		have += n
		at := 0
		for {
			var cmd natswire.Command
			n, err := natswire.ParseServer(buf[at:have], &cmd, &lim)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			switch at += n; cmd.Op {
			case natswire.OpPong:
				return nil
			case natswire.OpErr:
				return fmt.Errorf("the server says %s", cmd.Arg)
			}
		}
		if have = copy(buf, buf[at:have]); have == len(buf) {
			return errors.New("a line of more than 4 KiB")
		}
	}
}

// alive tells how many connections the server has not closed.
func (cs clients) alive() (alive int, err error) {
	for _, c := range cs {
		raw, err := c.SyscallConn()
		if err != nil {
			return alive, err
		}
		var n int
		var peekErr error
		err = raw.Control(func(fd uintptr) {
			var one [1]byte
			n, _, peekErr = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
		if err != nil {
			return alive, err
		}
		if errors.Is(peekErr, syscall.EAGAIN) || peekErr == nil && n > 0 { // nothing to read, or what came behind the PONG
			alive++
		}
	}
	return alive, nil
}

func (cs clients) close() error {
	var errs []error
	for _, c := range cs {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
