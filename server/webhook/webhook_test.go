package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// start runs a sender that waits hardly at all between tries.
func start(t *testing.T, log io.Writer) *Sender {
	t.Helper()
	s := New(slog.New(slog.NewTextHandler(log, nil)))
	s.wait = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { s.Run(ctx) }) // ends with ctx, below
	t.Cleanup(func() { cancel(); done.Wait() })
	return s
}

func await(t *testing.T, s *Sender, ok func(Counts) bool) {
	t.Helper()
	deadline, tick := time.Now().Add(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok(s.Counts()) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s.Counts())
		}
		<-tick.C
	}
}

// TestRetries sends an event to receivers of all kinds.
func TestRetries(t *testing.T) {
	for _, row := range []struct {
		answers []int // in turn; the last one from then on
		asked   int
		want    Counts
	}{
		{[]int{204}, 1, Counts{Sent: 1}},
		{[]int{503, 500, 200}, 3, Counts{Sent: 1}},
		{[]int{429, 201}, 2, Counts{Sent: 1}},
		{[]int{500}, tries, Counts{Failed: 1}},
		{[]int{404}, 1, Counts{Failed: 1}},
		{[]int{302}, tries, Counts{Failed: 1}}, // a secret may be in the URL: it goes nowhere else
	} {
		asked := 0
		var got Event
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%v %v: %v", r.Method, r.Header, err)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(row.answers[min(asked, len(row.answers)-1)])
			asked++
		}))
		s := start(t, io.Discard)
		s.Send(receiver.URL+"/secret", Event{Event: BackendDown, Farm: "f", Server: "s", Reason: "refused"})
		await(t, s, func(c Counts) bool { return c == row.want })
		receiver.Close() // waits for what is under way
		if asked != row.asked || got.Farm != "f" || got.Time.IsZero() || !strings.HasSuffix(got.Text, ": the back end is down of f/s: refused") {
			t.Errorf("%v: asked %d times, %+v", row.answers, asked, got)
		}
	}
}

// TestBounded: while the receiver does not answer, what comes waits, and what is too much is dropped and counted.
func TestBounded(t *testing.T) {
	hold := make(chan struct{})
	came := make(chan struct{}, queued+2)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came <- struct{}{}; <-hold }))
	defer receiver.Close()
	s := start(t, io.Discard)
	s.Send(receiver.URL, Event{Event: EnablerUp})
	<-came
	for range queued + 7 {
		s.Send(receiver.URL, Event{Event: EnablerUp})
	}
	if c := s.Counts(); c != (Counts{Dropped: 7}) {
		t.Errorf("%+v", c)
	}
	close(hold)
	await(t, s, func(c Counts) bool { return c.Sent == queued+1 })
}

// TestURLIsSecret: the log says what is wrong and not where.
func TestURLIsSecret(t *testing.T) {
	receiver := httptest.NewServer(http.NotFoundHandler())
	url := receiver.URL
	receiver.Close()
	var log syncBuffer
	s := start(t, &log)
	s.Send(url+"/geheim", Event{Event: EnablerDown, Farm: "f"})
	await(t, s, func(c Counts) bool { return c.Failed == 1 })
	await(t, s, func(Counts) bool { return strings.Contains(log.String(), "refused") })
	if strings.Contains(log.String(), "geheim") {
		t.Error(log.String())
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
