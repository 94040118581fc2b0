package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"
)

const (
	openers       = 16     // goroutines that open connections
	perSource     = 10_000 // connections from one address: the kernel has near 28,000 ports for each
	exchangeLimit = 30 * time.Second
)

// clients are the open connections; a slot is nil if its connection could not be opened.
type clients []*net.TCPConn

// openAll opens n connections, the first being number from, and sends one request on each if request is set. On an error it
// returns those that are open.
func openAll(ctx context.Context, u *url.URL, from, n int, request bool) (clients, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns := make(clients, n)
	errs := make([]error, openers)
	var wg sync.WaitGroup
	for w := range openers {
		// Ends when its share is open or something failed; waited for below.
		wg.Go(func() {
			r := bufio.NewReader(nil)
			for i := w; i < n && errs[w] == nil; i += openers {
				conns[i], errs[w] = openOne(ctx, u, from+i)
				if errs[w] == nil && request {
					errs[w] = exchange(conns[i], r, u)
				}
			}
			if errs[w] != nil {
				cancel() // the others need not go on
			}
		})
	}
	wg.Wait()
	return conns, errors.Join(errs...)
}

// openOne opens connection number i from a loopback address that follows from its number.
func openOne(ctx context.Context, u *url.URL, i int) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: exchangeLimit, KeepAlive: -1}
	if net.ParseIP(u.Hostname()).IsLoopback() {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i/perSource))}
	}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("connection %d: %w", i+1, err)
	}
	return c.(*net.TCPConn), nil // the network is tcp
}

// exchange sends a GET and reads its answer. r is only lent.
func exchange(c *net.TCPConn, r *bufio.Reader, u *url.URL) error {
	if err := c.SetDeadline(time.Now().Add(exchangeLimit)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return err
	}
	r.Reset(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close(), c.SetDeadline(time.Time{})); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.Close {
		return fmt.Errorf("GET %s: %s, close: %t", u, resp.Status, resp.Close)
	}
	return nil
}

// warmUp sends n requests over a few connections.
func warmUp(ctx context.Context, u *url.URL, n int) error {
	conns, err := openAll(ctx, u, 0, openers, false)
	defer conns.close()
	if err != nil {
		return err
	}
	r := bufio.NewReader(nil)
	for i := range n {
		if err := exchange(conns[i%openers], r, u); err != nil {
			return err
		}
	}
	return nil
}

func (cs clients) close() {
	for _, c := range cs {
		if c != nil {
			_ = c.Close() // nothing was left to be sent
		}
	}
}

// countAlive tells how many connections the server has not closed.
func (cs clients) countAlive() (alive int, err error) {
	for _, c := range cs {
		raw, err := c.SyscallConn()
		if err != nil {
			return alive, err
		}
		var peekErr error
		var one [1]byte
		err = raw.Control(func(fd uintptr) {
			_, _, peekErr = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
		if err != nil {
			return alive, err
		}
		if errors.Is(peekErr, syscall.EAGAIN) { // no end of the stream to be read, no error
			alive++
		}
	}
	return alive, nil
}
