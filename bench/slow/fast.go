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
	"slices"
	"sync"
	"time"
)

// exchangeLimit is how long one fast request, or the head of a slow one, may take.
const exchangeLimit = 30 * time.Second

// latencies is what the fast clients saw.
type latencies struct {
	perSecond float64
	p50, p99  time.Duration
}

// runFast sends GETs over n kept connections for d, each connection the next one as soon as the answer is there.
func runFast(ctx context.Context, rawURL string, n int, d time.Duration) (latencies, error) {
	clients := make([]*fastClient, n)
	for i := range clients {
		c, err := dialFast(ctx, rawURL)
		if err != nil {
			return latencies{}, err
		}
		defer c.conn.Close()
		clients[i] = c
		if err := c.exchange(); err != nil { // the first request opens connections further on; it does not count
			return latencies{}, err
		}
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for _, c := range clients {
		// Ends at the end of the phase or after an error; waited for below.
		wg.Go(func() { c.loop(ctx, begin.Add(d)) })
	}
	wg.Wait()
	took := time.Since(begin)
	var all []time.Duration
	for _, c := range clients {
		if c.err != nil {
			return latencies{}, c.err
		}
		all = append(all, c.took...)
	}
	if err := ctx.Err(); err != nil {
		return latencies{}, err
	}
	return summarize(all, took), nil
}

// summarize takes the percentiles of at least one latency.
func summarize(all []time.Duration, took time.Duration) latencies {
	slices.Sort(all)
	return latencies{
		perSecond: float64(len(all)) / took.Seconds(),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}
}

// fastClient is one kept connection. Its goroutine owns it.
type fastClient struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
	took    []time.Duration
	err     error
}

func dialFast(ctx context.Context, rawURL string) (*fastClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return &fastClient{
		conn: conn, r: bufio.NewReader(conn),
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host),
	}, nil
}

func (c *fastClient) loop(ctx context.Context, end time.Time) {
	for c.err == nil && ctx.Err() == nil {
		begin := time.Now()
		c.err = c.exchange()
		now := time.Now()
		c.took = append(c.took, now.Sub(begin))
		if now.After(end) {
			return
		}
	}
}

func (c *fastClient) exchange() error {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeLimit)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || n != fastBody.Size || resp.Close {
		return fmt.Errorf("fast client: %s, %d bytes, close: %t", resp.Status, n, resp.Close)
	}
	return nil
}
