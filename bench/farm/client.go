package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// kind says what a client does.
type kind struct {
	sticky bool // it keeps the cookie that binds it to a back end
	post   bool // every second request is a POST
}

var probeKind = kind{}

// answerLimit is how long a client waits for an answer; then it counts as lost.
const answerLimit = 20 * time.Second

const lost = 0 // the status of a request without an answer

// record is what a client knows of one request.
type record struct {
	id         int
	begin, end time.Duration // since the load's begin
	status     int           // lost: no answer
	server     int           // the back end that answered; -1: none
	came       int           // how often it has come to back ends; known when the load has ended
	moved      int           // the back end that its session was bound to, when another one answered; -1 otherwise
	post       bool
	wrong      bool // the answer had status 200 and a wrong body
}

// client sends one request after the other over a connection that is kept. It belongs to one goroutine.
type client struct {
	c    *cast
	addr string
	kind kind

	conn   net.Conn // nil: none
	r      *bufio.Reader
	cookie string
	server int // that the cookie is bound to; -1: none
	sent   int
}

const cookieName = "ias-rs-sessionid"

func newClient(c *cast, addr string, k kind) *client {
	return &client{c: c, addr: addr, kind: k, server: -1}
}

func (cl *client) hangUp() {
	if cl.conn != nil {
		_ = cl.conn.Close() // nothing is lost by its failure
		cl.conn = nil
	}
}

// exchange sends a request, once, and waits for the answer. Its times are counted from the start of the cast's load.
func (cl *client) exchange() record {
	rec := record{id: cl.c.nextID(), server: -1, moved: -1, post: cl.kind.post && cl.sent%2 == 1}
	size := bodySizes[rand.IntN(len(bodySizes))]
	var body []byte
	if rec.post {
		body = bodies[bodySizes[rand.IntN(len(bodySizes))]]
	}
	cl.sent++
	rec.begin = cl.c.since()
	resp, answer, err := cl.send(cl.request(rec.id, size, rec.post, body))
	rec.end = cl.c.since()
	if err != nil {
		cl.hangUp()
		return rec
	}
	rec.status = resp.StatusCode
	if resp.Close {
		cl.hangUp()
	}
	if rec.status == http.StatusOK {
		sum := sha256.Sum256(body)
		name, right := checkAnswer(answer, rec.id, hex.EncodeToString(sum[:]), size)
		rec.server, rec.wrong = slices.Index(backendNames, name), !right
	}
	cl.keepCookie(resp, &rec)
	return rec
}

// backendNames are the names of the back ends, in their order.
var backendNames = func() (names []string) {
	for i := range backends {
		names = append(names, backendName(i))
	}
	return names
}()

func (cl *client) request(id int, size int64, post bool, body []byte) []byte {
	var b bytes.Buffer
	method := http.MethodGet
	if post {
		method = http.MethodPost
	}
	fmt.Fprintf(&b, "%s /cli/iarelayserver/%s%s HTTP/1.1\r\nHost: bench\r\n", method, farmID, workPath(id, size))
	if cl.cookie != "" {
		fmt.Fprintf(&b, "Cookie: %s=%s\r\n", cookieName, cl.cookie)
	}
	if post {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

func (cl *client) send(request []byte) (*http.Response, []byte, error) {
	if cl.conn == nil {
		conn, err := net.DialTimeout("tcp", cl.addr, answerLimit)
		if err != nil {
			return nil, nil, err
		}
		cl.conn, cl.r = conn, bufio.NewReader(conn)
	}
	if err := cl.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, nil, err
	}
	if _, err := cl.conn.Write(request); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(cl.r, nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 2*maxBody))
	if err != nil {
		return nil, nil, err
	}
	return resp, answer, resp.Body.Close()
}

// keepCookie keeps the newest session id, or none when it is taken away, and notes when another back end has answered than the one that the
// session was bound to.
func (cl *client) keepCookie(resp *http.Response, rec *record) {
	if !cl.kind.sticky {
		return
	}
	for _, line := range resp.Header.Values("Set-Cookie") {
		value, attributes, _ := strings.Cut(line, ";")
		if id, found := strings.CutPrefix(value, cookieName+"="); found {
			if cl.cookie = id; strings.Contains(attributes, "Max-Age=0") {
				cl.cookie = ""
			}
		}
	}
	if rec.server < 0 {
		return
	}
	if cl.server >= 0 && rec.server != cl.server {
		rec.moved = cl.server
	}
	cl.server = rec.server
}

// load is all clients together.
type load struct {
	stopped atomic.Bool
	wg      sync.WaitGroup
	clients []*loadClient
}

// loadClient is a client with what it has seen.
type loadClient struct {
	*client
	records []record // belongs to its goroutine until that has ended
}

// startLoad starts clients, half of them sticky, that send to the balancer at the given rate together.
func startLoad(ctx context.Context, c *cast) *load {
	l := &load{}
	pause := time.Duration(0)
	if c.o.rate > 0 {
		pause = time.Duration(float64(c.o.clients) / float64(c.o.rate) * float64(time.Second))
	}
	for i := range c.o.clients {
		lc := &loadClient{client: newClient(c, address(c.balancer), kind{sticky: i%2 == 0, post: true})}
		lc.sent = i / 2 % 2 // half of them begin with a POST
		l.clients = append(l.clients, lc)
		// Ends with stop, which waits for it, or with ctx.
		l.wg.Go(func() { lc.run(ctx, l, pause) })
	}
	return l
}

// run sends until the load is stopped. Requests are due at regular times; those that are late follow at once.
func (lc *loadClient) run(ctx context.Context, l *load, pause time.Duration) {
	defer lc.hangUp()
	due := time.Now().Add(time.Duration(rand.Int64N(int64(pause) + 1)))
	for !l.stopped.Load() {
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		} else if ctx.Err() != nil {
			return
		}
		lc.records = append(lc.records, lc.exchange())
		if due = due.Add(pause); time.Since(due) > pause { // what a pause has held up is not made up for
			due = time.Now()
		}
	}
}

// stop ends the load and returns all records, with how often each request has come to the back ends.
func (l *load) stop(c *cast) (all []record) {
	l.stopped.Store(true)
	l.wg.Wait()
	for _, lc := range l.clients {
		all = append(all, lc.records...)
	}
	for i := range all {
		for _, ledger := range c.ledgers {
			all[i].came += ledger.count(all[i].id)
		}
	}
	return all
}
