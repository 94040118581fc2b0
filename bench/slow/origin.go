package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"roundhouse/bench/harness"
)

// uploadName is where a PUT is answered with the SHA-256 of its body.
const uploadName = "upload"

// startOrigin serves any body by its name, and uploads, on a loopback port. Call the returned function once at the end.
func startOrigin() (port int, closeAll func(), err error) {
	if port, err = harness.FreePort(); err != nil {
		return 0, nil, err
	}
	ln, err := net.Listen("tcp", harness.Address(port))
	if err != nil {
		return 0, nil, err
	}
	srv := &http.Server{Handler: http.HandlerFunc(serve)}
	done := make(chan struct{})
	// Ends when the server is closed; closeAll waits for it.
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // always ErrServerClosed, after Close
	}()
	return port, func() {
		if err := srv.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "slow: origin:", err)
		}
		<-done
	}, nil
}

func serve(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if name == uploadName && r.Method == http.MethodPut {
		sum, _, err := harness.SumReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, sum) // a client that is gone notices by itself
		return
	}
	size, found := strings.CutSuffix(name, ".bin")
	body, err := harness.ParseBody(size)
	if !found || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(body.Size, 10))
	_, _ = io.Copy(w, harness.NewBodyReader(body.Size)) // slow readers leave in the middle
}
