package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

const (
	ticksPerSecond = 10
	// readersLimit is how long it may take until every slow reader has its first bytes.
	readersLimit = 30 * time.Second
	// receiveBuffer is small, in bytes, so that the slowness is felt by the server and not by this machine's kernel.
	receiveBuffer = 16 << 10
)

// readers are the slow ones, all of them running until stop.
type readers struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	begin  time.Time
	rate   int // bytes a second of each
	each   []*reader
}

// reader is one of them.
type reader struct {
	got atomic.Int64 // bytes, all compared
	// Owned by its goroutine until it ended.
	err error
	// Set before ended is.
	ended atomic.Bool
}

func startReaders(ctx context.Context, o *options, rawURL string) *readers {
	ctx, cancel := context.WithCancel(ctx)
	rs := &readers{cancel: cancel, begin: time.Now(), rate: o.slowRate, each: make([]*reader, o.slow)}
	for i := range rs.each {
		r := &reader{}
		rs.each[i] = r
		// Ends with its body, an error, or stop, which waits for it.
		rs.wg.Go(func() {
			defer r.ended.Store(true)
			if err := r.run(ctx, rawURL, o.slowBody, o.slowRate); ctx.Err() == nil {
				r.err = err
			}
		})
	}
	return rs
}

// stop ends the readers and waits for them. Calling it again does nothing.
func (rs *readers) stop() {
	rs.cancel()
	rs.wg.Wait()
}

// allBegan returns nil when each has read something.
func (rs *readers) allBegan() error {
	for i, r := range rs.each {
		if r.ended.Load() && r.err != nil {
			return fmt.Errorf("slow reader %d: %w", i+1, r.err)
		}
		if r.got.Load() == 0 {
			return fmt.Errorf("slow reader %d has read nothing", i+1)
		}
	}
	return nil
}

// finish stops the readers, prints what they read, and returns their errors.
func (rs *readers) finish(w io.Writer) error {
	took := time.Since(rs.begin)
	rs.stop()
	least, most := rs.each[0].got.Load(), int64(0)
	var errs []error
	for i, r := range rs.each {
		least, most = min(least, r.got.Load()), max(most, r.got.Load())
		if r.err != nil {
			errs = append(errs, fmt.Errorf("slow reader %d: %w", i+1, r.err))
		}
	}
	due := int64(took.Seconds() * float64(rs.rate))
	if _, err := fmt.Fprintf(w, "\nSlow readers: %d, failed %d; each read %d to %d bytes of at most %d due, each compared.\n",
		len(rs.each), len(errs), least, most, due); err != nil {
		return err
	}
	const shown = 3 // the others fail alike
	return errors.Join(errs[:min(shown, len(errs))]...)
}

// run gets the body at the rate and compares each byte with what it has to be.
func (r *reader) run(ctx context.Context, rawURL string, body harness.Body, rate int) error {
	conn, err := dialSlow(ctx, rawURL)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Ends a read that waits for a server that sends nothing.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in, err := slowHead(conn, rawURL)
	if err != nil {
		return err
	}
	defer in.Close()
	right := harness.NewBodyReader(body.Size)
	got, want := make([]byte, rate/ticksPerSecond), make([]byte, rate/ticksPerSecond)
	tick := time.NewTicker(time.Second / ticksPerSecond)
	defer tick.Stop()
	for r.got.Load() < body.Size {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		n := int(min(int64(len(got)), body.Size-r.got.Load()))
		if _, err := io.ReadFull(in, got[:n]); err != nil {
			return fmt.Errorf("after %d bytes: %w", r.got.Load(), err)
		}
		if _, err := io.ReadFull(right, want[:n]); err != nil {
			return err
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("wrong bytes after %d", r.got.Load())
		}
		r.got.Add(int64(n))
	}
	return nil
}

// slowHead sends the request and reads the head of the answer; the body is to be read from what it returns.
func slowHead(conn net.Conn, rawURL string) (io.ReadCloser, error) {
	req, err := http.NewRequest(http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(exchangeLimit)); err != nil {
		return nil, err
	}
	const readAhead = 1 << 10
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, readAhead), req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("GET %s: %s", rawURL, resp.Status), resp.Body.Close())
	}
	return resp.Body, conn.SetReadDeadline(time.Time{})
}

// dialSlow connects with a small receive buffer, which has to be set before the connection is made.
func dialSlow(ctx context.Context, rawURL string) (net.Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var setErr error
		err := raw.Control(func(fd uintptr) {
			setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		})
		return errors.Join(err, setErr)
	}}
	return d.DialContext(ctx, "tcp", u.Host)
}
