package load

import (
	"context"
	"fmt"
	"sync/atomic"

	"roundhouse/bench/harness"
)

const requestSubject = "bench.request"

// responder answers each request with what came.
type responder struct {
	run  *Run
	conn Conn
}

// Message answers.
func (r *responder) Message(m *Message) {
	if len(m.Reply) == 0 {
		r.run.fail(fmt.Errorf("load: a request without a reply subject came"))
		return
	}
	r.conn.Publish(m.Reply, nil, m.Payload)
}

// Turn does nothing: the connection sends the answers.
func (r *responder) Turn() {}

// requester has one request on its way. Its replies come by one subscription with a wildcard, to a new subject each.
type requester struct {
	run    *Run
	conn   Conn
	number int
	// Owned by the goroutine of its connection, once it has begun.
	subject   []byte
	reply     []byte // its last 8 bytes are the number of the request, in hexadecimal digits
	payload   []byte
	since     int64
	next      uint64
	histogram harness.Histogram
	// Any goroutine.
	sent, answered atomic.Int64
}

func newRequester(r *Run, number int, name func(string) string) *requester {
	q := &requester{run: r, number: number, subject: []byte(name(requestSubject)), payload: NewPayload(r.scenario.Size)}
	q.reply = []byte(name(q.inbox() + ".00000000"))
	return q
}

// inbox is as long as that of nats.go.
func (q *requester) inbox() string { return fmt.Sprintf("_INBOX.%022d", q.number) }

// send sends the next request.
func (q *requester) send() {
	const hexadecimal = "0123456789abcdef"
	tail := q.reply[len(q.reply)-8:]
	for i := range tail {
		tail[i] = hexadecimal[q.next>>(4*(7-i))&15]
	}
	q.since = clock()
	PutStamp(q.payload, q.since, Number(q.number, q.next))
	q.sent.Add(1)
	q.conn.Publish(q.subject, q.reply, q.payload)
}

// Message takes a reply and sends the next request.
func (q *requester) Message(m *Message) {
	if q.sent.Load() == 0 { // also what makes the fields above visible here, that another goroutine wrote for the first request
		q.run.fail(fmt.Errorf("load: requester %d got %d bytes before it sent", q.number, len(m.Payload)))
		return
	}
	_, publisher, count, err := stamp(m.Payload, q.run.payload)
	if err == nil && (publisher != q.number || count != q.next || string(m.Subject) != string(q.reply)) {
		err = fmt.Errorf("load: reply %d of requester %d to %s came, want %d of %d to %s", count, publisher, m.Subject, q.next, q.number, q.reply)
	}
	if err != nil {
		q.run.fail(err)
		return
	}
	if q.run.recording.Load() {
		q.histogram.Record(duration(clock() - q.since))
	}
	q.next++
	q.answered.Add(1)
	if !q.run.stopping.Load() && q.run.err() == nil {
		q.send()
	}
}

// Turn does nothing: the connection sends the request.
func (q *requester) Turn() {}

func (q *requester) counts() (sent, delivered int64) { return q.sent.Load(), q.answered.Load() }
func (q *requester) missing() int64                  { return q.sent.Load() - q.answered.Load() }
func (q *requester) latencies() *harness.Histogram   { return &q.histogram }

// startRequests subscribes, then sends the first request of each.
func (r *Run) startRequests(ctx context.Context, d Dialer, address string) error {
	c, err := r.dial(ctx, d, address)
	if err != nil {
		return err
	}
	if err := c.Subscribe([]string{d.Name(requestSubject)}, &responder{run: r, conn: c}); err != nil {
		return err
	}
	if err := c.Sync(ctx); err != nil {
		return err
	}
	var all []*requester
	for i := range r.scenario.Publishers {
		q := newRequester(r, i, d.Name)
		if err := r.subscribe(ctx, d, address, []string{d.Name(q.inbox() + ".*")}, q); err != nil {
			return err
		}
		q.conn = r.conns[len(r.conns)-1]
		all = append(all, q)
		r.parts = append(r.parts, q)
	}
	for _, q := range all {
		q.send()
		q.conn.Flush()
	}
	return nil
}
