package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"roundhouse/bench/harness"
)

func TestMeasure(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	u, err := url.Parse(srv.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	o := &options{n: 50, settle: harness.StillLimits{Still: time.Millisecond, Deadline: time.Minute}}
	for _, request := range []bool{true, false} {
		r, err := measure(t.Context(), o, target{pids: []int{os.Getpid()}, url: u}, request)
		if err != nil {
			t.Fatal(err)
		}
		if r.alive != 50 || r.before == 0 || r.after == 0 {
			t.Errorf("request %t: %+v", request, r)
		}
	}
}

func TestCountAlive(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	u, err := url.Parse(srv.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	conns, err := openAll(t.Context(), u, 0, 8, false)
	defer conns.close()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conns.countAlive(); n != 8 || err != nil {
		t.Fatalf("alive = %d, %v, want 8", n, err)
	}
	if _, err := openAll(t.Context(), u, 0, 1, true); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a refused request: %v", err)
	}
	srv.CloseClientConnections()
	deadline := time.Now().Add(time.Minute)
	for n := 8; n > 0; { // the ends arrive one by one
		if n, err = conns.countAlive(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d count as alive after the server closed all", n)
		}
	}
}

func TestResultString(t *testing.T) {
	r := result{request: true, n: 100, alive: 100, before: 1 << 20, after: 1<<20 + 100*2048, settled: true}
	if got := r.String(); !strings.Contains(got, "| 2048 | met | 0 |") {
		t.Errorf("at the target: %s", got)
	}
	r.after, r.alive, r.settled = r.after+100, 99, false
	if got := r.String(); !strings.Contains(got, "| 2049 | missed (connections were lost, not settled) | 0 |") {
		t.Errorf("above it: %s", got)
	}
}
