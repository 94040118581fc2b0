package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// fetching is a goroutine that fetches metrics while a contender is loaded, as a monitor does.
type fetching struct {
	quit, done chan struct{} // nil: nothing is fetched
	// Owned by the goroutine until done is closed.
	bytes int64
	err   error
}

// startFetching fetches url at once and then once an interval. Nothing is fetched when url is empty.
func startFetching(ctx context.Context, url string, every time.Duration) *fetching {
	f := &fetching{}
	if url == "" {
		return f
	}
	f.quit, f.done = make(chan struct{}), make(chan struct{})
	go f.run(ctx, url, every) // ends with stop, which waits for it
	return f
}

func (f *fetching) run(ctx context.Context, url string, every time.Duration) {
	defer close(f.done)
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for f.err == nil {
		f.err = f.fetch(ctx, client, url)
		select {
		case <-f.quit:
			return
		case <-tick.C:
		}
	}
}

func (f *fetching) fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("metrics: %s", resp.Status)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	f.bytes += n
	return err
}

// stop ends it. It is an error when nothing came.
func (f *fetching) stop() error {
	if f.done == nil {
		return nil
	}
	close(f.quit)
	<-f.done
	if f.err == nil && f.bytes == 0 {
		return errors.New("metrics: nothing came")
	}
	return f.err
}
