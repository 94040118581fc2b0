// Package webhook tells another program by HTTP what has happened.
//
// A Sender has a queue and one goroutine, which sends one event after the other: a POST with a JSON object. Any 2xx is an acknowledgement. What
// is refused with another 4xx than 408 and 429 is given up; what else fails is tried again a few times. While the receiver is slow, events
// wait; those that find the queue full are dropped and counted. The URL may hold a secret: it is never logged.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// The events.
const (
	EnablerUp   = "enabler_up"   // the enabler of a back-end server has lanes to this relay server
	EnablerDown = "enabler_down" // it has none any more
	BackendUp   = "backend_up"   // the enabler reaches its back end again
	BackendDown = "backend_down" // it does not
)

// Event is what the receiver gets.
type Event struct {
	Event     string    `json:"event"`
	Farm      string    `json:"farm"`
	Server    string    `json:"server"`
	BackendUp bool      `json:"backend_up"` // requests can be served
	Reason    string    `json:"reason,omitempty"`
	Relay     string    `json:"relay"` // name of the machine that tells; filled by Send
	Time      time.Time `json:"time"`  // when it was noticed; filled by Send
	Text      string    `json:"text"`  // all that in a sentence, which chat programs show; filled by Send
}

const (
	queued    = 256             // events that may wait
	tries     = 4               // of one event
	firstWait = time.Second     // after the first failure; twice as long after each more
	sendTime  = 5 * time.Second // for one try
	maxAnswer = 64 << 10        // bytes of an answer that are read, so that its connection can be used again
)

// Counts are what has become of events.
type Counts struct{ Sent, Failed, Dropped int64 }

// Sender sends events. Its methods are safe for concurrent use.
type Sender struct {
	// Fixed by New.
	log    *slog.Logger
	relay  string
	client *http.Client
	wait   time.Duration
	events chan letter

	// Any goroutine.
	sent, failed, dropped atomic.Int64
}

// letter is an event on its way.
type letter struct {
	url   string
	event Event
}

// New returns a sender that sends nothing before Run.
func New(log *slog.Logger) *Sender {
	name, _ := os.Hostname() // without it there is no name
	return &Sender{log: log.With("door", "webhook"), relay: name, wait: firstWait, events: make(chan letter, queued), client: &http.Client{
		Timeout:       sendTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Send queues an event for url, or drops it. It does not block.
func (s *Sender) Send(url string, e Event) {
	e.Relay, e.Time = s.relay, time.Now().UTC().Truncate(time.Millisecond)
	e.Text = e.sentence()
	select {
	case s.events <- letter{url, e}:
	default:
		s.dropped.Add(1)
	}
}

func (e *Event) sentence() string {
	text := fmt.Sprintf("%s: %s of %s/%s", e.Relay, map[string]string{
		EnablerUp: "the enabler has come", EnablerDown: "the enabler has gone", BackendUp: "the back end is up", BackendDown: "the back end is down",
	}[e.Event], e.Farm, e.Server)
	if e.Event == EnablerUp && !e.BackendUp {
		text += ", the back end is down"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Counts returns what has become of events so far.
func (s *Sender) Counts() Counts { return Counts{s.sent.Load(), s.failed.Load(), s.dropped.Load()} }

// Run sends until ctx ends; what waits then is lost.
func (s *Sender) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.events:
			s.deliver(ctx, l)
		}
	}
}

// deliver tries until the event has arrived, or it is not worth it any more.
func (s *Sender) deliver(ctx context.Context, l letter) {
	wait := s.wait
	for n := 1; ; n++ {
		err := s.post(ctx, l)
		switch {
		case err == nil:
			s.sent.Add(1)
			return
		case ctx.Err() != nil:
			return
		case n == tries || errors.Is(err, errRefused):
			s.failed.Add(1)
			s.log.Warn("the webhook does not take an event", "event", l.event.Event, "farm", l.event.Farm, "server", l.event.Server, "tries", n, "error", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait *= 2
	}
}

var errRefused = errors.New("refused")

// post sends an event once.
func (s *Sender) post(ctx context.Context, l letter) error {
	body, err := json.Marshal(l.event)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "roundhouse")
	resp, err := s.client.Do(q)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // what it says does not matter
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return fmt.Errorf("%w with status %d", errRefused, code)
	default:
		return fmt.Errorf("status %d", code)
	}
}

// withoutURL takes the URL out of an error.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
