package server_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"roundhouse/server/config"
)

// TestAcceptance13 has a back end say by status_url that it is down, and up: the relay knows within twice -d, and sends no request
// meanwhile.
func TestAcceptance13(t *testing.T) {
	t.Parallel() // it waits most of its time
	var sick atomic.Bool
	var early atomic.Int64 // requests that came when the relay had said that there was no server
	var told atomic.Bool
	backend := startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/alive" && sick.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case q.URL.Path != "/alive" && told.Load():
			early.Add(1)
		}
	})
	r := startRelay(t, nil)
	const retry = time.Second // -d of the harness
	startEnablerWith(t, r, "s1", backend, func(e *config.Enabler) { e.Backend.StatusURL = "/alive" })
	if status, body := r.get("/x"); status != 200 {
		t.Fatal(status, body)
	}
	for range 2 {
		sick.Store(true)
		began := time.Now()
		eventually(t, "no server", func() bool { status, _ := r.get("/x"); return status == 503 })
		if took := time.Since(began); took > 2*retry+slack {
			t.Errorf("down after %v", took)
		}
		told.Store(true)
		for range 20 {
			if status, body := r.get("/x"); status != 503 {
				t.Errorf("while down: %d %s", status, body)
			}
		}
		told.Store(false)
		sick.Store(false)
		began = time.Now()
		eventually(t, "a server", func() bool { status, _ := r.get("/x"); return status == 200 })
		if took := time.Since(began); took > 2*retry+slack {
			t.Errorf("up after %v", took)
		}
	}
	if n := early.Load(); n > 0 {
		t.Errorf("%d requests while down", n)
	}
}
