package server_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestRelaysARequest(t *testing.T) {
	r := startRelay(t, nil)
	startEnabler(t, r, "s1", startBackend(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "%s %s %d", q.Method, q.RequestURI, len(body))
	}))
	if status, body := r.get("/a/b?c=d"); status != 200 || body != "GET /a/b?c=d 0" {
		t.Fatalf("%d %q", status, body)
	}
	for range 3 {
		if status, body := r.get(""); status != 200 || body != "GET / 0" {
			t.Fatalf("%d %q", status, body)
		}
	}
}
