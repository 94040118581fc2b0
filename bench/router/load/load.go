// Package load plays publish-subscribe traffic against a server, the same for every server and every client library.
//
// A Scenario says who sends what to whom. A Run is one that is being played: its clients are connections of a Dialer, which is all that a
// protocol or a client library has to bring. A Run counts, checks that nothing is lost, doubled or out of order, and takes
// latencies. Remote is a Run in another process, for a library that is not part of this module.
//
// Nothing is sent faster than it is received: each publisher has a window of messages that may be on their way. So no server cuts a
// slow consumer, none gains by dropping, and each does exactly the same work.
//
// Every payload begins with 16 bytes, big endian: when its batch was sent (8 bytes, nanoseconds since the start of the process), the
// number of the publisher (2 bytes) and that of the message (6 bytes). The rest is the same in all; every byte is compared. Latency is the time from just before the write of a
// message's batch to just after the read that brought it, of every sixteenth message; of every one for requests.
package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roundhouse/bench/harness"
)

// Kind is the shape of a scenario.
type Kind string

const (
	// Stream is publishers with a subject each, and FanOut subscribers to each of these.
	Stream Kind = "stream"
	// Request is requesters with one request on its way each, and one responder.
	Request Kind = "request"
	// Random is many subscriptions, one in ten with a wildcard, and publishers with random subjects that match them.
	Random Kind = "random"
)

// Scenario says who sends what to whom.
type Scenario struct {
	Name          string
	Kind          Kind
	Size          int // of a payload, in bytes; StampLen or more
	Publishers    int // connections that publish; of Request, the requesters
	FanOut        int // Stream: subscribers to each publisher, a connection each
	Subscribers   int // Random: connections that subscribe
	Subscriptions int // Random: all together
	Window        int // of a publisher: deliveries on their way, to its slowest subscriber or, if Random, in all
}

const (
	// StampLen is the smallest payload, in bytes.
	StampLen = 16
	// batchBytes is about how much a publisher writes at once: what nats.go buffers.
	batchBytes = 32 << 10
	// sampled: of so many messages, one has its latency taken.
	sampled = 16
	// drainLimit is how long what is on its way may take to arrive at the end.
	drainLimit = 20 * time.Second
	// setUpLimit is for connecting and subscribing.
	setUpLimit = 2 * time.Minute
)

// Validate returns what cannot be played.
func (s *Scenario) Validate() error {
	switch {
	case s.Size < StampLen || s.Size > 1<<20:
		return fmt.Errorf("load: %s: payload of %d bytes, want %d to 1 MiB", s.Name, s.Size, StampLen)
	case s.Publishers < 1 || s.Publishers > 1<<16 || s.Kind != Request && s.Window < 1:
		return fmt.Errorf("load: %s: want 1 to 65536 publishers with a window above 0", s.Name)
	case s.Kind == Stream && s.FanOut < 1, s.Kind == Random && (s.Subscribers < 1 || s.Subscriptions < 1000 || s.Subscriptions%1000 != 0):
		return fmt.Errorf("load: %s: want subscribers, and thousands of subscriptions", s.Name)
	case s.Kind != Stream && s.Kind != Random && s.Kind != Request:
		return fmt.Errorf("load: %s: kind %q", s.Name, s.Kind)
	}
	return nil
}

// Message is what a subscriber gets. Its slices are valid during the call only.
type Message struct {
	Subject, Reply, Payload []byte
}

// Handler takes the messages of a connection, on one goroutine at a time.
type Handler interface {
	Message(m *Message)
	// Turn is called when all that came with one read was handed over, or all that a library had ready.
	Turn()
}

// Conn is a connection of a client. Publish is called within Handler calls, or before there are any.
type Conn interface {
	// Subscribe subscribes to all patterns. It is called once at most.
	Subscribe(patterns []string, h Handler) error
	// Publish sends a message at the end of the turn at the latest. It keeps none of its arguments. A failure is told to fail.
	Publish(subject, reply, payload []byte)
	// Flush sends what Publish kept back.
	Flush()
	// Sync returns when the server has handled everything before.
	Sync(ctx context.Context) error
	// Publisher prepares to publish to the subjects in turn, beginning anew after the last.
	Publisher(subjects []string, size int) (Publisher, error)
	// Close ends the connection; nothing is told to fail from then on.
	Close()
}

// Publisher sends many messages. It is used by one goroutine.
type Publisher interface {
	// Send publishes the n messages from number first on, with that time in their stamps.
	Send(now int64, first uint64, n int) error
}

// Dialer opens connections by one protocol or library. fail is called when the connection goes wrong, by any goroutine.
type Dialer interface {
	// Name returns a subject or a pattern of NATS as the Conns name it.
	Name(nats string) string
	Dial(ctx context.Context, address string, fail func(error)) (Conn, error)
}

