package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/config"
)

// rawLane is an enabler's end of one lane that says whatever a test wants.
type rawLane struct {
	t      testing.TB
	up     net.Conn
	down   net.Conn
	body   io.Reader // what the relay says, out of its chunks
	reader lane.Reader
	rest   []byte // read and not looked at
}

// serverCall is the head of a call to the server URL of farm f.
func serverCall(method, op, farm, id, rest string) string {
	return method + " /srv/iarelayserver HTTP/1.1\r\nHost: relay\r\nIas-Rs-Op: " + op + "\r\nIas-Rs-Farm: " + farm +
		"\r\nIas-Rs-Server: " + id + "\r\nIas-Rs-Token: secret\r\nIas-Rs-Proto: 1\r\nIas-Rs-Oe-Id: raw\r\n" + rest + "\r\n"
}

// dial connects to the relay; everything on the connection has to be over soon.
func (r *relayUnderTest) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

var rawLanes int // makes their names unique; tests that open some do not run in parallel

// openRawLane opens lane 0 of a server, without a word on it.
func openRawLane(t testing.TB, r *relayUnderTest, farm, id string) *rawLane {
	t.Helper()
	l := &rawLane{t: t, up: r.dial(), down: r.dial()}
	rawLanes++
	name := fmt.Sprintf("Ias-Rs-Lane: raw%d/0\r\n", rawLanes)
	write(t, l.up, serverCall("GET", "up", farm, id, name))
	in := bufio.NewReader(l.up)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal("the up channel is refused", resp, err)
	}
	l.body = resp.Body
	write(t, l.down, serverCall("POST", "down", farm, id, name+"Transfer-Encoding: chunked\r\n"))
	return l
}

// joinRawLane opens lane 0 of a server and makes it one that gets requests.
func joinRawLane(t testing.TB, r *relayUnderTest, farm, id string) *rawLane {
	t.Helper()
	l := openRawLane(t, r, farm, id)
	up := func() int {
		return strings.Count(r.log.text(), fmt.Sprintf(`msg="lane up" farm=%s server=%s `, farm, id))
	}
	before := up() // the number of lanes may still count one whose end the test has seen
	l.send(lane.AppendHello(nil, lane.Hello{Version: 1, Window: lane.DefaultWindow, Heartbeat: 15000, MaxHead: 64 << 10}))
	eventually(t, "the lane is up", func() bool { return up() > before })
	return l
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

// send sends bytes as one chunk. That the relay has hung up is no error: its answer tells.
func (l *rawLane) send(b []byte) {
	_, _ = fmt.Fprintf(l.down, "%x\r\n%s\r\n", len(b), b)
}

// respond sends a response head.
func (l *rawLane) respond(stream uint32, flags lane.Flags, head string) {
	l.send(lane.Append(nil, lane.Packet{Op: lane.OpResponse, Flags: flags, Stream: stream, Data: []byte(head)}))
}

// next waits for a packet of the given kind and skips others. err tells that the lane is over.
func (l *rawLane) next(op lane.Op) (p lane.Packet, err error) {
	buf := make([]byte, 64<<10)
	for {
		for len(l.rest) > 0 {
			p, n, err := l.reader.Next(l.rest)
			if err != nil {
				l.t.Fatal(err)
			}
			l.rest = l.rest[n:]
			if p.Op == op {
				p.Data = append([]byte(nil), p.Data...)
				return p, nil
			}
		}
		n, err := l.body.Read(buf)
		l.rest = append(l.rest, buf[:n]...)
		if n == 0 && err != nil {
			return lane.Packet{}, err
		}
	}
}

// request waits for a request and returns its stream.
func (l *rawLane) request() uint32 {
	l.t.Helper()
	p, err := l.next(lane.OpRequest)
	if err != nil {
		l.t.Fatal("no request came:", err)
	}
	return p.Stream
}

// isClosed waits until the relay has ended the lane.
func (l *rawLane) isClosed() {
	l.t.Helper()
	if _, err := l.next(0xff); isTimeout(err) {
		l.t.Error("the relay did not close the lane")
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// serve answers every request with 200 and a body, until the lane is over.
func (l *rawLane) serve(body string) {
	for {
		p, err := l.next(lane.OpRequest)
		if err != nil {
			return
		}
		l.respond(p.Stream, 0, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		l.send(lane.Append(nil, lane.Packet{Op: lane.OpData, Flags: lane.FlagLast, Stream: p.Stream, Data: []byte(body)}))
	}
}

// twoFarms configures one loop and the farms f and g; the servers of g are g1 and off, which is disabled.
func twoFarms(cfg *config.Config) {
	cfg.Loops = 1
	for _, id := range []string{"g", "closed"} {
		f := config.DefaultFarm()
		f.ID, f.Enable = id, id != "closed"
		cfg.Relay.Farms = append(cfg.Relay.Farms, f)
	}
	for _, id := range []string{"g/g1", "g/off", "closed/s1"} {
		b := config.DefaultBackend()
		b.Farm, b.ID, _ = strings.Cut(id, "/")
		b.Token, b.Enable = "secret", b.ID != "off"
		cfg.Relay.Backends = append(cfg.Relay.Backends, b)
	}
}

// outcome is what became of a request: how it ended, and what came of its body.
type outcome struct {
	status int // 0: none
	body   string
	err    error // of reading the body, or of the whole
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d, %d bytes, %v", o.status, len(o.body), o.err)
}

// ask sends a request of its own connection and reads everything.
func ask(method, url, body string) outcome {
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return outcome{err: err}
	}
	return do(q)
}

// do sends a request over its own connection and reads everything.
func do(q *http.Request) outcome {
	t := &http.Transport{DisableKeepAlives: true}
	resp, err := t.RoundTrip(q)
	if err != nil {
		return outcome{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return outcome{resp.StatusCode, string(b), err}
}

// begin is ask that does not wait.
func begin(method, url, body string) <-chan outcome {
	c := make(chan outcome, 1)
	go func() { c <- ask(method, url, body) }() // ends with the request; who wants the outcome waits
	return c
}
