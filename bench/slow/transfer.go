package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"roundhouse/bench/harness"
)

// client opens a connection for each transfer.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, WriteBufferSize: 64 << 10}}

// download gets the body and returns its SHA-256.
func download(ctx context.Context, base string, body harness.Body) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+body.Name, nil)
	if err != nil {
		return "", err
	}
	resp, err := do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	sum, size, err := harness.SumReader(resp.Body)
	if err == nil && size != body.Size {
		err = fmt.Errorf("%d bytes, want %d", size, body.Size)
	}
	return sum, err
}

// upload sends the body and returns the SHA-256 that the origin answers.
func upload(ctx context.Context, base string, body harness.Body) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, base+uploadName, harness.NewBodyReader(body.Size))
	if err != nil {
		return "", err
	}
	req.ContentLength = body.Size
	resp, err := do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	sum, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return string(bytes.TrimSpace(sum)), err
}

// do returns an answer with status 200, or an error.
func do(req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s", req.Method, req.URL, resp.Status)
	}
	return resp, nil
}