// NewPayload returns a payload of size bytes, without a stamp.
func NewPayload(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

// PutStamp writes the stamp of message number n into payload; publisher is part of n, see Number.
func PutStamp(payload []byte, now int64, n uint64) {
	binary.BigEndian.PutUint64(payload, uint64(now))
	binary.BigEndian.PutUint64(payload[8:], n)
}

// Number returns what identifies a message: the publisher in the upper 16 bits, and the count of its messages.
func Number(publisher int, count uint64) uint64 { return uint64(publisher)<<48 | count&countMask }

const countMask = 1<<48 - 1

// Count is the reverse of Number: the count of the publisher's messages.
func Count(n uint64) uint64 { return n & countMask }

// stamp reads what PutStamp wrote. The payload has to be as long as want, and the same but for the stamp.
func stamp(payload, want []byte) (sent int64, publisher int, count uint64, err error) {
	if len(payload) != len(want) || !bytes.Equal(payload[StampLen:], want[StampLen:]) {
		return 0, 0, 0, fmt.Errorf("load: a payload of %d bytes came, or one that nobody sent: %.100q", len(payload), payload)
	}
	n := binary.BigEndian.Uint64(payload[8:])
	return int64(binary.BigEndian.Uint64(payload)), int(n >> 48), n & countMask, nil
}

// started is when time began.
var started = time.Now()

// clock returns the nanoseconds since then.
func clock() int64 { return int64(time.Since(started)) }

// Reading is what the counters said at one moment.
type Reading struct {
	At        time.Duration // on the clock of the playing process
	Sent      int64         // messages, or requests
	Delivered int64         // messages, or replies
	CPU       time.Duration // of the playing process
}

// Outcome is what a Run found, once it has ended.
type Outcome struct {
	P50, P99 time.Duration
	Samples  uint64
}

// Player is a Run, here or in another process.
type Player interface {
	// Read reads the counters. It fails when a client has gone wrong.
	Read() (Reading, error)
	// Record says whether latencies count.
	Record(on bool) error
	// Stop sends no more, waits for what is on its way, checks that all came, and closes the connections.
	Stop() (Outcome, error)
}

// Run is a scenario that is being played. All its methods are for one goroutine.
type Run struct {
	scenario Scenario
	payload  []byte // as NewPayload returns it; not written to
	conns    []Conn
	parts    []part
	group    sync.WaitGroup // of the publishers
	patience time.Duration  // drainLimit, less in tests
	// Any goroutine.
	recording atomic.Bool
	stopping  atomic.Bool
	stop      chan struct{} // closed with stopping
	// Guarded by mu.
	mu    sync.Mutex
	first error // what went wrong first
}

// part is what a scenario has of counters: a publisher or a subscriber.
type part interface {
	counts() (sent, delivered int64)
	// missing tells how many deliveries are still to come.
	missing() int64
	// latencies is called when nothing runs any more; it may be nil.
	latencies() *harness.Histogram
}

// Start connects the clients of a scenario, subscribes, and begins to send.
func Start(ctx context.Context, d Dialer, address string, s Scenario) (*Run, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, setUpLimit)
	defer cancel()
	r := &Run{scenario: s, payload: NewPayload(s.Size), stop: make(chan struct{}), patience: drainLimit}
	var err error
	switch s.Kind {
	case Stream:
		err = r.startStream(ctx, d, address)
	case Request:
		err = r.startRequests(ctx, d, address)
	case Random:
		err = r.startRandom(ctx, d, address)
	}
	if err = errors.Join(err, r.err()); err != nil {
		r.end()
		return nil, fmt.Errorf("load: %s: %w", s.Name, err)
	}
	return r, nil
}

// dial opens a connection that ends with the run.
func (r *Run) dial(ctx context.Context, d Dialer, address string) (Conn, error) {
	c, err := d.Dial(ctx, address, r.fail)
	if err != nil {
		return nil, err
	}
	r.conns = append(r.conns, c)
	return c, nil
}

// subscribe opens a connection with subscriptions.
func (r *Run) subscribe(ctx context.Context, d Dialer, address string, patterns []string, h Handler) error {
	c, err := r.dial(ctx, d, address)
	if err != nil {
		return err
	}
	if err := c.Subscribe(patterns, h); err != nil {
		return err
	}
	return c.Sync(ctx)
}

// fail notes what went wrong. Any goroutine may call it.
func (r *Run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}

func (r *Run) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// Read reads the counters.
func (r *Run) Read() (reading Reading, err error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return reading, fmt.Errorf("load: getrusage: %w", err)
	}
	reading.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	for _, p := range r.parts {
		sent, delivered := p.counts()
		reading.Sent, reading.Delivered = reading.Sent+sent, reading.Delivered+delivered
	}
	reading.At = time.Duration(clock())
	return reading, r.err()
}

// Record says whether latencies count.
func (r *Run) Record(on bool) error {
	r.recording.Store(on)
	return nil
}

// Stop ends the run.
func (r *Run) Stop() (o Outcome, err error) {
	r.stopping.Store(true)
	close(r.stop)
	err = r.drain()
	r.end()
	if err = errors.Join(r.err(), err); err != nil {
		return o, fmt.Errorf("load: %s: %w", r.scenario.Name, err)
	}
	all := &harness.Histogram{}
	for _, p := range r.parts {
		if h := p.latencies(); h != nil {
			all.Merge(h)
		}
	}
	return Outcome{P50: all.Quantile(0.5), P99: all.Quantile(0.99), Samples: all.Count()}, nil
}

// drain waits for the publishers and for what they sent, and a moment longer for what nobody sent.
func (r *Run) drain() error {
	const extra = 20 * time.Millisecond
	r.group.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(r.patience)
	for r.err() == nil {
		var missing int64
		for _, p := range r.parts {
			missing += max(0, p.missing())
		}
		if missing == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d deliveries did not come within %v", missing, r.patience)
		}
		<-tick.C
	}
	<-time.After(extra)
	for _, p := range r.parts {
		if n := p.missing(); n < 0 {
			return fmt.Errorf("%d deliveries too many", -n)
		}
	}
	return nil
}

// end closes the connections, and waits until nothing of the run is going on.
func (r *Run) end() {
	r.stopping.Store(true)
	for _, c := range r.conns {
		c.Close()
	}
}
