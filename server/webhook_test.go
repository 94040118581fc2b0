package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"roundhouse/server/config"
	"roundhouse/server/webhook"
)

// TestWebhook: a receiver, slow to take the first event, is told what comes and goes, in order and once.
func TestWebhook(t *testing.T) {
	var mu sync.Mutex
	var all []string
	refuse := true
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e webhook.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if refuse {
			refuse = false
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		all = append(all, fmt.Sprintf("%s %s/%s %v %v", e.Event, e.Farm, e.Server, e.BackendUp, e.Event == webhook.BackendDown && e.Reason != ""))
	}))
	defer receiver.Close()
	r := startRelay(t, func(cfg *config.Config) { cfg.Relay.Status.Webhook = receiver.URL + "/hook" })
	await := func(want ...string) {
		t.Helper()
		eventually(t, strings.Join(want, ", "), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(all, ", ") == strings.Join(want, ", ")
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	backend.Listener.Close()
	backend.Listener = ln
	backend.Start()
	e := startEnabler(t, r, "s1", ln.Addr().String())
	await("enabler_up f/s1 true false")
	backend.CloseClientConnections()
	backend.Close()
	r.get("/") // fails, and has the enabler look
	await("enabler_up f/s1 true false", "backend_down f/s1 false true")
	e.stop(t)
	await("enabler_up f/s1 true false", "backend_down f/s1 false true", "enabler_down f/s1 false false")
	if _, text := r.seen("/metrics"); !strings.Contains(text, `rs_webhook_events_total{result="sent"} 3`) {
		t.Errorf("%s", text)
	}
}
